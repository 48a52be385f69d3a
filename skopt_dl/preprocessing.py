"""What a table goes through before a network sees it."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from sklearn.base import OneToOneFeatureMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from skopt_dl._params import POSITIVE, Configurable, Options
from skopt_dl.backends import like_input, to_host


class SmoothRobustScaler(OneToOneFeatureMixin, TransformerMixin, Configurable):
    """Centre and scale features by their quartiles, then bend outliers towards a bound.

    The preprocessing of RealMLP (Holzmüller et al., 2024, arXiv:2407.04491). Each feature becomes
    ``z = (x - median) / scale`` and then ``z / sqrt(1 + (z / max_value)**2)``, which hardly changes
    the middle half of the values and lies between ``-max_value`` and ``max_value``. Outliers and
    long tails then do not decide how the rest is scaled.

    The scale is the interquartile range; where that is zero, half the distance between the smallest
    and the largest value; a feature that is constant as far as rounding can tell becomes zero.

    Parameters
    ----------
    max_value : float or None, default=3.0
        Bound of what is returned; None leaves out the bending.

    Attributes
    ----------
    center_ : ndarray of shape (n_features,)
        Median of each feature; 0 where a feature has no values.
    scale_ : ndarray of shape (n_features,)
        What each feature is divided by; 0 marks a feature that becomes zero.
    n_features_in_ : int
    feature_names_in_ : ndarray of str
        Where `X` has column names.

    See Also
    --------
    sklearn.preprocessing.RobustScaler : The same without the bound.

    Notes
    -----
    Missing values (NaN) are left out when fitting and stay missing. float32 stays float32.

    Examples
    --------
    >>> from skopt_dl.preprocessing import SmoothRobustScaler
    >>> X = [[0.0, 7.0], [1.0, 7.0], [2.0, 7.0], [3.0, 7.0], [1e6, 7.0]]
    >>> SmoothRobustScaler().fit_transform(X).round(2)
    array([[-0.95,  0.  ],
           [-0.49,  0.  ],
           [ 0.  ,  0.  ],
           [ 0.49,  0.  ],
           [ 3.  ,  0.  ]])
    """

    constraints = {"max_value": (POSITIVE, Options((None,)))}

    def __init__(self, max_value: float | None = 3.0):
        self.max_value = max_value

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn the centre and the scale of each feature.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : None
            Ignored.

        Returns
        -------
        self : object
        """
        self.check_params()
        X = self._validated(X, reset=True)
        # A feature without any value is like a constant one.
        X = np.where(np.isnan(X).all(axis=0), X.dtype.type(0), X)
        low, lower, median, upper, high = np.nanpercentile(X, [0, 25, 50, 75, 100], axis=0)
        self.center_ = median
        scale = _distance(lower, upper)
        self.scale_ = np.where(scale > 0, scale, _distance(low, high) / 2)
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Scale features.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        X : ndarray of shape (n_samples, n_features)
        """
        check_is_fitted(self)
        given, X = X, self._validated(X, reset=False)
        largest = np.finfo(X.dtype).max
        with np.errstate(over="ignore"):
            X -= self.center_.astype(X.dtype)
            X /= self._divisor(X.dtype)
            # Beyond the dtype's range is as far out as can be said, bounded or not.
            np.clip(X, -largest, largest, out=X)
            if self.max_value is not None:
                # hypot, since a square would overflow.
                X /= np.hypot(1, X / X.dtype.type(self.max_value))
        return like_input(X, given)

    def inverse_transform(self, X: Any) -> np.ndarray:
        """Return scaled features to their former scale.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            With a bound, values at or beyond it count as the last below it.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features)
            Features that were constant get their value back.
        """
        check_is_fitted(self)
        given, X = X, self._validated(X, reset=False)
        if self.max_value is not None:
            X /= X.dtype.type(self.max_value)
            below = np.nextafter(X.dtype.type(1), X.dtype.type(0))
            np.clip(X, -below, below, out=X)
            X *= self.max_value / np.sqrt((1 - X) * (1 + X))
        X *= self.scale_.astype(X.dtype)
        X += self.center_.astype(X.dtype)
        return like_input(X, given)

    def _divisor(self, dtype: Any) -> np.ndarray:
        """`scale_`, with infinity where features become zero: NaN must stay NaN."""
        return np.where(self.scale_ > 0, self.scale_, np.inf).astype(dtype)

    def _validated(self, X: Any, reset: bool) -> np.ndarray:
        """Return a copy as float32 or float64."""
        return validate_data(
            self,
            to_host(X),
            dtype=[np.float64, np.float32],
            ensure_all_finite="allow-nan",
            copy=True,
            reset=reset,
        )


def _distance(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """``high - low``, or 0 where that is no more than rounding."""
    rounding = 2 * np.finfo(low.dtype).eps * np.maximum(np.abs(low), np.abs(high))
    return np.where(high - low > rounding, high - low, low.dtype.type(0))
