"""Whether a function is convex: proved, refuted with a counterexample, or not decided."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import singledispatch
from itertools import pairwise, product
from typing import Any

import numpy as np

from skopt_dl.lab.chords import (
    Chords,
    Counterexample,
    along,
    best_counterexample,
    counterexample,
    precision,
    values_at,
)
from skopt_dl.objectives import (
    FiniteSum,
    Function,
    MatrixQuadratic,
    Quadratic,
    exact,
    from_callable,
)
from skopt_dl.objectives.stationary import Algebraic

EPS = float(np.finfo(float).eps)
# So many roundings of a coefficient may have happened before it came here.
ROUNDINGS = 16
# Points of smallest curvature that chords are laid through, and rounds of looking around them.
N_LOWEST, N_ROUNDS = 20, 8
# Numbers that Hessians may take at a time.
N_NUMBERS = 4_000_000
# A Hessian by differences costs some P² values of P numbers each, a gradient some P values. So many
# numbers all the Hessians may cost, and all the gradients.
COST_OF_HESSIANS, COST_OF_GRADIENTS = 3 * 10**7, 10**8
# Values, each a call of the function, that all the rounds may take.
N_CALLS = 40_000
# Variables up to which there are Hessians, and up to which points are looked at.
MOST_FOR_HESSIANS, MOST_FOR_POINTS = 100, 1000


@dataclass(eq=False)
class Convexity:
    """What is known about a function's convexity on a box.

    Made by `convexity`.

    Attributes
    ----------
    function : Function
    lower, upper : ndarray of shape (P,)
        The box.
    verdict : {"proved", "refuted", "undecided"}
    reason : str
        How that was found, in a sentence.
    strict : bool or None
        Whether it is strictly convex; None where that is not known.
    strong : float
        The largest m for which ``f(x) - m/2 ||x||²`` is convex too; NaN where that is not known.
    counterexample : Counterexample or None
    negative : tuple of float or None
        An interval on which the second derivative of a polynomial is negative.
    smallest_eigenvalue : float
        Of the Hessians at the points that were looked at; NaN if there were none.
    at : ndarray of shape (P,) or None
        Where that was.
    tried : dict of str to int
        How many points with finite values, Hessians, secants and tangents there were; empty where
        the decision is exact.
    """

    function: Function
    lower: np.ndarray
    upper: np.ndarray
    verdict: str
    reason: str
    strict: bool | None = None
    strong: float = float("nan")
    counterexample: Counterexample | None = None
    negative: tuple[float, float] | None = None
    smallest_eigenvalue: float = float("nan")
    at: np.ndarray | None = None
    tried: Mapping[str, int] = field(default_factory=dict)

    def __repr__(self) -> str:
        lines = [f"{self.function.name}: convexity is {self.verdict}. {self.reason}"]
        if self.verdict == "proved":
            if self.strict is not None:
                lines.append(f"It is {'' if self.strict else 'not '}strictly convex.")
            if self.strong > 0:
                lines.append(f"It is strongly convex with constant {self.strong:.6g}.")
        c = self.counterexample
        if c is not None:
            lines.append(
                f"f({_point(c.between)}) = {c.values[1]:.6g} is {c.violation:.3g} above the chord "
                f"from f({_point(c.start)}) = {c.values[0]:.6g} to f({_point(c.end)}) = "
                f"{c.values[2]:.6g}; rounding explains {c.rounding:.1g}."
            )
        return "\n".join(lines)


def _point(x: np.ndarray) -> str:
    shown = ", ".join(f"{each:.6g}" for each in x[:3])
    return shown if len(x) <= 3 else f"{shown}, …"


def convexity(
    f: Function | Callable[[Any], Any],
    domain: tuple[Any, Any] | None = None,
    *,
    n_dims: int | None = None,
    n_points: int = 1000,
    seed: int = 0,
) -> Convexity:
    """Find out whether a function is convex on a box.

    Polynomials of one variable are decided by the roots of their second derivative, and functions
    of second degree by the eigenvalues of their matrix, both with exact fractions where floating
    point numbers could err. The coefficients are taken for the decimal numbers that Python prints.
    Of other functions, random points are looked at: the eigenvalues of the Hessian there, secants
    between them, and tangents. That can refute and never prove. What refutes is always a chord that
    the function is above of, by more than the rounding of its values; a function that is linear, or
    convex by little, is not refuted by floating point numbers.

    The more variables, the fewer points have a Hessian or a tangent looked at, so that it takes
    seconds: no Hessian with more than 100 variables. With more than 1,000 only an exact decision is
    made. ``tried`` says how many there were.

    Parameters
    ----------
    f : Function or callable
        A callable in array code maps points ``(K, P)`` to values ``(K,)``.
    domain : pair of float, or pair of array-like of shape (P,), default=None
        Lower and upper ends of the box; infinite ones where the decision is exact. None means the
        function's own.
    n_dims : int, default=None
        P of a callable; None means as many as `domain` has ends. A `Function` has its own.
    n_points : int, default=1000
        Random points; as many secants and, with few variables, tangents are tried.
    seed : int, default=0
        Of the points; not negative.

    Returns
    -------
    convexity : Convexity
        Its ``verdict`` is ``"proved"``, ``"refuted"`` or ``"undecided"``.

    Raises
    ------
    TypeError
        If `f` cannot be called.
    ValueError
        If `domain` is no box, or an infinite one where points have to be drawn from it; if `n_dims`
        is not that of the function, or too large for points; if no value is finite; or if a
        callable returns an array of another shape.

    References
    ----------
    Boyd, Vandenberghe: Convex Optimization (2004), section 3.1: secants, tangents and Hessians.

    Examples
    --------
    >>> from skopt_dl import lab
    >>> from skopt_dl.objectives import Polynomial
    >>> lab.convexity(Polynomial([0, 0, 1, 0, 1]))
    Polynomial: convexity is proved. The second derivative has no sign change between -5 and 5.
    It is strictly convex.
    It is strongly convex with constant 2.
    >>> double_well = lab.convexity(Polynomial([0, 0, -2, 0, 1]))
    >>> double_well.verdict
    'refuted'
    >>> [round(end, 12) for end in double_well.negative]
    [-0.57735026919, 0.57735026919]
    """
    if not isinstance(n_points, int | np.integer) or n_points < 1:
        raise ValueError(f"n_points must be an int of at least 1; got {n_points!r}.")
    if not isinstance(seed, int | np.integer) or seed < 0:
        raise ValueError(f"seed must be an int of at least 0; got {seed!r}.")
    with np.errstate(all="ignore"):
        f = _as_function(f, domain, n_dims)
    lower, upper = _box(f, domain)
    known = decide(f, lower, upper)
    if known is not None:
        return known
    _check_n_dims(f.name, f.n_dims)
    if not np.isfinite([lower, upper]).all():
        raise ValueError(
            f"domain of {f.name} must be finite, since points are drawn from it; got "
            f"{(lower.tolist(), upper.tolist())}."
        )
    return _by_points(f, lower, upper, n_points, np.random.default_rng(seed))


def _as_function(f: Any, domain: tuple[Any, Any] | None, n_dims: int | None) -> Function:
    if isinstance(f, Function):
        if n_dims is not None and n_dims != f.n_dims:
            raise ValueError(
                f"n_dims of {f.name} is {f.n_dims}; got {n_dims!r}. Leave it out, or make the "
                "function of as many variables."
            )
        return f
    if not callable(f):
        raise TypeError(f"convexity needs a Function or a callable in array code; got {f!r}.")
    if n_dims is None:
        if domain is None:
            raise ValueError(
                "The number of variables of a callable is not known: pass n_dims=, or domain= with "
                "as many lower and upper ends."
            )
        n_dims = int(np.broadcast(*map(np.atleast_1d, domain)).size)
    if isinstance(n_dims, int | np.integer):
        _check_n_dims(getattr(f, "__name__", type(f).__name__), n_dims)
    return from_callable(f, n_dims) if domain is None else from_callable(f, n_dims, domain=domain)


def _check_n_dims(name: str, n_dims: int) -> None:
    """Refuse so many variables that points, and their neighbours along each, take too long."""
    if n_dims > MOST_FOR_POINTS:
        raise ValueError(
            f"{name} has {n_dims:,} variables; convexity looks at points of up to "
            f"{MOST_FOR_POINTS:,}. Fix some of the variables, or pass a Function that is decided "
            "exactly, such as a Quadratic."
        )


def _box(f: Function, domain: tuple[Any, Any] | None) -> tuple[np.ndarray, np.ndarray]:
    if domain is None:
        return f.lower, f.upper
    try:
        lower, upper = (np.broadcast_to(end, f.n_dims).astype(float) for end in domain)
        valid = bool((lower < upper).all())
    except (TypeError, ValueError):
        valid = False
    if not valid:
        raise ValueError(
            f"domain of {f.name} must be a pair (lower, upper), numbers or {f.n_dims} each, with "
            f"lower < upper in every variable; got {domain!r}."
        )
    return lower, upper


@singledispatch
def decide(f: Function, lower: np.ndarray, upper: np.ndarray) -> Convexity | None:
    """Decide exactly, for those kinds of functions where that can be; None for others."""
    return None


@decide.register
def _(f: FiniteSum, lower: np.ndarray, upper: np.ndarray) -> Convexity | None:
    return decide(f.whole, lower, upper)


@decide.register
def _(f: MatrixQuadratic, lower: np.ndarray, upper: np.ndarray) -> Convexity | None:
    return _by_matrix(f, _rational(f.hessian(f.center)), lower, upper)


@decide.register
def _(f: Quadratic, lower: np.ndarray, upper: np.ndarray) -> Convexity | None:
    return _by_matrix(f, _rational(f.matrix), lower, upper)


@decide.register
def _(f: Algebraic, lower: np.ndarray, upper: np.ndarray) -> Convexity | None:
    terms = f.terms()
    if f.n_dims == 1:
        return _by_roots(f, {power: c for (power,), c in terms.items()}, lower, upper)
    if max(map(sum, terms), default=0) > 2:
        return None
    xx, xy, yy = (terms.get(power, Fraction(0)) for power in ((2, 0), (1, 1), (0, 2)))
    return _by_matrix(f, [[2 * xx, xy], [xy, 2 * yy]], lower, upper)


def _decimal(number: float) -> Fraction:
    """The decimal number that is printed for a float."""
    return Fraction(repr(float(number)))


def _rational(matrix: np.ndarray) -> list[list[Fraction]]:
    return [[_decimal(a) for a in row] for row in matrix]


def _by_roots(
    f: Function, terms: Mapping[int, Fraction], lower: np.ndarray, upper: np.ndarray
) -> Convexity:
    """A polynomial of one variable, by the signs of its second derivative between its roots."""
    degree = max(terms, default=0)
    curvature = [i * (i - 1) * terms.get(i, Fraction(0)) for i in range(2, degree + 1)]
    between = f"between {lower[0]:g} and {upper[0]:g}"
    if not curvature:
        reason = "It is of first degree at most."
        return Convexity(f, lower, upper, "proved", reason, strict=False, strong=0.0)
    roots = exact.real_roots(exact.rationals(curvature))
    far = 1 + max((abs(x) for x, _ in roots), default=Fraction(0))
    low, high = (
        _decimal(end[0]) if np.isfinite(end[0]) else sign * 2 * far
        for end, sign in ((lower, -1), (upper, 1))
    )
    inside = [low, *(x for x, n in roots if n % 2 and low < x < high), high]
    cells = [c for c in pairwise(inside) if _at(curvature, (c[0] + c[1]) / 2) < 0]
    if not cells:
        reason = f"The second derivative has no sign change {between}."
        strong = 0.0 if any(low <= x <= high for x, _ in roots) else _least(curvature, low, high)
        return Convexity(f, lower, upper, "proved", reason, strict=True, strong=strong)
    left, right = max(cells, key=lambda c: -_at(curvature, (c[0] + c[1]) / 2) * (c[1] - c[0]) ** 2)
    ends = np.array([[float(left)], [float(right)]])
    negative = (
        float(lower[0]) if left == low else float(left),
        float(upper[0]) if right == high else float(right),
    )
    where = f"is negative between {negative[0]:.6g} and {negative[1]:.6g}"
    if not _is_clear(curvature, left, right):
        reason = f"The second derivative {where}, by no more than its coefficients' rounding."
        return Convexity(f, lower, upper, "undecided", reason, negative=negative)
    found = _exactly(f, Chords(ends[:1], ends[1:], np.array([0.5])), lambda x: _value(terms, x))
    reason = f"The second derivative {where}."
    return Convexity(
        f, lower, upper, "refuted", reason, strict=False, counterexample=found, negative=negative
    )


def _at(p: list[Fraction], x: Fraction) -> Fraction:
    return sum((c * x**i for i, c in enumerate(p)), Fraction(0))


def _value(terms: Mapping[int, Fraction], x: list[Fraction]) -> Fraction:
    return sum((c * x[0] ** power for power, c in terms.items()), Fraction(0))


def _least(p: list[Fraction], low: Fraction, high: Fraction) -> float:
    """The smallest value on an interval of a polynomial that is positive there.

    NaN where it is no more than rounding.
    """
    slope = [i * c for i, c in enumerate(p)][1:]
    turns = [x for x, _ in exact.real_roots(exact.rationals(slope))] if any(slope) else []
    lowest = min((x for x in (low, high, *turns) if low <= x <= high), key=lambda x: _at(p, x))
    value = _at(p, lowest)
    return float(value) if value > _rounding(p, lowest) else float("nan")


def _is_clear(p: list[Fraction], left: Fraction, right: Fraction) -> bool:
    """Whether a polynomial is negative somewhere by more than its coefficients' rounding."""
    places = (left + (right - left) * Fraction(i, 32) for i in range(33))
    return any(_at(p, x) < -_rounding(p, x) for x in places)


def _rounding(p: list[Fraction], x: Fraction) -> Fraction:
    """How much the value at x can be changed by rounding of the coefficients."""
    return Fraction(ROUNDINGS * EPS) * _at([abs(c) for c in p], abs(x))


def _by_matrix(
    f: Function, matrix: list[list[Fraction]], lower: np.ndarray, upper: np.ndarray
) -> Convexity:
    """A function of second degree, by the eigenvalues of its Hessian."""
    floats = np.array(matrix, dtype=float)
    eigenvalues, vectors = np.linalg.eigh(floats)
    smallest, size = float(eigenvalues[0]), float(np.abs(eigenvalues).max())
    uncertain = ROUNDINGS * len(floats) * EPS * size
    bounded = np.isfinite(upper - lower)
    with np.errstate(invalid="ignore"):
        center = np.where(bounded, (lower + upper) / 2, np.clip(0, lower, upper))
        radius = np.where(bounded, (upper - lower) / 2, 1.0)
    seen: dict[str, Any] = {"smallest_eigenvalue": smallest, "at": center}
    reason = f"Its Hessian's smallest eigenvalue is {smallest:.6g} everywhere."
    if smallest > uncertain:
        return Convexity(f, lower, upper, "proved", reason, strict=True, strong=smallest, **seen)
    if smallest < -uncertain:
        with np.errstate(divide="ignore"):
            move = vectors[:, 0] * (radius / np.abs(vectors[:, 0])).min()
        ends = np.clip(center - move, lower, upper), np.clip(center + move, lower, upper)
        chord = Chords(ends[0][None], ends[1][None], np.array([0.5]))
        found = counterexample(f, chord, EPS)
        # Half of the curvature along the chord, which no rounding of large values covers.
        violation = -0.5 * float(move @ floats @ move)
        found = found._replace(violation=violation)
        return Convexity(
            f, lower, upper, "refuted", reason, strict=False, counterexample=found, **seen
        )
    rank = _rank_if_semidefinite(matrix)
    if rank is None:
        reason = f"Its Hessian's smallest eigenvalue is {smallest:.2g}, which rounding explains."
        return Convexity(f, lower, upper, "undecided", reason, **seen)
    reason = "Its Hessian has no negative eigenvalue, by exact elimination."
    strict = rank == len(matrix)
    strong = float("nan") if strict else 0.0
    return Convexity(f, lower, upper, "proved", reason, strict=strict, strong=strong, **seen)


def _rank_if_semidefinite(matrix: list[list[Fraction]]) -> int | None:
    """The rank of a symmetric matrix without negative eigenvalues, by elimination; else None."""
    rest, rank = [list(row) for row in matrix], 0
    while rest:
        pivot = max(range(len(rest)), key=lambda i: rest[i][i])
        head = rest[pivot]
        if head[pivot] <= 0:
            return None if any(map(any, rest)) else rank
        others = [i for i in range(len(rest)) if i != pivot]
        rest = [[rest[i][j] - head[i] * head[j] / head[pivot] for j in others] for i in others]
        rank += 1
    return rank


def _exactly(
    f: Function, chord: Chords, value: Callable[[list[Fraction]], Fraction]
) -> Counterexample:
    """A counterexample whose violation is computed with fractions."""
    found = counterexample(f, chord, EPS)
    start, end = ([Fraction(x) for x in each[0].tolist()] for each in (chord.starts, chord.ends))
    middle = [(a + b) / 2 for a, b in zip(start, end, strict=True)]
    violation = value(middle) - (value(start) + value(end)) / 2
    return found._replace(violation=float(violation))


def _by_points(
    f: Function, lower: np.ndarray, upper: np.ndarray, n_points: int, rng: np.random.Generator
) -> Convexity:
    """Any function, by Hessians at random points, secants between them and tangents."""
    points = _draw(f, lower, upper, n_points, rng)
    values = values_at(f, points)
    n_finite = int(np.isfinite(values).sum())
    if not n_finite:
        raise ValueError(
            f"{f.name} has no finite value at any of {len(points)} points from {_point(lower)} to "
            f"{_point(upper)}: there is nothing to be convex. Check the function, or pass domain= "
            "where it has values."
        )
    others = rng.permutation(len(points))
    secants = Chords(points, points[others], rng.uniform(0.05, 0.95, len(points)))
    lowest, eigenvalues, vectors, n_hessians = _smallest_curvatures(f, points, lower, upper, rng)
    curved = along(lowest, vectors, lower, upper)
    touching, n_tangents = _tangents(f, points, others, values)
    every = (np.concatenate(parts) for parts in zip(curved, secants, touching, strict=True))
    found = best_counterexample(f, Chords(*every), precision(values), (lower, upper))
    tried = {
        "points": n_finite,
        "hessians": n_hessians,
        "secants": len(points),
        "tangents": n_tangents,
    }
    seen: dict[str, Any] = {"tried": tried}
    if len(lowest):
        seen |= {"smallest_eigenvalue": float(eigenvalues[0]), "at": lowest[0]}
    if found is not None:
        reason = "A chord lies below the function."
        return Convexity(
            f, lower, upper, "refuted", reason, strict=False, counterexample=found, **seen
        )
    reason = (
        f"Nothing speaks against it at {n_finite} points, {len(points)} secants and {n_tangents} "
        "tangents"
    )
    if n_finite < len(points):
        reason += f" ({len(points) - n_finite} more points have no finite value)"
    if len(lowest):
        reason += f"; the smallest eigenvalue of {n_hessians} Hessians is {eigenvalues[0]:.3g}"
    elif f.n_dims > MOST_FOR_HESSIANS:
        reason += f"; of more than {MOST_FOR_HESSIANS} variables no Hessians are looked at"
    return Convexity(f, lower, upper, "undecided", f"{reason}.", **seen)


def _draw(
    f: Function, lower: np.ndarray, upper: np.ndarray, n_points: int, rng: np.random.Generator
) -> np.ndarray:
    """Random points of the box, its middle and, where they are few, its corners."""
    middle = (lower + upper)[None] / 2
    corners = np.array(list(product(*zip(lower, upper, strict=True)))) if f.n_dims < 5 else middle
    return np.concatenate([rng.uniform(lower, upper, (n_points, f.n_dims)), middle, corners])


def _smallest_curvatures(
    f: Function, points: np.ndarray, lower: np.ndarray, upper: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """Points where a Hessian has the smallest eigenvalues, these, their directions, and how many.

    Around the best ones it is looked for better ones, nearer and nearer.
    """
    n_dims = f.n_dims
    best = points[:0], np.empty(0), points[:0]
    if n_dims > MOST_FOR_HESSIANS:
        return *best, 0
    # Half of what can be paid for the first look, and the other half for all the rounds.
    room, affordable = N_NUMBERS // n_dims**2, COST_OF_HESSIANS // n_dims**3 // 2
    n_rounds = min(N_ROUNDS, N_CALLS // n_dims**2)
    at_first, in_a_round = min(room, affordable), min(room, affordable // n_rounds)
    radius = (upper - lower) / 4
    # Away from the boundary, so that chords have room.
    inner = lower + radius / 50, upper - radius / 50
    n_seen, tried = 0, np.clip(points[:at_first], *inner)
    for _ in range(n_rounds):
        seen = _curvatures(f, tried)
        n_seen += len(seen[0])
        joined = [np.concatenate(pair) for pair in zip(best, seen, strict=True)]
        order = np.argsort(joined[1])[:N_LOWEST]
        best = joined[0][order], joined[1][order], joined[2][order]
        repeats = max(1, min(5, in_a_round // N_LOWEST))
        repeated = np.repeat(best[0], repeats, axis=0)[:in_a_round]
        moved = repeated + radius * rng.normal(size=repeated.shape)
        tried, radius = np.clip(moved, *inner), radius / 3
    return *best, n_seen


def _curvatures(f: Function, points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Points with a finite Hessian, its smallest eigenvalue and eigenvector, one a point."""
    try:
        with np.errstate(all="ignore"):
            hessians = np.asarray(f.hessian(points), dtype=float)
    except NotImplementedError:
        return points[:0], np.empty(0), points[:0]
    finite = np.isfinite(hessians).all(axis=(1, 2))
    eigenvalues, vectors = np.linalg.eigh(hessians[finite])
    return points[finite], eigenvalues[:, 0], vectors[:, :, 0]


def _tangents(
    f: Function, points: np.ndarray, others: np.ndarray, values: np.ndarray
) -> tuple[Chords, int]:
    """Chords from where a tangent is above the function somewhere, to there; and of how many.

    If so, the function is above the chord near to where the tangent touches.
    """
    affordable = min(len(points), max(1, COST_OF_GRADIENTS // f.n_dims**2))
    touched, others = points[:affordable], others[:affordable]
    try:
        with np.errstate(all="ignore"):
            slopes = np.asarray(f.gradient(touched), dtype=float)
    except NotImplementedError:
        slopes = np.full_like(touched, np.nan)
    rises = np.einsum("ij,ij->i", slopes, points[others] - touched)
    with np.errstate(invalid="ignore"):
        below = np.flatnonzero(values[others] < values[:affordable] + rises)
    shares = np.tile(2.0 ** -np.arange(1, 11), len(below))
    rows = np.repeat(below, 10)
    n_tangents = int(np.isfinite(slopes).all(axis=1).sum())
    return Chords(touched[rows], points[others[rows]], shares), n_tangents
