/* PCG64 in several places of its sequence at a time: one step waits for the one before it. */

#include "pcg64.h"

#if defined(__SIZEOF_INT128__)

__extension__ typedef unsigned __int128 u128;

#define PLACES 3
#define MULTIPLIER ((u128)0x2360ED051FC65DA4u << 64 | 0x4385DF649FCCF645u)

static inline u128 whole(const uint64_t *halves) { return (u128)halves[1] << 64 | halves[0]; }

static inline uint64_t word_of(u128 state) {
    const uint64_t mixed = (uint64_t)(state >> 64) ^ (uint64_t)state;
    const unsigned turns = (unsigned)(state >> 122);
    return mixed >> turns | mixed << (-turns & 63);
}

int pcg64_words(uint64_t *state, const uint64_t *increment, int64_t n, uint64_t *words) {
    const u128 inc = whole(increment);
    u128 last = whole(state), next[PLACES], factor = 1, shift = 0;
    for (int j = 0; j < PLACES; j++) {
        next[j] = (j ? next[j - 1] : last) * MULTIPLIER + inc;
        factor *= MULTIPLIER;
        shift = shift * MULTIPLIER + inc;
    }
    int64_t i = 0;
    for (; i + PLACES <= n; i += PLACES) {
        last = next[PLACES - 1];
        for (int j = 0; j < PLACES; j++) {
            words[i + j] = word_of(next[j]);
            next[j] = next[j] * factor + shift;
        }
    }
    for (int j = 0; i + j < n; j++) words[i + j] = word_of(last = next[j]);
    state[0] = (uint64_t)last;
    state[1] = (uint64_t)(last >> 64);
    return 1;
}

#else

int pcg64_words(uint64_t *state, const uint64_t *increment, int64_t n, uint64_t *words) {
    (void)state, (void)increment, (void)n, (void)words;
    return 0;
}

#endif
