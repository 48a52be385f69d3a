"""Epochs times batches are updates.

python examples/claims/c11_epochs_times_batches_are_updates.py
"""

from __future__ import annotations

import math

import numpy as np
from claim import Claim, Finding, main, panels, train
from sklearn.datasets import load_digits

from skopt_dl import MLPClassifier
from skopt_dl.optimizers import SGD
from skopt_dl.training import Batches

EPOCHS, N = 3, 1000
SIZES = [1, 7, 10, 32, 64, 200, 300, 1000]


class Counting(SGD):
    """Plain descent that keeps the number of each of its updates."""

    numbers: list[int] = []
    # Each call counts, so it must be called at every step.
    traceable = False

    def update(self, grad, state, params, step):
        self.numbers.append(step.number)
        return super().update(grad, state, params, step)


def trained(size, **options):
    """A network after some epochs, and how often its optimizer was called."""
    X, y = load_digits(return_X_y=True)
    Counting.numbers.clear()
    model = MLPClassifier(
        10, optimizer=Counting(), batch_size=size, max_iter=EPOCHS, n_iter_no_change=math.inf,
        random_state=0, **options,
    )  # fmt: skip
    (model,) = train([model], X[:N] / 16, y[:N])
    return model, len(Counting.numbers)


def experiment():
    models, calls = zip(*(trained(size) for size in SIZES), strict=True)
    expected = [EPOCHS * math.ceil(N / size) for size in SIZES]
    divided = [EPOCHS * N / size for size in SIZES]
    uneven = [size for size, quotient in zip(SIZES, divided, strict=True) if N % size]
    held_out, _ = trained(64, early_stopping=True)
    sizes = {
        size: [n for block in Batches(N, size, shuffle=False).epoch(1) for n in block.sizes]
        for size in SIZES
    }
    # A sample's gradient counts 1 / (size of its batch).
    favoured = {size: max(each) / min(each) for size, each in sizes.items()}

    figure, (left, right) = panels()
    left.plot(SIZES, expected, color="0.6", linestyle="-", label="epochs × batches, rounded up")
    left.plot(SIZES, calls, "o", linestyle="none", label="calls of the optimizer")
    left.set(xscale="log", yscale="log", xlabel="batch size", ylabel="updates")
    left.set(title=f"{EPOCHS} epochs of {N:,} samples")
    left.legend()
    below = np.cumsum([0, *sizes[300][:-1]])
    right.bar(
        below,
        1 / np.array(sizes[300]),
        sizes[300],
        align="edge",
        color="#56B4E9",
        edgecolor="white",
    )
    right.set(
        xlabel="place of the sample in the epoch", ylabel="share of its gradient in an update"
    )
    right.set(title="Batches of 300")
    return figure, [
        Finding(
            "The optimizer is called epochs × batches times, where the last batch of an epoch "
            "may be short; n_steps_ says so.",
            ", ".join(f"{size}: {n:,}" for size, n in zip(SIZES, calls, strict=True)),
            list(calls) == expected == [model.n_steps_ for model in models],
        ),
        Finding(
            "That is epochs × samples / batch size.",
            f"not where the size does not divide {N:,}: {', '.join(map(str, uneven))}",
            bool(np.array_equal(calls, divided)),
        ),
        Finding(
            "Every sample is seen once an epoch, whatever the batch size: t_ is epochs × samples.",
            f"{min(model.t_ for model in models):,} to {max(model.t_ for model in models):,}",
            all(model.t_ == EPOCHS * N for model in models),
        ),
        Finding(
            "It is so with early stopping, too.",
            f"{held_out.t_:,} samples and {held_out.n_steps_} updates of 64: a tenth is held out",
            held_out.t_ == EPOCHS * N,
        ),
        Finding(
            "All samples count alike in an epoch.",
            "those of the short last batch count more: "
            + ", ".join(f"{favoured[size]:.3g} times with batches of {size}" for size in uneven),
            max(favoured.values()) == 1,
        ),
    ]


CLAIM = Claim(
    "Epochs times batches are updates",
    "Three epochs of a network on 1,000 digits, with eight batch sizes; an optimizer that counts "
    "its calls.",
    experiment,
)

if __name__ == "__main__":
    main(CLAIM)
