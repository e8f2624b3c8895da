/* `gpt`, the shape of Qwen3ForCausalLM: read it beside textwright/models/gpt.py.

   The weights of a norm have its √width in them, the rotary tables those of the query and key
   norms and the attention's 1/√head_size. Matrices are as in the file. */

#include "attention.h"

typedef struct {
    const float *norm, *inner_norm; /* before attention, and before the feed-forward layer */
    Matrix qkv, out, gate_up, down;
    const float *cos; /* [position][queries, keys][head_size]: of a value's own half … */
    const float *sin; /* … and of the same place in the other half */
} Layer;

typedef struct {
    Shape shape;
    int32_t vocab_size, width;
    int32_t inner; /* a multiple of 16 */
    int32_t widest; /* the most outputs that a matrix has */
    float epsilon, head_epsilon;
    const float *embedding;
    const Layer *layers;
    const float *norm;
    Matrix head;
} GPT;

/* `x` divided by its length: an RMSNorm without its √width and weights. */
static void unit(const float *x, int width, float epsilon, float *y) {
    float length = sqrtf(sum_of_squares(x, width) + epsilon);
    for (int i = 0; i < width; i += LANES) store(y + i, load(x + i) / length);
}

/* Normalise a head's query or key and turn it by its position's angles. */
static void rotate(float *head, int size, float epsilon, const float *cos, const float *sin) {
    float normal[128];
    unit(head, size, epsilon, normal);
    const int half = size / 2;
    for (int i = 0; i < half; i += LANES) {
        Vector left = load(normal + i), right = load(normal + half + i);
        store(head + i, left * load(cos + i) + right * load(sin + i));
        store(head + half + i, right * load(cos + half + i) + left * load(sin + half + i));
    }
}

/* An RMSNorm, whose weights have the √width. */
static void normalise(const float *x, int width, float epsilon, const float *weights, float *y) {
    unit(x, width, epsilon, y);
    for (int i = 0; i < width; i += LANES) store(y + i, load(y + i) * load(weights + i));
}

/* All heads of one position: remember its keys and values, then look back. */
static void self_attention(const GPT *model, const Layer *layer, int number, float *qkv,
                           int position, float *cache, float *scores, float *mixed) {
    const Shape shape = model->shape;
    const int size = shape.head_size, width = model->width;
    const float *cos = layer->cos + (size_t)position * 2 * size;
    const float *sin = layer->sin + (size_t)position * 2 * size;
    for (int head = 0; head < shape.heads; head++) {
        float *query = qkv + head * size, *key = query + width, *value = key + width;
        float *keys = keys_of(cache, shape, number, head);
        float *values = values_of(cache, shape, number, head);
        rotate(query, size, model->head_epsilon, cos, sin);
        rotate(key, size, model->head_epsilon, cos + size, sin + size);
        remember(keys, values, position, size, key, value);
        attend(query, keys, values, position + 1, size, scores, mixed + head * size);
    }
}

/* silu(gate) · up */
static void swiglu(const float *gate, const float *up, int inner, float *y) {
    for (int i = 0; i < inner; i += LANES)
        store(y + i, load(gate + i) * sigmoid(load(gate + i)) * load(up + i));
}

/* Read `count` tokens, ROWS at most; logits after those that are wanted, one after another. Returns
   where the next ones go. */
static float *read_rows(const GPT *model, const Row *rows, int count, const Scratch *at,
                        float *logits) {
    const int width = model->width, inner = model->inner;
    for (int row = 0; row < count; row++)
        memcpy(at->x + (size_t)row * width, model->embedding + (size_t)rows[row].token * width,
               sizeof(float) * (size_t)width);
    for (int number = 0; number < model->shape.layers; number++) {
        const Layer *layer = model->layers + number;
        for (int row = 0; row < count; row++)
            normalise(at->x + row * width, width, model->epsilon, layer->norm,
                      at->normal + row * width);
        product(&layer->qkv, at->normal, count, at->wide, at->rounded);
        for (int row = 0; row < count; row++)
            self_attention(model, layer, number, at->wide + (size_t)row * layer->qkv.outputs,
                           rows[row].position, rows[row].cache, at->scores,
                           at->normal + row * width);
        product(&layer->out, at->normal, count, at->wide, at->rounded);
        add_rows(at->x, width, at->wide, layer->out.outputs, count);
        for (int row = 0; row < count; row++)
            normalise(at->x + row * width, width, model->epsilon, layer->inner_norm,
                      at->normal + row * width);
        product(&layer->gate_up, at->normal, count, at->wide, at->rounded);
        for (int row = 0; row < count; row++) {
            const float *gate = at->wide + (size_t)row * layer->gate_up.outputs;
            swiglu(gate, gate + inner, inner, at->gated + (size_t)row * inner);
        }
        product(&layer->down, at->gated, count, at->wide, at->rounded);
        add_rows(at->x, width, at->wide, layer->down.outputs, count);
    }
    int wanted = 0;
    for (int row = 0; row < count; row++)
        if (rows[row].wanted)
            normalise(at->x + row * width, width, model->epsilon, model->norm,
                      at->normal + wanted++ * width);
    return put_logits(&model->head, model->vocab_size, at, wanted, logits);
}

/* Read pieces of several texts; the logits that are wanted of them, one after another.

   Returns 0; 1 where a token or a position is out of range, and 2 where there is no memory, before
   anything is changed. */
EXPORT int gpt_read(const GPT *model, const Batch *batch, int wanted, float *logits) {
    const int count = count_rows(batch, model->vocab_size, model->shape);
    Scratch at;
    if (count < 0) return 1;
    if (!reserve(&at, count, model->width, model->inner, model->widest, model->shape.block_size))
        return 2;
    Place place = {0, 0};
    Row rows[ROWS];
    for (int some; (some = next_rows(batch, wanted, &place, rows));)
        logits = read_rows(model, rows, some, &at, logits);
    free(at.x);
    return 0;
}
