"""Small training problems, and the classes to try on them, that the tests share."""

import inspect

import naive
import numpy as np
import scipy.sparse

import skopt_dl.optimizers
from skopt_dl.backends import get_backend
from skopt_dl.layers import activations
from skopt_dl.networks import (
    Activation,
    DenseNetwork,
    DensePool,
    NetworkObjective,
    SparsePool,
    TargetPool,
    losses,
)
from skopt_dl.optimizers import Optimizer
from skopt_dl.training import Batches, TrainingConfig, minimise

NUMPY = get_backend("cpu")


def subclasses_in(module, base):
    """The subclasses of `base` that `module` offers, by name."""
    classes = dict(inspect.getmembers(module, inspect.isclass))
    return {n: c for n, c in classes.items() if issubclass(c, base) and c is not base}


ACTIVATIONS = {name: cls() for name, cls in subclasses_in(activations, Activation).items()}

# An optimizer without parameters is a base class.
OPTIMIZERS = {
    name: cls
    for name, cls in subclasses_in(skopt_dl.optimizers, Optimizer).items()
    if cls().get_params()
}

LOSSES = {
    "binary": losses.LogisticLogLoss(),
    "multilabel": losses.LogisticLogLoss(),
    "multiclass": losses.SoftmaxLogLoss(),
    "focal_binary": losses.LogisticFocal(naive.FOCAL_GAMMA),
    "focal_multiclass": losses.SoftmaxFocal(naive.FOCAL_GAMMA),
    "two_labels": losses.PerOutput([losses.LogisticLogLoss(), losses.SoftmaxLogLoss()], [1, 3]),
    "squared_error": losses.SquaredError(),
    "log_cosh": losses.LogCosh(),
    "gamma": losses.Gamma(),
    "absolute_error": losses.AbsoluteError(),
    "huber": losses.Huber(naive.HUBER_DELTA),
    "poisson": losses.Poisson(),
    "quantile": losses.Quantile(naive.QUANTILE),
}


def draw_targets(loss, rng, n):
    """Targets ``(n, n_outputs)`` that suit a loss."""
    if loss in ("binary", "focal_binary"):
        return rng.integers(2, size=(n, 1)).astype(float)
    if loss == "multilabel":
        return rng.integers(2, size=(n, 3)).astype(float)
    if loss in ("multiclass", "focal_multiclass"):
        return np.eye(3)[rng.integers(3, size=n)]
    if loss == "two_labels":
        return np.eye(5)[rng.integers(2, 5, size=n)][:, 1:] + np.eye(4)[0] * rng.integers(
            2, size=(n, 1)
        )
    if loss == "gamma":
        return rng.gamma(2.0, size=(n, 2))
    if loss == "poisson":
        return rng.poisson(2.0, size=(n, 2)).astype(float)
    return rng.normal(size=(n, 2))


class Problem:
    """A network, its data and where its models start; NumPy float64, cast on the way out.

    Attributes
    ----------
    x, y, sample_weight : ndarray of shape (n_samples, n_features), (n_samples, n_outputs), \
            (n_samples,)
    """

    def __init__(
        self,
        loss="multiclass",
        activation="Tanh",
        hidden=(4,),
        n_samples=23,
        n_features=5,
        seed=0,
        dtype=np.float64,
        **network_options,
    ):
        rng = np.random.default_rng(seed)
        self.x = rng.normal(size=(n_samples, n_features))
        self.y = draw_targets(loss, rng, n_samples)
        self.sample_weight = rng.uniform(0.2, 2.0, n_samples)
        self.loss, self.activation, self.seed, self.dtype = loss, activation, seed, dtype
        self.network = DenseNetwork(
            [n_features, *hidden, self.y.shape[1]],
            [ACTIVATIONS[activation]] * len(hidden),
            LOSSES[loss],
            **network_options,
        )

    def starts(self, n_models=1, b=NUMPY):
        """Parameters ``(K, P)``; row k does not depend on K."""
        rngs = [np.random.default_rng([self.seed, k]) for k in range(n_models)]
        rows = np.stack([rng.normal(0.0, 0.5, self.network.layout.size) for rng in rngs])
        return b.asarray(rows.astype(self.dtype))

    def with_statistics(self, params, b=NUMPY):
        """Parameters ``(K, P + S)``, with statistics of all samples."""
        objective = self.objective(params.shape[0], b=b)
        objective.value_and_grad(params)
        return b.xp.concat([params, objective.statistics], axis=1)

    def objective(
        self, n_models=1, alpha=0.0, weighted=False, sparse=False, b=NUMPY, dropout=0.0, **options
    ):
        x, y, weight = (a.astype(self.dtype) for a in (self.x, self.y, self.sample_weight[:, None]))
        pool = SparsePool(scipy.sparse.csr_array(x)) if sparse else DensePool(b, b.asarray(x))
        return NetworkObjective(
            b,
            self.network,
            pool,
            TargetPool(b, b.asarray(y)),
            n_models=n_models,
            alpha=alpha,
            sample_weight=TargetPool(b, b.asarray(weight)) if weighted else None,
            per_model=np.broadcast_to(dropout, (n_models, len(self.network.activations))),
            **{"rngs": [np.random.default_rng(k) for k in range(n_models)], **options},
        )

    def naive_loss(self, row, alpha=0.0, weighted=False):
        return naive.penalised_loss(
            row,
            self.network.layer_sizes,
            self.activation,
            self.loss,
            self.x,
            self.y,
            alpha,
            self.sample_weight if weighted else None,
        )

    def batches(self, seeds, batch_size=8, **options):
        rngs = [np.random.default_rng(1000 + seed) for seed in seeds]
        return Batches(len(self.x), batch_size, rngs=rngs, **options)

    def train(
        self,
        optimizers,
        models=None,
        *,
        alpha=0.0,
        weighted=False,
        batch_size=8,
        shuffle=True,
        b=NUMPY,
        regularised=None,
        **options,
    ):
        """Train one model for each optimizer; `models` are their places in `starts`."""
        models = list(range(len(optimizers))) if models is None else models
        params = b.asarray(b.to_numpy(self.starts(max(models) + 1))[models])
        if not isinstance(optimizers[0], TrainingConfig):
            options.setdefault("max_epochs", 4)
        rngs = [np.random.default_rng(k) for k in models]
        return minimise(
            self.objective(len(models), alpha, weighted, b=b, rngs=rngs, **(regularised or {})),
            optimizers,
            params,
            batches=self.batches(models, batch_size, shuffle=shuffle),
            **options,
        )
