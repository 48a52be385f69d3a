"""Which optimizer of which library is the same rule as ours, and how it spells our hyperparameters.

One function for each of our optimizers, with our hyperparameters and defaults. It lists every call
that is mathematically the same rule; the first is the source of the reference, the others check it.
"""

from libraries import Call


def _torch(function, **kwargs):
    return Call("torch", function, kwargs)


def _optax(function, **kwargs):
    return Call("optax", function, kwargs)


def _keras(function, **kwargs):
    return Call("keras", function, kwargs)


def _sklearn(function, **kwargs):
    return Call("sklearn", function, kwargs)


def _closed(function, **kwargs):
    return Call("mpmath", function, kwargs)


def sgd(learning_rate=0.01):
    return [
        _torch("SGD", lr=learning_rate),
        _optax("sgd", learning_rate=learning_rate),
        _keras("SGD", learning_rate=learning_rate),
        _closed("sgd", learning_rate=learning_rate),
    ]


# keras and scikit-learn keep the learning rate inside the velocity, torch and optax outside. With a
# constant learning rate, as here, it is the same rule.


def momentum(learning_rate=0.01, momentum=0.9):
    ours = {"learning_rate": learning_rate, "momentum": momentum}
    return [
        _torch("SGD", lr=learning_rate, momentum=momentum),
        _optax("sgd", **ours),
        _keras("SGD", **ours),
        _sklearn(
            "SGDOptimizer", learning_rate_init=learning_rate, momentum=momentum, nesterov=False
        ),
        _closed("momentum", **ours),
    ]


def nesterov(learning_rate=0.01, momentum=0.9):
    ours = {"learning_rate": learning_rate, "momentum": momentum}
    torch = [_torch("SGD", lr=learning_rate, momentum=momentum, nesterov=True)]
    return [
        *(torch if momentum else []),  # torch refuses a momentum of zero
        _optax("sgd", **ours, nesterov=True),
        _keras("SGD", **ours, nesterov=True),
        _sklearn(
            "SGDOptimizer", learning_rate_init=learning_rate, momentum=momentum, nesterov=True
        ),
        _closed("nesterov", **ours),
    ]


def adagrad(learning_rate=0.01, epsilon=1e-10, initial_accumulator=0.0, epsilon_inside_sqrt=False):
    closed = _closed(
        "adagrad",
        learning_rate=learning_rate,
        epsilon=epsilon,
        initial_accumulator=initial_accumulator,
        epsilon_inside_sqrt=epsilon_inside_sqrt,
    )
    start = {"initial_accumulator_value": initial_accumulator}
    if epsilon_inside_sqrt:
        return [
            _optax("adagrad", learning_rate=learning_rate, eps=epsilon, **start),
            _keras("Adagrad", learning_rate=learning_rate, epsilon=epsilon, **start),
            closed,
        ]
    return [_torch("Adagrad", lr=learning_rate, eps=epsilon, **start), closed]


def rmsprop(
    learning_rate=0.001,
    rho=0.9,
    epsilon=1e-8,
    initial_accumulator=0.0,
    epsilon_inside_sqrt=False,
    momentum=0.0,
    centered=False,
):
    common = {"momentum": momentum, "centered": centered}
    optax = _optax(
        "rmsprop",
        learning_rate=learning_rate,
        decay=rho,
        eps=epsilon,
        initial_scale=initial_accumulator,
        eps_in_sqrt=epsilon_inside_sqrt,
        **common,
    )
    closed = _closed(
        "rmsprop",
        learning_rate=learning_rate,
        rho=rho,
        epsilon=epsilon,
        initial_accumulator=initial_accumulator,
        epsilon_inside_sqrt=epsilon_inside_sqrt,
        **common,
    )
    if initial_accumulator:  # only optax lets the average start elsewhere than at zero
        return [optax, closed]
    if epsilon_inside_sqrt:
        keras = _keras("RMSprop", learning_rate=learning_rate, rho=rho, epsilon=epsilon, **common)
        return [keras, optax, closed]
    torch = _torch("RMSprop", lr=learning_rate, alpha=rho, eps=epsilon, **common)
    return [torch, optax, closed]


def adadelta(learning_rate=1.0, rho=0.95, epsilon=1e-6):
    return [
        _torch("Adadelta", lr=learning_rate, rho=rho, eps=epsilon),
        _optax("adadelta", learning_rate=learning_rate, rho=rho, eps=epsilon),
        _keras("Adadelta", learning_rate=learning_rate, rho=rho, epsilon=epsilon),
    ]


def adam(learning_rate=0.001, beta_1=0.9, beta_2=0.999, epsilon=1e-8, epsilon_hat=False):
    betas = {"beta_1": beta_1, "beta_2": beta_2}
    ours = {"learning_rate": learning_rate, **betas, "epsilon": epsilon}
    closed = _closed("adam", **ours, epsilon_hat=epsilon_hat)
    if epsilon_hat:
        return [
            _sklearn("AdamOptimizer", learning_rate_init=learning_rate, **betas, epsilon=epsilon),
            _keras("Adam", **ours),
            closed,
        ]
    return [
        _torch("Adam", lr=learning_rate, betas=(beta_1, beta_2), eps=epsilon),
        _optax("adam", learning_rate=learning_rate, b1=beta_1, b2=beta_2, eps=epsilon),
        closed,
    ]


def amsgrad(
    learning_rate=0.001,
    beta_1=0.9,
    beta_2=0.999,
    epsilon=1e-8,
    epsilon_hat=False,
    bias_correction=True,
):
    ours = {
        "learning_rate": learning_rate,
        "beta_1": beta_1,
        "beta_2": beta_2,
        "epsilon": epsilon,
    }
    closed = _closed("amsgrad", **ours, epsilon_hat=epsilon_hat, bias_correction=bias_correction)
    if not bias_correction:
        optax = _optax(
            "amsgrad",
            learning_rate=learning_rate,
            b1=beta_1,
            b2=beta_2,
            eps=epsilon,
            bias_correction_mu=False,
            bias_correction_nu=False,
        )
        return [optax, closed]
    if epsilon_hat:
        return [_keras("Adam", **ours, amsgrad=True), closed]
    betas = (beta_1, beta_2)
    return [_torch("Adam", lr=learning_rate, betas=betas, eps=epsilon, amsgrad=True), closed]


def adamax(learning_rate=0.002, beta_1=0.9, beta_2=0.999, epsilon=1e-8):
    # keras is absent: it adds epsilon to the infinity norm, torch to each |g| before the maximum.
    return [
        _torch("Adamax", lr=learning_rate, betas=(beta_1, beta_2), eps=epsilon),
        _optax("adamax", learning_rate=learning_rate, b1=beta_1, b2=beta_2, eps=epsilon),
        _closed(
            "adamax", learning_rate=learning_rate, beta_1=beta_1, beta_2=beta_2, epsilon=epsilon
        ),
    ]


def nadam(learning_rate=0.002, beta_1=0.9, beta_2=0.999, epsilon=1e-8, momentum_decay=0.004):
    ours = {
        "learning_rate": learning_rate,
        "beta_1": beta_1,
        "beta_2": beta_2,
        "epsilon": epsilon,
    }
    torch = _torch(
        "NAdam",
        lr=learning_rate,
        betas=(beta_1, beta_2),
        eps=epsilon,
        momentum_decay=momentum_decay,
    )
    closed = _closed("nadam", **ours, momentum_decay=momentum_decay)
    if momentum_decay == 1:  # the value keras has built in
        return [torch, _keras("Nadam", **ours), closed]
    return [torch, closed]


def adamw(learning_rate=0.001, beta_1=0.9, beta_2=0.999, epsilon=1e-8, weight_decay=0.01):
    betas = (beta_1, beta_2)
    decay = {"weight_decay": weight_decay}
    return [
        _torch("AdamW", lr=learning_rate, betas=betas, eps=epsilon, **decay),
        _optax("adamw", learning_rate=learning_rate, b1=beta_1, b2=beta_2, eps=epsilon, **decay),
        _closed(
            "adamw",
            learning_rate=learning_rate,
            beta_1=beta_1,
            beta_2=beta_2,
            epsilon=epsilon,
            **decay,
        ),
    ]


def lion(learning_rate=1e-4, beta_1=0.9, beta_2=0.99, weight_decay=0.0):
    ours = {"learning_rate": learning_rate, "beta_1": beta_1, "beta_2": beta_2}
    decay = {"weight_decay": weight_decay}
    return [
        _optax("lion", learning_rate=learning_rate, b1=beta_1, b2=beta_2, **decay),
        Call(
            "pytorch_optimizer", "Lion", {"lr": learning_rate, "betas": (beta_1, beta_2), **decay}
        ),
        _keras("Lion", **ours, **decay),
        _closed("lion", **ours, **decay),
    ]
