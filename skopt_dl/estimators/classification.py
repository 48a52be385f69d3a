"""What classifiers do with targets, and what they predict."""

from __future__ import annotations

import math
from functools import cache, partial
from typing import Any, ClassVar, Self

import numpy as np
from scipy import sparse
from sklearn.base import ClassifierMixin
from sklearn.metrics import accuracy_score
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from skopt_dl._params import FRACTION, NOT_NEGATIVE, Constraints, InstanceOf, Options
from skopt_dl.estimators.base import BaseNeuralNet, can_partial_fit
from skopt_dl.estimators.conduct import one_at_a_time
from skopt_dl.estimators.scoring import RawScore
from skopt_dl.estimators.targets import (
    MULTILABEL,
    JointEncoding,
    LabelEncoding,
    is_multilabel,
    label_encoding,
    sorted_classes,
)
from skopt_dl.networks import Loss


class Classification(ClassifierMixin, BaseNeuralNet):
    """Labels for targets; see `MLPClassifier` and `NeuralNetClassifier`."""

    _task = "classification"
    classes_: Any

    constraints: ClassVar[Constraints] = {
        **BaseNeuralNet.constraints,
        "class_weight": (
            Options((None, "balanced")),
            InstanceOf((dict, list), "a dict from class to weight, or a list of them"),
        ),
        "label_smoothing": FRACTION,
    }

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        tags.target_tags.multi_output = True
        return tags

    @available_if(can_partial_fit)
    @one_at_a_time
    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> Self:
        """Train for one epoch, going on from where the model is.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        y : array-like of shape (n_samples,) or (n_samples, n_labels)
        classes : array-like of shape (n_classes,), default=None
            All labels that calls will bring; needed in the first call unless `y` is multilabel.
            For several outputs a list of such arrays.
        sample_weight : array-like of shape (n_samples,), default=None

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            If the first call lacks `classes`, or `y` has labels that are not among them.
        """
        return self._fit(X, y, sample_weight, incremental=True, classes=classes)

    def predict(self, X: Any) -> np.ndarray:
        """Predict labels.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_labels)
        """
        raw = self._raw_output(X)
        return self._as_input(self._labels.decode(raw), X)

    def predict_proba(self, X: Any) -> np.ndarray | list[np.ndarray]:
        """Predict probabilities.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        p : ndarray of shape (n_samples, n_classes), or list of such arrays
            In the order of ``classes_``; for multilabel targets, of each label; a list has one
            array for each output of multiclass-multioutput targets.
        """
        raw = self._raw_output(X)
        return self._each_as_input(self._labels.probabilities(raw), X)

    def predict_log_proba(self, X: Any) -> np.ndarray | list[np.ndarray]:
        """Predict logarithms of probabilities, exact where these round to 0 or to 1.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        log_p : ndarray of shape (n_samples, n_classes), or list of such arrays
        """
        raw = self._raw_output(X)
        return self._each_as_input(self._labels.log_probabilities(raw), X)

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Share of samples whose labels are all predicted.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        y : array-like of shape (n_samples,) or (n_samples, n_labels)
        sample_weight : array-like of shape (n_samples,), default=None

        Returns
        -------
        accuracy : float
        """
        check_is_fitted(self, "optimizer_")
        if isinstance(self._labels, JointEncoding):
            labels = y.toarray() if sparse.issparse(y) else np.asarray(y)
            correct = (self.predict(X) == labels).all(axis=1)
            return float(np.average(correct, weights=sample_weight))
        predicted = self.predict(X)
        if sample_weight is None and _are_plain(y, predicted):
            # `accuracy_score` looks at them for longer than a small network takes to predict.
            return float((y == predicted).mean())
        return float(accuracy_score(y, predicted, sample_weight=sample_weight))

    def _each_as_input(self, result: Any, X: Any) -> Any:
        if isinstance(result, list):
            return [self._as_input(each, X) for each in result]
        return self._as_input(result, X)

    def _prepare_targets(
        self, y: Any, sample_weight: Any, reset: bool, incremental: bool, classes: Any
    ) -> None:
        if incremental and isinstance(self.class_weight, str):
            raise ValueError(
                f"partial_fit does not know all of the data that class_weight="
                f"{self.class_weight!r} is about. Pass the weights: class_weight=dict(zip(classes, "
                "sklearn.utils.class_weight.compute_class_weight('balanced', classes=classes, "
                "y=y)))."
            )
        if reset:
            if incremental and classes is None and not is_multilabel(y):
                raise ValueError(
                    "classes must be passed on the first call to partial_fit: all the labels that "
                    "later calls will bring, classes=numpy.unique(y_all)."
                )
            self._labels = label_encoding(y, classes)
            self.classes_ = self._labels.classes
        elif self._labels.target_type == MULTILABEL:
            return
        elif classes is not None and not _same(self.classes_, sorted_classes(classes)):
            raise ValueError(
                f"classes={sorted_classes(classes)} differs from that of the first call to "
                f"partial_fit, {self.classes_}."
            )
        elif not incremental:
            found = label_encoding(y).classes
            if not _same(found, self.classes_):
                raise ValueError(
                    "warm_start can only be used where `y` has the same classes as in the "
                    f"previous call to fit. Previously got {self.classes_}, `y` has {found}."
                )

    def _encode_targets(self, y: Any, dtype: Any) -> np.ndarray:
        return self._labels.encode(y, dtype)

    def _loss_form(self, loss: Loss) -> Loss:
        return self._labels.loss_form(loss)

    def _weigh(self, y: Any, sample_weight: np.ndarray | None, dtype: Any) -> np.ndarray | None:
        if self.class_weight is None:
            return sample_weight
        dense = y.toarray() if sparse.issparse(y) else y
        given = self._class_weights()
        with np.errstate(over="ignore"):
            weight = compute_sample_weight(given, dense).astype(dtype)[:, None]
            if sample_weight is not None:
                weight = sample_weight * weight
            total = weight.sum()
        if not np.isfinite(total):
            raise ValueError(
                f"class_weight={self.class_weight!r} makes the weights of the samples, all "
                f"together, larger than {weight.dtype} can be. Divide them by the same number."
            )
        if not total > 0:
            raise ValueError(
                f"class_weight={self.class_weight!r} makes the weights of all samples zero: "
                "nothing is to be learnt. Give a class that y has a weight above 0."
            )
        return weight

    def _class_weights(self) -> Any:
        """`class_weight` with a weight for every class: 1 for those that it does not name."""
        given = self.class_weight
        if isinstance(given, str):
            return given
        if self._labels.target_type == MULTILABEL:
            classes = [np.array([0, 1])] * self._labels.n_outputs
        else:
            classes = self.classes_ if isinstance(self.classes_, list) else [self.classes_]
        weights = given if isinstance(given, list) else [given] * len(classes)
        if not all(isinstance(each, dict) for each in weights):
            example = dict.fromkeys(classes[0].tolist()[:3], 1.0)
            raise ValueError(
                "class_weight must be a dict from class to weight, such as "
                f"{example}, or 'balanced', or a list of dicts where y has several columns; got "
                f"{given!r}."
            )
        if len(weights) != len(classes):
            raise ValueError(
                f"class_weight has {len(weights)} dicts for the {len(classes)} labels of y: give "
                "one for each."
            )
        complete = [_complete(*pair) for pair in zip(weights, classes, strict=True)]
        return complete if len(complete) > 1 else complete[0]

    def _strata(self, y: np.ndarray) -> np.ndarray | None:
        return self._labels.strata(y)

    def _score_raw(self, raw: np.ndarray, y: np.ndarray, sample_weight: np.ndarray | None) -> float:
        if not np.isfinite(raw).all():
            return math.nan
        correct = self._labels.correct(raw, y)
        if sample_weight is None:
            # In a fraction of the time that an average takes, every epoch.
            return np.count_nonzero(correct) / len(correct)
        return float(np.average(correct, weights=sample_weight))

    def _raw_score(
        self, name: str, y: np.ndarray, sample_weight: np.ndarray | None
    ) -> RawScore | None:
        labels, kind = self._labels, type(self)
        if isinstance(labels, JointEncoding):
            return None
        if name == "accuracy" and kind.predict is Classification.predict:
            return partial(self._score_raw, y=y, sample_weight=sample_weight)
        if name == "neg_log_loss" and kind.predict_proba is Classification.predict_proba:
            numbers = labels.strata(y)
            # Of classes that are missing scikit-learn complains.
            if numbers is not None and len(np.unique(numbers)) == len(labels.classes) > 1:
                places = numbers.astype(np.intp) * len(y) + np.arange(len(y))
                return partial(_negative_log_loss, labels, places, sample_weight)
        return None


def _negative_log_loss(
    labels: LabelEncoding,
    places: np.ndarray,
    sample_weight: np.ndarray | None,
    raw: np.ndarray,
) -> float:
    """The mean logarithm of probabilities; places are those of rows' classes, class by class."""
    if not np.logical_and.reduce(np.isfinite(raw), axis=None):
        return math.nan
    # Each class's scores side by side, and the ufuncs themselves: for few samples, or classes, the
    # methods take several times as long.
    scores = np.array(labels.class_scores(raw).T, order="C")
    scores -= np.maximum.reduce(scores, axis=0)
    found = scores.take(places) - np.log(np.add.reduce(np.exp(scores), axis=0))
    least, most = _log_limits(found.dtype)
    found = np.minimum(np.maximum(found, least), most)
    if sample_weight is None:
        return float(np.add.reduce(found, dtype=float)) / len(found)
    return float(np.average(found, weights=sample_weight))


@cache
def _log_limits(dtype: np.dtype[Any]) -> tuple[float, float]:
    """Logarithms of what probabilities of 0 and 1 are taken for: what is next to them."""
    epsilon = float(np.finfo(dtype).eps)
    return math.log(epsilon), math.log1p(-epsilon)


def _complete(weights: dict[Any, float], classes: np.ndarray) -> dict[Any, float]:
    """Weights of all classes."""
    known = classes.tolist()
    for label, weight in weights.items():
        if label not in known:
            raise ValueError(f"class_weight names the class {label!r}; y has {known}.")
        if not NOT_NEGATIVE.accepts(weight):
            raise ValueError(
                f"class_weight of {label!r} must be {NOT_NEGATIVE}: finite and not negative; got "
                f"{weight!r}."
            )
    return dict.fromkeys(known, 1.0) | weights


def _same(a: Any, b: Any) -> bool:
    """Whether classes, or lists of them, are equal."""
    if isinstance(a, list) != isinstance(b, list):
        return False
    if isinstance(a, list):
        return len(a) == len(b) and all(map(np.array_equal, a, b))
    return np.array_equal(a, b)


def _are_plain(y: Any, predicted: Any) -> bool:
    """Whether labels are of the same kind as those predicted, and as many, without further look."""
    return (
        type(y) is type(predicted) is np.ndarray
        and y.ndim == 1
        and y.shape == predicted.shape
        and y.dtype.kind == predicted.dtype.kind
        and y.dtype.kind in "biuU"
    )
