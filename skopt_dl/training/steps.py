"""The steps of a stack: what is done for each batch, as calls that are made once and run often."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np

from skopt_dl.backends import Backend, backend_of, run_all
from skopt_dl.objectives import Block, Objective, Prepared
from skopt_dl.programs import Engine, HostReads, Memory, Program, Tracer, engine_of
from skopt_dl.programs.values import host_dtype
from skopt_dl.training.averaging import Averages
from skopt_dl.training.batches import Batches
from skopt_dl.training.clipping import clip_norm
from skopt_dl.training.copying import are_same
from skopt_dl.training.recording import Recorder
from skopt_dl.training.updates import UpdateGroup

Array = Any
Call = Callable[[], Any]

# Blocks from which on each is a call of its own, with steps that others share: to make the steps of
# a long epoch one call takes memory and time, and they are many enough without.
MANY = 16


class Figures(NamedTuple):
    """What epochs have come to, ``(n_epochs, K)`` each.

    Attributes
    ----------
    losses : array
        The sum over an epoch's samples.
    first_losses : array
        The mean over its first batch.
    squared_norms : array
        Of the gradient of its first step.
    """

    losses: Array
    first_losses: Array
    squared_norms: Array


class Steps:
    """The steps of the models of a stack.

    Parameters
    ----------
    objective : Objective
    batches : Batches
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
    are_prepared : bool
        Whether the last epoch was made of calls that look at nothing but arrays.
    """

    def __init__(
        self,
        objective: Objective,
        batches: Batches,
        params: Array,
        groups: Sequence[tuple[slice, UpdateGroup]],
        limits: Array | None,
        averages: Averages | None,
        recorder: Recorder | None,
        models: np.ndarray,
    ):
        self._b = b = backend_of(params)
        self._engine = engine_of(b)
        self._objective, self._params, self._groups = objective, params, groups
        self._limits, self._averages, self._recorder = limits, averages, recorder
        self._models = models
        needed = any(group.needs_loss for _, group in groups)
        self._needs_loss = needed or recorder is not None
        self._losses: list[Array] = []
        # Of the gradient that an objective always writes to the same array.
        self._grad: Array = None
        self._norm_calls: list[Call] = []
        self._clip_calls: list[Call] = []
        n_batches = objective.batches_per_block(batches.batch_size, batches.n_orders)
        self._plan = batches.plan(n_batches)
        self._blocks = {id(each): _OfBlock(b, each) for each in self._plan if type(each) is Block}
        self._squared_norm = b.zeros((params.shape[0],), like=params)
        self._squared_norms: list[Array] = []
        self._read = HostReads([self._squared_norm], self._end_epochs)
        # What an epoch was made of, and the call that this became.
        self._known: list[Any] = []
        self._epoch: Callable[[int], None] | None = None
        self._of_blocks: dict[tuple[int, bool], Call] = {}
        self.are_prepared = False

    def run(
        self, n_epochs: int, opening: Sequence[Call], closing: Sequence[Call], most: int = 1
    ) -> None:
        """Take all steps of some epochs.

        Parameters
        ----------
        n_epochs : int
        opening, closing : sequence of callable
            What is done before each, and after; the same objects where nothing has changed.
        most : int, default=1
            For how many epochs it is going to be called.
        """
        following = self._following()
        self.are_prepared = following is not None
        now = [*opening, *closing, *(following or [])]
        if self._epoch is None or not are_same(self._known, now):
            self._known, self._of_blocks = now, {}
            calls = list(opening)
            for item in self._plan:
                if isinstance(item, Block):
                    calls += self._calls_of(self._blocks[id(item)], following)
                else:
                    calls.append(item)
            calls += [*closing, self._read]
            engine = Engine() if len(self._blocks) > MANY else self._engine
            self._epoch = engine.sequence(calls, most)
        self._epoch(n_epochs)

    def figures(self) -> Figures | None:
        """What the epochs have come to that are over since this was asked last; None for none."""
        if not self._squared_norms:
            return None
        b, total = self._b, None
        squared_norms, self._squared_norms = _together(b, self._squared_norms), []
        n_epochs = squared_norms.shape[0]
        first, *others = [block.take_losses(n_epochs) for block in self._blocks.values()]
        for losses, block in zip((first, *others), self._blocks.values(), strict=True):
            total = b.sum_on(b.xp.moveaxis(block.sizes(losses) * losses, -1, 0), total)
        return Figures(total, first[:, :, 0], squared_norms)

    def _following(self) -> list[list[Call]] | None:
        """The calls that follow each gradient; None where they are to be made one by one."""
        for block in self._blocks.values():
            block.prepared = block.prepared or self._objective.prepare(self._params, block.block)
            if block.prepared is None:
                return None
            if block.prepared.grad is not self._grad:
                self._follow(block.prepared.grad)
        if self._needs_loss:
            return None
        following = [group.calls(self._grad) for _, group in self._groups]
        if any(calls is None for calls in following):
            return None
        averaging = [] if self._averages is None else [self._averages.calls]
        return [self._clip_calls, *following, *averaging]  # type: ignore[list-item]

    def _calls_of(self, of_block: _OfBlock, following: list[list[Call]] | None) -> list[Call]:
        """What is done for the batches of a block."""
        is_first, prepared = of_block is next(iter(self._blocks.values())), of_block.prepared
        if following is None or prepared is None:
            return [partial(self._take_steps, of_block, is_first)]
        read = HostReads([prepared.losses], of_block.add_losses)
        if len(self._blocks) <= MANY:
            return [*prepared.opening, *self._steps_of(prepared, following, is_first), read]
        # Blocks of the same sizes have their steps in common.
        key = id(prepared.gradients), is_first
        if key not in self._of_blocks:
            steps = self._steps_of(prepared, following, is_first)
            self._of_blocks[key] = partial(self._engine.sequence(steps), 1)
        return [*prepared.opening, self._of_blocks[key], read]

    def _steps_of(
        self, prepared: Prepared, following: list[list[Call]], is_first: bool
    ) -> list[Call]:
        """The steps of a block, and what computes their losses."""
        after = [call for part in following for call in part]
        calls: list[Call] = []
        for number, gradient in enumerate(prepared.gradients):
            norm = self._norm_calls if is_first and number == 0 else []
            calls += [*gradient, *norm, *after]
        return [*calls, *prepared.closing]

    def _end_epochs(self, n_epochs: int, squared_norms: Array) -> None:
        self._squared_norms.append(self._b.xp.asarray(squared_norms, copy=True))

    def _follow(self, grad: Array) -> None:
        """Prepare what is done with a gradient that is always written to this array."""
        self._grad = grad
        arrays = {"grad": grad, "squared_norm": self._squared_norm}
        shape, dtype = tuple(grad.shape), host_dtype(grad.dtype).name
        self._norm_calls = self._bound(norm_program(shape, dtype), arrays)
        if self._limits is not None:
            arrays = {"grad": grad, "limits": self._limits}
            self._clip_calls = self._bound(clip_program(shape, dtype), arrays)

    def _bound(self, program: Program, arrays: dict[str, Array]) -> list[Call]:
        memory = Memory(self._b, self._params)
        return list(self._engine.bind(self._b, program, arrays, memory).calls())

    def _take_steps(self, of_block: _OfBlock, is_first: bool) -> None:
        """The steps of a block in Python: where code has to see them, or cannot be traced."""
        self._losses = []
        for number, batch in enumerate(self._objective.load(of_block.block)):
            self._step(batch, is_first and number == 0)
        losses = self._b.xp.stack(self._losses) if self._losses else self._objective.losses()
        of_block.add_losses(1, losses.mT[None, ...])

    def _step(self, batch: Any, is_first: bool) -> None:
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
            self._squared_norm[...] = self._b.row_dot(grad, grad)
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


class _OfBlock:
    """A block of an epoch, what is prepared for it, and the losses of its batches."""

    def __init__(self, b: Backend, block: Block):
        self._b, self.block = b, block
        self.prepared: Prepared | None = None
        self._losses: list[Array] = []
        self._sizes: Array = None

    def add_losses(self, n_times: int, losses: Array) -> None:
        """Those of the next epochs, ``(n_times, K, n_batches)``."""
        self._losses.append(self._b.xp.asarray(losses, copy=True))

    def take_losses(self, n_epochs: int) -> Array:
        """Those that were added, of so many epochs."""
        losses, self._losses = _together(self._b, self._losses)[:n_epochs, ...], []
        return losses

    def sizes(self, like: Array) -> Array:
        """How many samples its batches have, ``(n_batches,)``."""
        if self._sizes is None:
            self._sizes = self._b.asarray(np.array(self.block.sizes), dtype=like.dtype)
        return self._sizes


def _together(b: Backend, parts: list[Array]) -> Array:
    return parts[0] if len(parts) == 1 else b.xp.concat(parts)


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
