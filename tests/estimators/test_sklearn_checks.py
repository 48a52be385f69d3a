"""scikit-learn's own checks of what an estimator must do."""

import warnings

from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.estimator_checks import parametrize_with_checks

from skopt_dl import MLPClassifier, MLPRegressor


@parametrize_with_checks(
    [
        MLPClassifier(),
        MLPRegressor(),
        MLPRegressor(optimizer="lbfgs", loss="huber"),
        MLPClassifier(optimizer="sgd", activation="silu", dtype="float64", batch_size="full"),
    ]
)
def test_estimator_passes_check(estimator, check):
    with warnings.catch_warnings():
        # The checks train on random data for as long as they like.
        warnings.simplefilter("ignore", ConvergenceWarning)
        check(estimator)
