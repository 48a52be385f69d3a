"""Slopes of losses, to compare gradients with."""

import copy

import numpy as np

H = 1e-3


def slopes_of_losses(objective, params):
    """Fourth-order central differences, ``(K, P)``: all points at which losses are taken are models
    of one stack, each with what its model has, and with the draws that this would make next.
    """
    n_models, n_params = params.shape
    moves = H * np.array([-2, -1, 1, 2])[:, None, None] * np.eye(n_params)
    points = params[:, None, None] + moves
    stack = objective.select(np.repeat(np.arange(n_models), 4 * n_params).tolist())
    if stack.per_model.any():
        stack.rngs[:] = map(copy.deepcopy, stack.rngs)
    losses = stack.value_and_grad(points.reshape(-1, n_params))[0].reshape(n_models, 4, n_params)
    return (losses[:, 0] - 8 * losses[:, 1] + 8 * losses[:, 2] - losses[:, 3]) / (12 * H)
