"""Our fitted models as scikit-learn's MLPs, and what turning one into the other has in common.

Both keep weights and the figures of a training under the same names. They differ in what they call
the optimizer, and in how it keeps what it remembers from step to step.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.base import is_classifier
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils.validation import check_is_fitted

from skopt_dl.layers import activations
from skopt_dl.networks import losses
from skopt_dl.optimizers import LBFGS, SGD, Adam, Momentum, Nesterov
from skopt_dl.schedules import Constant, InverseScaling, Progress, ReduceOnPlateau

# What scikit-learn has of these, and what it calls it.
_ACTIVATIONS: dict[type, str] = {
    activations.Identity: "identity",
    activations.Logistic: "logistic",
    activations.Tanh: "tanh",
    activations.ReLU: "relu",
}
_LOSSES: dict[type[losses.Loss], str] = {
    losses.LogisticLogLoss: "log_loss",
    losses.SoftmaxLogLoss: "log_loss",
    losses.SquaredError: "squared_error",
    losses.Poisson: "poisson",
}
_ATTRIBUTES = (
    "best_loss_",
    "best_validation_score_",
    "classes_",
    "coefs_",
    "feature_names_in_",
    "intercepts_",
    "loss_",
    "loss_curve_",
    "n_features_in_",
    "n_iter_",
    "n_layers_",
    "n_outputs_",
    "out_activation_",
    "t_",
    "validation_scores_",
)


def to_sklearn(model: Any) -> Any:
    """Turn a fitted model into an MLP of scikit-learn's; see `BaseMLP.to_sklearn`."""
    from sklearn import neural_network

    check_is_fitted(model, "coefs_")
    names, solver = _names(model), _solver(model.optimizer_)
    classifier = is_classifier(model)
    twin = neural_network.MLPClassifier() if classifier else neural_network.MLPRegressor()
    copy_parameters(model, twin, **names, **solver)
    if model.batch_size == "full":
        twin.batch_size = model.t_ // max(1, len(model.loss_curve_)) or "auto"

    copy_attributes(model, twin)
    if classifier:
        twin._label_binarizer = LabelBinarizer().fit(_labels(model))
    # What partial_fit, warm starts and early stopping look at.
    twin._no_improvement_count = 0
    twin._best_coefs = [weights.copy() for weights in twin.coefs_]
    twin._best_intercepts = [bias.copy() for bias in twin.intercepts_]
    if solver.get("solver") in ("adam", "sgd") and _state_is_of_weights(model):
        twin._optimizer = _trainer(model, twin)
    return twin


def copy_parameters(source: Any, target: Any, **changes: Any) -> None:
    """Set what both have, and `changes`, as far as the target knows them."""
    params = source.get_params(deep=False) | changes
    known = target.get_params(deep=False).keys() & params.keys()
    target.set_params(**{name: copy.deepcopy(params[name]) for name in known})


def _labels(model: Any) -> np.ndarray:
    """Targets from which encoders learn the classes of a fitted classifier."""
    multilabel = model.out_activation_ == "logistic" and model.n_outputs_ > 1
    return np.eye(model.n_outputs_) if multilabel else model.classes_


def copy_attributes(source: Any, target: Any) -> None:
    """Copy the fitted attributes that both have under the same names."""
    for name in _ATTRIBUTES:
        if name in vars(source):
            setattr(target, name, copy.deepcopy(vars(source)[name]))


def _names(model: Any) -> dict[str, str]:
    """scikit-learn's names of a fitted model's activation and loss."""
    used, loss = model._fitted_activations, model._fitted_loss
    if len({type(activation) for activation in used}) > 1:
        raise ValueError(_not_in_sklearn(model, "activation", used, "one for all hidden layers"))
    if isinstance(loss, losses.PerOutput):
        allowed = "one label a sample, and multilabel indicators"
        raise ValueError(_not_in_sklearn(model, "y", "multiclass-multioutput", allowed))
    of_task = {cls: name for cls, name in _LOSSES.items() if cls.task == loss.task}
    return {
        # Without hidden layers any will do.
        "activation": _name(model, "activation", used[0], _ACTIVATIONS) if used else "relu",
        "loss": _name(model, "loss", loss, of_task),
    }


def _name(model: Any, parameter: str, component: Any, names: dict[type, str]) -> str:
    if type(component) not in names:
        allowed = " or ".join(repr(name) for name in dict.fromkeys(names.values()))
        raise ValueError(_not_in_sklearn(model, parameter, component, allowed))
    return names[type(component)]


def _not_in_sklearn(model: Any, parameter: str, value: Any, allowed: str) -> str:
    return (
        f"{parameter} of this {type(model).__name__} is {value!r}, which scikit-learn's lacks; it "
        f"has {allowed}. Train with that to convert the model, or keep it and use pickle or joblib."
    )


def _solver(optimizer: Any) -> dict[str, Any]:
    """``solver`` and the parameters that belong to it; nothing for what scikit-learn lacks."""
    kind = type(optimizer)
    if kind is LBFGS:
        return {"solver": "lbfgs", "max_fun": optimizer.max_fun}
    rate = _rate(optimizer) if kind in (SGD, Momentum, Nesterov, Adam) else None
    if rate is None:
        return {}
    if kind is Adam:
        names = ("beta_1", "beta_2", "epsilon")
        return {"solver": "adam"} | rate | {name: getattr(optimizer, name) for name in names}
    momentum = getattr(optimizer, "momentum", 0.0)
    nesterov = {"momentum": momentum, "nesterovs_momentum": kind is not Momentum}
    return {"solver": "sgd"} | rate | nesterov


def _rate(optimizer: Any) -> dict[str, Any] | None:
    """The parameters for a learning rate; None for what scikit-learn lacks."""
    schedule = optimizer.learning_rate_schedule
    if type(schedule) is Constant:
        return {"learning_rate_init": schedule.learning_rate}
    if isinstance(optimizer, Adam):
        return None
    if type(schedule) is InverseScaling:
        rate = {"learning_rate": "invscaling", "power_t": schedule.power}
    elif repr(schedule) == repr(ReduceOnPlateau(getattr(schedule, "initial_learning_rate", 1.0))):
        rate = {"learning_rate": "adaptive"}
    else:
        return None
    return rate | {"learning_rate_init": schedule.initial_learning_rate}


def optimizer_slots(optimizer: Any, progress: Progress) -> dict[str, tuple[str, float]]:
    """Where scikit-learn keeps each slot, and how many times ours it is.

    Our moving averages lack their factor, and our velocities the learning rate.
    """
    if isinstance(optimizer, Adam):
        return {"mean": ("ms", 1.0 - optimizer.beta_1), "squares": ("vs", 1.0 - optimizer.beta_2)}
    if isinstance(optimizer, Momentum | Nesterov) and optimizer.momentum > 0:
        ahead = optimizer.momentum if isinstance(optimizer, Nesterov) else 1.0
        rate = optimizer.learning_rate_schedule.value(progress)
        return {"velocity": ("velocities", -rate / ahead)}
    return {}


def _state_is_of_weights(model: Any) -> bool:
    """Whether the optimizer's state belongs to the weights that predict.

    It does not where these are an average or those of an earlier epoch, or where a normalisation
    became part of them.
    """
    state = model._resume
    if state is None or model._trained is not None:
        return False
    weights = np.concatenate([array.ravel() for array in (*model.coefs_, *model.intercepts_)])
    return np.array_equal(state.get("params", weights), weights)


def _trainer(model: Any, twin: Any) -> Any:
    """What their ``partial_fit`` goes on from."""
    from sklearn.neural_network._stochastic_optimizers import AdamOptimizer, SGDOptimizer

    assert model._resume is not None
    progress, weights = Progress(), [*twin.coefs_, *twin.intercepts_]
    vars(progress).update(model._resume["progress"])
    if twin.solver == "adam":
        trainer = AdamOptimizer(
            weights, twin.learning_rate_init, twin.beta_1, twin.beta_2, twin.epsilon
        )
        trainer.t = progress.step
    else:
        trainer = SGDOptimizer(
            weights,
            twin.learning_rate_init,
            twin.learning_rate,
            twin.momentum,
            twin.nesterovs_momentum,
            twin.power_t,
        )
        trainer.learning_rate = model.optimizer_.learning_rate_schedule.value(progress)
    for slot, (theirs, factor) in optimizer_slots(model.optimizer_, progress).items():
        setattr(trainer, theirs, _split(model._resume["slots"][slot] * factor, weights))
    return trainer


def _split(row: np.ndarray, weights: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Cut a row of the buffer into arrays like `weights`."""
    ends = np.cumsum([array.size for array in weights])
    parts = np.split(row, ends[:-1])
    return [part.reshape(array.shape) for part, array in zip(parts, weights, strict=True)]
