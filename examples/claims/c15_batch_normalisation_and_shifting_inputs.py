"""Batch normalisation helps against shifting inputs.

python examples/claims/c15_batch_normalisation_and_shifting_inputs.py
"""

from __future__ import annotations

import math
import warnings

import numpy as np
from claim import Claim, Finding, main, panels, train
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split

from skopt_dl import MLPClassifier
from skopt_dl.optimizers import SGD

SEEDS, LAYERS, SHIFTS = range(5), (32,) * 4, [0, 2, 8]
X, Y = load_digits(return_X_y=True)
# 14 batches of 64.
X, X_TEST, Y, Y_TEST = train_test_split(X / 16, Y, train_size=896, random_state=0)


def networks(batch_norm, shift=0, epochs=15):
    """Networks trained on inputs that are all moved by the same amount, one a seed."""
    options = {"batch_norm": batch_norm, "max_iter": epochs, "n_iter_no_change": math.inf}
    models = [
        MLPClassifier(LAYERS, optimizer=SGD(0.1), batch_size=64, random_state=seed, **options)
        for seed in SEEDS
    ]
    return train(models, X + shift, Y)


def accuracy(models, shift):
    return np.mean([model.score(X_TEST + shift, Y_TEST) for model in models])


def hidden_movement(batch_norm, epochs=5):
    """Standard deviations that hidden units' mean input moves in an epoch, by median, a seed."""
    moves = []
    for seed in SEEDS:
        model = MLPClassifier(
            LAYERS, optimizer=SGD(0.1), batch_size=64, batch_norm=batch_norm, random_state=seed
        )
        means, deviations = [], []
        for _ in range(epochs):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)
                model.partial_fit(X, Y, classes=np.arange(10))
            inputs = inputs_of_hidden_units(model)
            means.append(inputs.mean(axis=0))
            deviations.append(inputs.std(axis=0) + 1e-12)
        moves.append(np.median(np.abs(np.diff(means, axis=0)) / deviations[:-1]))
    return np.array(moves)


def inputs_of_hidden_units(model):
    """What the activations of all hidden layers but the first are given, for each sample."""
    values, inputs = X, []
    for weights, biases in zip(model.coefs_[:-1], model.intercepts_[:-1], strict=True):
        inputs.append(values @ weights + biases)
        values = np.maximum(inputs[-1], 0)
    return np.concatenate(inputs[1:], axis=1)


def experiment():
    kinds = {"without": False, "with": True}
    in_place = {kind: networks(norm) for kind, norm in kinds.items()}
    curves = {kind: np.array([m.loss_curve_ for m in models]) for kind, models in in_place.items()}
    trained_there = {
        kind: [
            accuracy(in_place[kind] if not shift else networks(norm, shift), shift)
            for shift in SHIFTS
        ]
        for kind, norm in kinds.items()
    }
    moved_later = {
        kind: [accuracy(models, shift / 16) for shift in SHIFTS]
        for kind, models in in_place.items()
    }
    movement = {kind: hidden_movement(norm) for kind, norm in kinds.items()}
    fall = {kind: scores[0] - scores[-1] for kind, scores in moved_later.items()}

    figure, (left, middle, right) = panels(3)
    for kind in kinds:
        left.plot(range(1, 16), np.median(curves[kind], axis=0))
        middle.plot(SHIFTS, trained_there[kind], marker="o")
        right.plot(np.array(SHIFTS) / 16, moved_later[kind], marker="o", label=kind)
    left.set(yscale="log", xlabel="epoch", ylabel="training loss", title="Inputs as they are")
    middle.set(
        xlabel="added to all inputs", ylabel="test accuracy", title="Shifted before training"
    )
    right.set(xlabel="added to all inputs", title="Shifted after training")
    right.legend(title="normalisation", loc="lower left")
    for ax in (middle, right):
        ax.set(ylim=(0, 1.02))
    return figure, [
        Finding(
            "Training is faster: after 15 epochs the loss is less than half, for all seeds.",
            f"median {np.median(curves['with'][:, -1]):.3f} with, "
            f"{np.median(curves['without'][:, -1]):.3f} without",
            bool((curves["with"][:, -1] < curves["without"][:, -1] / 2).all()),
        ),
        Finding(
            "Inputs that are shifted as a whole before training cost less than two points of "
            "accuracy.",
            f"from {trained_there['with'][0]:.1%} to {trained_there['with'][-1]:.1%}; without, "
            f"from {trained_there['without'][0]:.1%} to {trained_there['without'][-1]:.1%}",
            trained_there["with"][0] - trained_there["with"][-1] < 0.02,
        ),
        Finding(
            "What hidden units are given moves less from epoch to epoch, for all seeds.",
            f"median {np.median(movement['with']):.3f} standard deviations with, "
            f"{np.median(movement['without']):.3f} without",
            bool((movement["with"] < movement["without"]).all()),
        ),
        Finding(
            "Inputs that shift after training cost less accuracy, by at least five points.",
            f"a shift by half the range costs {100 * fall['with']:.0f} points with and "
            f"{100 * fall['without']:.0f} without: predictions use what was kept in training",
            fall["with"] <= fall["without"] - 0.05,
        ),
    ]


CLAIM = Claim(
    "Batch normalisation helps against shifting inputs",
    "Networks with four hidden layers of 32 on half of the digits, pixels from 0 to 1, SGD at a "
    "rate of 0.1 for 15 epochs, five seeds; tested on the other half.",
    experiment,
)

if __name__ == "__main__":
    main(CLAIM)
