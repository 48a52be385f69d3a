"""What is minimised: functions of K models' parameters."""

from skopt_dl.objectives.base import Block, Objective
from skopt_dl.objectives.function import Function, StationaryPoint
from skopt_dl.objectives.layout import Layout, Tensor

__all__ = ["Block", "Function", "Layout", "Objective", "StationaryPoint", "Tensor"]
