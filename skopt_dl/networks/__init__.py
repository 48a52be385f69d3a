"""Networks over a stack of models: layout of the buffer, layers, losses, forward and backward."""

from skopt_dl.layers import Activation
from skopt_dl.networks.folding import fold
from skopt_dl.networks.initializers import FromFitted, Initializer
from skopt_dl.networks.losses import Loss
from skopt_dl.networks.network import DenseNetwork, Network
from skopt_dl.networks.objective import NetworkObjective
from skopt_dl.networks.pools import DensePool, SparsePool, TargetPool
from skopt_dl.networks.prediction import ForwardPass, SampleLosses, hidden_outputs, raw_output
from skopt_dl.objectives import Block, Layout, Objective, Tensor

__all__ = [
    "Activation",
    "Block",
    "DenseNetwork",
    "DensePool",
    "ForwardPass",
    "FromFitted",
    "Initializer",
    "Layout",
    "Loss",
    "Network",
    "NetworkObjective",
    "Objective",
    "SampleLosses",
    "SparsePool",
    "TargetPool",
    "Tensor",
    "fold",
    "hidden_outputs",
    "raw_output",
]
