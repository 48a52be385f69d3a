"""Callbacks for ``model.set_callbacks(...)``, beside scikit-learn's own.

They are scikit-learn callbacks, told of every epoch by the estimators of skopt_dl, alone
or inside a pipeline or a search. ``sklearn.callback.ProgressBar`` and ``ScoringMonitor`` work in
the same way.

A callback set on an estimator is shared by all its clones: what it remembers belongs to one fit
and is kept apart.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import numpy as np
from sklearn.callback import CallbackContext

from skopt_dl._files import replaceable, write_whole
from skopt_dl._params import (
    COUNT,
    NOT_NEGATIVE,
    Configurable,
    Function,
    InstanceOf,
    did_you_mean,
)
from skopt_dl._printing import print_line
from skopt_dl._warnings import warn_user
from skopt_dl.estimators.base import BaseNeuralNet
from skopt_dl.jobs import StackState
from skopt_dl.training import HISTORY_COLUMNS

# Where scikit-learn keeps callbacks and contexts in an estimator that is being fitted.
_OF_CALLBACKS = (
    "_skl_callbacks",
    "_skl_callbacks_to_teardown",
    "_callback_fit_ctx",
    "_parent_callback_ctx",
)
MONITOR = (InstanceOf(str, "a column of history_"), Function("a function of the fitted model"))


class EpochCallback(Configurable):
    """Base class: something to do after each epoch.

    A subclass implements `after_epoch`, and may override `before_fit`, which returns what is to be
    remembered during one fit.

    Attributes
    ----------
    stays_here : bool
        Whether a stacked search may not move models with this callback to other processes. True,
        since a callback may collect something in this one; a class for which all is well there
        too sets it to False.

    Examples
    --------
    >>> from skopt_dl.callbacks import EpochCallback
    >>> class StopBelow(EpochCallback):
    ...     def __init__(self, loss=0.1):
    ...         self.loss = loss
    ...
    ...     def after_epoch(self, model, memory):
    ...         return model.history_["loss"][-1] < self.loss
    >>> from sklearn.datasets import load_iris
    >>> from skopt_dl import MLPClassifier
    >>> model = MLPClassifier(max_iter=500, random_state=0).set_callbacks(StopBelow(0.5))
    >>> 0.4 < model.fit(*load_iris(return_X_y=True)).loss_ < 0.5
    True
    """

    stays_here = True

    @property
    def _memories(self) -> dict[CallbackContext, dict[str, Any]]:
        """What is remembered of each fit under way."""
        return self.__dict__.setdefault("_memory_of_fits", {})

    def setup(self, estimator: Any, context: CallbackContext) -> None:
        """Begin a fit."""
        self.check_params()
        if not isinstance(estimator, BaseNeuralNet):
            name = type(self).__name__
            raise TypeError(
                f"{name} watches the training of a network, and was set on a "
                f"{type(estimator).__name__}, which would not pass it on. Set it on the network "
                f"inside: MLPClassifier().set_callbacks({name}(...))."
            )
        self._memories[context] = self.before_fit(context)

    def teardown(self, estimator: Any, context: CallbackContext) -> None:
        """End a fit."""
        self._memories.pop(context, None)

    def __getstate__(self) -> dict[str, Any]:
        # What is remembered of fits that run here is of no use in another process.
        state = super().__getstate__()
        return {key: value for key, value in state.items() if key != "_memory_of_fits"}

    def on_fit_task_begin(self, estimator: Any, context: CallbackContext) -> None:
        """Nothing to do."""

    def on_fit_task_end(
        self, estimator: Any, context: CallbackContext, *, fitted_estimator: Any = None
    ) -> bool:
        """Pass an epoch on to `after_epoch`."""
        memory = self._memories.get(context.parent)
        if memory is None or fitted_estimator is None:
            return False
        return bool(self.after_epoch(fitted_estimator, memory))

    def before_fit(self, context: CallbackContext) -> dict[str, Any]:
        """Return what to remember during a fit."""
        return {}

    def after_epoch(self, model: Any, memory: dict[str, Any]) -> bool | None:
        """Look at the model as it is after an epoch; true asks to stop training.

        Parameters
        ----------
        model : MLPClassifier or MLPRegressor
            A fitted copy: ``model.history_`` has the figures so far.
        memory : dict
            What `before_fit` returned for this fit.
        """
        raise NotImplementedError(f"{type(self).__name__} does not implement after_epoch.")


class _Monitor(EpochCallback):
    """Base class of callbacks that watch one figure."""

    monitor: str | Callable[[Any], float]
    larger_is_better: bool | None

    def figure(self, model: Any) -> float:
        """The figure now, turned so that smaller is better."""
        if callable(self.monitor):
            value, larger = float(self.monitor(model)), True
        else:
            if self.monitor not in model.history_:
                raise ValueError(self._no_such_column(model))
            value = model.history_[self.monitor][-1]
            larger = self.monitor == "validation_score"
        larger = larger if self.larger_is_better is None else self.larger_is_better
        return np.inf if np.isnan(value) else -value if larger else value

    def _no_such_column(self, model: Any) -> str:
        message = (
            f"monitor={self.monitor!r} of {type(self).__name__} is no column of history_, which "
            f"has {', '.join(model.history_)}."
        )
        if self.monitor not in HISTORY_COLUMNS:
            message += did_you_mean(str(self.monitor), HISTORY_COLUMNS)
        if str(self.monitor).startswith("validation"):
            message += " Pass validation data, fit(X, y, X_val=..., y_val=...)."
        return message


class EarlyStopping(_Monitor):
    """Stop when a figure has not improved for some epochs.

    The model keeps its last weights; `Checkpoint` keeps the best. To end with the best weights,
    use the estimator's own ``early_stopping=True, scoring=...`` instead.

    Parameters
    ----------
    monitor : str or callable, default="validation_loss"
        A column of ``history_``, or ``monitor(model)`` that returns a figure of the fitted model.
    patience : int, default=10
        Epochs without improvement that are put up with.
    tol : float, default=0.0
        An improvement is a gain above this.
    larger_is_better : bool or None, default=None
        None means yes for ``"validation_score"`` and for functions, no for other columns.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.model_selection import train_test_split
    >>> from skopt_dl import MLPClassifier
    >>> from skopt_dl.callbacks import EarlyStopping
    >>> X, y = load_iris(return_X_y=True)
    >>> X, X_val, y, y_val = train_test_split(X, y, random_state=0)
    >>> model = MLPClassifier(max_iter=2000, n_iter_no_change=2000, random_state=0)
    >>> model = model.set_callbacks(EarlyStopping(patience=5))
    >>> model.fit(X, y, X_val=X_val, y_val=y_val).n_iter_ < 2000
    True
    """

    stays_here = False
    constraints = {
        "monitor": MONITOR,
        "patience": COUNT,
        "tol": NOT_NEGATIVE,
    }

    def __init__(
        self,
        monitor: str | Callable[[Any], float] = "validation_loss",
        patience: int = 10,
        tol: float = 0.0,
        larger_is_better: bool | None = None,
    ):
        self.monitor = monitor
        self.patience = patience
        self.tol = tol
        self.larger_is_better = larger_is_better

    def before_fit(self, context: CallbackContext) -> dict[str, Any]:
        return {"best": np.inf, "waited": 0}

    def after_epoch(self, model: Any, memory: dict[str, Any]) -> bool:
        figure = self.figure(model)
        improved = figure < memory["best"] - self.tol
        memory["waited"] = 0 if improved else memory["waited"] + 1
        memory["best"] = min(memory["best"], figure)
        return memory["waited"] >= self.patience


class Checkpoint(_Monitor):
    """Save the best model so far after each epoch that brings one.

    ``joblib.load(path)`` brings back a fitted model as it was after that epoch, the state of its
    optimizer, averages and generator included: `partial_fit` with the same data goes on exactly as
    the training would have.

    The file is complete at any moment: it is written beside, brought to the disk, and then put in
    place. Where a file cannot be written, because the disk is full, say, the training goes on with
    a warning; the last checkpoint stays, and the next epoch that is better than it is tried again.
    Within a search, each fit writes a file of its own, with the numbers of its tasks in the name.

    Parameters
    ----------
    path : str or path-like
        Where to save. A link to a file stays, and the file is written; anything else that is no
        file is refused before the training starts.
    monitor : str or callable, default="loss"
        A column of ``history_``, or ``monitor(model)`` that returns a figure of the fitted model.
    larger_is_better : bool or None, default=None
        None means yes for ``"validation_score"`` and for functions, no for other columns.
    """

    stays_here = False
    constraints = {"monitor": MONITOR}

    def __init__(
        self,
        path: Any,
        monitor: str | Callable[[Any], float] = "loss",
        larger_is_better: bool | None = None,
    ):
        self.path = path
        self.monitor = monitor
        self.larger_is_better = larger_is_better

    def before_fit(self, context: CallbackContext) -> dict[str, Any]:
        numbers = []
        task: CallbackContext | None = context
        while task is not None and task.parent is not None:
            numbers.append(str(task.task_id))
            task = task.parent
        path = Path(self.path)
        name = "-".join([path.stem, *reversed(numbers)])
        try:
            target = replaceable(path.with_name(name + path.suffix))
        except ValueError as error:
            raise ValueError(
                f"path of Checkpoint must be a file in a folder that exists; got {self.path!r}: "
                f"{error}"
            ) from None
        return {"best": np.inf, "path": target, "failed": False}

    def after_epoch(self, model: Any, memory: dict[str, Any]) -> None:
        figure = self.figure(model)
        if not figure < memory["best"]:
            return
        # The copy was made in mid-fit; callbacks and their contexts are not to be saved with it.
        model.__dict__ = {k: v for k, v in vars(model).items() if k not in _OF_CALLBACKS}
        path = memory["path"]
        try:
            write_whole(path, lambda file: joblib.dump(model, file))
        except OSError as error:
            if not memory["failed"]:
                kept = f"The last one, {path}, is whole." if path.exists() else "There is none yet."
                warn_user(
                    f"The checkpoint of epoch {model.n_iter_} cannot be written to {path}: "
                    f"{error}. {kept} Training goes on, and so do attempts to save it."
                )
            memory["failed"] = True
        else:
            memory["best"], memory["failed"] = figure, False


class LearningRatePrinter(EpochCallback):
    """Print the learning rate whenever it has changed.

    Parameters
    ----------
    every : int, default=1
        Print after each so many epochs at most.
    """

    constraints = {"every": COUNT}

    def __init__(self, every: int = 1):
        self.every = every

    def before_fit(self, context: CallbackContext) -> dict[str, Any]:
        return {"last": None, "epoch": 0}

    def after_epoch(self, model: Any, memory: dict[str, Any]) -> None:
        memory["epoch"] += 1
        rate = model.history_.get("learning_rate", [None])[-1]
        if rate == memory["last"] or (memory["epoch"] - 1) % self.every:
            return
        memory["last"] = rate
        print_line(f"Epoch {memory['epoch']}: learning rate {rate:.6g}")


class WeightPath(EpochCallback):
    """Keep the weights after each epoch: the path of training for `skopt_dl.lab.landscape`.

    Of several fits it keeps the one that began last. It takes the memory of a model for each row.

    Parameters
    ----------
    every : int, default=1
        Keep those after the first and then after each so many epochs.

    Attributes
    ----------
    params_ : ndarray of shape (n_rows, P)
        In the order of `skopt_dl.lab.parameters`.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skopt_dl import MLPClassifier, lab
    >>> from skopt_dl.callbacks import WeightPath
    >>> X, y = load_iris(return_X_y=True)
    >>> path = WeightPath()
    >>> model = MLPClassifier(5, max_iter=1000, tol=1e-3, random_state=0)
    >>> model = model.set_callbacks(path).fit(X, y)
    >>> plane = lab.landscape(model, X, y, directions="path", path=path.params_, resolution=11)
    >>> len(plane.path) == model.n_iter_ and bool(plane.explained_variance.sum() > 0.9)
    True
    """

    constraints = {"every": COUNT}

    def __init__(self, every: int = 1):
        self.every = every

    @property
    def params_(self) -> np.ndarray:
        """The weights that were kept."""
        rows = vars(self).get("_rows", [])
        if not rows:
            raise AttributeError("WeightPath has seen no epoch yet: fit the model it is set on.")
        return np.stack(rows)

    def before_fit(self, context: CallbackContext) -> dict[str, Any]:
        self._rows: list[np.ndarray] = []
        return {"rows": self._rows, "epoch": 0}

    def after_epoch(self, model: Any, memory: dict[str, Any]) -> None:
        if memory["epoch"] % self.every == 0:
            memory["rows"].append(np.array(model._plain_params()))
        memory["epoch"] += 1


class StackProgress(Configurable):
    """Print how far the stacks of a search are: the epoch, how many train, how many have stopped.

    Where the search knows, a line ends with how many of its models are trained, of those that it
    knows of so far, and how long the others will take at this rate.

    For ``joblib.parallel_config(backend="skopt_dl")`` and `fit_many`. Like a ``ProgressBar`` it is
    set on the outermost estimator that takes callbacks: the search, or the network itself. Unlike
    it, it costs next to nothing: it is told of a stack once an epoch, not of each model.

    A subclass may override `after_stack_epoch` to show something else.

    Parameters
    ----------
    interval : float, default=1.0
        Seconds between two lines about a stack.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skopt_dl import MLPClassifier
    >>> from skopt_dl.callbacks import StackProgress
    >>> model = MLPClassifier(optimizer="lbfgs", random_state=0).set_callbacks(StackProgress())
    >>> model = model.fit(*load_iris(return_X_y=True))  # doctest: +ELLIPSIS
    [skopt_dl] stack ...: trained 1 model in ... epochs
    """

    max_propagation_depth = None
    constraints = {"interval": NOT_NEGATIVE}

    def __init__(self, interval: float = 1.0):
        self.interval = interval

    def setup(self, estimator: Any, context: CallbackContext) -> None:
        """Begin."""
        self.check_params()

    def teardown(self, estimator: Any, context: CallbackContext) -> None:
        """Nothing to do."""

    def on_fit_task_begin(self, estimator: Any, context: CallbackContext) -> None:
        """Nothing to do."""

    def on_fit_task_end(self, estimator: Any, context: CallbackContext) -> None:
        """Nothing to do."""

    def after_stack_epoch(self, stack: StackState) -> None:
        """Take notice of an epoch of a stack, in the process that trains it.

        Parameters
        ----------
        stack : StackState
            With ``name``, ``n_models``, ``n_training``, ``epoch``, ``max_epochs``, and, for all of
            the search, ``n_trained``, ``n_known``, ``seconds`` and ``seconds_left``.
        """
        times: dict[str, float] = self.__dict__.setdefault("_times", {})
        now = time.monotonic()
        if stack.n_training and now - times.setdefault(stack.name, now) < self.interval:
            return
        times[stack.name] = now
        if stack.n_training:
            text = (
                f"epoch {stack.epoch} of {stack.max_epochs}, {stack.n_training} of "
                f"{stack.n_models} models training"
            )
        else:
            del times[stack.name]
            models = "1 model" if stack.n_models == 1 else f"{stack.n_models} models"
            text = f"trained {models} in {stack.epoch} epochs"
        print_line(f"[skopt_dl] stack {stack.name}: {text}{_overall(stack)}")


def _overall(stack: StackState) -> str:
    """How far the search is that a stack belongs to, as the end of a line."""
    if stack.n_known is None:
        return ""
    n_trained = stack.n_trained + (0 if stack.n_training else stack.n_models)
    left = stack.seconds_left
    text = f"; {n_trained} of {stack.n_known} models trained"
    return f"{text}, about {_duration(left)} left" if left and n_trained else text


def _duration(seconds: float) -> str:
    """A duration in the unit that suits it."""
    for unit, length in (("h", 3600.0), ("min", 60.0)):
        if seconds >= length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds:.0f} s"
