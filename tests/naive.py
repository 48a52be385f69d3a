"""The engine's mathematics written plainly, with SciPy, for one model and float64."""

from itertools import pairwise

import numpy as np
from scipy import special

SELU_SCALE, SELU_ALPHA = 1.0507009873554804934193349852946, 1.6732632423543772848170429916717

ACTIVATIONS = {
    "Identity": lambda z: z,
    "Logistic": special.expit,
    "Tanh": np.tanh,
    "ReLU": lambda z: np.maximum(z, 0.0),
    "LeakyReLU": lambda z: np.where(z > 0, z, 0.01 * z),
    "ELU": lambda z: np.where(z > 0, z, special.expm1(np.minimum(z, 0.0))),
    "SELU": lambda z: (
        SELU_SCALE * np.where(z > 0, z, SELU_ALPHA * special.expm1(np.minimum(z, 0.0)))
    ),
    "GELU": lambda z: z * special.ndtr(z),
    "SiLU": lambda z: z * special.expit(z),
    "Mish": lambda z: z * np.tanh(np.logaddexp(0.0, z)),
    "Softplus": lambda z: np.logaddexp(0.0, z),
}

HUBER_DELTA, QUANTILE, FOCAL_GAMMA = 0.7, 0.3, 1.7


def _focal(log_p, rest, y):
    """Of a label of probability ``1 - rest``; `y` is the label's share in the target."""
    return -y * rest**FOCAL_GAMMA * log_p


def _independent_labels(raw, y):
    return -(y * special.log_expit(raw) + (1 - y) * special.log_expit(-raw)).sum(axis=-1)


# The loss of each sample, summed over its outputs.
LOSSES = {
    "binary": _independent_labels,
    "multilabel": _independent_labels,
    "multiclass": lambda raw, y: -(special.log_softmax(raw, axis=-1) * y).sum(axis=-1),
    "squared_error": lambda raw, y: ((raw - y) ** 2).sum(axis=-1) / 2,
    "absolute_error": lambda raw, y: np.abs(raw - y).sum(axis=-1),
    "huber": lambda raw, y: special.huber(HUBER_DELTA, raw - y).sum(axis=-1),
    "focal_binary": lambda raw, y: (
        _focal(special.log_expit(raw), special.expit(-raw), y)
        + _focal(special.log_expit(-raw), special.expit(raw), 1 - y)
    ).sum(axis=-1),
    "focal_multiclass": lambda raw, y: _focal(
        special.log_softmax(raw, axis=-1), 1 - special.softmax(raw, axis=-1), y
    ).sum(axis=-1),
    "two_labels": lambda raw, y: (
        _independent_labels(raw[..., :1], y[..., :1])
        - (special.log_softmax(raw[..., 1:], axis=-1) * y[..., 1:]).sum(axis=-1)
    ),
    "log_cosh": lambda raw, y: (np.logaddexp(raw - y, y - raw) - np.log(2)).sum(axis=-1),
    "gamma": lambda raw, y: (raw - np.log(y) + y / np.exp(raw) - 1).sum(axis=-1),
    "poisson": lambda raw, y: (special.xlogy(y, y) - y * raw - y + np.exp(raw)).sum(axis=-1),
    "quantile": lambda raw, y: np.where(
        y > raw, QUANTILE * (y - raw), (1 - QUANTILE) * (raw - y)
    ).sum(axis=-1),
}


def split(row, layer_sizes):
    """Cut a model's parameters, ``(P,)``, into the ``(weights, bias)`` of each layer."""
    shapes = [*pairwise(layer_sizes), *[(n_out,) for n_out in layer_sizes[1:]]]
    ends = np.cumsum([np.prod(shape) for shape in shapes])
    assert ends[-1] == len(row)
    parts = np.split(row, ends[:-1])
    arrays = [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)]
    n_layers = len(layer_sizes) - 1
    return list(zip(arrays[:n_layers], arrays[n_layers:], strict=True))


def forward(row, layer_sizes, activation, x):
    """Pre-activations of every hidden layer and the raw output."""
    *hidden, (weights, bias) = split(row, layer_sizes)
    pre_activations, a = [], x
    for hidden_weights, hidden_bias in hidden:
        pre_activations.append(a @ hidden_weights + hidden_bias)
        a = ACTIVATIONS[activation](pre_activations[-1])
    return pre_activations, a @ weights + bias


def penalised_loss(row, layer_sizes, activation, loss, x, y, alpha=0.0, sample_weight=None):
    """Weighted mean loss plus ``alpha / 2 * ||weights||² / sum(sample_weight)``."""
    w = np.ones(len(x)) if sample_weight is None else sample_weight
    _, raw = forward(row, layer_sizes, activation, x)
    squares = sum((weights**2).sum() for weights, _ in split(row, layer_sizes))
    return ((w * LOSSES[loss](raw, y)).sum() + alpha / 2 * squares) / w.sum()
