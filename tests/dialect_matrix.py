"""How far `like` is from the libraries: method by library, as docs/dialects.md publishes it.

``PYTHONPATH=. python tests/dialect_matrix.py`` writes the table into the page.
"""

import inspect
import json
import re
from functools import cache
from pathlib import Path

import numpy as np

from skopt_dl.objectives import GivenGradients
from skopt_dl.optimizers import like
from skopt_dl.schedules import ExponentialDecay
from skopt_dl.training import minimise

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "dialects.md"
ARRAYS = dict(np.load(Path(__file__).parent / "references" / "optimizers.npz"))
REFERENCES = json.loads((Path(__file__).parent / "references" / "dialects.json").read_text())
CASES = REFERENCES["cases"]
START = ARRAYS["initial_params"]
LIBRARIES = ("torch", "keras", "optax", "sklearn")
BEGIN, END = "<!-- matrix -->\n", "<!-- end of matrix -->\n"

# Below this two computations of one rule differ by the order of their operations alone.
ROUNDING = 1e-13


def with_schedule(optimizer):
    """The same with a rate that falls by 5 % at each step."""
    return optimizer.set_params(learning_rate=ExponentialDecay(optimizer.learning_rate, rate=0.95))


def translated(case):
    optimizer = like(case["name"], **case["arguments"])
    return with_schedule(optimizer) if case["scheduled"] else optimizer


def with_numbers_alone(case):
    """Our class as it comes, with the library's numbers and none of its forms."""
    optimizer = translated(case)
    params = optimizer.get_params(deep=False)
    decay = params.pop("l2", None)
    numbers = {
        name: value
        for name, value in params.items()
        if not isinstance(value, bool | str) and name != "momentum_decay" and value is not None
    }
    if decay is not None:
        numbers["weight_decay"] = decay
    return type(optimizer)(**numbers)


def defaults(function):
    """Names and defaults of parameters; "required" where there is none."""
    parameters = inspect.signature(function).parameters.values()
    return {p.name: "required" if p.default is p.empty else p.default for p in parameters}


def ends(optimizers):
    """Parameters after all steps, ``(n, n_params)``."""
    gradients = GivenGradients(ARRAYS["gradients"])
    starts = np.tile(START, (len(optimizers), 1))
    runs = minimise(gradients, optimizers, starts, max_epochs=len(ARRAYS["gradients"]))
    return np.array([run.params for run in runs])


@cache
def deviations(make=translated):
    """Largest difference at the end, relative to what is above 1, one for each case."""
    expected = np.array([case["end"] for case in CASES])
    scale = np.maximum(1.0, np.abs(expected))
    difference = np.abs(ends([make(case) for case in CASES]) - expected)
    return (difference / scale).max(axis=1)


def matrix():
    """For each method the largest two differences, by library: translated, and numbers alone."""
    found = {}
    alike, alone = deviations(), deviations(with_numbers_alone)
    for case, *both in zip(CASES, alike, alone, strict=True):
        method, library = type(translated(case)).__name__, case["name"].partition(".")[0]
        cells = found.setdefault(method, {})
        cells[library] = np.maximum(cells.get(library, 0.0), both)
    return dict(sorted(found.items()))


def table():
    """The matrix as Markdown."""
    releases = [REFERENCES["releases"][library] for library in LIBRARIES]
    lines = [["", *releases], ["---"] * (1 + len(LIBRARIES))]
    for method, cells in matrix().items():
        lines.append([f"`{method}`", *(_cell(cells.get(library)) for library in LIBRARIES)])
    return "".join(f"| {' | '.join(cells)} |\n".replace("|  |", "| |") for cells in lines)


def _cell(differences):
    if differences is None:
        return ""
    alike, alone = differences
    shown = "< 1e-13" if alike < ROUNDING else f"{alike:.0e}"
    return shown if alone < ROUNDING else f"{shown} ({alone:.1g})"


def published():
    """The table that the page has."""
    return re.search(f"{BEGIN}(.*?){END}", PAGE.read_text(encoding="utf-8"), re.DOTALL)[1]


if __name__ == "__main__":
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(f"{before}{BEGIN}\n{table()}\n{END}{after}", encoding="utf-8")
