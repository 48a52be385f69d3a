"""A million events for the scheduler of searches, in worlds that end and begin anew.

Run as ``python tests/stress/schedules.py --events 1000000``. A world that fails is made again by
``--only SEED``.
"""

import argparse
import random
import sys
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from scheduling import World

# Long enough for every state, and for lots of all sizes; a step looks at every task there is.
EVENTS_OF_A_WORLD = 400


def limits(rng):
    """What a search may be limited to."""
    return {
        "n_tasks": rng.choice([1, 2, 3, 8, 32, 64, 200]),
        "n_cores": rng.choice([1, 1, 2, 4, 8]),
        "n_processes": rng.choice([0, 0, 2, 3, 8]),
        "n_remote": rng.choice([0, 0, 0, 3]),
        "memory": rng.choice([1, 1 << 30, 1 << 30, 1 << 41]),
    }


def live(seed):
    """One world from its beginning to its end; return it."""
    rng = random.Random(seed)
    world = World(rng.choice, **limits(rng))
    # In some, tasks are submitted at once, as by a search; in others as chance will.
    for _ in range(rng.choice([0, 5, 40])):
        world.submit()
    n_events = rng.randrange(20, EVENTS_OF_A_WORLD)
    ends_early = rng.random() < 0.2
    while world.n_events < n_events:
        world.step()
        if ends_early and not world.aborted and rng.random() < 2 / n_events:
            world.let_abort()
    world.finish()
    return world


def stress(n_events, seed=0, seconds=float("inf")):
    """Let worlds live until there were so many events; return counts and what failed."""
    counts, failures, began = Counter(), {}, time.monotonic()
    while counts["events"] < n_events and time.monotonic() - began < seconds:
        counts["worlds"] += 1
        try:
            world = live(seed)
        except Exception as error:
            stuck = isinstance(error, AssertionError) and str(error).startswith("stuck")
            counts["deadlocks" if stuck else "broken invariants"] += 1
            failures[seed] = f"{type(error).__name__}: {error}"
        else:
            counts["events"] += world.n_events
            counts["tasks"] += world.n_submitted
        seed += 1
    return counts, failures


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=float("inf"))
    parser.add_argument("--only", type=int, help="the seed of one world")
    given = parser.parse_args()
    if given.only is not None:
        live(given.only)
        return
    began = time.monotonic()
    counts, failures = stress(given.events, given.seed, 60 * given.minutes)
    names = "events", "tasks", "worlds", "deadlocks", "broken invariants"
    print(", ".join(f"{counts[name]:,} {name}" for name in names), end=" ")
    print(f"in {time.monotonic() - began:.0f} s")
    for seed, failure in failures.items():
        print(f"--only {seed}: {failure}")
    sys.exit(bool(failures))


if __name__ == "__main__":
    main()
