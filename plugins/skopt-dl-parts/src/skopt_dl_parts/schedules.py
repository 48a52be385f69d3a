"""The schedule."""

from __future__ import annotations

import math

from skopt_dl.plugins.constraints import NOT_NEGATIVE, POSITIVE, Interval, Options
from skopt_dl.schedules import Progress, Schedule


class WSD(Schedule):
    """Warm-up, a long stable phase, and a short decay (Hu et al., 2024).

    S. Hu and others: "MiniCPM: Unveiling the Potential of Small Language Models with Scalable
    Training Strategies", 2024, arXiv:2404.06395; the form of the decay is that of A. Hägele and
    others: "Scaling Laws and Compute-Optimal Training Beyond Fixed Training Durations", 2024,
    arXiv:2405.18392.

    Parameters
    ----------
    learning_rate : float, default=0.01
        Of the stable phase.
    warmup_fraction : float, default=0.05
        The part of the run in which the rate rises, in equal steps, from nothing.
    decay_fraction : float, default=0.2
        The part of the run, at its end, in which the rate falls.
    decay : {"sqrt", "linear"}, default="sqrt"
        Falls as ``1 - sqrt(t)`` or ``1 - t``, t from 0 to 1.
    final_learning_rate : float, default=0.0
        What it falls to.

    Examples
    --------
    >>> from skopt_dl import MLPClassifier
    >>> from skopt_dl.optimizers import AdamW
    >>> from skopt_dl_parts.schedules import WSD
    >>> model = MLPClassifier(optimizer=AdamW(WSD(0.003, decay_fraction=0.1)))
    """

    per_step = True
    constraints = {
        "learning_rate": POSITIVE,
        "warmup_fraction": Interval(0, 1, "[]"),
        "decay_fraction": Interval(0, 1, "[]"),
        "decay": Options(("sqrt", "linear")),
        "final_learning_rate": NOT_NEGATIVE,
    }

    def __init__(
        self,
        learning_rate: float = 0.01,
        warmup_fraction: float = 0.05,
        decay_fraction: float = 0.2,
        decay: str = "sqrt",
        final_learning_rate: float = 0.0,
    ):
        self.learning_rate = learning_rate
        self.warmup_fraction = warmup_fraction
        self.decay_fraction = decay_fraction
        self.decay = decay
        self.final_learning_rate = final_learning_rate

    @property
    def spans_training(self) -> bool:  # type: ignore[override]
        """Whether there is a decay."""
        return self.decay_fraction > 0

    def value(self, progress: Progress) -> float:
        step, n_steps = progress.step, progress.n_steps
        rising = self.warmup_fraction * n_steps
        rate = self.learning_rate * (min(1.0, (step + 1) / rising) if rising else 1.0)
        falling = self.decay_fraction * n_steps
        fallen = step - (n_steps - falling)
        if not falling or fallen <= 0:
            return rate
        t = min(1.0, fallen / falling)
        left = 1.0 - (math.sqrt(t) if self.decay == "sqrt" else t)
        return self.final_learning_rate + (rate - self.final_learning_rate) * left
