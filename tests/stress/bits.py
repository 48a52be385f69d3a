"""Train many random models in random stacks, and count those that differ from the same alone.

    python tests/stress/bits.py --models 20000

Prints each model that differs, to the last bit, in weights, history, epochs, generator, state to go
on from or predictions, and ends with the numbers of both. Every family of fits is also trained with
one and with two threads of BLAS, and every tenth in a process of its own.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

TESTS = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TESTS))

import random_fits  # noqa: E402


def digests(seed: int, large: bool) -> list[str]:
    """What a family's fits come to, each alone."""
    jobs = random_fits.Family([11, seed], large=large).jobs(random_fits.MANY)
    return [random_fits.digest(found) for found in random_fits.alone(jobs)]


def compare(seed: int, large: bool) -> tuple[int, int, list[str]]:
    """Train a family in several groupings: models, those in stacks, and what differs."""
    jobs = random_fits.Family([11, seed], large=large).jobs(random_fits.MANY)
    rng = np.random.default_rng([12, seed])
    n_threads = 1 + seed % 2
    with threadpool_limits(n_threads, user_api="blas"):
        alone = random_fits.alone(jobs)
    n_models, n_stacked, wrong = 0, 0, []
    for widest in (100, int(rng.integers(2, 6))):
        members = rng.permutation(len(jobs))[: rng.integers(2, len(jobs) + 1)].tolist()
        with threadpool_limits(3 - n_threads, user_api="blas"):
            found = random_fits.grouped(jobs, members, widest)
        for k, (result, width) in found.items():
            n_models, n_stacked = n_models + 1, n_stacked + (width > 1)
            names = random_fits.differences(alone[k], result)
            if names:
                wrong.append(f"seed {seed}, fit {k}, stack of {width}: {', '.join(names)}")
    if seed % 10 == 0:
        n_models += len(jobs)
        here = [random_fits.digest(each) for each in alone]
        command = [sys.executable, __file__, "--digests", str(seed), *["--large"] * large]
        there = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
        wrong += [
            f"seed {seed}, fit {k}, another process"
            for k, (one, other) in enumerate(zip(here, there, strict=True))
            if one != other
        ]
    return n_models, n_stacked, wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--models", type=int, default=2000, help="how many to train in stacks")
    parser.add_argument("--first", type=int, default=0, help="the first family's seed")
    parser.add_argument("--large", action="store_true", help="products that threads share")
    parser.add_argument("--digests", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    if options.digests is not None:
        print("\n".join(digests(options.digests, options.large)))
        return 0
    began, seed, n_models, n_stacked, n_wrong = time.time(), options.first, 0, 0, 0
    while n_models < options.models:
        models, stacked, wrong = compare(seed, options.large)
        n_models, n_stacked, n_wrong = n_models + models, n_stacked + stacked, n_wrong + len(wrong)
        for line in wrong:
            print(line, flush=True)
        seed += 1
        if seed % 50 == 0:
            print(f"{n_wrong} of {n_models} models differ so far", file=sys.stderr, flush=True)
    print(
        f"{n_wrong} of {n_models} models differ, {n_stacked} of them in stacks of several; "
        f"families {options.first} to {seed - 1}, {time.time() - began:.0f} s"
    )
    return 1 if n_wrong else 0


if __name__ == "__main__":
    sys.exit(main())
