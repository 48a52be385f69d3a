"""The polynomials of ``functions.h``, by Remez's exchange: ``python tools/coefficients.py [NAME]``.

Each is printed as the function that ``functions.h`` has, below a line with the largest weighted
error once the coefficients are rounded to their type.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from mpmath import mp, mpf

mp.prec = 200
GRID = 1200
ROUNDS = 30
HALF_LN2 = mp.log(2) / 2
# The reduced argument can pass half of ln 2 by the rounding of x / ln 2.
REDUCED = HALF_LN2 * (1 + mpf(2) ** -12)
SQRT2 = mp.sqrt(2)
# s = f / (2 + f) for f up to the root of 2 less 1.
LARGEST_S = (SQRT2 - 1) / (SQRT2 + 1)


@dataclass(frozen=True)
class Fit:
    """``function`` on ``[low, high]`` by a polynomial whose error counts ``weight`` times.

    Where ``squared`` is set, the polynomial is one in the square of the argument.
    """

    function: Callable[[mpf], mpf]
    weight: Callable[[mpf], mpf]
    low: mpf
    high: mpf
    degree: int
    single: bool
    squared: bool = False


def rest_of_exp(r):
    """``(exp(r) - 1 - r) / r²``."""
    return (mp.expm1(r) - r) / r**2 if r else mpf(1) / 2


def rest_of_log(f):
    """``(log(1 + f) - f + f²/2) / f³``."""
    return (mp.log1p(f) - f + f**2 / 2) / f**3 if f else mpf(1) / 3


def rest_of_atanh(s):
    """``(2 atanh(s) - 2 s) / s³``."""
    return 2 * (mp.atanh(s) - s) / s**3 if s else mpf(2) / 3


def rest_of_cubic(s):
    """``(2 atanh(s) - 2 s - 2/3 s³) / s⁵``."""
    return (rest_of_atanh(s) - mpf(2) / 3) / s**2 if s else mpf(2) / 5


def rest_of_tanh(x):
    """``(tanh(x) - x) / x³``."""
    return (mp.tanh(x) - x) / x**3 if x else -mpf(1) / 3


def slope_of_erf(x):
    """``erf(x) / x - 1``: one is taken off, so that the rounding of ``x`` stays the only one."""
    return mp.erf(x) / x - 1 if x else 2 / mp.sqrt(mp.pi) - 1


def log_of_erfc(x):
    """``log(erfc(x))``."""
    return mp.log(mp.erfc(x))


def small(function, rest_power):
    """How much an error of the rest counts in units of the function's value, near 0."""
    return lambda x: abs(x**rest_power / function(x)) if x else mpf(0)


SPLIT_TANH, SPLIT_ERF = mpf("0.625"), mpf("0.875")

FITS = {
    "rest_of_log_f32": Fit(rest_of_log, small(mp.log1p, 3), 1 / SQRT2 - 1, SQRT2 - 1, 7, True),
    "rest_of_atanh_f64": Fit(
        rest_of_atanh, lambda s: s**2 / 2, mpf(0), LARGEST_S, degree=6, single=False, squared=True
    ),
    "rest_of_cubic_f64": Fit(
        rest_of_cubic, lambda s: s**4 / 2, mpf(0), LARGEST_S, degree=6, single=False, squared=True
    ),
}
for single, suffix, degrees in ((True, "f32", (4, 4, 5, 6)), (False, "f64", (10, 10, 11, 17))):
    FITS |= {
        f"rest_of_exp_{suffix}": Fit(
            rest_of_exp, small(mp.expm1, 2), -REDUCED, REDUCED, degrees[0], single
        ),
        f"rest_of_tanh_{suffix}": Fit(
            rest_of_tanh, small(mp.tanh, 3), mpf(0), SPLIT_TANH, degrees[1], single, squared=True
        ),
        f"slope_of_erf_{suffix}": Fit(
            slope_of_erf, small(mp.erf, 1), mpf(0), SPLIT_ERF, degrees[2], single, squared=True
        ),
        # In 1 - erfc an error of the logarithm counts erfc times.
        f"log_of_erfc_{suffix}": Fit(
            log_of_erfc, mp.erfc, SPLIT_ERF, mpf(4 if single else 6), degrees[3], single
        ),
    }


def exchange(fit: Fit) -> list[mpf]:
    """Coefficients from the constant up, by Remez's exchange over a grid of Chebyshev's points."""
    middle, half = (fit.high + fit.low) / 2, (fit.high - fit.low) / 2
    nodes = [middle - half * mp.cos(mp.pi * (k + mpf(1) / 2) / GRID) for k in range(GRID)]
    values = [fit.function(x) for x in nodes]
    weights = [fit.weight(x) for x in nodes]
    powers = [x * x if fit.squared else x for x in nodes]
    count = fit.degree + 2
    chosen = [int((GRID - 1) * (1 - np.cos(np.pi * k / (count - 1))) / 2) for k in range(count)]
    # A weight of 0 would leave its equation without the unknown error.
    heavy = [w if w else mpf(2) ** -100 for w in weights]
    best, least = None, mp.inf
    for _ in range(ROUNDS):
        matrix = mp.matrix(count, count)
        for row, k in enumerate(chosen):
            for column in range(count - 1):
                matrix[row, column] = powers[k] ** column
            matrix[row, count - 1] = (-1) ** row / heavy[k]
        solution = mp.lu_solve(matrix, mp.matrix([values[k] for k in chosen]))
        coefficients = list(solution)[:-1]
        errors = [
            w * (mp.polyval(coefficients[::-1], z) - v)
            for w, z, v in zip(weights, powers, values, strict=True)
        ]
        worst = max(abs(e) for e in errors)
        if worst < least:
            best, least = coefficients, worst
        moved = extrema(errors, count)
        if moved == chosen:
            break
        chosen = moved
    return best


def extrema(errors: list[mpf], count: int) -> list[int]:
    """``count`` places where the error alternates: the largest of each run of one sign."""
    places = []
    for k, error in enumerate(errors):
        if places and mp.sign(errors[places[-1]]) * mp.sign(error) >= 0:
            if abs(error) > abs(errors[places[-1]]):
                places[-1] = k
        else:
            places.append(k)
    while len(places) > count:
        end = 0 if abs(errors[places[0]]) < abs(errors[places[-1]]) else -1
        del places[end]
    if len(places) < count:
        raise ArithmeticError(
            f"the error alternates at {len(places)} places where {count} are needed; "
            "take another degree or more bits of mp.prec"
        )
    return places


def rounded(fit: Fit) -> tuple[list[float], mpf]:
    """Return the coefficients in their type and the largest weighted error with them."""
    kind = np.float32 if fit.single else np.float64
    coefficients = [float(kind(float(c))) for c in exchange(fit)]
    worst = mpf(0)
    for k in range(GRID + 1):
        x = fit.low + (fit.high - fit.low) * k / GRID
        z = x * x if fit.squared else x
        error = mp.polyval([mpf(c) for c in coefficients[::-1]], z) - fit.function(x)
        worst = max(worst, abs(fit.weight(x) * error))
    return coefficients, worst


def written(name: str, fit: Fit, coefficients: list[float]) -> str:
    """Return the polynomial as a function in C: even and odd powers apart, then put together."""
    kind, suffix = ("float", "f32") if fit.single else ("double", "f64")
    variable = "z" if fit.squared else "x"
    lines = [f"static inline {kind} {name}({kind} {variable}) {{"]
    lines += [f"    {kind} square = {variable} * {variable};"]
    literals = [f"{np.float32(c)!s}f" if fit.single else f"{c!r}" for c in coefficients]
    for label, first in (("even", 0), ("odd", 1)):
        *lower, highest = literals[first::2]
        lines += [f"    {kind} {label} = {highest};"]
        lines += [f"    {label} = madd_{suffix}({label}, square, {c});" for c in reversed(lower)]
    lines += [f"    return madd_{suffix}(odd, {variable}, even);", "}"]
    return "\n".join(lines)


def main(names: list[str]) -> None:
    """Print the polynomials of ``names``, or all."""
    for name in names or FITS:
        coefficients, worst = rounded(FITS[name])
        print(f"/* {name}: largest weighted error 2^{float(mp.log(worst, 2)):.1f} */")
        print(written(name, FITS[name], coefficients), end="\n\n")


if __name__ == "__main__":
    main(sys.argv[1:])
