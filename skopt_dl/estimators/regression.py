"""What regressors do with targets, and what they predict."""

from __future__ import annotations

import math
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.utils.metaestimators import available_if

from skopt_dl._params import BOOLEAN, Constraints
from skopt_dl.estimators.base import BaseNeuralNet, can_partial_fit
from skopt_dl.estimators.conduct import one_at_a_time
from skopt_dl.jobs import FitJob
from skopt_dl.networks import Loss
from skopt_dl.networks.losses import OUTPUT_ACTIVATIONS
from skopt_dl.training import TrainingResult

# Share of a precision's largest number that targets may have, so that sums over a layer do too.
LARGEST_TARGET = 1e-4
# Means and deviations between which targets are trained on without being standardised.
ORDINARY = 0.1, 10.0


class Regression(RegressorMixin, BaseNeuralNet):
    """Numbers for targets; see `MLPRegressor` and `NeuralNetRegressor`."""

    _task = "regression"
    constraints: ClassVar[Constraints] = {
        **BaseNeuralNet.constraints,
        "standardize_target": BOOLEAN,
    }

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    @available_if(can_partial_fit)
    @one_at_a_time
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train for one epoch, going on from where the model is.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        sample_weight : array-like of shape (n_samples,), default=None

        Returns
        -------
        self : object
        """
        return self._fit(X, y, sample_weight, incremental=True)

    def predict(self, X: Any) -> np.ndarray:
        """Predict targets.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
        """
        y = self._predictions(self._raw_output(X))
        return self._as_input(y[:, 0] if y.shape[1] == 1 else y, X)

    def _predictions(self, raw: np.ndarray) -> np.ndarray:
        return OUTPUT_ACTIVATIONS[self.out_activation_](np, raw)

    def _prepare_targets(
        self, y: Any, sample_weight: Any, reset: bool, incremental: bool, classes: Any
    ) -> None:
        if not reset:
            if self.standardize_target != self._has_own_target_units:
                raise ValueError(
                    f"standardize_target={self.standardize_target} differs from the first fit. "
                    "Leave it, or start anew with warm_start=False."
                )
            return
        self._target_moments = None
        if self.standardize_target:
            table = np.asarray(y, dtype=np.float64).reshape(len(y), -1)
            weights = None if sample_weight is None else sample_weight[:, 0]
            self._target_moments = _moments(table, weights)

    def _loss_form(self, loss: Loss) -> Loss:
        form = loss.for_targets("continuous")
        if self.standardize_target and form.output_activation != "identity":
            raise ValueError(
                f"standardize_target=True does not go with loss={self.loss!r}, which predicts "
                f"through {form.output_activation!r}: targets below their mean would be negative. "
                "Set standardize_target=False."
            )
        return form

    def _target_advice(self, result: TrainingResult, job: FitJob) -> str:
        losses = result.history.get("loss")
        if self._has_own_target_units or self._fitted_loss.output_activation != "identity":
            return ""
        weights = None if job.sample_weight is None else job.sample_weight[:, 0]
        with np.errstate(over="ignore"):
            mean = np.average(job.y, axis=0, weights=weights)
            deviation = np.sqrt(np.average((job.y - mean) ** 2, axis=0, weights=weights))
            low, high = ORDINARY
            far = (np.abs(mean) > high) | (deviation > high) | ((deviation < low) & (deviation > 0))
            if not losses or not far.any():
                return ""
            constant = np.broadcast_to(mean, job.y.shape)[None]
            values = self._fitted_loss.value(np, constant, job.y[None])[0]
            of_mean = np.average(values, weights=weights)
        if not np.fmin.reduce(losses) > of_mean:
            return ""
        return (
            f"The loss, {losses[-1]:.3g}, is above that of predicting the mean, {of_mean:.3g}: "
            f"the targets, with mean {_briefly(mean)} and standard deviation {_briefly(deviation)},"
            " are far from the scale the network starts at. Set standardize_target=True."
        )

    @property
    def _has_own_target_units(self) -> bool:
        return self._target_moments is not None

    def _in_target_units(self, *arrays: np.ndarray) -> list[np.ndarray]:
        if self._target_moments is None:
            return list(arrays)
        mean, deviation = self._target_moments
        # The first are raw outputs or weights, the second, if there are any, biases.
        shifts = [0.0, mean] if len(arrays) == 2 else [mean]
        return [
            (array * deviation + shift).astype(array.dtype)
            for array, shift in zip(arrays, shifts, strict=True)
        ]

    def _to_training_units(self, weights: np.ndarray, biases: np.ndarray) -> None:
        if self._target_moments is not None:
            mean, deviation = self._target_moments
            weights /= deviation
            biases -= mean
            biases /= deviation

    def _encode_targets(self, y: Any, dtype: Any) -> np.ndarray:
        if self._target_moments is not None:
            mean, deviation = self._target_moments
            n_outputs = 1 if np.ndim(y) == 1 else np.shape(y)[1]
            if n_outputs != len(mean):
                raise ValueError(
                    f"y has {n_outputs} targets; this model was fitted on {len(mean)}."
                )
            y = np.asarray(y, dtype=np.float64).reshape(len(y), -1)
            largest, limit = float(np.abs(y).max()), LARGEST_TARGET * float(np.finfo(dtype).max)
            if largest > limit:
                raise ValueError(
                    f"y has values up to {largest:.3g}; with standardize_target=True, and weights "
                    f"in {np.dtype(dtype)}, they may be up to {limit:.3g}. Scale y, or set "
                    "dtype='float64'."
                )
            y = (y - mean) / deviation
        with np.errstate(over="ignore"):
            targets = np.asarray(y, dtype=dtype).reshape(len(y), -1)
        if not np.isfinite(targets).all():
            raise ValueError(
                f"y has values beyond the range of {np.dtype(dtype)}, up to {np.abs(y).max():.3g}. "
                "Scale y, or set dtype='float64'."
            )
        return targets

    def _score_raw(self, raw: np.ndarray, y: np.ndarray, sample_weight: np.ndarray | None) -> float:
        if not np.isfinite(raw).all():
            return math.nan
        return r2(y, self._predictions(raw.copy()), sample_weight)


def _briefly(values: np.ndarray) -> str:
    """The figures of the first targets."""
    text = ", ".join(f"{value:.3g}" for value in values[:3])
    return text if len(values) == 1 else f"({text}{', …' if len(values) > 3 else ''})"


def _moments(table: np.ndarray, weights: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each column; 1 for the deviation of a constant one."""
    # Powers of two, which round nothing, keep the squares in range.
    exponent = np.frexp(np.abs(table).max(axis=0))[1]
    scaled = np.ldexp(table, -exponent)
    mean = np.average(scaled, axis=0, weights=weights)
    deviation = np.sqrt(np.average((scaled - mean) ** 2, axis=0, weights=weights))
    return np.ldexp(mean, exponent), np.where(deviation > 0, np.ldexp(deviation, exponent), 1.0)


def r2(y: np.ndarray, predictions: np.ndarray, sample_weight: np.ndarray | None) -> float:
    """Coefficient of determination, averaged over targets; scikit-learn's, without its checks."""
    mean = np.average(y, axis=0, weights=sample_weight)
    residual = np.average((y - predictions) ** 2, axis=0, weights=sample_weight)
    total = np.average((y - mean) ** 2, axis=0, weights=sample_weight)
    constant = np.where(residual == 0, 1.0, 0.0)
    ratio = residual / np.where(total > 0, total, 1.0)
    return float(np.mean(np.where(total > 0, 1.0 - ratio, constant)))
