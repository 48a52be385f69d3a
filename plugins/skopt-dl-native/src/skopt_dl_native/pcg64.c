/* PCG64 in several places of its sequence at a time: one step waits for the one before it. */

#include "pcg64.h"

#include <string.h>

#include "choice.h"

#if defined(__SIZEOF_INT128__)

__extension__ typedef unsigned __int128 u128;

#define MULTIPLIER ((u128)0x2360ED051FC65DA4u << 64 | 0x4385DF649FCCF645u)
#define MOST_PLACES 32
/* Words for which it is worth to find so many places. */
#define WORTH_VECTORS 256

/* The next states, and what brings each as many steps on: state * factor + shift. */
typedef struct {
    u128 next[MOST_PLACES], factor, shift;
} Places;

static Places places_of(u128 state, u128 increment, int n) {
    Places places;
    places.factor = 1, places.shift = 0;
    for (int j = 0; j < n; j++) {
        places.next[j] = state = state * MULTIPLIER + increment;
        places.factor *= MULTIPLIER;
        places.shift = places.shift * MULTIPLIER + increment;
    }
    return places;
}

static inline uint64_t word_of(u128 state) {
    const uint64_t mixed = (uint64_t)(state >> 64) ^ (uint64_t)state;
    const unsigned turns = (unsigned)(state >> 122);
    return mixed >> turns | mixed << (-turns & 63);
}

/* Words of n - 1 steps at most, as many at once as there are places; returns how many they are. */
static int64_t in_threes(Places *places, int64_t n, uint64_t *words) {
    u128 a = places->next[0], b = places->next[1], c = places->next[2];
    const u128 factor = places->factor, shift = places->shift;
    int64_t i = 0;
    for (; i + 3 < n; i += 3) {
        words[i] = word_of(a), words[i + 1] = word_of(b), words[i + 2] = word_of(c);
        a = a * factor + shift, b = b * factor + shift, c = c * factor + shift;
    }
    places->next[0] = a, places->next[1] = b, places->next[2] = c;
    return i;
}

#if defined(__x86_64__)
#include <immintrin.h>

#define VECTORS (MOST_PLACES / 8)
#define WITH_AVX512 __attribute__((target("avx512f,avx512dq")))

/* The same in vectors of eight places: a product of 128 bits is made of those of halves of words. */
WITH_AVX512 static int64_t in_vectors(Places *places, int64_t n, uint64_t *words) {
    uint64_t halves[2][MOST_PLACES];
    for (int j = 0; j < MOST_PLACES; j++) {
        halves[0][j] = (uint64_t)places->next[j];
        halves[1][j] = (uint64_t)(places->next[j] >> 64);
    }
    const __m512i factor_low = _mm512_set1_epi64((int64_t)places->factor);
    const __m512i factor_high = _mm512_set1_epi64((int64_t)(places->factor >> 64));
    const __m512i factor_1 = _mm512_srli_epi64(factor_low, 32);
    const __m512i shift_low = _mm512_set1_epi64((int64_t)places->shift);
    const __m512i shift_high = _mm512_set1_epi64((int64_t)(places->shift >> 64));
    const __m512i one = _mm512_set1_epi64(1), half = _mm512_set1_epi64(0xffffffff);
    __m512i low[VECTORS], high[VECTORS];
    for (int v = 0; v < VECTORS; v++) {
        low[v] = _mm512_loadu_si512(halves[0] + 8 * v);
        high[v] = _mm512_loadu_si512(halves[1] + 8 * v);
    }
    int64_t i = 0;
    for (; i + MOST_PLACES < n; i += MOST_PLACES)
        for (int v = 0; v < VECTORS; v++) {
            const __m512i l = low[v], h = high[v], l_1 = _mm512_srli_epi64(l, 32);
            const __m512i mixed = _mm512_xor_si512(h, l), turns = _mm512_srli_epi64(h, 58);
            _mm512_storeu_si512(words + i + 8 * v, _mm512_rorv_epi64(mixed, turns));
            const __m512i p_00 = _mm512_mul_epu32(l, factor_low);
            const __m512i p_01 = _mm512_mul_epu32(l, factor_1);
            const __m512i p_10 = _mm512_mul_epu32(l_1, factor_low);
            const __m512i p_11 = _mm512_mul_epu32(l_1, factor_1);
            const __m512i middle = _mm512_add_epi64(
                _mm512_add_epi64(_mm512_srli_epi64(p_00, 32), _mm512_and_si512(p_01, half)), p_10);
            const __m512i carried = _mm512_add_epi64(
                _mm512_add_epi64(p_11, _mm512_srli_epi64(p_01, 32)), _mm512_srli_epi64(middle, 32));
            const __m512i crossed = _mm512_add_epi64(_mm512_mullo_epi64(l, factor_high),
                                                     _mm512_mullo_epi64(h, factor_low));
            const __m512i product =
                _mm512_mask_blend_epi32(0xaaaa, p_00, _mm512_slli_epi64(middle, 32));
            low[v] = _mm512_add_epi64(product, shift_low);
            high[v] = _mm512_add_epi64(_mm512_add_epi64(carried, crossed), shift_high);
            const __mmask8 carries = _mm512_cmplt_epu64_mask(low[v], shift_low);
            high[v] = _mm512_mask_add_epi64(high[v], carries, high[v], one);
        }
    for (int v = 0; v < VECTORS; v++) {
        _mm512_storeu_si512(halves[0] + 8 * v, low[v]);
        _mm512_storeu_si512(halves[1] + 8 * v, high[v]);
    }
    for (int j = 0; j < MOST_PLACES; j++) places->next[j] = (u128)halves[1][j] << 64 | halves[0][j];
    return i;
}
#else
static int64_t in_vectors(Places *places, int64_t n, uint64_t *words) {
    return in_threes(places, n, words);
}
#endif

int pcg64_words(unsigned char *numbers, int64_t n, uint64_t *words) {
    u128 state, increment;
    memcpy(&state, numbers, 16);
    memcpy(&increment, numbers + 16, 16);
    const int wide = n >= WORTH_VECTORS && has_avx512();
    Places places = places_of(state, increment, wide ? MOST_PLACES : 3);
    int64_t i = wide ? in_vectors(&places, n, words) : in_threes(&places, n, words);
    for (const u128 *next = places.next; i < n; i++) words[i] = word_of(state = *next++);
    memcpy(numbers, &state, 16);
    return 1;
}

#else

int pcg64_words(unsigned char *numbers, int64_t n, uint64_t *words) {
    (void)numbers, (void)n, (void)words;
    return 0;
}

#endif
