"""Layers: each says its tensors, its output's shape, and its forward pass in array code."""

from skopt_dl.layers.activations import Activation
from skopt_dl.layers.base import Layer, Parameter, Pass
from skopt_dl.layers.batch_norm import BatchNorm
from skopt_dl.layers.dense import Dense, Flatten
from skopt_dl.layers.dropout import Dropout
from skopt_dl.layers.input_scaling import InputScaling

__all__ = [
    "Activation",
    "BatchNorm",
    "Dense",
    "Dropout",
    "Flatten",
    "InputScaling",
    "Layer",
    "Parameter",
    "Pass",
]
