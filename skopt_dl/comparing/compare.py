"""Every optimizer, tuned as much as every other, and tested on what tuning never saw."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

import joblib

from skopt_dl._warnings import warn_user
from skopt_dl.comparing.data import Data, load
from skopt_dl.comparing.leaderboard import BASELINE, Leaderboard
from skopt_dl.comparing.plan import Plan, final_fits, tuning_fits
from skopt_dl.comparing.trials import constant_rows, rows_of, timing_rows
from skopt_dl.jobs.keys import versions
from skopt_dl.lab.asking import labelled
from skopt_dl.optimizers import space_of
from skopt_dl.plugins import PluginWarning, available_optimizers, make_optimizer, package_of_name
from skopt_dl.programs import chosen_engine

# Told of each training: what it was for, and how many of these are done, of how many.
Progress = Callable[[str, int, int], object]


def compare_optimizers(
    data: Any,
    optimizers: Any = "all",
    *,
    target: str | None = None,
    task: str | None = None,
    plan: Plan | None = None,
    journal: Any = None,
    progress: Progress | None = None,
) -> Leaderboard:
    """Compare optimizers on a table, so that it can be believed.

    In each repetition (a seed) a part of the table is held out; every optimizer draws as many
    settings from its own search space, tries them by cross-validation on the rest, and trains the
    best of them, and its defaults, on all of the rest, to be tested on what was held out. All
    share splits and seeds, and train in stacks. Tuned AdamW is the baseline, and takes part always.

    Parameters
    ----------
    data : str, path-like, or tuple of X and y
        A data set that scikit-learn ships (``"iris"``, ``"wine"``, ``"breast_cancer"``,
        ``"digits"``, ``"diabetes"``), a CSV or parquet file, or arrays.
    optimizers : "all", str, Optimizer, sequence of these, or dict of label to one of these
        ``"all"`` are those that are installed.
    target : str, default=None
        The column to predict, of a file.
    task : {"classification", "regression"}, default=None
        None means what the target looks like.
    plan : Plan, default=None
        How many trials, repetitions, epochs, …
    journal : str or path-like, default=None
        A folder that keeps every model: the same comparison, made again, goes on from there.
    progress : callable, default=None
        Called after each training with what it was for, ``"tuning"`` or ``"test"``, how many of
        these are done, and how many there are.

    Returns
    -------
    leaderboard : Leaderboard

    Raises
    ------
    TableError
        If the table cannot be used; the message says what to do.
    ValueError
        If an optimizer is not known.
    ImportError
        If reading the table needs a package that is missing.

    Examples
    --------
    >>> from skopt_dl.comparing import Plan, compare_optimizers
    >>> plan = Plan(budget=2, seeds=2, folds=2, epochs=5, hidden_layer_sizes=(8,))
    >>> board = compare_optimizers("iris", ["sgd"], plan=plan)
    >>> sorted(each.optimizer for each in board.standings)
    ['adamw', 'sgd']
    """
    plan = plan or Plan()
    table = load(data, target, task)
    contenders = contenders_of(optimizers)
    rows = constant_rows(table, plan)
    with joblib.parallel_config(backend="skopt_dl", n_jobs=-1, journal=journal):
        for what, fits_after in ("tuning", tuning_fits), ("test", final_fits):
            fits = fits_after(contenders, plan, rows)
            for n_done, row in enumerate(rows_of(fits, contenders, table, plan), 1):
                rows.append(row)
                if progress is not None:
                    progress(what, n_done, len(fits))
    tuned = [fit for fit in final_fits(contenders, plan, rows) if fit.phase == "tuned"]
    rows += timing_rows((fit for fit in tuned if fit.seed == 0), contenders, table, plan)
    order = ("phase", "optimizer", "seed", "trial", "fold", "factor")
    rows.sort(key=lambda row: tuple(row[name] for name in order))
    return Leaderboard(_about(table, plan, contenders), rows)


def contenders_of(optimizers: Any) -> dict[str, Any]:
    """Return optimizers by label, the baseline among them.

    Raises
    ------
    ValueError
        If a name is unknown; the message gives the nearest match.
    """
    if isinstance(optimizers, str) and optimizers == "all":
        optimizers = _installed()
    found = labelled(optimizers)
    return found if BASELINE in found else {BASELINE: make_optimizer(BASELINE), **found}


def _installed() -> dict[str, Any]:
    """Every optimizer that can be made here; of others, a warning says why not."""
    found = {}
    for name in available_optimizers():
        try:
            found[name] = make_optimizer(name)
        except (ImportError, TypeError) as error:
            warn_user(f"{name} takes no part: {error}", PluginWarning)
    return found


def _about(data: Data, plan: Plan, contenders: Mapping[str, Any]) -> dict[str, Any]:
    """What the rows are of, in plain values."""
    engine = chosen_engine()
    return {
        "data": {
            "name": data.name,
            "task": data.task,
            "n_samples": len(data.y),
            "n_features": data.X.shape[1],
            "n_classes": data.n_classes,
        },
        "plan": asdict(plan),
        "metric": plan.scoring or ("accuracy" if data.n_classes else "R²"),
        "baseline": BASELINE,
        "spaces": {
            label: {name: repr(values) for name, values in space_of(each).items()}
            for label, each in contenders.items()
        },
        "defaults": {label: repr(each) for label, each in contenders.items()},
        "packages": {label: package_of_name("optimizer", label) or "" for label in contenders},
        "machine": {
            "processor": processor(),
            "cores": os.cpu_count() or 0,
            "system": f"{platform.system()} {platform.release()}",
            "engine": f"{engine.name} {engine.edition}".strip(),
        },
        "versions": list(versions()),
        "date": time.strftime("%Y-%m-%d %H:%M %Z"),
    }


def processor() -> str:
    """Return what the processor calls itself."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            for line in file:
                if line.startswith("model name"):
                    return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
