"""Compute where the libraries' optimizers end, for what `like` has to equal. See README.md."""

import inspect
import json
from pathlib import Path

import numpy as np
from libraries import NAMES, Call, keras, optax, release, torch
from make_optimizer_references import N_STEPS, make_problem
from sklearn.neural_network import MLPClassifier

HERE = Path(__file__).resolve().parent
FACTORS = 0.95 ** np.arange(N_STEPS)

TORCH = {
    "SGD": [
        {},
        {"lr": 0.1, "weight_decay": 0.01},
        {"lr": 0.1, "momentum": 0.9},
        {"momentum": 0.9, "weight_decay": 5e-4},
        {"lr": 0.1, "momentum": 0.9, "nesterov": True},
        {"lr": 0.1, "momentum": 0.5, "nesterov": True, "weight_decay": 5e-4},
    ],
    "Adagrad": [
        {},
        {"lr": 0.1, "eps": 1e-3, "initial_accumulator_value": 0.5},
        {"weight_decay": 0.1},
    ],
    "RMSprop": [
        {},
        {"alpha": 0.9, "eps": 1e-3},
        {"momentum": 0.9},
        {"centered": True},
        {"momentum": 0.5, "centered": True, "weight_decay": 0.1},
    ],
    "Adadelta": [{}, {"lr": 0.5, "rho": 0.95, "eps": 1e-4}, {"weight_decay": 0.1}],
    "Adam": [
        {},
        {"lr": 0.01, "betas": [0.8, 0.95], "eps": 1e-4},
        {"weight_decay": 0.1},
        {"weight_decay": 0.1, "decoupled_weight_decay": True},
        {"amsgrad": True},
        {"amsgrad": True, "betas": [0.8, 0.9], "weight_decay": 0.1},
    ],
    "AdamW": [
        {},
        {"lr": 0.01, "betas": [0.8, 0.95], "weight_decay": 0.5},
        {"weight_decay": 0},
        {"amsgrad": True, "betas": [0.8, 0.9]},
    ],
    "Adamax": [{}, {"betas": [0.8, 0.9], "eps": 1e-3}, {"weight_decay": 0.1}],
    "NAdam": [
        {},
        {"betas": [0.8, 0.95], "eps": 1e-4, "momentum_decay": 0.1},
        {"weight_decay": 0.1},
        {"weight_decay": 0.1, "decoupled_weight_decay": True},
    ],
}

KERAS = {
    "SGD": [
        {},
        {"weight_decay": 0.1},
        {"learning_rate": 0.1, "momentum": 0.9},
        {"momentum": 0.5, "weight_decay": 0.1},
        {"momentum": 0.9, "nesterov": True},
        {"learning_rate": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.01},
    ],
    "Adagrad": [
        {},
        {"learning_rate": 0.1, "epsilon": 1e-3, "initial_accumulator_value": 0.0},
        {"weight_decay": 0.1},
    ],
    "RMSprop": [
        {},
        {"rho": 0.5, "epsilon": 1e-3},
        {"momentum": 0.9},
        {"centered": True},
        {"learning_rate": 0.01, "momentum": 0.5, "centered": True, "weight_decay": 0.1},
    ],
    "Adadelta": [
        {},
        {"learning_rate": 1.0, "rho": 0.9, "epsilon": 1e-4},
        {"learning_rate": 0.5, "weight_decay": 0.1},
    ],
    "Adam": [
        {},
        {"learning_rate": 0.01, "beta_1": 0.8, "beta_2": 0.95, "epsilon": 1e-4},
        {"weight_decay": 0.1},
        {"amsgrad": True},
        {"amsgrad": True, "beta_1": 0.8, "beta_2": 0.9, "weight_decay": 0.1},
    ],
    "AdamW": [
        {},
        {"learning_rate": 0.01, "beta_1": 0.8, "weight_decay": 0.5},
        {"amsgrad": True, "beta_2": 0.9},
    ],
    "Adamax": [{}, {"beta_1": 0.8, "beta_2": 0.9, "epsilon": 1e-3}, {"weight_decay": 0.1}],
    "Nadam": [{}, {"beta_1": 0.8, "beta_2": 0.95, "epsilon": 1e-4}, {"weight_decay": 0.1}],
}

OPTAX = {
    "sgd": [{}, {"momentum": 0.9}, {"momentum": 0.9, "nesterov": True}],
    "adagrad": [{}, {"eps": 1e-3, "initial_accumulator_value": 0.0}],
    "rmsprop": [
        {},
        {"decay": 0.5, "eps": 1e-3, "initial_scale": 1.0},
        {"eps_in_sqrt": False},
        {"momentum": 0.9},
        {"centered": True},
        {"momentum": 0.5, "centered": True, "eps_in_sqrt": False},
    ],
    "adadelta": [{}, {"rho": 0.95, "eps": 1e-4}, {"weight_decay": 0.1}],
    "adam": [{}, {"b1": 0.8, "b2": 0.95, "eps": 1e-4}, {"nesterov": True}],
    "adamw": [{}, {"b1": 0.8, "weight_decay": 0.5}, {"nesterov": True, "weight_decay": 0.1}],
    "amsgrad": [
        {},
        {"b1": 0.8, "b2": 0.9, "eps": 1e-4},
        {"b2": 0.9, "bias_correction_mu": False, "bias_correction_nu": False},
    ],
    "adamax": [{}, {"b1": 0.8, "b2": 0.9, "eps": 1e-3}],
    "adamaxw": [{}, {"weight_decay": 0.5}],
    "nadam": [{}, {"b1": 0.8, "b2": 0.95, "eps": 1e-4}],
    "nadamw": [{}, {"weight_decay": 0.5}],
}
RATES = {"adadelta": 1.0}

SKLEARN = {
    "sgd": [
        {},
        {"learning_rate_init": 0.1, "momentum": 0.5},
        {"nesterovs_momentum": False},
        {"momentum": 0.0},
    ],
    "adam": [{}, {"learning_rate_init": 0.01, "beta_1": 0.8, "beta_2": 0.95, "epsilon": 1e-4}],
}
# The class behind a solver, and what it calls the solver's parameters.
SOLVERS = {"sgd": "SGDOptimizer", "adam": "AdamOptimizer"}
INSIDE = {"nesterovs_momentum": "nesterov"}


def calls():
    """For each case: the library's name of the class, what `like` gets, and the call."""
    for library, forms in (("torch", TORCH), ("keras", KERAS)):
        for name, cases in forms.items():
            for arguments in cases:
                yield library, name, arguments, Call(library, name, arguments)
    for name, cases in OPTAX.items():
        for arguments in cases:
            arguments = {"learning_rate": RATES.get(name, 0.01), **arguments}
            yield "optax", name, arguments, Call("optax", name, arguments)
    for name, cases in SKLEARN.items():
        for arguments in cases:
            # Inside, the learning rate has another default than in the MLP.
            given = {
                "learning_rate_init": signature(MLPClassifier)["learning_rate_init"]
            } | arguments
            inside = {INSIDE.get(key, key): value for key, value in given.items()}
            yield "sklearn", name, arguments, Call("sklearn", SOLVERS[name], inside)


def signature(function):
    """Names and defaults of what a user may pass; "required" where there is none."""
    parameters = inspect.signature(function).parameters.values()
    return {
        p.name: "required" if p.default is p.empty else p.default
        for p in parameters
        if p.kind is not p.VAR_KEYWORD and p.name not in ("params", "self")
    }


def signatures():
    found = {f"torch.{name}": signature(getattr(torch.optim, name)) for name in TORCH}
    found |= {f"keras.{name}": signature(getattr(keras.optimizers, name)) for name in KERAS}
    found |= {f"optax.{name}": signature(getattr(optax, name)) for name in OPTAX}
    return found | {f"sklearn.{name}": signature(MLPClassifier) for name in SKLEARN}


def main():
    gradients, initial = make_problem()
    lines = []
    for library, name, arguments, call in calls():
        for scheduled in (False, True):
            path = call.run(gradients, initial, FACTORS if scheduled else None)
            case = {"name": f"{library}.{name}", "arguments": arguments, "scheduled": scheduled}
            lines.append(json.dumps({**case, "end": path[-1].tolist()}))
    libraries = {name: release(NAMES[name][1]) for name in ("torch", "keras", "optax", "sklearn")}
    text = ",\n".join(lines)
    (HERE / "dialects.json").write_text(
        f'{{"releases": {json.dumps(libraries)},\n'
        f'"signatures": {json.dumps(signatures())},\n'
        f'"cases": [\n{text}\n]}}\n',
        encoding="utf-8",
    )


if __name__ == "__main__":
    main()
