#ifndef SKOPT_DL_CHOICE_H
#define SKOPT_DL_CHOICE_H

#include "interpreter.h"

/* The interpreter for the best vector instructions that this processor has, and their name. */
Interpreter interpreter(void);
const char *instruction_set(void);

/* Whether it has AVX-512, with vectors of words (DQ). */
int has_avx512(void);

#endif
