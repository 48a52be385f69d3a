/* Which of the compiled interpreters this processor can run. */

#include "choice.h"

extern int interpret(const Task *, int64_t, int64_t, int64_t, char *, char *, const Blas *,
                     Team *);
extern int interpret_v3(const Task *, int64_t, int64_t, int64_t, char *, char *, const Blas *,
                     Team *);
extern int interpret_v4(const Task *, int64_t, int64_t, int64_t, char *, char *, const Blas *,
                     Team *);

#if defined(HAS_V3)
#include <stdatomic.h>

/* By the processor's own words: not every compiler's library knows them. */
#if defined(_MSC_VER)
#include <immintrin.h>
#include <intrin.h>

static void ask(unsigned leaf, unsigned found[4]) { __cpuidex((int *)found, (int)leaf, 0); }

static unsigned kept_states(void) { return (unsigned)_xgetbv(0); }
#else
#include <cpuid.h>

static void ask(unsigned leaf, unsigned found[4]) {
    __cpuid_count(leaf, 0, found[0], found[1], found[2], found[3]);
}

static unsigned kept_states(void) {
    unsigned low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return low;
}
#endif

#define BIT(n) (1u << (n))

static int has_all(unsigned found, unsigned wanted) { return (found & wanted) == wanted; }

/* The level of x86-64, as compilers define these, that the processor has and the system keeps the
   registers of. */
static int found_level(void) {
    unsigned most[4], most_extended[4], one[4], seven[4], extended[4];
    ask(0, most), ask(0x80000000u, most_extended);
    if (most[0] < 7 || most_extended[0] < 0x80000001u) return 2;
    ask(1, one), ask(7, seven), ask(0x80000001u, extended);
    /* FMA, MOVBE, OSXSAVE, AVX, F16C; BMI1, AVX2, BMI2; LZCNT. */
    if (!has_all(one[2], BIT(12) | BIT(22) | BIT(27) | BIT(28) | BIT(29)) ||
        !has_all(seven[1], BIT(3) | BIT(5) | BIT(8)) || !has_all(extended[2], BIT(5)))
        return 2;
    const unsigned states = kept_states();
    /* AVX-512's F, DQ, CD, BW and VL. */
    if (has_all(states, 0xe6) && has_all(seven[1], BIT(16) | BIT(17) | BIT(28) | BIT(30) | BIT(31)))
        return 4;
    return has_all(states, 6) ? 3 : 2;
}

/* Asked once: a virtual machine takes microseconds to answer. */
static int level(void) {
    static atomic_int known;
    int found = atomic_load_explicit(&known, memory_order_relaxed);
    if (!found) atomic_store_explicit(&known, found = found_level(), memory_order_relaxed);
    return found;
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
