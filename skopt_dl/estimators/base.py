"""What all estimators share: from parameters and data to a fitted model."""

from __future__ import annotations

import copy
import math
import numbers
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any, ClassVar, Self

import numpy as np
from scipy import sparse
from sklearn.callback import CallbackSupportMixin, with_callbacks
from sklearn.utils.validation import validate_data

from skopt_dl._params import (
    BOOLEAN,
    COUNT,
    NOT_NEGATIVE,
    POSITIVE,
    Function,
    InstanceOf,
    Interval,
    Options,
    Precision,
)
from skopt_dl.backends import (
    Backend,
    backend_for_prediction,
    like_input,
    one_blas_thread,
    to_host,
)
from skopt_dl.estimators.components import NamedComponents
from skopt_dl.estimators.conduct import (
    NetworkTooLargeError,
    one_at_a_time,
    out_of_memory,
)
from skopt_dl.estimators.data import (
    check_indices,
)
from skopt_dl.estimators.epochs import EpochTasks
from skopt_dl.estimators.preparing import prepare
from skopt_dl.estimators.report import print_epoch, print_unused_gpu, warn_of_outcome
from skopt_dl.estimators.scoring import RawScore
from skopt_dl.estimators.weights import fitted_weights
from skopt_dl.jobs import FitJob
from skopt_dl.networks import (
    DensePool,
    Loss,
    Network,
    SparsePool,
    raw_output,
)
from skopt_dl.plugins import MissingPluginError, find
from skopt_dl.search import run
from skopt_dl.training import (
    HISTORY_COLUMNS,
    History,
    TrainingResult,
    TrainingState,
)

_NONE = Options((None,))


def can_partial_fit(estimator: BaseNeuralNet) -> bool:
    """Whether the optimizer works on mini-batches; raises ``AttributeError`` where it does not."""
    optimizer = estimator.optimizer
    try:
        cls = find("optimizer", optimizer) if isinstance(optimizer, str) else type(optimizer)
    except (ValueError, ImportError, TypeError, MissingPluginError):
        return True  # partial_fit then says what is wrong with the name
    if getattr(cls, "full_batch", False):
        raise AttributeError(
            f"partial_fit is only available for stochastic optimizers; {cls.__name__} needs all "
            "the data at once."
        )
    return True


def _one_after_the_other(
    functions: Sequence[Callable[[TrainingState], None]],
) -> Callable[[TrainingState], None]:
    def call(state: TrainingState) -> None:
        for function in functions:
            function(state)

    return call


def _of_optimizer(parameter: str, example: str) -> str:
    """Where a parameter is that belongs to the optimizer."""
    return (
        f"optimizer__{parameter} in set_params and grids, and optimizer={example} in the "
        "constructor"
    )


def _joined(before: History, after: History) -> History:
    """Put one history behind the other; a column that one lacks is NaN there."""
    lengths = [len(next(iter(history.values()), [])) for history in (before, after)]
    return {
        name: [
            *before.get(name, [math.nan] * lengths[0]),
            *after.get(name, [math.nan] * lengths[1]),
        ]
        for name in HISTORY_COLUMNS
        if name in before or name in after
    }


class BaseNeuralNet(CallbackSupportMixin, NamedComponents):
    """Fitting, prediction and attributes, whatever the network."""

    constraints = {
        "alpha": NOT_NEGATIVE,
        "batch_size": (Options(("auto", "full")), COUNT),
        "max_iter": COUNT,
        "shuffle": BOOLEAN,
        "tol": NOT_NEGATIVE,
        "n_iter_no_change": (COUNT, Options((math.inf,))),
        "early_stopping": BOOLEAN,
        "validation_fraction": Interval(0, 1, "()"),
        "scoring": (_NONE, InstanceOf(str, "a scorer's name"), Function("a scorer")),
        "max_grad_norm": (_NONE, POSITIVE),
        "ema_decay": (_NONE, Interval(0, 1, "()")),
        "sampling": Options(("shuffle", "replacement")),
        "warm_start": BOOLEAN,
        "device": Options(("auto", "cpu", "cuda")),
        "dtype": Precision(),
        "verbose": (BOOLEAN, InstanceOf(numbers.Integral, "an int")),
        "random_state": (
            _NONE,
            Interval(0, 2**32, "[)", integer=True),
            # numpy.random itself is NumPy's global generator.
            InstanceOf((np.random.RandomState, ModuleType), "a numpy.random.RandomState"),
        ),
    }
    elsewhere: ClassVar = {
        **dict.fromkeys(
            ("learning_rate", "learning_rate_init", "lr", "eta", "eta0"),
            _of_optimizer("learning_rate", "Adam(learning_rate=0.001)"),
        ),
        "momentum": _of_optimizer("momentum", "Momentum(0.01, momentum=0.9)"),
        "nesterovs_momentum": 'optimizer="nesterov", or "momentum" for False',
        "power_t": "optimizer=Nesterov(InverseScaling(0.01, power=0.5))",
        **{
            name: _of_optimizer(name, f"Adam({name}={value})")
            for name, value in {"beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-8}.items()
        },
        "max_fun": _of_optimizer("max_fun", "LBFGS(max_fun=15000)"),
        "weight_decay": "alpha, the L2 penalty, or "
        + _of_optimizer("weight_decay", "AdamW(weight_decay=0.01)"),
    }
    _task: str
    # The regressor has no such parameter.
    label_smoothing = 0.0

    # The network: what estimators do differently.

    def _check_network(self) -> None:
        """Check the parameters that say what the network is, before there is any data."""
        raise NotImplementedError

    def _make_network(self, X: Any, n_outputs: int, loss: Loss) -> Network:
        """Return the network for samples like these."""
        raise NotImplementedError

    def _describe_network(self) -> str:
        """The parameters that say what the network is, for messages."""
        raise NotImplementedError

    def _fitted(self, network: Network, weights: np.ndarray, dtype: Any) -> dict[str, Any]:
        """Return the attributes that hold what predicts, of weights ``(P + S,)``."""
        raise NotImplementedError

    def _kind_of_weights(self, network: Network) -> Any:
        """Equal where weights are alike, and one training can go on from another's."""
        raise NotImplementedError

    def _plain_network(self) -> Network:
        """The network that predicts."""
        raise NotImplementedError

    def _pack(self, network: Network, dtype: Any) -> np.ndarray:
        """The fitted weights of a network that predicts in one row, ``(P + S,)``."""
        raise NotImplementedError

    @property
    def _fitted_dtype(self) -> Any:
        """The precision of the fitted weights."""
        raise NotImplementedError

    def _scale_last_layer(self, network: Network, params: np.ndarray) -> None:
        """Give weights that were made for the user's targets the units of the network's."""

    def _rows(self, X: Any, reset: bool = False) -> Any:
        """Return samples as rows of a table."""
        return X

    # Targets: what the classifier and the regressor do differently.

    def _prepare_targets(
        self, y: Any, sample_weight: Any, reset: bool, incremental: bool, classes: Any
    ) -> None:
        """Learn what there is to know of the targets, or check that they fit what is known."""

    def _encode_targets(self, y: Any, dtype: Any) -> np.ndarray:
        """Return targets as numbers, ``(n_samples, n_outputs)``."""
        raise NotImplementedError

    def _loss_form(self, loss: Loss) -> Loss:
        """Return the form of a loss for the targets."""
        raise NotImplementedError

    def _weigh(self, y: Any, sample_weight: np.ndarray | None, dtype: Any) -> np.ndarray | None:
        """Return the weights of samples, ``(n_samples, 1)``, those of their targets included."""
        return sample_weight

    def _strata(self, y: np.ndarray) -> np.ndarray | None:
        """Labels whose shares the validation set is to keep, from encoded targets."""
        return None

    def _score_raw(self, raw: np.ndarray, y: np.ndarray, sample_weight: np.ndarray | None) -> float:
        """Score raw outputs against encoded targets, ``(n_samples, n_outputs)`` both."""
        raise NotImplementedError

    def _raw_score(
        self, name: str, y: np.ndarray, sample_weight: np.ndarray | None
    ) -> RawScore | None:
        """What scikit-learn's scorer of that name gives, to rounding, without checks in each call.

        None where there is no such thing, or where the checks would find something.
        """
        return None

    def _target_advice(self, result: TrainingResult, job: FitJob) -> str:
        """What to do about targets that kept a training from getting anywhere."""
        return ""

    def _in_target_units(self, *arrays: np.ndarray) -> list[np.ndarray]:
        """Return raw outputs, or last weights and biases, for targets as the user has them."""
        return list(arrays)

    def _to_training_units(self, weights: np.ndarray, biases: np.ndarray) -> None:
        """Turn last weights and biases for the user's targets into those for the network's."""

    @property
    def _has_own_target_units(self) -> bool:
        """Whether the network is trained on other targets than the user's."""
        return False

    # Fitting

    @one_at_a_time
    @with_callbacks
    def fit(
        self, X: Any, y: Any, sample_weight: Any = None, *, X_val: Any = None, y_val: Any = None
    ) -> Self:
        """Train the network.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples in the loss; not negative.
        X_val : {array-like, sparse matrix} of shape (n_val, n_features), default=None
            Samples to validate on after each epoch, instead of a part of `X`. With
            ``early_stopping`` they decide when to stop; without, they are only recorded. To send
            them through a `Pipeline`, see its ``transform_input``.
        y_val : array-like of shape (n_val,) or (n_val, n_outputs), default=None

        Returns
        -------
        self : object
            The fitted model. An interrupted or diverging run leaves its last good weights.

        Raises
        ------
        ValueError
            If a parameter or the data is not valid; the message names it.
        MemoryError
            If memory cannot hold the network; the message says what it takes.
        RuntimeError
            If another fit of this object is under way.
        """
        context = self._init_callback_context(max_subtasks=self.max_iter)
        tasks = None
        if len(self._watchers) < len(self._callbacks):
            tasks = EpochTasks(self, context, X, y, sample_weight)
        return self._fit(X, y, sample_weight, (X_val, y_val), tasks=tasks)

    @property
    def _callbacks(self) -> list[Any]:
        return getattr(self, "_skl_callbacks", [])

    @property
    def _watchers(self) -> list[Any]:
        """Callbacks that are told of stacks, and not of this model's own epochs."""
        return [each for each in self._callbacks if hasattr(each, "after_stack_epoch")]

    @property
    def _leaves_data_alone(self) -> bool:
        """Whether no hook, callback or scorer of the user's gets the data: it may change them."""
        is_ours = type(self).__module__.partition(".")[0] == "skopt_dl"
        tells_nobody = len(self._watchers) == len(self._callbacks)
        return is_ours and tells_nobody and not callable(self.scoring)

    def _fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        held_out: tuple[Any, Any] = (None, None),
        *,
        incremental: bool = False,
        classes: Any = None,
        tasks: EpochTasks | None = None,
    ) -> Self:
        # What is learnt goes into a copy: a fit that fails leaves the model as it was.
        job = None
        try:
            model, job = prepare(
                self, X, y, sample_weight, held_out, incremental=incremental, classes=classes
            )
            model._train(job, incremental, tasks)
        except NetworkTooLargeError:
            raise
        except MemoryError as error:
            raise out_of_memory(self, job, error) from error
        before, self.__dict__ = self.__dict__, model.__dict__
        if tasks is not None:
            try:
                tasks.fit_ended()
            except BaseException:
                self.__dict__ = before
                raise
        return self

    def _copy(self) -> Self:
        """A copy that shares everything with this model, and can learn for itself."""
        model = object.__new__(type(self))
        model.__dict__.update(vars(self))
        return model

    def _learnt(self, before: Self) -> dict[str, Any]:
        """What this copy has that the model it was made of has not."""
        known = vars(before)
        return {name: value for name, value in vars(self).items() if known.get(name) is not value}

    def _train(self, job: FitJob, incremental: bool, tasks: EpochTasks | None) -> None:
        """Run a job, and tell of it."""
        at_end: list[Callable[[TrainingState], None]] = []
        if self.verbose:
            print_unused_gpu(self.device)
            at_end.append(print_epoch)
        job.watchers = self._watchers
        keeps = any(getattr(each, "stays_here", False) for each in self._callbacks)
        job.stays_here = bool(self.verbose) or keeps
        if tasks is not None:
            network, dtype, given = job.network, job.X.dtype, tasks.estimator

            def attributes(result: TrainingResult) -> dict[str, Any]:
                # With its own generator a copy trains on as this model would.
                now = {"_rng": copy.deepcopy(self._rng)}
                return self._learnt(given) | self._attributes(result, network, dtype) | now

            tasks.attributes = attributes
            tasks.fit_begins()
            job.on_epoch_begin = tasks.epoch_begins
            at_end.append(tasks.epoch_ended)
        job.only_prints = tasks is None
        if at_end:
            job.on_epoch_end = _one_after_the_other(at_end)
        result, self.device_ = run(job)
        self.engine_ = result.engine
        self.__dict__.update(self._attributes(result, job.network, job.X.dtype))
        if not incremental or result.stop_reason != "max_iter":
            warn_of_outcome(result, self.max_iter, self._target_advice(result, job))

    # Fitted attributes

    def _forget(self) -> None:
        """Start histories that warm starts and partial fits append to."""
        self.history_: dict[str, list[float]] = {}
        self.t_ = self.n_steps_ = 0
        self._resume: dict[str, Any] | None = None

    def _attributes(self, result: TrainingResult, network: Network, dtype: Any) -> dict[str, Any]:
        """Return the attributes of a model with what its training leaves."""
        history = _joined(self.history_, result.history)
        losses, scores = history.get("loss", []), history.get("validation_score")
        return {
            **self._fitted(network, result.params, dtype),
            "n_outputs_": network.n_outputs,
            "n_iter_": result.n_epochs,
            "n_steps_": self.n_steps_ + result.n_steps,
            "t_": self.t_ + result.n_samples,
            # A diverged training leaves nothing to go on from.
            "_resume": result.state or None,
            "history_": history,
            "loss_curve_": losses,
            "loss_": losses[-1] if losses else result.first_loss,
            "validation_loss_curve_": history.get("validation_loss"),
            "validation_scores_": scores,
            # fmin and fmax pass over the NaN of a diverged epoch.
            "best_loss_": None
            if self.early_stopping
            else float(np.fmin.reduce(losses, initial=np.inf)),
            "best_validation_score_": float(np.fmax.reduce(scores, initial=-np.inf))
            if scores
            else None,
            "_trained_with": self._kind_of_weights(network),
        }

    # Prediction

    def _raw_output(self, X: Any) -> np.ndarray:
        """Raw outputs of the network for validated or raw input, ``(n_samples, n_outputs)``."""
        known_X, raw = vars(self).get("_known_output", (None, None))
        if known_X is not None and known_X is X:
            return raw.copy()
        b, *inputs = self._prediction_inputs(X)
        with b.quiet(), one_blas_thread():
            return self._predicted_units(b.to_numpy(raw_output(b, *inputs)[0, ...]))

    def _predicted_units(self, raw: np.ndarray) -> np.ndarray:
        """Return raw outputs of what predicts in the units of the user's targets."""
        return self._in_target_units(raw)[0]

    def _prediction_inputs(self, X: Any) -> tuple[Backend, Network, Any, DensePool | SparsePool]:
        """The backend, the plain network, its parameters and the samples."""
        network = self._plain_network()
        b = backend_for_prediction(X, self.device)
        X = self._validated(X)
        params = b.asarray(self._pack(network, X.dtype)[None])
        pool = SparsePool(b.sparse(X.tocsr())) if sparse.issparse(X) else DensePool(b, b.asarray(X))
        return b, network, params, pool

    def _plain_params(self) -> np.ndarray:
        """The parameters of that network, for targets in the units of training, ``(P,)``."""
        return fitted_weights(self, self._plain_network(), None, self._fitted_dtype)

    def _validated(self, X: Any) -> Any:
        """Samples on the host, checked, in the precision of the weights."""
        X = self._rows(to_host(X))
        check_indices(X)
        return validate_data(
            self,
            X,
            accept_sparse=["csr", "csc"],
            dtype=self._fitted_dtype,
            order="C",
            reset=False,
        )

    @staticmethod
    def _as_input(result: np.ndarray, X: Any) -> Any:
        """Return a result in the array library of the input."""
        return like_input(result, X)
