"""The steps of a stack: what is done for each batch, as calls that are made once and run often."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from operator import is_
from types import SimpleNamespace
from typing import Any

import numpy as np

from skopt_dl.backends import backend_of, run_all
from skopt_dl.objectives import Objective, Prepared
from skopt_dl.programs import Memory, Program, Tracer, engine_of
from skopt_dl.programs.values import host_dtype
from skopt_dl.training.averaging import Averages
from skopt_dl.training.clipping import clip_norm
from skopt_dl.training.recording import Recorder
from skopt_dl.training.updates import UpdateGroup

Array = Any
Call = Callable[[], Any]


class Steps:
    """The steps of the models of a stack.

    Parameters
    ----------
    objective : Objective
    params : array of shape (K, P)
    groups : sequence of (slice, UpdateGroup)
        Which rows each group has.
    limits : array of shape (K, 1) or None
        Of the length of gradients.
    averages : Averages or None
    recorder : Recorder or None
    models : ndarray of int of shape (K,)
        What the recorder is told.

    Attributes
    ----------
    squared_norm : array of shape (K,)
        Of the gradient of the first step of the last block that was run as the first.
    """

    def __init__(
        self,
        objective: Objective,
        params: Array,
        groups: Sequence[tuple[slice, UpdateGroup]],
        limits: Array | None,
        averages: Averages | None,
        recorder: Recorder | None,
        models: np.ndarray,
    ):
        self._b = backend_of(params)
        self._engine = engine_of(self._b)
        self._objective, self._params, self._groups = objective, params, groups
        self._limits, self._averages, self._recorder = limits, averages, recorder
        self._models = models
        needed = any(group.needs_loss for _, group in groups)
        self._needs_loss = needed or recorder is not None
        self._losses: list[Array] = []
        self.squared_norm = self._b.zeros((params.shape[0],), like=params)
        # Of the gradient that an objective always writes to the same array.
        self._grad: Array = None
        self._norm_calls: list[Call] = []
        self._clip_calls: list[Call] = []
        # What a block was made of, and the call that this became.
        self._known: dict[tuple[int, bool], tuple[list[Any], Call]] = {}

    def run(self, batches: Sequence[Any], is_first: bool) -> Array:
        """Take a step for each batch of a block.

        Parameters
        ----------
        batches : sequence
            What ``objective.load`` returned.
        is_first : bool
            Whether the first of them is the first of an epoch.

        Returns
        -------
        losses : array of shape (n_batches, K)
            Valid until the next call.
        """
        self._losses = []
        prepared = self._objective.prepare(self._params, batches)
        following = None if prepared is None else self._following(prepared.grad)
        if prepared is None or following is None:
            for number, batch in enumerate(batches):
                self._step(batch, is_first and number == 0)
            return self._b.xp.stack(self._losses) if self._losses else self._objective.losses()
        self._sequence(batches, prepared, following, is_first)()
        return prepared.losses

    def _following(self, grad: Array) -> list[list[Call]] | None:
        """The calls that follow each gradient; None where they are to be made one by one."""
        if grad is not self._grad:
            self._follow(grad)
        if self._needs_loss:
            return None
        following = [group.calls(self._grad) for _, group in self._groups]
        if any(calls is None for calls in following):
            return None
        averaging = [] if self._averages is None else [self._averages.calls]
        return [self._clip_calls, *following, *averaging]  # type: ignore[list-item]

    def _sequence(
        self,
        batches: Sequence[Any],
        prepared: Prepared,
        following: list[list[Call]],
        is_first: bool,
    ) -> Call:
        """All steps of a block as one call; the same one as long as nothing has changed."""
        key = id(batches), is_first
        known, sequence = self._known.get(key, ([], None))
        now = [batches, prepared.gradients, prepared.closing, *following]
        if sequence is None or not _are_same(known, now):
            after = [call for part in following for call in part]
            calls = []
            for number, gradient in enumerate(prepared.gradients):
                norm = self._norm_calls if is_first and number == 0 else []
                calls += [*gradient, *norm, *after]
            sequence = self._engine.sequence([*calls, *prepared.closing])
            self._known[key] = now, sequence
        return sequence

    def _follow(self, grad: Array) -> None:
        """Prepare what is done with a gradient that is always written to this array."""
        self._grad = grad
        arrays = {"grad": grad, "squared_norm": self.squared_norm}
        shape, dtype = tuple(grad.shape), host_dtype(grad.dtype).name
        self._norm_calls = self._bound(norm_program(shape, dtype), arrays)
        if self._limits is not None:
            arrays = {"grad": grad, "limits": self._limits}
            self._clip_calls = self._bound(clip_program(shape, dtype), arrays)

    def _bound(self, program: Program, arrays: dict[str, Array]) -> list[Call]:
        memory = Memory(self._b, self._params)
        return list(self._engine.bind(self._b, program, arrays, memory).calls())

    def _step(self, batch: Any, is_first: bool) -> None:
        """One step in Python: where code has to see it, or cannot be traced."""
        objective, params, loss = self._objective, self._params, None
        if self._needs_loss:
            loss, grad = objective.value_and_grad(params, batch)
            self._losses.append(loss)
        else:
            grad = objective.grad(params, batch)
        is_known = grad is self._grad
        if is_first and is_known:
            run_all(self._norm_calls)
        elif is_first:
            self.squared_norm[...] = self._b.row_dot(grad, grad)
        if self._recorder is not None:
            self._recorder.see(self._models, params, loss, grad)
        if is_known:
            run_all(self._clip_calls)
        elif self._limits is not None:
            clip_norm(self._b, grad, self._limits)
        for rows, group in self._groups:
            elsewhere = partial(self._gradient_at, batch, rows) if group.needs_gradient else None
            group.apply(grad, loss, elsewhere)
        if self._averages is not None:
            run_all(self._averages.calls)

    def _gradient_at(self, batch: Any, rows: slice, params: Array) -> Array:
        """A batch's gradient for the models of a group, where they are not."""
        if params.shape[0] < self._params.shape[0]:
            everywhere = self._b.xp.asarray(self._params, copy=True)
            everywhere[rows, :] = params
            params = everywhere
        grad = self._objective.gradient_at(params, batch)
        if self._limits is not None:
            clip_norm(self._b, grad, self._limits)
        return grad[rows, :]


def _are_same(known: Sequence[Any], now: Sequence[Any]) -> bool:
    return len(known) == len(now) and all(map(is_, known, now))


@lru_cache(maxsize=64)
def norm_program(shape: tuple[int, int], dtype: str) -> Program:
    """The squared length, ``squared_norm`` (K,), of each model's ``grad`` (K, P)."""
    tracer = Tracer(dtype)
    grad, norm = tracer.given("grad", shape), tracer.given("squared_norm", shape[:1])
    tracer.xp.vecdot(grad, grad, out=norm)
    return tracer.program()


@lru_cache(maxsize=64)
def clip_program(shape: tuple[int, int], dtype: str) -> Program:
    """`clip_norm` of ``grad`` (K, P), for ``limits`` (K, 1)."""
    tracer = Tracer(dtype)
    grad, limits = tracer.given("grad", shape), tracer.given("limits", (shape[0], 1))
    b: Any = SimpleNamespace(xp=tracer.xp, row_dot=tracer.xp.vecdot)
    clip_norm(b, grad, limits)
    return tracer.program()
