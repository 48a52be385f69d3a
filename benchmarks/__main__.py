"""``python -m benchmarks [WHAT]``: one part, or all that have floors."""

from __future__ import annotations

import argparse
import sys
from importlib.util import find_spec

WHAT = (
    "speed",
    "memory",
    "import",
    "features",
    "search",
    "journal",
    "lab",
    "limits",
    "vmap",
    "convolutions",
    "networks",
    "all",
)


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measure skopt_dl against its floors; exits with 1 when one is missed.",
    )
    parser.add_argument(
        "what",
        nargs="?",
        default="speed",
        choices=WHAT,
    )
    parser.add_argument(
        "--rounds", type=int, default=15, help="of speed, import and features (default: 15)"
    )
    parser.add_argument(
        "--workload",
        action="append",
        help="of speed, search and networks: only this one; may be given several times",
    )
    parser.add_argument(
        "--contender",
        action="append",
        help="of search: only this one beside the stacked search; may be given several times",
    )
    parser.add_argument("--engine", help="of search: what trains (default: the best installed)")
    parser.add_argument(
        "--threads", type=int, default=1, help="of speed: of each library (default: 1)"
    )
    parser.add_argument("--save", action="store_true", help="write benchmarks/results/*.json")
    args = parser.parse_args()

    from benchmarks import (
        convolutions,
        features,
        imports,
        journal,
        lab,
        limits,
        memory,
        networks,
        report,
        search,
        speed,
        vmap,
        workloads,
    )

    parts = {"search": search.SEARCHES, "networks": networks.WORKLOADS}
    known = [each.name for each in parts.get(args.what, workloads.WORKLOADS)]
    for option, given, those in (
        ("--workload", args.workload, known),
        ("--contender", args.contender, search.CONTENDERS),
        ("--engine", args.engine and [args.engine], workloads.ENGINES),
    ):
        for name in given or ():
            if name not in those:
                parser.error(f"{option} {name!r} is not one of {', '.join(map(repr, those))}")
    report.print_machine()
    if find_spec("torch") is None:
        print("torch is not installed, so it is left out: pip install -e '.[bench]'\n")
    ok = True
    if args.what in ("import", "all"):
        ok &= imports.run(args.rounds, args.save)
    if args.what in ("memory", "all"):
        ok &= memory.run(args.save)
    if args.what in ("speed", "all"):
        ok &= speed.run(args.rounds, args.workload, args.save, args.threads)
    if args.what in ("features", "all"):
        ok &= features.run(args.rounds, args.save)
    if args.what == "search":
        engine = args.engine or workloads.ENGINES[-1]
        rounds = min(args.rounds, 3)
        ok &= search.run(rounds, args.workload, args.contender, engine, args.save)
    if args.what == "journal":
        ok &= journal.run(min(args.rounds, 7), args.save)
    if args.what in ("lab", "all"):
        ok &= lab.run(min(args.rounds, 3), args.save)
    if args.what == "limits":
        ok &= limits.run(min(args.rounds, 5), args.save)
    if args.what == "vmap":
        ok &= vmap.run(min(args.rounds, 5), args.save)
    if args.what == "convolutions":
        ok &= convolutions.run(args.rounds, args.save)
    if args.what == "networks":
        ok &= networks.run(min(args.rounds, 8), args.workload, args.save)
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
