"""What optimizers are measured against: trying everything, and solving equations."""

from __future__ import annotations

import numbers
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, NamedTuple

import numpy as np

from skopt_dl.lab.asking import AnyOptimizer
from skopt_dl.lab.checks import as_numbers
from skopt_dl.lab.comparing import compare
from skopt_dl.objectives import Function

# Points that are evaluated at a time, times their coordinates.
TOGETHER = 2**18


@dataclass(frozen=True, eq=False)
class GridSearch:
    """The lowest point of a grid.

    Attributes
    ----------
    function : Function
    n_points : int
        Along each variable.
    point : ndarray of shape (P,)
        The lowest of all.
    value : float
        There.
    gap : float
        How far that is above the smallest value of the function; NaN where it is not known.
    spacing : ndarray of shape (P,)
        Between neighbours. The minimum can be so far from a point of the grid, times √P / 2.
    evaluations : int
        ``n_points ** P``.
    """

    function: Function
    n_points: int
    point: np.ndarray
    value: float
    gap: float
    spacing: np.ndarray
    evaluations: int


def grid_search(function: Function, n_points: int, *, max_evaluations: int = 10**8) -> GridSearch:
    """Evaluate a function at every point of a grid over its domain.

    Parameters
    ----------
    function : Function
    n_points : int
        Along each variable, both ends of the domain included; at least 2.
    max_evaluations : int, default=10**8
        A larger grid is refused. The points are tried some at a time, so that memory is no limit.

    Returns
    -------
    search : GridSearch

    Raises
    ------
    ValueError
        If the grid is too large; the message says how large it is. Or if no value on it is finite.

    Examples
    --------
    >>> from skopt_dl import lab
    >>> from skopt_dl.objectives import Himmelblau
    >>> found = lab.grid_search(Himmelblau(), n_points=101)
    >>> found.point.round(3), found.evaluations
    (array([3., 2.]), 10201)
    """
    _check_function(function)
    _check_n_points(n_points)
    _check_max_evaluations(max_evaluations)
    n_dims = function.n_dims
    evaluations = int(n_points) ** n_dims
    if evaluations > max_evaluations:
        affordable = int(max_evaluations ** (1 / n_dims) + 1e-9)
        remedy = (
            f"Take n_points={affordable}"
            if affordable >= 2
            else "No grid with two points along each is small enough; take fewer variables"
        )
        raise ValueError(
            f"A grid of {n_points} points along each of the {n_dims} variables of {function.name} "
            f"has {_count(evaluations)} points, and their values alone take {_bytes(evaluations)}; "
            f"max_evaluations is {max_evaluations:.3g}. {remedy}, or a method that follows the "
            "gradient: lab.compare."
        )
    best, place = np.inf, function.lower
    for points in _grid(function, int(n_points)):
        values = function.value(points)
        # What is not a number is no minimum.
        lowest = np.argmin(np.where(np.isnan(values), np.inf, values))
        if values[lowest] < best:
            best, place = float(values[lowest]), points[lowest]
    if best == np.inf:
        raise ValueError(
            f"No value of {function.name} is finite at the {evaluations} points of the grid over "
            f"its domain, from {function.lower.tolist()} to {function.upper.tolist()}: there is no "
            "lowest. Check the function, or pass it another domain=."
        )
    return GridSearch(
        function,
        int(n_points),
        place,
        best,
        best - function.minimum,
        (function.upper - function.lower) / (n_points - 1),
        evaluations,
    )


def _grid(function: Function, n_points: int) -> Iterator[np.ndarray]:
    """The points, ``(n, P)`` at a time; the last variable changes fastest."""
    n_dims = function.n_dims
    shape, total = (n_points,) * n_dims, n_points**n_dims
    axes = np.linspace(function.lower, function.upper, n_points)
    together = max(1, TOGETHER // n_dims)
    for start in range(0, total, together):
        numbers_along = np.unravel_index(np.arange(start, min(start + together, total)), shape)
        yield np.stack([axes[each, i] for i, each in enumerate(numbers_along)], axis=1)


def grid_cost(n_points: int, n_dims: Iterable[int] = range(1, 11)) -> dict[str, np.ndarray]:
    """What a grid over that many variables costs.

    Parameters
    ----------
    n_points : int
        Along each variable.
    n_dims : iterable of int, default=range(1, 11)
        Each at least 1.

    Returns
    -------
    table : dict of str to ndarray
        ``n_dims``; ``evaluations`` and ``bytes``, float: how many points, and the memory that their
        values take in float64; infinite beyond the range of float64.

    Raises
    ------
    ValueError
        If a number of points or of variables cannot be.

    Examples
    --------
    >>> from skopt_dl import lab
    >>> lab.grid_cost(100, [1, 2, 10])["evaluations"]
    array([1.e+02, 1.e+04, 1.e+20])
    """
    _check_n_points(n_points)
    each_n = list(n_dims) if isinstance(n_dims, Iterable) else []
    if not each_n or not all(isinstance(n, int | np.integer) and n >= 1 for n in each_n):
        raise ValueError(
            "n_dims must be numbers of variables, ints of at least 1 in a list or a range, such as "
            f"[1, 2, 10]; got {n_dims!r}."
        )
    dims = np.array(each_n, dtype=int)
    with np.errstate(over="ignore"):
        evaluations = float(n_points) ** dims
    return {"n_dims": dims, "evaluations": evaluations, "bytes": 8.0 * evaluations}


class LinearModel(NamedTuple):
    """Coefficients ``(n_features,)`` or ``(n_features, n_outputs)``, and intercepts."""

    coef: np.ndarray
    intercept: np.ndarray | float
    condition_number: float


def normal_equations(X: Any, y: Any, alpha: float = 0.0) -> LinearModel:
    """Fit a linear model exactly, by one system of equations.

    It minimises ``Σ (y - X w - b)² + alpha Σ w²``, and so the loss of
    ``MLPRegressor(hidden_layer_sizes=(), alpha=alpha)``, and of scikit-learn's `Ridge`. The cost
    is n_features² n_samples for the matrix, and n_features³ for its solution, whatever the
    accuracy; but errors grow with the square of the condition number of X.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
    y : array-like of shape (n_samples,) or (n_samples, n_outputs)
    alpha : float, default=0.0
        Strength of the L2 penalty; the intercept has none.

    Returns
    -------
    model : LinearModel
        ``coef``, ``intercept``, and ``condition_number``, that of the equations.

    Raises
    ------
    ValueError
        If X or y are sparse, or no numbers; if they do not go together; or if some features depend
        on others and `alpha` is 0.

    Examples
    --------
    >>> import numpy as np
    >>> from skopt_dl import lab
    >>> X = np.array([[0.0], [1.0], [2.0]])
    >>> model = lab.normal_equations(X, [1.0, 3.0, 5.0])
    >>> model.coef.round(6), round(float(model.intercept), 6)
    (array([2.]), 1.0)
    """
    X = as_numbers("X", X, "(n_samples, n_features)")
    y = as_numbers("y", y, "(n_samples,) or (n_samples, n_outputs)")
    if X.ndim != 2 or y.ndim not in (1, 2) or len(X) != len(y) or not X.size:
        raise ValueError(
            "X must be of shape (n_samples, n_features) and y of shape (n_samples,) or "
            f"(n_samples, n_outputs); got {X.shape} and {y.shape}."
        )
    for name, array in (("X", X), ("y", y)):
        if not np.isfinite(array).all():
            raise ValueError(f"{name} must be finite; got NaN or infinite values.")
    if not isinstance(alpha, numbers.Real) or not 0 <= alpha < np.inf:
        raise ValueError(f"alpha must be a float in [0, inf); got {alpha!r}.")
    x_mean, y_mean = X.mean(axis=0), y.mean(axis=0)
    centred = X - x_mean
    matrix = centred.T @ centred + float(alpha) * np.eye(X.shape[1])
    condition = float(np.linalg.cond(matrix))
    if not condition < 1 / np.finfo(float).eps:
        raise ValueError(
            f"The normal equations are singular (condition number {condition:.3g}): a feature of X "
            "is constant, or follows from others. Leave features out, or pass alpha > 0."
        )
    coef = np.linalg.solve(matrix, centred.T @ (y - y_mean))
    return LinearModel(coef, y_mean - x_mean @ coef, condition)


def cost_of_accuracy(
    functions: Function | Sequence[Function],
    optimizers: Any = ("sgd", "adam"),
    *,
    gaps: Sequence[float] = (1e-1, 1e-2, 1e-4, 1e-6),
    learning_rates: Sequence[float] = (1e-3, 1e-2, 1e-1, 1.0),
    n_steps: int = 10_000,
    max_evaluations: int = 2**20,
) -> dict[str, np.ndarray]:
    """How many evaluations it takes to come near the smallest value: grids and optimizers.

    Parameters
    ----------
    functions : Function or sequence of Function
        With a known minimum; of several dimensions, to see what they cost.
    optimizers : str, Optimizer, sequence or dict of these, default=("sgd", "adam")
        As for `compare`. Each starts from the function's `start`, with each of the rates, and the
        fastest run counts.
    gaps : sequence of float, default=(1e-1, 1e-2, 1e-4, 1e-6)
        Above the smallest value; positive.
    learning_rates : sequence of float, default=(1e-3, 1e-2, 1e-1, 1.0)
    n_steps : int, default=10_000
        That a run may take.
    max_evaluations : int, default=2**20
        That a grid may have. Grids have 2, 4, 8, … points along each variable; these miss the
        middle of the domain, where the minimum of many a function is.

    Returns
    -------
    table : dict of str to ndarray
        Columns ``function``, ``n_dims``, ``method`` ("grid search", or an optimizer's label),
        ``gap``, ``learning_rate`` (NaN for grids) and ``evaluations``, float: values for a grid,
        values with gradients for optimizers; infinite where the gap was not reached.

    Raises
    ------
    TypeError
        If one of the functions is no `Function`.
    ValueError
        If the smallest value of one is not known, or a parameter is not valid.

    Examples
    --------
    >>> from skopt_dl import lab
    >>> from skopt_dl.objectives import Quadratic
    >>> bowls = [Quadratic([1.0] * n) for n in (1, 4)]
    >>> table = lab.cost_of_accuracy(
    ...     bowls, "sgd", gaps=[0.1], learning_rates=[0.5], n_steps=100
    ... )
    >>> for row in zip(table["n_dims"], table["method"], table["evaluations"].astype(int)):
    ...     print(*row)
    1 grid search 16
    1 sgd 4
    4 grid search 1048576
    4 sgd 5
    """
    functions = [functions] if isinstance(functions, Function) else functions
    if not isinstance(functions, Sequence) or not len(functions):
        raise ValueError(
            "functions must be a Function, or a list of at least one, such as "
            f"[Quadratic([1.0]), Quadratic([1.0, 1.0])]; got {functions!r}."
        )
    _check_gaps(gaps)
    _check_max_evaluations(max_evaluations)
    rows: list[tuple[str, int, str, float, float, float]] = []
    for function in functions:
        _check_function(function)
        if not np.isfinite(function.minimum):
            raise ValueError(
                f"The smallest value of {function.name} is {function.minimum}; a gap to it can be "
                "reached only where it is known and finite. See Function.minima."
            )
        for method, rate, gap, evaluations in [
            *_grid_costs(function, gaps, max_evaluations),
            *_descent_costs(function, optimizers, learning_rates, gaps, n_steps),
        ]:
            rows.append((function.name, function.n_dims, method, gap, rate, evaluations))
    names = ("function", "n_dims", "method", "gap", "learning_rate", "evaluations")
    columns = zip(*rows, strict=True)
    return {name: np.array(column) for name, column in zip(names, columns, strict=True)}


_Cost = tuple[str, float, float, float]


def _grid_costs(function: Function, gaps: Sequence[float], max_evaluations: int) -> Iterator[_Cost]:
    searched: list[GridSearch] = []
    for gap in sorted(gaps, reverse=True):
        while not any(search.gap <= gap for search in searched):
            n_points = 2 ** (len(searched) + 1)
            if n_points**function.n_dims > max_evaluations:
                break
            searched.append(grid_search(function, n_points, max_evaluations=max_evaluations))
        reached = [search.evaluations for search in searched if search.gap <= gap]
        yield "grid search", np.nan, gap, float(min(reached, default=np.inf))


def _descent_costs(
    function: Function,
    optimizers: AnyOptimizer | Sequence[AnyOptimizer] | dict[str, AnyOptimizer],
    learning_rates: Sequence[float],
    gaps: Sequence[float],
    n_steps: int,
) -> Iterator[_Cost]:
    compared = compare(function, optimizers, learning_rates=learning_rates, n_steps=n_steps)
    labels, rates = compared.table["optimizer"], compared.table["learning_rate"]
    height = compared.values - function.minimum
    for label in dict.fromkeys(labels.tolist()):
        for gap in sorted(gaps, reverse=True):
            there = height[labels == label] <= gap
            # The point after t steps is evaluated as number t + 1.
            costs = np.where(there.any(axis=1), 1.0 + there.argmax(axis=1), np.inf)
            fastest = int(costs.argmin())
            yield label, float(rates[labels == label][fastest]), gap, float(costs[fastest])


def _check_function(function: Any) -> None:
    if not isinstance(function, Function):
        raise TypeError(
            "function must be a Function, as those of skopt_dl.objectives are; got "
            f"{type(function).__name__}. objectives.from_callable makes one of any callable."
        )


def _check_n_points(n_points: Any) -> None:
    if not isinstance(n_points, numbers.Integral) or n_points < 2:
        raise ValueError(f"n_points must be an int of at least 2; got {n_points!r}.")


def _check_max_evaluations(max_evaluations: float) -> None:
    if not isinstance(max_evaluations, numbers.Real) or not max_evaluations >= 1:
        raise ValueError(f"max_evaluations must be an int of at least 1; got {max_evaluations!r}.")


def _check_gaps(gaps: Any) -> None:
    array = as_numbers("gaps", gaps, "(n_gaps,)")
    if array.ndim != 1 or not array.size or not ((array > 0) & (array < np.inf)).all():
        raise ValueError(
            "gaps must be a list of at least one float in (0, inf), distances to the smallest "
            f"value such as [0.1, 1e-4]; got {gaps!r}."
        )


def _count(number: int) -> str:
    """Three digits of a number that may be beyond the range of float64."""
    return f"{Decimal(number).normalize():.3g}"


def _bytes(evaluations: int) -> str:
    size = 8 * evaluations
    power = min((size.bit_length() - 1) // 10, 8)
    units = ("bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB")
    return f"{Decimal(size) / 1024**power:.3g} {units[power]}"
