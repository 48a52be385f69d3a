"""What the classifier and the regressor share: from parameters and data to a fitted model."""

from __future__ import annotations

import math
import numbers
import warnings
from typing import Any, Self

import numpy as np
from scipy import sparse
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from skopt_dl._params import BOOLEAN, NOT_NEGATIVE, InstanceOf, Interval, Options, Precision
from skopt_dl.backends import backend_for_prediction, like_input, to_host
from skopt_dl.estimators.components import NamedComponents
from skopt_dl.estimators.data import split, training_data
from skopt_dl.estimators.report import print_epoch, warn_of_outcome
from skopt_dl.networks import DensePool, Loss, Network, SparsePool, raw_output
from skopt_dl.optimizers import Minimizer
from skopt_dl.plugins import MissingPluginError, find
from skopt_dl.stacking import FitJob, train
from skopt_dl.training import HISTORY_COLUMNS, ModelRun, Stopping

_COUNT = Interval(1, math.inf, "[)", integer=True)


def can_partial_fit(estimator: BaseMLP) -> bool:
    """Whether the optimizer works on mini-batches; raises ``AttributeError`` where it does not."""
    optimizer = estimator.optimizer
    try:
        cls = find("optimizer", optimizer) if isinstance(optimizer, str) else type(optimizer)
    except (ValueError, ImportError, TypeError, MissingPluginError):
        return True  # partial_fit then says what is wrong with the name
    if issubclass(cls, Minimizer):
        raise AttributeError(
            f"partial_fit is only available for stochastic optimizers; {cls.__name__} needs all "
            "the data at once."
        )
    return True


class BaseMLP(NamedComponents):
    """Fitting, prediction and attributes; see `MLPClassifier` and `MLPRegressor`."""

    constraints = {
        "alpha": NOT_NEGATIVE,
        "batch_size": (Options(("auto", "full")), _COUNT),
        "max_iter": _COUNT,
        "shuffle": BOOLEAN,
        "tol": NOT_NEGATIVE,
        "n_iter_no_change": (_COUNT, Options((math.inf,))),
        "early_stopping": BOOLEAN,
        "validation_fraction": Interval(0, 1, "()"),
        "sampling": Options(("shuffle", "replacement")),
        "warm_start": BOOLEAN,
        "device": Options(("auto", "cpu", "cuda")),
        "dtype": Precision(),
        "verbose": (BOOLEAN, InstanceOf(numbers.Integral, "an int")),
    }
    _task: str
    coefs_: list[np.ndarray]
    intercepts_: list[np.ndarray]

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    # Targets: what the classifier and the regressor do differently.

    def _prepare_targets(self, y: Any, reset: bool, incremental: bool, classes: Any) -> None:
        """Learn what there is to know of the targets, or check that they fit what is known."""

    def _encode_targets(self, y: Any, dtype: Any) -> np.ndarray:
        """Return targets as numbers, ``(n_samples, n_outputs)``."""
        raise NotImplementedError

    def _target_type(self) -> str:
        """Name the kind of target, as `type_of_target` does."""
        raise NotImplementedError

    def _strata(self, y: np.ndarray) -> np.ndarray | None:
        """Labels whose shares the validation set is to keep, from encoded targets."""
        return None

    def _score_raw(self, raw: np.ndarray, y: np.ndarray, sample_weight: np.ndarray | None) -> float:
        """Score raw outputs against encoded targets, ``(n_samples, n_outputs)`` both."""
        raise NotImplementedError

    # Fitting

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train the network.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples in the loss; not negative.

        Returns
        -------
        self : object
            The fitted model. An interrupted or diverging run leaves its last good weights.

        Raises
        ------
        ValueError
            If a parameter or the data is not valid; the message names it.
        """
        return self._fit(X, y, sample_weight, incremental=False)

    def _fit(
        self, X: Any, y: Any, sample_weight: Any, incremental: bool, classes: Any = None
    ) -> Self:
        before = dict(vars(self))
        try:
            self._train(X, y, sample_weight, incremental, classes)
        except BaseException:
            # A fit that fails leaves the model as it was.
            self.__dict__ = before
            raise
        return self

    def _train(self, X: Any, y: Any, sample_weight: Any, incremental: bool, classes: Any) -> None:
        self.check_params()
        hidden = self._hidden_layer_sizes()
        optimizer, activation = self._component("optimizer"), self._component("activation")
        loss, init = self._component("loss"), self._component("init")
        self._check_task(loss)
        if incremental and self.early_stopping:
            raise ValueError(
                "partial_fit does not support early_stopping=True: the data of one call is no "
                "basis for stopping. Set early_stopping=False."
            )
        reset = not hasattr(self, "coefs_") or not (self.warm_start or incremental)
        X, y, sample_weight = training_data(self, X, y, sample_weight, self._dtypes(reset), reset)
        self._prepare_targets(y, reset, incremental, classes)
        y = self._encode_targets(y, X.dtype)
        loss.check_targets(y)
        network = Network(
            [X.shape[1], *hidden, y.shape[1]],
            [activation] * len(hidden),
            loss.for_targets(self._target_type()),
        )
        self.out_activation_ = network.loss.output_activation
        random_state = check_random_state(self.random_state)
        if reset:
            self._rng = np.random.default_rng(random_state.randint(2**31, size=4))
            params = np.empty((1, network.layout.size), dtype=X.dtype)
            init.fill(network.layout, params[0], self._rng, network.glorot_gains)
            self._forget()
        else:
            params = self._pack(network, X.dtype)
        resume = self._resumable(optimizer) if incremental else None
        rows, validation_rows = None, None
        if self.early_stopping:
            rows, validation_rows = split(
                self._strata(y), len(y), self.validation_fraction, random_state
            )
        n_train = len(y) if rows is None else len(rows)
        job = FitJob(
            network=network,
            optimizer=optimizer,
            params=params[0].astype(optimizer.dtype or X.dtype, copy=False),
            X=X,
            y=y,
            sample_weight=sample_weight,
            rows=rows,
            validation_rows=validation_rows,
            score=self._score_raw,
            alpha=float(self.alpha),
            batch_size=self._batch_size(n_train),
            max_epochs=1 if incremental else self.max_iter,
            horizon=self.max_iter,
            shuffle=bool(self.shuffle),
            sampling=self.sampling,
            stopping=self._stopping(),
            device=self.device,
            rng=self._rng,
            on_epoch_end=print_epoch if self.verbose else None,
            resume=resume,
        )
        run, self.device_ = train(job)
        self.optimizer_ = optimizer
        self._fitted_activation, self._fitted_loss = activation, network.loss
        self.n_steps_ += run.progress.step - (resume["progress"].step if resume else 0)
        self.t_ += run.n_epochs * n_train
        self._publish(run, network, X.dtype)
        if not incremental or run.stop_reason != "max_iter":
            warn_of_outcome(run, self.max_iter)

    def _hidden_layer_sizes(self) -> list[int]:
        sizes = self.hidden_layer_sizes
        sizes = list(sizes) if np.iterable(sizes) and not isinstance(sizes, str) else [sizes]
        if not all(_COUNT.accepts(size) for size in sizes):
            raise ValueError(
                f"hidden_layer_sizes of {type(self).__name__} must be an int or a sequence of "
                f"ints, all at least 1; got {self.hidden_layer_sizes!r}."
            )
        return [int(size) for size in sizes]

    def _check_task(self, loss: Loss) -> None:
        if loss.task != self._task:
            raise ValueError(
                f"loss of {type(self).__name__} must be one for {self._task}; "
                f"{self.loss!r} is for {loss.task}."
            )

    def _dtypes(self, reset: bool) -> list[Any]:
        """Precisions that the data may keep; the first is what others become."""
        if self.dtype is not None:
            return [self.dtype]
        return [np.float64, np.float32] if reset else [self.coefs_[0].dtype]

    def _batch_size(self, n_samples: int) -> int:
        if self.batch_size == "full":
            return n_samples
        if self.batch_size == "auto":
            return min(200, n_samples)
        if self.batch_size > n_samples:
            warnings.warn(
                f"batch_size={self.batch_size} is larger than the {n_samples} training samples; "
                "every batch will hold all of them.",
                stacklevel=5,
            )
        return min(int(self.batch_size), n_samples)

    def _stopping(self) -> Stopping:
        common = {"tol": self.tol, "n_iter_no_change": self.n_iter_no_change}
        if self.early_stopping:
            return Stopping(
                monitor="validation_score", larger_is_better=True, restore_best=True, **common
            )
        return Stopping(**common)

    # Fitted attributes

    def _forget(self) -> None:
        """Start histories that warm starts and partial fits append to."""
        self.history_: dict[str, list[float]] = {}
        self.t_ = self.n_steps_ = 0
        self._resume: dict[str, Any] | None = None

    def _publish(self, run: ModelRun, network: Network, dtype: Any) -> None:
        """Turn what a training left into attributes."""
        assert run.params is not None
        tensors = network.layout.tensors(run.params.astype(dtype, copy=False)[None])
        self.coefs_ = [tensor.array[0] for tensor in tensors if tensor.role != "bias"]
        self.intercepts_ = [tensor.array[0, 0] for tensor in tensors if tensor.role == "bias"]
        self.n_layers_ = len(network.layer_sizes)
        self.n_outputs_ = network.layer_sizes[-1]
        self.n_iter_ = run.n_epochs
        columns = [name for name in HISTORY_COLUMNS if name in run.history]
        self.history_ = {name: self.history_.get(name, []) + run.history[name] for name in columns}
        self.loss_curve_ = self.history_.get("loss", [])
        self.loss_ = self.loss_curve_[-1] if self.loss_curve_ else math.nan
        self.validation_scores_ = self.history_.get("validation_score")
        self.best_loss_ = self.best_validation_score_ = None
        # fmin and fmax pass over the NaN of a diverged epoch.
        if self.validation_scores_ is not None:
            scores = self.validation_scores_
            self.best_validation_score_ = float(np.fmax.reduce(scores, initial=-np.inf))
        else:
            self.best_loss_ = float(np.fmin.reduce(self.loss_curve_, initial=np.inf))
        # A diverged training leaves nothing to go on from.
        self._resume = run.state or None

    def _resumable(self, optimizer: Any) -> dict[str, Any] | None:
        """The state to go on from, where it was left by an optimizer of the same kind."""
        state = self._resume
        if state is None or type(self.optimizer_) is not type(optimizer):
            return None
        return state if set(state["slots"]) == set(optimizer.slots) else None

    # Prediction

    def _pack(self, network: Network, dtype: Any) -> np.ndarray:
        """The fitted weights in one row, ``(1, P)``."""
        params = np.empty((1, network.layout.size), dtype=dtype)
        tensors = network.layout.tensors(params)
        fitted = [*self.coefs_, *self.intercepts_]
        shapes = [tensor.array.shape[1:] for tensor in tensors]
        given = [np.atleast_2d(weights).shape for weights in fitted]
        if shapes != given:
            raise ValueError(
                f"The fitted weights have shapes {given}; hidden_layer_sizes="
                f"{self.hidden_layer_sizes!r} and this data need {shapes}. A warm start and "
                "partial_fit need the layers, features and targets of the first fit."
            )
        for tensor, weights in zip(tensors, fitted, strict=True):
            tensor.array[0] = weights
        return params

    def _raw_output(self, X: Any) -> np.ndarray:
        """Raw outputs of the network for validated or raw input, ``(n_samples, n_outputs)``."""
        check_is_fitted(self, "coefs_")
        dtype = self.coefs_[0].dtype
        b = backend_for_prediction(X, self.device)
        X = validate_data(
            self,
            to_host(X),
            accept_sparse=["csr", "csc"],
            dtype=dtype,
            order="C",
            reset=False,
        )
        sizes = [self.coefs_[0].shape[0], *(weights.shape[1] for weights in self.coefs_)]
        network = Network(sizes, [self._fitted_activation] * (len(sizes) - 2), self._fitted_loss)
        params = b.asarray(self._pack(network, dtype))
        pool = SparsePool(b.sparse(X.tocsr())) if sparse.issparse(X) else DensePool(b, b.asarray(X))
        with b.quiet():
            return b.to_numpy(raw_output(b, network, params, pool)[0, ...])

    @staticmethod
    def _as_input(result: np.ndarray, X: Any) -> Any:
        """Return a result in the array library of the input."""
        return like_input(result, X)
