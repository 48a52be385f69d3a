"""A convolutional network and a perceptron on the digits, five folds each, and a grid over layers.

Writes nothing; prints a table. All fits of a search train as stacks. About a minute and a half on
two cores.
"""

from __future__ import annotations

import argparse
import time

import joblib
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler

from skopt_dl import MLPClassifier, NeuralNetClassifier
from skopt_dl.layers import Conv2d, Dense, Dropout, Flatten, MaxPool2d

LAYERS = [Conv2d(16, 3), "relu", MaxPool2d(2), Flatten(), Dropout(0.3), Dense(64), "relu"]


def searches(epochs):
    """The models to compare, by name, with the grid that each is tuned over."""
    options = {
        "max_iter": epochs,
        "n_iter_no_change": epochs,
        "dtype": "float32",
        "batch_size": 64,
        "random_state": 0,
    }
    rates = [0.001, 0.003]
    return {
        "perceptron": (
            make_pipeline(MinMaxScaler(), MLPClassifier(**options)),
            {
                "mlpclassifier__hidden_layer_sizes": [(100,), (200, 100)],
                "mlpclassifier__optimizer__learning_rate": rates,
            },
        ),
        "convolutional": (
            # The rows of a table, as images: scalers and searches need to know nothing of it.
            make_pipeline(
                MinMaxScaler(), NeuralNetClassifier(LAYERS, input_shape=(8, 8, 1), **options)
            ),
            {
                "neuralnetclassifier__network__0__n_channels": [16, 32],
                "neuralnetclassifier__optimizer__learning_rate": rates,
            },
        ),
    }


def main(argv=None):
    """Search, and print what was found; returns the best mean accuracy of each model."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--folds", type=int, default=5)
    args = parser.parse_args(argv)
    X, y = load_digits(return_X_y=True)
    folds = StratifiedKFold(args.folds, shuffle=True, random_state=0)
    best = {}
    for name, (model, grid) in searches(args.epochs).items():
        began = time.perf_counter()
        with joblib.parallel_config(backend="skopt_dl", n_jobs=-1):
            search = GridSearchCV(model, grid, cv=folds).fit(X, y)
        best[name] = search.best_score_
        spread = search.cv_results_["std_test_score"][search.best_index_]
        print(f"{name:14} accuracy {search.best_score_:.4f} ± {spread:.4f}", end="")
        print(f"  {time.perf_counter() - began:5.1f} s  {search.best_params_}")
    return best


if __name__ == "__main__":
    import warnings

    from sklearn.exceptions import ConvergenceWarning

    warnings.simplefilter("ignore", ConvergenceWarning)
    main()
