"""scikit-learn's own checks of what an estimator must do."""

import warnings

from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.estimator_checks import parametrize_with_checks

from skopt_dl import MLPClassifier, MLPRegressor
from skopt_dl.optimizers import SGD

# As small and short as the checks of what is learnt allow: the defaults are the expensive ones.
SMALL = {"hidden_layer_sizes": 10, "max_iter": 30}


@parametrize_with_checks(
    [
        MLPClassifier(),
        MLPRegressor(),
        MLPRegressor(optimizer="lbfgs", loss="huber", **SMALL),
        MLPClassifier(
            optimizer=SGD(0.1), activation="silu", dtype="float64", batch_size="full", **SMALL
        ),
    ]
)
def test_estimator_passes_check(estimator, check):
    with warnings.catch_warnings():
        # The checks train on random data for as long as they like.
        warnings.simplefilter("ignore", ConvergenceWarning)
        check(estimator)
