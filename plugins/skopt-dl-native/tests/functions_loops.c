/* One plain loop for each function of functions.h, for test_functions.py and tools/sweep.py. */
#include <stddef.h>

#include "functions.h"

#if defined(_MSC_VER)
#define EXPORTED __declspec(dllexport)
#else
#define EXPORTED
#endif

#define LOOP(name, type)                                                \
    EXPORTED void name##_loop(type *out, const type *in, ptrdiff_t n) { \
        for (ptrdiff_t i = 0; i < n; i++) out[i] = name(in[i]);         \
    }

#define LOOPS(name)         \
    LOOP(name##_f32, float) \
    LOOP(name##_f64, double)

LOOPS(exp)
LOOPS(expm1)
LOOPS(log)
LOOPS(log1p)
LOOPS(tanh)
LOOPS(erf)

#define LOOP_OF_TWO(name, type)                                                        \
    EXPORTED void name##_loop(type *out, const type *x, const type *y, ptrdiff_t n) {  \
        for (ptrdiff_t i = 0; i < n; i++) out[i] = name(x[i], y[i]);                   \
    }

LOOP_OF_TWO(pow_f32, float)
LOOP_OF_TWO(pow_f64, double)
