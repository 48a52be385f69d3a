"""Learning rates that change during training.

Every optimizer's ``learning_rate`` is a float, one of these, or the name of one: ``"cosine"`` is a
`Cosine` around the rate that the optimizer has by default. A schedule is configuration alone: its
value follows from the `Progress` of a model, so the same object serves any number of fits.

Examples
--------
>>> from skopt_dl import MLPClassifier
>>> from skopt_dl.optimizers import SGD
>>> from skopt_dl.schedules import Cosine, WarmUp
>>> model = MLPClassifier(optimizer=SGD(learning_rate=WarmUp(Cosine(0.1), steps=100)))
"""

from __future__ import annotations

import inspect
import math
import numbers
from typing import Any, ClassVar, Self

import numpy as np

from skopt_dl._params import (
    COUNT,
    FRACTION,
    NOT_NEGATIVE,
    POSITIVE,
    Configurable,
    InstanceOf,
    Interval,
)


class Progress:
    """How far one model's training has come, as a schedule sees it.

    Attributes
    ----------
    step : int
        Updates done so far; 0 at the first.
    epoch : int
        Epochs done so far.
    n_samples_seen : int
        Training samples of the epochs done so far.
    n_plateaus : int
        How often the stopping rule has found no improvement.
    n_steps, n_epochs : int
        What the whole run will have when nothing stops it: ``max_iter`` epochs.
    """

    def __init__(self, n_epochs: int = 1, n_steps: int = 1):
        self.step = self.epoch = self.n_samples_seen = self.n_plateaus = 0
        self.n_epochs, self.n_steps = n_epochs, n_steps

    @property
    def fraction(self) -> float:
        """The part of the run that is done, from 0 to 1."""
        return min(1.0, self.step / self.n_steps)


class Schedule(Configurable):
    """Base class of learning rate schedules.

    Attributes
    ----------
    per_step : bool
        Whether the value changes within an epoch.
    spans_training : bool
        Whether the value is laid out to fall to its end with the last epoch, so that a training
        that gets there went to plan.
    """

    per_step: ClassVar[bool] = False
    spans_training: ClassVar[bool] = False

    @classmethod
    def around(cls, learning_rate: float) -> Self:
        """Make one from a rate alone: what the name of the schedule stands for.

        The rate is the first parameter of the class, all others have their defaults.
        """
        first = next(iter(inspect.signature(cls).parameters))
        return cls(**{first: learning_rate})

    def value(self, progress: Progress) -> float:
        """Return the learning rate of the next update: finite and not negative."""
        raise NotImplementedError

    def continues_after_plateau(self, progress: Progress) -> bool:
        """Whether training goes on, at a lower rate, where it would stop for lack of progress."""
        return False


class Constant(Schedule):
    """The same rate throughout; a plain float means this.

    Parameters
    ----------
    learning_rate : float, default=0.001
    """

    constraints = {"learning_rate": POSITIVE}

    def __init__(self, learning_rate: float = 0.001):
        self.learning_rate = learning_rate

    def value(self, progress: Progress) -> float:
        return self.learning_rate


class StepDecay(Schedule):
    """Multiplied by `drop` every so many epochs.

    Parameters
    ----------
    initial_learning_rate : float, default=0.01
    drop : float, default=0.5
    every : int, default=10
        Epochs between two drops.
    """

    constraints = {
        "initial_learning_rate": POSITIVE,
        "drop": POSITIVE,
        "every": COUNT,
    }

    def __init__(self, initial_learning_rate: float = 0.01, drop: float = 0.5, every: int = 10):
        self.initial_learning_rate = initial_learning_rate
        self.drop = drop
        self.every = every

    def value(self, progress: Progress) -> float:
        return self.initial_learning_rate * _power(self.drop, progress.epoch // self.every)


class ExponentialDecay(Schedule):
    """Multiplied by `rate` every epoch.

    Parameters
    ----------
    initial_learning_rate : float, default=0.01
    rate : float, default=0.95
    """

    constraints = {"initial_learning_rate": POSITIVE, "rate": POSITIVE}

    def __init__(self, initial_learning_rate: float = 0.01, rate: float = 0.95):
        self.initial_learning_rate = initial_learning_rate
        self.rate = rate

    def value(self, progress: Progress) -> float:
        return self.initial_learning_rate * _power(self.rate, progress.epoch)


class InverseScaling(Schedule):
    """Divided by a power of the samples seen: scikit-learn's ``learning_rate="invscaling"``.

    Constant within an epoch: ``initial_learning_rate / (n_samples_seen + 1) ** power``.

    Parameters
    ----------
    initial_learning_rate : float, default=0.01
    power : float, default=0.5
    """

    constraints = {"initial_learning_rate": POSITIVE, "power": NOT_NEGATIVE}

    def __init__(self, initial_learning_rate: float = 0.01, power: float = 0.5):
        self.initial_learning_rate = initial_learning_rate
        self.power = power

    def value(self, progress: Progress) -> float:
        return self.initial_learning_rate / _power(progress.n_samples_seen + 1, self.power)


class Cosine(Schedule):
    """Half a cosine from the initial to the final rate (Loshchilov & Hutter, 2017).

    arXiv:1608.03983, without restarts; over ``max_iter`` epochs.

    Parameters
    ----------
    initial_learning_rate : float, default=0.01
    final_learning_rate : float, default=0.0
    """

    per_step = True
    spans_training = True
    constraints = {"initial_learning_rate": POSITIVE, "final_learning_rate": NOT_NEGATIVE}

    def __init__(self, initial_learning_rate: float = 0.01, final_learning_rate: float = 0.0):
        self.initial_learning_rate = initial_learning_rate
        self.final_learning_rate = final_learning_rate

    def value(self, progress: Progress) -> float:
        return _cosine(self.initial_learning_rate, self.final_learning_rate, progress.fraction)


class WarmUp(Schedule):
    """Another schedule, multiplied by a ramp over the first steps (Goyal et al., 2017).

    arXiv:1706.02677. Step ``i`` (from 0) is multiplied by
    ``start_factor + (1 - start_factor) * (i + 1) / steps``.

    Parameters
    ----------
    schedule : float or Schedule, default=0.01
        What follows the warm-up; it runs, and counts its steps, from the start.
    steps : int, default=100
        Updates until the ramp reaches 1.
    start_factor : float, default=0.0
    """

    per_step = True
    constraints = {
        "schedule": (POSITIVE, InstanceOf(Schedule, "a Schedule")),
        "steps": COUNT,
        "start_factor": Interval(0, 1, "[]"),
    }

    def __init__(
        self, schedule: float | Schedule = 0.01, steps: int = 100, start_factor: float = 0.0
    ):
        self.schedule = schedule
        self.steps = steps
        self.start_factor = start_factor

    def value(self, progress: Progress) -> float:
        value = rate_at(as_schedule(self.schedule), progress)
        done = min(1.0, (progress.step + 1) / self.steps)
        return value * (self.start_factor + (1.0 - self.start_factor) * done)

    def continues_after_plateau(self, progress: Progress) -> bool:
        return as_schedule(self.schedule).continues_after_plateau(progress)

    @property
    def spans_training(self) -> bool:  # type: ignore[override]
        return as_schedule(self.schedule).spans_training


class OneCycle(Schedule):
    """Up to a maximum and down to almost nothing, both as half cosines (Smith & Topin, 2018).

    arXiv:1708.07120.

    Parameters
    ----------
    max_learning_rate : float, default=0.01
    warmup_fraction : float, default=0.3
        Part of the run spent going up.
    initial_divisor : float, default=25.0
        The first rate is the maximum divided by this.
    final_divisor : float, default=1e4
        The last rate is the first divided by this.
    """

    per_step = True
    spans_training = True
    constraints = {
        "max_learning_rate": POSITIVE,
        "warmup_fraction": FRACTION,
        "initial_divisor": POSITIVE,
        "final_divisor": POSITIVE,
    }

    def __init__(
        self,
        max_learning_rate: float = 0.01,
        warmup_fraction: float = 0.3,
        initial_divisor: float = 25.0,
        final_divisor: float = 1e4,
    ):
        self.max_learning_rate = max_learning_rate
        self.warmup_fraction = warmup_fraction
        self.initial_divisor = initial_divisor
        self.final_divisor = final_divisor

    def value(self, progress: Progress) -> float:
        first = self.max_learning_rate / self.initial_divisor
        step = min(progress.step, progress.n_steps - 1)
        peak = self.warmup_fraction * progress.n_steps - 1
        if step < peak:
            return _cosine(first, self.max_learning_rate, step / peak)
        down = (step - peak) / (progress.n_steps - 1 - peak)
        return _cosine(self.max_learning_rate, first / self.final_divisor, down)


class CosLog4(Schedule):
    """Four cosine cycles of doubling length, ``(1 - cos(2π log₂(1 + 15 t))) / 2``.

    From RealMLP (Holzmüller et al., 2024, arXiv:2407.04491); t is the part of the run done.

    Parameters
    ----------
    max_learning_rate : float, default=0.04
    """

    per_step = True
    spans_training = True
    constraints = {"max_learning_rate": POSITIVE}

    def __init__(self, max_learning_rate: float = 0.04):
        self.max_learning_rate = max_learning_rate

    def value(self, progress: Progress) -> float:
        cycles = math.log2(1.0 + 15.0 * progress.fraction)
        return self.max_learning_rate * (0.5 - 0.5 * math.cos(2.0 * math.pi * cycles))


class ReduceOnPlateau(Schedule):
    """Lowered whenever training would stop: scikit-learn's ``learning_rate="adaptive"``.

    When ``n_iter_no_change`` epochs bring no improvement of ``tol``, training goes on with the
    rate multiplied by `factor`, until the rate is not above `min_learning_rate`.

    Parameters
    ----------
    initial_learning_rate : float, default=0.01
    factor : float, default=0.2
    min_learning_rate : float, default=1e-6
    """

    constraints = {
        "initial_learning_rate": POSITIVE,
        "factor": Interval(0, 1, "()"),
        "min_learning_rate": NOT_NEGATIVE,
    }

    def __init__(
        self,
        initial_learning_rate: float = 0.01,
        factor: float = 0.2,
        min_learning_rate: float = 1e-6,
    ):
        self.initial_learning_rate = initial_learning_rate
        self.factor = factor
        self.min_learning_rate = min_learning_rate

    def value(self, progress: Progress) -> float:
        return self.initial_learning_rate * self.factor**progress.n_plateaus

    def continues_after_plateau(self, progress: Progress) -> bool:
        return self.value(progress) > self.min_learning_rate


def rate_at(schedule: Schedule, progress: Progress, what: str = "The learning rate") -> float:
    """Ask a schedule for its value, and see that it can be a learning rate.

    Raises
    ------
    ValueError
        If it is not; the message names the schedule, the step, and what came.
    """
    value = schedule.value(progress)
    # Comparisons with NaN are false.
    if type(value) is float and 0.0 <= value < math.inf:
        return value
    if isinstance(value, numbers.Real | np.ndarray) and np.ndim(value) == 0:
        number = float(value)
        if 0.0 <= number < math.inf:
            return number
    raise ValueError(
        f"{what} of {schedule!r} is {value!r} at step {progress.step} (epoch "
        f"{progress.epoch}); it must be a finite number, and not negative. Change the parameters "
        f"of the schedule, or what {type(schedule).__name__}.value returns."
    )


def as_schedule(learning_rate: Any) -> Schedule:
    """Return a schedule for what an optimizer has as ``learning_rate``."""
    if isinstance(learning_rate, Schedule):
        return learning_rate
    return Constant(float(learning_rate))


def _power(base: float, exponent: float) -> float:
    """A power of floats: that of two integers may have more digits than there is memory for."""
    try:
        return float(base) ** float(exponent)
    except OverflowError:
        return math.inf


def _cosine(start: float, end: float, fraction: float) -> float:
    return end + (start - end) * (1.0 + math.cos(math.pi * fraction)) / 2.0
