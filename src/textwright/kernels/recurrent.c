/* `lstm`, `gru` and `rnn`: read it beside textwright/models/recurrent.py.

   Widths are padded to multiples of 16 with units that stay 0. A state holds, layer after layer,
   the layer's h and, for an LSTM, its c. */

#include "products.h"

enum { LSTM, GRU, RNN };

typedef struct {
    int32_t width;
    Matrix from_input, from_state; /* inputs → gates × width, width → gates × width */
} Layer;

typedef struct {
    int32_t kind, layers, vocab_size;
    int32_t embedding_width; /* floats a token has in `embedding` */
    int32_t is_table; /* the embedding is the first layer's product of it already */
    int32_t widest; /* the widest vector between products, and … */
    int32_t most_outputs; /* the most outputs that a matrix has */
    const float *embedding;
    const Layer *layer;
    Matrix output;
} Recurrent;

/* Where a call keeps what it computes, of ROWS rows at most. */
typedef struct {
    float *x, *gates, *states, *from_states;
    uint8_t *rounded;
} Scratch;

static int reserve(Scratch *at, size_t rows, size_t widest, size_t most_outputs) {
    at->x = malloc(rows * (2 * (widest + most_outputs) * sizeof(float) + widest));
    if (!at->x) return 0;
    at->gates = at->x + rows * widest;
    at->states = at->gates + rows * most_outputs;
    at->from_states = at->states + rows * widest;
    at->rounded = (uint8_t *)(at->from_states + rows * most_outputs);
    return 1;
}

/* `y` = `x` · weights + bias of a matrix in float32, for as many rows as there are: what the first
   layer makes of each token's embedding, whatever the products after it are held in. */
EXPORT void recurrent_table(const Matrix *matrix, const float *x, int rows, float *y) {
    const int inputs = matrix->inputs, outputs = matrix->outputs;
    for (int lane = 0; lane < outputs; lane += TILE)
        any_tile(x, inputs, matrix->weights + (size_t)lane * inputs, ROUNDED, inputs, rows, y + lane,
                 outputs);
    for (int row = 0; row < rows; row++, y += outputs)
        for (int i = 0; i < outputs; i++) y[i] += matrix->bias[i];
}

/* --- the layers: `z` from the input, `u` from the state, each gates × width ------------------- */

/* Gates i, f, g, o: Hochreiter and Schmidhuber (1997), with the forget gate of Gers et al. (2000). */
static void lstm(const float *z, const float *u, int width, float *h, float *c) {
    for (int i = 0; i < width; i += LANES) {
        Vector in = sigmoid(load(z + i) + load(u + i));
        Vector forget = sigmoid(load(z + width + i) + load(u + width + i));
        Vector new = hyperbolic_tangent(load(z + 2 * width + i) + load(u + 2 * width + i));
        Vector out = sigmoid(load(z + 3 * width + i) + load(u + 3 * width + i));
        Vector cell = forget * load(c + i) + in * new;
        store(c + i, cell);
        store(h + i, out * hyperbolic_tangent(cell));
    }
}

/* Gates r, z, n: Cho et al. (2014), with the reset gate after the product, as torch has it. */
static void gru(const float *z, const float *u, int width, float *h) {
    for (int i = 0; i < width; i += LANES) {
        Vector reset = sigmoid(load(z + i) + load(u + i));
        Vector keep = sigmoid(load(z + width + i) + load(u + width + i));
        Vector new = hyperbolic_tangent(load(z + 2 * width + i) + reset * load(u + 2 * width + i));
        store(h + i, new + keep * (load(h + i) - new));
    }
}

/* Elman (1990). */
static void rnn(const float *z, const float *u, int width, float *h) {
    for (int i = 0; i < width; i += LANES)
        store(h + i, hyperbolic_tangent(load(z + i) + load(u + i)));
}

/* --- texts -------------------------------------------------------------------------------------- */

/* Take the layer through the next tokens of each text: `steps[t]` of them, whose rows of `gates` are
   one text's after another's. What comes out goes to `x`. */
static void walk(const Recurrent *model, const Layer *layer, Batch batch, const int32_t *steps,
                 int longest, size_t offset, const Scratch *at) {
    const int width = layer->width, outputs = layer->from_state.outputs;
    for (int step = 0; step < longest; step++) {
        int active = 0;
        for (int text = 0; text < batch.count; text++)
            if (steps[text] > step)
                memcpy(at->states + (size_t)active++ * width, batch.states[text] + offset,
                       sizeof(float) * (size_t)width);
        product(&layer->from_state, at->states, active, at->from_states, at->rounded);
        const float *u = at->from_states;
        for (int text = 0, row = step; text < batch.count; row += steps[text++]) {
            if (steps[text] <= step) continue;
            const float *z = at->gates + (size_t)row * outputs;
            float *h = batch.states[text] + offset;
            if (model->kind == LSTM) lstm(z, u, width, h, h + width);
            else if (model->kind == GRU) gru(z, u, width, h);
            else rnn(z, u, width, h);
            memcpy(at->x + (size_t)row * width, h, sizeof(float) * (size_t)width);
            u += outputs;
        }
    }
}

/* The first layer's inputs: embeddings in `x`, or what the layer makes of them in `gates`. */
static void embed(const Recurrent *model, Batch batch, const int32_t *done, const int32_t *steps,
                  const Scratch *at) {
    const size_t width = (size_t)model->embedding_width;
    float *to = model->is_table ? at->gates : at->x;
    for (int text = 0; text < batch.count; text++)
        for (int step = 0; step < steps[text]; step++, to += width)
            memcpy(to, model->embedding + (size_t)batch.tokens[text][done[text] + step] * width,
                   sizeof(float) * width);
}

/* Take every text of a group further by `steps` tokens, `rows` in all. */
static void read_some(const Recurrent *model, Batch batch, const int32_t *done,
                      const int32_t *steps, int rows, const Scratch *at) {
    int longest = 0;
    for (int text = 0; text < batch.count; text++)
        longest = steps[text] > longest ? steps[text] : longest;
    embed(model, batch, done, steps, at);
    size_t offset = 0;
    for (int number = 0; number < model->layers; number++) {
        const Layer *layer = model->layer + number;
        if (number || !model->is_table)
            product(&layer->from_input, at->x, rows, at->gates, at->rounded);
        walk(model, layer, batch, steps, longest, offset, at);
        offset += (size_t)layer->width * (model->kind == LSTM ? 2 : 1);
    }
}

/* Logits of `count` vectors in `x`, to `logits`. */
static void put_logits(const Recurrent *model, int count, const Scratch *at, float *logits) {
    product(&model->output, at->x, count, at->gates, at->rounded);
    for (int row = 0; row < count; row++)
        memcpy(logits + (size_t)row * model->vocab_size,
               at->gates + (size_t)row * model->output.outputs,
               sizeof(float) * (size_t)model->vocab_size);
}

/* Read a group of ROWS texts at most to their ends. Logits after the last token of each, or, of one
   text alone, after every one. */
static void read_group(const Recurrent *model, Batch batch, int wanted, const Scratch *at,
                       float *logits) {
    int32_t done[ROWS] = {0}, steps[ROWS];
    for (;;) {
        int rows = 0;
        for (int text = 0; text < batch.count; text++) {
            int left = batch.lengths[text] - done[text], room = ROWS / batch.count;
            steps[text] = left < room ? left : room;
            rows += steps[text];
        }
        if (!rows) break;
        read_some(model, batch, done, steps, rows, at);
        for (int text = 0; text < batch.count; text++) done[text] += steps[text];
        if (wanted == ALL_LOGITS) {
            put_logits(model, rows, at, logits);
            logits += (size_t)rows * model->vocab_size;
        }
    }
    if (wanted != LAST_LOGITS) return;
    size_t offset = 0; /* of the top layer's h, which is what came out last */
    for (int number = 0; number < model->layers - 1; number++)
        offset += (size_t)model->layer[number].width * (model->kind == LSTM ? 2 : 1);
    const size_t width = (size_t)model->layer[model->layers - 1].width;
    for (int text = 0; text < batch.count; text++)
        memcpy(at->x + text * width, batch.states[text] + offset, sizeof(float) * width);
    put_logits(model, batch.count, at, logits);
}

/* Read pieces of several texts; the logits that are wanted of them (all only of one text alone).

   Returns 0; 1 where a token is out of range, and 2 where there is no memory, before anything is
   changed. */
EXPORT int recurrent_read(const Recurrent *model, const Batch *batch, int wanted, float *logits) {
    int rows = 0;
    for (int text = 0; text < batch->count; text++) {
        if (batch->lengths[text] < 1 || (wanted == ALL_LOGITS && text)) return 1;
        for (int i = 0; i < batch->lengths[text]; i++)
            if (batch->tokens[text][i] < 0 || batch->tokens[text][i] >= model->vocab_size) return 1;
        rows = smaller(ROWS, rows + smaller(ROWS, batch->lengths[text]));
    }
    Scratch at;
    if (!reserve(&at, (size_t)rows, (size_t)model->widest, (size_t)model->most_outputs)) return 2;
    for (int begin = 0; begin < batch->count; begin += ROWS) {
        Batch group = {.count = smaller(batch->count - begin, ROWS),
                       .lengths = batch->lengths + begin,
                       .tokens = batch->tokens + begin,
                       .states = batch->states + begin};
        read_group(model, group, wanted, &at, logits + (size_t)begin * (size_t)model->vocab_size);
    }
    free(at.x);
    return 0;
}
