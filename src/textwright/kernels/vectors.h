/* Vectors of floats as wide as the processor has them, and the functions of one number that the
   kernels need on them.

   Written with the vector extensions that GCC and Clang share, so one source serves every
   processor; how wide a vector is follows from the flags a build is compiled with.

   What is computed is the same to the last bit. Each operation is rounded by itself, as IEEE 754
   has it; hatch_build.py forbids the compiler to fuse any. The numbers of a vector are added up in
   sixteen sums, however many vectors they take. `multiply_add` is the one exception, and says
   where. */

#pragma once

#include <stdint.h>

#if defined(__wasm__) /* WebAssembly, which has no C library here */
#include <stddef.h>
#define INFINITY __builtin_inff()
#define sqrtf __builtin_sqrtf
#define memcpy __builtin_memcpy
#define memset __builtin_memset
#else
#include <math.h>
#include <stdlib.h>
#include <string.h>
#endif

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#elif defined(__wasm_relaxed_simd__)
#include <wasm_simd128.h>
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

/* `a` where the mask's lane is set, `b` elsewhere. */
INLINE Vector choose(Integers mask, Vector a, Vector b) {
    return (Vector)((mask & (Integers)a) | (~mask & (Integers)b));
}

typedef float Four __attribute__((vector_size(16)));
typedef float FourInMemory __attribute__((vector_size(16), aligned(4), may_alias));
#if defined(__clang__)
#define PICK(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
typedef int32_t Places __attribute__((vector_size(16)));
#define PICK(a, b, ...) __builtin_shuffle(a, b, (Places){__VA_ARGS__})
#endif

/* Four rows of four numbers as columns; the next row begins so many numbers after one. */
INLINE void turn_four(const float *from, size_t stride, float *to, size_t to_stride) {
    Four rows[4];
    UNROLL for (int i = 0; i < 4; i++) rows[i] = *(const FourInMemory *)(from + i * stride);
    const Four ab = PICK(rows[0], rows[1], 0, 4, 1, 5), cd = PICK(rows[2], rows[3], 0, 4, 1, 5);
    const Four ba = PICK(rows[0], rows[1], 2, 6, 3, 7), dc = PICK(rows[2], rows[3], 2, 6, 3, 7);
    *(FourInMemory *)to = PICK(ab, cd, 0, 1, 4, 5);
    *(FourInMemory *)(to + to_stride) = PICK(ab, cd, 2, 3, 6, 7);
    *(FourInMemory *)(to + 2 * to_stride) = PICK(ba, dc, 0, 1, 4, 5);
    *(FourInMemory *)(to + 3 * to_stride) = PICK(ba, dc, 2, 3, 6, 7);
}

/* Numbers of 16 bits (IEEE 754 binary16), widened, which is exact. */
INLINE Vector load_halves(const uint16_t *from) {
#if defined(__AVX512F__)
    return (Vector)_mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)from));
#elif LANES == 8 && defined(__F16C__)
    return (Vector)_mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)from));
#elif defined(__aarch64__)
    return (Vector)vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(from)));
#else
    /* The bits of exponent and fraction moved to where a float32 has them, and 112 added to the
       exponent. Below 2⁻¹⁴ a number of 16 bits has no leading 1: with one it is 2⁻¹⁴ too large. No
       step is that small in float32, where some processors take it for 0. Weights are finite. */
    Integers bits;
    for (int lane = 0; lane < LANES; lane++) bits[lane] = from[lane];
    Integers size = ((bits & 0x7fff) << 13) + (112 << 23);
    Integers tiny = (bits & 0x7c00) == 0;
    Vector least = (Vector)(size + (1 << 23)) - 0x1p-14f;
    return (Vector)((Integers)choose(tiny, least, (Vector)size) | (bits & 0x8000) << 16);
#endif
}

INLINE Vector all(float value) { return value - (Vector){0}; }

/* a · b + c, rounded once; on x86 before FMA (2013), where it would take long, and in WebAssembly, the
   product too. */
INLINE Vector multiply_add(Vector a, Vector b, Vector c) {
#if LANES == 16
    return (Vector)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#elif LANES == 8
    return (Vector)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
#elif defined(__aarch64__)
    return (Vector)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b);
#elif defined(__wasm_relaxed_simd__) /* as the processor likes */
    return (Vector)wasm_f32x4_relaxed_madd((v128_t)a, (v128_t)b, (v128_t)c);
#else
    return a * b + c;
#endif
}

/* a > b ? a : b, which x86 has as an instruction. */
INLINE Vector larger(Vector a, Vector b) {
#if LANES == 16
    return (Vector)_mm512_max_ps((__m512)a, (__m512)b);
#elif LANES == 8
    return (Vector)_mm256_max_ps((__m256)a, (__m256)b);
#elif defined(__x86_64__)
    return (Vector)_mm_max_ps((__m128)a, (__m128)b);
#else
    return choose(a > b, a, b);
#endif
}

/* |x| */
INLINE Vector size(Vector x) { return (Vector)((Integers)x & 0x7fffffff); }

/* Σ x[i], or Σ x[i]²; a multiple of 16 of them. In sixteen sums, then in pairs of those. */
INLINE float total(const float *x, int count, const int squared) {
    Vector sums[16 / LANES];
    float lanes[16];
    UNROLL for (int v = 0; v < 16 / LANES; v++) sums[v] = all(0);
    for (int i = 0; i < count; i += 16)
        UNROLL for (int v = 0; v < 16 / LANES; v++) {
            Vector values = load(x + i + v * LANES);
            sums[v] += squared ? values * values : values;
        }
    UNROLL for (int v = 0; v < 16 / LANES; v++) store(lanes + v * LANES, sums[v]);
    for (int half = 8; half; half /= 2)
        for (int lane = 0; lane < half; lane++) lanes[lane] += lanes[lane + half];
    return lanes[0];
}

INLINE float sum_of(const float *x, int count) { return total(x, count, 0); }
INLINE float sum_of_squares(const float *x, int count) { return total(x, count, 1); }

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
    const Integers vanishes = x < -87.0f;
    x = -larger(all(-88.0f), -larger(all(-87.0f), x));
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
    return (Vector)(((Integers)p + ((Integers)shifted << 23)) & ~vanishes);
}

INLINE Vector sigmoid(Vector x) { return 1.0f / (1.0f + exponential(-x)); }

/* As 1 − 2 / (e²ˣ + 1): exact to 1e-7 in absolute terms, which is what a sum of many needs. */
INLINE Vector hyperbolic_tangent(Vector x) { return 1.0f - 2.0f / (exponential(x + x) + 1.0f); }
