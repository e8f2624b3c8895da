/* `transformer`, the shape of GPT2LMHeadModel: read it beside textwright/models/transformer.py.

   Matrices are as in the file. */

#include "attention.h"

enum Activation { RELU, GELU, GELU_ERF };

typedef struct {
    const float *scale, *shift;
} Norm;

typedef struct {
    Norm norm, inner_norm; /* before attention, and before the feed-forward layer */
    Matrix qkv, out, inner, outer;
} Layer;

typedef struct {
    Shape shape;
    int32_t vocab_size, width;
    int32_t inner; /* a multiple of 16 */
    int32_t widest; /* the most outputs that a matrix has */
    int32_t activation; /* an Activation */
    float epsilon;
    const float *embedding;
    const float *positions; /* [block_size][width] */
    const Layer *layers;
    Norm norm;
    Matrix head;
} Transformer;

/* A LayerNorm: `x` with mean 0 and variance 1, then its scale and shift. */
static void normalise(const float *x, int width, float epsilon, Norm norm, float *y) {
    const float mean = sum_of(x, width) / (float)width;
    for (int i = 0; i < width; i += LANES) store(y + i, load(x + i) - mean);
    const float deviation = sqrtf(sum_of_squares(y, width) / (float)width + epsilon);
    for (int i = 0; i < width; i += LANES)
        store(y + i, load(y + i) / deviation * load(norm.scale + i) + load(norm.shift + i));
}

/* All heads of one position: remember its keys and values, then look back. */
static void self_attention(const Transformer *model, int number, float *qkv, int position,
                           float *cache, float *scores, float *mixed) {
    const Shape shape = model->shape;
    const int size = shape.head_size, width = model->width;
    const float scale = 1 / sqrtf((float)size);
    for (int head = 0; head < shape.heads; head++) {
        float *query = qkv + head * size, *key = query + width, *value = key + width;
        for (int i = 0; i < size; i++) query[i] *= scale;
        float *keys = keys_of(cache, shape, number, head);
        float *values = values_of(cache, shape, number, head);
        remember(keys, values, position, size, key, value);
        attend(query, keys, values, position + 1, size, scores, mixed + head * size);
    }
}

/* GPT-2's tanh form of GELU: x · σ(2 √(2/π) (x + 0.044715 x³)). */
INLINE Vector gelu(Vector x) {
    return x * sigmoid(1.59576912f * (x + 0.044715f * x * x * x));
}

/* The exact form, x · Φ(x): erf as in textwright/runtimes/transformer.py. */
INLINE Vector gelu_erf(Vector x) {
    Integers negative = x < 0.0f;
    Vector z = 0.707106781f * choose(negative, -x, x);
    Vector t = 1.0f / (1.0f + 0.3275911f * z);
    Vector series = all(1.061405429f);
    series = series * t - 1.453152027f;
    series = series * t + 1.421413741f;
    series = series * t - 0.284496736f;
    series = series * t + 0.254829592f;
    Vector tail = 0.5f * series * t * exponential(-z * z);
    return x * choose(negative, tail, 1.0f - tail);
}

static void activate(const float *x, int width, enum Activation activation, float *y) {
    for (int i = 0; i < width; i += LANES) {
        Vector in = load(x + i);
        if (activation == RELU) store(y + i, larger(in, all(0)));
        else store(y + i, activation == GELU ? gelu(in) : gelu_erf(in));
    }
}

/* Read `count` tokens, ROWS at most; logits after those that are wanted, one after another. Returns
   where the next ones go. */
static float *read_rows(const Transformer *model, const Row *rows, int count, const Scratch *at,
                        float *logits) {
    const int width = model->width, inner = model->inner;
    for (int row = 0; row < count; row++) {
        float *x = at->x + (size_t)row * width;
        memcpy(x, model->embedding + (size_t)rows[row].token * width, sizeof(float) * (size_t)width);
        add_rows(x, width, model->positions + (size_t)rows[row].position * width, width, 1);
    }
    for (int number = 0; number < model->shape.layers; number++) {
        const Layer *layer = model->layers + number;
        for (int row = 0; row < count; row++)
            normalise(at->x + row * width, width, model->epsilon, layer->norm,
                      at->normal + row * width);
        product(&layer->qkv, at->normal, count, at->wide, at->rounded);
        for (int row = 0; row < count; row++)
            self_attention(model, number, at->wide + (size_t)row * layer->qkv.outputs,
                           rows[row].position, rows[row].cache, at->scores,
                           at->normal + row * width);
        product(&layer->out, at->normal, count, at->wide, at->rounded);
        add_rows(at->x, width, at->wide, layer->out.outputs, count);
        for (int row = 0; row < count; row++)
            normalise(at->x + row * width, width, model->epsilon, layer->inner_norm,
                      at->normal + row * width);
        product(&layer->inner, at->normal, count, at->wide, at->rounded);
        for (int row = 0; row < count; row++)
            activate(at->wide + (size_t)row * layer->inner.outputs, inner, model->activation,
                     at->gated + (size_t)row * inner);
        product(&layer->outer, at->gated, count, at->wide, at->rounded);
        add_rows(at->x, width, at->wide, layer->outer.outputs, count);
    }
    int wanted = 0;
    for (int row = 0; row < count; row++)
        if (rows[row].wanted)
            normalise(at->x + row * width, width, model->epsilon, model->norm,
                      at->normal + wanted++ * width);
    return put_logits(&model->head, model->vocab_size, at, wanted, logits);
}

/* As `gpt_read`. */
EXPORT int transformer_read(const Transformer *model, const Batch *batch, int wanted, float *logits) {
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
