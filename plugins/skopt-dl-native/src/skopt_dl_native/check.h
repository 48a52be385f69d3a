#ifndef SKOPT_DL_CHECK_H
#define SKOPT_DL_CHECK_H

#include "interpreter.h"

/* What is wrong with a code; NULL where it may be run. */
const char *check_code(const int64_t *code, int64_t n_words);

/* Whether a function's results are bools, or its first input is one of them; how many inputs it has,
   and of which dtypes it is. */
int is_test(int64_t function);
int takes_condition(int64_t function);
int n_inputs(int64_t function);
int has_function(int64_t function, int64_t dtype);

#endif
