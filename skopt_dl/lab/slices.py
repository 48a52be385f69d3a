"""Slices through the loss of a fitted estimator, along lines and planes of its weights."""

from __future__ import annotations

import math
import numbers
from dataclasses import dataclass, field
from typing import Any, NoReturn

import numpy as np
from sklearn.utils import check_random_state

from skopt_dl._memory import in_words, n_bytes_of_memory
from skopt_dl._params import did_you_mean
from skopt_dl.lab.checks import as_numbers
from skopt_dl.lab.fitted import PASS_SIZE, FittedLoss, network_and_samples
from skopt_dl.lab.hessians import curvature
from skopt_dl.networks import DenseNetwork

DIRECTIONS = ("random", "hessian", "path")
# How far a slice goes beyond the ends of a path or beyond two models, as a share of the distance.
MARGIN = 0.25
# Directions at an angle of less than this, in radians, are parallel.
PARALLEL = 1e-8
# Two models' data are the same if they are so near, relative to the largest of a column.
ALIKE = 1e-6
# A path that moves less than this share of its longest extent does not move in a direction.
STILL = 1e-6


@dataclass
class Landscape:
    """Losses on a line or a plane through a model's weights; made by `landscape` or `between`.

    A point with coordinates ``c`` has the weights ``origin + c @ directions``.

    Attributes
    ----------
    coordinates : list of ndarray of shape (R,)
        One for each direction, D of them.
    losses : ndarray of shape (R,) or (R, R)
        ``losses[i, j]`` is at ``coordinates[0][i]``, ``coordinates[1][j]``.
    origin : ndarray of shape (P,)
        The model's own weights and biases; see `skopt_dl.lab.parameters`.
    directions : ndarray of shape (D, P)
    loss : float
        At the origin.
    labels : list of D str
        What the directions are.
    path : ndarray of shape (T, D) or None
        Where the given weights lie, projected onto the plane.
    path_losses : ndarray of shape (T,) or None
        Their losses, where they really are and not where they are seen.
    explained_variance : ndarray of shape (D,) or None
        Of directions that are principal components of the path: the share of its variance that
        each has. The rest is not to be seen in the slice.
    eigenvalues : ndarray of shape (D,) or None
        Of directions that are eigenvectors of the Hessian: the curvature of the loss along each.
    """

    coordinates: list[np.ndarray] = field(repr=False)
    losses: np.ndarray = field(repr=False)
    origin: np.ndarray = field(repr=False)
    directions: np.ndarray = field(repr=False)
    loss: float
    labels: list[str]
    path: np.ndarray | None = field(default=None, repr=False)
    path_losses: np.ndarray | None = field(default=None, repr=False)
    explained_variance: np.ndarray | None = None
    eigenvalues: np.ndarray | None = None


@dataclass
class Line(Landscape):
    """Losses on the straight line between two models, at 0 and at 1; made by `between`.

    Attributes
    ----------
    end_losses : tuple of float
        Of both models.
    barrier : float
        How far the loss between the models rises above the straight line from one's to the
        other's, at most; 0 where it does not.
    barrier_at : float
        Where that is, from 0 to 1.
    """

    end_losses: tuple[float, float] = (math.nan, math.nan)
    barrier: float = math.nan
    barrier_at: float = math.nan


def landscape(
    estimator: Any,
    X: Any,
    y: Any,
    sample_weight: Any = None,
    *,
    directions: Any = "random",
    n_dims: int = 2,
    resolution: int = 51,
    span: float | None = None,
    path: Any = None,
    penalty: bool = False,
    random_state: Any = None,
) -> Landscape:
    """Losses of a fitted estimator on a line or a plane through its weights.

    All points are models of their own, which pass through the network in stacks.

    Parameters
    ----------
    estimator : fitted MLPClassifier, MLPRegressor, or Pipeline or search with one
        The loss is that of training, in the model's precision, without dropout; batch
        normalisation and input scaling are folded into the weights, as they are for predictions.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
    y : array-like of shape (n_samples,) or (n_samples, n_outputs)
    sample_weight : array-like of shape (n_samples,), default=None
        ``class_weight`` counts too, as in training.
    directions : {"random", "hessian", "path"} or array-like of shape (D, P), default="random"
        ``"random"`` draws them, with filter-wise normalisation: the weights into each unit get the
        length that the model's own have, biases stay (Li et al., 2018, arXiv:1712.09913). Slices
        of different models can then be compared. ``"hessian"`` takes the eigenvectors of the
        largest and the smallest eigenvalue of the Hessian, of length 1; `curvature` gives others.
        ``"path"`` takes the first principal components of `path`, of length 1 (the same, section
        7). Given ones are taken as they are; neither is zero, nor are they parallel.
    n_dims : {1, 2}, default=2
        D. An array tells itself.
    resolution : int, default=51
        R, points along each direction. An odd number has the model in the middle.
    span : float, default=None
        How far to go in each direction, in multiples of it. None means 1, or as far as `path` goes
        and a quarter more.
    path : array-like of shape (T, P), default=None
        Weights on the way to the model, to be shown in the slice: ``params_`` of a
        `skopt_dl.callbacks.WeightPath`, or rows of `skopt_dl.lab.parameters`.
    penalty : bool, default=False
        Whether the loss has the L2 penalty, ``alpha / 2 * ||coefs||² / sum(sample_weight)``.
    random_state : int, RandomState instance or None, default=None

    Returns
    -------
    landscape : Landscape
        `skopt_dl.displays.LandscapeDisplay` draws it.

    Raises
    ------
    ValueError
        If a parameter is not valid, or the data does not fit the model.
    MemoryError
        If there is no room for so many points; the message says how much they take.
    TypeError
        If the estimator is of another kind.
    sklearn.exceptions.NotFittedError

    Notes
    -----
    Two of thousands of dimensions show little: a plane that looks convex proves nothing, and along
    random directions a path of training hardly moves; take ``"path"`` for it.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skopt_dl import MLPClassifier, lab
    >>> X, y = load_iris(return_X_y=True)
    >>> model = MLPClassifier(5, optimizer="lbfgs", random_state=0).fit(X, y)
    >>> plane = lab.landscape(model, X, y, resolution=11, random_state=0)
    >>> plane.losses.shape
    (11, 11)
    >>> bool(plane.losses[5, 5] == plane.loss == plane.losses.min())
    True
    """
    _check_resolution(resolution)
    if n_dims not in (1, 2):
        raise ValueError(f"n_dims must be 1 or 2; got {n_dims!r}.")
    if span is not None and not (isinstance(span, numbers.Real) and 0 < span < math.inf):
        raise ValueError(f"span must be a positive number, or None; got {span!r}.")
    loss = FittedLoss(estimator, X, y, sample_weight, penalty=penalty)
    way = None if path is None else _checked_rows("path", path, loss.n_params)
    eigenvalues = explained = None
    if not isinstance(directions, str):
        rows = _checked_rows("directions", directions, loss.n_params)
        if len(rows) not in (1, 2):
            raise ValueError(f"directions must be one or two rows; got {len(rows)}.")
        _check_span(rows)
        labels = [f"direction {i}" for i in range(1, len(rows) + 1)]
    elif directions == "random":
        rng = check_random_state(random_state)
        rows = np.stack([_random(loss.network, loss.params, rng) for _ in range(n_dims)])
        labels = [f"random direction {i}" for i in range(1, n_dims + 1)]
    elif directions == "hessian":
        found = curvature(
            estimator, X, y, sample_weight, penalty=penalty, random_state=random_state
        )
        ends = [-1, 0][:n_dims]
        rows, eigenvalues = found.eigenvectors[ends], found.eigenvalues[ends]
        labels = [f"eigenvector of λ = {value:.3g}" for value in eigenvalues]
    elif directions == "path":
        if way is None:
            raise ValueError(
                "directions='path' needs path=, the weights on the way to the model. See "
                "skopt_dl.callbacks.WeightPath."
            )
        rows, explained = _principal(way - loss.params, n_dims)
        labels = [
            f"path component {i} ({share:.0%} of variance)" for i, share in enumerate(explained, 1)
        ]
    else:
        raise ValueError(
            f"directions must be one of {DIRECTIONS}, or an array; got {directions!r}."
            + did_you_mean(directions, DIRECTIONS)
        )
    n_dims = len(rows)
    _check_memory(resolution, n_dims, loss.dtype)
    seen = None if way is None else _projected(way - loss.params, rows)
    coordinates = _coordinates(seen, n_dims, resolution, span)
    return Landscape(
        coordinates,
        _losses(loss, coordinates, rows),
        loss.params,
        rows,
        float(loss.losses(loss.params[None])[0]),
        labels,
        path=seen,
        path_losses=None if way is None else loss.losses(way),
        explained_variance=explained,
        eigenvalues=eigenvalues,
    )


def between(
    first: Any,
    second: Any,
    X: Any,
    y: Any,
    sample_weight: Any = None,
    *,
    resolution: int = 61,
    penalty: bool = False,
) -> Line:
    """Losses on the straight line between the weights of two fitted estimators.

    From a quarter of the way before the first to a quarter beyond the second (Goodfellow et al.,
    2015, arXiv:1412.6544).

    Parameters
    ----------
    first, second : fitted MLPClassifier, MLPRegressor, or Pipeline or search with one
        Of the same layers and activations, and with the same loss: on the line there is one for
        both. So the classes, the labels' smoothing, the weights of the classes and the scale of
        the targets are the same, and X when it comes out of their pipelines.
    X, y, sample_weight, penalty
        As for `landscape`.
    resolution : int, default=61
        Points on the line; the two models are among them with any multiple of 6, and one more.

    Returns
    -------
    line : Line
        With the height of the barrier between the two.

    Raises
    ------
    ValueError
        If the two are networks of different shapes or losses; the message says what differs. Else
        as for `landscape`.
    TypeError, sklearn.exceptions.NotFittedError
        As for `landscape`.

    Notes
    -----
    The barrier is the largest ``loss(t) - (1 - t) loss(0) - t loss(1)``, as in Entezari et al.
    (2022, arXiv:2110.06296). Hidden units of two trainings stand in different orders, so there is
    nearly always one, even where the two functions are alike.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skopt_dl import MLPClassifier, lab
    >>> X, y = load_iris(return_X_y=True)
    >>> models = [MLPClassifier(8, optimizer="lbfgs", random_state=k).fit(X, y) for k in (0, 1)]
    >>> lab.between(*models, X, y).barrier > 0.1
    True
    >>> linear = [MLPClassifier((), optimizer="lbfgs", random_state=k).fit(X, y) for k in (0, 1)]
    >>> lab.between(*linear, X, y).barrier
    0.0
    """
    _check_resolution(resolution)
    loss = FittedLoss(first, X, y, sample_weight, penalty=penalty)
    model = network_and_samples(second)[0]
    other = model._plain_network()
    if _form(other) != _form(loss.network):
        raise ValueError(
            f"The two models differ: {_form(loss.network)} and {_form(other)}, layer sizes and "
            "activations. There is a line only between networks that are alike."
        )
    _check_same("loss", repr(loss.network.loss), repr(other.loss))
    _check_same("classes_", _classes(loss.model), _classes(model))
    own = FittedLoss(second, X, y, sample_weight, penalty=penalty, dtype=loss.dtype)
    _check_same_loss(loss, own)
    _check_memory(resolution, 1, loss.dtype)
    end = own.params
    rows = (end - loss.params)[None]
    places = np.linspace(-MARGIN, 1 + MARGIN, resolution)
    losses = _losses(loss, [places], rows)
    start_loss, end_loss = (float(each) for each in loss.losses(np.stack([loss.params, end])))
    inside = (places >= 0) & (places <= 1)
    above = np.where(inside, losses - (1 - places) * start_loss - places * end_loss, -np.inf)
    top = int(np.argmax(above))
    # A straight line of losses is no barrier, however its figures are rounded.
    rounding = 8 * float(np.finfo(loss.dtype).eps) * max(abs(start_loss), abs(end_loss))
    barrier = float(above[top]) if above[top] > rounding else 0.0
    return Line(
        [places],
        losses,
        loss.params,
        rows,
        start_loss,
        ["from one model, at 0, to the other, at 1"],
        end_losses=(start_loss, end_loss),
        barrier=barrier,
        barrier_at=float(places[top]) if barrier else math.nan,
    )


def _form(network: DenseNetwork) -> tuple[tuple[int, ...], list[str]]:
    return network.layer_sizes, [type(each).__name__ for each in network.activations]


def _check_same_loss(first: FittedLoss, second: FittedLoss) -> None:
    """Refuse two models whose losses, on the same data, are not the same function of weights."""
    one, two = first.model, second.model
    _check_same("label_smoothing", one.label_smoothing, two.label_smoothing)
    if first.penalty:
        _check_same("alpha, and penalty=True", one.alpha, two.alpha)
    for name, ours, theirs in (
        ("X, as it comes out of their pipelines", first.data.samples, second.data.samples),
        ("targets, by standardize_target", first.data.targets, second.data.targets),
        ("class_weight", first.data.weights, second.data.weights),
    ):
        if ours.shape != theirs.shape:
            _refuse(name, f"shape {ours.shape}", f"shape {theirs.shape}")
        scale, apart = _largest(ours), _largest(ours - theirs)
        if not (apart <= ALIKE * scale).all():
            column = int(np.argmax(apart - ALIKE * scale))
            values = (f"values up to {_largest(each)[column]:.6g}" for each in (ours, theirs))
            _refuse(f"{name} (column {column}, by up to {apart[column]:.3g})", *values)


def _check_same(name: str, first: Any, second: Any) -> None:
    if first != second:
        _refuse(name, first, second)


def _refuse(name: str, first: Any, second: Any) -> NoReturn:
    raise ValueError(
        f"The two models differ in their {name}: {first} and {second}. On the line between them "
        "there is one loss for both. Fit both with the same."
    )


def _classes(model: Any) -> Any:
    """Lists of the classes, to compare; None of a regressor."""
    classes = getattr(model, "classes_", None)
    return [each.tolist() for each in classes] if isinstance(classes, list | np.ndarray) else None


def _largest(columns: Any) -> np.ndarray:
    """The largest size of a number in each column, ``(n,)``."""
    largest = abs(columns).max(axis=0)
    return largest.toarray()[0] if hasattr(largest, "toarray") else np.asarray(largest)


def _checked_rows(name: str, rows: Any, n_params: int) -> np.ndarray:
    array = np.atleast_2d(as_numbers(name, rows, f"(n, {n_params})"))
    if array.ndim != 2 or array.shape[1] != n_params:
        raise ValueError(
            f"{name} must be of shape (n, {n_params}), the weights and then the biases of the "
            f"model in each row; got shape {np.shape(rows)}. See skopt_dl.lab.parameters."
        )
    if not np.isfinite(array).all():
        raise ValueError(f"{name} has values that are not finite.")
    return array


def _check_span(directions: np.ndarray) -> None:
    """Refuse one or two directions that do not make a line or a plane."""
    lengths = np.linalg.norm(directions, axis=1)
    if not lengths.all():
        raise ValueError(
            f"directions[{int(np.argmin(lengths))}] is zero and leads nowhere; each direction "
            "needs a number that is not. Pass directions='random' for others."
        )
    units = directions / lengths[:, None]
    if len(units) == 2 and np.linalg.norm(units[1] - (units[0] @ units[1]) * units[0]) < PARALLEL:
        raise ValueError(
            "The two directions are parallel, and make a line and no plane. Pass one of them, or "
            "another second one."
        )


def _check_resolution(resolution: Any) -> None:
    if not isinstance(resolution, numbers.Integral) or resolution < 2:
        raise ValueError(f"resolution must be an int, at least 2; got {resolution!r}.")


def _check_memory(resolution: int, n_dims: int, dtype: Any) -> None:
    """Refuse more points than memory has room for."""
    needed, there_is = resolution**n_dims * np.dtype(dtype).itemsize, n_bytes_of_memory()
    if needed > there_is:
        raise MemoryError(
            f"resolution={resolution} in {n_dims} dimensions makes {resolution**n_dims:,} points, "
            f"whose losses alone take {in_words(needed)} ({needed:,} bytes); there are "
            f"{in_words(there_is)}. Use a smaller resolution, 51 say."
        )


def _random(network: DenseNetwork, params: np.ndarray, rng: np.random.RandomState) -> np.ndarray:
    """A direction whose weights into each unit are as long as the model's; biases are zero."""
    direction = np.zeros((1, len(params)))
    own = network.parts(params[None].astype(np.float64))
    for weights, drawn in zip(own.weights, network.parts(direction).weights, strict=True):
        drawn[...] = rng.normal(size=weights.shape)
        drawn *= _lengths(weights) / _lengths(drawn)
    return direction[0]


def _lengths(weights: np.ndarray) -> np.ndarray:
    """The length of the weights into each unit, ``(1, 1, n_out)``."""
    return np.linalg.norm(weights, axis=1, keepdims=True)


def _principal(differences: np.ndarray, n_dims: int) -> tuple[np.ndarray, np.ndarray]:
    """The first principal components, ``(D, P)``, and the share of the variance of each."""
    if len(differences) <= n_dims:
        raise ValueError(
            f"path has {len(differences)} points; {n_dims} principal components need more."
        )
    if (differences == differences[0]).all():
        raise ValueError("path does not move: all its points are the same.")
    _, lengths, rows = np.linalg.svd(differences - differences.mean(axis=0), full_matrices=False)
    return rows[:n_dims], lengths[:n_dims] ** 2 / (lengths**2).sum()


def _projected(differences: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Coordinates of the nearest points of the plane, ``(T, D)``."""
    return np.linalg.lstsq(rows.T, differences.T, rcond=None)[0].T


def _coordinates(
    path: np.ndarray | None, n_dims: int, resolution: int, span: float | None
) -> list[np.ndarray]:
    """Where to look along each direction."""
    if span is not None or path is None:
        end = 1.0 if span is None else span
        return [np.linspace(-end, end, resolution)] * n_dims
    # The model is at 0.
    low, high = np.minimum(path.min(axis=0), 0.0), np.maximum(path.max(axis=0), 0.0)
    widths = high - low
    largest = widths.max() or 1.0
    margins = MARGIN * np.where(widths > STILL * largest, widths, largest)
    return [
        np.linspace(*ends, resolution) for ends in zip(low - margins, high + margins, strict=True)
    ]


def _losses(loss: FittedLoss, coordinates: list[np.ndarray], rows: np.ndarray) -> np.ndarray:
    """Losses at all points of the grid."""
    shape = tuple(len(along) for along in coordinates)
    losses = np.empty(math.prod(shape), loss.dtype)
    stack = max(1, PASS_SIZE // loss.n_params)
    for start in range(0, len(losses), stack):
        part = np.arange(start, min(start + stack, len(losses)))
        places = np.unravel_index(part, shape)
        at = np.stack([along[i] for along, i in zip(coordinates, places, strict=True)], axis=1)
        losses[part] = loss.losses((loss.params + at @ rows).astype(loss.dtype))
    return losses.reshape(shape)
