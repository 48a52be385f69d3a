"""The loss."""

from __future__ import annotations

from typing import Any

from skopt_dl.networks import Loss
from skopt_dl.plugins.constraints import Interval

Array = Any


class Tweedie(Loss):
    """Half the Tweedie deviance of amounts that are often zero, with an exponential output.

    Jørgensen, 1987: "Exponential Dispersion Models". For what an insurance pays, or a customer
    buys: many zeros, and else positive amounts whose variance is in proportion to
    ``mean ** power``.

    Parameters
    ----------
    power : float, default=1.5
        Between 1, where it is the Poisson deviance, and 2, the gamma deviance.

    Examples
    --------
    >>> from skopt_dl import MLPRegressor
    >>> from skopt_dl_tabular.losses import Tweedie
    >>> model = MLPRegressor(loss=Tweedie(power=1.7))
    """

    is_convex = True
    output_activation = "exp"
    constraints = {"power": Interval(1, 2, "()")}

    def __init__(self, power: float = 1.5):
        self.power = power

    def check_targets(self, y: Array) -> None:
        """Raise ``ValueError`` for targets below zero."""
        smallest = float(y.min())
        if smallest < 0:
            raise ValueError(
                f"loss='tweedie' needs targets that are not negative; y has {smallest:g}. "
                "Use loss='squared_error' or another loss for such targets."
            )

    def value(self, xp: Any, raw: Array, y: Array) -> Array:
        """Return the loss of each sample, ``(K, batch)``, of the logarithms of means."""
        to_two, to_one = 2.0 - self.power, 1.0 - self.power
        of_target = xp.power(y, to_two) * (1.0 / (to_one * to_two))
        of_both = y * xp.exp(raw * to_one) * (1.0 / to_one)
        return xp.sum(of_target - of_both + xp.exp(raw * to_two) * (1.0 / to_two), axis=-1)

    def gradient(self, xp: Any, raw: Array, y: Array) -> Array:
        """Return the derivative of ``value`` with respect to `raw`."""
        return xp.exp(raw * (2.0 - self.power)) - y * xp.exp(raw * (1.0 - self.power))
