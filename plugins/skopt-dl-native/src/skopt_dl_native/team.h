/* Threads that share the parts of an instruction.

   One leads: it shares out parts, and takes some itself. Helpers take others while they are there;
   nobody waits for one that has not come. Which thread does a part changes no result. */

#ifndef SKOPT_DL_TEAM_H
#define SKOPT_DL_TEAM_H

#include <stdint.h>

typedef struct Team Team;

/* Do one part of some work, with memory that no other thread uses. */
typedef void (*Part)(const void *work, int64_t number, char *scratch, char *slots);

/* NULL where there is no memory; of so many threads, its leader's included. */
Team *new_team(int64_t n_threads);
void free_team(Team *team);

/* How many parts are worth making of work of a size, where each is of a least size. */
int64_t parts_for(const Team *team, int64_t size, int64_t least);

/* Do all parts; without a team one after the other. */
void share(Team *team, Part part, const void *work, int64_t n_parts, char *scratch, char *slots);

/* Take parts until the team is dismissed. */
void help(Team *team, char *scratch, char *slots);
void dismiss(Team *team);

#endif
