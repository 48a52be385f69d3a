"""Class labels to indicators and back."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse
from sklearn.utils.multiclass import check_classification_targets, type_of_target, unique_labels


class LabelEncoding:
    """Classes, and the columns of the network's output that stand for them.

    One column for two classes, one for each of more, one for each label of multilabel targets.

    Parameters
    ----------
    y : array-like of shape (n_samples,) or (n_samples, n_labels)
        Labels to learn the classes from.

    Attributes
    ----------
    target_type : {"binary", "multiclass", "multilabel-indicator"}
    classes : ndarray
        The labels in order; for multilabel targets the numbers of the columns.
    """

    def __init__(self, y: Any):
        check_classification_targets(y)
        self.target_type: str = type_of_target(y, input_name="y")
        if self.target_type.startswith("multiclass-multioutput"):
            raise ValueError(
                "y has several columns of more than two classes (multiclass-multioutput), which is "
                "not supported; wrap the classifier in sklearn.multioutput.MultiOutputClassifier."
            )
        self.classes: np.ndarray = unique_labels(y)
        if self.target_type != "multilabel-indicator" and len(self.classes) > 2:
            self.target_type = "multiclass"

    @property
    def n_outputs(self) -> int:
        """Columns of the network's output."""
        return 1 if self.target_type == "binary" else len(self.classes)

    def encode(self, y: Any, dtype: Any) -> np.ndarray:
        """Indicators of `y`, ``(n_samples, n_outputs)``.

        Raises
        ------
        ValueError
            If `y` has labels that are not among the classes, or another kind of target.
        """
        if self.target_type == "multilabel-indicator":
            dense = y.toarray() if sparse.issparse(y) else np.asarray(y)
            if dense.ndim != 2 or dense.shape[1] != len(self.classes):
                raise ValueError(
                    f"y has shape {dense.shape}; this model was fitted on {len(self.classes)} "
                    "labels, one column each."
                )
            return (dense != 0).astype(dtype)
        labels = np.asarray(y)
        codes = np.searchsorted(self.classes, labels).clip(0, len(self.classes) - 1)
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
        if self.target_type == "multilabel-indicator":
            return (raw > 0).astype(int)
        if self.target_type == "binary":
            positive = (raw[:, 0] > 0).astype(int)
            return self.classes[np.minimum(positive, len(self.classes) - 1)]
        return self.classes[np.argmax(raw, axis=1)]
