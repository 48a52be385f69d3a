"""Unscaled inputs spoil training, and StandardScaler mends it.

python examples/claims/c13_unscaled_inputs.py
"""

from __future__ import annotations

import math
import warnings

import joblib
import numpy as np
from claim import Claim, Finding, main, panels
from sklearn.datasets import load_wine
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skopt_dl import MLPClassifier

RATES = {
    "sgd": [1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1],
    "momentum": [1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1],
    "rmsprop": [1e-4, 1e-3, 1e-2, 1e-1],
    "adam": [1e-4, 1e-3, 1e-2, 1e-1],
}


def accuracies(scaler):
    """Cross-validated accuracy of each optimizer at its best rate, and at each of its rates."""
    network = MLPClassifier(
        16, batch_size=32, max_iter=50, n_iter_no_change=math.inf, random_state=0
    )
    model = make_pipeline(scaler, network)
    grid = [
        {"mlpclassifier__optimizer": [name], "mlpclassifier__optimizer__learning_rate": rates}
        for name, rates in RATES.items()
    ]
    with (
        warnings.catch_warnings(),
        # Other processes would take longer to begin than this to end.
        joblib.parallel_config(backend="skopt_dl", n_jobs=64, n_processes=1),
    ):
        # Some of these rates are too large, and no rate has converged after 50 epochs.
        warnings.simplefilter("ignore", ConvergenceWarning)
        found = GridSearchCV(model, grid, cv=3, refit=False).fit(*load_wine(return_X_y=True))
    scores = found.cv_results_["mean_test_score"]
    ends = np.cumsum([len(rates) for rates in RATES.values()])[:-1]
    return dict(zip(RATES, np.split(scores, ends), strict=True))


def condition(X):
    """Condition number of the Hessian that a linear model's squared error has for these inputs."""
    curvatures = np.linalg.eigvalsh(np.cov(X.T) + np.outer(X.mean(0), X.mean(0)))
    return curvatures[-1] / curvatures[0]


def experiment():
    X, _ = load_wine(return_X_y=True)
    conditions = condition(X), condition(StandardScaler().fit_transform(X))
    raw, scaled = accuracies("passthrough"), accuracies(StandardScaler())
    gain = {name: scaled[name].max() - raw[name].max() for name in RATES}
    good = {
        label: {name: int((scores[name] >= 0.95).sum()) for name in RATES}
        for label, scores in (("raw", raw), ("scaled", scaled))
    }

    figure, axes = panels(sharey=True)
    for ax, scores, title in zip(
        axes, (raw, scaled), ("As they are", "With StandardScaler"), strict=True
    ):
        for (name, rates), marker in zip(RATES.items(), "osv^", strict=True):
            ax.plot(rates, scores[name], marker=marker, label=name)
        ax.set(xscale="log", xlabel="learning rate", title=title)
    axes[0].set(ylabel="cross-validated accuracy")
    axes[1].legend()
    return figure, [
        Finding(
            "Scaling lowers the condition number of a linear model's loss at least a hundredfold.",
            f"from {conditions[0]:.1e} to {conditions[1]:.1e}",
            bool(conditions[0] >= 100 * conditions[1]),
        ),
        Finding(
            "Plain descent gains at least ten points of accuracy by it, each at its best rate.",
            f"{100 * raw['sgd'].max():.1f} % and {100 * scaled['sgd'].max():.1f} %",
            bool(gain["sgd"] >= 0.1),
        ),
        Finding(
            "So does momentum.",
            f"{100 * raw['momentum'].max():.1f} % and {100 * scaled['momentum'].max():.1f} %",
            bool(gain["momentum"] >= 0.1),
        ),
        Finding(
            "Methods with a rate for each weight do so, too.",
            ", ".join(
                f"{name}: {100 * raw[name].max():.1f} % and {100 * scaled[name].max():.1f} %"
                for name in ("rmsprop", "adam")
            ),
            bool(min(gain["rmsprop"], gain["adam"]) >= 0.1),
        ),
        Finding(
            "With it, each method has a rate that gives at least 95 %; without it, none has.",
            ", ".join(f"{name} {good['scaled'][name]} and {good['raw'][name]}" for name in RATES)
            + " such rates",
            all(good["scaled"].values()) and not any(good["raw"].values()),
        ),
    ]


CLAIM = Claim(
    "Unscaled inputs spoil training, and StandardScaler mends it",
    "Networks with 16 hidden units on the wine data, whose features have ranges from 0.5 to "
    "1,400: four optimizers at rates over several powers of ten, 50 epochs, 3-fold "
    "cross-validation.",
    experiment,
)

if __name__ == "__main__":
    main(CLAIM)
