/* Matrix products: most of what generating a token is.

   Bit-identical results whatever is computed together: each output is summed over the inputs from
   first to last, in the same order, whether its row comes alone or with others. Speed comes from
   the many outputs that are summed side by side. So a matrix lies in memory in tiles of 64
   outputs: for each tile, input after input, the 64 weights that it meets there.

   In float16 weights alone are held in 16 bits, and widened on their way: the arithmetic is that
   of float32, and so are its bits where the weights are the same.

   In int8 a weight is a whole number of its output's scale, and a row of inputs is rounded, by
   itself, to whole numbers of its own scale: sums of whole numbers are exact in any order. There
   a tile holds, for each four inputs, four weights of each of its 64 outputs. */

#pragma once

#include "vectors.h"

#define TILE 64
#define ROWS 48 /* computed together at most; bounds the scratch memory of a call */
#define AT_ONCE 6 /* rows for which a loaded weight is used */
#define DEEP 256 /* inputs that are summed one after another; sums of so many are added up: rounding
                    adds up over their number */
#define AHEAD 8 /* inputs whose weights are fetched early: memory is what a product waits for */
#if LANES == 16 || defined(__aarch64__)
#define FEW 4 /* vectors of a tile side by side, for as many rows: 24 sums of 32 registers */
#else
#define FEW 2
#endif
#if LANES == 16
#define MANY 4 /* … and for one row, where more sums hide the time that each takes */
#else
#define MANY 8
#endif

enum { NO_LOGITS, LAST_LOGITS, ALL_LOGITS }; /* which tokens' logits a caller wants of each text */

/* Pieces of several texts, of one token at least each, that are read after what was before them. */
typedef struct {
    int32_t count;
    const int32_t *lengths;
    const int64_t *const *tokens;
    float *const *states;
    const int32_t *positions; /* attention: of each piece's first token in its window */
} Batch;

typedef struct {
    int32_t inputs; /* int8: a multiple of 16 */
    int32_t outputs; /* a multiple of TILE */
    const float *weights; /* float32: [outputs / TILE][inputs][TILE] */
    const uint16_t *halves; /* float16: the same; null in the others */
    const int8_t *quantised; /* int8: [outputs / TILE][inputs / 4][TILE][4]; null in the others */
    const float *scales; /* int8: of each output */
    const int32_t *sums; /* int8: of each output's weights */
    const float *bias; /* of each output, or null */
} Matrix;

INLINE int smaller(int a, int b) { return a < b ? a : b; }

/* --- float32 and float16 ----------------------------------------------------------------------- */

/* What a tile holds: float32, float16, or float32 whose products are rounded before they are added.
   The last is for what goes into products of int8, where rounding to whole numbers makes much of a
   last bit: it must not depend on whether a processor has `multiply_add`. */
enum Kind { FLOATS, HALVES, ROUNDED };

/* sums[row] = Σ x[row][i] · weights[i][lanes …] for `rows` rows and `count` vectors of a tile, from
   its output `lane` on. `kind`, `rows` and `count` are constants where this is called. */
INLINE void sum_up(const float *x, int x_stride, const void *weights, const enum Kind kind, int lane,
                   int inputs, const int rows, const int count, float *y, int y_stride) {
    const float *floats = (const float *)weights + lane;
    const uint16_t *halves = (const uint16_t *)weights + lane;
    Vector sums[AT_ONCE][MANY]; /* GCC keeps no array in registers whose size is a parameter */
    y += lane;
    for (int from = 0; from < inputs; from += DEEP) {
        const int to = smaller(from + DEEP, inputs);
        UNROLL for (int row = 0; row < rows; row++)
            UNROLL for (int v = 0; v < count; v++) sums[row][v] = all(0);
        for (int i = from; i < to; i++, floats += TILE, halves += TILE) {
            Vector loaded[MANY];
            if (kind == HALVES)
                UNROLL for (int v = 0; v < count * LANES; v += 32)
                    __builtin_prefetch(halves + 2 * AHEAD * TILE + v);
            else
                UNROLL for (int v = 0; v < count * LANES; v += 16)
                    __builtin_prefetch(floats + AHEAD * TILE + v);
            UNROLL for (int v = 0; v < count; v++)
                loaded[v] = kind == HALVES ? load_halves(halves + v * LANES)
                                           : load(floats + v * LANES);
            UNROLL for (int row = 0; row < rows; row++) {
                const Vector input = all(x[(size_t)row * x_stride + i]);
                UNROLL for (int v = 0; v < count; v++)
                    sums[row][v] = kind == ROUNDED ? sums[row][v] + input * loaded[v]
                                                   : multiply_add(input, loaded[v], sums[row][v]);
            }
        }
        UNROLL for (int row = 0; row < rows; row++)
            UNROLL for (int v = 0; v < count; v++) {
                float *there = y + (size_t)row * y_stride + v * LANES;
                store(there, from ? load(there) + sums[row][v] : sums[row][v]);
            }
    }
}

/* One tile for any number of rows. */
INLINE void any_tile(const float *x, int x_stride, const void *weights, const enum Kind kind,
                     int inputs, int rows, float *y, int y_stride) {
    int row = 0;
    for (; row + AT_ONCE <= rows; row += AT_ONCE)
        for (int lane = 0; lane < TILE; lane += FEW * LANES)
            sum_up(x + (size_t)row * x_stride, x_stride, weights, kind, lane, inputs, AT_ONCE, FEW,
                   y + (size_t)row * y_stride, y_stride);
    for (; row + 2 <= rows; row += 2)
        for (int lane = 0; lane < TILE; lane += FEW * LANES)
            sum_up(x + (size_t)row * x_stride, x_stride, weights, kind, lane, inputs, 2, FEW,
                   y + (size_t)row * y_stride, y_stride);
    for (; row < rows; row++)
        for (int lane = 0; lane < TILE; lane += MANY * LANES)
            sum_up(x + (size_t)row * x_stride, x_stride, weights, kind, lane, inputs, 1, MANY,
                   y + (size_t)row * y_stride, y_stride);
}

static void float_tile(const float *x, int x_stride, const float *weights, int inputs, int rows,
                       float *y, int y_stride) {
    any_tile(x, x_stride, weights, FLOATS, inputs, rows, y, y_stride);
}

static void half_tile(const float *x, int x_stride, const uint16_t *weights, int inputs, int rows,
                      float *y, int y_stride) {
    any_tile(x, x_stride, weights, HALVES, inputs, rows, y, y_stride);
}

/* --- int8 ------------------------------------------------------------------------------------ */

typedef int8_t Bytes __attribute__((vector_size(4 * LANES)));
typedef int16_t Shorts __attribute__((vector_size(4 * LANES)));
typedef int8_t BytesInMemory __attribute__((vector_size(4 * LANES), aligned(1), may_alias));

/* What is added to a rounded input: x86 multiplies unsigned bytes by signed ones. */
#if defined(__AVX512VNNI__) || defined(__AVXVNNI__)
#define SHIFT 128
#else
#define SHIFT 0
#endif

/* To each lane's sum, the products of its four inputs (the same for all) and its four weights. */
INLINE Integers add_products(Integers sum, int32_t inputs, Bytes weights) {
#if defined(__AVX512VNNI__) && LANES == 16
    return (Integers)_mm512_dpbusd_epi32((__m512i)sum, _mm512_set1_epi32(inputs), (__m512i)weights);
#elif defined(__AVXVNNI__) && LANES == 8
    return (Integers)_mm256_dpbusd_avx_epi32((__m256i)sum, _mm256_set1_epi32(inputs),
                                             (__m256i)weights);
#elif LANES == 8
    /* The sign goes from an input to its weight; sums of two in 16 bits, for 2 × 127² still fits. */
    const __m256i x = _mm256_set1_epi32(inputs);
    const __m256i both = _mm256_maddubs_epi16(_mm256_abs_epi8(x),
                                              _mm256_sign_epi8((__m256i)weights, x));
    return sum + (Integers)_mm256_madd_epi16(both, _mm256_set1_epi16(1));
#elif defined(__ARM_FEATURE_DOTPROD)
    return (Integers)vdotq_s32((int32x4_t)sum, (int8x16_t)weights,
                               vreinterpretq_s8_s32(vdupq_n_s32(inputs)));
#elif defined(__aarch64__)
    /* Products in 16 bits, and sums of two, for 2 × 127² still fits. */
    const int8x16_t x = vreinterpretq_s8_s32(vdupq_n_s32(inputs)), w = (int8x16_t)weights;
    const int16x8_t low = vmull_s8(vget_low_s8(x), vget_low_s8(w)), high = vmull_high_s8(x, w);
    return (Integers)vpadalq_s16((int32x4_t)sum, vpaddq_s16(low, high));
#else
    /* In halves of 16 bits, even bytes and odd ones: 2 × 127² still fits. */
    Shorts x = (Shorts)(inputs - (Integers){0}), w = (Shorts)weights;
    Shorts both = ((x << 8) >> 8) * ((w << 8) >> 8) + (x >> 8) * (w >> 8);
    return sum + (((Integers)both << 16) >> 16) + ((Integers)both >> 16);
#endif
}

INLINE void sum_up_bytes(const uint8_t *x, int x_stride, const int8_t *weights, int inputs,
                         const int rows, const int count, int32_t *y) {
    Integers sums[AT_ONCE][MANY];
    UNROLL for (int row = 0; row < rows; row++)
        UNROLL for (int v = 0; v < count; v++) sums[row][v] = (Integers){0};
    for (int i = 0; i < inputs; i += 4, weights += 4 * TILE) {
        Bytes loaded[MANY];
        UNROLL for (int v = 0; v < count * 4 * LANES; v += 64)
            __builtin_prefetch(weights + AHEAD * 4 * TILE + v);
        UNROLL for (int v = 0; v < count; v++)
            loaded[v] = *(const BytesInMemory *)(weights + v * 4 * LANES);
        UNROLL for (int row = 0; row < rows; row++) {
            int32_t four;
            memcpy(&four, x + (size_t)row * x_stride + i, 4);
            UNROLL for (int v = 0; v < count; v++)
                sums[row][v] = add_products(sums[row][v], four, loaded[v]);
        }
    }
    UNROLL for (int row = 0; row < rows; row++)
        UNROLL for (int v = 0; v < count; v++)
            memcpy(y + row * TILE + v * LANES, &sums[row][v], sizeof(Integers));
}

/* Round a row to whole numbers of its own scale, −127 to 127; returns the scale. */
static float quantise(const float *x, int inputs, uint8_t *rounded) {
    Vector sizes = all(0);
    for (int i = 0; i < inputs; i += LANES) sizes = larger(size(load(x + i)), sizes);
    const float most = largest(sizes);
    float inverse = most > 0 ? 127.0f / most : 0;
    for (int i = 0; i < inputs; i++)
        /* Adding and subtracting 1.5 × 2²³ rounds to the nearest whole number. */
        rounded[i] = (uint8_t)((int32_t)((x[i] * inverse + 12582912.0f) - 12582912.0f) + SHIFT);
    return most / 127.0f;
}

static void byte_tile(const uint8_t *x, const float *x_scales, const Matrix *matrix, int tile,
                      int rows, float *y, int y_stride) {
    const int8_t *weights = matrix->quantised + (size_t)tile * matrix->inputs * TILE;
    const float *scales = matrix->scales + tile * TILE;
    const int32_t *weight_sums = matrix->sums + tile * TILE;
    const int inputs = matrix->inputs;
    int32_t sums[AT_ONCE * TILE];
    for (int row = 0; row < rows;) {
        int some = rows - row >= AT_ONCE ? AT_ONCE : 1;
        const uint8_t *from = x + (size_t)row * inputs;
        if (some == AT_ONCE)
            for (int lane = 0; lane < TILE; lane += FEW * LANES)
                sum_up_bytes(from, inputs, weights + 4 * lane, inputs, AT_ONCE, FEW, sums + lane);
        else
            for (int lane = 0; lane < TILE; lane += MANY * LANES)
                sum_up_bytes(from, inputs, weights + 4 * lane, inputs, 1, MANY, sums + lane);
        for (int r = 0; r < some; r++, row++)
            for (int lane = 0; lane < TILE; lane++)
                y[(size_t)row * y_stride + lane] =
                    (float)(sums[r * TILE + lane] - SHIFT * weight_sums[lane]) *
                    (scales[lane] * x_scales[row]);
    }
}

/* --- all ------------------------------------------------------------------------------------- */

/* y = x · weights + bias for rows (rows, inputs) → (rows, outputs), each without gaps; at most ROWS.
   `rounded` is scratch of rows × inputs bytes, for int8. */
static void product(const Matrix *matrix, const float *x, int rows, float *y, uint8_t *rounded) {
    const int inputs = matrix->inputs, outputs = matrix->outputs;
    float scales[ROWS];
    if (matrix->quantised)
        for (int row = 0; row < rows; row++)
            scales[row] = quantise(x + (size_t)row * inputs, inputs, rounded + (size_t)row * inputs);
    for (int tile = 0; tile < outputs / TILE; tile++) {
        float *to = y + tile * TILE;
        if (matrix->quantised)
            byte_tile(rounded, scales, matrix, tile, rows, to, outputs);
        else if (matrix->halves)
            half_tile(x, inputs, matrix->halves + (size_t)tile * inputs * TILE, inputs, rows, to,
                      outputs);
        else
            float_tile(x, inputs, matrix->weights + (size_t)tile * inputs * TILE, inputs, rows, to,
                       outputs);
        if (matrix->bias)
            for (int row = 0; row < rows; row++)
                for (int lane = 0; lane < TILE; lane++)
                    to[(size_t)row * outputs + lane] += matrix->bias[tile * TILE + lane];
    }
}
