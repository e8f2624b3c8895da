/* An LSTM layer over the time steps of a batch, forwards and backwards: read it beside
   textwright/models/recurrent.py. Gates i, f, g, o, as torch.nn.LSTM has them.

   Numbers lie time step after time step, [time][sample][width]. What the inputs give to the gates is
   one product over all time steps, before (`product`); the gradients of the weights are one after.
   Between them only what the state gives is computed step by step. */

#include "products.h"

typedef struct {
    int32_t time, samples;
    int32_t width; /* a multiple of 4 */
    float *gates; /* [time][sample][4 × width]: the sums from the inputs and biases, then what the
                     functions make of them, then, backwards, the gradients of the sums */
    float *h; /* [1 + time][sample][width]: what was carried in, then of each step */
    float *c; /* likewise */
    const float *from_state; /* [4 × width][width]: the recurrent weights */
    float *packed; /* room for them as panels */
} LSTM;

INLINE void step_forward(int width, float *gates, const float *before, float *c, float *h) {
    for (int i = 0; i < width; i += LANES) {
        Vector in = sigmoid(load(gates + i));
        Vector forget = sigmoid(load(gates + width + i));
        Vector new = hyperbolic_tangent(load(gates + 2 * width + i));
        Vector out = sigmoid(load(gates + 3 * width + i));
        Vector cell = forget * load(before + i) + in * new;
        store(gates + i, in);
        store(gates + width + i, forget);
        store(gates + 2 * width + i, new);
        store(gates + 3 * width + i, out);
        store(c + i, cell);
        store(h + i, out * hyperbolic_tangent(cell));
    }
}

/* Floats that `packed` must have room for. */
EXPORT int lstm_room(int width) { return (int)packed(4 * width, width); }

EXPORT void lstm_forward(const LSTM *l) {
    const int width = l->width, samples = l->samples;
    const size_t all_states = (size_t)samples * width;
    pack_columns(width, 4 * width, (View){l->from_state, 1, width}, l->packed);
    for (int t = 0; t < l->time; t++) {
        float *gates = l->gates + 4 * all_states * t;
        float *h = l->h + all_states * (t + 1), *c = l->c + all_states * (t + 1);
        product_of_packed(samples, 4 * width, width, (View){h - all_states, width, 1}, l->packed,
                          gates, 4 * width, 1);
        for (size_t at = 0; at < all_states; at += (size_t)width)
            step_forward(width, gates + 4 * at, c - all_states + at, c + at, h + at);
    }
}

/* Gates become the gradients of their sums; `dc` that of the cell before. */
INLINE void step_backward(int width, float *gates, const float *before, const float *c,
                          const float *dh, const float *dh_after, float *dc) {
    for (int i = 0; i < width; i += LANES) {
        Vector in = load(gates + i), forget = load(gates + width + i);
        Vector new = load(gates + 2 * width + i), out = load(gates + 3 * width + i);
        Vector bent = hyperbolic_tangent(load(c + i));
        Vector d_h = load(dh + i) + load(dh_after + i);
        Vector d_c = load(dc + i) + d_h * out * (1.0f - bent * bent);
        store(gates + i, d_c * new * in * (1.0f - in));
        store(gates + width + i, d_c * load(before + i) * forget * (1.0f - forget));
        store(gates + 2 * width + i, d_c * in * (1.0f - new * new));
        store(gates + 3 * width + i, d_h * bent * out * (1.0f - out));
        store(dc + i, d_c * forget);
    }
}

/* `dh`: gradients of what came out of each step, [time][sample][width]; `dh_after` and `dc`, zeros,
   are where those of the states are carried back, [sample][width]. */
EXPORT void lstm_backward(const LSTM *l, const float *dh, float *dh_after, float *dc) {
    const int width = l->width, samples = l->samples;
    const size_t all_states = (size_t)samples * width;
    pack_columns(4 * width, width, (View){l->from_state, width, 1}, l->packed);
    for (int t = l->time - 1; t >= 0; t--) {
        float *gates = l->gates + 4 * all_states * t;
        const float *c = l->c + all_states * (t + 1);
        for (size_t at = 0; at < all_states; at += (size_t)width)
            step_backward(width, gates + 4 * at, c - all_states + at, c + at,
                          dh + all_states * t + at, dh_after + at, dc + at);
        if (t)
            product_of_packed(samples, width, 4 * width, (View){gates, 4 * width, 1}, l->packed,
                              dh_after, width, 0);
    }
}
