"""Loss after each epoch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skopt_dl.displays._axes import axes
from skopt_dl.estimators.mlp import BaseMLP

LABELS = {"loss": "training", "validation_loss": "validation"}


class LossCurveDisplay:
    """Training and validation loss by epoch.

    Parameters
    ----------
    curves : dict of str to ndarray of shape (n_epochs,)
        By label.

    Attributes
    ----------
    ax_, figure_ : matplotlib Axes, Figure
    lines_ : list of matplotlib Line2D

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from sklearn.datasets import load_iris
    >>> from skopt_dl import MLPClassifier
    >>> from skopt_dl.displays import LossCurveDisplay
    >>> X, y = load_iris(return_X_y=True)
    >>> model = MLPClassifier(max_iter=1000, early_stopping=True, random_state=0).fit(X, y)
    >>> display = LossCurveDisplay.from_estimator(model)
    >>> [line.get_label() for line in display.lines_]
    ['training', 'validation']
    >>> plt.show()
    """

    def __init__(self, curves: Mapping[str, np.ndarray]):
        self.curves = curves

    @classmethod
    def from_estimator(cls, estimator: Any, *, ax: Any = None, **line_kw: Any) -> Self:
        """Show the history of a fitted model.

        Parameters
        ----------
        estimator : fitted MLPClassifier, MLPRegressor, or Pipeline or search with one
        ax : matplotlib Axes, default=None
        **line_kw
            Passed to ``ax.plot``.
        """
        model = getattr(estimator, "best_estimator_", estimator)
        model = model[-1] if hasattr(model, "steps") else model
        if not isinstance(model, BaseMLP):
            raise TypeError(
                "LossCurveDisplay shows an MLPClassifier or MLPRegressor of skopt_dl, or a "
                f"pipeline or search with one; got {type(model).__name__}."
            )
        check_is_fitted(model, "history_")
        history = model.history_
        curves = {
            label: np.array(history[name]) for name, label in LABELS.items() if name in history
        }
        return cls(curves).plot(ax, **line_kw)

    def plot(self, ax: Any = None, **line_kw: Any) -> Self:
        """Draw the curves.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
        **line_kw
            Passed to ``ax.plot``.
        """
        self.ax_ = ax = axes(ax)
        self.figure_ = ax.figure
        self.lines_ = []
        for label, curve in self.curves.items():
            epochs = np.arange(1, len(curve) + 1)
            marker = "." if len(curve) == 1 else None
            self.lines_ += ax.plot(epochs, curve, **{"label": label, "marker": marker, **line_kw})
        ax.set(xlabel="Epoch", ylabel="Loss")
        ax.legend()
        return self
