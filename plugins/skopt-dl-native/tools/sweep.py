"""How far the functions of ``functions.h`` are from the exact values, in units in the last place.

``python tools/sweep.py --every 16`` takes one in 16 of all float32 numbers, against float64, and
``--points`` float64 numbers, against mpmath, compiled once for each target of ``--targets``.
"""

import argparse
import ctypes
import math
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from mpmath import mp

PLUGIN = Path(__file__).parent.parent
LOOPS = PLUGIN / "tests" / "functions_loops.c"
NAMES = ("exp", "expm1", "log", "log1p", "tanh", "erf", "pow")
FLAGS = ("-std=c11", "-O3", "-fno-math-errno", "-fno-trapping-math", "-ffp-contract=off")
SUFFIX = {np.float32: "f32", np.float64: "f64"}
INTEGER = {np.float32: np.uint32, np.float64: np.uint64}

# The interval in which a function does more than end in 0, 1, infinity or its argument.
SPANS = {
    (np.float32, "exp"): (-105, 90),
    (np.float64, "exp"): (-747, 711),
    (np.float32, "expm1"): (-31, 90),
    (np.float64, "expm1"): (-61, 711),
    "log": (0, 4),
    "log1p": (-1, 4),
    "tanh": (-21, 21),
    "erf": (-6.5, 6.5),
}
# Where the formula changes, or a part of it jumps or is 0.
EDGES = {
    "exp": [k * math.log(2) / 2 for k in range(-2152, 2050)] + [-104, 89, -746, 710, -87.33655],
    "expm1": [k * math.log(2) / 2 for k in range(-200, 2050)] + [-30, 89, -60, 710, 1e-10, 1e-20],
    "log": [2.0**k * m for k in range(-140, 128) for m in (1, 2**-0.5)],
    "log1p": [2.0**k * m - 1 for k in range(-52, 128) for m in (1, 2**-0.5)] + [1e-10, 1e-20],
    "tanh": [0.625, -0.625, 10, 20, -10] + [k * math.log(2) / 4 for k in range(-120, 120)],
    "erf": [0.875, -0.875, 4, 6, -4, 3.9192059],
}
SPECIAL = (0.0, -0.0, math.inf, -math.inf, math.nan, 1.0, -1.0)


def compiler() -> str | None:
    """Return the C compiler found, one that takes gcc's options."""
    return next(filter(shutil.which, (os.environ.get("CC", ""), "cc", "gcc", "clang")), None)


def compiled(folder: Path, *options: str, source: Path = LOOPS) -> Callable:
    """Compile loops; return ``call(name, *arguments, out=None)``, which applies one to arrays."""
    library = folder / "loops.so"
    include = PLUGIN / "src" / "skopt_dl_native"
    command = [compiler(), *FLAGS, *options, "-shared", "-fPIC", f"-I{include}", str(source)]
    subprocess.run([*command, "-o", str(library), "-lm"], check=True)
    loaded = ctypes.CDLL(str(library))

    def call(name: str, *arguments: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        out = np.empty_like(arguments[0]) if out is None else out
        loop = loaded[f"{name}_{SUFFIX[out.dtype.type]}_loop"]
        places = (ctypes.c_void_p(a.ctypes.data) for a in (out, *arguments))
        loop(*places, ctypes.c_ssize_t(out.size))
        return out

    return call


def anything(rng: np.random.Generator, kind: type, count: int) -> np.ndarray:
    """``count`` numbers of any bits: any exponent, subnormal or not-a-number too."""
    whole = np.iinfo(INTEGER[kind])
    return rng.integers(0, whole.max, count, INTEGER[kind], endpoint=True).view(kind)


def points(name: str, kind: type, count: int, seed: int) -> tuple[np.ndarray, ...]:
    """``count`` arguments: of any bits, over the span of the function, around 0, at its edges."""
    rng = np.random.default_rng(seed)
    if name == "pow":
        return pairs_of_points(rng, kind, count)
    share = count // 4
    low, high = SPANS.get((kind, name)) or SPANS[name]
    spread = rng.uniform(low, high, share).astype(kind)
    near_zero = (2.0 ** rng.uniform(-40, 3, share) * rng.choice([-1, 1], share)).astype(kind)
    rest = count - 3 * share - len(SPECIAL)
    edges = rng.choice(EDGES[name], rest).astype(kind)
    steps = rng.integers(-3, 4, rest).astype(INTEGER[kind])
    at_edges = (edges.view(INTEGER[kind]) + steps).view(kind)
    special = np.array(SPECIAL, kind)
    return (np.concatenate([anything(rng, kind, share), spread, near_zero, at_edges, special]),)


def pairs_of_points(rng: np.random.Generator, kind: type, count: int) -> tuple[np.ndarray, ...]:
    """``count`` bases and exponents: of any bits, with whole exponents, and powers in the range."""
    share = count // 4
    any_base, any_exponent = anything(rng, kind, share), anything(rng, kind, share)
    base = rng.uniform(-4, 4, share).astype(kind)
    whole = rng.integers(-200, 200, share).astype(kind)
    rest = count - 2 * share
    positive = np.abs(anything(rng, kind, rest))
    positive[::2] = 1 + 2.0 ** -rng.uniform(0, 20, positive[::2].size) * rng.choice([-0.5, 1])
    logs = rng.uniform(*SPANS[kind, "exp"], rest)
    with np.errstate(all="ignore"):
        exponent = (logs / np.log(positive.astype(np.float64))).astype(kind)
    bases = np.concatenate([any_base, base, positive])
    return bases, np.concatenate([any_exponent, whole, exponent])


def float64_values(name: str, *arguments: np.ndarray) -> np.ndarray:
    """Return the function of float32 numbers in float64, from NumPy, and erf from Python."""
    with np.errstate(all="ignore"):
        arguments = [a.astype(np.float64) for a in arguments]
        if name == "erf":
            return np.fromiter(map(math.erf, arguments[0]), np.float64, arguments[0].size)
        return getattr(np, name)(*arguments)


def exact_values(name: str, *arguments: np.ndarray) -> list:
    """Return the function of each number as mpmath has it, with 53 bits to spare or more."""
    value_of = exact_power if name == "pow" else lambda x: exact_value(name, x)
    with mp.workprec(160):
        return [value_of(*values) for values in zip(*(a.tolist() for a in arguments), strict=True)]


def exact_value(name: str, x: float):
    """Return one exact value; outside of the domain not-a-number, and -inf for the log of 0."""
    if math.isnan(x) or (name == "log" and x < 0) or (name == "log1p" and x < -1):
        return mp.nan
    if (name, x) in {("log", 0.0), ("log1p", -1.0)}:
        return -mp.inf
    if math.isinf(x) and name in ("tanh", "erf"):
        return mp.sign(x)
    if math.isinf(x) and name in ("exp", "expm1"):
        return mp.inf if x > 0 else mp.mpf(0 if name == "exp" else -1)
    return getattr(mp, name)(mp.mpf(x))


def exact_power(x: float, y: float):
    """Return one exact power; where one of the two is 0 or not finite, what NumPy gives."""
    if x == 0 or not (math.isfinite(x) and math.isfinite(y)):
        with np.errstate(all="ignore"):
            return mp.mpf(float(np.power(x, y)))
    if x < 0 and y != math.floor(y):
        return mp.nan
    return mp.power(mp.mpf(x), mp.mpf(y))


def units_off_float64(got: np.ndarray, want: np.ndarray) -> np.ndarray:
    """Return the errors of float32 ``got`` in units of the last place of float64 ``want``.

    An infinite result counts as the first power of two past the range, where it should not be one.
    The error is infinite where one of the two is not-a-number, or a zero has the wrong sign.
    """
    limit = 2.0**128
    bounded = np.clip(want, -limit, limit)
    exponents = np.where(want == 0, -126, np.maximum(np.frexp(bounded)[1] - 1, -126))
    off = np.abs(np.clip(got.astype(np.float64), -limit, limit) - bounded)
    wrong = np.isnan(got) != np.isnan(want)
    wrong |= (want == 0) & (np.signbit(got) != np.signbit(want))
    units = np.where(np.isnan(want), 0, np.ldexp(off, 23 - exponents))
    return np.where(wrong, np.inf, units)


def units_off_exact(got: np.ndarray, want: list) -> np.ndarray:
    """Return the errors of ``got`` in units of the last place of the exact values ``want``."""
    limits = np.finfo(got.dtype)
    limit = mp.mpf(2) ** limits.maxexp
    units = np.zeros(got.size)
    for i, (g, exact) in enumerate(zip(got.tolist(), want, strict=True)):
        if mp.isnan(exact) or math.isnan(g):
            units[i] = 0 if mp.isnan(exact) and math.isnan(g) else math.inf
            continue
        near = min(max(exact, -limit), limit)
        exponent = max(mp.frexp(near)[1] - 1, limits.minexp) if near else limits.minexp
        found = min(max(mp.mpf(g), -limit), limit)
        units[i] = float(mp.ldexp(abs(found - near), limits.nmant - exponent))
    return units


def float32_blocks(name: str, every: int) -> Iterator[tuple[np.ndarray, ...]]:
    """Yield all float32 numbers, one in ``every`` of them, in blocks; random ones for ``pow``."""
    size = 2**22
    for start in range(0, 2**32, size * every):
        stop = min(start + size * every, 2**32)
        if name == "pow":
            yield points(name, np.float32, (stop - start) // every, seed=start)
        else:
            yield (np.arange(start, stop, every, dtype=np.uint32).view(np.float32),)


def worst_of(checked: Iterator[tuple[tuple[np.ndarray, ...], np.ndarray]]) -> str:
    """Return the largest error of all blocks and the arguments that have it, in words."""
    worst, place = 0.0, ()
    for arguments, units in checked:
        k = int(np.argmax(units))
        if units[k] > worst:
            worst, place = units[k], tuple(a[k].item() for a in arguments)
    return f"{worst:.3f} at {', '.join(map(repr, place))}"


def main() -> None:
    """Print the worst error of each function, type and target."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--every", type=int, default=64)
    parser.add_argument("--points", type=int, default=20_000)
    parser.add_argument("--names", nargs="+", default=NAMES)
    parser.add_argument("--targets", nargs="+", default=["native", "x86-64-v2"])
    given = parser.parse_args()
    for target in given.targets:
        with tempfile.TemporaryDirectory() as folder:
            call = compiled(Path(folder), f"-march={target}")
        for name in given.names:
            single = worst_of(
                (x, units_off_float64(call(name, *x), float64_values(name, *x)))
                for x in float32_blocks(name, given.every)
            )
            print(f"{target} {name}_f32: {single}", flush=True)
            x = points(name, np.float64, given.points, seed=given.points)
            double = worst_of([(x, units_off_exact(call(name, *x), exact_values(name, *x)))])
            print(f"{target} {name}_f64: {double}", flush=True)


if __name__ == "__main__":
    main()
