"""What a parameter may be: for the ``constraints`` of your own optimizers and schedules.

Examples
--------
>>> from skopt_dl.plugins.constraints import LEARNING_RATE, Interval
>>> from skopt_dl.optimizers import Optimizer
>>> class Clipped(Optimizer):
...     constraints = {"learning_rate": LEARNING_RATE, "limit": Interval(0, 10, "()")}
...
...     def __init__(self, learning_rate=0.01, limit=1.0):
...         self.learning_rate = learning_rate
...         self.limit = limit
>>> Clipped(limit=0).check_params()
Traceback (most recent call last):
ValueError: limit of Clipped must be a float in (0, 10); got 0.
"""

from skopt_dl._params import (
    BOOLEAN,
    FRACTION,
    NOT_NEGATIVE,
    POSITIVE,
    InstanceOf,
    Interval,
    Options,
)
from skopt_dl.optimizers.base import LEARNING_RATE, SCHEDULE

__all__ = [
    "BOOLEAN",
    "FRACTION",
    "LEARNING_RATE",
    "NOT_NEGATIVE",
    "POSITIVE",
    "SCHEDULE",
    "InstanceOf",
    "Interval",
    "Options",
]
