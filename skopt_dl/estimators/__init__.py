"""The scikit-learn face: validation, targets, attributes; no numerics."""

from skopt_dl.estimators.classifier import MLPClassifier
from skopt_dl.estimators.conversion import from_sklearn
from skopt_dl.estimators.neural_nets import NeuralNetClassifier, NeuralNetRegressor
from skopt_dl.estimators.regressor import MLPRegressor

__all__ = [
    "MLPClassifier",
    "MLPRegressor",
    "NeuralNetClassifier",
    "NeuralNetRegressor",
    "from_sklearn",
]
