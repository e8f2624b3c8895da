/* The update of one step: read it beside textwright/training/optim/adamw.py and muon.py. */

#include "products.h"

/* Σ x², in double, for the norm of the gradient. */
EXPORT double squared_norm(int count, const float *x) {
    double sums[4] = {0};
    int i = 0;
    for (; i + 4 <= count; i += 4)
        UNROLL for (int lane = 0; lane < 4; lane++) sums[lane] += (double)x[i + lane] * x[i + lane];
    for (; i < count; i++) sums[0] += (double)x[i] * x[i];
    return (sums[0] + sums[1]) + (sums[2] + sums[3]);
}

/* x *= factor */
EXPORT void scale(int count, float factor, float *x) {
    for (int i = 0; i < count; i++) x[i] *= factor;
}

/* AdamW (Loshchilov and Hutter, 2019), as torch's fused kernel has it.

   kept: 1 − rate × weight decay; new1, new2: 1 − beta1, 1 − beta2; size: rate / (1 − beta1ⁿ); root: √(1 − beta2ⁿ) at step n. */
EXPORT void adamw(int count, float kept, float new1, float beta2, float new2, float size,
                  float root, const float *gradient, float *mean, float *square, float *x) {
    for (int i = 0; i < count; i++) {
        const float g = gradient[i];
        mean[i] += (g - mean[i]) * new1;
        square[i] = beta2 * square[i] + new2 * g * g;
        x[i] = x[i] * kept - size * mean[i] / (sqrtf(square[i]) / root + 1e-8f);
    }
}

static const float polynomials[4][3] = {
    {8.3007f, -24.0375f, 17.4661f},
    {4.0034f, -2.9228f, 0.5419f},
    {3.4709f, -2.5494f, 0.5002f},
    {2.4901f, -1.8343f, 0.4368f},
};

/* A block of rows, nearly the nearest one with singular values 1. `room`: four matrices of
   rows × rows. Symmetric products of a matrix with itself are half computed (`gram`); a multiple of
   another is added by the diagonal of what it is multiplied by. */
static void orthogonalise(int rows, int columns, float *x, float *to, float *room) {
    const int count = rows * rows;
    float *square = room, *step = square + count, *left = step + count, *spare = left + count;
    const float norm = (float)__builtin_sqrt(squared_norm(rows * columns, x)) * 1.01f;
    const float inverse = 1.0f / (norm > 1e-7f ? norm : 1e-7f);
    gram(rows, columns, x, square, 0, inverse * inverse);
    for (int number = 0; number < 4; number++) {
        const float *factors = polynomials[number];
        if (number) {
            multiply_matrices(rows, rows, step, square, spare);
            multiply_matrices(rows, rows, spare, step, square);
        }
        memcpy(step, square, sizeof(float) * (size_t)count);
        gram(rows, rows, square, step, factors[1], factors[2]);
        for (int i = 0; i < rows; i++) step[i * rows + i] += factors[0];
        memcpy(spare, number ? left : step, sizeof(float) * (size_t)count);
        if (number) multiply_matrices(rows, rows, step, spare, left);
        else memcpy(left, spare, sizeof(float) * (size_t)count);
    }
    scale(count, inverse, left);
    multiply_matrices(rows, columns, left, x, to);
}

/* Muon (Jordan et al., 2024) on one matrix, `rows` × `columns`.

   momentum: what the mean of the gradients keeps, and `fresh` what it doesn't; kept: 1 − rate × weight decay; size: the rate,
   times √(rows / columns) where that is above 1. block: the rows that are orthogonalised by themselves, at most.
   `room`: two matrices, and four of a block's rows squared. */
EXPORT void muon(int rows, int columns, int block, float momentum, float fresh, float kept, float size,
                 const float *gradient, float *mean, float *x, float *room) {
    const int count = rows * columns, tall = rows > columns;
    const int n = tall ? columns : rows, m = tall ? rows : columns;
    const int many = (n + block - 1) / block, most = (n + many - 1) / many;
    float *wide = room, *made = wide + count, *rest = made + count;
    for (int i = 0; i < count; i++) {
        mean[i] += (gradient[i] - mean[i]) * fresh;
        made[i] = gradient[i] + (mean[i] - gradient[i]) * momentum;
    }
    for (int row = 0; row < rows; row++)
        for (int i = 0; i < columns; i++)
            wide[tall ? i * rows + row : row * columns + i] = made[row * columns + i];
    for (int row = 0; row < n; row += most)
        orthogonalise(n - row < most ? n - row : most, m, wide + row * m, made + row * m, rest);
    for (int row = 0; row < rows; row++)
        for (int i = 0; i < columns; i++) {
            float *to = x + row * columns + i;
            *to = *to * kept - size * made[tall ? i * rows + row : row * columns + i];
        }
}
