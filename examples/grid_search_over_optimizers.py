"""Search a grid over optimizers, one of them from a plugin package, on the digits data.

scikit-learn's own GridSearchCV does the search. Each optimizer gets learning rates of its own,
since no single range suits them all; "lion" is not part of skopt_dl, it comes with the package
plugins/skopt-dl-lion. Prints a table and saves a figure.

    python examples/grid_search_over_optimizers.py --help
"""

from __future__ import annotations

import argparse
import time
import warnings
from pathlib import Path

import matplotlib as mpl
import numpy as np
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from skopt_dl import MLPClassifier
from skopt_dl.displays import OptimizerComparisonDisplay

LEARNING_RATES = {
    "sgd": [0.01, 0.03, 0.1, 0.3, 1.0],
    "momentum": [0.003, 0.01, 0.03, 0.1, 0.3],
    "nesterov": [0.003, 0.01, 0.03, 0.1, 0.3],
    "adagrad": [0.003, 0.01, 0.03, 0.1, 0.3],
    "rmsprop": [0.0003, 0.001, 0.003, 0.01, 0.03],
    "adadelta": [0.1, 0.3, 1.0, 3.0, 10.0],
    "adam": [0.0003, 0.001, 0.003, 0.01, 0.03],
    "nadam": [0.0003, 0.001, 0.003, 0.01, 0.03],
    "adamw": [0.0003, 0.001, 0.003, 0.01, 0.03],
    "lion": [0.0001, 0.0003, 0.001, 0.003, 0.01],
}


def make_model(epochs: int) -> Pipeline:
    """Standardised pixels into an MLP with one hidden layer."""
    # No stopping before the last epoch, so that all optimizers are compared after equal work.
    mlp = MLPClassifier(
        100, max_iter=epochs, n_iter_no_change=epochs, dtype="float32", random_state=0
    )
    return Pipeline([("scale", StandardScaler()), ("mlp", mlp)])


def search(model: Pipeline, X: np.ndarray, y: np.ndarray, folds: int) -> GridSearchCV:
    """Cross-validate every optimizer at every one of its learning rates."""
    grid = [
        {"mlp__optimizer": [name], "mlp__optimizer__learning_rate": rates}
        for name, rates in LEARNING_RATES.items()
    ]
    cv = StratifiedKFold(folds, shuffle=True, random_state=0)
    return GridSearchCV(model, grid, cv=cv, n_jobs=-1, refit=False).fit(X, y)


def best_of_each(results: dict[str, np.ndarray]) -> list[int]:
    """Rows of ``cv_results_`` with each optimizer's best learning rate, the best first."""
    names = results["param_mlp__optimizer"]
    scores = results["mean_test_score"]
    rows = [max(np.flatnonzero(names == name), key=scores.__getitem__) for name in LEARNING_RATES]
    return sorted(rows, key=lambda row: -scores[row])


def print_table(results: dict[str, np.ndarray]) -> None:
    """One line an optimizer: its best learning rate, accuracy and fit time."""
    print(f"{'optimizer':<10} {'learning rate':>13} {'accuracy':>17} {'fit time':>9}")
    for row in best_of_each(results):
        print(
            f"{results['param_mlp__optimizer'][row]:<10} "
            f"{results['param_mlp__optimizer__learning_rate'][row]:>13g} "
            f"{results['mean_test_score'][row]:>8.4f} ± {results['std_test_score'][row]:.4f} "
            f"{1000 * results['mean_fit_time'][row]:>6.0f} ms"
        )


def loss_curves(
    model: Pipeline, results: dict[str, np.ndarray], X: np.ndarray, y: np.ndarray, n_best: int
) -> dict[str, list[float]]:
    """Training loss of each epoch, on all the data, of the best optimizers at their best rate."""
    curves = {}
    for row in best_of_each(results)[:n_best]:
        fitted = clone(model).set_params(**results["params"][row]).fit(X, y)
        rate = results["param_mlp__optimizer__learning_rate"][row]
        name = results["param_mlp__optimizer"][row]
        curves[f"{name}, {rate:g}"] = fitted["mlp"].history_["loss"]
    return curves


def plot(results: dict[str, np.ndarray], curves: dict[str, list[float]], path: Path) -> None:
    """Save accuracy against learning rate, and the loss curves."""
    from matplotlib import pyplot as plt

    figure, (left, right) = plt.subplots(
        1, 2, figsize=(14, 5), layout="constrained", width_ratios=[3, 2]
    )
    display = OptimizerComparisonDisplay.from_cv_results(results, score_name="accuracy", ax=left)
    left.set_title("Accuracy on the digits, and its standard deviation over the folds")
    for label, losses in curves.items():
        style = display.styles_[label.partition(",")[0]]._asdict()
        right.plot(range(1, len(losses) + 1), losses, label=label, markevery=8, **style)
    right.set(
        yscale="log", xlabel="Epoch", ylabel="Training loss", title="Loss of the best optimizers"
    )
    right.grid(alpha=0.25, linewidth=0.6)
    right.legend(title="optimizer, learning rate", fontsize="small", handlelength=3.2)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130)
    plt.close(figure)


def save_picture(results: dict[str, np.ndarray], path: Path) -> None:
    """Save accuracy against learning rate alone, as in the README."""
    from matplotlib import pyplot as plt

    figure, ax = plt.subplots(figsize=(8, 4.2), layout="constrained")
    OptimizerComparisonDisplay.from_cv_results(results, score_name="accuracy on the digits", ax=ax)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def main(arguments: list[str] | None = None) -> Path:
    """Run the search and return the path of the figure."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--output", type=Path, default=Path("output"))
    parser.add_argument("--picture", type=Path, help="where to save the picture of the README too")
    options = parser.parse_args(arguments)
    mpl.use("Agg")
    # Every fit ends after a fixed number of epochs, and would say so.
    warnings.simplefilter("ignore", ConvergenceWarning)

    X, y = load_digits(return_X_y=True)
    model = make_model(options.epochs)
    n_fits = options.folds * sum(map(len, LEARNING_RATES.values()))
    print(f"Cross-validating {len(LEARNING_RATES)} optimizers on the digits data: {n_fits} fits.")
    started = time.perf_counter()
    results = search(model, X, y, options.folds).cv_results_
    print(f"The search took {time.perf_counter() - started:.1f} s.\n")
    print_table(results)
    path = options.output / "grid_search_over_optimizers.png"
    plot(results, loss_curves(model, results, X, y, n_best=5), path)
    print(f"\nFigure: {path.resolve()}")
    if options.picture is not None:
        save_picture(results, options.picture)
        print(f"Picture: {options.picture.resolve()}")
    return path


if __name__ == "__main__":
    main()
