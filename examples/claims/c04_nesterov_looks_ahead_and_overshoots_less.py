"""Nesterov looks ahead and overshoots less than heavy ball.

python examples/claims/c04_nesterov_looks_ahead_and_overshoots_less.py
"""

from __future__ import annotations

import numpy as np
from claim import Claim, Finding, main, panels

from skopt_dl import lab
from skopt_dl.objectives import Quadratic, Rosenbrock
from skopt_dl.optimizers import Momentum, Nesterov

# Of curvature 1, so that rates are shares of the steepest step.
PARABOLA = Quadratic([1.0], name="parabola")
RATES, MOMENTA = np.geomspace(0.001, 2.0, 34), np.linspace(0.5, 0.98, 25)
START = 4.0


def run(optimizer):
    """Paths on the parabola, ``(n_momenta, n_rates, T + 1)``."""
    made = {f"{momentum:.2f}": optimizer(momentum=momentum) for momentum in MOMENTA}
    found = lab.compare(
        PARABOLA, made, learning_rates=RATES, starts=[[START]], n_steps=600, record=True
    )
    return found.paths.reshape(len(MOMENTA), len(RATES), -1)


def looking_ahead(rate, momentum, n_steps):
    """Heavy ball whose gradient is that of the point where its velocity leads, by the book."""
    x, velocity = START, 0.0
    ahead = [x]
    for _ in range(n_steps):
        velocity = (
            momentum * velocity - rate * PARABOLA.gradient(np.array([x + momentum * velocity]))[0]
        )
        x += velocity
        ahead.append(x + momentum * velocity)
    return np.array(ahead)


def experiment():
    heavy, nesterov = run(Momentum), run(Nesterov)
    too_far = [np.maximum(0, -path).max(axis=2) / START for path in (heavy, nesterov)]
    comes_back = [np.abs(path[:, :, -1]) < START for path in (heavy, nesterov)]
    both = comes_back[0] & comes_back[1]
    less, more = too_far[1] < too_far[0], too_far[1] > too_far[0]
    small = RATES <= 0.1
    book = looking_ahead(RATES[20], MOMENTA[20], 600)
    error = np.abs(nesterov[20, 20] - book).max() / START
    valley = lab.compare(
        Rosenbrock(), {"momentum": Momentum(), "nesterov": Nesterov()},
        learning_rates=[1e-4, 2e-4, 5e-4, 1e-3], starts=25, n_steps=3000,
    )  # fmt: skip
    diverged = valley.table["outcome"].reshape(2, -1) == "diverged"

    figure, (left, right) = panels()
    row, column = 16, 20
    for path, name in ((heavy, "heavy ball"), (nesterov, "Nesterov")):
        left.plot(path[row, column, :120], label=name)
    left.set(
        xlabel="step", ylabel="x", title=f"Rate {RATES[column]:.2f}, momentum {MOMENTA[row]:.2f}"
    )
    left.legend()
    kind = np.select([both & less, both & more, comes_back[0] & ~comes_back[1]], [0, 2, 3], 1.0)
    kind[~comes_back[0]] = np.nan
    mesh = right.pcolormesh(RATES, MOMENTA, kind, vmin=-0.5, vmax=3.5, cmap=_four_colours())
    bar = figure.colorbar(mesh, ax=right, ticks=range(4))
    bar.ax.set_yticklabels(["less", "alike", "more", "diverges\n(heavy ball\ndoes not)"])
    right.set(
        xscale="log",
        xlabel="rate × curvature",
        ylabel="momentum",
        title="How far Nesterov overshoots",
    )
    n_both = int((both & (less | more)).sum())
    return figure, [
        Finding(
            "Nesterov's points are those where the velocity of a heavy ball leads that takes its "
            "gradients there (to rounding, 1e-12).",
            f"at most {error:.0e} of the way apart, in 600 steps",
            bool(error <= 1e-12),
        ),
        Finding(
            "At small rates (up to 0.1 / curvature) it never overshoots more than heavy ball.",
            f"more in {int((both & more)[:, small].sum())} of {both[:, small].sum()} settings, "
            f"less in {int((both & less)[:, small].sum())}",
            not (both & more)[:, small].any(),
        ),
        Finding(
            "Nor does it at larger ones, where both converge.",
            f"more in {int((both & more)[:, ~small].sum())} of {both[:, ~small].sum()} settings; "
            f"over all rates, less in {int((both & less).sum())} of the {n_both} that differ",
            not (both & more)[:, ~small].any(),
        ),
        Finding(
            "It converges wherever heavy ball does.",
            f"not in {int((comes_back[0] & ~comes_back[1]).sum())} of {int(comes_back[0].sum())} "
            "settings",
            not (comes_back[0] & ~comes_back[1]).any(),
        ),
        Finding(
            "On Rosenbrock's valley, too, no more of its runs diverge.",
            f"{int(diverged[1].sum())} of {diverged.shape[1]} against {int(diverged[0].sum())}",
            bool(diverged[1].sum() <= diverged[0].sum()),
        ),
    ]


def _four_colours():
    from matplotlib.colors import ListedColormap

    return ListedColormap(["#0072B2", "#EEEEEE", "#E69F00", "#5E3A00"])


CLAIM = Claim(
    "Nesterov looks ahead and overshoots less",
    "A parabola, from x = 4, with 25 momenta and 34 learning rates; overshooting is how far "
    "beyond the minimum the run ever gets.",
    experiment,
)

if __name__ == "__main__":
    main(CLAIM)
