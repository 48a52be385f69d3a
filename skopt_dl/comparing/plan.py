"""How optimizers are compared: as many trials for each, on the same splits, with the same seeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar, NamedTuple

import numpy as np
from sklearn.metrics import get_scorer_names
from sklearn.model_selection import (
    KFold,
    ParameterGrid,
    ParameterSampler,
    StratifiedKFold,
    train_test_split,
)

from skopt_dl._params import COUNT, Constraint, Interval, did_you_mean
from skopt_dl.comparing.data import Data, TableError
from skopt_dl.optimizers import Choice, space_of

Row = dict[str, Any]

# What the learning rate of a tuned setting is multiplied by, to see how much it matters.
FACTORS = (0.1, 0.3, 3.0, 10.0)


@dataclass(frozen=True)
class Plan:
    """What every optimizer gets.

    Parameters
    ----------
    budget : int, default=20
        Settings that are drawn from its own space in each repetition, and tried.
    seeds : int, default=5
        Repetitions. Each splits the data, draws settings, tunes, trains and tests anew.
    folds : int, default=3
        Of the cross-validation by which settings are chosen.
    epochs : int, default=50
        Of every training; the score at its end counts.
    batch_size : int, default=32
    hidden_layer_sizes : tuple of int, default=(64, 64)
    test_size : float, default=0.25
        The share of the samples that is held out in a repetition, and only tested on.
    scoring : str, default=None
        A scorer of scikit-learn, higher is better; None means accuracy, or R² for a regression.

    Raises
    ------
    ValueError
        If one is not allowed.
    """

    budget: int = 20
    seeds: int = 5
    folds: int = 3
    epochs: int = 50
    batch_size: int = 32
    hidden_layer_sizes: tuple[int, ...] = (64, 64)
    test_size: float = 0.25
    scoring: str | None = None

    constraints: ClassVar[dict[str, Constraint]] = {
        "budget": COUNT,
        "seeds": COUNT,
        "folds": Interval(2, float("inf"), "[)", integer=True),
        "epochs": COUNT,
        "batch_size": COUNT,
        "test_size": Interval(0, 1, "()"),
    }

    def __post_init__(self) -> None:
        for field in fields(self):
            value, allowed = getattr(self, field.name), self.constraints.get(field.name)
            if allowed is not None and not allowed.accepts(value):
                raise ValueError(f"{field.name} must be {allowed}; got {value!r}.")
        sizes = self.hidden_layer_sizes
        if not isinstance(sizes, tuple) or not sizes or not all(map(COUNT.accepts, sizes)):
            raise ValueError(
                f"hidden_layer_sizes must be a tuple of ints, at least 1; got {sizes!r}."
            )
        scorers = get_scorer_names()
        if self.scoring is not None and self.scoring not in scorers:
            raise ValueError(
                f"Unknown scoring {self.scoring!r}.{did_you_mean(str(self.scoring), scorers)} "
                "sklearn.metrics.get_scorer_names() lists them."
            )

    @property
    def ratio(self) -> float:
        """Samples tested on, for each that was trained on."""
        return self.test_size / (1 - self.test_size)


class Split(NamedTuple):
    """Rows to train on and rows to score on, none of them in both."""

    train: np.ndarray
    held_out: np.ndarray


class Fit(NamedTuple):
    """One training.

    Attributes
    ----------
    phase : {"tuning", "tuned", "default", "rate"}
        A drawn setting on a fold; and, on all that is not for testing: the chosen setting, the
        defaults, and the chosen setting with its learning rate times `factor`.
    optimizer : str
        A label.
    seed : int
        The repetition, and the seed of the model.
    trial : int
        Which of the drawn settings; -1 for the defaults.
    fold : int
        -1 where it is trained for the test.
    factor : float
    params : dict of str to object
        Hyperparameters that are not the label's own.
    """

    phase: str
    optimizer: str
    seed: int
    trial: int
    fold: int
    factor: float
    params: dict[str, Any]


def test_split(data: Data, plan: Plan, seed: int) -> Split:
    """Return what a repetition trains on, and what it is tested on.

    Raises
    ------
    TableError
        If the table is too small for it.
    """
    strata = data.y if data.n_classes else None
    try:
        parts = train_test_split(
            np.arange(len(data.y)), test_size=plan.test_size, random_state=seed, stratify=strata
        )
    except ValueError as error:
        raise TableError(
            f"{data.name} has too few samples ({len(data.y)}) to hold out {plan.test_size:g} of "
            f"them: {error} Pass more rows, drop rare classes, or change test_size."
        ) from error
    return Split(*parts)


def folds(data: Data, plan: Plan, seed: int) -> list[Split]:
    """Return the splits of what a repetition trains on, by which it chooses settings.

    Raises
    ------
    TableError
        If a class has too few samples for so many folds.
    """
    rows = test_split(data, plan, seed).train
    y = data.y[rows]
    fewest = np.bincount(y).min() if data.n_classes else len(rows)
    if fewest < plan.folds or (data.n_classes and len(np.unique(y)) < data.n_classes):
        what = "the rarest class" if data.n_classes else "the table"
        raise TableError(
            f"{plan.folds} folds need as many samples of each class in the training part; "
            f"{what} of {data.name} has {fewest}. Ask for fewer folds, or drop that class."
        )
    kind = StratifiedKFold if data.n_classes else KFold
    cut = kind(plan.folds, shuffle=True, random_state=seed).split(rows, y)
    return [Split(rows[train], rows[held_out]) for train, held_out in cut]


def drawn(optimizer: Any, budget: int, seed: int) -> list[dict[str, Any]]:
    """Return settings from an optimizer's own space, all there are where those are fewer.

    Examples
    --------
    >>> from skopt_dl import make_optimizer
    >>> from skopt_dl.comparing.plan import drawn
    >>> drawn(make_optimizer("lbfgs"), 20, seed=0)
    [{'memory': 5}, {'memory': 10}, {'memory': 20}]
    """
    space = space_of(optimizer)
    if all(isinstance(values, Choice) for values in space.values()):
        grid = list(ParameterGrid({name: each.distribution() for name, each in space.items()}))
        if len(grid) <= budget:
            return grid
    distributions = {name: each.distribution() for name, each in space.items()}
    settings = ParameterSampler(distributions, budget, random_state=seed)
    return [{name: _plain(value) for name, value in each.items()} for each in settings]


def _plain(value: Any) -> Any:
    """A NumPy scalar as Python's."""
    return value.item() if isinstance(value, np.generic) else value


def tuning_fits(optimizers: dict[str, Any], plan: Plan, rows: Sequence[Row] = ()) -> list[Fit]:
    """Return the trials: every drawn setting on every fold."""
    return [
        Fit("tuning", label, seed, trial, fold, 1.0, params)
        for seed in range(plan.seeds)
        for label, optimizer in optimizers.items()
        for trial, params in enumerate(drawn(optimizer, plan.budget, seed))
        for fold in range(plan.folds)
    ]


def final_fits(optimizers: dict[str, Any], plan: Plan, rows: Sequence[Row]) -> list[Fit]:
    """Return what is trained for the test, given the rows of tuning.

    The setting that each optimizer chose in each repetition, also with other learning rates, and
    its defaults.
    """
    fits = []
    for (label, seed), (trial, params) in chosen(rows).items():
        fits.append(Fit("default", label, seed, -1, -1, 1.0, {}))
        fits.append(Fit("tuned", label, seed, trial, -1, 1.0, params))
        rate = params.get("learning_rate", getattr(optimizers[label], "learning_rate", None))
        if isinstance(rate, int | float):
            for factor in FACTORS:
                scaled = {**params, "learning_rate": rate * factor}
                fits.append(Fit("rate", label, seed, trial, -1, factor, scaled))
    return fits


def chosen(rows: Sequence[Row]) -> dict[tuple[str, int], tuple[int, dict[str, Any]]]:
    """Return the best trial of each optimizer in each repetition, and its setting.

    By the mean score over folds, then by the mean loss; one that failed on a fold comes last.
    """
    trials: dict[tuple[str, int, int], list[Row]] = {}
    for row in rows:
        if row["phase"] == "tuning":
            trials.setdefault((row["optimizer"], row["seed"], row["trial"]), []).append(row)
    best: dict[tuple[str, int], tuple[Any, int, dict[str, Any]]] = {}
    for (label, seed, trial), of_folds in sorted(trials.items(), key=lambda item: item[0]):
        sound = all(row["outcome"] == "finished" for row in of_folds)
        merit = (
            sound,
            float(np.mean([row["score"] for row in of_folds])) if sound else 0.0,
            -float(np.mean([row["loss"] for row in of_folds])) if sound else 0.0,
        )
        if (label, seed) not in best or merit > best[label, seed][0]:
            best[label, seed] = (merit, trial, of_folds[0]["params"])
    return {key: (trial, params) for key, (_, trial, params) in best.items()}
