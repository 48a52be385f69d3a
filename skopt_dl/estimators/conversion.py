"""Fitted models of scikit-learn's MLPs turned into ours, and ours into theirs.

Both keep weights and the figures of a training under the same names. They differ in what they call
the optimizer, and in how it keeps what it remembers from step to step.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.base import is_classifier
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from skopt_dl.estimators.base import BaseMLP
from skopt_dl.estimators.classifier import MLPClassifier
from skopt_dl.estimators.regressor import MLPRegressor
from skopt_dl.estimators.targets import MULTILABEL, LabelEncoding
from skopt_dl.networks import activations, losses
from skopt_dl.optimizers import LBFGS, SGD, Adam, Minimizer, Momentum, Nesterov, Optimizer
from skopt_dl.schedules import Constant, InverseScaling, Progress, ReduceOnPlateau, as_schedule
from skopt_dl.training import HISTORY_COLUMNS

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


def from_sklearn(model: Any) -> MLPClassifier | MLPRegressor:
    """Turn a fitted MLP of scikit-learn's into one of ours.

    Parameters
    ----------
    model : sklearn.neural_network.MLPClassifier or sklearn.neural_network.MLPRegressor
        A fitted model; it is left as it is.

    Returns
    -------
    model : MLPClassifier or MLPRegressor
        A fitted model with equal parameters, predictions and histories. ``solver`` and what
        belongs to it become ``optimizer``. ``partial_fit`` goes on with the state of the solver; a
        warm start goes on from the weights, and orders the samples by a generator of its own.

    Raises
    ------
    TypeError
        If `model` is anything else.
    sklearn.exceptions.NotFittedError
        If `model` is not fitted.

    See Also
    --------
    MLPClassifier.to_sklearn : The way back.

    Notes
    -----
    scikit-learn records the loss of each epoch and, with early stopping, the validation score; the
    other columns of ``history_`` are NaN for its epochs. Of L-BFGS it keeps the last loss only.
    With L-BFGS it ignores ``early_stopping``, which is therefore False here.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.neural_network import MLPClassifier
    >>> from skopt_dl import from_sklearn
    >>> X, y = load_iris(return_X_y=True)
    >>> fitted = MLPClassifier(solver="lbfgs", max_iter=1000, random_state=0).fit(X, y)
    >>> model = from_sklearn(fitted)
    >>> model.optimizer
    LBFGS()
    >>> model.score(X, y) == fitted.score(X, y)
    True
    """
    from sklearn import neural_network

    if not isinstance(model, neural_network.MLPClassifier | neural_network.MLPRegressor):
        raise TypeError(_wrong_class("from_sklearn", "sklearn.neural_network", model))
    check_is_fitted(model, "coefs_")
    twin = MLPClassifier() if is_classifier(model) else MLPRegressor()
    _copy_parameters(model, twin)
    twin.optimizer = _optimizer(model)
    twin.early_stopping = model.early_stopping and model.solver != "lbfgs"

    _copy_attributes(model, twin)
    if isinstance(twin, MLPClassifier):
        multilabel = model.out_activation_ == "logistic" and model.n_outputs_ > 1
        twin._labels = LabelEncoding(model.classes_, MULTILABEL if multilabel else None)
    else:
        twin._target_moments = None
    twin.optimizer_ = twin._component("optimizer")
    twin._fitted_activations = twin._activations(twin._hidden_layer_sizes())
    twin._fitted_loss = twin._loss_form(twin._component("loss"))
    twin.device_ = "cpu"
    seed = check_random_state(copy.deepcopy(model.random_state)).randint(2**31, size=4)
    twin._rng = np.random.default_rng(seed)

    twin.history_ = _history(model)
    twin.loss_curve_ = twin.history_.get("loss", [])
    twin.validation_scores_ = twin.history_.get("validation_score")
    twin.validation_loss_curve_ = twin.history_.get("validation_loss")
    if not twin.loss_curve_:
        twin.best_loss_, twin.best_validation_score_ = model.loss_, None
    twin.n_steps_ = _n_steps(model)
    twin._resume, twin._trained = _resume(model, twin), None
    twin._trained_with = {"batch_norm": False, "input_scaling": False}
    return twin


def to_sklearn(model: Any) -> Any:
    """Turn a fitted model into an MLP of scikit-learn's; see `BaseMLP.to_sklearn`."""
    from sklearn import neural_network

    if not isinstance(model, BaseMLP):
        raise TypeError(_wrong_class("to_sklearn", "skopt_dl", model))
    check_is_fitted(model, "coefs_")
    names, solver = _names(model), _solver(model.optimizer_)
    classifier = is_classifier(model)
    twin = neural_network.MLPClassifier() if classifier else neural_network.MLPRegressor()
    _copy_parameters(model, twin, **names, **solver)
    if model.batch_size == "full":
        twin.batch_size = model.t_ // max(1, len(model.loss_curve_)) or "auto"

    _copy_attributes(model, twin)
    if classifier:
        twin._label_binarizer = LabelBinarizer().fit(_labels(model))
    # What partial_fit, warm starts and early stopping look at.
    twin._no_improvement_count = 0
    twin._best_coefs = [weights.copy() for weights in twin.coefs_]
    twin._best_intercepts = [bias.copy() for bias in twin.intercepts_]
    if solver.get("solver") in ("adam", "sgd") and _state_is_of_weights(model):
        twin._optimizer = _trainer(model, twin)
    return twin


def _wrong_class(function: str, library: str, model: Any) -> str:
    return (
        f"{function} takes a fitted MLPClassifier or MLPRegressor of {library}; got {model!r}. "
        "Of a pipeline, convert the last step."
    )


def _copy_parameters(source: Any, target: Any, **changes: Any) -> None:
    """Set what both have, and `changes`, as far as the target knows them."""
    params = source.get_params(deep=False) | changes
    known = target.get_params(deep=False).keys() & params.keys()
    target.set_params(**{name: copy.deepcopy(params[name]) for name in known})


def _labels(model: Any) -> np.ndarray:
    """Targets from which encoders learn the classes of a fitted classifier."""
    multilabel = model.out_activation_ == "logistic" and model.n_outputs_ > 1
    return np.eye(model.n_outputs_) if multilabel else model.classes_


def _copy_attributes(source: Any, target: Any) -> None:
    for name in _ATTRIBUTES:
        if name in vars(source):
            setattr(target, name, copy.deepcopy(vars(source)[name]))


def _names(model: BaseMLP) -> dict[str, str]:
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


def _name(model: BaseMLP, parameter: str, component: Any, names: dict[type, str]) -> str:
    if type(component) not in names:
        allowed = " or ".join(repr(name) for name in dict.fromkeys(names.values()))
        raise ValueError(_not_in_sklearn(model, parameter, component, allowed))
    return names[type(component)]


def _not_in_sklearn(model: BaseMLP, parameter: str, value: Any, allowed: str) -> str:
    return (
        f"{parameter} of this {type(model).__name__} is {value!r}, which scikit-learn's lacks; it "
        f"has {allowed}. Train with that to convert the model, or keep it and use pickle or joblib."
    )


def _optimizer(model: Any) -> Optimizer | Minimizer:
    """The object for ``solver`` and the parameters that belong to it."""
    if model.solver == "lbfgs":
        return LBFGS(max_fun=model.max_fun)
    rate = model.learning_rate_init
    if model.solver == "adam":
        return Adam(rate, model.beta_1, model.beta_2, model.epsilon, epsilon_hat=True)
    if model.learning_rate == "invscaling":
        rate = InverseScaling(rate, model.power_t)
    elif model.learning_rate == "adaptive":
        rate = ReduceOnPlateau(rate)
    if model.momentum == 0:
        return SGD(rate)
    return (Nesterov if model.nesterovs_momentum else Momentum)(rate, model.momentum)


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
    schedule = as_schedule(optimizer.learning_rate)
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


# The state of an optimizer: ours is in the order of the buffer, theirs in lists.


def _slots(optimizer: Any, progress: Progress) -> dict[str, tuple[str, float]]:
    """Where scikit-learn keeps each slot, and how many times ours it is.

    Our moving averages lack their factor, and our velocities the learning rate.
    """
    if isinstance(optimizer, Adam):
        return {"mean": ("ms", 1.0 - optimizer.beta_1), "squares": ("vs", 1.0 - optimizer.beta_2)}
    if isinstance(optimizer, Momentum | Nesterov) and optimizer.momentum > 0:
        ahead = optimizer.momentum if isinstance(optimizer, Nesterov) else 1.0
        rate = as_schedule(optimizer.learning_rate).value(progress)
        return {"velocity": ("velocities", -rate / ahead)}
    return {}


def _resume(model: Any, twin: BaseMLP) -> dict[str, Any] | None:
    """What our ``partial_fit`` goes on from."""
    trainer = vars(model).get("_optimizer")
    if trainer is None:
        return None
    progress = Progress()
    progress.step = getattr(trainer, "t", twin.n_steps_)
    progress.epoch, progress.n_samples_seen = len(twin.loss_curve_), twin.t_
    schedule = as_schedule(twin.optimizer_.learning_rate)
    if isinstance(schedule, ReduceOnPlateau):
        fall = trainer.learning_rate / schedule.initial_learning_rate
        progress.n_plateaus = round(math.log(fall, schedule.factor))
    slots = {
        slot: np.concatenate([array.ravel() for array in getattr(trainer, theirs)]) / factor
        for slot, (theirs, factor) in _slots(twin.optimizer_, progress).items()
    }
    return {"progress": dict(vars(progress)), "slots": slots}


def _state_is_of_weights(model: BaseMLP) -> bool:
    """Whether the optimizer's state belongs to the weights that predict.

    It does not where these are an average or those of an earlier epoch, or where a normalisation
    became part of them.
    """
    state = model._resume
    if state is None or model._trained is not None:
        return False
    weights = np.concatenate([array.ravel() for array in (*model.coefs_, *model.intercepts_)])
    return np.array_equal(state.get("params", weights), weights)


def _trainer(model: BaseMLP, twin: Any) -> Any:
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
        trainer.learning_rate = as_schedule(model.optimizer_.learning_rate).value(progress)
    for slot, (theirs, factor) in _slots(model.optimizer_, progress).items():
        setattr(trainer, theirs, _split(model._resume["slots"][slot] * factor, weights))
    return trainer


def _split(row: np.ndarray, weights: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Cut a row of the buffer into arrays like `weights`."""
    ends = np.cumsum([array.size for array in weights])
    parts = np.split(row, ends[:-1])
    return [part.reshape(array.shape) for part, array in zip(parts, weights, strict=True)]


# Histories


def _history(model: Any) -> dict[str, list[float]]:
    """The columns that a training here leaves, NaN where scikit-learn records nothing."""
    known = {"loss": getattr(model, "loss_curve_", [])}
    if not known["loss"]:
        return {}
    columns = list(HISTORY_COLUMNS)
    if model.validation_scores_ is None:
        columns = [name for name in columns if not name.startswith("validation")]
    known["validation_score"] = model.validation_scores_
    unknown = [math.nan] * len(known["loss"])
    return {name: [float(value) for value in known.get(name, unknown)] for name in columns}


def _n_steps(model: Any) -> int:
    """Updates of the weights, supposing that all epochs had equally many samples."""
    n_epochs = len(getattr(model, "loss_curve_", []))
    if not n_epochs:
        return int(model.n_iter_)
    n_samples = model.t_ / n_epochs
    batch_size = 200 if model.batch_size == "auto" else model.batch_size
    return n_epochs * math.ceil(n_samples / min(batch_size, n_samples))
