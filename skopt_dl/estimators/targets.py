"""Class labels to indicators and back, and raw outputs to probabilities."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import Any

import numpy as np
from scipy import sparse
from scipy.special import expit, log_expit, softmax
from sklearn.utils.multiclass import check_classification_targets, type_of_target

from skopt_dl.networks import Loss
from skopt_dl.networks.losses import PerOutput

MULTILABEL = "multilabel-indicator"


def label_encoding(y: Any, classes: Any = None) -> LabelEncoding | JointEncoding:
    """Learn the classes of targets.

    Parameters
    ----------
    y : array-like of shape (n_samples,) or (n_samples, n_outputs)
    classes : array-like, default=None
        All the classes, where `y` may not have them all; for several labels a sample, a list of
        such arrays.
    """
    if classes is not None and not len(classes):
        raise ValueError("classes is empty: pass all the labels that y will ever have.")
    if _are_plain(y):
        return LabelEncoding(np.unique(y if classes is None else classes))
    kind = type_of_target(y, input_name="y", raise_unknown=True)
    if is_multilabel(y, classes, kind):
        return LabelEncoding(np.arange(y.shape[1]), MULTILABEL)
    if kind in (MULTILABEL, "multiclass-multioutput"):
        columns = (y.toarray() if sparse.issparse(y) else np.asarray(y)).T
        given = columns if classes is None else classes
        if len(given) != len(columns):
            raise ValueError(
                f"classes must be a list of {len(columns)} arrays, one for each column of y; got "
                f"{len(given)}."
            )
        return JointEncoding([LabelEncoding(np.unique(column)) for column in given])
    if kind not in ("binary", "multiclass"):
        # Says what is wrong with it.
        check_classification_targets(y)
    return LabelEncoding(np.unique(y if classes is None else classes))


def _are_plain(y: Any) -> bool:
    """Whether targets are one label a sample, which scikit-learn takes longer to say."""
    return type(y) is np.ndarray and y.ndim == 1 and y.dtype.kind in "biu"


def is_multilabel(y: Any, classes: Any = None, kind: str = "") -> bool:
    """Whether targets are indicators of labels: columns of zeros and ones, and nothing else.

    Two columns with two labels each, but others than 0 and 1, are labels with classes of their own.
    `kind` is what `type_of_target` says, where that is known.
    """
    if (kind or type_of_target(y, input_name="y")) != MULTILABEL:
        return False
    given = [np.asarray(each).ravel() for each in classes] if _are_several(classes) else []
    values = np.concatenate([np.unique(_values(y)), *given])
    return set(values.tolist()) <= {0, 1}


def _values(y: Any) -> np.ndarray:
    return y.data if sparse.issparse(y) else np.asarray(y)


def _are_several(classes: Any) -> bool:
    """Whether classes are a list of arrays, one for each of several labels."""
    return (
        classes is not None
        and len(classes) > 0
        and np.iterable(classes[0])
        and not isinstance(classes[0], str)
    )


def sorted_classes(classes: Any) -> Any:
    """Sort given classes, or those of each label in a list."""
    return [np.unique(each) for each in classes] if _are_several(classes) else np.unique(classes)


class LabelEncoding:
    """Classes, and the columns of the network's output that stand for them.

    One column for two classes, one for each of more, one for each label of multilabel targets.

    Parameters
    ----------
    classes : ndarray
        The labels in order; for multilabel targets the numbers of the columns.
    target_type : {"binary", "multiclass", "multilabel-indicator"}, default=None
        None means one of the first two, by the number of classes.
    """

    def __init__(self, classes: np.ndarray, target_type: str | None = None):
        self.classes = classes
        self.target_type = target_type or ("multiclass" if len(classes) > 2 else "binary")

    @property
    def n_outputs(self) -> int:
        """Columns of the network's output."""
        return 1 if self.target_type == "binary" else len(self.classes)

    def loss_form(self, loss: Loss) -> Loss:
        """The form of a loss for these targets."""
        return loss.for_targets(self.target_type)

    def encode(self, y: Any, dtype: Any) -> np.ndarray:
        """Indicators of `y`, ``(n_samples, n_outputs)``.

        Raises
        ------
        ValueError
            If `y` has labels that are not among the classes, or another kind of target.
        """
        if self.target_type == MULTILABEL:
            dense = y.toarray() if sparse.issparse(y) else np.asarray(y)
            if dense.ndim != 2 or dense.shape[1] != len(self.classes):
                raise ValueError(
                    f"y has shape {dense.shape}; this model was fitted on {len(self.classes)} "
                    "labels, one column each."
                )
            strange = np.setdiff1d(dense, [0, 1])
            if strange.size:
                raise ValueError(
                    f"y has {strange[:5]}; this model was fitted on indicators of labels, which "
                    "are 0 or 1."
                )
            return dense.astype(dtype)
        labels = np.asarray(y)
        if labels.ndim != 1:
            raise ValueError(
                f"y has shape {labels.shape}; this model was fitted on one label a sample."
            )
        codes = np.minimum(np.searchsorted(self.classes, labels), len(self.classes) - 1)
        unknown = self.classes[codes] != labels
        if unknown.any():
            raise ValueError(
                f"`y` has classes not in `self.classes_`: {np.unique(labels[unknown])}. "
                f"`self.classes_` has {self.classes}."
            )
        if self.target_type == "binary":
            return (codes == 1).astype(dtype)[:, None]
        # Made with samples as the last axis, as `TargetPool` keeps them.
        indicators = np.zeros((len(self.classes), len(codes)), dtype=dtype)
        indicators[codes, np.arange(len(codes))] = 1
        return indicators.T

    def decode(self, raw: np.ndarray) -> np.ndarray:
        """Labels for raw outputs, ``(n_samples, n_outputs)``."""
        if self.target_type == MULTILABEL:
            return (raw > 0).astype(int)
        if self.target_type == "binary":
            positive = (raw[:, 0] > 0).astype(int)
            return self.classes[np.minimum(positive, len(self.classes) - 1)]
        return self.classes[np.argmax(raw, axis=1)]

    def strata(self, y: np.ndarray) -> np.ndarray | None:
        """Numbers of the classes, from indicators; None where a sample has several labels."""
        if self.target_type == MULTILABEL:
            return None
        return y[:, 0] if self.target_type == "binary" else y.argmax(axis=1)

    def correct(self, raw: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Whether all labels of each sample are predicted, from raw outputs and indicators."""
        if self.target_type == "multiclass":
            return raw.argmax(axis=1) == y.argmax(axis=1)
        return ((raw > 0) == (y > 0)).all(axis=1)

    def probabilities(self, raw: np.ndarray) -> np.ndarray:
        """Probabilities of the classes, ``(n_samples, n_classes)``."""
        if self.target_type == MULTILABEL:
            return expit(raw)
        return softmax(self.class_scores(raw), axis=1)

    def log_probabilities(self, raw: np.ndarray) -> np.ndarray:
        """Logarithms of `probabilities`, exact where these round to 0 or to 1."""
        if self.target_type == MULTILABEL:
            return log_expit(raw)
        return _log_softmax(self.class_scores(raw))

    def class_scores(self, raw: np.ndarray) -> np.ndarray:
        """One column a class; a binary model's single output is the second's, against 0."""
        if self.target_type == "multiclass":
            return raw
        return np.hstack([np.zeros_like(raw), raw])[:, : len(self.classes)]


def _log_softmax(scores: np.ndarray) -> np.ndarray:
    """Logarithm of the softmax of each row; SciPy's is 0 where the probability rounds to 1."""
    top = scores.argmax(axis=1)[:, None]
    log_odds = scores - np.take_along_axis(scores, top, axis=1)
    others = np.exp(log_odds)
    np.put_along_axis(others, top, 0.0, axis=1)
    return log_odds - np.log1p(others.sum(axis=1, keepdims=True))


class JointEncoding:
    """Several labels a sample, each with classes of its own: multiclass-multioutput targets.

    Parameters
    ----------
    labels : sequence of LabelEncoding
        One for each column of the targets.

    Attributes
    ----------
    target_type : str
    classes : list of ndarray
    """

    target_type = "multiclass-multioutput"

    def __init__(self, labels: Sequence[LabelEncoding]):
        self.labels = list(labels)
        self.classes = [label.classes for label in labels]
        self._sizes = [label.n_outputs for label in labels]

    @property
    def n_outputs(self) -> int:
        """Columns of the network's output."""
        return sum(self._sizes)

    def loss_form(self, loss: Loss) -> Loss:
        """The sum of the labels' losses."""
        form = PerOutput([label.loss_form(loss) for label in self.labels], self._sizes)
        if all(label.target_type == "binary" for label in self.labels):
            form.output_activation = "logistic"
        return form

    def _split(self, array: np.ndarray) -> list[np.ndarray]:
        return np.split(array, list(accumulate(self._sizes))[:-1], axis=1)

    def _each(self, method: Callable[..., Any], *arrays: np.ndarray) -> list[Any]:
        """What a method returns for each label and its columns of the arrays."""
        columns = [self._split(array) for array in arrays]
        return [method(label, *parts) for label, *parts in zip(self.labels, *columns, strict=True)]

    def encode(self, y: Any, dtype: Any) -> np.ndarray:
        """Indicators of `y`, ``(n_samples, n_outputs)``; see `LabelEncoding.encode`."""
        table = y.toarray() if sparse.issparse(y) else np.asarray(y)
        if table.ndim != 2 or table.shape[1] != len(self.labels):
            raise ValueError(
                f"y has shape {table.shape}; this model was fitted on {len(self.labels)} labels a "
                "sample, one column each."
            )
        pairs = zip(self.labels, table.T, strict=True)
        return np.hstack([label.encode(column, dtype) for label, column in pairs])

    def decode(self, raw: np.ndarray) -> np.ndarray:
        """Labels for raw outputs, ``(n_samples, n_labels)``."""
        return np.column_stack(self._each(LabelEncoding.decode, raw))

    def strata(self, y: np.ndarray) -> None:
        """Nothing: shares of several labels cannot be kept at once."""

    def correct(self, raw: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Whether all labels of each sample are predicted."""
        return np.all(self._each(LabelEncoding.correct, raw, y), axis=0)

    def probabilities(self, raw: np.ndarray) -> list[np.ndarray]:
        """Probabilities of each label's classes, a list of ``(n_samples, n_classes)``."""
        return self._each(LabelEncoding.probabilities, raw)

    def log_probabilities(self, raw: np.ndarray) -> list[np.ndarray]:
        """Logarithms of `probabilities`."""
        return self._each(LabelEncoding.log_probabilities, raw)
