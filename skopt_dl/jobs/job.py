"""What a training needs, gathered before it starts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextvars import Context
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol, TypeVar

import numpy as np

from skopt_dl.networks import Network
from skopt_dl.programs import chosen_engine
from skopt_dl.training import Snapshot, TrainingConfig, TrainingState

T = TypeVar("T")


@dataclass
class ValidationSet:
    """What a model is validated on after each epoch.

    Attributes
    ----------
    X : ndarray or CSR matrix of shape (n_samples, n_features)
    y : ndarray of shape (n_samples, n_outputs)
    sample_weight : ndarray of shape (n_samples, 1) or None
    score : callable
        ``score(raw, params)`` of one model's raw outputs, ``(n_rows, n_outputs)``, and of the
        weights and biases that gave them.
    rows : ndarray of int or None
        Which samples to take; None means all.
    scored_by : object
        All that `score` depends on besides its arguments, for the key of the job; None where its
        code and what it encloses tell.
    """

    X: Any
    y: np.ndarray
    sample_weight: np.ndarray | None
    score: Callable[[np.ndarray, np.ndarray], float]
    rows: np.ndarray | None = None
    scored_by: Any = None


class StackState(NamedTuple):
    """How far a stack is, after an epoch.

    Attributes
    ----------
    name : str
        Its own among all stacks: the number of the process, and that of the stack in it.
    n_models : int
        How many it began with.
    n_training : int
        How many took part in this epoch; the others have stopped before. 0 at the end.
    epoch : int
        From 1.
    max_epochs : int
        Where the last of them stops at the latest.
    n_trained : int
        Models of the search whose training was over before, those of this stack not counted.
    n_known : int or None
        Models of the search that are known so far: trained, in training, or waiting. None where
        no search tells.
    seconds : float
        How long the search has been training.
    """

    name: str
    n_models: int
    n_training: int
    epoch: int
    max_epochs: int
    n_trained: int = 0
    n_known: int | None = None
    seconds: float = 0.0

    @property
    def seconds_left(self) -> float | None:
        """What the models known so far will take, if they take as long as those before."""
        share = 1.0 if not self.n_training else min(1.0, self.epoch / self.max_epochs)
        done = self.n_trained + share * self.n_models
        if self.n_known is None or not done:
            return None
        return self.seconds * max(0.0, self.n_known / done - 1.0)


class StackWatcher(Protocol):
    """Whoever wants to know how far stacks are."""

    def after_stack_epoch(self, stack: StackState) -> None:
        """Take notice of an epoch of a stack."""


@dataclass
class FitJob:
    """One model to train.

    Attributes
    ----------
    network : Network
    config : TrainingConfig
    params : ndarray of shape (P + S,)
        Where to start, with the statistics of batch normalisation if there is any; gives the
        precision of the training.
    X : ndarray or CSR matrix of shape (n_samples, n_features)
    y : ndarray of shape (n_samples, n_outputs)
        Targets; class labels as indicators.
    sample_weight : ndarray of shape (n_samples, 1) or None
    rows : ndarray of int or None
        Samples to train on; None means all.
    validation : ValidationSet or None
    alpha, label_smoothing : float
        As for `NetworkObjective`.
    batch_size, shuffle, sampling
        As for `Batches`.
    device, engine : str
        Where, and by which `skopt_dl.programs.Engine`, the model is trained.
    rng : numpy.random.Generator
    on_epoch_begin, on_epoch_end : callable or None
        Called with the `TrainingState`.
    only_prints : bool
        Whether these functions print and do nothing else, and need not be called for a model that
        a journal has.
    context : contextvars.Context or None
        Where callbacks and scores are called; None means where the training is.
    watchers : sequence of StackWatcher
        Told of the stack; each once an epoch, however many models it watches.
    stays_here : bool
        Whether the model has to be trained in the process it was asked for in.
    n_bytes_given : int
        What the samples take that `X` is a converted copy of; 0 if it is none.
    resume : dict or None
        ``TrainingResult.state`` to go on from.
    reproducible : bool
        Whether the same call would make an equal job: not where the seed is drawn from NumPy's
        global generator.
    snapshot : Snapshot or None
        Where this very training was when it was cut short; changes no result.
    """

    network: Network
    config: TrainingConfig
    params: np.ndarray
    X: Any
    y: np.ndarray
    rng: np.random.Generator
    alpha: float = 0.0
    label_smoothing: float = 0.0
    batch_size: int = 200
    shuffle: bool = True
    sampling: str = "shuffle"
    device: str = "auto"
    engine: str = field(default_factory=lambda: chosen_engine().name)
    sample_weight: np.ndarray | None = None
    rows: np.ndarray | None = None
    validation: ValidationSet | None = None
    on_epoch_begin: Callable[[TrainingState], None] | None = None
    on_epoch_end: Callable[[TrainingState], None] | None = None
    only_prints: bool = False
    context: Context | None = field(default=None, repr=False)
    watchers: Sequence[StackWatcher] = ()
    stays_here: bool = False
    n_bytes_given: int = 0
    resume: dict[str, Any] | None = field(default=None, repr=False)
    reproducible: bool = True
    snapshot: Snapshot | None = field(default=None, repr=False)

    def __getstate__(self) -> dict[str, Any]:
        # A context cannot leave its process.
        return {**vars(self), "context": None}

    def call(self, function: Callable[..., T], *args: Any) -> T:
        """Call a callback or a score of this job."""
        return function(*args) if self.context is None else self.context.run(function, *args)

    @property
    def n_samples(self) -> int:
        """Samples to train on."""
        return self.X.shape[0] if self.rows is None else len(self.rows)

    @property
    def n_batches(self) -> int:
        """Batches of an epoch."""
        return -(-self.n_samples // self.batch_size)
