"""Which engine runs the programs of this process.

NumPy's calls are always there; an engine that a plugin brings runs the same programs faster.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache, partial
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from skopt_dl.backends import Backend, NumPyBackend, run_all
from skopt_dl.plugins.lookup import available, find
from skopt_dl.plugins.manager import PluginWarning
from skopt_dl.plugins.switches import switched_off_by
from skopt_dl.plugins.watching import describe, watch
from skopt_dl.programs.engine import Binding, Bound, Call, HostFunction, Memory
from skopt_dl.programs.instructions import Program
from skopt_dl.programs.parts import calls_in_parts
from skopt_dl.programs.values import Array

VARIABLE = "SKOPT_DL_ENGINE"
# Where distributions name the engines that they bring, besides the hook.
ENTRY_POINTS = "skopt_dl.engines"


class Engine:
    """What runs programs; this one makes a call of the array library for each instruction.

    Attributes
    ----------
    name : str
        What estimators report as ``engine_``.
    edition : str
        What the last bit of a result depends on besides NumPy and the processor.
    by_model : bool
        Whether it does all for one model before it comes to the next, so that it is all the same
        what lies between their rows.
    """

    name: str = "numpy"
    edition: str = ""
    by_model: bool = False

    def bind(
        self,
        b: Backend,
        program: Program,
        arrays: Mapping[str, Any],
        memory: Memory,
        host: HostFunction | None = None,
    ) -> Bound:
        """Bind a program to arrays.

        Parameters
        ----------
        b : Backend
        program : Program
        arrays : dict of str to array
            The inputs that are the same in every run, by name. Those missing are given to
            ``calls``; rows of samples may be `DenseRows` or `SparseRows`.
        memory : Memory
            Where the program's own buffers are.
        host : callable, default=None
            ``host(names, n_steps, *tables)`` writes what ``external`` instructions of these names
            result in, in the next steps, as `HostWrites` do; it may have a method
            ``draws(names, *arrays)`` for theirs.
        """
        return Binding(b, program, arrays, memory, host)

    def calls(
        self, b: Backend, program: Program, arrays: Mapping[str, Array], like: Array
    ) -> list[Call]:
        """A program over arrays ``(K, P)`` as calls.

        Parameters
        ----------
        b : Backend
        program : Program
        arrays : dict of str to array
            All inputs of the program, by name.
        like : array of shape (K, P)
        """
        return calls_in_parts(b, program, arrays, like)

    def sequence(self, calls: Sequence[Call], n_times: int = 1) -> Callable[[int], None]:
        """Several calls as one, for one time or several, one after the other.

        Parameters
        ----------
        calls : sequence of callable
            What `bind` and `calls` gave, `HostWrites`, `HostReads`, and others; to be made one
            after the other, but that the host may write ahead, and read later.
        n_times : int, default=1
            For how many times there should be room; others may be asked for.

        Returns
        -------
        sequence : callable
            ``sequence(n_times)``. Where it raises, the host has read what belongs to times that
            were over.
        """
        return partial(_repeat, list(calls))


def _repeat(calls: Sequence[Call], n_times: int) -> None:
    for _ in range(n_times):
        run_all(calls)


@cache
def _of_arrays(name: str) -> Engine:
    engine = Engine()
    engine.name = name
    return engine


def engine_of(b: Backend) -> Engine:
    """The engine for a backend's arrays: for NumPy's, the one that is chosen."""
    if type(b) is NumPyBackend:
        return chosen_engine()
    return _of_arrays(b.xp.__name__)


_used: ContextVar[str | None] = ContextVar("skopt_dl_engine", default=None)


@contextmanager
def using_engine(name: str) -> Iterator[None]:
    """Run programs by the engine of this name, whatever ``SKOPT_DL_ENGINE`` says here.

    What is trained in another process is trained by the engine of the process that asked for it.
    """
    token = _used.set(name)
    try:
        yield
    finally:
        _used.reset(token)


def chosen_engine() -> Engine:
    """The engine that ``SKOPT_DL_ENGINE`` names; without it, the best that is installed.

    Raises
    ------
    ValueError
        If the variable names an engine that is not installed.
    """
    name = _used.get()
    return _engine(os.environ.get(VARIABLE, "") if name is None else name)


def installed_engines() -> list[str]:
    """The names of all engines that can be chosen here, those of plugins included."""
    return sorted({*_installed(), *available("engine")})


def edition_of(name: str) -> str:
    """The edition of an engine; empty where it is not installed."""
    try:
        return _engine(name).edition
    except ValueError:
        return ""


@cache
def _engine(name: str) -> Engine:
    if name == Engine.name:
        return _of_arrays(name)
    installed = _installed()
    if name:
        try:
            found = installed[name].load() if name in installed else find("engine", name)
        except ValueError as error:
            raise ValueError(f"{VARIABLE}={name}: {error}") from None
        return found()
    for other, entry_point in sorted(installed.items()):
        whose = entry_point.dist.name if entry_point.dist else other
        made = watch(partial(_loaded, entry_point), f"loading the engine {other!r}", whose)
        if made.error is None:
            return made.value
        warnings.warn(
            f"The engine {other!r} of {whose} cannot be used, so NumPy trains, more slowly: "
            f"{describe(made.error)}. ({VARIABLE}=numpy, or uninstalling it, ends this warning.)",
            PluginWarning,
            stacklevel=2,
        )
    return _of_arrays(Engine.name)


def _loaded(entry_point: EntryPoint) -> Engine:
    return entry_point.load()()


def _installed() -> dict[str, EntryPoint]:
    """The engines that are installed and not switched off; no other plugin is loaded for them."""
    return {
        each.name: each
        for each in entry_points(group=ENTRY_POINTS)
        if each.dist is not None and not switched_off_by(each.dist.name, each.name)
    }
