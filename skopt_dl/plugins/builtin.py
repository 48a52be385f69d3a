"""What skopt_dl ships, through the door that plugins use."""

from __future__ import annotations

from skopt_dl.plugins.hookspecs import Names, hookimpl


@hookimpl
def skopt_dl_optimizers() -> Names:
    """Name the classic optimizers and L-BFGS."""
    classics = {
        "sgd": "SGD",
        "momentum": "Momentum",
        "nesterov": "Nesterov",
        "adagrad": "AdaGrad",
        "rmsprop": "RMSProp",
        "adadelta": "AdaDelta",
        "adam": "Adam",
        "amsgrad": "AMSGrad",
        "adamax": "AdaMax",
        "nadam": "NAdam",
        "adamw": "AdamW",
    }
    names: Names = {name: f"skopt_dl.optimizers.classics:{cls}" for name, cls in classics.items()}
    return {**names, "lbfgs": "skopt_dl.optimizers.lbfgs:LBFGS"}


@hookimpl
def skopt_dl_schedules() -> Names:
    """Name the learning rate schedules."""
    classes = {
        "constant": "Constant",
        "step": "StepDecay",
        "exponential": "ExponentialDecay",
        "invscaling": "InverseScaling",
        "cosine": "Cosine",
        "warm_up": "WarmUp",
        "one_cycle": "OneCycle",
        "coslog4": "CosLog4",
        "adaptive": "ReduceOnPlateau",
    }
    return {name: f"skopt_dl.schedules:{cls}" for name, cls in classes.items()}


@hookimpl
def skopt_dl_losses() -> Names:
    """Name the losses."""
    classes = {
        "log_loss": "LogLoss",
        "focal": "Focal",
        "squared_error": "SquaredError",
        "absolute_error": "AbsoluteError",
        "huber": "Huber",
        "log_cosh": "LogCosh",
        "poisson": "Poisson",
        "gamma": "Gamma",
        "quantile": "Quantile",
    }
    return {name: f"skopt_dl.networks.losses:{cls}" for name, cls in classes.items()}


@hookimpl
def skopt_dl_layers() -> Names:
    """Name the layers."""
    return {
        "attention": "skopt_dl.layers.attention:Attention",
        "average_pool2d": "skopt_dl.layers.pooling:AveragePool2d",
        "batch_norm": "skopt_dl.layers.batch_norm:BatchNorm",
        "conv2d": "skopt_dl.layers.convolution:Conv2d",
        "dense": "skopt_dl.layers.dense:Dense",
        "dropout": "skopt_dl.layers.dropout:Dropout",
        "embedding": "skopt_dl.layers.sequences:Embedding",
        "flatten": "skopt_dl.layers.dense:Flatten",
        "global_average_pool1d": "skopt_dl.layers.pooling:GlobalAveragePool1d",
        "global_average_pool2d": "skopt_dl.layers.pooling:GlobalAveragePool2d",
        "input_scaling": "skopt_dl.layers.input_scaling:InputScaling",
        "layer_norm": "skopt_dl.layers.layer_norm:LayerNorm",
        "max_pool2d": "skopt_dl.layers.pooling:MaxPool2d",
        "parallel": "skopt_dl.layers.branching:Parallel",
        "positional_embedding": "skopt_dl.layers.sequences:PositionalEmbedding",
        "residual": "skopt_dl.layers.branching:Residual",
    }


@hookimpl
def skopt_dl_networks() -> Names:
    """Name the networks."""
    return {"lenet": "skopt_dl.networks.known:LeNet", "resnet": "skopt_dl.networks.known:ResNet"}


@hookimpl
def skopt_dl_activations() -> Names:
    """Name the activation functions."""
    classes = {
        "identity": "Identity",
        "logistic": "Logistic",
        "tanh": "Tanh",
        "relu": "ReLU",
        "leaky_relu": "LeakyReLU",
        "elu": "ELU",
        "selu": "SELU",
        "gelu": "GELU",
        "silu": "SiLU",
        "mish": "Mish",
        "softplus": "Softplus",
    }
    return {name: f"skopt_dl.layers.activations:{cls}" for name, cls in classes.items()}


@hookimpl
def skopt_dl_initializers() -> Names:
    """Name the initializers."""
    classes = {
        "glorot_uniform": "GlorotUniform",
        "glorot_normal": "GlorotNormal",
        "he_uniform": "HeUniform",
        "he_normal": "HeNormal",
        "lecun_uniform": "LecunUniform",
        "lecun_normal": "LecunNormal",
        "orthogonal": "Orthogonal",
        "uniform": "Uniform",
        "normal": "Normal",
        "zeros": "Zeros",
    }
    return {name: f"skopt_dl.networks.initializers:{cls}" for name, cls in classes.items()}


@hookimpl
def skopt_dl_engines() -> Names:
    """Name the engine that is always there."""
    return {"numpy": "skopt_dl.programs.engines:Engine"}
