/* Parts are taken by a number that all threads increase; see team.h. */

#include "team.h"

#include <stdatomic.h>
#include <stdlib.h>

#if defined(_WIN32)
#include <windows.h>
#define YIELD SwitchToThread()
#else
#include <sched.h>
#define YIELD sched_yield()
#endif

#if defined(_MSC_VER) && (defined(_M_X64) || defined(_M_IX86))
#include <immintrin.h>
#define PAUSE _mm_pause()
#elif defined(__x86_64__) || defined(__i386__)
#define PAUSE __builtin_ia32_pause()
#else
#define PAUSE ((void)0)
#endif

/* Looks before a thread that waits lets others have its core. */
#define PATIENCE 2000
/* Parts for each thread, so that one which is kept from its core delays little. */
#define PARTS 4
#define NUMBER_BITS 24
#define NO_NUMBER (((uint64_t)1 << NUMBER_BITS) - 1)

struct Team {
    /* How often something was shared, and the next part of it: what a thread has read of the work
       is of this turn if the turn is still the same when it takes the part. */
    _Atomic uint64_t turn;
    _Atomic(Part) part;
    _Atomic(const void *) work;
    _Atomic int64_t n_parts, n_done;
    _Atomic int is_dismissed;
    int64_t n_threads;
};

Team *new_team(int64_t n_threads) {
    Team *team = calloc(1, sizeof(Team));
    if (team) team->n_threads = n_threads;
    return team;
}

void free_team(Team *team) { free(team); }

int64_t parts_for(const Team *team, int64_t size, int64_t least) {
    if (!team) return 1;
    const int64_t most = PARTS * team->n_threads, n_parts = size / least;
    return n_parts < 1 ? 1 : n_parts < most ? n_parts : most;
}

static void look_again(int64_t n_looks) {
    if (n_looks < PATIENCE)
        PAUSE;
    else
        YIELD;
}

/* Do the next part; 0 where there is none. */
static int take(Team *team, char *scratch, char *slots) {
    uint64_t turn = atomic_load_explicit(&team->turn, memory_order_acquire);
    const Part part = atomic_load_explicit(&team->part, memory_order_relaxed);
    const void *work = atomic_load_explicit(&team->work, memory_order_relaxed);
    const int64_t number = (int64_t)(turn & NO_NUMBER);
    if (number >= atomic_load_explicit(&team->n_parts, memory_order_relaxed)) return 0;
    if (atomic_compare_exchange_strong_explicit(&team->turn, &turn, turn + 1, memory_order_acq_rel,
                                                memory_order_relaxed)) {
        part(work, number, scratch, slots);
        atomic_fetch_add_explicit(&team->n_done, 1, memory_order_release);
    }
    return 1;
}

void share(Team *team, Part part, const void *work, int64_t n_parts, char *scratch, char *slots) {
    if (!team || n_parts < 2) {
        for (int64_t number = 0; number < n_parts; number++) part(work, number, scratch, slots);
        return;
    }
    const uint64_t before = atomic_load_explicit(&team->turn, memory_order_relaxed);
    const uint64_t turn = ((before >> NUMBER_BITS) + 1) << NUMBER_BITS;
    /* Nothing can be taken while this is written. */
    atomic_exchange_explicit(&team->turn, turn | NO_NUMBER, memory_order_acq_rel);
    atomic_store_explicit(&team->part, part, memory_order_relaxed);
    atomic_store_explicit(&team->work, work, memory_order_relaxed);
    atomic_store_explicit(&team->n_parts, n_parts, memory_order_relaxed);
    atomic_store_explicit(&team->n_done, 0, memory_order_relaxed);
    atomic_store_explicit(&team->turn, turn, memory_order_release);
    while (take(team, scratch, slots)) continue;
    for (int64_t n_looks = 1; atomic_load_explicit(&team->n_done, memory_order_acquire) < n_parts;)
        look_again(n_looks++);
}

void help(Team *team, char *scratch, char *slots) {
    int64_t n_looks = 0;
    while (!atomic_load_explicit(&team->is_dismissed, memory_order_acquire)) {
        if (take(team, scratch, slots))
            n_looks = 0;
        else
            look_again(++n_looks);
    }
}

void dismiss(Team *team) { atomic_store_explicit(&team->is_dismissed, 1, memory_order_release); }
