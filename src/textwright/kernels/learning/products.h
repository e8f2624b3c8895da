/* Products of matrices in float32, for training: most of what a step is.

   C = A · B is made tile by tile: ROWS × COLUMNS numbers of C are summed in registers, over DEEP
   inputs, from a panel of A (input after input, ROWS numbers each) and one of B (COLUMNS numbers
   each). A matrix is packed into panels before it is used, from whichever order it lies in, so one
   loop serves A·B, A·Bᵀ and Aᵀ·B. The sums of a tile, what is loaded of B and a number of A fill the
   sixteen registers that browsers have of x86; larger tiles take half as long again. (Goto and van de Geijn, "Anatomy of High-Performance Matrix
   Multiplication", 2008.)

   Each number of C is summed over the inputs from first to last, whatever else is computed. */

#pragma once

#include "../vectors.h"

#define ROWS 4
#define COLUMNS 8
#define DEEP 256 /* inputs whose panels stay in the nearest cache; a multiple of 4 */
#define TALL 64 /* rows of A that are packed at once, a multiple of ROWS … */
#define WIDE 256 /* … and columns of B, of COLUMNS */

/* A matrix where it lies: element (i, j) is at `at[i * row + j * column]`; one of the two is 1. */
typedef struct {
    const float *at;
    int row, column;
} View;

/* Floats that `pack_columns` writes: `columns` are padded with zeros to whole panels. */
INLINE size_t packed(int inputs, int columns) {
    return (size_t)inputs * ((columns + COLUMNS - 1) / COLUMNS * COLUMNS);
}

/* The panels of B, [panel][input][COLUMNS], of `inputs` × `columns` numbers. */
void pack_columns(int inputs, int columns, View b, float *panels);

/* C = kept · C + A · B, of a packed B and few rows of A, for products that come again and again.

   `rows` × `inputs` of A, `inputs` × `columns` of B; `kept` is 0 or 1. */
void product_of_packed(int rows, int columns, int inputs, View a, const float *b, float *c,
                       int stride, int kept);
