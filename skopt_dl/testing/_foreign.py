"""A rule for arrays of other libraries: every function comes from ``step.xp``."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import numpy as np

from skopt_dl.optimizers import Optimizer, Step
from skopt_dl.testing._bench import draw, follow, precisions
from skopt_dl.testing._inspection import Called
from skopt_dl.testing._rules import broken

Array = Any


def check_functions_come_from_xp(optimizer: Optimizer) -> None:
    """No function of NumPy's own is called with arrays, which may be another library's."""
    follow([optimizer], *draw(1, precisions(optimizer)[0], n_steps=12), watch=_Guarding)


class _Allowed:
    """Whether NumPy may work on a `_Foreign` array now: within an operator, or a function of xp."""

    depth = 0

    @contextmanager
    def here(self) -> Iterator[None]:
        self.depth += 1
        try:
            yield
        finally:
            self.depth -= 1

    def function(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def allowed(*args: Any, **kwargs: Any) -> Any:
            with self.here():
                return function(*args, **kwargs)

        return allowed


_allowed = _Allowed()


class NotFromXPError(TypeError):
    """A function of NumPy's was called with an array that might be another library's."""


def _as_foreign(value: Any) -> Any:
    # What NumPy makes a number of, other libraries leave an array.
    value = np.asarray(value) if isinstance(value, np.generic) else value
    return value.view(_Foreign) if isinstance(value, np.ndarray) else value


def _as_plain(value: Any) -> Any:
    return value.view(np.ndarray) if isinstance(value, _Foreign) else value


class _Foreign(np.ndarray):
    """An array of NumPy's that behaves as if it were not: only its own methods work on it."""

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if not _allowed.depth:
            raise NotFromXPError(f"np.{ufunc.__name__}")
        out = kwargs.pop("out", None)
        if out is not None:
            kwargs["out"] = tuple(map(_as_plain, out))
        result = getattr(ufunc, method)(*map(_as_plain, inputs), **kwargs)
        return out[0] if out is not None and len(out) == 1 else _as_foreign(result)

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        if not _allowed.depth:
            module = func.__module__.replace("numpy", "np", 1)
            raise NotFromXPError(f"{module}.{func.__name__}")
        return super().__array_function__(func, types, args, kwargs)

    def __array_namespace__(self, *, api_version: str | None = None) -> Any:
        return _FunctionsOf(np)


def _own_methods() -> Iterator[str]:
    """Operators and methods of arrays, but for what makes and finds attributes."""
    kept = {"__new__", "__init__", "__init_subclass__", "__class_getitem__", "__subclasshook__"}
    kept |= {"__getattribute__", "__setattr__", "__delattr__", "__dir__", "__array_finalize__"}
    for name in dir(np.ndarray):
        own = name in vars(np.ndarray) and callable(getattr(np.ndarray, name))
        if own and name not in kept and not name.startswith("__array"):
            yield name


for _name in _own_methods():
    setattr(_Foreign, _name, _allowed.function(getattr(np.ndarray, _name)))


class _FunctionsOf:
    """A namespace whose functions may work on `_Foreign` arrays."""

    def __init__(self, xp: Any):
        self._xp = xp

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._xp, name)
        if isinstance(found, ModuleType):
            return _FunctionsOf(found)
        if isinstance(found, type) or not callable(found):
            return found
        return _allowed.function(found)


class _Guarding(Called):
    """Hands foreign arrays to update."""

    def update(self, grad: Array, state: Mapping[str, Array], params: Array, step: Step) -> Array:
        foreign = Step()
        for name in Step.__slots__:
            if hasattr(step, name):
                setattr(foreign, name, _as_foreign(getattr(step, name)))
        foreign.xp = _FunctionsOf(step.xp)
        foreign.coefficients = {n: _as_foreign(v) for n, v in step.coefficients.items()}
        if step.gradient is not None:
            foreign.gradient = _allowed.function(step.gradient)
        slots = {name: _as_foreign(array) for name, array in state.items()}
        given = _as_foreign(grad), slots, _as_foreign(params), foreign
        optimizer = copy.copy(self)
        for name, value in vars(self).items():
            setattr(optimizer, name, _as_foreign(value))
        try:
            change = super(_Guarding, optimizer).update(*given)
        except NotFromXPError as error:
            raise broken(
                self,
                "Functions come from step.xp: on a GPU, arrays are another library's.",
                f"update calls {error} with an array it was given, or made of one",
                f"Write step.xp.{str(error).partition('.')[2]}.",
            ) from None
        return np.asarray(change)
