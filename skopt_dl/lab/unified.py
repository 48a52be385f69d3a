"""Every optimizer's rule, ``direction`` over ``scale``, shown after comparison with its code."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape
from typing import Any

import numpy as np

from skopt_dl.lab.formulas import (
    Expression,
    aligned,
    as_program,
    evaluate,
    starting_times,
    statements,
)
from skopt_dl.lab.tables import Table
from skopt_dl.lab.tracing import Untraceable, trace
from skopt_dl.objectives import GivenGradients
from skopt_dl.optimizers import Formula, Minimizer, Optimizer
from skopt_dl.plugins import available, make
from skopt_dl.training import minimise

# Steps and weights of the comparison; and the largest difference that rounding explains.
N_STEPS, N_WEIGHTS, TOLERANCE = 20, 50, 1e-12
RATE = 0.125


class Penalised(GivenGradients):
    """Gradients that are given, step by step, plus a share of the weights."""

    def __init__(self, gradients: np.ndarray, penalty: float):
        super().__init__(gradients)
        self.penalty = penalty

    def value_and_grad(self, params: Any, batch: Any = None) -> tuple[Any, Any]:
        loss, grad = super().value_and_grad(params)
        return loss, grad + self.penalty * params


def changes(
    optimizer: Optimizer, gradients: np.ndarray, start: np.ndarray, penalty: float = 0.0
) -> np.ndarray:
    """What an optimizer makes of given gradients: the changes of its steps.

    Parameters
    ----------
    optimizer : Optimizer
    gradients : ndarray of shape (T, P)
    start : ndarray of shape (P,)
        The weights at the start.
    penalty : float, default=0.0
        That much of the weights is added to their gradients.

    Returns
    -------
    changes : ndarray of shape (T, P)
    """
    seen: list[np.ndarray] = []

    class Watched(type(optimizer)):  # type: ignore[misc]
        # From the weights the changes could be told to their rounding only.
        def update(self, *arguments: Any) -> Any:
            change = super().update(*arguments)
            seen.append(np.array(change))
            return change

    watched = copy.copy(optimizer)
    watched.__class__ = Watched
    objective = Penalised(gradients, penalty)
    minimise(objective, watched, start[None].copy(), max_epochs=len(gradients))
    return np.array([change[0] for change in seen])


def difference(one: np.ndarray, other: np.ndarray) -> float:
    """The largest difference of changes ``(T, P)``, relative to the weight's largest change."""
    if one.shape != other.shape:
        return float("inf")  # One of them was ended by numbers that are not finite.
    with np.errstate(invalid="ignore"):
        largest = np.maximum(np.abs(one).max(axis=0), np.abs(other).max(axis=0))
        apart = np.abs(one - other).max(axis=0) / np.where(largest > 0, largest, 1.0)
    return float(apart.max()) if np.isfinite(apart).all() else float("inf")


def draw(n_steps: int, n_weights: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Random gradients ``(T, P)`` and weights ``(P,)``, from very small to large ones.

    Where gradients are no larger than epsilon it matters where that is added.
    """
    rng = np.random.default_rng(seed)
    sizes = 10.0 ** rng.uniform(-9, 2, n_weights)
    return sizes * rng.normal(size=(n_steps, n_weights)), sizes * rng.normal(size=n_weights)


class Rule:
    """How an optimizer computes a change, as a formula that its code has been compared with.

    Made by `rule`.

    Parameters
    ----------
    name : str
    optimizer : Optimizer, Minimizer or None
        None where it could not be made.
    formula : Formula or None
    source : str
        ``"declared"`` beside the code, ``"recorded"`` while the code ran, or ``""``.
    difference : float
        Between the formula's changes and the code's, relative to the largest; NaN without one.
    reason : str
        Why there is no formula.

    Attributes
    ----------
    direction, scale : Expression or None
        The two slots; None where the change is no rate times one over the other.
    text : str
        An assignment a line, in Python's syntax.
    latex : str
        The same, ``aligned``.
    """

    def __init__(
        self,
        name: str,
        optimizer: Optimizer | Minimizer | None,
        formula: Formula | None,
        source: str = "",
        difference: float = float("nan"),
        reason: str = "",
    ):
        self.name = name
        self.optimizer = optimizer
        self.formula = formula
        self.source = source
        self.difference = difference
        self.reason = reason
        self.direction = self._part("direction")
        self.scale = self._part("scale")

    def _part(self, name: str) -> Expression | None:
        if self.formula is None or name not in self.formula.before:
            return None
        times = starting_times(self.formula)
        for assigned, _ in statements(self.formula):
            if assigned == name:
                break
            times[assigned] = "t"
        label = getattr(getattr(self.optimizer, name, None), "label", "")
        return Expression(self.formula.before[name], times, label)

    @property
    def text(self) -> str:
        return as_program(self.formula) if self.formula else f"No formula: {self.reason}."

    @property
    def latex(self) -> str:
        return aligned(self.formula) if self.formula else rf"\text{{{self.text}}}"

    def __repr__(self) -> str:
        return f"{self.optimizer!r}\n{self.text}"

    def _repr_latex_(self) -> str:
        return f"$\\displaystyle {self.latex}$"


def rule(optimizer: str | Optimizer | Minimizer) -> Rule:
    """Show how an optimizer computes a change: its direction over its scale.

    The formula is the one that stands beside the code, with the flags and zeros of this optimizer;
    or, where an optimizer's author gave none, what ``update`` was seen to do with arrays that
    record. In both cases it is evaluated for twenty steps in float64, and shown only if the
    optimizer makes the same changes. Weights, elsewhere called parameters, are ``weights`` here.

    Parameters
    ----------
    optimizer : str or Optimizer or Minimizer
        A name that is installed, or an object.

    Returns
    -------
    rule : Rule
        With ``text``, ``latex``, ``direction``, ``scale``; a notebook shows it set.

    Raises
    ------
    ValueError
        If the name is unknown; the message gives the nearest match. Or if a hyperparameter is
        none that is allowed.
    TypeError
        If it is neither a name nor an optimizer.

    Examples
    --------
    >>> from skopt_dl import lab
    >>> lab.rule("adam")
    Adam()
    mean = beta_1 * mean + (1 - beta_1) * gradient
    squares = beta_2 * squares + (1 - beta_2) * gradient**2
    direction = mean / (1 - beta_1**t)
    scale = sqrt(squares / (1 - beta_2**t)) + epsilon
    change = -learning_rate * direction / scale
    >>> lab.rule("adam").scale.latex
    '\\\\sqrt{\\\\frac{s_t}{1 - \\\\beta_2^{t}}} + \\\\varepsilon'
    """
    name = optimizer if isinstance(optimizer, str) else written(optimizer)
    if isinstance(optimizer, str):
        optimizer = make("optimizer", optimizer)
    if not isinstance(optimizer, Optimizer | Minimizer):
        raise TypeError(
            f"rule shows an optimizer, by name or as an object such as Adam(0.01); got "
            f"{optimizer!r}."
        )
    if optimizer.full_batch:
        reason = f"{name} runs a whole minimisation itself, with searches along lines"
        return Rule(name, optimizer, None, reason=reason)
    optimizer.check_params()
    reasons = []
    for source, make_formula in (("declared", Optimizer.formula), ("recorded", trace)):
        try:
            formula = optimizer.formula() if source == "declared" else make_formula(optimizer)
        except Untraceable as error:
            reasons.append(str(error))
            continue
        if formula is None:
            continue
        formula = formula._replace(start=_not_zero(formula.start, optimizer))
        largest = _difference(formula, optimizer)
        if largest <= TOLERANCE:
            return Rule(name, optimizer, formula, source, largest)
        reasons.append(f"the {source} formula is not what update computes: {largest:.1g} apart")
    return Rule(name, optimizer, None, reason=f"{name} has none, " + "; ".join(reasons))


def _not_zero(start: Mapping[str, str], optimizer: Optimizer) -> dict[str, str]:
    """What does not start at zero, with an optimizer's hyperparameters."""
    values = numbers_of(optimizer)
    return {name: text for name, text in start.items() if values.get(text) != 0}


def written(optimizer: Any) -> str:
    """An object as one line of code."""
    return " ".join(repr(optimizer).split())


def _difference(formula: Formula, optimizer: Optimizer) -> float:
    """Between a formula and what its optimizer does, on random gradients."""
    gradients, weights = draw(N_STEPS, N_WEIGHTS)
    with_rate = copy.copy(optimizer)
    with_rate.learning_rate = RATE
    computed = changes(with_rate, gradients, weights)
    with np.errstate(all="ignore"):
        shown = evaluate(formula, numbers_of(with_rate), gradients, weights)
    return difference(shown, computed)


def numbers_of(optimizer: Optimizer) -> dict[str, float]:
    """Hyperparameters that a formula may use."""
    params = optimizer.get_params(deep=False)
    return {name: value for name, value in params.items() if isinstance(value, int | float)}


class Rules(Mapping[str, Rule]):
    """Rules by name, shown as a table.

    Attributes
    ----------
    table : Table
        Columns ``optimizer``, ``direction``, ``scale``, ``change``, ``source`` (of the formula)
        and ``difference``, of shape (n,).
    """

    def __init__(self, rules: Mapping[str, Rule]):
        self._rules = dict(rules)
        shown = self.values()
        self.table = Table(
            optimizer=np.array(list(self)),
            direction=np.array([each.direction.text if each.direction else "" for each in shown]),
            scale=np.array([each.scale.text if each.scale else "" for each in shown]),
            change=np.array([each.formula.value if each.formula else each.text for each in shown]),
            source=np.array([each.source for each in shown]),
            difference=np.array([each.difference for each in shown]),
        )

    def __getitem__(self, name: str) -> Rule:
        return self._rules[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._rules)

    def __len__(self) -> int:
        return len(self._rules)

    def __repr__(self) -> str:
        return repr(self.table.only("optimizer", "direction", "scale", "change"))

    def _repr_html_(self) -> str:
        rows = []
        for name, each in self.items():
            text = f"<td>{escape(name)}</td>"
            cell = f"<td>${each.latex}$</td>" if each.formula else f"<td>{escape(each.text)}</td>"
            rows.append(f"<tr>{text}{cell}</tr>")
        return f"<table><tr><th>optimizer</th><th>rule</th></tr>{''.join(rows)}</table>"


def rules(optimizers: Sequence[str | Optimizer | Minimizer] | None = None) -> Rules:
    """Rules of several optimizers, as a table.

    Parameters
    ----------
    optimizers : sequence of str, Optimizer or Minimizer, default=None
        None means all that are installed, those of plugins included.

    Returns
    -------
    rules : Rules

    Raises
    ------
    TypeError
        If `optimizers` is no sequence, or has something else in it.
    ValueError
        As for `rule`.

    Examples
    --------
    >>> from skopt_dl import lab
    >>> lab.rules(["sgd", "nesterov", "adagrad"]).table.only("optimizer", "direction", "scale")
    optimizer  direction                       scale
    sgd        gradient                        1
    nesterov   gradient + momentum * velocity  1
    adagrad    gradient                        sqrt(squares) + epsilon
    """
    if optimizers is not None and (
        isinstance(optimizers, str) or not isinstance(optimizers, Iterable)
    ):
        raise TypeError(
            "rules shows several optimizers, as a sequence of names or objects; got "
            f"{optimizers!r}. Pass [{optimizers!r}], or call rule for one."
        )
    shown = (
        map(_rule_or_why_not, available("optimizer"))
        if optimizers is None
        else map(rule, optimizers)
    )
    return Rules({each.name: each for each in shown})


def _rule_or_why_not(name: str) -> Rule:
    """The rule of an installed optimizer; one that fails is no obstacle to the rest."""
    try:
        return rule(name)
    except Exception as error:
        return Rule(name, None, None, reason=f"{type(error).__name__}: {error}")
