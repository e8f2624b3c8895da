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
