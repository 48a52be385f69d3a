"""The regressor."""

from __future__ import annotations

import math
from typing import Any, Self

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.utils.metaestimators import available_if

from skopt_dl._params import BOOLEAN
from skopt_dl.estimators.base import BaseMLP, can_partial_fit
from skopt_dl.estimators.conduct import one_at_a_time
from skopt_dl.jobs import FitJob
from skopt_dl.networks import Loss
from skopt_dl.networks.losses import OUTPUT_ACTIVATIONS
from skopt_dl.optimizers import Adam
from skopt_dl.plugins import find
from skopt_dl.schedules import CosLog4
from skopt_dl.training import ModelRun

# Share of a precision's largest number that targets may have, so that sums over a layer do too.
LARGEST_TARGET = 1e-4
# Means and deviations between which targets are trained on without being standardised.
ORDINARY = 0.1, 10.0


class MLPRegressor(RegressorMixin, BaseMLP):
    """Multi-layer perceptron regressor, trained by any optimizer.

    One or several targets. Parameters that scikit-learn's ``MLPRegressor`` has mean the same here;
    what it calls ``solver``, and its ``learning_rate*``, ``momentum``, ``beta_*`` and ``epsilon``
    parameters, belong to ``optimizer``. Targets are trained on as they are: set
    ``standardize_target`` where they are far from unit variance.

    Parameters
    ----------
    hidden_layer_sizes : int or sequence of int, default=(100,)
        Units of each hidden layer; an empty sequence gives a linear model.
    activation : str, Activation or sequence of them, default="relu"
        ``"identity"``, ``"logistic"``, ``"tanh"``, ``"relu"``, ``"leaky_relu"``, ``"elu"``,
        ``"selu"``, ``"gelu"``, ``"silu"``, ``"mish"``, ``"softplus"``, or a plugin's name; a
        sequence has one for each hidden layer.
    optimizer : str, Optimizer or Minimizer, default="adam"
        A name from `skopt_dl.available_optimizers`, or an object such as
        ``Adam(learning_rate=0.01)``. ``set_params(optimizer__learning_rate=0.01)``, and so every
        grid, works with both.
    loss : str or Loss, default="squared_error"
        ``"squared_error"``, ``"absolute_error"``, ``"huber"``, ``"log_cosh"``, ``"poisson"``,
        ``"gamma"``, ``"quantile"``, an object such as ``Quantile(0.9)``, or a plugin's name.
        ``loss__quantile=0.9`` works too.
    alpha : float, default=1e-4
        Strength of the L2 penalty on weights, divided by the samples in a batch.
    batch_size : int, "auto" or "full", default="auto"
        Samples in a mini-batch; ``"auto"`` is ``min(200, n_samples)``, ``"full"`` all of them.
    max_iter : int, default=200
        Most epochs; for full-batch methods, iterations.
    shuffle : bool, default=True
        Whether to draw a new order of the samples each epoch.
    tol : float, default=1e-4
        What counts as an improvement; for full-batch methods, the gradient component to stop at.
    n_iter_no_change : int, default=10
        Epochs without improvement after which training stops; ``math.inf`` runs all epochs.
    early_stopping : bool, default=False
        Hold out a validation set, stop when its R² no longer improves, and keep the weights
        of the best epoch.
    validation_fraction : float, default=0.1
        Share of the training data to hold out.
    scoring : str, callable or None, default=None
        What ``early_stopping`` goes by: None for R², ``"loss"`` for the loss, or any of
        scikit-learn's scorers, by name or as ``scorer(model, X_val, y_val)``. Recorded, too, where
        ``X_val`` is given.
    standardize_target : bool, default=False
        Whether to train on targets with mean 0 and variance 1. Predictions, ``coefs_`` and
        ``intercepts_`` are for targets as given; losses in ``history_`` are for standardised ones.
        The first fit, or ``partial_fit``, decides on mean and variance.
    dropout : float or sequence of float, default=0.0
        Share of hidden units that each step leaves out (Srivastava et al., 2014); a sequence has
        one for each hidden layer.
    batch_norm : bool, default=False
        Whether hidden layers normalise their inputs over the batch (Ioffe & Szegedy, 2015,
        arXiv:1502.03167). Predictions use statistics of about the last ten batches, which are
        folded into ``coefs_`` and ``intercepts_``.
    input_scaling : bool, default=False
        Whether each feature gets a factor that is learnt, so that irrelevant ones fade
        (Holzmüller et al., 2024, arXiv:2407.04491). Folded into ``coefs_``.
    init : str or Initializer, default="glorot_uniform"
        Initial weights: ``"glorot_uniform"``, ``"glorot_normal"``, ``"he_uniform"``,
        ``"he_normal"``, ``"lecun_uniform"``, ``"lecun_normal"``, ``"orthogonal"``, ``"uniform"``,
        ``"normal"``, ``"zeros"``; ``skopt_dl.networks.FromFitted(model)`` takes those of a fitted
        model.
    max_grad_norm : float or None, default=None
        Longer gradients are scaled down to this length (Pascanu et al., 2013, arXiv:1211.5063).
        Full-batch methods make no use of it, nor of `ema_decay`.
    ema_decay : float or None, default=None
        Predict with an exponential moving average of the weights, in which a step counts
        `ema_decay` times as much as the one after it (Morales-Brotons et al., 2024,
        arXiv:2411.18704). 0.99 averages about the last 100 steps.
    sampling : {"shuffle", "replacement"}, default="shuffle"
        Whether an epoch visits every sample once, or draws each batch independently.
    warm_start : bool, default=False
        Whether ``fit`` goes on from the previous weights.
    device : {"auto", "cpu", "cuda"}, default="auto"
        ``"auto"`` is the CPU; with `verbose` it says so where there is a GPU. ``"cuda"``, the GPU
        through CuPy, has not been tried on one yet.
    dtype : {None, "float32", "float64"}, default=None
        Precision of weights and training; None follows `X`. float32 is about twice as fast.
    random_state : int, RandomState instance or None, default=None
        Determines initial weights, the validation set and the order of the samples.
    verbose : bool, default=False
        Whether to print the loss of each epoch.

    Attributes
    ----------
    coefs_ : list of ndarray of shape (n_in, n_out)
        Weights of each layer.
    intercepts_ : list of ndarray of shape (n_out,)
        Biases of each layer.
    history_ : dict of str to list of float
        Columns ``loss``, ``validation_loss``, ``validation_score``, ``learning_rate``,
        ``grad_norm`` (of the epoch's first batch) and ``seconds``, where they apply; one value an
        epoch, over all fits of a warm start.
    loss_ : float
        Loss of the last epoch.
    loss_curve_ : list of float
        Loss of each epoch.
    best_loss_ : float or None
        Lowest loss; None with ``early_stopping``.
    validation_loss_curve_ : list of float or None
        Loss on the validation set after each epoch, where there is one; without penalty, dropout
        or label smoothing.
    validation_scores_ : list of float or None
        R² on the validation set after each epoch, or what ``scoring`` says.
    best_validation_score_ : float or None
    n_iter_ : int
        Epochs, or iterations, of the last fit.
    n_steps_ : int
        Updates of the weights so far.
    t_ : int
        Training samples seen so far.
    n_layers_, n_outputs_ : int
    out_activation_ : str
        ``"identity"``, or ``"exp"`` for the Poisson and gamma losses.
    optimizer_ : Optimizer or Minimizer
        The optimizer that was used.
    device_ : str
        Where the model was trained.
    n_features_in_ : int
    feature_names_in_ : ndarray of str
        Where `X` has column names.

    See Also
    --------
    MLPClassifier : The same for classification.
    skopt_dl.make_optimizer : Creates an optimizer by name.

    Notes
    -----
    Losses sum over several targets, so that the gradient of each is what it would be alone.
    scikit-learn trains in the same way, but reports the mean over targets as its squared error.

    Examples
    --------
    >>> from sklearn.datasets import make_regression
    >>> from skopt_dl import MLPRegressor
    >>> X, y = make_regression(200, 5, random_state=0)
    >>> model = MLPRegressor(20, optimizer="lbfgs", max_iter=1000, random_state=0).fit(X, y)
    >>> model.score(X, y) > 0.9
    True
    """

    _task = "regression"

    def __init__(
        self,
        hidden_layer_sizes: Any = (100,),
        activation: Any = "relu",
        *,
        optimizer: Any = "adam",
        loss: Any = "squared_error",
        alpha: float = 1e-4,
        batch_size: int | str = "auto",
        max_iter: int = 200,
        shuffle: bool = True,
        tol: float = 1e-4,
        n_iter_no_change: int = 10,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        scoring: Any = None,
        standardize_target: bool = False,
        dropout: Any = 0.0,
        batch_norm: bool = False,
        input_scaling: bool = False,
        init: Any = "glorot_uniform",
        max_grad_norm: float | None = None,
        ema_decay: float | None = None,
        sampling: str = "shuffle",
        warm_start: bool = False,
        device: str = "auto",
        dtype: Any = None,
        random_state: Any = None,
        verbose: bool = False,
    ):
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.optimizer = optimizer
        self.loss = loss
        self.alpha = alpha
        self.batch_size = batch_size
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.tol = tol
        self.n_iter_no_change = n_iter_no_change
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.scoring = scoring
        self.standardize_target = standardize_target
        self.dropout = dropout
        self.batch_norm = batch_norm
        self.input_scaling = input_scaling
        self.init = init
        self.max_grad_norm = max_grad_norm
        self.ema_decay = ema_decay
        self.sampling = sampling
        self.warm_start = warm_start
        self.device = device
        self.dtype = dtype
        self.random_state = random_state
        self.verbose = verbose

    constraints = {**BaseMLP.constraints, "standardize_target": BOOLEAN}

    @classmethod
    def _tabular_params(cls, loss: Any = None) -> dict[str, Any]:
        kind = find("loss", loss) if isinstance(loss, str) else loss
        return {
            "optimizer": Adam(CosLog4(0.02), beta_2=0.95),
            # Losses that predict through an exponential take targets as they are.
            "standardize_target": getattr(kind, "output_activation", "identity") == "identity",
            "early_stopping": True,
            "ema_decay": 0.99,
        }

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    @available_if(can_partial_fit)
    @one_at_a_time
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train for one epoch, going on from where the model is.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        sample_weight : array-like of shape (n_samples,), default=None

        Returns
        -------
        self : object
        """
        return self._fit(X, y, sample_weight, incremental=True)

    def predict(self, X: Any) -> np.ndarray:
        """Predict targets.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
        """
        y = self._predictions(self._raw_output(X))
        return self._as_input(y[:, 0] if y.shape[1] == 1 else y, X)

    def _predictions(self, raw: np.ndarray) -> np.ndarray:
        return OUTPUT_ACTIVATIONS[self.out_activation_](np, raw)

    def _prepare_targets(
        self, y: Any, sample_weight: Any, reset: bool, incremental: bool, classes: Any
    ) -> None:
        if not reset:
            if self.standardize_target != self._has_own_target_units:
                raise ValueError(
                    f"standardize_target={self.standardize_target} differs from the first fit. "
                    "Leave it, or start anew with warm_start=False."
                )
            return
        self._target_moments = None
        if self.standardize_target:
            table = np.asarray(y, dtype=np.float64).reshape(len(y), -1)
            weights = None if sample_weight is None else sample_weight[:, 0]
            self._target_moments = _moments(table, weights)

    def _loss_form(self, loss: Loss) -> Loss:
        form = loss.for_targets("continuous")
        if self.standardize_target and form.output_activation != "identity":
            raise ValueError(
                f"standardize_target=True does not go with loss={self.loss!r}, which predicts "
                f"through {form.output_activation!r}: targets below their mean would be negative. "
                "Set standardize_target=False."
            )
        return form

    def _target_advice(self, run: ModelRun, job: FitJob) -> str:
        losses = run.history.get("loss")
        if self._has_own_target_units or self._fitted_loss.output_activation != "identity":
            return ""
        weights = None if job.sample_weight is None else job.sample_weight[:, 0]
        with np.errstate(over="ignore"):
            mean = np.average(job.y, axis=0, weights=weights)
            deviation = np.sqrt(np.average((job.y - mean) ** 2, axis=0, weights=weights))
            low, high = ORDINARY
            far = (np.abs(mean) > high) | (deviation > high) | ((deviation < low) & (deviation > 0))
            if not losses or not far.any():
                return ""
            constant = np.broadcast_to(mean, job.y.shape)[None]
            values = self._fitted_loss.value(np, constant, job.y[None])[0]
            of_mean = np.average(values, weights=weights)
        if not np.fmin.reduce(losses) > of_mean:
            return ""
        return (
            f"The loss, {losses[-1]:.3g}, is above that of predicting the mean, {of_mean:.3g}: "
            f"the targets, with mean {_briefly(mean)} and standard deviation {_briefly(deviation)},"
            " are far from the scale the network starts at. Set standardize_target=True."
        )

    @property
    def _has_own_target_units(self) -> bool:
        return self._target_moments is not None

    def _in_target_units(self, *arrays: np.ndarray) -> list[np.ndarray]:
        if self._target_moments is None:
            return list(arrays)
        mean, deviation = self._target_moments
        # The first are raw outputs or weights, the second, if there are any, biases.
        shifts = [0.0, mean] if len(arrays) == 2 else [mean]
        return [
            (array * deviation + shift).astype(array.dtype)
            for array, shift in zip(arrays, shifts, strict=True)
        ]

    def _to_training_units(self, weights: np.ndarray, biases: np.ndarray) -> None:
        if self._target_moments is not None:
            mean, deviation = self._target_moments
            weights /= deviation
            biases -= mean
            biases /= deviation

    def _encode_targets(self, y: Any, dtype: Any) -> np.ndarray:
        if self._target_moments is not None:
            mean, deviation = self._target_moments
            n_outputs = 1 if np.ndim(y) == 1 else np.shape(y)[1]
            if n_outputs != len(mean):
                raise ValueError(
                    f"y has {n_outputs} targets; this model was fitted on {len(mean)}."
                )
            y = np.asarray(y, dtype=np.float64).reshape(len(y), -1)
            largest, limit = float(np.abs(y).max()), LARGEST_TARGET * float(np.finfo(dtype).max)
            if largest > limit:
                raise ValueError(
                    f"y has values up to {largest:.3g}; with standardize_target=True, and weights "
                    f"in {np.dtype(dtype)}, they may be up to {limit:.3g}. Scale y, or set "
                    "dtype='float64'."
                )
            y = (y - mean) / deviation
        with np.errstate(over="ignore"):
            targets = np.asarray(y, dtype=dtype).reshape(len(y), -1)
        if not np.isfinite(targets).all():
            raise ValueError(
                f"y has values beyond the range of {np.dtype(dtype)}, up to {np.abs(y).max():.3g}. "
                "Scale y, or set dtype='float64'."
            )
        return targets

    def _score_raw(self, raw: np.ndarray, y: np.ndarray, sample_weight: np.ndarray | None) -> float:
        if not np.isfinite(raw).all():
            return math.nan
        return r2(y, self._predictions(raw.copy()), sample_weight)


def _briefly(values: np.ndarray) -> str:
    """The figures of the first targets."""
    text = ", ".join(f"{value:.3g}" for value in values[:3])
    return text if len(values) == 1 else f"({text}{', …' if len(values) > 3 else ''})"


def _moments(table: np.ndarray, weights: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each column; 1 for the deviation of a constant one."""
    # Powers of two, which round nothing, keep the squares in range.
    exponent = np.frexp(np.abs(table).max(axis=0))[1]
    scaled = np.ldexp(table, -exponent)
    mean = np.average(scaled, axis=0, weights=weights)
    deviation = np.sqrt(np.average((scaled - mean) ** 2, axis=0, weights=weights))
    return np.ldexp(mean, exponent), np.where(deviation > 0, np.ldexp(deviation, exponent), 1.0)


def r2(y: np.ndarray, predictions: np.ndarray, sample_weight: np.ndarray | None) -> float:
    """Coefficient of determination, averaged over targets; scikit-learn's, without its checks."""
    mean = np.average(y, axis=0, weights=sample_weight)
    residual = np.average((y - predictions) ** 2, axis=0, weights=sample_weight)
    total = np.average((y - mean) ** 2, axis=0, weights=sample_weight)
    constant = np.where(residual == 0, 1.0, 0.0)
    ratio = residual / np.where(total > 0, total, 1.0)
    return float(np.mean(np.where(total > 0, 1.0 - ratio, constant)))
