"""What is minimised: functions of K models' parameters."""

from skopt_dl.objectives.base import Block, Objective
from skopt_dl.objectives.layout import Layout, Tensor

__all__ = ["Block", "Layout", "Objective", "Tensor"]
