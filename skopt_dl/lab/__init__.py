"""Optimizers on functions that are completely known, and what they do there."""

from skopt_dl import objectives
from skopt_dl.lab.comparing import Comparison, compare
from skopt_dl.lab.slots import Slots, slots_of_run, slots_of_steps

__all__ = ["Comparison", "Slots", "compare", "objectives", "slots_of_run", "slots_of_steps"]
