/* Words of NumPy's default generator of random bits. */

#ifndef SKOPT_DL_PCG64_H
#define SKOPT_DL_PCG64_H

#include <stdint.h>

/* The next n words of PCG64 (O'Neill, 2014; output XSL-RR), whose state and increment are 128 bits
   each, the low half first; the state moves on. Returns 0 where there are no integers of 128 bits. */
int pcg64_words(uint64_t *state, const uint64_t *increment, int64_t n, uint64_t *words);

#endif
