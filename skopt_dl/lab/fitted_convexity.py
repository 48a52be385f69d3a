"""Whether the loss of a fitted estimator is convex, and a linear model beside a network."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from sklearn.base import clone
from sklearn.utils import check_random_state

from skopt_dl.lab.fitted import FittedLoss, network_and_samples
from skopt_dl.lab.hessians import Curvature, check_counts, curvature
from skopt_dl.networks.initializers import GlorotUniform


class EstimatorConvexity(NamedTuple):
    """Whether the loss of an estimator is a convex function of its weights.

    Attributes
    ----------
    verdict : {"proved", "refuted", "undecided"}
    reason : str
    curvatures : list of Curvature
        At the model's own weights, then at those drawn. The smallest eigenvalue at each is evidence
        for a human to look at; the verdict rests on the `chord`, or on the form of the loss.
    chord : Chord or None
        Where the loss was found above a chord.
    """

    verdict: str
    reason: str
    curvatures: list[Curvature]
    chord: Chord | None

    @property
    def smallest(self) -> float:
        """The smallest eigenvalue of all."""
        return min(each.smallest for each in self.curvatures)


class Chord(NamedTuple):
    """Two points, and a loss between them that is above the straight line.

    Attributes
    ----------
    ends : ndarray of shape (2, P)
    losses : ndarray of shape (3,)
        At one end, in the middle, and at the other.
    """

    ends: np.ndarray
    losses: np.ndarray

    @property
    def excess(self) -> float:
        """The loss in the middle, less the mean of those at the ends."""
        first, middle, last = self.losses
        return float(middle - 0.5 * (first + last))


class Beside(NamedTuple):
    """A linear model and a network on the same data; made by `linear_beside_network`.

    Attributes
    ----------
    linear, network : EstimatorConvexity
    linear_model : MLPClassifier or MLPRegressor
        Without hidden layers, fitted.
    """

    linear: EstimatorConvexity
    network: EstimatorConvexity
    linear_model: Any

    def __str__(self) -> str:
        return "\n".join(
            f"{name}: convexity {each.verdict}, smallest eigenvalue {each.smallest:.3g} of "
            f"{len(each.curvatures)} points. {each.reason}"
            for name, each in (("linear model", self.linear), ("network", self.network))
        )


def convexity_of_estimator(
    estimator: Any,
    X: Any,
    y: Any,
    sample_weight: Any = None,
    *,
    penalty: bool = False,
    n_points: int = 3,
    random_state: Any = 0,
    **options: Any,
) -> EstimatorConvexity:
    """Say whether the loss of a fitted estimator, on given data, is convex in its weights.

    Looks at the Hessian at the model's own weights, and at some like those that trainings start
    from. Along a direction of negative curvature it then looks for a chord that the loss lies
    above, a counterexample that needs no derivatives.

    Parameters
    ----------
    estimator, X, y, sample_weight, penalty
        As for `curvature`.
    n_points : int, default=3
        How many more weights to look at, drawn as ``init="glorot_uniform"`` draws them.
    random_state : int, RandomState instance or None, default=0
    **options
        More of `curvature`: ``method``, ``tol``, ``max_products``.

    Returns
    -------
    convexity : EstimatorConvexity
        ``"refuted"`` by a chord; ``"proved"`` where the model has no hidden layer and the loss is a
        convex function of the output, which is then a linear function of the weights; else
        ``"undecided"``. Positive eigenvalues at some points prove nothing.

    Raises
    ------
    ValueError, TypeError, sklearn.exceptions.NotFittedError, RuntimeError
        As for `curvature`.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skopt_dl import MLPClassifier, lab
    >>> X, y = load_iris(return_X_y=True)
    >>> linear = MLPClassifier((), optimizer="lbfgs").fit(X, y)
    >>> lab.convexity_of_estimator(linear, X, y).verdict
    'proved'
    >>> network = MLPClassifier(5, activation="tanh", optimizer="lbfgs", random_state=0).fit(X, y)
    >>> lab.convexity_of_estimator(network, X, y).verdict
    'refuted'
    """
    check_counts(n_points=n_points)
    loss = FittedLoss(estimator, X, y, sample_weight, penalty=penalty, dtype=np.float64)
    rng = check_random_state(random_state)
    points = [loss.params, *_drawn(loss, n_points, rng)]
    found = [
        curvature(
            estimator,
            X,
            y,
            sample_weight,
            penalty=penalty,
            params=point,
            random_state=rng,
            **options,
        )
        for point in points
    ]
    for each in sorted(found, key=lambda each: each.smallest):
        chord = _chord(loss, each) if each.has_negative else None
        if chord is not None:
            reason = (
                f"Along a direction of curvature {each.smallest:.3g} the loss in the middle of a "
                f"chord is {chord.excess:.3g} above the mean of its ends."
            )
            return EstimatorConvexity("refuted", reason, found, chord)
    if not loss.network.activations and loss.network.loss.is_convex:
        reason = (
            f"{type(loss.network.loss).__name__} is convex in the output, and without hidden "
            "layers the output is linear in the weights."
        )
        return EstimatorConvexity("proved", reason, found, None)
    reason = f"No negative curvature was found at {len(found)} points, which proves nothing."
    return EstimatorConvexity("undecided", reason, found, None)


def linear_beside_network(
    estimator: Any, X: Any, y: Any, sample_weight: Any = None, **options: Any
) -> Beside:
    """Answer "cross-entropy is convex, why is the network's loss not?" on a model of one's own.

    Fits the same model without hidden layers, and looks at both with `convexity_of_estimator`. The
    cross-entropy is convex in the *output*. A linear model's output is linear in the weights, and
    so its loss is convex in them. A network's is not: layers multiply each other's weights.

    Parameters
    ----------
    estimator : fitted MLPClassifier, MLPRegressor, or Pipeline or search with one
        Left as it is. The linear model has its loss, penalty and class weights, and is trained with
        L-BFGS, in float64.
    X, y, sample_weight
        As for `curvature`.
    **options
        Of `convexity_of_estimator`.

    Returns
    -------
    beside : Beside
        ``print`` gives both figures.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skopt_dl import MLPClassifier, lab
    >>> X, y = load_iris(return_X_y=True)
    >>> model = MLPClassifier(5, activation="tanh", optimizer="lbfgs", random_state=0).fit(X, y)
    >>> both = lab.linear_beside_network(model, X, y)
    >>> both.linear.verdict, both.network.verdict
    ('proved', 'refuted')
    >>> both.linear.smallest > -1e-8, both.network.smallest < -1e-3
    (True, True)
    """
    model, samples = network_and_samples(estimator, X)
    linear = clone(model).set_params(
        hidden_layer_sizes=(),
        activation="identity",
        optimizer="lbfgs",
        init="zeros",
        dropout=0.0,
        batch_norm=False,
        input_scaling=False,
        max_grad_norm=None,
        ema_decay=None,
        early_stopping=False,
        scoring=None,
        warm_start=False,
        shuffle=True,
        batch_size="auto",
        sampling="shuffle",
        max_iter=1000,
        dtype="float64",
    )
    linear.fit(samples, y, sample_weight)
    return Beside(
        convexity_of_estimator(linear, samples, y, sample_weight, **options),
        convexity_of_estimator(model, samples, y, sample_weight, **options),
        linear,
    )


def _drawn(loss: FittedLoss, n_points: int, rng: np.random.RandomState) -> np.ndarray:
    """Weights and biases such as trainings start from, ``(n_points, P)``."""
    rows = np.zeros((n_points, loss.n_params))
    generator = np.random.default_rng(rng.randint(2**31))
    for row in rows:
        GlorotUniform().fill(loss.network.layout, row, generator, loss.network.gains)
    return rows


def _chord(loss: FittedLoss, at: Curvature) -> Chord | None:
    """The chord through a point, along its smallest curvature, that the loss is furthest above."""
    lengths = max(1.0, float(np.sqrt(np.mean(at.params**2)))) * 2.0 ** -np.arange(0, 16)
    moves = lengths[:, None] * at.eigenvectors[0]
    values = loss.losses(np.concatenate([at.params - moves, at.params + moves]))
    before, after = values[: len(lengths)], values[len(lengths) :]
    best = int(np.nanargmax(at.loss - 0.5 * (before + after)))
    chord = Chord(
        np.stack([at.params - moves[best], at.params + moves[best]]),
        np.array([before[best], at.loss, after[best]]),
    )
    # Sums over samples round; an excess of that size is none.
    rounding = 4.0 * np.finfo(np.float64).eps * np.sqrt(loss.n_samples) * np.abs(chord.losses).max()
    return chord if chord.excess > rounding else None
