"""What the tests of stacked searches search over."""

from joblib.parallel import get_active_backend
from sklearn.datasets import load_digits

from skopt_dl import MLPClassifier
from skopt_dl.search.backend import StackingBackend

# 203 samples in 5 folds: 162 or 163 to train on, in batches of which the last is short.
DIGITS, LABELS = load_digits(return_X_y=True)
DIGITS, LABELS = DIGITS[:203] / 16, LABELS[:203]


def model(**params):
    return MLPClassifier(
        **{
            "hidden_layer_sizes": (12,),
            "max_iter": 6,
            "batch_size": 32,
            "random_state": 0,
            **params,
        }
    )


def both_ways(stacked, function):
    """What a function returns in a stacked search, which ``stacked()`` makes, and without."""
    with stacked():
        assert isinstance(get_active_backend()[0], StackingBackend)
        together = function()
    assert not isinstance(get_active_backend()[0], StackingBackend)
    return together, function()
