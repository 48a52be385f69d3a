"""What is minimised: functions of K models' parameters."""

from skopt_dl.objectives.base import Block, Objective, Prepared
from skopt_dl.objectives.callables import from_callable
from skopt_dl.objectives.finite_sum import FiniteSum
from skopt_dl.objectives.function import Function, StationaryPoint
from skopt_dl.objectives.functions import (
    FUNCTIONS,
    Ackley,
    Beale,
    Booth,
    Himmelblau,
    MonkeySaddle,
    Plateau,
    Rastrigin,
    Rosenbrock,
    SaddleEscape,
    Separable,
    StyblinskiTang,
    ThreeHumpCamel,
)
from skopt_dl.objectives.given import GivenGradients
from skopt_dl.objectives.layout import Layout, Tensor
from skopt_dl.objectives.least_squares import SumOfSquares
from skopt_dl.objectives.matrices import MatrixFactorisation, MatrixQuadratic
from skopt_dl.objectives.polynomial import Polynomial
from skopt_dl.objectives.quadratic import Quadratic

__all__ = [
    "FUNCTIONS",
    "Ackley",
    "Beale",
    "Block",
    "Booth",
    "FiniteSum",
    "Function",
    "GivenGradients",
    "Himmelblau",
    "Layout",
    "MatrixFactorisation",
    "MatrixQuadratic",
    "MonkeySaddle",
    "Objective",
    "Plateau",
    "Polynomial",
    "Prepared",
    "Quadratic",
    "Rastrigin",
    "Rosenbrock",
    "SaddleEscape",
    "Separable",
    "StationaryPoint",
    "StyblinskiTang",
    "SumOfSquares",
    "Tensor",
    "ThreeHumpCamel",
    "from_callable",
]
