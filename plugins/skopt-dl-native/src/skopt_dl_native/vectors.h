/* Vectors of floats, by the instructions that this file is compiled for: f32x and f64x, and what the
   kernels of products need of them. */

#ifndef SKOPT_DL_VECTORS_H
#define SKOPT_DL_VECTORS_H

#if defined(__AVX512F__)
#include <immintrin.h>
typedef __m512 f32x;
typedef __m512d f64x;
#define f32x_load _mm512_loadu_ps
#define f64x_load _mm512_loadu_pd
#define f32x_store _mm512_storeu_ps
#define f64x_store _mm512_storeu_pd
#define f32x_all _mm512_set1_ps
#define f64x_all _mm512_set1_pd
#define f32x_add _mm512_add_ps
#define f64x_add _mm512_add_pd
#define f32x_fma _mm512_fmadd_ps
#define f64x_fma _mm512_fmadd_pd
#elif defined(__AVX2__)
#include <immintrin.h>
typedef __m256 f32x;
typedef __m256d f64x;
#define f32x_load _mm256_loadu_ps
#define f64x_load _mm256_loadu_pd
#define f32x_store _mm256_storeu_ps
#define f64x_store _mm256_storeu_pd
#define f32x_all _mm256_set1_ps
#define f64x_all _mm256_set1_pd
#define f32x_add _mm256_add_ps
#define f64x_add _mm256_add_pd
#define f32x_fma _mm256_fmadd_ps
#define f64x_fma _mm256_fmadd_pd
#elif defined(__aarch64__) || defined(_M_ARM64)
#include <arm_neon.h>
typedef float32x4_t f32x;
typedef float64x2_t f64x;
#define f32x_load vld1q_f32
#define f64x_load vld1q_f64
#define f32x_store vst1q_f32
#define f64x_store vst1q_f64
#define f32x_all vdupq_n_f32
#define f64x_all vdupq_n_f64
#define f32x_add vaddq_f32
#define f64x_add vaddq_f64
#define f32x_fma(a, b, c) vfmaq_f32(c, a, b)
#define f64x_fma(a, b, c) vfmaq_f64(c, a, b)
#elif defined(__x86_64__) || defined(_M_X64)
#include <emmintrin.h>
typedef __m128 f32x;
typedef __m128d f64x;
#define f32x_load _mm_loadu_ps
#define f64x_load _mm_loadu_pd
#define f32x_store _mm_storeu_ps
#define f64x_store _mm_storeu_pd
#define f32x_all _mm_set1_ps
#define f64x_all _mm_set1_pd
#define f32x_add _mm_add_ps
#define f64x_add _mm_add_pd
#define f32x_fma(a, b, c) _mm_add_ps(_mm_mul_ps(a, b), c)
#define f64x_fma(a, b, c) _mm_add_pd(_mm_mul_pd(a, b), c)
#else
typedef float f32x;
typedef double f64x;
#define f32x_load(p) (*(p))
#define f64x_load(p) (*(p))
#define f32x_store(p, v) (*(p) = (v))
#define f64x_store(p, v) (*(p) = (v))
#define f32x_all(x) (x)
#define f64x_all(x) (x)
#define f32x_add(a, b) ((a) + (b))
#define f64x_add(a, b) ((a) + (b))
#define f32x_fma(a, b, c) ((a) * (b) + (c))
#define f64x_fma(a, b, c) ((a) * (b) + (c))
#endif

/* A square of so many rows, apart, to be the columns of another. */
#if defined(__AVX2__)
#define TURNED_f32 8
#define TURNED_f64 4
static inline void turn_f32(const float *from, int64_t apart, float *to, int64_t to_apart) {
    __m256 x[8], y[8];
    for (int i = 0; i < 8; i++) x[i] = _mm256_loadu_ps(from + i * apart);
    for (int i = 0; i < 4; i++) {
        y[2 * i] = _mm256_unpacklo_ps(x[2 * i], x[2 * i + 1]);
        y[2 * i + 1] = _mm256_unpackhi_ps(x[2 * i], x[2 * i + 1]);
    }
    for (int i = 0; i < 2; i++)
        for (int j = 0; j < 2; j++) {
            const __m256 low = y[4 * i + j], high = y[4 * i + j + 2];
            x[4 * i + 2 * j] = _mm256_shuffle_ps(low, high, 0x44);
            x[4 * i + 2 * j + 1] = _mm256_shuffle_ps(low, high, 0xee);
        }
    for (int i = 0; i < 4; i++) {
        _mm256_storeu_ps(to + i * to_apart, _mm256_permute2f128_ps(x[i], x[i + 4], 0x20));
        _mm256_storeu_ps(to + (i + 4) * to_apart, _mm256_permute2f128_ps(x[i], x[i + 4], 0x31));
    }
}
static inline void turn_f64(const double *from, int64_t apart, double *to, int64_t to_apart) {
    __m256d x[4], y[4];
    for (int i = 0; i < 4; i++) x[i] = _mm256_loadu_pd(from + i * apart);
    for (int i = 0; i < 2; i++) {
        y[i] = _mm256_unpacklo_pd(x[2 * i], x[2 * i + 1]);
        y[i + 2] = _mm256_unpackhi_pd(x[2 * i], x[2 * i + 1]);
    }
    for (int i = 0; i < 2; i++) {
        _mm256_storeu_pd(to + i * to_apart, _mm256_permute2f128_pd(y[2 * i], y[2 * i + 1], 0x20));
        _mm256_storeu_pd(to + (i + 2) * to_apart, _mm256_permute2f128_pd(y[2 * i], y[2 * i + 1], 0x31));
    }
}
#else
#define TURNED_f32 1
#define TURNED_f64 1
static inline void turn_f32(const float *from, int64_t apart, float *to, int64_t to_apart) {
    (void)apart, (void)to_apart, *to = *from;
}
static inline void turn_f64(const double *from, int64_t apart, double *to, int64_t to_apart) {
    (void)apart, (void)to_apart, *to = *from;
}
#endif

#if defined(_MSC_VER)
#define ALWAYS_INLINE static __forceinline
#else
#define ALWAYS_INLINE static inline __attribute__((always_inline))
#endif

#endif
