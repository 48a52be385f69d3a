"""Scores of optimizers against their learning rates, from a finished search."""

from __future__ import annotations

import numbers
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, Self

import numpy as np

from skopt_dl.displays._axes import axes
from skopt_dl.displays._style import legend_beside, styles

OPTIMIZER, LEARNING_RATE = "optimizer", "learning_rate"
# The figure shows this multiple of the range between the optimizers' best scores.
SHOWN = 4.0


class ScoreCurve(NamedTuple):
    """Scores of one optimizer.

    Parameters
    ----------
    optimizer : str
    learning_rates : ndarray of shape (n_rates,)
        In rising order; a single NaN for an optimizer that has none.
    mean, std : ndarray of shape (n_rates,)
        Of the score over the folds.
    final : ndarray of bool of shape (n_rates,)
        Whether the score is of the last, and largest, round of a halving search; else true.
    """

    optimizer: str
    learning_rates: np.ndarray
    mean: np.ndarray
    std: np.ndarray
    final: np.ndarray

    @property
    def best(self) -> int:
        """Where the mean is largest, among scores of the last round if there is one."""
        final = self.final & np.isfinite(self.mean)
        return int(np.argmax(np.where(final if final.any() else True, _floor(self.mean), -np.inf)))


class OptimizerComparisonDisplay:
    """Cross-validated score of each optimizer against its learning rate.

    Parameters
    ----------
    curves : list of ScoreCurve
    score_name : str, default="score"

    Attributes
    ----------
    ranking : list of ScoreCurve
        The optimizer with the best score first.
    lines_ : list of matplotlib Line2D
        In the order of `ranking`.
    styles_ : dict of str to named tuple
        Colour, marker and line of each optimizer, to draw more of the same alike.
    ax_, figure_, legend_ : matplotlib Axes, Figure, Legend

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.model_selection import GridSearchCV
    >>> from skopt_dl import MLPClassifier
    >>> from skopt_dl.displays import OptimizerComparisonDisplay
    >>> X, y = load_iris(return_X_y=True)
    >>> grid = {"optimizer": ["sgd", "adam"], "optimizer__learning_rate": [0.001, 0.01, 0.1]}
    >>> search = GridSearchCV(MLPClassifier(10, max_iter=10, random_state=0), grid, cv=3).fit(X, y)
    >>> display = OptimizerComparisonDisplay.from_cv_results(search, score_name="accuracy")
    >>> [len(curve.mean) for curve in display.curves]
    [3, 3]
    >>> plt.show()
    """

    def __init__(self, curves: list[ScoreCurve], score_name: str = "score"):
        self.curves = curves
        self.score_name = score_name
        self.ranking = sorted(curves, key=lambda curve: -_floor(curve.mean)[curve.best])

    @classmethod
    def from_cv_results(
        cls,
        search: Any,
        *,
        metric: str = "score",
        score_name: str | None = None,
        ax: Any = None,
        **line_kw: Any,
    ) -> Self:
        """Show a finished search over optimizers and learning rates.

        Where a search varies other parameters too, each optimizer and learning rate has the score
        of the best of them; where it went in rounds, as `HalvingGridSearchCV` does, that of the
        last round that it was in.

        Parameters
        ----------
        search : fitted GridSearchCV, RandomizedSearchCV, ... or its cv_results_
            The parameters may be called ``optimizer`` and ``optimizer__learning_rate``, or the
            same behind the names of a pipeline's steps. Rates of `Optimizer` objects are theirs.
        metric : str, default="score"
            Which one, of a search with several.
        score_name : str, default=None
            For the axis; None means the search's ``scoring`` where that is a name, else `metric`.
        ax : matplotlib Axes, default=None
        **line_kw
            Passed to ``ax.plot``.

        Raises
        ------
        ValueError
            If the results have no optimizer, no learning rate or no such metric.
        TypeError
            If `search` is neither a finished search nor results.
        """
        results, estimator = _results_of(search)
        if f"mean_test_{metric}" not in results:
            known = [name.removeprefix("mean_test_") for name in results if "mean_test_" in name]
            raise ValueError(f"The search has no metric {metric!r}; it has {_listed(known)}.")
        if score_name is None:
            scoring = getattr(search, "scoring", None)
            score_name = scoring if isinstance(scoring, str) else metric
        mean = np.asarray(results[f"mean_test_{metric}"], dtype=float)
        deviation = np.asarray(results[f"std_test_{metric}"], dtype=float)
        rounds = np.asarray(results.get("iter", np.zeros(len(mean))))
        # The row that counts, by optimizer and rate.
        chosen: dict[tuple[str, float | None], int] = {}
        for row, (optimizer, rate) in enumerate(_optimizers(results["params"], estimator)):
            key = optimizer, rate
            standing = chosen.setdefault(key, row)
            if (rounds[row], _floor(mean[row])) > (rounds[standing], _floor(mean[standing])):
                chosen[key] = row
        if all(rate is None for _, rate in chosen):
            raise ValueError(
                "The search has no learning rates to compare: add "
                f"'{_prefix(results['params'])}optimizer__learning_rate' to its parameters."
            )
        curves = []
        for name in dict.fromkeys(optimizer for optimizer, _ in chosen):
            pairs = [(rate, row) for (optimizer, rate), row in chosen.items() if optimizer == name]
            pairs.sort(key=lambda pair: -np.inf if pair[0] is None else pair[0])
            rows = np.array([row for _, row in pairs])
            rates = np.array([np.nan if rate is None else rate for rate, _ in pairs])
            final = rounds[rows] == rounds.max()
            curves.append(ScoreCurve(name, rates, mean[rows], deviation[rows], final))
        return cls(curves, score_name).plot(ax, **line_kw)

    def plot(self, ax: Any = None, **line_kw: Any) -> Self:
        """Draw a line an optimizer, with bars of one standard deviation over the folds.

        The best of all is ringed, and each optimizer's best marker is enlarged. Empty markers are
        of earlier rounds of a halving search. A dashed level is an optimizer without a learning
        rate. Scores far below the optimizers' best are cut off.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
        **line_kw
            Passed to ``ax.plot``.
        """
        self.ax_ = ax = axes(ax)
        self.figure_ = ax.figure
        self.styles_ = looks = styles(curve.optimizer for curve in self.curves)
        self.lines_ = []
        for number, curve in enumerate(self.ranking):
            look, best = looks[curve.optimizer], curve.best
            rate, mean, std = (each[best] for each in curve[1:4])
            at = "" if np.isnan(rate) else f", {rate:.3g}"
            style = {
                **look._asdict(),
                "label": f"{curve.optimizer}{at}: {mean:.3f} ± {std:.3f}",
                "markersize": 5,
                "linewidth": 1.6,
                # The better lie above.
                "zorder": 3 - number / len(self.ranking),
            }
            rated = np.isfinite(curve.learning_rates)
            if not rated.any():
                self.lines_.append(ax.axhline(mean, **{**style, **line_kw}))
                continue
            rates, means, stds = (each[rated] for each in curve[1:4])
            self.lines_ += ax.plot(rates, means, **{**style, **line_kw})
            ax.vlines(rates, means - stds, means + stds, color=look.color, alpha=0.5, linewidth=1)
            sign = {"linestyle": "none", "marker": look.marker, "zorder": style["zorder"] + 0.01}
            earlier = rated & ~curve.final
            for where, face, size in (
                (earlier, "white", 5),
                (curve.learning_rates == rate, None, 9),
            ):
                edge = look.color if face else "white"
                ax.plot(
                    curve.learning_rates[where],
                    curve.mean[where],
                    color=look.color,
                    markerfacecolor=face or look.color,
                    markeredgecolor=edge,
                    markersize=size,
                    **sign,
                )
        self._ring_best()
        ax.set(xscale="log", xlabel="Learning rate", ylabel=f"Cross-validated {self.score_name}")
        self._cut_off()
        ax.grid(alpha=0.25, linewidth=0.6)
        self.legend_ = legend_beside(
            ax, title="optimizer, best learning rate: score", title_fontsize="small"
        )
        return self

    def _ring_best(self) -> None:
        winner = self.ranking[0]
        rate, score = winner.learning_rates[winner.best], winner.mean[winner.best]
        ring = {"markerfacecolor": "none", "markeredgecolor": "black", "markeredgewidth": 1.5}
        if np.isfinite(rate):
            self.ax_.plot(rate, score, "o", markersize=17, zorder=5, **ring)

    def _cut_off(self) -> None:
        """Leave out scores that would squeeze the interesting ones into a line."""
        bests = np.array([curve.mean[curve.best] for curve in self.ranking])
        bests = bests[np.isfinite(bests)]
        spread = max(float(np.ptp(bests)), 0.005 * abs(float(bests.max())))
        low, high = self.ax_.get_ylim()
        self.ax_.set_ylim(max(low, float(bests.max()) - SHOWN * spread), high)


def _floor(score: Any) -> Any:
    """Scores with those of failed fits below all others."""
    return np.where(np.isnan(score), -np.inf, score)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(map(repr, names)) or "none"


def _results_of(search: Any) -> tuple[Mapping[str, Any], Any]:
    """Return a search's results, and the estimator it was for or None."""
    results = getattr(search, "cv_results_", search)
    if not isinstance(results, Mapping) or "params" not in results:
        state = "has not been fitted" if hasattr(search, "estimator") else "is neither"
        raise TypeError(
            "OptimizerComparisonDisplay shows a finished search, such as a fitted GridSearchCV, or "
            f"its cv_results_; the {type(search).__name__} that it got {state}."
        )
    return results, getattr(search, "estimator", None)


def _prefix(candidates: Iterable[Mapping[str, Any]]) -> str:
    """What stands before ``optimizer`` in the names of parameters, such as ``mlp__``."""
    for name in dict.fromkeys(name for candidate in candidates for name in candidate):
        parts = name.split("__")
        if OPTIMIZER in parts:
            return "".join(f"{part}__" for part in parts[: parts.index(OPTIMIZER)])
    tuned = sorted({name for candidate in candidates for name in candidate})
    raise ValueError(
        f"The search is not over optimizers: no parameter is called 'optimizer'; it varies "
        f"{_listed(tuned)}."
    )


def _optimizers(
    candidates: list[Mapping[str, Any]], estimator: Any
) -> list[tuple[str, float | None]]:
    """The optimizer and the learning rate of each candidate; None for one without."""
    name = f"{_prefix(candidates)}{OPTIMIZER}"
    fixed = estimator.get_params().get(name) if estimator is not None else None
    found = []
    for candidate in candidates:
        optimizer = candidate.get(name, fixed)
        if optimizer is None:
            raise ValueError(
                f"The results do not say which optimizer had {_listed(candidate)}. Pass the search "
                f"itself, or search over {name!r} too."
            )
        rate = candidate.get(f"{name}__{LEARNING_RATE}", getattr(optimizer, LEARNING_RATE, None))
        label = optimizer if isinstance(optimizer, str) else type(optimizer).__name__.lower()
        found.append((label, float(rate) if isinstance(rate, numbers.Real) else None))
    return found
