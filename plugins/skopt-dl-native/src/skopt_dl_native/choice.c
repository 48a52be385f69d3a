/* Which of the compiled interpreters this processor can run. */

#include "choice.h"

extern int interpret(const Task *, int64_t, int64_t, int64_t, char *, char *, const Blas *,
                     Team *);
extern int interpret_v3(const Task *, int64_t, int64_t, int64_t, char *, char *, const Blas *,
                     Team *);
extern int interpret_v4(const Task *, int64_t, int64_t, int64_t, char *, char *, const Blas *,
                     Team *);

#if defined(HAS_V3) && defined(_MSC_VER)
#include <immintrin.h>
#include <intrin.h>

static int level(void) {
    int one[4], seven[4], most[4];
    __cpuid(most, 0);
    __cpuid(one, 1);
    if (most[0] < 7 || !(one[2] & (1 << 27)) || !(one[2] & (1 << 12))) return 2;
    __cpuidex(seven, 7, 0);
    const unsigned long long states = _xgetbv(0);
    const int avx512 = (1 << 16) | (1 << 17) | (1 << 28) | (1 << 30) | (int)(1u << 31);
    if ((states & 0xe6) == 0xe6 && (seven[1] & avx512) == avx512) return 4;
    return (states & 6) == 6 && (seven[1] & (1 << 5)) ? 3 : 2;
}
#elif defined(HAS_V3)
static int level(void) {
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512vl"))
        return 4;
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? 3 : 2;
}
#endif

Interpreter interpreter(void) {
#ifdef HAS_V3
    const int found = level();
    return found == 4 ? interpret_v4 : found == 3 ? interpret_v3 : interpret;
#else
    return interpret;
#endif
}

const char *instruction_set(void) {
#ifdef HAS_V3
    const int found = level();
    return found == 4 ? "x86-64-v4" : found == 3 ? "x86-64-v3" : "x86-64-v2";
#else
    return "baseline";
#endif
}

int has_avx512(void) {
#ifdef HAS_V3
    return level() == 4;
#else
    return 0;
#endif
}
