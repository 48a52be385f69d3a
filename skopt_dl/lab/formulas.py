"""Formulas in Python's syntax: set in LaTeX, and evaluated."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from skopt_dl.optimizers import Formula

Array = Any

FUNCTIONS: Mapping[str, Any] = {
    "sqrt": np.sqrt,
    "abs": np.abs,
    "sign": np.sign,
    "exp": np.exp,
    "log": np.log,
    "max": np.maximum,
    "min": np.minimum,
}

# What the field writes for our names; {} is where the time goes.
SYMBOLS: Mapping[str, str] = {
    "gradient": "g_{}",
    "weights": r"\theta_{}",
    "decayed": r"\tilde g_{}",
    "change": r"\Delta\theta_{}",
    "mean": "m_{}",
    "velocity": "v_{}",
    "squares": "s_{}",
    "largest": "u_{}",
    "squared_changes": "r_{}",
    "product": r"\Pi_{}",
    "mu": r"\mu_{}",
    "mu_next": r"\mu_{{t+1}}",
    "learning_rate": r"\eta",
    "momentum": r"\mu",
    "rho": r"\rho",
    "epsilon": r"\varepsilon",
    "beta_1": r"\beta_1",
    "beta_2": r"\beta_2",
    "weight_decay": r"\lambda",
    "l2": r"\lambda_2",
    "momentum_decay": r"\psi",
    "initial_accumulator": "a",
}
NOW, BEFORE = "t", "t-1"


class Expression:
    """One expression, as Python's text and in LaTeX.

    Parameters
    ----------
    text : str
    times : mapping of str to str, default=None
        The subscripts of names that change with the steps.
    label : str, default=""
        What the field calls it.

    Examples
    --------
    >>> Expression("sqrt(squares) + epsilon", {"squares": "t"}).latex
    '\\\\sqrt{s_t} + \\\\varepsilon'
    """

    def __init__(self, text: str, times: Mapping[str, str] | None = None, label: str = ""):
        self.text = text
        self.latex = latex(text, times or {})
        self.label = label

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return f"<{self.text}>"

    def _repr_latex_(self) -> str:
        return f"$\\displaystyle {self.latex}$"


def statements(formula: Formula) -> Iterator[tuple[str, str]]:
    """What is assigned in a step, ``change`` included, in order."""
    yield from formula.before.items()
    yield "change", formula.value
    yield from formula.after.items()


def names_in(text: str) -> set[str]:
    """Names of an expression, those of functions left out."""
    nodes = ast.walk(ast.parse(text, mode="eval"))
    return {node.id for node in nodes if isinstance(node, ast.Name)} - set(FUNCTIONS)


def evaluate(
    formula: Formula, hyperparameters: Mapping[str, float], gradients: Array, weights: Array
) -> np.ndarray:
    """Changes by the formula, step by step, in the precision of `gradients`.

    Parameters
    ----------
    formula : Formula
    hyperparameters : mapping of str to float
    gradients : ndarray of shape (T, P)
    weights : ndarray of shape (P,)
        Before the first step.

    Returns
    -------
    changes : ndarray of shape (T, P)
    """
    steps = [(name, compile(text, name, "eval")) for name, text in statements(formula)]
    outside = {"__builtins__": {}, **FUNCTIONS, **hyperparameters}
    kept: dict[str, Any] = {name: np.zeros_like(weights) for name, _ in steps}
    for name, text in formula.start.items():
        kept[name] = kept[name] + eval(text, outside, {"weights": weights})
    kept["weights"] = weights
    changes = []
    for t, gradient in enumerate(gradients, start=1):
        kept |= {"t": t, "gradient": gradient}
        for name, code in steps:
            kept[name] = eval(code, outside, kept)
        changes.append(kept["change"] + np.zeros_like(weights))
        kept["weights"] = kept["weights"] + kept["change"]
    return np.array(changes)


def aligned(formula: Formula) -> str:
    """All lines of a formula, in LaTeX's ``aligned``.

    The direction and the scale stand where they are used first, under braces.
    """
    inner: Mapping[str, str] = {
        name: formula.before[name] for name in PARTS if name in formula.before
    }
    times = starting_times(formula)
    lines = []
    for name, text in formula.start.items():
        lines.append(f"{symbol(name, '0')} &= {latex(text, times)}")
    for name, text in statements(formula):
        if name not in inner:
            line, inner = _with_parts(text, times, inner)
            lines.append(f"{symbol(name, NOW)} &= {line}")
        times[name] = NOW
    body = r" \\ ".join(lines)
    return rf"\begin{{aligned}} {body} \end{{aligned}}"


PARTS = {
    "direction": r"\overbrace{{{}}}^{{\text{{direction}}}}",
    "scale": r"\underbrace{{{}}}_{{\text{{scale}}}}",
}


def _with_parts(
    text: str, times: Mapping[str, str], parts: Mapping[str, str]
) -> tuple[str, Mapping[str, str]]:
    """Set an expression, its direction and scale in braces; and return the parts still unseen."""
    used = names_in(text) & set(parts)
    braced = {name: PARTS[name].format(latex(parts[name], times)) for name in used}
    left = {name: part for name, part in parts.items() if name not in used}
    return latex(text, times, braced), left


def starting_times(formula: Formula) -> dict[str, str]:
    """Subscripts at the beginning of a step: all that will be assigned is of the step before."""
    times = {name: BEFORE for name, _ in statements(formula)}
    return {**times, "gradient": NOW, "weights": BEFORE}


def symbol(name: str, time: str = "") -> str:
    """A name in LaTeX.

    >>> symbol("mean", "t-1"), symbol("beta_3"), symbol("half_life")
    ('m_{t-1}', '\\\\mathrm{beta}_{3}', '\\\\mathrm{half\\\\_life}')
    """
    time = time if len(time) < 2 else f"{{{time}}}"
    # A slot may be called like a hyperparameter.
    if name in SYMBOLS and ("{" in SYMBOLS[name] or not time):
        return SYMBOLS[name].format(time)
    stem, number = re.fullmatch(r"(.*?)_?(\d*)", name).groups()  # type: ignore[union-attr]
    if len(stem) > 1:
        stem = rf"\mathrm{{{stem}}}".replace("_", r"\_")
    indices = ",".join(each for each in (number, time.strip("{}")) if each)
    return f"{stem}_{{{indices}}}" if indices else stem


def latex(text: str, times: Mapping[str, str], given: Mapping[str, str] | None = None) -> str:
    """Set an expression in LaTeX.

    Parameters
    ----------
    text : str
        In Python's syntax.
    times : mapping of str to str
        Subscripts of names.
    given : mapping of str to str, default=None
        What is set instead of a name.
    """
    return _Setter(times, given or {}).visit(ast.parse(text, mode="eval").body)


# How tightly an expression holds together, from sums to what needs no brackets.
SUM, NEGATIVE, PRODUCT, POWER, ATOM = range(5)


def _strength(node: ast.expr) -> int:
    match node:
        case ast.BinOp(op=ast.Add() | ast.Sub()):
            return SUM
        case ast.UnaryOp():
            return NEGATIVE
        case ast.BinOp(op=ast.Mult()):
            return PRODUCT
        case ast.BinOp(op=ast.Div()):
            return POWER
        case ast.BinOp(op=ast.Pow()):
            return PRODUCT if _is_root(node) else POWER
    return ATOM


def _is_root(node: ast.BinOp) -> bool:
    return isinstance(node.right, ast.Constant) and node.right.value == 0.5


class _Setter(ast.NodeVisitor):
    """From a tree to LaTeX."""

    def __init__(self, times: Mapping[str, str], given: Mapping[str, str]):
        self.times = times
        self.given = given

    def _at_least(self, strength: int, node: ast.expr) -> str:
        inside = self.visit(node)
        return inside if _strength(node) >= strength else rf"\left({inside}\right)"

    def visit_Name(self, node: ast.Name) -> str:
        return self.given.get(node.id) or symbol(node.id, self.times.get(node.id, ""))

    def visit_Constant(self, node: ast.Constant) -> str:
        value = repr(node.value)
        if "e" in value:
            digits, exponent = value.split("e")
            power = f"10^{{{int(exponent)}}}"
            return power if digits == "1" else rf"{digits} \cdot {power}"
        return value

    def visit_UnaryOp(self, node: ast.UnaryOp) -> str:
        return f"-{self._at_least(PRODUCT, node.operand)}"

    def visit_BinOp(self, node: ast.BinOp) -> str:
        left, right = node.left, node.right
        match node.op:
            case ast.Add():
                return f"{self.visit(left)} + {self._at_least(PRODUCT, right)}"
            case ast.Sub():
                return f"{self.visit(left)} - {self._at_least(PRODUCT, right)}"
            case ast.Mult():
                factors = self._at_least(NEGATIVE, left), self._at_least(PRODUCT, right)
                return (r" \cdot " if factors[1][0].isdigit() else r"\, ").join(factors)
            case ast.Div():
                return _quotient(self.visit(left), self.visit(right), left)
            case ast.Pow() if _is_root(node):
                return rf"\sqrt{{{self.visit(left)}}}"
            case ast.Pow():
                return f"{self._at_least(ATOM, left)}^{{{self.visit(right)}}}"
        raise ValueError(f"A formula has no {type(node.op).__name__}.")

    def visit_Call(self, node: ast.Call) -> str:
        assert isinstance(node.func, ast.Name)
        name, arguments = node.func.id, ", ".join(self.visit(each) for each in node.args)
        if name == "sqrt":
            return rf"\sqrt{{{arguments}}}"
        if name == "abs":
            return rf"\left|{arguments}\right|"
        if name in FUNCTIONS:
            function = rf"\{name}" if name != "sign" else r"\mathrm{sign}"
            return rf"{function}\left({arguments}\right)"
        raise ValueError(f"A formula has no {name!r}; it has {', '.join(FUNCTIONS)}.")

    def generic_visit(self, node: ast.AST) -> str:
        raise ValueError(f"A formula has no {type(node).__name__}: {ast.unparse(node)}.")


def _quotient(over: str, under: str, node: ast.expr) -> str:
    """A fraction, with a minus sign or a learning rate in front of it."""
    match node:
        case ast.BinOp(op=ast.Mult(), left=ast.UnaryOp(operand=ast.Name(id="learning_rate"))):
            rate, _, rest = over.partition(r"\, ")
            return rf"{rate}\, \frac{{{rest}}}{{{under}}}"
    return rf"\frac{{{over}}}{{{under}}}"


def as_program(formula: Formula) -> str:
    """The text of a formula: a line for each assignment, that Python could run."""
    lines: Iterable[str] = (f"{name} = {text}" for name, text in statements(formula))
    starts = (f"{name} = {text}  # at the start" for name, text in formula.start.items())
    return "\n".join([*starts, *lines])
