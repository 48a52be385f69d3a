"""Cross-entropy is convex, and yet the loss of a network that is trained with it is not.

It is convex in what the network puts out. The output of a linear model is a linear function of its
weights, and so the loss is convex in the weights. A network multiplies the weights of its layers
with each other. Here both are looked at on the same data: the curvature of the loss at their
minima and elsewhere, and chords between weights drawn at random, which a convex function lies
below. All that is printed is computed.

    python examples/why_networks_are_not_convex.py --help
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.preprocessing import StandardScaler

from skopt_dl import MLPClassifier, lab

PLACES = np.linspace(0, 1, 101)


def chords(model: Any, X: np.ndarray, y: np.ndarray, n: int, seed: int) -> tuple[int, np.ndarray]:
    """How many of `n` random chords the loss rises above, and losses along the extreme one."""
    loss = lab.FittedLoss(model, X, y, dtype="float64")
    rng = np.random.default_rng(seed)
    # As far from the origin as the model's own weights are.
    scale = np.sqrt(np.mean(loss.params**2))
    first, last = rng.normal(0.0, scale, (2, n, loss.n_params))
    middle, *ends = (loss.losses(rows) for rows in (0.5 * (first + last), first, last))
    above = middle - 0.5 * (ends[0] + ends[1])
    k = int(np.argmax(above))
    line = first[k] + PLACES[:, None] * (last[k] - first[k])
    return int((above > 1e-12 * middle).sum()), loss.losses(line)


def print_curvatures(name: str, found: lab.EstimatorConvexity) -> None:
    """The extreme eigenvalues at each point."""
    for i, at in enumerate(found.curvatures):
        place = "its minimum" if i == 0 else f"drawn weights {i}"
        print(
            f"{name:<14} {place:<16} {at.loss:>8.4f} {at.smallest:>13.2e} {at.largest:>11.4f} "
            f"{at.bounds.max():>9.1e}"
        )


def plot(lines: dict[str, np.ndarray], path: Path) -> None:
    """Save the losses along a chord of each model."""
    from matplotlib import pyplot as plt

    figure, panels = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    for ax, (name, losses) in zip(panels, lines.items(), strict=True):
        ax.plot(PLACES, losses, color="#0072b2", label="loss")
        ax.plot([0, 1], losses[[0, -1]], "o--", color="#d55e00", label="chord")
        ax.set(title=name, xlabel="from some weights, at 0, to others, at 1", ylabel="loss")
        ax.legend()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130)
    plt.close(figure)


def main(arguments: list[str] | None = None) -> Path:
    """Print what was found and return the path of the figure."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--units", type=int, default=8)
    parser.add_argument("--chords", type=int, default=1000)
    parser.add_argument("--output", type=Path, default=Path("output"))
    options = parser.parse_args(arguments)
    mpl.use("Agg")
    X, y = load_breast_cancer(return_X_y=True)
    X = StandardScaler().fit_transform(X)
    network = MLPClassifier(
        options.units, activation="tanh", optimizer="lbfgs", alpha=1.0, random_state=0
    ).fit(X, y)
    both = lab.linear_beside_network(network, X, y, penalty=True)
    print(f"{'':<14} {'at':<16} {'loss':>8} {'smallest':>13} {'largest':>11} {'error':>9}")
    print_curvatures("linear model", both.linear)
    print_curvatures("network", both.network)
    print()
    lines = {}
    for name, model in (("linear model", both.linear_model), ("network", network)):
        n_above, lines[name] = chords(model, X, y, options.chords, seed=0)
        print(f"{name}: the loss lies above {n_above} of {options.chords} chords")
    print()
    print(both)
    path = options.output / "why_networks_are_not_convex.png"
    plot(lines, path)
    print(f"\nFigure: {path}")
    return path


if __name__ == "__main__":
    main()
