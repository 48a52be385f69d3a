"""Pre-trained initial weights are better than random ones.

python examples/claims/c16_random_and_pretrained_weights.py
"""

from __future__ import annotations

import math

import numpy as np
from claim import Claim, Finding, main, panels, train
from sklearn.datasets import load_digits

from skopt_dl import MLPClassifier
from skopt_dl.networks import FromFitted

SEEDS, EPOCHS = range(5), 60
DIGITS, LABELS = load_digits(return_X_y=True)
SOURCE, SOURCE_LABELS = DIGITS[:900] / 16, LABELS[:900]
# The task proper: the images turned upside down, of which there are few with a label.
TURNED = DIGITS.reshape(-1, 8, 8)[900:, ::-1, ::-1].reshape(-1, 64) / 16
X, Y, X_TEST, Y_TEST = TURNED[:80], LABELS[900:980], TURNED[80:], LABELS[980:]


def model(seed, epochs, init="glorot_uniform"):
    return MLPClassifier(
        32, batch_size=20, max_iter=epochs, n_iter_no_change=math.inf, init=init, random_state=seed
    )


def scores(inits):
    """Test accuracy after each epoch, ``(n_seeds, n_epochs)``."""
    models = [model(seed, EPOCHS, init) for seed, init in zip(SEEDS, inits, strict=True)]
    fitted = train(models, X, Y, X_val=X_TEST, y_val=Y_TEST)
    return np.array([each.validation_scores_ for each in fitted])


def pretrained(inputs, labels):
    """Initial weights from networks that were trained on something else."""
    models = train([model(100 + seed, 30) for seed in SEEDS], inputs, labels)
    return [FromFitted(each) for each in models]


def experiment():
    shuffled = np.random.default_rng(0).permutation(SOURCE_LABELS)
    upside_down = SOURCE.reshape(-1, 8, 8)[:, ::-1, ::-1].reshape(-1, 64)
    curves = {
        "random": scores(["glorot_uniform"] * len(SEEDS)),
        "same task": scores(pretrained(upside_down, SOURCE_LABELS)),
        "upright digits": scores(pretrained(SOURCE, SOURCE_LABELS)),
        "shuffled labels": scores(pretrained(SOURCE, shuffled)),
        "zeros": scores(["zeros"] * len(SEEDS)),
    }
    random = curves["random"]
    early = {name: each[:, 9] - random[:, 9] for name, each in curves.items()}
    late = {name: each[:, -1] - random[:, -1] for name, each in curves.items()}

    def points(differences):
        low, middle, high = 100 * np.quantile(differences, [0, 0.5, 1])
        return f"{middle:+.1f} points ({low:+.1f} to {high:+.1f})"

    figure, ax = panels(1)
    for name, each in curves.items():
        line = ax.plot(range(1, EPOCHS + 1), np.median(each, axis=0), label=name)[0]
        ax.fill_between(
            range(1, EPOCHS + 1), each.min(0), each.max(0), color=line.get_color(), alpha=0.12
        )
    ax.set(xlabel="epoch", ylabel="test accuracy", title="Median and range of 5 seeds")
    ax.legend(title="initial weights", loc="center left", bbox_to_anchor=(1, 0.5))
    return figure, [
        Finding(
            "Weights that were trained for the same task on more samples are ahead of random ones "
            "after ten epochs and after 60, for all seeds.",
            f"{points(early['same task'])} and {points(late['same task'])}",
            bool((early["same task"] > 0).all() and (late["same task"] > 0).all()),
        ),
        Finding(
            "Weights that were trained for a related task (upright digits) are ahead after ten "
            "epochs.",
            points(early["upright digits"]),
            bool((early["upright digits"] > 0).all()),
        ),
        Finding(
            "They are after 60 epochs, too.",
            points(late["upright digits"]),
            bool((late["upright digits"] > 0).all()),
        ),
        Finding(
            "It does not matter what for: those trained for shuffled labels are ahead after ten "
            "epochs.",
            points(early["shuffled labels"]),
            bool((early["shuffled labels"] > 0).all()),
        ),
        Finding(
            "Some randomness is needed: from zeros, a network with a hidden layer does not learn "
            "(at most 20 % after 60 epochs).",
            f"{curves['zeros'][:, -1].min():.1%} to {curves['zeros'][:, -1].max():.1%}",
            bool((curves["zeros"][:, -1] <= 0.2).all()),
        ),
    ]


CLAIM = Claim(
    "Pre-trained initial weights are better than random ones",
    "Networks with 32 hidden units learn 80 digits that are turned upside down; weights come "
    "from 900 others: turned in the same way, upright, or upright with shuffled labels. Accuracy "
    "on 817 more.",
    experiment,
)

if __name__ == "__main__":
    main(CLAIM)
