"""Layers: each says its tensors, its output's shape, and its forward pass in array code."""

from skopt_dl.layers.activations import Activation
from skopt_dl.layers.attention import Attention
from skopt_dl.layers.base import Layer, Parameter, Pass
from skopt_dl.layers.batch_norm import BatchNorm
from skopt_dl.layers.branching import Parallel, Residual
from skopt_dl.layers.convolution import Conv2d
from skopt_dl.layers.dense import Dense, Flatten
from skopt_dl.layers.dropout import Dropout
from skopt_dl.layers.input_scaling import InputScaling
from skopt_dl.layers.layer_norm import LayerNorm
from skopt_dl.layers.pooling import (
    AveragePool2d,
    GlobalAveragePool1d,
    GlobalAveragePool2d,
    MaxPool2d,
)
from skopt_dl.layers.sequences import Embedding, PositionalEmbedding

__all__ = [
    "Activation",
    "Attention",
    "AveragePool2d",
    "BatchNorm",
    "Conv2d",
    "Dense",
    "Dropout",
    "Embedding",
    "Flatten",
    "GlobalAveragePool1d",
    "GlobalAveragePool2d",
    "InputScaling",
    "Layer",
    "LayerNorm",
    "MaxPool2d",
    "Parallel",
    "Parameter",
    "Pass",
    "PositionalEmbedding",
    "Residual",
]
