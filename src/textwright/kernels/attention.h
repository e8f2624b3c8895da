/* What attention families share: the cache of keys and values, and attention itself.

   A cache holds, for every layer and head, the keys in tiles of 64 positions, so that the scores
   of 64 are summed side by side, and the values position after position. */

#pragma once

#include "products.h"

typedef struct {
    int32_t layers, heads, head_size, block_size; /* head_size: 32, 64 or 128 */
} Shape;

/* A token to read. */
typedef struct {
    int64_t token;
    int32_t position; /* in its window, whose keys and values are in … */
    float *cache;
    int wanted; /* its logits */
} Row;

/* Where a call keeps what it computes of some rows. */
typedef struct {
    float *x; /* the stream of vectors, (rows, width) */
    float *normal; /* the same, normalised; then what attention gathers */
    float *wide; /* what a product gives */
    float *gated; /* the inner vectors of the feed-forward layer, (rows, inner) */
    float *scores; /* of one query and a whole block of keys */
    uint8_t *rounded; /* the inputs of a product in int8 */
} Scratch;

INLINE int tiles(int positions) { return (positions + TILE - 1) / TILE; }

/* Floats that the keys of a head take in a cache, and as many its values. */
INLINE size_t head_room(Shape shape) {
    return (size_t)tiles(shape.block_size) * TILE * shape.head_size;
}

INLINE float *keys_of(float *cache, Shape shape, int layer, int head) {
    return cache + (size_t)(layer * shape.heads + head) * 2 * head_room(shape);
}

INLINE float *values_of(float *cache, Shape shape, int layer, int head) {
    return keys_of(cache, shape, layer, head) + head_room(shape);
}

static void remember(float *keys, float *values, int position, int size, const float *key,
                     const float *value) {
    float *lane = keys + (size_t)(position / TILE) * TILE * size + position % TILE;
    for (int i = 0; i < size; i++) lane[(size_t)i * TILE] = key[i];
    memcpy(values + (size_t)position * size, value, sizeof(float) * (size_t)size);
}

/* Scores to weights, not yet divided by their sum, which is returned (a softmax). */
static float weigh(float *scores, int seen) {
    int padded = (seen + 15) / 16 * 16;
    for (int i = seen; i < padded; i++) scores[i] = -INFINITY;
    Vector most = load(scores);
    for (int i = LANES; i < padded; i += LANES) most = larger(load(scores + i), most);
    Vector top = all(largest(most));
    for (int i = 0; i < padded; i += LANES) store(scores + i, exponential(load(scores + i) - top));
    return sum_of(scores, padded);
}

/* mixed = Σ weights[s] · values[s], in four sums that take turns, so that none waits for itself. */
static void mix(const float *weights, const float *values, int seen, int size, float divisor,
                float *mixed) {
    for (int lane = 0; lane < size; lane += 2 * LANES) {
        Vector sums[4][2] = {0};
        int s = 0;
        for (; s + 4 <= seen; s += 4)
            UNROLL for (int turn = 0; turn < 4; turn++)
                UNROLL for (int v = 0; v < 2; v++)
                    sums[turn][v] += weights[s + turn] *
                        load(values + (size_t)(s + turn) * size + lane + v * LANES);
        for (; s < seen; s++)
            UNROLL for (int v = 0; v < 2; v++)
                sums[0][v] += weights[s] * load(values + (size_t)s * size + lane + v * LANES);
        UNROLL for (int v = 0; v < 2; v++)
            store(mixed + lane + v * LANES,
                  ((sums[0][v] + sums[1][v]) + (sums[2][v] + sums[3][v])) / divisor);
    }
}

/* Attention of one head at one position over the first `seen` (Vaswani et al., 2017, 3.2.1); the
   query is divided by √head_size already. `scores` is scratch for a whole block. */
static void attend(const float *query, const float *keys, const float *values, int seen, int size,
                   float *scores, float *mixed) {
    for (int tile = 0; tile < tiles(seen); tile++)
        any_tile(query, size, keys + (size_t)tile * TILE * size, ROUNDED, size, 1,
                 scores + tile * TILE, TILE);
    float divisor = weigh(scores, seen);
    mix(scores, values, seen, size, divisor, mixed);
}

/* to[row] += from[row]; rows of `width` in one, of `stride` in the other. */
static void add_rows(float *to, int width, const float *from, int stride, int rows) {
    for (int row = 0; row < rows; row++)
        for (int i = 0; i < width; i++)
            to[(size_t)row * width + i] += from[(size_t)row * stride + i];
}

/* --- the rows of a call ---------------------------------------------------------------------- */

/* Where in a call's batch the next row is. */
typedef struct {
    int text, token;
} Place;

/* The next rows, ROWS at most; their number. */
static int next_rows(const Batch *batch, int logits, Place *place, Row *rows) {
    int count = 0;
    while (count < ROWS && place->text < batch->count) {
        const int text = place->text, length = batch->lengths[text];
        const int last = place->token == length - 1;
        rows[count++] = (Row){
            .token = batch->tokens[text][place->token],
            .position = batch->positions[text] + place->token,
            .cache = batch->states[text],
            .wanted = logits == ALL_LOGITS || (logits == LAST_LOGITS && last),
        };
        *place = last ? (Place){text + 1, 0} : (Place){text, place->token + 1};
    }
    return count;
}

/* How many rows there are in all; −1 where a token or a position is out of range. */
static int count_rows(const Batch *batch, int vocab_size, Shape shape) {
    int rows = 0;
    for (int text = 0; text < batch->count; text++) {
        const int length = batch->lengths[text], position = batch->positions[text];
        if (length < 1 || position < 0 || length > shape.block_size - position) return -1;
        for (int i = 0; i < length; i++)
            if (batch->tokens[text][i] < 0 || batch->tokens[text][i] >= vocab_size) return -1;
        rows += length;
    }
    return rows;
}

/* Memory for so many rows, all in one piece that begins at `x`; 0 where there is none. */
static int reserve(Scratch *at, int rows, int width, int inner, int widest, int block_size) {
    const size_t count = (size_t)smaller(rows, ROWS);
    const size_t scores = (size_t)tiles(block_size) * TILE;
    const size_t floats = count * (size_t)(2 * width + widest + inner) + scores;
    const size_t bytes = count * (size_t)(inner > width ? inner : width);
    at->x = malloc(floats * sizeof(float) + bytes);
    if (!at->x) return 0;
    at->normal = at->x + count * (size_t)width;
    at->wide = at->normal + count * (size_t)width;
    at->gated = at->wide + count * (size_t)widest;
    at->scores = at->gated + count * (size_t)inner;
    at->rounded = (uint8_t *)(at->scores + scores);
    return 1;
}

/* The logits of `count` vectors in `normal`; returns where the next ones go. */
static float *put_logits(const Matrix *head, int vocab_size, const Scratch *at, int count,
                         float *logits) {
    if (count) product(head, at->normal, count, at->wide, at->rounded);
    for (int row = 0; row < count; row++, logits += vocab_size)
        memcpy(logits, at->wide + (size_t)row * (size_t)head->outputs,
               sizeof(float) * (size_t)vocab_size);
    return logits;
}
