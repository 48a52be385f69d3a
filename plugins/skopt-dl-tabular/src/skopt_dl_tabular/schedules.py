"""The schedule."""

from __future__ import annotations

from skopt_dl.plugins.constraints import POSITIVE, Interval, Options
from skopt_dl.schedules import Progress, Schedule


class StableDecay(Schedule):
    """The same rate for most of the training, then down to zero (Hägele et al., 2024).

    arXiv:2405.18392, and Hu et al., 2024, arXiv:2404.06395. A warm-up is put around it,
    ``WarmUp(StableDecay(0.01), steps=100)``.

    Parameters
    ----------
    learning_rate : float, default=0.01
    decay_fraction : float, default=0.2
        The last part of the run, in which the rate falls.
    form : {"root", "linear"}, default="root"
        With the part x of the fall that is done, the rate is multiplied by ``1 - sqrt(x)``, or by
        ``1 - x``.

    Examples
    --------
    >>> from skopt_dl import MLPClassifier
    >>> from skopt_dl.optimizers import Adam
    >>> from skopt_dl_tabular.schedules import StableDecay
    >>> model = MLPClassifier(optimizer=Adam(StableDecay(0.003)))
    """

    per_step = True
    spans_training = True
    constraints = {
        "learning_rate": POSITIVE,
        "decay_fraction": Interval(0, 1, "(]"),
        "form": Options(("root", "linear")),
    }

    def __init__(
        self, learning_rate: float = 0.01, decay_fraction: float = 0.2, form: str = "root"
    ):
        self.learning_rate = learning_rate
        self.decay_fraction = decay_fraction
        self.form = form

    def value(self, progress: Progress) -> float:
        """Return the learning rate of the next update."""
        left = (1.0 - progress.fraction) / self.decay_fraction
        done = max(0.0, 1.0 - left)
        return self.learning_rate * (1.0 - (done**0.5 if self.form == "root" else done))
