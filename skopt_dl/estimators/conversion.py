"""Fitted models of scikit-learn's MLPs turned into ours; `export` has the way back."""

from __future__ import annotations

import copy
import math
from typing import Any

import numpy as np
from sklearn.base import is_classifier
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from skopt_dl.estimators.classifier import MLPClassifier
from skopt_dl.estimators.export import copy_attributes, copy_parameters, optimizer_slots
from skopt_dl.estimators.mlp import BaseMLP
from skopt_dl.estimators.regressor import MLPRegressor
from skopt_dl.estimators.targets import MULTILABEL, LabelEncoding
from skopt_dl.optimizers import LBFGS, SGD, Adam, Minimizer, Momentum, Nesterov, Optimizer
from skopt_dl.schedules import InverseScaling, Progress, ReduceOnPlateau
from skopt_dl.training import HISTORY_COLUMNS


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
        raise TypeError(
            "from_sklearn takes a fitted MLPClassifier or MLPRegressor of sklearn.neural_network; "
            f"got {model!r}. Of a pipeline, convert the last step."
        )
    check_is_fitted(model, "coefs_")
    twin = MLPClassifier() if is_classifier(model) else MLPRegressor()
    copy_parameters(model, twin)
    twin.optimizer = _optimizer(model)
    twin.early_stopping = model.early_stopping and model.solver != "lbfgs"

    copy_attributes(model, twin)
    if isinstance(twin, MLPClassifier):
        multilabel = model.out_activation_ == "logistic" and model.n_outputs_ > 1
        twin._labels = LabelEncoding(model.classes_, MULTILABEL if multilabel else None)
    else:
        twin._target_moments = None
    twin.optimizer_ = twin._component("optimizer")
    twin._fitted_activations = twin._activations(twin._hidden_layer_sizes())
    twin._fitted_loss = twin._loss_form(twin._component("loss"))
    twin.device_, twin.engine_ = "cpu", "numpy"
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


def _resume(model: Any, twin: BaseMLP) -> dict[str, Any] | None:
    """What our ``partial_fit`` goes on from."""
    trainer = vars(model).get("_optimizer")
    if trainer is None:
        return None
    progress = Progress()
    progress.step = getattr(trainer, "t", twin.n_steps_)
    progress.epoch, progress.n_samples_seen = len(twin.loss_curve_), twin.t_
    schedule = twin.optimizer_.learning_rate_schedule
    if isinstance(schedule, ReduceOnPlateau):
        fall = trainer.learning_rate / schedule.initial_learning_rate
        progress.n_plateaus = round(math.log(fall, schedule.factor))
    slots = {
        slot: np.concatenate([array.ravel() for array in getattr(trainer, theirs)]) / factor
        for slot, (theirs, factor) in optimizer_slots(twin.optimizer_, progress).items()
    }
    return {"progress": dict(vars(progress)), "slots": slots}


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
