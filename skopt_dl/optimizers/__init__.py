"""Optimizers: the base classes for your own, and the classics."""

from skopt_dl.optimizers.base import Minimizer, MinimizerResult, Optimizer, Step, Target
from skopt_dl.optimizers.classics import (
    SGD,
    AdaDelta,
    AdaGrad,
    Adam,
    AdaMax,
    AdamW,
    AMSGrad,
    Momentum,
    NAdam,
    Nesterov,
    RMSProp,
)
from skopt_dl.optimizers.dialects import like
from skopt_dl.optimizers.formula import Formula
from skopt_dl.optimizers.lbfgs import LBFGS
from skopt_dl.optimizers.partial import PartialOptimizer
from skopt_dl.optimizers.rule import Direction, Scale, TwoSlotOptimizer
from skopt_dl.optimizers.searching import search_space, space_of
from skopt_dl.optimizers.spaces import Choice, LogUniform, LogUniformBelowOne, Space, Uniform

__all__ = [
    "LBFGS",
    "SGD",
    "AMSGrad",
    "AdaDelta",
    "AdaGrad",
    "AdaMax",
    "Adam",
    "AdamW",
    "Choice",
    "Direction",
    "Formula",
    "LogUniform",
    "LogUniformBelowOne",
    "Minimizer",
    "MinimizerResult",
    "Momentum",
    "NAdam",
    "Nesterov",
    "Optimizer",
    "PartialOptimizer",
    "RMSProp",
    "Scale",
    "Space",
    "Step",
    "Target",
    "TwoSlotOptimizer",
    "Uniform",
    "like",
    "search_space",
    "space_of",
]
