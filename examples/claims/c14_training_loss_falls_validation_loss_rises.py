"""Training loss falls while validation loss rises.

python examples/claims/c14_training_loss_falls_validation_loss_rises.py
"""

from __future__ import annotations

import math

import numpy as np
from claim import Claim, Finding, main, panels, train
from sklearn.datasets import make_classification
from sklearn.model_selection import train_test_split

from skopt_dl import MLPClassifier

SEEDS, EPOCHS = range(5), 150
# A sixth of the labels are wrong.
X, Y = make_classification(1150, 20, n_informative=6, flip_y=1 / 3, random_state=0)
X, X_VAL, Y, Y_VAL = train_test_split(X, Y, train_size=150, random_state=0)


def histories(**options):
    """Columns of the histories of five networks, ``(n_seeds, n_epochs)`` each."""
    network = {"batch_size": 32, "optimizer": "adam", "optimizer__learning_rate": 0.003}
    models = [
        MLPClassifier(64, max_iter=EPOCHS, n_iter_no_change=math.inf, random_state=seed)
        for seed in SEEDS
    ]
    for model in models:
        model.set_params(**{**network, **options})
    kept = [model.history_ for model in train(models, X, Y, X_val=X_VAL, y_val=Y_VAL)]
    columns = ("loss", "validation_loss", "validation_score")
    return [np.array([history[column] for history in kept]) for column in columns]


def experiment():
    loss, validation, score = histories()
    best = validation.argmin(axis=1)
    later = [each[at:] for each, at in zip(loss, best, strict=True)]
    rise = validation[:, -1] / validation.min(axis=1)
    lost = np.array([each[at] - each[-1] for each, at in zip(score, best, strict=True)])
    _, decayed, _ = histories(alpha=10.0)
    rise_decayed = decayed[:, -1] / decayed.min(axis=1)

    figure, (left, right) = panels(sharex=True)
    epochs = np.arange(1, EPOCHS + 1)
    for values, name in (
        (loss, "training"),
        (validation, "validation"),
        (decayed, "validation, alpha=10"),
    ):
        line = left.plot(epochs, np.median(values, axis=0), label=name)[0]
        left.fill_between(epochs, values.min(0), values.max(0), color=line.get_color(), alpha=0.15)
    left.set(yscale="log", xlabel="epoch", ylabel="loss", title="Median and range of 5 seeds")
    left.legend()
    right.plot(epochs, np.median(score, axis=0), label="accuracy")
    right.fill_between(epochs, score.min(0), score.max(0), color="0.3", alpha=0.15)
    right.axvline(
        np.median(best) + 1, color="#D55E00", linestyle="--", label="lowest validation loss"
    )
    right.set(
        xlabel="epoch", ylabel="validation accuracy", title="What the rise costs", ylim=(0.5, 0.9)
    )
    right.legend()
    return figure, [
        Finding(
            "After the epoch with the lowest validation loss, the training loss falls to less "
            "than half, for all seeds.",
            "to " + ", ".join(f"{each[-1] / each[0]:.0%}" for each in later),
            all(each[-1] < each[0] / 2 for each in later),
        ),
        Finding(
            "Meanwhile the validation loss rises by at least a half.",
            "by " + ", ".join(f"{each - 1:.0%}" for each in rise),
            bool((rise >= 1.5).all()),
        ),
        Finding(
            "Accuracy falls with it, for all seeds.",
            f"by {100 * np.median(lost):.1f} points ({100 * lost.min():.1f} to "
            f"{100 * lost.max():.1f})",
            bool((lost > 0).all()),
        ),
        Finding(
            "Whoever trains for long comes to it: with an L2 penalty (alpha = 10) the validation "
            "loss rises by a half, too.",
            "by " + ", ".join(f"{each - 1:.0%}" for each in rise_decayed),
            bool((rise_decayed >= 1.5).all()),
        ),
    ]


CLAIM = Claim(
    "Training loss falls while validation loss rises",
    "Networks with 64 hidden units on 150 samples, a sixth of whose labels are wrong, 150 epochs "
    "of Adam; 1,000 samples to validate with.",
    experiment,
)

if __name__ == "__main__":
    main(CLAIM)
