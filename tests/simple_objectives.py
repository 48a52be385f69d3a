"""Objectives without a network, small enough to reason about."""

import numpy as np

from skopt_dl.objectives import Layout, Objective, Quadratic
from skopt_dl.optimizers import Optimizer

BOWL, FLAT = Quadratic([1.0] * 3), Quadratic([0.0] * 3)


class Bowls(Objective):
    """``scale / 2 * ||x||²``, with a scale for each model."""

    def __init__(self, scales, n_parameters=3):
        layout = Layout.from_shapes([("x", "output", (1, n_parameters))])
        super().__init__(layout, len(scales))
        self.scales = np.array(scales)

    def value_and_grad(self, params, batch=None):
        scales = self.scales[:, None].astype(params.dtype)
        grad = scales * params
        return 0.5 * (params * grad).sum(axis=1), grad

    def select(self, models):
        return Bowls(self.scales[list(models)], self.layout.size)


class Recorder(Optimizer):
    """Gradient descent that notes the number and the learning rate of every step."""

    def __init__(self, learning_rate=0.01, log=None):
        self.learning_rate = learning_rate
        self.log = log

    def update(self, grad, state, params, step):
        self.log.append((step.number, np.array(step.learning_rate)))
        return -step.learning_rate * grad
