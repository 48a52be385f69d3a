/* A leader that shares out work of one part and of many, with helpers that come when they come. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "team.h"

enum { N_HELPERS = 3, N_TIMES = 20000, MOST = 40 };

/* No atomics: who does a part, and who leads, must have nothing else to do with each other. */
typedef struct { int64_t n_done[MOST], n_parts; } Work;

static void part(const void *work, int64_t number, char *scratch, char *slots) {
    (void)slots;
    Work *found = (Work *)work;
    ++*(int64_t *)scratch;
    found->n_done[number] += 1;
}

static void *helper(void *team) {
    int64_t *count = calloc(1, sizeof *count);
    help(team, (char *)count, NULL);
    return count;
}

int main(void) {
    Team *team = new_team(N_HELPERS + 1);
    pthread_t threads[N_HELPERS];
    int64_t own = 0, all = 0, wanted = 0;
    for (int i = 0; i < N_HELPERS; i++) pthread_create(threads + i, NULL, helper, team);
    for (int64_t time = 0; time < N_TIMES; time++) {
        Work work = {{0}, time % MOST + 1};
        share(team, part, &work, work.n_parts, (char *)&own, NULL);
        for (int64_t i = 0; i < MOST; i++)
            if (work.n_done[i] != (i < work.n_parts)) return 1;
        wanted += work.n_parts;
    }
    dismiss(team);
    for (int i = 0; i < N_HELPERS; i++) {
        void *count;
        pthread_join(threads[i], &count);
        all += *(int64_t *)count;
        free(count);
    }
    free_team(team);
    printf("%lld of %lld parts by helpers\n", (long long)all, (long long)wanted);
    return all + own == wanted ? 0 : 2;
}
