/* What a transformer does between its matrix products, forwards and backwards, for training: a pass
   over memory each. Read it beside textwright/models/fused.py, which calls it and has the same in
   torch.

   A matrix is `rows` × `width` numbers, row by row; widths are multiples of 16. The residual stream
   and gradients of weights are float32. What goes into a product and comes out of one is float32
   too, or bfloat16 where `narrow` says so: the upper half of a float32, rounded to the nearest. */

#include "vectors.h"

typedef uint16_t Words __attribute__((vector_size(2 * LANES)));
typedef uint16_t WordsInMemory __attribute__((vector_size(2 * LANES), aligned(2), may_alias));
typedef uint32_t Bits __attribute__((vector_size(4 * LANES)));

INLINE Vector get(const void *from, size_t at, const int narrow) {
    if (!narrow) return load((const float *)from + at);
    Words words = *(const WordsInMemory *)((const uint16_t *)from + at);
    return (Vector)(__builtin_convertvector(words, Bits) << 16);
}

INLINE void put(void *to, size_t at, Vector values, const int narrow) {
    if (!narrow) {
        store((float *)to + at, values);
        return;
    }
    Bits bits = (Bits)values;
    bits += 0x7fff + ((bits >> 16) & 1); /* ties to even; what arithmetic makes of NaN stays one */
    *(WordsInMemory *)((uint16_t *)to + at) = __builtin_convertvector(bits >> 16, Words);
}

INLINE float added_up(Vector values) {
    float lanes[LANES];
    store(lanes, values);
    for (int half = LANES / 2; half; half /= 2)
        for (int lane = 0; lane < half; lane++) lanes[lane] += lanes[lane + half];
    return lanes[0];
}

/* `function(…, narrow)` with a constant, so that both formats have loops of their own. */
#if defined(__wasm__) /* which has no products in bfloat16 */
#define IN_BOTH_FORMATS(call_narrow, call_wide) call_wide
#else
#define IN_BOTH_FORMATS(call_narrow, call_wide) \
    if (narrow) call_narrow;                    \
    else call_wide
#endif

/* --- dropout, and the sum of the residual stream ----------------------------------------------- */

INLINE Bits mixed(Bits x) { /* lowbias32, as textwright/models/base.py has it */
    x = (x ^ x >> 16) * 0x7feb352du;
    x = (x ^ x >> 15) * 0x846ca68bu;
    return x ^ x >> 16;
}

/* `scale` where an element is kept, 0 where it is dropped. */
INLINE Vector mask(uint32_t element, uint32_t key, uint32_t least, float scale) {
    Bits lanes;
    for (int lane = 0; lane < LANES; lane++) lanes[lane] = lane;
    Bits bits = mixed((lanes + element) * 0x9e3779b9u + key) & 0x7fffffff;
    return (Vector)((Integers)(bits >= least) & (Integers)all(scale));
}

INLINE void residual(int samples, int size, const float *x, const void *added,
                     const uint32_t *keys, uint32_t least, float scale, void *sum,
                     const int narrow, const int narrow_sum) {
    for (int sample = 0; sample < samples; sample++)
        for (int i = 0; i < size; i += LANES) {
            size_t at = (size_t)sample * size + i;
            Vector value = get(added, at, narrow);
            if (keys) value *= mask(i, keys[sample], least, scale);
            if (x) value += load(x + at);
            put(sum, at, value, narrow_sum);
        }
}

/* sum = x + dropout(added), float32.
   `size`: numbers of a sample; `keys`: of each sample, NULL for no dropout; `least`: of the hash's
   31 bits where an element is kept; `x` may be NULL. */
EXPORT void add_dropped(int samples, int size, const float *x, const void *added,
                        const uint32_t *keys, uint32_t least, float scale, float *sum, int narrow) {
    IN_BOTH_FORMATS(residual(samples, size, x, added, keys, least, scale, sum, 1, 0),
                    residual(samples, size, x, added, keys, least, scale, sum, 0, 0));
}

/* The gradient of `added`, of that of the sum. */
EXPORT void add_dropped_backward(int samples, int size, const float *d_sum,
                                 const uint32_t *keys, uint32_t least, float scale, void *d_added,
                                 int narrow) {
    IN_BOTH_FORMATS(residual(samples, size, NULL, d_sum, keys, least, scale, d_added, 0, 1),
                    residual(samples, size, NULL, d_sum, keys, least, scale, d_added, 0, 0));
}

/* --- RMSNorm ----------------------------------------------------------------------------------- */

INLINE void norm_rows(int rows, int width, const float *x, const float *weight, float epsilon,
                      void *y, const int narrow) {
    for (int row = 0; row < rows; row++) {
        const float *from = x + (size_t)row * width;
        float inverse = 1.0f / sqrtf(sum_of_squares(from, width) / width + epsilon);
        for (int i = 0; i < width; i += LANES)
            put(y, (size_t)row * width + i, load(from + i) * inverse * load(weight + i), narrow);
    }
}

/* y = weight · x / √(mean x² + ε) */
EXPORT void norm(int rows, int width, const float *x, const float *weight, float epsilon, void *y,
                 int narrow) {
    IN_BOTH_FORMATS(norm_rows(rows, width, x, weight, epsilon, y, 1),
                    norm_rows(rows, width, x, weight, epsilon, y, 0));
}

INLINE void norm_rows_backward(int rows, int width, const float *x, const float *weight,
                               float epsilon, const void *dy, float *dx, float *d_weight,
                               const int narrow) {
    for (int row = 0; row < rows; row++) {
        const size_t first = (size_t)row * width;
        const float *from = x + first;
        float inverse = 1.0f / sqrtf(sum_of_squares(from, width) / width + epsilon);
        Vector along = all(0);
        for (int i = 0; i < width; i += LANES) {
            Vector product = get(dy, first + i, narrow) * load(from + i);
            along += product * load(weight + i);
            store(d_weight + i, load(d_weight + i) + product * inverse);
        }
        float share = added_up(along) * inverse * inverse / width;
        for (int i = 0; i < width; i += LANES) {
            Vector gradient = get(dy, first + i, narrow) * load(weight + i);
            store(dx + first + i, (gradient - load(from + i) * share) * inverse);
        }
    }
}

/* Its gradients; that of the weight is added to `d_weight`. */
EXPORT void norm_backward(int rows, int width, const float *x, const float *weight, float epsilon,
                          const void *dy, float *dx, float *d_weight, int narrow) {
    IN_BOTH_FORMATS(norm_rows_backward(rows, width, x, weight, epsilon, dy, dx, d_weight, 1),
                    norm_rows_backward(rows, width, x, weight, epsilon, dy, dx, d_weight, 0));
}

/* --- the gated feed-forward layer -------------------------------------------------------------- */

INLINE void gate_rows(int rows, int inner, const void *both, void *y, const int narrow) {
    for (size_t row = 0; row < (size_t)rows; row++)
        for (int i = 0; i < inner; i += LANES) {
            Vector gate = get(both, 2 * row * inner + i, narrow);
            Vector up = get(both, (2 * row + 1) * inner + i, narrow);
            put(y, row * inner + i, gate * sigmoid(gate) * up, narrow);
        }
}

/* y = silu(gate) · up, where a row of `both` is the gates, then as many that they let through. */
EXPORT void gated(int rows, int inner, const void *both, void *y, int narrow) {
    IN_BOTH_FORMATS(gate_rows(rows, inner, both, y, 1), gate_rows(rows, inner, both, y, 0));
}

INLINE void gate_rows_backward(int rows, int inner, const void *both, const void *dy, void *d_both,
                               const int narrow) {
    for (size_t row = 0; row < (size_t)rows; row++)
        for (int i = 0; i < inner; i += LANES) {
            size_t left = 2 * row * inner + i, right = left + inner;
            Vector gate = get(both, left, narrow), up = get(both, right, narrow);
            Vector gradient = get(dy, row * inner + i, narrow);
            Vector open = sigmoid(gate), through = gate * open;
            put(d_both, left, gradient * up * (open + through * (1.0f - open)), narrow);
            put(d_both, right, gradient * through, narrow);
        }
}

EXPORT void gated_backward(int rows, int inner, const void *both, const void *dy, void *d_both,
                           int narrow) {
    IN_BOTH_FORMATS(gate_rows_backward(rows, inner, both, dy, d_both, 1),
                    gate_rows_backward(rows, inner, both, dy, d_both, 0));
}

/* --- queries, keys and values ------------------------------------------------------------------ */

typedef struct {
    int32_t samples, time, heads;
    int32_t size; /* of a head, a multiple of 32 */
    float epsilon;
    const float *query_weight, *key_weight; /* of the norms, `size` each */
    const float *cos, *sin; /* [time][size]; halves are equal */
} Heads;

/* Where a head's row begins, in [sample][head][time][size]. */
INLINE size_t place(const Heads *h, int sample, int head, int t) {
    return (((size_t)sample * h->heads + head) * h->time + t) * h->size;
}

INLINE float inverse_length(const void *x, size_t at, int size, float epsilon, const int narrow) {
    Vector squares = all(0);
    for (int i = 0; i < size; i += LANES) {
        Vector values = get(x, at + i, narrow);
        squares += values * values;
    }
    return 1.0f / sqrtf(added_up(squares) / size + epsilon);
}

INLINE void turn(const Heads *h, const void *from, size_t at, const float *weight, int t, void *to,
                 size_t there, const int narrow) {
    const int half = h->size / 2;
    const float *cos = h->cos + t * h->size, *sin = h->sin + t * h->size;
    float inverse = inverse_length(from, at, h->size, h->epsilon, narrow);
    for (int i = 0; i < half; i += LANES) {
        Vector left = get(from, at + i, narrow) * inverse * load(weight + i);
        Vector right = get(from, at + half + i, narrow) * inverse * load(weight + half + i);
        put(to, there + i, left * load(cos + i) - right * load(sin + i), narrow);
        put(to, there + half + i, right * load(cos + i) + left * load(sin + i), narrow);
    }
}

INLINE void turn_backward(const Heads *h, const void *from, size_t at, const float *weight, int t,
                          const void *d_to, size_t there, void *d_from, float *d_weight,
                          const int narrow) {
    const int size = h->size, half = size / 2;
    const float *cos = h->cos + t * size, *sin = h->sin + t * size;
    float inverse = inverse_length(from, at, size, h->epsilon, narrow);
    float turned[128];
    Vector along = all(0);
    for (int i = 0; i < half; i += LANES) {
        Vector left = get(d_to, there + i, narrow), right = get(d_to, there + half + i, narrow);
        store(turned + i, left * load(cos + i) + right * load(sin + i));
        store(turned + half + i, right * load(cos + i) - left * load(sin + i));
    }
    for (int i = 0; i < size; i += LANES) {
        Vector product = load(turned + i) * get(from, at + i, narrow);
        along += product * load(weight + i);
        store(d_weight + i, load(d_weight + i) + product * inverse);
    }
    float share = added_up(along) * inverse * inverse / size;
    for (int i = 0; i < size; i += LANES) {
        Vector gradient = load(turned + i) * load(weight + i);
        put(d_from, at + i, (gradient - get(from, at + i, narrow) * share) * inverse, narrow);
    }
}

INLINE void copy_head(const void *from, size_t at, int size, void *to, size_t there,
                      const int narrow) {
    for (int i = 0; i < size; i += LANES) put(to, there + i, get(from, at + i, narrow), narrow);
}

INLINE void split(const Heads *h, const void *qkv, void *q, void *k, void *v, const int narrow) {
    const size_t width = (size_t)h->heads * h->size;
    for (int sample = 0; sample < h->samples; sample++)
        for (int t = 0; t < h->time; t++)
            for (int head = 0; head < h->heads; head++) {
                size_t at = ((size_t)sample * h->time + t) * 3 * width + (size_t)head * h->size;
                size_t there = place(h, sample, head, t);
                turn(h, qkv, at, h->query_weight, t, q, there, narrow);
                turn(h, qkv, at + width, h->key_weight, t, k, there, narrow);
                copy_head(qkv, at + 2 * width, h->size, v, there, narrow);
            }
}

/* Queries, keys and values of all heads, [sample][head][time][size] each, of the product that has
   them in a row for each position; queries and keys normalised and turned by their positions. */
EXPORT void split_heads(const Heads *h, const void *qkv, void *q, void *k, void *v, int narrow) {
    IN_BOTH_FORMATS(split(h, qkv, q, k, v, 1), split(h, qkv, q, k, v, 0));
}

INLINE void split_backward(const Heads *h, const void *qkv, const void *dq, const void *dk,
                           const void *dv, void *d_qkv, float *d_query_weight, float *d_key_weight,
                           const int narrow) {
    const size_t width = (size_t)h->heads * h->size;
    for (int sample = 0; sample < h->samples; sample++)
        for (int t = 0; t < h->time; t++)
            for (int head = 0; head < h->heads; head++) {
                size_t at = ((size_t)sample * h->time + t) * 3 * width + (size_t)head * h->size;
                size_t there = place(h, sample, head, t);
                turn_backward(h, qkv, at, h->query_weight, t, dq, there, d_qkv, d_query_weight,
                              narrow);
                turn_backward(h, qkv, at + width, h->key_weight, t, dk, there, d_qkv, d_key_weight,
                              narrow);
                copy_head(dv, there, h->size, d_qkv, at + 2 * width, narrow);
            }
}

/* Their gradients; those of the norms' weights are added. */
EXPORT void split_heads_backward(const Heads *h, const void *qkv, const void *dq, const void *dk,
                                 const void *dv, void *d_qkv, float *d_query_weight,
                                 float *d_key_weight, int narrow) {
    IN_BOTH_FORMATS(
        split_backward(h, qkv, dq, dk, dv, d_qkv, d_query_weight, d_key_weight, 1),
        split_backward(h, qkv, dq, dk, dv, d_qkv, d_query_weight, d_key_weight, 0));
}

/* --- attention --------------------------------------------------------------------------------- */

/* x, where it is at most `last`; else `otherwise`. */
INLINE Vector up_to(int first, int last, Vector x, float otherwise) {
    Integers lanes;
    for (int lane = 0; lane < LANES; lane++) lanes[lane] = lane;
    return choose(lanes + first <= last, x, all(otherwise));
}

INLINE void attention_rows(int heads, int time, float scale, void *scores, const int narrow) {
    for (size_t row = 0; row < (size_t)heads * time; row++) {
        const int t = row % time;
        const size_t first = row * time;
        Vector most = all(-INFINITY);
        for (int i = 0; i <= t; i += LANES)
            most = larger(up_to(i, t, get(scores, first + i, narrow), -INFINITY), most);
        const float top = largest(most);
        float values[1024];
        Vector sums = all(0);
        for (int i = 0; i <= t; i += LANES) {
            Vector score = (get(scores, first + i, narrow) - top) * scale;
            Vector value = exponential(up_to(i, t, score, -1000.0f));
            store(values + i, value);
            sums += value;
        }
        const float inverse = 1.0f / added_up(sums);
        int i = 0;
        for (; i <= t; i += LANES) put(scores, first + i, load(values + i) * inverse, narrow);
        for (; i < time; i += LANES) put(scores, first + i, all(0), narrow);
    }
}

/* Scores become weights, in place: the softmax of scale · score over the positions so far.
   `scores` is [head][time][time]; `time` a multiple of 16, at most 1024. */
EXPORT void attention_weights(int heads, int time, float scale, void *scores, int narrow) {
    IN_BOTH_FORMATS(attention_rows(heads, time, scale, scores, 1),
                    attention_rows(heads, time, scale, scores, 0));
}

INLINE void attention_rows_backward(int heads, int time, float scale, const void *weights,
                                    void *gradients, const int narrow) {
    for (size_t row = 0; row < (size_t)heads * time; row++) {
        const int t = row % time;
        const size_t first = row * time;
        Vector sums = all(0);
        for (int i = 0; i <= t; i += LANES)
            sums += get(weights, first + i, narrow) * get(gradients, first + i, narrow);
        const float along = added_up(sums);
        int i = 0;
        for (; i <= t; i += LANES) {
            Vector gradient = get(gradients, first + i, narrow) - along;
            put(gradients, first + i, get(weights, first + i, narrow) * gradient * scale, narrow);
        }
        for (; i < time; i += LANES) put(gradients, first + i, all(0), narrow);
    }
}

/* Gradients of the weights become those of the scores, in place. */
EXPORT void attention_weights_backward(int heads, int time, float scale, const void *weights,
                                       void *gradients, int narrow) {
    IN_BOTH_FORMATS(attention_rows_backward(heads, time, scale, weights, gradients, 1),
                    attention_rows_backward(heads, time, scale, weights, gradients, 0));
}
