"""A mini-batch makes one update with the mean gradient of its samples, not one a sample.

python examples/claims/c10_one_update_with_the_mean_gradient.py
"""

from __future__ import annotations

import math

import numpy as np
from claim import Claim, Finding, main, panels, train
from sklearn.datasets import load_digits
from sklearn.preprocessing import LabelBinarizer

from skopt_dl import MLPClassifier, lab
from skopt_dl.backends import get_backend
from skopt_dl.layers.activations import Tanh
from skopt_dl.networks import Block, DenseNetwork, DensePool, NetworkObjective, TargetPool
from skopt_dl.networks.losses import SoftmaxLogLoss
from skopt_dl.objectives import FiniteSum, Polynomial
from skopt_dl.optimizers import SGD

SIZE = 32


def network_gradients(n_samples):
    """Gradients of a network for each of some samples, and for all of them as one batch."""
    X, y = load_digits(return_X_y=True)
    b, targets = get_backend("cpu"), LabelBinarizer().fit_transform(y).astype(float)
    network = DenseNetwork([64, 20, 10], [Tanh()], SoftmaxLogLoss())
    objective = NetworkObjective(b, network, DensePool(b, X / 16), TargetPool(b, targets))
    params = np.random.default_rng(0).normal(0, 0.3, (1, network.layout.size))

    def gradient(rows):
        (batch,) = objective.load(Block(rows, (rows.stop - rows.start,)))
        return objective.value_and_grad(params, batch)[1][0].copy()

    single = [gradient(slice(i, i + 1)) for i in range(n_samples)]
    return np.array(single), gradient(slice(0, n_samples))


def bowls(n_terms):
    """A mean of bowls in one variable with different centres and curvatures."""
    rng = np.random.default_rng(1)
    parameters = zip(rng.normal(size=n_terms), rng.uniform(0.5, 1.5, n_terms), strict=True)
    return FiniteSum([Polynomial([a * c * c / 2, -a * c, a / 2]) for c, a in parameters])


def experiment():
    single, batch = network_gradients(SIZE)
    error = np.abs(single.mean(axis=0) - batch).max() / np.abs(batch).max()
    sums = bowls(SIZE)
    one = np.array([[3.0]])
    terms = np.mean([term.gradient(one) for term in sums.terms])
    error_of_sum = abs(float(sums.gradient(one)[0, 0] / terms) - 1)

    X, y = load_digits(return_X_y=True)
    model = MLPClassifier(
        20, batch_size=SIZE, max_iter=1, n_iter_no_change=math.inf, random_state=0
    )
    (model,) = train([model], X / 16, y)

    rates = np.geomspace(0.001, 1.0, 13)
    options = {"starts": one, "seeds": range(10)}
    together = lab.compare(sums, SGD(), learning_rates=rates, n_steps=1, **options)
    singly = lab.compare(
        sums, SGD(), learning_rates=rates / SIZE, batch_sizes=[1], n_steps=SIZE, **options
    )
    way = np.abs(together.ends - 3.0).reshape(len(rates), -1)
    apart = np.abs(together.ends - singly.ends).reshape(len(rates), -1) / way
    far = apart.max(axis=1)
    slope = np.polyfit(np.log(rates[:7]), np.log(far[:7]), 1)[0]

    figure, (left, right) = panels()
    norms = np.linalg.norm(single, axis=1)
    left.hist(norms, 12, color="#56B4E9", edgecolor="white", label="of one sample")
    left.axvline(np.linalg.norm(batch), color="#D55E00", label="of the batch: of their mean")
    left.set(
        xlabel="length of the gradient", ylabel="samples", title=f"{SIZE} samples of the digits"
    )
    left.legend()
    right.plot(rates, far, marker="o", label="farthest of 10 orders")
    right.plot(rates, apart.min(axis=1), marker="s", label="nearest")
    right.set(xscale="log", yscale="log", xlabel="learning rate of the one update")
    right.set(
        ylabel="difference / length of the way",
        title=f"One update, or {SIZE} of a {SIZE}th of the rate",
    )
    right.legend()
    return figure, [
        Finding(
            f"A network's gradient for {SIZE} samples is the mean of its {SIZE} gradients for one "
            "(to rounding, 1e-12).",
            f"relative difference {error:.0e}, for {batch.size:,} weights",
            bool(error <= 1e-12),
        ),
        Finding(
            f"So is that of a finite sum of {SIZE} bowls.",
            f"relative difference {error_of_sum:.0e}",
            error_of_sum <= 1e-12,
        ),
        Finding(
            f"An epoch makes one update for {SIZE} samples.",
            f"{model.n_steps_} updates for {len(X):,} samples",
            model.n_steps_ == math.ceil(len(X) / SIZE),
        ),
        Finding(
            f"At small rates it makes no difference: at 0.001, {SIZE} updates of a {SIZE}th of "
            "the rate end within 0.1 % of the same point.",
            f"{far[0]:.2%} of the way apart; the difference grows like rate to the {slope:.2f}",
            bool(far[0] <= 1e-3),
        ),
        Finding(
            "Nor at large ones: at 1 they are within 10 %.",
            f"{far[-1]:.0%} of the way apart",
            bool(far[-1] <= 0.1),
        ),
    ]


CLAIM = Claim(
    "One update a mini-batch, with the mean gradient of its samples, not one a sample",
    "Gradients of a network with 20 hidden units for 32 samples of the digits, and of a mean of "
    "32 bowls; then one update of all 32 bowls beside 32 updates of one bowl each, in 10 orders.",
    experiment,
)

if __name__ == "__main__":
    main(CLAIM)
