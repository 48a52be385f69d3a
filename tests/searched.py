"""What the tests of stacked searches search over."""

from sklearn.datasets import load_digits

from skopt_dl import MLPClassifier

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
