/* Orders and random bits, drawn from NumPy's default generator as NumPy does it. */

#ifndef SKOPT_DL_DRAWS_H
#define SKOPT_DL_DRAWS_H

#include <stdint.h>

/* A generator's state: PCG64's numbers, and the half of a word that is left of the last one, if any. */
typedef struct {
    unsigned char numbers[32];
    uint32_t has_half, half;
} State;

/* What is written, and its elements: an order of rows, or of numbers from 0 on where there are none;
   whether 16 bits each of whole words are at least a level; or 1. */
enum { ORDER, BITS, ONES };

typedef struct {
    int64_t kind, generator;
    char *out;
    int64_t n;
    union { const int64_t *rows; int64_t level; } of;
} Draw;

/* Draw what is for one generator side by side, in order. Returns 0 where there are no integers of 128
   bits. */
int draw_all(State *states, const Draw *draws, int64_t n_draws);

#endif
