"""The configurations that have a reference: (case name, registered name, our parameters).

Every optimizer starts with its defaults, written as no parameters at all, so that a changed default
is noticed.
"""

CASES = [
    ("sgd_defaults", "sgd", {}),
    ("sgd_large_step", "sgd", {"learning_rate": 0.5}),
    ("momentum_defaults", "momentum", {}),
    ("momentum_small", "momentum", {"learning_rate": 0.1, "momentum": 0.5}),
    ("momentum_large", "momentum", {"learning_rate": 0.001, "momentum": 0.99}),
    ("momentum_none", "momentum", {"momentum": 0.0}),
    ("nesterov_defaults", "nesterov", {}),
    ("nesterov_small", "nesterov", {"learning_rate": 0.1, "momentum": 0.5}),
    ("nesterov_large", "nesterov", {"learning_rate": 0.001, "momentum": 0.99}),
    ("nesterov_none", "nesterov", {"momentum": 0.0}),
    ("adagrad_defaults", "adagrad", {}),
    ("adagrad_large_epsilon", "adagrad", {"learning_rate": 0.1, "epsilon": 1e-3}),
    ("adagrad_initial", "adagrad", {"initial_accumulator": 0.1, "epsilon": 1e-7}),
    ("adagrad_inside", "adagrad", {"epsilon_inside_sqrt": True}),
    (
        "adagrad_inside_initial",  # the defaults of keras and optax
        "adagrad",
        {
            "learning_rate": 0.001,
            "epsilon": 1e-7,
            "initial_accumulator": 0.1,
            "epsilon_inside_sqrt": True,
        },
    ),
    ("rmsprop_defaults", "rmsprop", {}),
    ("rmsprop_torch_defaults", "rmsprop", {"learning_rate": 0.01, "rho": 0.99}),
    ("rmsprop_large_epsilon", "rmsprop", {"epsilon": 1e-2, "rho": 0.5}),
    ("rmsprop_initial", "rmsprop", {"initial_accumulator": 1.0}),
    ("rmsprop_momentum", "rmsprop", {"momentum": 0.9}),
    ("rmsprop_centered", "rmsprop", {"centered": True}),
    (
        "rmsprop_centered_momentum",
        "rmsprop",
        {"learning_rate": 0.01, "rho": 0.95, "momentum": 0.8, "centered": True},
    ),
    ("rmsprop_centered_initial", "rmsprop", {"centered": True, "initial_accumulator": 0.5}),
    ("rmsprop_inside", "rmsprop", {"epsilon_inside_sqrt": True}),
    ("rmsprop_inside_keras", "rmsprop", {"epsilon": 1e-7, "epsilon_inside_sqrt": True}),
    (
        "rmsprop_inside_tensorflow",  # the RMSProp of the TensorFlow image models, as timm has it
        "rmsprop",
        {
            "learning_rate": 0.01,
            "epsilon": 1e-10,
            "initial_accumulator": 1.0,
            "epsilon_inside_sqrt": True,
            "momentum": 0.9,
        },
    ),
    ("rmsprop_inside_centered", "rmsprop", {"epsilon_inside_sqrt": True, "centered": True}),
    (
        "rmsprop_inside_centered_momentum",
        "rmsprop",
        {"epsilon": 1e-7, "epsilon_inside_sqrt": True, "momentum": 0.9, "centered": True},
    ),
    (
        "rmsprop_all",
        "rmsprop",
        {
            "learning_rate": 0.005,
            "rho": 0.8,
            "epsilon": 1e-6,
            "initial_accumulator": 0.1,
            "epsilon_inside_sqrt": True,
            "momentum": 0.5,
            "centered": True,
        },
    ),
    ("adadelta_defaults", "adadelta", {}),
    ("adadelta_torch_defaults", "adadelta", {"rho": 0.9}),
    ("adadelta_small", "adadelta", {"learning_rate": 0.1, "rho": 0.99, "epsilon": 1e-8}),
    ("adam_defaults", "adam", {}),
    (
        "adam_short_memory",
        "adam",
        {"learning_rate": 0.01, "beta_1": 0.8, "beta_2": 0.95, "epsilon": 1e-6},
    ),
    ("adam_no_momentum", "adam", {"beta_1": 0.0}),
    ("adam_large_epsilon", "adam", {"epsilon": 0.1}),
    ("adam_hat", "adam", {"epsilon_hat": True}),
    (
        "adam_hat_short_memory",
        "adam",
        {
            "learning_rate": 0.01,
            "beta_1": 0.8,
            "beta_2": 0.95,
            "epsilon": 1e-4,
            "epsilon_hat": True,
        },
    ),
    ("amsgrad_defaults", "amsgrad", {}),
    (
        "amsgrad_short_memory",
        "amsgrad",
        {
            "learning_rate": 0.01,
            "beta_1": 0.8,
            "beta_2": 0.9,
            "epsilon": 1e-6,
            "bias_correction": True,
        },
    ),
    ("amsgrad_hat", "amsgrad", {"epsilon_hat": True, "bias_correction": True}),
    (
        "amsgrad_hat_short_memory",
        "amsgrad",
        {"beta_1": 0.5, "beta_2": 0.9, "epsilon": 1e-3, "epsilon_hat": True},
    ),
    ("amsgrad_paper", "amsgrad", {"bias_correction": False}),
    (
        "amsgrad_paper_short_memory",
        "amsgrad",
        {
            "learning_rate": 0.01,
            "beta_1": 0.8,
            "beta_2": 0.9,
            "epsilon": 1e-6,
            "bias_correction": False,
        },
    ),
    ("adamax_defaults", "adamax", {}),
    (
        "adamax_short_memory",
        "adamax",
        {"learning_rate": 0.01, "beta_1": 0.8, "beta_2": 0.9, "epsilon": 1e-3},
    ),
    ("nadam_defaults", "nadam", {}),
    ("nadam_keras", "nadam", {"learning_rate": 0.001, "epsilon": 1e-7, "momentum_decay": 1.0}),
    (
        "nadam_short_memory",
        "nadam",
        {
            "learning_rate": 0.01,
            "beta_1": 0.8,
            "beta_2": 0.95,
            "epsilon": 1e-4,
            "momentum_decay": 0.1,
        },
    ),
    ("adamw_defaults", "adamw", {}),
    ("adamw_large_decay", "adamw", {"learning_rate": 0.01, "weight_decay": 0.5}),
    (
        "adamw_short_memory",
        "adamw",
        {"beta_1": 0.8, "beta_2": 0.95, "epsilon": 1e-4, "weight_decay": 0.1},
    ),
    ("adamw_no_decay", "adamw", {"weight_decay": 0.0}),
    ("lion_defaults", "lion", {}),
    (
        "lion_decay",
        "lion",
        {"learning_rate": 1e-3, "beta_1": 0.95, "beta_2": 0.98, "weight_decay": 0.1},
    ),
]

# The same optimizers with a learning rate that changes at every step. A constant one cannot tell
# whether it stands inside the velocity or outside (optimizers with momentum), nor what scales the
# decay (AdamW, Lion).
SCHEDULED_CASES = [
    ("scheduled_sgd", "sgd", {}),
    ("scheduled_momentum", "momentum", {}),
    ("scheduled_nesterov", "nesterov", {}),
    ("scheduled_rmsprop", "rmsprop", {"momentum": 0.9}),
    ("scheduled_rmsprop_centered", "rmsprop", {"momentum": 0.9, "centered": True}),
    ("scheduled_adam", "adam", {}),
    ("scheduled_nadam", "nadam", {}),
    ("scheduled_adamw", "adamw", {"weight_decay": 0.1}),
    ("scheduled_lion", "lion", {"weight_decay": 0.1}),
]
