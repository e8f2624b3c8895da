/* A step of Muon (Jordan et al., 2024) on one matrix: read it beside textwright/training/optim/muon.py.

   What is multiplied lies in squares of 64 × 64 numbers, each row by row, filled up with 0: three of
   them fit into the nearest cache. A block of rows is held turned, (columns, rows). Its Gram matrix
   and polynomials of that are symmetric, and so are their products: half is computed, the other half
   is that turned. But for what the block is multiplied by: as exact as it is in full, it isn't so. */

#include "vectors.h"

#define SIDE 64
#define AREA (SIDE * SIDE)
#define SQUARES(count) (((count) + SIDE - 1) / SIDE)
#define WIDE 2 /* vectors of a row that are summed up at once, … */
#if LANES == 16 || defined(__aarch64__)
#define TALL 8 /* … and rows: half of the registers, which hides how long a sum takes */
#else
#define TALL 4
#endif

static const float polynomials[4][3] = {
    {8.3007f, -24.0375f, 17.4661f},
    {4.0034f, -2.9228f, 0.5419f},
    {3.4709f, -2.5494f, 0.5002f},
    {2.4901f, -1.8343f, 0.4368f},
};

INLINE int least(int a, int b) { return a < b ? a : b; }

/* A square C = (kept ? C : 0) + A · B, or Aᵀ · B where A is `turned`: `rows` of C, of `inputs` rows of
   B; with `half`, what isn't below the diagonal, and little else. */
INLINE void multiply(int rows, int inputs, const float *a, const int turned, const float *b,
                     float *c, int kept, int half) {
    for (int column = 0; column < SIDE; column += WIDE * LANES)
        for (int row = 0; row < (half ? least(rows, column + WIDE * LANES) : rows); row += TALL) {
            float *to = c + row * SIDE + column;
            Vector sums[TALL][WIDE];
            UNROLL for (int r = 0; r < TALL; r++)
                UNROLL for (int v = 0; v < WIDE; v++)
                    sums[r][v] = kept ? load(to + r * SIDE + v * LANES) : all(0);
            for (int i = 0; i < inputs; i++) {
                Vector loaded[WIDE];
                UNROLL for (int v = 0; v < WIDE; v++)
                    loaded[v] = load(b + i * SIDE + column + v * LANES);
                UNROLL for (int r = 0; r < TALL; r++) {
                    const Vector x = all(a[turned ? i * SIDE + row + r : (row + r) * SIDE + i]);
                    UNROLL for (int v = 0; v < WIDE; v++)
                        sums[r][v] = multiply_add(x, loaded[v], sums[r][v]);
                }
            }
            UNROLL for (int r = 0; r < TALL; r++)
                UNROLL for (int v = 0; v < WIDE; v++) store(to + r * SIDE + v * LANES, sums[r][v]);
        }
}

/* A square, turned; with `half` its lower half is made of the upper one. */
static void turn(const float *from, float *to, int half) {
    for (int row = 0; row < SIDE; row += 4)
        for (int column = half ? row + 4 : 0; column < SIDE; column += 4)
            turn_four(from + row * SIDE + column, SIDE, to + column * SIDE + row, SIDE);
}

/* C = Aᵀ · B where that is symmetric: (n, n), of (inputs, n) each. */
static void symmetric(int n, int inputs, const float *a, const float *b, float *c) {
    const int many = SQUARES(n);
    for (int j = 0; j < many; j++)
        for (int i = 0; i <= j; i++) {
            float *made = c + (i * many + j) * AREA;
            for (int k = 0; k < SQUARES(inputs); k++)
                multiply(least(SIDE, n - i * SIDE), least(SIDE, inputs - k * SIDE),
                         a + (k * many + i) * AREA, 1, b + (k * many + j) * AREA, made, k, i == j);
            turn(made, c + (j * many + i) * AREA, i == j);
        }
}

/* C = A · B of (rows, n) and (n, n). */
static void product(int rows, int n, const float *a, const float *b, float *c) {
    const int many = SQUARES(n);
    for (int i = 0; i < SQUARES(rows); i++)
        for (int j = 0; j < many; j++)
            for (int k = 0; k < many; k++)
                multiply(least(SIDE, rows - i * SIDE), least(SIDE, n - k * SIDE),
                         a + (i * many + k) * AREA, 0, b + (k * many + j) * AREA,
                         c + (i * many + j) * AREA, k, 0);
}

INLINE float *diagonal(float *matrix, int n, int i) {
    return matrix + i / SIDE * (SQUARES(n) + 1) * AREA + i % SIDE * (SIDE + 1);
}

/* What a turned block is multiplied by to bring its singular values near 1, a polynomial of its
   `gram` matrix, in `made`. (n, n) each; all are written to. */
static void polynomial(int n, float *gram, float *step, float *spare, float *made) {
    const int count = SQUARES(n) * SQUARES(n) * AREA;
    float trace = 0;
    for (int i = 0; i < n; i++) trace += *diagonal(gram, n, i);
    const float norm = sqrtf(trace) * 1.01f, inverse = 1.0f / (norm > 1e-7f ? norm : 1e-7f);
    for (int i = 0; i < count; i++) gram[i] *= inverse * inverse;
    for (int number = 0; number < 4; number++) {
        const float *factors = polynomials[number];
        if (number) {
            symmetric(n, n, step, gram, spare);
            symmetric(n, n, spare, step, gram);
        }
        symmetric(n, n, gram, gram, step);
        for (int i = 0; i < count; i++) step[i] = gram[i] * factors[1] + step[i] * factors[2];
        for (int i = 0; i < n; i++) *diagonal(step, n, i) += factors[0];
        if (number) {
            memcpy(spare, made, sizeof(float) * count);
            product(n, n, spare, step, made);
        } else
            for (int i = 0; i < count; i++) made[i] = step[i] * inverse;
    }
}

/* A square's part of a matrix in memory, or less at an edge: `lines` of `length` numbers. */
typedef struct {
    int lines, length, first_line, first;
} Part;

INLINE Part part_of(int standing, int row, int rows, int column, int columns) {
    const int high = least(SIDE, rows), wide = least(SIDE, columns);
    return standing ? (Part){wide, high, column, row} : (Part){high, wide, row, column};
}

/* The mean of the gradients goes on; a square of Nesterov's. */
static void look_ahead(Part part, float momentum, float fresh, const float *gradient, int stride,
                       float *mean, int mean_stride, float *to) {
    memset(to, 0, sizeof(float) * AREA);
    for (int line = 0; line < part.lines; line++, to += SIDE) {
        const float *g = gradient + (size_t)(part.first_line + line) * stride + part.first;
        float *kept = mean + (size_t)(part.first_line + line) * mean_stride + part.first;
        for (int i = 0; i < part.length; i++) {
            kept[i] += (g[i] - kept[i]) * fresh;
            to[i] = g[i] + (kept[i] - g[i]) * momentum;
        }
    }
}

static void update(Part part, float kept, float size, const float *square, float *x, int stride) {
    for (int line = 0; line < part.lines; line++, square += SIDE) {
        float *to = x + (size_t)(part.first_line + line) * stride + part.first;
        for (int i = 0; i < part.length; i++) to[i] = to[i] * kept - size * square[i];
    }
}

/* How many floats of `room` `muon` needs. */
EXPORT int muon_room(int n, int m, int most) {
    const int many = SQUARES(least(n, most));
    return (SQUARES(m) * many + 4 * many * many) * AREA;
}

/* A matrix of n rows and m columns, n ≤ m, in blocks of `most` rows at most.

   Rows lie in memory one after the other or, where the matrix is `standing`, columns do; they begin
   `stride` numbers after one another in gradient and weights, `mean_stride` in the mean of gradients.
   momentum: what that mean keeps, and `fresh` what it doesn't. kept: 1 − rate × weight decay. size:
   what the block that is orthogonalised is multiplied by. */
EXPORT void muon(int n, int m, int most, int standing, float momentum, float fresh, float kept,
                 float size, const float *gradient, int stride, float *mean, int mean_stride,
                 float *weights, float *room) {
    const int parts = (n + most - 1) / most, even = (n + parts - 1) / parts, many = SQUARES(even);
    const size_t count = (size_t)many * many * AREA;
    float *gram = room, *step = gram + count, *spare = step + count, *by = spare + count;
    float *block = by + count;
    memset(room, 0, 4 * count * sizeof(float));
    for (int first = 0; first < n; first += even) {
        const int rows = least(even, n - first), high = SQUARES(rows);
        for (int k = 0; k < SQUARES(m); k++)
            for (int j = 0; j < high; j++) {
                const int row = j * SIDE, column = k * SIDE;
                Part part = part_of(standing, first + row, rows - row, column, m - column);
                float *to = block + (k * high + j) * AREA;
                look_ahead(part, momentum, fresh, gradient, stride, mean, mean_stride,
                           standing ? to : spare);
                if (!standing) turn(spare, to, 0);
            }
        symmetric(rows, m, block, block, gram);
        polynomial(rows, gram, step, spare, by);
        for (int k = 0; k < SQUARES(m); k++) {
            product(least(SIDE, m - k * SIDE), rows, block + k * high * AREA, by, spare);
            for (int j = 0; j < high; j++) {
                const int row = j * SIDE, column = k * SIDE;
                Part part = part_of(standing, first + row, rows - row, column, m - column);
                const float *made = spare + j * AREA;
                if (!standing) turn(made, step, 0);
                update(part, kept, size, standing ? made : step, weights, stride);
            }
        }
    }
}
