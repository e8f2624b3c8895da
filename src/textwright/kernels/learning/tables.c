/* What lies between the tokens and the layers: embedding, dropout, biases, cross-entropy. */

#include "products.h"

/* y[row] = table[tokens[row]], rows of `width`, a multiple of 4. */
EXPORT void embed(int rows, int width, const int32_t *tokens, const float *table, float *y) {
    for (int row = 0; row < rows; row++)
        memcpy(y + (size_t)row * width, table + (size_t)tokens[row] * width,
               sizeof(float) * (size_t)width);
}

/* Adds the gradient of each row to that of its token's. */
EXPORT void embed_backward(int rows, int width, const int32_t *tokens, const float *dy,
                           float *d_table) {
    for (int row = 0; row < rows; row++, dy += width) {
        float *to = d_table + (size_t)tokens[row] * width;
        for (int i = 0; i < width; i += LANES) store(to + i, load(to + i) + load(dy + i));
    }
}

/* y = x · mask, of masks that all time steps share: x is [time][sample][width], `mask`
   [sample][width], of `size` numbers, a multiple of 4. y may be x. */
EXPORT void drop(int time, int size, const float *mask, const float *x, float *y) {
    for (int t = 0; t < time; t++, x += size, y += size)
        for (int i = 0; i < size; i += LANES) store(y + i, load(x + i) * load(mask + i));
}

/* Each row becomes the sum of two biases of `count` numbers; the second may be NULL. Rows of
   `width`, a multiple of 4; what lies beyond `count` becomes 0. */
EXPORT void fill_rows(int rows, int count, int width, const float *bias, const float *other,
                      float *y) {
    for (int i = 0; i < width; i++) y[i] = i < count ? bias[i] + (other ? other[i] : 0) : 0;
    for (int row = 1; row < rows; row++)
        for (int i = 0; i < width; i += LANES) store(y + (size_t)row * width + i, load(y + i));
}

/* Adds up rows of `width` numbers, `stride` apart, to `sums`. */
EXPORT void add_rows_up(int rows, int width, int stride, const float *x, float *sums) {
    for (int row = 0; row < rows; row++, x += stride) {
        int i = 0;
        for (; i + LANES <= width; i += LANES) store(sums + i, load(sums + i) + load(x + i));
        for (; i < width; i++) sums[i] += x[i];
    }
}

/* to += from */
EXPORT void add(int count, const float *from, float *to) {
    int i = 0;
    for (; i + LANES <= count; i += LANES) store(to + i, load(to + i) + load(from + i));
    for (; i < count; i++) to[i] += from[i];
}

/* --- cross-entropy ----------------------------------------------------------------------------- */

/* ln x of a normal number x > 0, to about 1e-15: x = 2ⁿ m, and ln m as a series of (m − 1) / (m + 1). */
static double logarithm(double x) {
    union { double number; uint64_t bits; } both = {x};
    int64_t n = (int64_t)(both.bits >> 52) - 1023;
    both.bits = (both.bits & 0xfffffffffffffull) | 0x3ff0000000000000ull;
    double m = both.number;
    if (m > 1.41421356237309515) m *= 0.5, n++;
    const double z = (m - 1) / (m + 1), square = z * z;
    double sum = 0;
    for (int i = 21; i > 0; i -= 2) sum = sum * square + 2.0 / i;
    return sum * z + (double)n * 0.69314718055994531;
}

/* Σ −ln softmax(logits)[target] over the rows whose target is at least 0; with `share`, logits
   become the gradient of `share` times that.

   logits: rows of `width`, a multiple of 16, of which the first `types` are there. */
EXPORT double cross_entropy(int rows, int types, int width, float *logits, const int32_t *targets,
                            float share) {
    double loss = 0;
    for (int row = 0; row < rows; row++, logits += width) {
        const int target = targets[row];
        for (int i = types; i < width; i++) logits[i] = -INFINITY;
        if (target < 0) {
            for (int i = 0; share != 0 && i < width; i += LANES) store(logits + i, all(0));
            continue;
        }
        Vector most = load(logits);
        for (int i = LANES; i < width; i += LANES) most = larger(load(logits + i), most);
        const float top = largest(most), own = logits[target];
        for (int i = 0; i < width; i += LANES)
            store(logits + i, exponential(load(logits + i) - top));
        const float sum = sum_of(logits, width);
        loss += logarithm(sum) - ((double)own - top);
        if (share == 0) continue;
        const float scale = share / sum;
        for (int i = 0; i < width; i += LANES) store(logits + i, load(logits + i) * scale);
        logits[target] -= share;
    }
    return loss;
}
