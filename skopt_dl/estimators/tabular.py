"""The pipeline that `tabular` makes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from sklearn import get_config
from sklearn.base import clone
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.utils.metadata_routing import UNUSED

from skopt_dl.preprocessing import SmoothRobustScaler

if TYPE_CHECKING:
    on_class_only = classmethod
else:

    class on_class_only(classmethod):  # noqa: N801
        """A class method that an instance does not have: it would make no use of it."""

        def __get__(self, instance, owner=None):
            if instance is not None:
                name, cls = self.__func__.__name__, type(instance).__name__
                raise AttributeError(
                    f"{name} makes a new model and would drop the parameters of this one. Call it "
                    f"on the class, with the parameters that are to differ: {cls}.{name}(...)."
                )
            return super().__get__(instance, owner)


class UpTo(int):
    """A batch size that tables with fewer samples need not have."""


class TabularPipeline(Pipeline):
    """A pipeline whose ``fit`` takes what the model's does: weights and validation data.

    See `sklearn.pipeline.Pipeline` for the rest.
    """

    # A pipeline asks its steps what they request; nobody asks it.
    __metadata_request__fit = dict.fromkeys(("sample_weight", "X_val", "y_val"), UNUSED)

    def fit(
        self,
        X: Any,
        y: Any = None,
        sample_weight: Any = None,
        *,
        X_val: Any = None,
        y_val: Any = None,
        **params: Any,
    ) -> Self:
        """Fit the transformers and the model.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples in the model's loss.
        X_val : array-like of shape (n_val, n_features), default=None
            Samples to validate on after each epoch, untransformed; see the model's ``fit``.
        y_val : array-like of shape (n_val,) or (n_val, n_outputs), default=None
        **params
            As for `Pipeline.fit`: ``step__parameter``, or what steps have requested where metadata
            routing is enabled. With it, the arguments above go where they are requested, too.

        Returns
        -------
        self : object
        """
        given = {"sample_weight": sample_weight, "X_val": X_val, "y_val": y_val}
        given = {name: value for name, value in given.items() if value is not None}
        if get_config()["enable_metadata_routing"]:
            return super().fit(X, y, **given, **params)
        last = self.steps[-1][0]
        if X_val is not None:
            # What the transformers learn is needed before the pipeline fits them.
            given["X_val"] = clone(self[:-1]).fit(X, y).transform(X_val)
        return super().fit(X, y, **{f"{last}__{name}": v for name, v in given.items()}, **params)


def tabular_pipeline(model: Any) -> TabularPipeline:
    """Put the preprocessing of raw tables before a model."""
    # Zero is the median now; a column of its own says where values were missing.
    missing = SimpleImputer(
        strategy="constant", fill_value=0.0, add_indicator=True, keep_empty_features=True
    )
    return TabularPipeline(make_pipeline(SmoothRobustScaler(), missing, model).steps)
