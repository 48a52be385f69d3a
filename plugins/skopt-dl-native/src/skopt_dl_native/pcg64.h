/* Words of NumPy's default generator of random bits. */

#ifndef SKOPT_DL_PCG64_H
#define SKOPT_DL_PCG64_H

#include <stdint.h>

/* The next n words of PCG64 (O'Neill, 2014; output XSL-RR). Its state and its increment are 16 bytes
   each, as this machine orders them; the state moves on. Returns 0 where there are no integers of 128
   bits. */
int pcg64_words(unsigned char *numbers, int64_t n, uint64_t *words);

#endif
