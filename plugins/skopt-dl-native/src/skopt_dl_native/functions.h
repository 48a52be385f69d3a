/* exp, expm1, log, log1p, tanh, erf and pow of one element, written so that a plain loop over an
 * array becomes vector code in any compiler: no branch, no table, no call; a choice is a select and
 * powers of two are built from bits.
 *
 *     for (i = 0; i < n; i++) out[i] = exp_f32(in[i]);
 *
 * Flags. gcc needs -O3 -fno-math-errno -fno-trapping-math to vectorise, clang -O2 -fno-math-errno.
 * -ffp-contract=off is needed for the same bits of an element wherever it lies: else a compiler may
 * fuse a product and a sum in the body of a loop and not in its rest. -ffast-math is refused.
 * Where the target has fused multiply-add (__FMA__, arm64) it is used by name, so results there
 * differ in the last place from those of a target without it. pow needs x86-64-v2 for vector code,
 * the others no more than SSE2. A power of 2, 1/2 or -1 is better a product, sqrt or a quotient.
 *
 * Largest error seen, in units in the last place (ulp) of the exact value, subnormal results
 * included, by tools/sweep.py with one in 101 of all float numbers and 70,000 double ones (pow: 20,000); left
 * with fused multiply-add (x86-64-v3), right without (x86-64-v2):
 *
 *              float          double
 *     exp    1.07  1.04     0.97  0.95
 *     expm1  1.36  1.36     1.26  1.26
 *     log    0.81  0.85     0.79  0.79
 *     log1p  1.40  1.40     1.23  1.23
 *     tanh   1.29  1.29     1.01  1.01
 *     erf    1.13  1.37     1.13  1.21
 *     pow    0.51  0.51     1.10  1.04
 *
 * Not-a-number comes out as such, infinities, zeros with their sign, overflow and results below
 * the normal range as IEEE 754 asks for. Status flags and errno are left undefined.
 *
 * The polynomials are Remez's, from tools/coefficients.py. Their even and odd powers are summed
 * apart: two short chains of operations in place of a long one.
 */
#ifndef SKOPT_DL_NATIVE_FUNCTIONS_H
#define SKOPT_DL_NATIVE_FUNCTIONS_H

#include <float.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

#if defined(__FAST_MATH__)
#error "functions.h counts on the order of its operations: compile without -ffast-math"
#endif
#if defined(FLT_EVAL_METHOD) && FLT_EVAL_METHOD != 0
#error "functions.h needs float and double computed in their own precision (on x86: SSE2)"
#endif
#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF
#elif defined(_MSC_VER)
#pragma fp_contract(off)
#endif

/* The longest are left as calls by clang, and a loop with a call is no vector code. */
#if defined(__clang__)
#define INLINED static inline __attribute__((always_inline))
#else
#define INLINED static inline
#endif

/* ---- Bits ---------------------------------------------------------------------------------- */

static inline uint32_t bits_f32(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static inline float from_bits_f32(uint32_t bits) {
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static inline uint64_t bits_f64(double x) {
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static inline double from_bits_f64(uint64_t bits) {
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static inline float absolute_f32(float x) { return from_bits_f32(bits_f32(x) & 0x7fffffffu); }

static inline double absolute_f64(double x) {
    return from_bits_f64(bits_f64(x) & 0x7fffffffffffffffu);
}

/* `magnitude`, 0 or above, with the sign of `x`. */
static inline float signed_f32(float magnitude, float x) {
    return from_bits_f32(bits_f32(magnitude) | (bits_f32(x) & 0x80000000u));
}

static inline double signed_f64(double magnitude, double x) {
    return from_bits_f64(bits_f64(magnitude) | (bits_f64(x) & 0x8000000000000000u));
}

/* a b + c. */
#if defined(__FMA__) || defined(__aarch64__)
static inline float madd_f32(float a, float b, float c) { return fmaf(a, b, c); }
static inline double madd_f64(double a, double b, double c) { return fma(a, b, c); }
#else
static inline float madd_f32(float a, float b, float c) { return a * b + c; }
static inline double madd_f64(double a, double b, double c) { return a * b + c; }
#endif

/* ---- Constants ----------------------------------------------------------------------------- */

/* ln 2 in two parts. The high one has so few bits that its products with exponents are exact. */
#define LN2_HIGH_F32 0.693145751953125f
#define LN2_LOW_F32 1.4286068e-06f
#define LN2_HIGH_F64 0.6931471805598903
#define LN2_LOW_F64 5.497923018708371e-14

/* 2/3 in two parts. */
#define TWO_THIRDS_HIGH 0.6666666666666666
#define TWO_THIRDS_LOW 3.700743415417188e-17

#define LOG2_E_F32 1.442695f
#define LOG2_E_F64 1.4426950408889634

/* Adding 1.5 * 2^23 rounds to a whole number, which then stands in the lowest bits of the sum. */
#define ROUNDER_F32 12582912.0f
#define ROUNDER_F64 6755399441055744.0
#define TWO_TO_52 4503599627370496.0

/* Bits of the root of 1/2, and the distance of those of 1 from them. */
#define ROOT_BITS_F32 0x3f3504f3u
#define ROOT_DISTANCE_F32 0x004afb0du
#define ROOT_BITS_F64 0x3fe6a09e667f3bcdu
#define ROOT_DISTANCE_F64 0x00095f619980c433u

/* ---- Exponentials -------------------------------------------------------------------------- */

/* x = n ln 2 + r with |r| at most half of ln 2: r. The product with the high part is exact, and
 * so is the first difference. */
static inline float reduced_f32(float x, float n) {
    return madd_f32(-n, LN2_LOW_F32, madd_f32(-n, LN2_HIGH_F32, x));
}

static inline double reduced_f64(double x, double n) {
    return madd_f64(-n, LN2_LOW_F64, madd_f64(-n, LN2_HIGH_F64, x));
}

/* (exp(r) - 1 - r) / r^2 for a reduced r. */
static inline float rest_of_exp_f32(float x) {
    float square = x * x;
    float even = 0.0013882519f;
    even = madd_f32(even, square, 0.0416672f);
    even = madd_f32(even, square, 0.49999997f);
    float odd = 0.00836653f;
    odd = madd_f32(odd, square, 0.16666543f);
    return madd_f32(odd, x, even);
}

static inline double rest_of_exp_f64(double x) {
    double square = x * x;
    double even = 2.0875329151154794e-09;
    even = madd_f64(even, square, 2.755740269218918e-07);
    even = madd_f64(even, square, 2.4801587172424816e-05);
    even = madd_f64(even, square, 0.0013888888888962457);
    even = madd_f64(even, square, 0.04166666666666651);
    even = madd_f64(even, square, 0.5);
    double odd = 2.5108995301450395e-08;
    odd = madd_f64(odd, square, 2.7557244330984677e-06);
    odd = madd_f64(odd, square, 0.00019841269886004598);
    odd = madd_f64(odd, square, 0.008333333333321678);
    odd = madd_f64(odd, square, 0.16666666666666677);
    return madd_f64(odd, x, even);
}

static inline float exp_of_reduced_f32(float r) {
    return 1.0f + madd_f32(r * r, rest_of_exp_f32(r), r);
}

static inline double exp_of_reduced_f64(double r) {
    return 1.0 + madd_f64(r * r, rest_of_exp_f64(r), r);
}

/* exp where neither it nor its reciprocal leaves the normal range: 2^n is one factor. */
static inline float mild_exp_f32(float x) {
    float rounder = ROUNDER_F32 + 127.0f;
    float sum = madd_f32(x, LOG2_E_F32, rounder);
    float r = reduced_f32(x, sum - rounder);
    return exp_of_reduced_f32(r) * from_bits_f32(bits_f32(sum) << 23);
}

static inline double mild_exp_f64(double x) {
    double rounder = ROUNDER_F64 + 1023.0;
    double sum = madd_f64(x, LOG2_E_F64, rounder);
    double r = reduced_f64(x, sum - rounder);
    return exp_of_reduced_f64(r) * from_bits_f64(bits_f64(sum) << 52);
}

/* 2^n in two factors, the smaller with half of n: 2^n alone may lie above or below the range. The
 * rounder carries twice the bias of an exponent, so that half of the sum's bits carries it once. */
static inline float exp_f32(float x) {
    float rounder = ROUNDER_F32 + 254.0f;
    float sum = madd_f32(x, LOG2_E_F32, rounder);
    float r = reduced_f32(x, sum - rounder);
    uint32_t half = bits_f32(sum) >> 1;
    float small = from_bits_f32(half << 23);
    float large = from_bits_f32((bits_f32(sum) - half) << 23);
    float result = exp_of_reduced_f32(r) * small * large;
    result = x < -104.0f ? 0.0f : result;
    return x > 89.0f ? INFINITY : result;
}

/* exp(x + low), where `low` is small beside x. */
static inline double exp_of_pair_f64(double x, double low) {
    double rounder = ROUNDER_F64 + 2046.0;
    double sum = madd_f64(x, LOG2_E_F64, rounder);
    double r = reduced_f64(x, sum - rounder) + low;
    uint64_t half = bits_f64(sum) >> 1;
    double small = from_bits_f64(half << 52);
    double large = from_bits_f64((bits_f64(sum) - half) << 52);
    double result = exp_of_reduced_f64(r) * small * large;
    result = x < -746.0 ? 0.0 : result;
    return x > 710.0 ? INFINITY : result;
}

/* -0 is what a compiler may leave out of a sum. */
static inline double exp_f64(double x) { return exp_of_pair_f64(x, -0.0); }

/* 2^n (1 + r + rest) - 1, summed from the largest part down; with 2^(n-1) in place of 2^n, which
 * stays in the range up to the largest result, and doubled at the end. */
static inline float expm1_f32(float x) {
    float rounder = ROUNDER_F32 + 126.0f;
    float sum = madd_f32(x, LOG2_E_F32, rounder);
    float r = reduced_f32(x, sum - rounder);
    float scale = from_bits_f32(bits_f32(sum) << 23);
    float main_part = madd_f32(scale, r, scale - 0.5f);
    float result = 2.0f * madd_f32(scale, r * r * rest_of_exp_f32(r), main_part);
    result = x < -30.0f ? -1.0f : result;
    result = x > 89.0f ? INFINITY : result;
    /* Halves of subnormal numbers would lose a bit, and -0 its sign. */
    return absolute_f32(x) < 1e-10f ? x : result;
}

static inline double expm1_f64(double x) {
    double rounder = ROUNDER_F64 + 1022.0;
    double sum = madd_f64(x, LOG2_E_F64, rounder);
    double r = reduced_f64(x, sum - rounder);
    double scale = from_bits_f64(bits_f64(sum) << 52);
    double main_part = madd_f64(scale, r, scale - 0.5);
    double result = 2.0 * madd_f64(scale, r * r * rest_of_exp_f64(r), main_part);
    result = x < -60.0 ? -1.0 : result;
    result = x > 710.0 ? INFINITY : result;
    return absolute_f64(x) < 1e-20 ? x : result;
}

/* ---- Logarithms ---------------------------------------------------------------------------- */

/* (log(1 + f) - f + f^2/2) / f^3. */
static inline float rest_of_log_f32(float x) {
    float square = x * x;
    float even = 0.12761575f;
    even = madd_f32(even, square, 0.14201759f);
    even = madd_f32(even, square, 0.20001227f);
    even = madd_f32(even, square, 0.3333333f);
    float odd = -0.07634496f;
    odd = madd_f32(odd, square, -0.13160183f);
    odd = madd_f32(odd, square, -0.16623357f);
    odd = madd_f32(odd, square, -0.2500082f);
    return madd_f32(odd, x, even);
}

/* (2 atanh(s) - 2 s) / s^3 in terms of z = s^2. */
static inline double rest_of_atanh_f64(double z) {
    double square = z * z;
    double even = 0.1479594819628893;
    even = madd_f64(even, square, 0.1818356432034991);
    even = madd_f64(even, square, 0.28571428742386523);
    even = madd_f64(even, square, 0.6666666666666734);
    double odd = 0.15314050700629514;
    odd = madd_f64(odd, square, 0.22222198573295845);
    odd = madd_f64(odd, square, 0.3999999999941468);
    return madd_f64(odd, z, even);
}

/* k ln 2 + log(1 + f) for f from the root of 1/2 less 1 to the root of 2 less 1. Where k is 0 the
 * largest part is f itself, which is exact. */
static inline float log_of_parts_f32(float k, float f) {
    float square = f * f;
    float rest = madd_f32(f * square, rest_of_log_f32(f), k * LN2_LOW_F32);
    rest = madd_f32(-0.5f, square, rest);
    return madd_f32(k, LN2_HIGH_F32, f + rest);
}

/* With s = f / (2 + f), log(1 + f) is 2 atanh(s), and 2 s = f - f^2/2 + s f^2/2: a short polynomial
 * in s^2 for one division. */
static inline double log_of_parts_f64(double k, double f) {
    double s = f / (2.0 + f);
    double z = s * s;
    double half_square = 0.5 * f * f;
    double rest = madd_f64(s, madd_f64(z, rest_of_atanh_f64(z), half_square), k * LN2_LOW_F64);
    return madd_f64(k, LN2_HIGH_F64, f - (half_square - rest));
}

/* The logarithm of numbers that have none of their own; `result` is that of all others. */
static inline float log_or_special_f32(float x, float result) {
    float special = x == 0.0f ? -INFINITY : NAN;
    result = x < INFINITY ? result : x;
    return x > 0.0f ? result : special;
}

static inline double log_or_special_f64(double x, double result) {
    double special = x == 0.0 ? -INFINITY : NAN;
    result = x < INFINITY ? result : x;
    return x > 0.0 ? result : special;
}

/* x = 2^k m with m between the roots of 1/2 and 2: where the bits of m start at those of the root
 * of 1/2, the exponent is what is carried over. Subnormal numbers are scaled to be normal. */
static inline float log_f32(float x) {
    int is_small = x < FLT_MIN;
    float normal = is_small ? x * 8388608.0f : x;
    int32_t bias = is_small ? 127 + 23 : 127;
    uint32_t bits = bits_f32(normal) + ROOT_DISTANCE_F32;
    float k = (float)((int32_t)(bits >> 23) - bias);
    float m = from_bits_f32((bits & 0x007fffffu) + ROOT_BITS_F32);
    return log_or_special_f32(x, log_of_parts_f32(k, m - 1.0f));
}

/* x = 2^k (1 + f). Vector units before AVX-512 do not convert 64-bit integers: the exponent, set as
 * the lowest bits of 2^52, becomes a number by a difference. */
typedef struct {
    double k, f;
} parts_f64;

static inline parts_f64 parts_of_f64(double x) {
    int is_small = x < DBL_MIN;
    double normal = is_small ? x * 18014398509481984.0 : x;
    double bias = is_small ? TWO_TO_52 + 1023.0 + 54.0 : TWO_TO_52 + 1023.0;
    uint64_t bits = bits_f64(normal) + ROOT_DISTANCE_F64;
    double k = from_bits_f64((bits >> 52) | bits_f64(TWO_TO_52)) - bias;
    double m = from_bits_f64((bits & 0x000fffffffffffffu) + ROOT_BITS_F64);
    parts_f64 parts = {k, m - 1.0};
    return parts;
}

static inline double log_f64(double x) {
    parts_f64 parts = parts_of_f64(x);
    return log_or_special_f64(x, log_of_parts_f64(parts.k, parts.f));
}

/* 1 + x = u + lost, exactly, and u = 2^k m: f = m - 1 + lost 2^-k. Where k is 0 that gives x
 * again. 2^(1-k) for half of what was lost: 2^-k is too small for the largest x. */
static inline float log1p_f32(float x) {
    float u = 1.0f + x;
    float part_of_x = u - 1.0f;
    float half_lost = 0.5f * ((1.0f - (u - part_of_x)) + (x - part_of_x));
    uint32_t bits = bits_f32(u) + ROOT_DISTANCE_F32;
    float k = (float)((int32_t)(bits >> 23) - 127);
    float m = from_bits_f32((bits & 0x007fffffu) + ROOT_BITS_F32);
    float scale = from_bits_f32(0x7f800000u - (bits & 0x7f800000u));
    float result = log_of_parts_f32(k, madd_f32(half_lost, scale, m - 1.0f));
    result = absolute_f32(x) < 1e-10f ? x : result;
    /* u is 0 for -1 alone, and not above 0 where there is no logarithm. */
    return log_or_special_f32(u, result);
}

static inline double log1p_f64(double x) {
    double u = 1.0 + x;
    double part_of_x = u - 1.0;
    double half_lost = 0.5 * ((1.0 - (u - part_of_x)) + (x - part_of_x));
    uint64_t bits = bits_f64(u) + ROOT_DISTANCE_F64;
    double k = from_bits_f64((bits >> 52) | bits_f64(TWO_TO_52)) - (TWO_TO_52 + 1023.0);
    double m = from_bits_f64((bits & 0x000fffffffffffffu) + ROOT_BITS_F64);
    double scale = from_bits_f64(0x7ff0000000000000u - (bits & 0x7ff0000000000000u));
    double result = log_of_parts_f64(k, madd_f64(half_lost, scale, m - 1.0));
    result = absolute_f64(x) < 1e-20 ? x : result;
    return log_or_special_f64(u, result);
}

/* ---- tanh and erf -------------------------------------------------------------------------- */

/* (tanh(x) - x) / x^3 in terms of z = x^2, up to x = 0.625. */
static inline float rest_of_tanh_f32(float z) {
    float square = z * z;
    float even = -0.005704989f;
    even = madd_f32(even, square, -0.053739715f);
    even = madd_f32(even, square, -0.3333328f);
    float odd = 0.02063909f;
    odd = madd_f32(odd, square, 0.13331442f);
    return madd_f32(odd, z, even);
}

static inline double rest_of_tanh_f64(double z) {
    double square = z * z;
    double even = -1.6072605098812024e-05;
    even = madd_f64(even, square, -0.00022856427703006756);
    even = madd_f64(even, square, -0.0014549588883385125);
    even = madd_f64(even, square, -0.008863221002890838);
    even = madd_f64(even, square, -0.053968253931268584);
    even = madd_f64(even, square, -0.33333333333332854);
    double odd = 7.714444027812535e-05;
    odd = madd_f64(odd, square, 0.0005863165735623274);
    odd = madd_f64(odd, square, 0.0035919891758733734);
    odd = madd_f64(odd, square, 0.02186948757611477);
    odd = madd_f64(odd, square, 0.13333333333262093);
    return madd_f64(odd, z, even);
}

/* x + x^3 p(x^2) up to 0.625; above, where the result is over 1/2 and so the difference is
 * harmless, 1 - 2 / (exp(2 x) + 1). */
static inline float tanh_f32(float x) {
    float a = absolute_f32(x);
    float z = a * a;
    float low = madd_f32(a * z, rest_of_tanh_f32(z), a);
    float clipped = a > 10.0f ? 10.0f : a;
    float high = 1.0f - 2.0f / (mild_exp_f32(2.0f * clipped) + 1.0f);
    return signed_f32(a < 0.625f ? low : high, x);
}

static inline double tanh_f64(double x) {
    double a = absolute_f64(x);
    double z = a * a;
    double low = madd_f64(a * z, rest_of_tanh_f64(z), a);
    double clipped = a > 20.0 ? 20.0 : a;
    double high = 1.0 - 2.0 / (mild_exp_f64(2.0 * clipped) + 1.0);
    return signed_f64(a < 0.625 ? low : high, x);
}

/* erf(x) / x - 1 in terms of z = x^2, up to x = 0.875. */
static inline float slope_of_erf_f32(float z) {
    float square = z * z;
    float even = 0.0050321817f;
    even = madd_f32(even, square, 0.11282455f);
    even = madd_f32(even, square, 0.12837915f);
    float odd = -0.0006203257f;
    odd = madd_f32(odd, square, -0.026791463f);
    odd = madd_f32(odd, square, -0.3761255f);
    return madd_f32(odd, z, even);
}

static inline double slope_of_erf_f64(double z) {
    double square = z * z;
    double even = 1.4118060941722021e-08;
    even = madd_f64(even, square, 1.645651862334999e-06);
    even = madd_f64(even, square, 0.00012055324326253538);
    even = madd_f64(even, square, 0.005223977622956193);
    even = madd_f64(even, square, 0.11283791670954303);
    even = madd_f64(even, square, 0.1283791670955126);
    double odd = -8.655121099450817e-10;
    odd = madd_f64(odd, square, -1.6288381060003794e-07);
    odd = madd_f64(odd, square, -1.4925381492959364e-05);
    odd = madd_f64(odd, square, -0.0008548326839448788);
    odd = madd_f64(odd, square, -0.026866170644932616);
    odd = madd_f64(odd, square, -0.37612638903183737);
    return madd_f64(odd, z, even);
}

/* log(erfc(x)) from 0.875 to where erf rounds to 1. Its error counts erfc times, at most 0.22. */
static inline float log_of_erfc_f32(float x) {
    float square = x * x;
    float even = 0.0001999008f;
    even = madd_f32(even, square, 0.02238101f);
    even = madd_f32(even, square, -0.6368207f);
    even = madd_f32(even, square, -0.00014421636f);
    float odd = -0.0030819906f;
    odd = madd_f32(odd, square, -0.10425016f);
    odd = madd_f32(odd, square, -1.1278894f);
    return madd_f32(odd, x, even);
}

static inline double log_of_erfc_f64(double x) {
    double square = x * x;
    double even = 2.992445792203929e-10;
    even = madd_f64(even, square, 6.46763537460583e-08);
    even = madd_f64(even, square, 2.888199481152418e-06);
    even = madd_f64(even, square, 3.289969174041613e-05);
    even = madd_f64(even, square, -8.455897704362817e-05);
    even = madd_f64(even, square, -0.0018189508613169006);
    even = madd_f64(even, square, 0.01905650515485749);
    even = madd_f64(even, square, -0.63663090846874);
    even = madd_f64(even, square, -2.060576073737983e-07);
    double odd = -7.41092587455007e-12;
    odd = madd_f64(odd, square, -5.6104823322255366e-09);
    odd = madd_f64(odd, square, -5.103309285058551e-07);
    odd = madd_f64(odd, square, -1.1797736820540365e-05);
    odd = madd_f64(odd, square, -4.567847922527874e-05);
    odd = madd_f64(odd, square, 0.000691588925832762);
    odd = madd_f64(odd, square, 0.0003185047255835552);
    odd = madd_f64(odd, square, -0.10273840376458535);
    odd = madd_f64(odd, square, -1.128376941312181);
    return madd_f64(odd, x, even);
}

/* x + x p(x^2) up to 0.875; above, 1 - erfc(x) with a polynomial for the logarithm of erfc. */
static inline float erf_f32(float x) {
    float a = absolute_f32(x);
    float z = a * a;
    float low = madd_f32(a, slope_of_erf_f32(z), a);
    float high = 1.0f - mild_exp_f32(log_of_erfc_f32(a > 4.0f ? 4.0f : a));
    return signed_f32(a < 0.875f ? low : high, x);
}

static inline double erf_f64(double x) {
    double a = absolute_f64(x);
    double z = a * a;
    double low = madd_f64(a, slope_of_erf_f64(z), a);
    double high = 1.0 - mild_exp_f64(log_of_erfc_f64(a > 6.0 ? 6.0 : a));
    return signed_f64(a < 0.875 ? low : high, x);
}

/* ---- pow ----------------------------------------------------------------------------------- */

/* A sum or product without error: `high` is the rounded value, `low` what it lacks. */
typedef struct {
    double high, low;
} pair_f64;

static inline pair_f64 product_f64(double a, double b) {
    double high = a * b;
#if defined(__FMA__) || defined(__aarch64__)
    pair_f64 pair = {high, fma(a, b, -high)};
#else
    /* Halves of 26 bits have exact products. */
    double a_top = from_bits_f64(bits_f64(a) & 0xfffffffff8000000u);
    double b_top = from_bits_f64(bits_f64(b) & 0xfffffffff8000000u);
    double a_rest = a - a_top;
    double b_rest = b - b_top;
    double low = (a_top * b_top - high) + a_top * b_rest + a_rest * b_top + a_rest * b_rest;
    pair_f64 pair = {high, low};
#endif
    return pair;
}

/* `b` is not larger than `a`, unless `a` is 0. */
static inline pair_f64 sum_f64(double a, double b) {
    double high = a + b;
    pair_f64 pair = {high, b - (high - a)};
    return pair;
}

/* (2 atanh(s) - 2 s - 2/3 s^3) / s^5 in terms of z = s^2. */
static inline double rest_of_cubic_f64(double z) {
    double square = z * z;
    double even = 0.13196213481515973;
    even = madd_f64(even, square, 0.15386756856135816);
    even = madd_f64(even, square, 0.2222222251982311);
    even = madd_f64(even, square, 0.40000000000002256);
    double odd = 0.13256829520421168;
    odd = madd_f64(odd, square, 0.1818178437669427);
    odd = madd_f64(odd, square, 0.2857142857010007);
    return madd_f64(odd, z, even);
}

/* k ln 2 + log(1 + f) to 2^-65 of itself or so: its errors count up to 745 times in a power. With
 * s as in log_of_parts_f64 it is k ln 2 + 2 s + s^3 (2/3 + z q(z)), and all but q is in pairs. */
static inline pair_f64 log_pair_f64(double k, double f) {
    pair_f64 divisor = sum_f64(2.0, f);
    double s = f / divisor.high;
    pair_f64 back = product_f64(s, divisor.high);
    double s_low = ((f - back.high) - back.low - s * divisor.low) / divisor.high;
    pair_f64 z = product_f64(s, s);
    z.low += 2.0 * s * s_low;
    pair_f64 factor = sum_f64(TWO_THIRDS_HIGH, z.high * rest_of_cubic_f64(z.high));
    factor.low += TWO_THIRDS_LOW;
    pair_f64 cube = product_f64(z.high, s);
    cube.low += z.low * s + z.high * s_low;
    pair_f64 rest = product_f64(cube.high, factor.high);
    rest.low += cube.low * factor.high + cube.high * factor.low;
    pair_f64 start = sum_f64(k * LN2_HIGH_F64, 2.0 * s);
    pair_f64 total = sum_f64(start.high, rest.high);
    total.low += start.low + (rest.low + 2.0 * s_low + k * LN2_LOW_F64);
    return sum_f64(total.high, total.low);
}

/* x^y from the power of |x|: its sign, and the cases that are not the exponential of a product.
 * Adding 2^52 rounds |y| to a whole number, whose lowest bit then says whether it is odd. */
static inline double power_or_special_f64(double x, double y, double power) {
    double a = absolute_f64(x);
    double b = absolute_f64(y);
    double sum = b < TWO_TO_52 ? b + TWO_TO_52 : b;
    double whole = b < TWO_TO_52 ? sum - TWO_TO_52 : b;
    uint64_t sign = (bits_f64(sum) << 63) & bits_f64(x);
    sign = ((whole == b) & (b < 9007199254740992.0)) ? sign : 0;
    power = from_bits_f64(bits_f64(power) | sign);
    power = ((x < 0.0) & (x > -INFINITY) & (whole != b)) ? NAN : power;
    power = ((a == 1.0) & (b == INFINITY)) ? 1.0 : power;
    return ((x == 1.0) | (y == 0.0)) ? 1.0 : power;
}

/* In double precision: an error of 2^-53 counts up to 104 times, which is nothing in 24 bits. */
INLINED float pow_f32(float x, float y) {
    double product = y * log_f64(absolute_f64(x));
    product = product > 150.0 ? 150.0 : product;
    product = product < -150.0 ? -150.0 : product;
    return (float)power_or_special_f64(x, y, mild_exp_f64(product));
}

INLINED double pow_f64(double x, double y) {
    double a = absolute_f64(x);
    parts_f64 parts = parts_of_f64(a);
    pair_f64 base_log = log_pair_f64(parts.k, parts.f);
    base_log.high = a > 0.0 ? base_log.high : -INFINITY;
    base_log.high = a < INFINITY ? base_log.high : a;
    pair_f64 product = product_f64(y, base_log.high);
    double power = exp_of_pair_f64(product.high, product.low + y * base_log.low);
    return power_or_special_f64(x, y, power);
}

#endif
