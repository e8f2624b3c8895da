/* Vectors of floats as wide as the processor has them, and the functions of one number that the
   kernels need on them.

   Written with the vector extensions that GCC and Clang share, so one source serves every
   processor; how wide a vector is follows from the flags a build is compiled with. */

#pragma once

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if defined(__AVX512F__) || defined(__F16C__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

#if defined(__AVX512F__)
#define LANES 16
#elif defined(__AVX2__) && defined(__FMA__)
#define LANES 8
#else
#define LANES 4
#endif

#if defined(_WIN32)
#define EXPORT __declspec(dllexport)
#else
#define EXPORT __attribute__((visibility("default")))
#endif

#define INLINE static inline __attribute__((always_inline))
#define UNROLL _Pragma("GCC unroll 16")

typedef float Vector __attribute__((vector_size(4 * LANES)));
typedef int32_t Integers __attribute__((vector_size(4 * LANES)));
typedef float InMemory __attribute__((vector_size(4 * LANES), aligned(4), may_alias));

INLINE Vector load(const float *from) { return *(const InMemory *)from; }
INLINE void store(float *to, Vector values) { *(InMemory *)to = values; }
/* Numbers of 16 bits (IEEE 754 binary16), widened, which is exact. */
INLINE Vector load_halves(const uint16_t *from) {
#if defined(__AVX512F__)
    return (Vector)_mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)from));
#elif LANES == 8 && defined(__F16C__)
    return (Vector)_mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)from));
#elif defined(__aarch64__)
    return (Vector)vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(from)));
#else
    /* The bits of exponent and fraction moved to where a float32 has them are 2⁻¹¹² of the value,
       the smallest numbers too. Weights are finite. */
    Integers bits;
    for (int lane = 0; lane < LANES; lane++) bits[lane] = from[lane];
    Vector size = (Vector)((bits & 0x7fff) << 13) * 0x1p112f;
    return (Vector)((Integers)size | (bits & 0x8000) << 16);
#endif
}

INLINE Vector all(float value) { return value - (Vector){0}; }

/* `a` where the mask's lane is set, `b` elsewhere. */
INLINE Vector choose(Integers mask, Vector a, Vector b) {
    return (Vector)((mask & (Integers)a) | (~mask & (Integers)b));
}

INLINE Vector larger(Vector a, Vector b) { return choose(a > b, a, b); }

/* The sum of the lanes, in pairs, always in the same order. */
INLINE float total(Vector values) {
    float lanes[LANES];
    store(lanes, values);
    for (int count = LANES / 2; count; count /= 2)
        for (int lane = 0; lane < count; lane++) lanes[lane] += lanes[lane + count];
    return lanes[0];
}

INLINE float largest(Vector values) {
    float lanes[LANES];
    store(lanes, values);
    for (int count = LANES / 2; count; count /= 2)
        for (int lane = 0; lane < count; lane++)
            if (lanes[lane + count] > lanes[lane]) lanes[lane] = lanes[lane + count];
    return lanes[0];
}

/* eˣ to about one unit in the last place; 0 below −87. x = n ln 2 + r with whole n and |r| ≤ ½ ln 2;
   eʳ is a polynomial (Cephes, expf), 2ⁿ is added to the exponent. */
INLINE Vector exponential(Vector x) {
    const Vector magic = all(12582912.0f); /* 1.5 × 2²³: what is added to it is rounded to whole */
    Integers vanishes = x < -87.0f;
    x = choose(vanishes, all(0), x);
    x = choose(x > 88.0f, all(88.0f), x);
    Vector shifted = x * 1.44269504f + magic;
    Vector n = shifted - magic;
    Vector r = x - n * 0.693359375f;
    r = r + n * 2.12194440e-4f;
    Vector p = all(1.9875691500e-4f);
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * (r * r) + r + 1.0f;
    Vector power = (Vector)((Integers)p + ((Integers)shifted << 23));
    return choose(vanishes, all(0), power);
}

INLINE Vector sigmoid(Vector x) { return 1.0f / (1.0f + exponential(-x)); }

/* As 1 − 2 / (e²ˣ + 1): exact to 1e-7 in absolute terms, which is what a sum of many needs. */
INLINE Vector hyperbolic_tangent(Vector x) { return 1.0f - 2.0f / (exponential(x + x) + 1.0f); }
