/* Vectors of floats, by the instructions that this file is compiled for: f32x and f64x, and what the
   kernels of products need of them; and halves of them, f32h and f64h, for few columns, where there
   are such. */

#ifndef SKOPT_DL_VECTORS_H
#define SKOPT_DL_VECTORS_H

#if defined(__AVX512F__) && defined(__AVX512VL__)
#include <immintrin.h>
typedef __m256 f32h;
typedef __m256d f64h;
#define f32h_load _mm256_loadu_ps
#define f64h_load _mm256_loadu_pd
#define f32h_store _mm256_storeu_ps
#define f64h_store _mm256_storeu_pd
#define f32h_all _mm256_set1_ps
#define f64h_all _mm256_set1_pd
#define f32h_add _mm256_add_ps
#define f32h_mul _mm256_mul_ps
#define f64h_add _mm256_add_pd
#define f64h_mul _mm256_mul_pd
#define f32h_fma _mm256_fmadd_ps
#define f64h_fma _mm256_fmadd_pd
#define f32h_relu(x) _mm256_maskz_mov_ps(_mm256_cmp_ps_mask(x, f32h_all(0), _CMP_NLE_UQ), x)
#define f64h_relu(x) _mm256_maskz_mov_pd(_mm256_cmp_pd_mask(x, f64h_all(0), _CMP_NLE_UQ), x)
#define f32h_where_positive(y, x) \
    _mm256_maskz_mov_ps(_mm256_cmp_ps_mask(y, f32h_all(0), _CMP_GT_OQ), x)
#define f64h_where_positive(y, x) \
    _mm256_maskz_mov_pd(_mm256_cmp_pd_mask(y, f64h_all(0), _CMP_GT_OQ), x)
#define FIRST(n, most) ((__mmask16)((n) < (most) ? (1u << (n)) - 1 : (1u << (most)) - 1))
#define f32h_some(p, n) _mm256_maskz_loadu_ps((__mmask8)FIRST(n, 8), p)
#define f64h_some(p, n) _mm256_maskz_loadu_pd((__mmask8)FIRST(n, 4), p)
#define f32x_some(p, n) _mm512_maskz_loadu_ps(FIRST(n, 16), p)
#define f64x_some(p, n) _mm512_maskz_loadu_pd((__mmask8)FIRST(n, 8), p)
#define f32h_put(p, n, x) _mm256_mask_storeu_ps(p, (__mmask8)FIRST(n, 8), x)
#define f64h_put(p, n, x) _mm256_mask_storeu_pd(p, (__mmask8)FIRST(n, 4), x)
#define f32x_put(p, n, x) _mm512_mask_storeu_ps(p, FIRST(n, 16), x)
#define f64x_put(p, n, x) _mm512_mask_storeu_pd(p, (__mmask8)FIRST(n, 8), x)
typedef __m512 f32x;
typedef __m512d f64x;
#define f32x_load _mm512_loadu_ps
#define f64x_load _mm512_loadu_pd
#define f32x_store _mm512_storeu_ps
#define f64x_store _mm512_storeu_pd
#define f32x_all _mm512_set1_ps
#define f64x_all _mm512_set1_pd
#define f32x_add _mm512_add_ps
#define f32x_mul _mm512_mul_ps
#define f64x_add _mm512_add_pd
#define f64x_mul _mm512_mul_pd
#define f32x_fma _mm512_fmadd_ps
#define f64x_fma _mm512_fmadd_pd
#define f32x_relu(x) _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(x, f32x_all(0), _CMP_NLE_UQ), x)
#define f64x_relu(x) _mm512_maskz_mov_pd(_mm512_cmp_pd_mask(x, f64x_all(0), _CMP_NLE_UQ), x)
#define f32x_where_positive(y, x) \
    _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(y, f32x_all(0), _CMP_GT_OQ), x)
#define f64x_where_positive(y, x) \
    _mm512_maskz_mov_pd(_mm512_cmp_pd_mask(y, f64x_all(0), _CMP_GT_OQ), x)
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
#define f32x_mul _mm256_mul_ps
#define f64x_add _mm256_add_pd
#define f64x_mul _mm256_mul_pd
#define f32x_fma _mm256_fmadd_ps
#define f64x_fma _mm256_fmadd_pd
#define f32x_relu(x) _mm256_and_ps(x, _mm256_cmp_ps(x, f32x_all(0), _CMP_NLE_UQ))
#define f64x_relu(x) _mm256_and_pd(x, _mm256_cmp_pd(x, f64x_all(0), _CMP_NLE_UQ))
#define f32x_where_positive(y, x) _mm256_and_ps(x, _mm256_cmp_ps(y, f32x_all(0), _CMP_GT_OQ))
#define f64x_where_positive(y, x) _mm256_and_pd(x, _mm256_cmp_pd(y, f64x_all(0), _CMP_GT_OQ))
typedef __m128 f32h;
typedef __m128d f64h;
#define f32h_load _mm_loadu_ps
#define f64h_load _mm_loadu_pd
#define f32h_store _mm_storeu_ps
#define f64h_store _mm_storeu_pd
#define f32h_all _mm_set1_ps
#define f64h_all _mm_set1_pd
#define f32h_add _mm_add_ps
#define f32h_mul _mm_mul_ps
#define f64h_add _mm_add_pd
#define f64h_mul _mm_mul_pd
#define f32h_fma _mm_fmadd_ps
#define f64h_fma _mm_fmadd_pd
#define f32h_relu(x) _mm_and_ps(x, _mm_cmpnle_ps(x, f32h_all(0)))
#define f64h_relu(x) _mm_and_pd(x, _mm_cmpnle_pd(x, f64h_all(0)))
#define f32h_where_positive(y, x) _mm_and_ps(x, _mm_cmpgt_ps(y, f32h_all(0)))
#define f64h_where_positive(y, x) _mm_and_pd(x, _mm_cmpgt_pd(y, f64h_all(0)))
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
#define f32x_mul vmulq_f32
#define f64x_add vaddq_f64
#define f64x_mul vmulq_f64
#define f32x_fma(a, b, c) vfmaq_f32(c, a, b)
#define f64x_fma(a, b, c) vfmaq_f64(c, a, b)
#define f32x_relu(x) vbslq_f32(vcleq_f32(x, f32x_all(0)), f32x_all(0), x)
#define f64x_relu(x) vbslq_f64(vcleq_f64(x, f64x_all(0)), f64x_all(0), x)
#define f32x_where_positive(y, x) vbslq_f32(vcgtq_f32(y, f32x_all(0)), x, f32x_all(0))
#define f64x_where_positive(y, x) vbslq_f64(vcgtq_f64(y, f64x_all(0)), x, f64x_all(0))
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
#define f32x_mul _mm_mul_ps
#define f64x_add _mm_add_pd
#define f64x_mul _mm_mul_pd
#define f32x_fma(a, b, c) _mm_add_ps(_mm_mul_ps(a, b), c)
#define f64x_fma(a, b, c) _mm_add_pd(_mm_mul_pd(a, b), c)
#define f32x_relu(x) _mm_and_ps(x, _mm_cmpnle_ps(x, f32x_all(0)))
#define f64x_relu(x) _mm_and_pd(x, _mm_cmpnle_pd(x, f64x_all(0)))
#define f32x_where_positive(y, x) _mm_and_ps(x, _mm_cmpgt_ps(y, f32x_all(0)))
#define f64x_where_positive(y, x) _mm_and_pd(x, _mm_cmpgt_pd(y, f64x_all(0)))
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
#define f32x_mul(a, b) ((a) * (b))
#define f64x_add(a, b) ((a) + (b))
#define f64x_mul(a, b) ((a) * (b))
#define f32x_fma(a, b, c) ((a) * (b) + (c))
#define f64x_fma(a, b, c) ((a) * (b) + (c))
#define f32x_relu(x) ((x) <= 0 ? 0 : (x))
#define f64x_relu(x) ((x) <= 0 ? 0 : (x))
#define f32x_where_positive(y, x) ((y) > 0 ? (x) : 0)
#define f64x_where_positive(y, x) ((y) > 0 ? (x) : 0)
#endif

/* The first n elements of a vector alone, where that is one instruction; else all of them. */
#if defined(f32h_some)
#define HAS_MASKS 1
#else
#define HAS_MASKS 0
#define f32h_some(p, n) f32h_load(p)
#define f64h_some(p, n) f64h_load(p)
#define f32h_put(p, n, x) f32h_store(p, x)
#define f64h_put(p, n, x) f64h_store(p, x)
#define f32x_some(p, n) f32x_load(p)
#define f64x_some(p, n) f64x_load(p)
#define f32x_put(p, n, x) f32x_store(p, x)
#define f64x_put(p, n, x) f64x_store(p, x)
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
