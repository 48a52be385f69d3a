"""Golden traces: where the author's own code went, kept in a file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from skopt_dl.objectives import GivenGradients, Layout
from skopt_dl.optimizers import Optimizer
from skopt_dl.testing._rules import broken
from skopt_dl.training import minimise

RULE = "Parameters are those of the golden trace."
FIELDS = {
    "the file": ("start", "gradients", "steps", "cases"),
    "a case": ("name", "params", "path"),
}


class GoldenTrace(NamedTuple):
    """Where other code went from a start, given gradients.

    Attributes
    ----------
    name : str
    params : dict
        Hyperparameters, by the names of the optimizer that is to follow.
    method : str
        Which optimizer that is, where a file has several; else empty.
    start : ndarray of shape (P,)
    gradients : ndarray of shape (n_steps, P)
    steps : ndarray of shape (m,), int
        The numbers of the steps after which there are values, 1 for the first.
    path : ndarray of shape (m, P)
        Parameters after these steps.
    layout : Layout
        The tensors that parameters belong to.

    See Also
    --------
    golden_traces : Reads them from a file.
    """

    name: str
    params: Mapping[str, Any]
    method: str
    start: np.ndarray
    gradients: np.ndarray
    steps: np.ndarray
    path: np.ndarray
    layout: Layout

    def __str__(self) -> str:
        return self.name

    def follow(self, *optimizers: Optimizer) -> np.ndarray:
        """Train a stack of models with the gradients, one an epoch, each by one of `optimizers`.

        Returns
        -------
        path : ndarray of shape (n_steps, K, P)
            Parameters to predict with, after each step; NaN from where one is not finite.
        """
        path = np.full((len(self.gradients), len(optimizers), len(self.start)), np.nan)
        numbers = iter(range(len(path)))

        def keep(params: np.ndarray, models: Any) -> dict[str, Any]:
            path[next(numbers), models] = params
            return {}

        minimise(
            GivenGradients(self.gradients, self.layout),
            list(optimizers),
            np.stack([self.start] * len(optimizers)),
            max_epochs=len(self.gradients),
            validate=keep,
        )
        return path

    def check(self, optimizer: Optimizer, tolerance: float = 1e-12) -> None:
        """Compare the parameters of an optimizer with these.

        Parameters
        ----------
        optimizer : Optimizer
        tolerance : float, default=1e-12
            The largest difference, as a share of the largest value of each coordinate: an absolute
            one would hide coordinates that are small.

        Raises
        ------
        AssertionError
            If they differ; the message names the step and the tensor.
        """
        path = self.follow(optimizer)[self.steps - 1, 0]
        with np.errstate(invalid="ignore", divide="ignore"):
            off = np.abs(path - self.path) / np.abs(self.path).max(axis=0)
        wrong = ~((off <= tolerance) | (path == self.path))
        if not wrong.any():
            return
        row = int(wrong.any(axis=1).argmax())
        place = int(np.where(np.isnan(off[row]), np.inf, off[row]).argmax())
        spec = next(s for s in reversed(self.layout.specs) if s.offset <= place)
        raise broken(
            optimizer,
            RULE,
            f"{self.name!r} differs first after step {self.steps[row]}, by {off[row, place]:.3g} "
            f"of the largest value, in {spec.name} ({spec.role}), coordinate {place}: "
            f"{path[row, place]:.17g} instead of {self.path[row, place]:.17g}",
            "Compare term by term: which average is the old one, what is subtracted from one, "
            "where epsilon stands, what counts the steps.",
        )


def golden_traces(file: str | PathLike[str]) -> list[GoldenTrace]:
    """Read golden traces, to compare an optimizer with in a test.

    Parameters
    ----------
    file : path
        JSON: an object with ``start``, P numbers; ``gradients``, a list of P numbers a step;
        ``steps``, the numbers of the steps that values are kept of; and ``cases``, objects with
        ``name``, ``params``, ``path`` (P numbers for each of ``steps``) and, if there are several,
        ``method``. ``tensors``, triples of name, role and shape, says what the numbers belong to;
        without it they are one hidden tensor. What else is there (``source``, say) is for people.

    Returns
    -------
    traces : list of GoldenTrace
        One a case.

    Raises
    ------
    ValueError
        If something is missing, or has another shape than it must have.

    See Also
    --------
    check_optimizer : Takes code in place of values, by ``reference``.

    Examples
    --------
    >>> import json, tempfile
    >>> from pathlib import Path
    >>> from skopt_dl.optimizers import SGD
    >>> from skopt_dl.testing import golden_traces
    >>> case = {"name": "halves", "params": {"learning_rate": 0.5}, "path": [[0.5], [0.0]]}
    >>> content = {"start": [1.0], "gradients": [[1.0], [1.0]], "steps": [1, 2], "cases": [case]}
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder) / "sgd_references.json"
    ...     _ = file.write_text(json.dumps(content))
    ...     (trace,) = golden_traces(file)
    >>> trace.check(SGD(**trace.params))
    >>> trace.check(SGD(learning_rate=0.4))  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    skopt_dl.testing._rules.BrokenRuleError: SGD breaks a rule for optimizers...
    """
    file = Path(file)
    content = json.loads(file.read_text())
    _check_fields(file, "the file", content)
    if not content["cases"]:
        raise ValueError(f"{file.name} holds no golden traces: there are no cases.")
    start, gradients = (np.array(content[name], dtype=float) for name in ("start", "gradients"))
    steps = np.array(content["steps"], dtype=int)
    tensors = content.get("tensors", [("params", "hidden", (1, len(start)))])
    layout = Layout.from_shapes([(name, role, tuple(shape)) for name, role, shape in tensors])
    traces = []
    for case in content["cases"]:
        _check_fields(file, "a case", case)
        path = np.array(case["path"], dtype=float)
        traces.append(
            GoldenTrace(
                case["name"],
                case["params"],
                case.get("method", ""),
                start,
                gradients,
                steps,
                path,
                layout,
            )
        )
        _check_shapes(file, traces[-1])
    return traces


def _check_fields(file: Path, what: str, content: Any) -> None:
    missing = [name for name in FIELDS[what] if name not in content]
    if missing:
        raise ValueError(
            f"{file.name} holds no golden traces: {what} needs {', '.join(FIELDS[what])}; got "
            f"{', '.join(content)}. Add {', '.join(missing)}."
        )


def _check_shapes(file: Path, trace: GoldenTrace) -> None:
    n_params, n_steps = trace.layout.size, len(trace.gradients)
    wanted = {
        "start": (n_params,),
        "gradients": (n_steps, n_params),
        "path": (len(trace.steps), n_params),
    }
    for name, shape in wanted.items():
        found = getattr(trace, name).shape
        if found != shape:
            raise ValueError(
                f"{name} of {file.name}, case {trace.name!r}, must be of shape {shape}; got "
                f"{found}."
            )
    if not ((trace.steps >= 1) & (trace.steps <= n_steps)).all():
        raise ValueError(
            f"steps of {file.name} must be from 1 to {n_steps}, the number of gradients; got "
            f"{trace.steps.tolist()}."
        )
