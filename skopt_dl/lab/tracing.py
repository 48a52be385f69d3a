"""The formula of an optimizer from its own code: ``update`` is run with arrays that record."""

from __future__ import annotations

import ast
import copy
import numbers
from collections.abc import Callable, Mapping
from functools import reduce
from graphlib import CycleError, TopologicalSorter
from typing import Any

import numpy as np

from skopt_dl.lab.formulas import names_in, statements
from skopt_dl.optimizers import Formula, Optimizer, Step
from skopt_dl.optimizers.base import fill_state

Array = Any

_OPERATORS: Mapping[str, type[ast.operator]] = {
    "add": ast.Add,
    "subtract": ast.Sub,
    "multiply": ast.Mult,
    "divide": ast.Div,
    "true_divide": ast.Div,
    "power": ast.Pow,
    "pow": ast.Pow,
}
_CALLS = {
    "sqrt": "sqrt",
    "sign": "sign",
    "exp": "exp",
    "log": "log",
    "abs": "abs",
    "absolute": "abs",
    "maximum": "max",
    "minimum": "min",
}


class Untraceable(Exception):  # noqa: N818
    """What cannot be written as a formula, and why."""


class Symbol:
    """An array, or a number, that remembers how it was computed.

    What is written into it replaces the expression that it stands for.
    """

    # Before NumPy's scalars try to make an array of it.
    __array_priority__ = 1000

    def __init__(self, node: ast.expr):
        self.node = node

    def __setitem__(self, key: Any, value: Any) -> None:
        self[key]
        self.node = _node(value)

    def __getitem__(self, key: Any) -> Symbol:
        if key is not Ellipsis and key != slice(None):
            raise Untraceable("it takes parts of arrays")
        return self

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, out: Any = None) -> Any:
        if method != "__call__":
            raise Untraceable(f"it calls {ufunc.__name__}.{method}")
        return getattr(Recording(), ufunc.__name__)(*inputs, out=out[0] if out else None)

    def __neg__(self) -> Symbol:
        return Symbol(ast.UnaryOp(ast.USub(), self.node))

    def __abs__(self) -> Symbol:
        return Recording().abs(self)

    def copy(self) -> Symbol:
        return Symbol(self.node)

    def _refuse(self, *_: Any) -> Any:
        raise Untraceable("it asks for the values of arrays, the step's number or hyperparameters")

    __bool__ = __float__ = __int__ = __index__ = __iter__ = __len__ = __array__ = _refuse
    __lt__ = __le__ = __gt__ = __ge__ = __eq__ = __ne__ = _refuse
    __hash__ = object.__hash__


def _add_operator(name: str, function: str) -> None:
    def forward(self: Symbol, other: Any) -> Symbol:
        return getattr(Recording(), function)(self, other)

    def reflected(self: Symbol, other: Any) -> Symbol:
        return getattr(Recording(), function)(other, self)

    def in_place(self: Symbol, other: Any) -> Symbol:
        return getattr(Recording(), function)(self, other, out=self)

    setattr(Symbol, f"__{name}__", forward)
    setattr(Symbol, f"__r{name}__", reflected)
    setattr(Symbol, f"__i{name}__", in_place)


for _name, _function in {
    "add": "add",
    "sub": "subtract",
    "mul": "multiply",
    "truediv": "divide",
    "pow": "power",
}.items():
    _add_operator(_name, _function)


class Recording:
    """A namespace of array functions whose results are expressions."""

    def __getattr__(self, name: str) -> Callable[..., Symbol]:
        make = _maker(name)

        def record(*arguments: Any, out: Symbol | None = None) -> Symbol:
            node = make(*(_node(each) for each in arguments))
            if out is None:
                return Symbol(node)
            out.node = node
            return out

        return record


def _maker(name: str) -> Callable[..., ast.expr]:
    """What makes the expression of a function of `xp`."""
    if name in _OPERATORS:
        return lambda left, right: _operation(left, _OPERATORS[name](), right)
    if name in _CALLS:
        return lambda *arguments: ast.Call(ast.Name(_CALLS[name]), list(arguments), [])
    if name == "square":
        return lambda base: ast.BinOp(base, ast.Pow(), ast.Constant(2))
    if name == "negative":
        return lambda operand: ast.UnaryOp(ast.USub(), operand)
    if name in ("asarray", "copy", "positive"):
        return lambda same: same
    if name in ("zeros_like", "ones_like"):
        return lambda _: ast.Constant(int(name == "ones_like"))
    raise Untraceable(f"it calls xp.{name}")


def _operation(left: ast.expr, operator: ast.operator, right: ast.expr) -> ast.expr:
    """``left operator right``, without factors of one and terms of zero."""
    match left, operator, right:
        case (_, ast.Mult() | ast.Div() | ast.Pow(), ast.Constant(value=1)):
            return left
        case (ast.Constant(value=1), ast.Mult(), _) | (ast.Constant(value=0), ast.Add(), _):
            return right
        case (_, ast.Add() | ast.Sub(), ast.Constant(value=0)):
            return left
        case (_, ast.Mult(), _) if ast.dump(left) == ast.dump(right):
            return ast.BinOp(left, ast.Pow(), ast.Constant(2))
    return ast.BinOp(left, operator, right)


def _node(value: Any) -> ast.expr:
    if isinstance(value, Symbol):
        return value.node
    known = isinstance(value, numbers.Number | np.ndarray)
    if not known:
        raise Untraceable(f"it uses {value!r} where an array or a number is due")
    if np.ndim(value) == 0 and np.isreal(value):
        plain = np.asarray(value).item()
        if plain < 0:
            return ast.UnaryOp(ast.USub(), ast.Constant(-plain))
        return ast.Constant(int(plain) if plain == int(plain) else plain)
    raise Untraceable(f"it uses an array of shape {np.shape(value)} of its own")


class _NoLayout:
    def __getattr__(self, name: str) -> Any:
        raise Untraceable("it treats matrices as such, by step.layout")


def trace(optimizer: Optimizer) -> Formula:
    """Record one update.

    Parameters
    ----------
    optimizer : Optimizer
        Its ``update`` must be array code for each weight alone.

    Returns
    -------
    formula : Formula

    Raises
    ------
    Untraceable
        If it does something else; the message says what.
    """
    if optimizer.needs:
        raise Untraceable(f"it needs {', '.join(optimizer.needs)} besides the gradient")
    with_symbols = copy.copy(optimizer)
    for name, value in optimizer.get_params(deep=False).items():
        if isinstance(value, float) and name != "learning_rate":
            setattr(with_symbols, name, _named(name))
    rate: Any = _named("learning_rate")
    number: Any = _named("t")
    step = Step()
    step.xp, step.layout, step.number, step.learning_rate = Recording(), _NoLayout(), number, rate
    step.scratch = _named("scratch")
    slots = {slot: Symbol(ast.Constant(0)) for slot in optimizer.slots}
    state = {slot: _named(slot) for slot in optimizer.slots}
    try:
        fill_state(with_symbols.init_state, slots, _named("weights"), step.xp, step.layout)
        step.coefficients = with_symbols.coefficients(number, rate)
        change = with_symbols.update(_named("gradient"), state, _named("weights"), step)
    except Untraceable:
        raise
    except Exception as error:
        raise Untraceable(f"recording it ends in {type(error).__name__}: {error}") from error
    if change is None:
        raise Untraceable("its update returns None, and is to return the change")
    formula = _in_order({slot: kept.node for slot, kept in state.items()}, _node(change))
    if any("scratch" in names_in(text) for _, text in statements(formula)):
        raise Untraceable("it uses what the scratch array held before")
    starts = {slot: _text(kept.node) for slot, kept in slots.items()}
    return formula._replace(start={slot: text for slot, text in starts.items() if text != "0"})


def _named(name: str) -> Symbol:
    return Symbol(ast.Name(name))


def _in_order(slots: Mapping[str, ast.expr], change: ast.expr) -> Formula:
    """Put assignments in an order in which each finds the values that it needs.

    All expressions are of the state before the step. A slot comes before the change if that and
    the other slots need nothing but its new value; else after it.
    """
    values: dict[str, ast.expr] = {**slots, "change": change}
    before: list[str] = []
    for slot in slots:
        if isinstance(values[slot], ast.Name | ast.Constant):
            continue
        replace = _Replace(values[slot], ast.Name(slot + _NEW))
        others = {name: replace.visit(node) for name, node in values.items() if name != slot}
        if not any(slot in _names(node) for node in others.values()):
            values |= others
            before.append(slot)
    after = [slot for slot in slots if slot not in before]
    needs = {slot: {o for o in before if o + _NEW in _names(values[slot])} for slot in before}
    # What needs a value of the step before comes before that is overwritten.
    waits = {s: {o for o in after if o != s and s in _names(values[o])} for s in after}
    try:
        first, last = (list(TopologicalSorter(each).static_order()) for each in (needs, waits))
    except CycleError:
        raise Untraceable("its slots need each other's values of the step before") from None
    value, parts = _two_slots(values["change"])
    texts = {name: _text(node) for name, node in {**values, **parts}.items()}
    return Formula(
        value or texts["change"],
        {name: texts[name] for name in (*first, *parts)},
        {name: texts[name] for name in last},
    )


# Marks the value of a slot after the step, until everything is in order.
_NEW = "__new"


def _text(node: ast.expr) -> str:
    return ast.unparse(node).replace(_NEW, "").replace(" ** ", "**")


class _Replace(ast.NodeTransformer):
    """Puts one expression in place of another."""

    def __init__(self, old: ast.expr, new: ast.expr):
        self.old = ast.dump(old)
        self.new = new

    def visit(self, node: ast.AST) -> Any:
        if ast.dump(node) == self.old:
            return self.new
        # Expressions share their parts.
        return self.generic_visit(copy.copy(node))


def _names(node: ast.expr) -> set[str]:
    return {each.id for each in ast.walk(node) if isinstance(each, ast.Name)}


def _two_slots(change: ast.expr) -> tuple[str, dict[str, ast.expr]]:
    """A change as the rate times a direction over a scale, where it is such a product."""
    over, under = _factors(change)
    rates = [node for node in over if isinstance(node, ast.Name) and node.id == "learning_rate"]
    minuses = [node for node in over if isinstance(node, ast.Constant) and node.value == -1]
    if len(rates) != 1 or len(minuses) % 2 == 0:
        return "", {}
    rest = [node for node in over if node not in rates and node not in minuses]
    parts = {"direction": _product(rest), "scale": _product(under)}
    return "-learning_rate * direction / scale", parts


def _factors(node: ast.expr) -> tuple[list[ast.expr], list[ast.expr]]:
    """What an expression is a product of, over what it is divided by; a minus sign is -1."""
    match node:
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            over, under = _factors(operand)
            return [ast.Constant(-1), *over], under
        case ast.BinOp(left=left, op=ast.Mult(), right=right):
            (over, under), (more_over, more_under) = _factors(left), _factors(right)
            return over + more_over, under + more_under
        case ast.BinOp(left=left, op=ast.Div(), right=right):
            (over, under), (more_under, more_over) = _factors(left), _factors(right)
            return over + more_over, under + more_under
    return [node], []


def _product(factors: list[ast.expr]) -> ast.expr:
    if not factors:
        return ast.Constant(1)
    return reduce(lambda left, right: _operation(left, ast.Mult(), right), factors)
