/* See products.h. */

#include "products.h"

#define TILES_OF(count, size) (((count) + (size) - 1) / (size))

static float packed_rows[TALL * DEEP];
static float packed_columns[WIDE * DEEP];
static float packed_few[TALL * 1024]; /* for `product_of_packed` */

INLINE int least(int a, int b) { return a < b ? a : b; }

/* Panels of `width` from a matrix whose element (i, j) is at[i * across + j * along]: panel after
   panel of `width` i's, in each j after j. What isn't there is 0. */
INLINE void pack(int count, int inputs, const float *at, size_t across, size_t along,
                 const int width, float *panels) {
    for (int first = 0; first < count; first += width, panels += (size_t)width * inputs) {
        const float *from = at + first * across;
        if (count - first < width) {
            for (int j = 0; j < inputs; j++)
                for (int i = 0; i < width; i++)
                    panels[j * width + i] = first + i < count ? from[i * across + j * along] : 0;
        } else if (across == 1) {
            for (int j = 0; j < inputs; j++)
                for (int i = 0; i < width; i += LANES)
                    store(panels + j * width + i, load(from + j * along + i));
        } else {
            int j = 0;
            for (; j + 4 <= inputs && along == 1; j += 4) /* squares of 4, turned */
                for (int i = 0; i < width; i += 4)
                    turn_four(from + i * across + j, across, panels + j * width + i, width);
            for (; j < inputs; j++)
                for (int i = 0; i < width; i++)
                    panels[j * width + i] = from[i * across + j * along];
        }
    }
}

void pack_columns(int inputs, int columns, View b, float *panels) {
    pack(columns, inputs, b.at, b.column, b.row, COLUMNS, panels);
}

/* One tile of C, of which `rows` × `columns` are there: C = kept · C + (panels). */
INLINE void tile(int inputs, const float *a, const float *b, float *c, int stride, int rows,
                 int columns, int kept) {
    Vector sums[ROWS][COLUMNS / LANES];
    UNROLL for (int row = 0; row < ROWS; row++)
        UNROLL for (int v = 0; v < COLUMNS / LANES; v++) sums[row][v] = all(0);
    for (int i = 0; i < inputs; i++, a += ROWS, b += COLUMNS) {
        Vector loaded[COLUMNS / LANES];
        UNROLL for (int v = 0; v < COLUMNS / LANES; v++) loaded[v] = load(b + v * LANES);
        UNROLL for (int row = 0; row < ROWS; row++) {
            const Vector x = all(a[row]);
            UNROLL for (int v = 0; v < COLUMNS / LANES; v++)
                sums[row][v] = multiply_add(x, loaded[v], sums[row][v]);
        }
    }
    if (rows >= ROWS && columns >= COLUMNS) {
        UNROLL for (int row = 0; row < ROWS; row++)
            UNROLL for (int v = 0; v < COLUMNS / LANES; v++) {
                float *there = c + (size_t)row * stride + v * LANES;
                store(there, kept ? load(there) + sums[row][v] : sums[row][v]);
            }
        return;
    }
    float numbers[ROWS * COLUMNS];
    UNROLL for (int row = 0; row < ROWS; row++)
        UNROLL for (int v = 0; v < COLUMNS / LANES; v++)
            store(numbers + row * COLUMNS + v * LANES, sums[row][v]);
    for (int row = 0; row < least(rows, ROWS); row++)
        for (int i = 0; i < least(columns, COLUMNS); i++) {
            float *there = c + (size_t)row * stride + i;
            *there = (kept ? *there : 0) + numbers[row * COLUMNS + i];
        }
}

/* All tiles of some packed rows and columns. */
static void tiles(int rows, int columns, int inputs, const float *a, const float *b, float *c,
                  int stride, int kept) {
    for (int j = 0; j < columns; j += COLUMNS)
        for (int i = 0; i < rows; i += ROWS)
            tile(inputs, a + (size_t)i * inputs, b + (size_t)j * inputs,
                 c + (size_t)i * stride + j, stride, rows - i, columns - j, kept);
}

/* C = kept · C + A · B; `kept` is 0 or 1.

   `rows` × `inputs` of A, whose element (i, j) is a[i * a_row + j * a_column], one of these 1;
   `inputs` × `columns` of B, likewise; a row of C begins `stride` numbers after the one above. */
EXPORT void product(int rows, int columns, int inputs, const float *a, int a_row, int a_column,
                    const float *b, int b_row, int b_column, float *c, int stride, int kept) {
    for (int j = 0; j < columns; j += WIDE)
        for (int k = 0; k < inputs; k += DEEP) {
            const int wide = least(WIDE, columns - j), deep = least(DEEP, inputs - k);
            View right = {b + (size_t)k * b_row + (size_t)j * b_column, b_row, b_column};
            pack_columns(deep, wide, right, packed_columns);
            for (int i = 0; i < rows; i += TALL) {
                const int tall = least(TALL, rows - i);
                pack(tall, deep, a + (size_t)i * a_row + (size_t)k * a_column, a_row, a_column,
                     ROWS, packed_rows);
                tiles(tall, wide, deep, packed_rows, packed_columns, c + (size_t)i * stride + j,
                      stride, kept || k);
            }
        }
}

void product_of_packed(int rows, int columns, int inputs, View a, const float *b, float *c,
                       int stride, int kept) {
    for (int i = 0; i < rows; i += TALL)
        for (int k = 0; k < inputs; k += 1024) {
            const int tall = least(TALL, rows - i), deep = least(1024, inputs - k);
            pack(tall, deep, a.at + (size_t)i * a.row + (size_t)k * a.column, a.row, a.column, ROWS,
                 packed_few);
            for (int j = 0; j < columns; j += COLUMNS)
                tiles(tall, least(COLUMNS, columns - j), deep, packed_few,
                      b + (size_t)j * inputs + (size_t)k * COLUMNS,
                      c + (size_t)i * stride + j, stride, kept || k);
        }
}
