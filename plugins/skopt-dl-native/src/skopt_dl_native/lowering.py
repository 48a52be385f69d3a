"""From instructions on arrays ``(K, …)`` to the words that the interpreter runs for one model."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import as_strided

from skopt_dl.programs import Buffer, Instruction, Value
from skopt_dl.programs.instructions import ELEMENTWISE
from skopt_dl.programs.memory import fit
from skopt_dl.programs.values import order_of, pattern, resolve
from skopt_dl_native import _interpreter
from skopt_dl_native import words as w

# What models of a stack are apart in a pattern of memory that each has for itself: more than any
# view reaches, so that a view that mixes models is found out.
FAR = 1 << 44
MAX_AXES, MAX_REGISTERS = 8, 200
# How many records a step is moved before, if that spares a run of its own.
NEAREST = 4


class Unsupported(Exception):  # noqa: N818 (nobody sees it)
    """An instruction that the interpreter has no words for; it is left to NumPy."""


class View(NamedTuple):
    """One model's part of a value.

    Attributes
    ----------
    buffer : Buffer
    offset : int
        Bytes from where the buffer begins.
    models : int
        Bytes from one model's part to the next.
    shape, strides : tuple of int
        Without the axis of models; strides in bytes.
    dtype : dtype
    """

    buffer: Buffer
    offset: int
    models: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    dtype: np.dtype[Any]

    @property
    def place(self) -> tuple[Any, ...]:
        """What is equal for views of the same elements in the same order."""
        return self.offset, self.models, self.shape, self.strides, self.dtype

    @property
    def reach(self) -> tuple[int, int]:
        """Where the bytes of all elements begin and end."""
        ends = [
            stride * (length - 1) for length, stride in zip(self.shape, self.strides, strict=True)
        ]
        low, high = sum(min(0, end) for end in ends), sum(max(0, end) for end in ends)
        return self.offset + low, self.offset + high + self.dtype.itemsize

    def broadcast(self, shape: tuple[int, ...]) -> View:
        """The view repeated along axes."""
        new = len(shape) - len(self.shape)
        strides = (0,) * new + tuple(
            0 if length == 1 else stride
            for length, stride in zip(self.shape, self.strides, strict=True)
        )
        return self._replace(shape=shape, strides=strides)

    def along(self, axes: Sequence[int]) -> tuple[int, ...]:
        return tuple(self.strides[axis] for axis in axes)


Number = float | int | bool


@dataclass
class Step:
    """One function of each element: what a run consists of."""

    function: int
    dtype: np.dtype[Any]
    out: View
    inputs: list[View | Number]

    @property
    def views(self) -> list[View]:
        """The arrays among the inputs."""
        return [each for each in self.inputs if isinstance(each, View)]


@dataclass
class Run:
    """Steps that are done for some elements after the other."""

    steps: list[Step] = field(default_factory=list)
    n_multiplications: ClassVar[int] = 0

    @property
    def steps_of_views(self) -> list[list[View]]:
        """What each step writes, and then what it reads."""
        return [[each.out, *each.views] for each in self.steps]

    def encode(self, encoder: Encoder) -> list[int]:
        return _RunWords(encoder, self).words()

    def admits(self, step: Step) -> bool:
        """Whether one more step keeps the meaning of all: elements depend on their own alone."""
        first = self.steps[0].out
        if step.out.shape != first.shape or _order(step.out) != _order(first):
            return False
        n_registers = sum(len(each.inputs) + 1 for each in (*self.steps, step))
        if n_registers > MAX_REGISTERS // 2:
            return False
        before = [each.out for each in self.steps]
        read = [view for each in self.steps for view in each.views]
        for view in step.views:
            if any(_differ(view, out) for out in before):
                return False
        return not any(_differ(step.out, other) for other in [*before, *read])


def _differ(view: View, other: View) -> bool:
    """Whether two views have elements in common, but not the same ones in the same order."""
    return view.place != other.place and _meet(view, other)


def _meet(view: View, other: View) -> bool:
    """Whether two views may have elements in common."""
    if view.buffer is not other.buffer:
        return False
    (low, high), (other_low, other_high) = view.reach, other.reach
    return view.models != other.models or (low < other_high and other_low < high)


def _order(view: View) -> tuple[int, ...]:
    """Axes from the outermost in memory to the innermost, those of length 1 left out."""
    axes = [axis for axis, length in enumerate(view.shape) if length > 1]
    return tuple(sorted(axes, key=lambda axis: -abs(view.strides[axis])))


class Code(NamedTuple):
    """Words for the interpreter.

    Attributes
    ----------
    words : ndarray of int64
    address : int
        Where they are.
    buffers : tuple of Buffer
        Those that are handed in, from buffer 1 on.
    n_bytes : int
        Memory of one model, besides the slots.
    n_multiplications : int
        Of products and convolutions, for one model.
    """

    words: np.ndarray
    address: int
    buffers: tuple[Buffer, ...]
    n_bytes: int
    n_multiplications: int


class Lowering:
    """Instructions, and what is known of the arrays that they work on.

    Parameters
    ----------
    n_models : int
    given : dict of Buffer to ndarray
        Patterns of what lies outside: inputs, constants, and what NumPy's part works on.
    """

    def __init__(self, n_models: int, given: Mapping[Buffer, np.ndarray]):
        self.n_models, self._given = n_models, given
        self._patterns: dict[Buffer, np.ndarray] = {}
        self.records: list[Run | Other] = []

    def is_own(self, buffer: Buffer) -> bool:
        return buffer not in self._given

    def is_sparse(self, buffer: Buffer) -> bool:
        """Whether an input is sparse rows: words about their matrices are given in its place."""
        return buffer in self._given and self._given[buffer].dtype != buffer.like.dtype

    def sparse(self, buffer: Buffer) -> View:
        """One model's words about its matrix."""
        whole = self._patterns[buffer] = self._given[buffer]
        models = whole.strides[0] if whole.shape[0] > 1 else 0
        return View(buffer, 0, models, whole.shape[1:], whole.strides[1:], whole.dtype)

    def view(self, value: Value, shape: tuple[int, ...] | None = None) -> View:
        """One model's part of a value, broadcast to a shape ``(K, …)`` where one is given.

        Raises
        ------
        Unsupported
            If models are not its first axis, or its dtype is none of the interpreter's.
        """
        buffer = value.buffer
        if buffer.array is not None and buffer not in self._given:
            raise Unsupported("a number in the place of an array")
        if value.dtype not in w.DTYPES:
            raise Unsupported(f"dtype {value.dtype}")
        if self.is_sparse(buffer):
            raise Unsupported("sparse rows in the place of an array")
        whole = self._patterns.get(buffer)
        if whole is None:
            whole = self._patterns[buffer] = self._pattern(buffer)
        try:
            found = resolve(np, value.steps, whole)
            if shape is not None:
                found = np.broadcast_to(found, shape)
        except ValueError as error:
            raise Unsupported(str(error)) from None
        offset = _address(found) - _address(whole)
        if found.ndim == 0:
            return View(buffer, offset, 0, (), (), value.dtype)
        models = found.strides[0] if found.shape[0] > 1 else 0
        if found.shape[0] not in (1, self.n_models):
            raise Unsupported("models are not the first axis")
        if self.is_own(buffer) and whole.ndim:
            _check_apart(whole, found, offset)
            models = 0
        elif self.n_models > 1 and (value.steps or found.ndim != whole.ndim) and whole.ndim:
            # As if models were far apart here, too: they run one after the other.
            apart = as_strided(whole, whole.shape, (FAR, *whole.strides[1:]), writeable=False)
            try:
                seen = np.broadcast_to(resolve(np, value.steps, apart), found.shape)
            except ValueError:
                raise Unsupported("models are mixed") from None
            _check_apart(whole, seen, _address(seen) - _address(apart))
        if any(each % value.dtype.itemsize for each in (offset, *found.strides)):
            raise Unsupported("elements lie between others")
        one = View(buffer, offset, models, found.shape[1:], found.strides[1:], value.dtype)
        return one.broadcast(one.shape)

    def _pattern(self, buffer: Buffer) -> np.ndarray:
        if buffer in self._given:
            return self._given[buffer]
        like = buffer.like
        if like.ndim == 0:
            return pattern((), like.dtype)
        inner = [axis - 1 for axis in order_of(like) if axis > 0]
        one = pattern(like.shape[1:], like.dtype, inner)
        return as_strided(one, like.shape, (FAR, *one.strides), writeable=False)

    def scratch(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> View:
        """Memory for one instruction."""
        buffer = Buffer(pattern((1, *shape), dtype))
        return self.view(Value(buffer))

    def operand(self, value: Any, shape: tuple[int, ...]) -> View | Number:
        """A view, or a number where a value is one."""
        if not isinstance(value, Value):
            return value
        constant = value.buffer.array
        if constant is not None and np.ndim(constant) == 0:
            return constant.item() if hasattr(constant, "item") else constant
        return self.view(value, shape)

    def add(self, instruction: Instruction) -> None:
        """Take in an instruction."""
        out = self.view(instruction.out)
        if 0 in out.shape or any(0 in v.shape for v in instruction.values):
            raise Unsupported("there are no elements")
        if not self.is_own(out.buffer) and out.models == 0 and self.n_models > 1:
            raise Unsupported("every model would write it")
        for record in list(_records(self, instruction, out)):
            self._append(record)

    def _append(self, record: Step | Other) -> None:
        if not isinstance(record, Step):
            self.records.append(record)
            return
        # Steps join the nearest run that they can be done in as well.
        for other in self.records[: -NEAREST - 1 : -1]:
            if isinstance(other, Run) and other.admits(record):
                other.steps.append(record)
                return
            if _depends(record, other):
                break
        self.records.append(Run([record]))

    def code(self) -> Code:
        """The words of all that was taken in."""
        in_slots = self._in_slots(Uses(self.records), self.records)
        for record in self.records:
            if isinstance(record, Run):
                record.steps = _fuse(record.steps, in_slots)
        records = _sum_products(_finish_products(self.records, self.is_own), self.is_own)
        uses = Uses(records)
        in_slots = self._in_slots(uses, records)
        lives = {
            buffer: (*uses.life(buffer), _n_bytes(self._patterns[buffer]))
            for buffer in uses.records
            if self.is_own(buffer) and buffer not in in_slots
        }
        places, n_bytes = fit(lives)
        encoder = Encoder(places, in_slots)
        body = [word for each in records for word in each.encode(encoder)]
        buffers = tuple(encoder.numbers)
        limits = [0, n_bytes]
        for buffer in buffers:
            low, high = _limits(self._given[buffer])
            limits += [_interpreter.OF_ADDRESSES if self.is_sparse(buffer) else low, high]
        head = [self.n_models, len(buffers) + 1, n_bytes, len(records)]
        words = [0, *head, *limits, *body]
        words[0] = len(words)
        found = np.array(words, dtype=np.int64)
        _interpreter.check(found)
        n_multiplications = sum(each.n_multiplications for each in records)
        return Code(found, found.ctypes.data, buffers, n_bytes, n_multiplications)

    def _in_slots(self, uses: Uses, records: Sequence[Run | Other]) -> set[Buffer]:
        """The buffers that live in one run alone."""
        return {buffer for buffer in uses.records if self._is_in_slot(buffer, uses, records)}

    def _is_in_slot(self, buffer: Buffer, uses: Uses, records: Sequence[Run | Other]) -> bool:
        first, last = uses.life(buffer)
        return (
            self.is_own(buffer)
            and first == last
            and isinstance(records[first], Run)
            and buffer not in uses.read_first
            and len(uses.views[buffer]) == 1
            and _fills(self._patterns[buffer], records[first])
        )


class Uses:
    """Where the buffers of some records are used.

    Attributes
    ----------
    records : dict of Buffer to list of int
        The number of the record, for each time that a buffer is in one.
    views : dict of Buffer to set
        As what it is seen.
    read_first : set of Buffer
        Those that are read before they are written.
    """

    def __init__(self, records: Sequence[Run | Other]):
        self.records: dict[Buffer, list[int]] = {}
        self.views: dict[Buffer, set[Any]] = {}
        self.read_first: set[Buffer] = set()
        for number, record in enumerate(records):
            for out, *inputs in record.steps_of_views:
                self.read_first |= {view.buffer for view in inputs} - self.records.keys()
                for view in (out, *inputs):
                    self.records.setdefault(view.buffer, []).append(number)
                    self.views.setdefault(view.buffer, set()).add(view.place)

    def life(self, buffer: Buffer) -> tuple[int, int]:
        """The first and the last record."""
        return self.records[buffer][0], self.records[buffer][-1]


def _finish_products(
    records: Sequence[Run | Other], is_own: Callable[[Buffer], bool]
) -> list[Run | Other]:
    """Have products do at once what is done with their results: a sum with a bias, an activation.

    What is done along several products' results, as with all weights' gradients, each does to its
    own.
    """
    uses = Uses(records)
    found: list[Run | Other] = []
    # Products by where they are.
    products: dict[int, Product] = {}

    def finished(step: Step, kept: Run) -> tuple[int, Product] | None:
        """A product that does a step that comes after these, and where it is."""
        for place, product in products.items():
            # Nothing else sees the plain product: it is written over, or is read this once.
            is_gone = is_own(product.out.buffer) and len(uses.records[product.out.buffer]) == 2
            whole = product.then(step) if is_gone or step.out == product.out else None
            between = [*found[place + 1 :], kept]
            if whole and not any(_depends(step, each) for each in between):
                return place, whole
        return None

    def joins(step: Step, kept: Run) -> bool:
        """Whether products do a step that comes after these."""
        parts = _parts(step, [each.out for each in products.values()])
        done = [each for part in parts if (each := finished(part, kept))]
        if len(done) < len(parts):
            return False
        for place, product in done:
            found[place] = products[place] = product
        return True

    for record in records:
        if isinstance(record, Run):
            kept = Run()
            for step in record.steps:
                if not joins(step, kept):
                    kept.steps.append(step)
            if kept.steps:
                found.append(kept)
            continue
        if isinstance(record, Product):
            products[len(found)] = record
        found.append(record)
    return found


def _parts(step: Step, outs: Sequence[View]) -> list[Step]:
    """A step along memory as one on each of some arrays, if they make up what it writes."""
    whole, size = step.out, step.out.dtype.itemsize
    inside = [each for each in outs if _meet(each, whole)]
    inside.sort(key=lambda each: each.offset)
    edges = [whole.offset, *(each.offset + math.prod(each.shape) * size for each in inside)]
    spans = [*pairwise(edges)]
    if (
        [each.reach for each in inside] != spans
        or whole.reach != (edges[0], edges[-1])
        or any(each.models != whole.models for each in inside)
        or any(view.strides not in ((0,), (size,)) for view in (whole, *step.views))
    ):
        return [step]

    def cut(value: View | Number, out: View) -> View | Number:
        if not isinstance(value, View):
            return value
        strides = out.strides if any(value.strides) else (0,) * len(out.shape)
        offset = value.offset + (out.offset - whole.offset if any(value.strides) else 0)
        return value._replace(offset=offset, shape=out.shape, strides=strides)

    return [
        replace(step, out=out, inputs=[cut(value, out) for value in step.inputs]) for out in inside
    ]


def _sum_products(
    records: Sequence[Run | Other], is_own: Callable[[Buffer], bool]
) -> list[Run | Other]:
    """Have sums multiply what they add, where nothing else reads the products."""
    uses, found = Uses(records), list(records)
    for number, record in enumerate(records):
        if not isinstance(record, Reduction) or not is_own(record.x.buffer):
            continue
        # What is summed is both of the factors that a reduction may have: it is in two places here.
        first, *others = uses.records[record.x.buffer]
        run = found[first]
        if others != [number, number] or not isinstance(run, Run):
            continue
        for place, step in enumerate(run.steps):
            whole = record.of_products(step)
            between = [Run(run.steps[place + 1 :]), *found[first + 1 : number]]
            if whole and not any(_writes(each, step.views) for each in between):
                found[first], found[number] = Run(run.steps[:place] + run.steps[place + 1 :]), whole
                break
    return [each for each in found if not isinstance(each, Run) or each.steps]


def _writes(record: Run | Other, views: Sequence[View]) -> bool:
    """Whether a record writes to some of these."""
    return any(_meet(out, view) for out, *_ in record.steps_of_views for view in views)


def _depends(step: Step, record: Run | Other) -> bool:
    """Whether a step does something else before a record than after it."""
    return any(
        any(_meet(written, view) for view in step.views)
        or any(_meet(step.out, view) for view in (written, *others))
        for written, *others in record.steps_of_views
    )


def _fuse(steps: Sequence[Step], in_slots: set[Buffer]) -> list[Step]:
    """Make a step, and the one that alone reads its result, one step: rounded as the two are."""
    found = dict(enumerate(steps))
    for number in range(len(steps)):
        place = _reader_of(number, found, in_slots)
        if place is not None and (both := _as_one(found[number], found[place])):
            found[place] = both
            del found[number]
    return list(found.values())


def _as_one(first: Step, second: Step) -> Step | None:
    """Two steps, the second of which reads the first's result once; None where none does both."""
    names = w.NAMES[first.function], w.NAMES[second.function]
    place = second.inputs.index(first.out)
    others = [each for each in second.inputs if each != first.out]
    # A factor that is the same for all elements comes second.
    given = sorted(first.inputs, key=lambda each: not _varies(each))
    is_square = names[0] == "square" or (names[0] == "multiply" and given[0] == given[1])
    if names == ("multiply", "add"):
        name, inputs = "multiply_add", [*given, *others]
    elif names == ("square", "add"):
        name, inputs = "multiply_add", [*given, *given, *others]
    elif names[1] == "multiply_add" and place == 2 and is_square:
        name, inputs = "multiply_add_square", [*others, given[0]]
    elif names == ("multiply", "multiply_add") and place == 2 and others[0] == others[1]:
        name, inputs = "multiply_add_square", [*given, others[0]]
    elif names == ("sqrt", "add"):
        name, inputs = "root_add", [*given, *others]
    elif names == ("root_add", "divide") and place == 1:
        name, inputs = "divide_by_root", [*others, *first.inputs]
    elif names == ("copy", "multiply") and first.dtype.kind == "b":
        name, inputs = "multiply_condition", [*first.inputs, *others, *others]
    else:
        return None
    return Step(w.FUNCTIONS[name], second.dtype, second.out, inputs)


def _varies(value: View | Number) -> bool:
    return isinstance(value, View) and any(value.strides)


def _reader_of(number: int, steps: Mapping[int, Step], in_slots: set[Buffer]) -> int | None:
    """The step that reads once what another writes, which nothing else ever reads; or None."""
    first = steps[number]
    if first.out.dtype.kind != "f":
        return None
    buffer, given = first.out.buffer, {view.buffer for view in first.views}
    later = [place for place in steps if place > number]
    for place in later:
        step = steps[place]
        if buffer in {view.buffer for view in (step.out, *step.views)}:
            break
        if step.out.buffer in given:
            return None
    else:
        return None
    if step.dtype != first.out.dtype or step.inputs.count(first.out) != 1:
        return None
    others = [steps[each] for each in later if each > place]
    is_gone = buffer in in_slots and all(
        buffer not in {view.buffer for view in (each.out, *each.views)} for each in others
    )
    # Where the result is written to what was given, it is read element by element before.
    meets = [view for view in first.views if view.buffer is step.out.buffer]
    if any(view.place != step.out.place for view in meets):
        return None
    return place if step.out == first.out or is_gone else None


def _check_apart(whole: np.ndarray, found: np.ndarray, offset: int) -> None:
    """Refuse a view in which models meet; those of an array are `FAR` apart here."""
    models = found.strides[0] if found.shape[0] > 1 else 0
    reach = sum(
        abs(stride) * (length - 1)
        for length, stride in zip(found.shape[1:], found.strides[1:], strict=True)
    )
    is_each = models == (FAR if whole.shape[0] > 1 else 0)
    if not is_each or max(reach, abs(offset)) >= FAR // 2:
        raise Unsupported("models are mixed")


def _address(array: np.ndarray) -> int:
    return int(array.__array_interface__["data"][0])


def _n_bytes(whole: np.ndarray) -> int:
    """What one model's part takes."""
    return math.prod(whole.shape[1:]) * whole.itemsize


def _fills(whole: np.ndarray, run: Any) -> bool:
    """Whether a buffer has as many elements as a run."""
    return math.prod(whole.shape[1:]) == math.prod(run.steps[0].out.shape)


def _limits(whole: np.ndarray) -> tuple[int, int]:
    low = high = 0
    for length, stride in zip(whole.shape, whole.strides, strict=True):
        low, high = low + min(0, stride * (length - 1)), high + max(0, stride * (length - 1))
    return low, high + whole.itemsize


# ---- What instructions consist of ----


class Other:
    """A record that is no run."""

    @property
    def n_multiplications(self) -> int:
        """Of products, which threads may share."""
        return 0

    @property
    def views(self) -> list[View]:
        """What it writes, and then what it reads."""
        raise NotImplementedError

    @property
    def steps_of_views(self) -> list[list[View]]:
        return [self.views]

    def encode(self, encoder: Encoder) -> list[int]:
        """Its words."""
        raise NotImplementedError


@dataclass
class Plain(Other):
    """A record of sizes and operands: views, and the strides to follow in each."""

    op: int
    sizes: list[int]
    operands: list[tuple[View, Sequence[int]]]
    n_multiplications: int = 0

    @property
    def views(self) -> list[View]:
        return [view for view, _ in self.operands]

    def encode(self, encoder: Encoder) -> list[int]:
        return encoder.record(self.op, self.sizes, *self.operands)


def _records(lowering: Lowering, instruction: Instruction, out: View) -> Iterator[Step | Other]:
    op = instruction.op
    if op in ELEMENTWISE:
        shape = instruction.out.shape
        inputs = [lowering.operand(each, shape) for each in instruction.inputs]
        kinds = [each.dtype for each in inputs if isinstance(each, View)]
        # Of numbers alone: a comparison's result has another dtype than they have.
        first = next((each.dtype for each in instruction.values), out.dtype)
        dtype = out.dtype if op in ("where", "clip") else (kinds or [first])[0]
        if any(each != dtype for each in kinds[op == "where" and isinstance(inputs[0], View) :]):
            raise Unsupported("dtypes are mixed")
        function = w.FUNCTIONS.get(op)
        if function is None or not w.has_function(op, dtype):
            raise Unsupported(f"{op} of {dtype}")
        yield Step(function, dtype, out, inputs)
        return
    make = _OTHERS.get(op)
    if make is None:
        raise Unsupported(op)
    yield from make(lowering, instruction, out)


def _copy_step(out: View, given: View | Number) -> Step:
    dtype = given.dtype if isinstance(given, View) else out.dtype
    return Step(w.COPY, dtype, out, [given])


def _copy(lowering: Lowering, instruction: Instruction, out: View) -> Iterator[Step]:
    yield _copy_step(out, lowering.operand(instruction.inputs[0], instruction.out.shape))


def _cut(view: View, axis: int, start: int, length: int, step: int = 1) -> View:
    """Part of a view along one of its axes."""
    shape, strides = list(view.shape), list(view.strides)
    offset = view.offset + start * strides[axis]
    shape[axis], strides[axis] = length, strides[axis] * step
    cut = view._replace(offset=offset, shape=tuple(shape), strides=tuple(strides))
    return cut.broadcast(cut.shape)


def _concat(lowering: Lowering, instruction: Instruction, out: View) -> Iterator[Step]:
    axis, start = instruction.attributes["axis"] - 1, 0
    if axis < 0:
        raise Unsupported("models are put together")
    for value in instruction.values:
        length = value.shape[axis + 1]
        shape = list(instruction.out.shape)
        shape[axis + 1] = length
        yield _copy_step(_cut(out, axis, start, length), lowering.operand(value, tuple(shape)))
        start += length


def _pad(lowering: Lowering, instruction: Instruction, out: View) -> Iterator[Step]:
    view, (_, *widths) = lowering.view(instruction.values[0]), instruction.attributes["widths"]
    yield _copy_step(out, instruction.attributes["value"])
    inner = out
    for axis, ((before, _), length) in enumerate(zip(widths, view.shape, strict=True)):
        inner = _cut(inner, axis, before, length)
    yield _copy_step(inner, view)


def _windows(images: View, patches: View, stride: tuple[int, int]) -> View:
    """The patches of images ``(…, height, width, c)`` as a view ``(…, i, j, p, q, c)``."""
    *outer, down, across, channel = images.strides
    strides = (*outer, down * stride[0], across * stride[1], down, across, channel)
    windows = images._replace(shape=patches.shape, strides=strides)
    return windows.broadcast(windows.shape)


def _patches(lowering: Lowering, instruction: Instruction, out: View) -> Iterator[Step]:
    images = lowering.view(instruction.values[0])
    yield _copy_step(out, _windows(images, out, instruction.attributes["stride"]))


def _unpatches(lowering: Lowering, instruction: Instruction, out: View) -> Iterator[Step]:
    patches = lowering.view(instruction.values[0])
    windows = _windows(out, patches, instruction.attributes["stride"])
    high, wide = (len(patches.shape) - 3, len(patches.shape) - 2)
    yield _copy_step(out, 0.0)
    for p in range(patches.shape[high]):
        for q in range(patches.shape[wide]):
            place, patch = (_cut(_cut(each, high, p, 1), wide, q, 1) for each in (windows, patches))
            yield Step(w.FUNCTIONS["add"], out.dtype, place, [place, patch])


def _reduction(lowering: Lowering, instruction: Instruction, out: View) -> Iterator[Other]:
    x = lowering.view(instruction.values[0])
    axes = [axis - 1 for axis in instruction.attributes["axes"]]
    yield _reduce(
        {"sum": w.SUM, "max": w.MAXIMUM, "min": w.MINIMUM}[instruction.op], out, x, x, axes
    )


def _vecdot(lowering: Lowering, instruction: Instruction, out: View) -> Iterator[Other]:
    shape = np.broadcast_shapes(*(each.shape for each in instruction.values))
    x, y = (lowering.view(each, shape) for each in instruction.values)
    yield _reduce(w.DOT, out, x, y, [len(shape) - 2])


@dataclass
class Reduction(Other):
    """A sum over some axes of `x`, or of its products with `y`, or an extreme.

    Where there is nothing to multiply with, `y` is `x`.
    """

    kind: int
    out: View
    x: View
    y: View
    axes: Sequence[int]

    @property
    def views(self) -> list[View]:
        return [self.out, self.x, self.y]

    def of_products(self, step: Step) -> Reduction | None:
        """The sum of the products that a step writes; None if it sums something else."""
        is_product = step.function == w.FUNCTIONS["multiply"] and len(step.views) == 2
        if self.kind != w.SUM or step.out != self.x or not is_product:
            return None
        x, y = step.views
        is_apart = not (_meet(self.out, x) or _meet(self.out, y))
        # Neighbours are neighbours in both, as they were.
        if not is_apart or not x.strides == y.strides == self.x.strides:
            return None
        return replace(self, kind=w.DOT, x=x, y=y)

    def encode(self, encoder: Encoder) -> list[int]:
        out, x, y = self.out, self.x, self.y
        # Axes that are summed over have no stride in the result.
        left = iter(out.strides)
        if len(out.shape) == len(x.shape):
            out_strides = list(out.strides)
        else:
            out_strides = [0 if axis in self.axes else next(left) for axis in range(len(x.shape))]
        kept = [axis for axis in range(len(x.shape)) if axis not in self.axes and x.shape[axis] > 1]
        reduced = [axis for axis in self.axes if x.shape[axis] > 1]
        lengths, steps = [], []
        for group in (kept, reduced):
            ordered = sorted(group, key=lambda axis: -abs(x.strides[axis]))
            merged = _merge(
                [x.shape[axis] for axis in ordered],
                [
                    [strides[axis] for axis in ordered]
                    for strides in (out_strides, x.strides, y.strides)
                ],
            )
            lengths.append(merged[0])
            steps.append(merged[1])
        if len(lengths[0]) + len(lengths[1]) > MAX_AXES:
            raise Unsupported("too many axes")
        (out_kept, x_kept, y_kept), (_, x_reduced, y_reduced) = steps
        n_kept, n_reduced = map(len, lengths)
        sizes = [self.kind, w.DTYPES[x.dtype], n_kept, n_reduced, *lengths[0], *lengths[1]]
        inputs = [(x, [*x_kept, *x_reduced]), (y, [*y_kept, *y_reduced])]
        return encoder.record(w.REDUCE, sizes, (out, out_kept), *inputs)


def _reduce(kind: int, out: View, x: View, y: View, axes: Sequence[int]) -> Reduction:
    if x.dtype != y.dtype or x.dtype != out.dtype or (kind in (w.SUM, w.DOT) and x.dtype == bool):
        raise Unsupported("dtypes are mixed")
    if min(axes, default=0) < 0:
        raise Unsupported("models are added up")
    return Reduction(kind, out, x, y, axes)


def _merge(
    lengths: Sequence[int], strides: Sequence[Sequence[int]]
) -> tuple[list[int], list[list[int]]]:
    """Neighbouring axes as one, where no array has gaps between them."""
    merged: list[int] = []
    steps: list[list[int]] = [[] for _ in strides]
    for axis, length in enumerate(lengths):
        now = [each[axis] for each in strides]
        if merged and all(s[-1] == n * length for s, n in zip(steps, now, strict=True)):
            merged[-1] *= length
            for each, n in zip(steps, now, strict=True):
                each[-1] = n
        else:
            merged.append(length)
            for each, n in zip(steps, now, strict=True):
                each.append(n)
    return merged, steps


def _matmul(lowering: Lowering, instruction: Instruction, out: View) -> Iterator[Other]:
    if lowering.is_sparse(instruction.values[0].buffer):
        yield _sparse_product(lowering, instruction, out)
        return
    outer = instruction.out.shape[:-2]
    a, b = (lowering.view(each, (*outer, *each.shape[-2:])) for each in instruction.values)
    if out.dtype.kind != "f" or {a.dtype, b.dtype} != {out.dtype}:
        raise Unsupported("products of no floats")
    outer = out.shape[:-2]
    if len(instruction.out.shape) < 3:
        raise Unsupported("no axis of models")
    if not all(_is_matrix(each) for each in (out, a, b)):
        raise Unsupported("a factor with gaps")
    if len(outer) > MAX_AXES - 2:
        raise Unsupported("too many axes")
    yield Product(out, a, b)


def _sparse_product(lowering: Lowering, instruction: Instruction, out: View) -> Other:
    first, second = instruction.values
    is_transposed = first.steps == (("permute", (0, 2, 1)),)
    right, size = lowering.view(second), out.dtype.itemsize
    if (first.steps and not is_transposed) or len(out.shape) != 2 or len(right.shape) != 2:
        raise Unsupported("parts of sparse rows")
    if out.dtype.kind != "f" or right.dtype != out.dtype:
        raise Unsupported("products of no floats")
    if out.shape[1] > 1 and (out.strides[1], right.strides[1]) != (size, size):
        raise Unsupported("rows with gaps")
    rows, table = (right, out) if is_transposed else (out, right)
    sizes = [w.DTYPES[out.dtype], *rows.shape, table.shape[0]]
    op, matrix = w.SPARSE_TN if is_transposed else w.SPARSE, lowering.sparse(first.buffer)
    return Plain(op, sizes, [(each, each.strides) for each in (out, right, matrix)])


@dataclass
class Product(Other):
    """Products of matrices, what is added to them, if anything, and a function of the sum.

    A term is added once, or as many times as a number in memory says. The function is `COPY`,
    relu, or relu_gradient, which is told by a mask where to be zero.
    """

    out: View
    a: View
    b: View
    term: View | None = None
    times: View | None = None
    function: int = w.COPY
    mask: View | None = None

    @property
    def n_multiplications(self) -> int:
        return math.prod(self.a.shape) * self.b.shape[-1]

    @property
    def views(self) -> list[View]:
        others = [each for each in (self.term, self.times, self.mask) if each is not None]
        return [self.out, self.a, self.b, *others]

    def then(self, step: Step) -> Product | None:
        """The product with a step on its result; None where it cannot take that in."""
        others = [view for view in step.views if view != self.out]
        if self.out not in step.views or len(others) != len(step.inputs) - 1:
            return None
        if self.function != w.COPY:
            return None
        if step.function == w.FUNCTIONS["add"] and self.term is None:
            found = replace(self, out=step.out, term=others[0])
        elif step.function == w.FUNCTIONS["multiply_add"] and self.term is None:
            if step.inputs[2] != self.out or any(others[1].strides[-2:]):
                return None
            found = replace(self, out=step.out, term=others[0], times=others[1])
        elif step.function == w.FUNCTIONS["relu"]:
            found = replace(self, out=step.out, function=step.function)
        elif step.function == w.FUNCTIONS["relu_gradient"] and step.inputs[0] == self.out:
            found = replace(self, out=step.out, function=step.function, mask=others[0])
        else:
            return None
        meets = {view.buffer for view in found.views[1:]}
        is_apart = meets.isdisjoint({self.out.buffer, step.out.buffer})
        return found if is_apart and _is_matrix(step.out) and found.has_lines() else None

    def has_lines(self) -> bool:
        """Whether a mask has its neighbours where the result has them."""
        if self.mask is None:
            return True
        (n, m), size = self.out.shape[-2:], self.out.dtype.itemsize
        along = -1 if self.out.strides[-1] == size or m == 1 else -2
        return self.mask.strides[along] == size or (n, m)[along] == 1

    def encode(self, encoder: Encoder) -> list[int]:
        outer = self.out.shape[:-2]
        sizes = [w.DTYPES[self.out.dtype], len(outer), *outer, *self.a.shape[-2:]]
        sizes += [
            self.b.shape[-1],
            *(int(each is not None) for each in (self.term, self.times)),
            self.function,
        ]
        return encoder.record(w.MATMUL, sizes, *((each, each.strides) for each in self.views))


def _is_matrix(view: View) -> bool:
    """Whether BLAS can read it, transposed or not."""
    (n, m), (s, t), size = view.shape[-2:], view.strides[-2:], view.dtype.itemsize
    by_rows = (t == size or m == 1) and (n == 1 or s >= m * size)
    by_columns = (s == size or n == 1) and (m == 1 or t >= n * size)
    return by_rows or by_columns


def _table(lowering: Lowering, instruction: Instruction, out: View) -> Iterator[Other]:
    first, second = (lowering.view(each) for each in instruction.values)
    indices, other = (second, first) if instruction.op == "take" else (first, second)
    rows, table = (out, other) if instruction.op == "take" else (other, out)
    if indices.dtype != np.int64 or rows.dtype != table.dtype or len(table.shape) != 2:
        raise Unsupported("no table")
    n_columns, size = rows.shape[-1], rows.dtype.itemsize
    axes = len(indices.shape)
    flat = _merge(indices.shape, [indices.strides, rows.strides[:axes]])
    has_gaps = n_columns > 1 and (rows.strides[-1], table.strides[-1]) != (size, size)
    if len(flat[0]) > 1 or (has_gaps and instruction.op != "take"):
        raise Unsupported("rows with gaps")
    n_rows = math.prod(indices.shape)
    index_stride, row_stride = (each[0] if each else 0 for each in flat[1])
    found = [(rows, [row_stride, rows.strides[-1]]), (table, list(table.strides))]
    if instruction.op == "add_at":
        found.reverse()
    op = w.TAKE if instruction.op == "take" else w.ADD_AT
    sizes = [w.DTYPES[rows.dtype], n_rows, n_columns, table.shape[0]]

    yield Plain(op, sizes, [*found, (indices, [index_stride])])


# Bytes of patches that are made at a time: they stay in the second-level cache.
PATCH_BYTES = 1 << 17


def _convolution(lowering: Lowering, instruction: Instruction, out: View) -> Iterator[Other]:
    outer = instruction.out.shape[:-2]
    images, other = (
        lowering.view(each, (*outer, *each.shape[-n:]))
        for each, n in zip(instruction.values, (4, 2), strict=True)
    )
    geometry, dtype = instruction.attributes["geometry"], out.dtype
    if dtype.kind != "f" or {images.dtype, other.dtype} != {dtype}:
        raise Unsupported("convolutions of no floats")
    outer, size = out.shape[:-2], dtype.itemsize
    n_images, height, width, n_channels = images.shape[-4:]
    if not (_is_matrix(out) and _is_matrix(other)) or (
        n_channels > 1 and images.strides[-1] != size
    ):
        raise Unsupported("a factor with gaps")
    if len(outer) > MAX_AXES - 4:
        raise Unsupported("too many axes")
    down, across = geometry.number(height, width)
    n_in = math.prod(geometry.size) * n_channels
    n_together = max(1, min(n_images * down, PATCH_BYTES // (across * n_in * size)))
    (top, _), (left, _) = geometry.padding
    sizes = [w.DTYPES[dtype], len(outer), *outer, *images.shape[-4:], *geometry.size]
    sizes += [*geometry.stride, top, left, down, across, out.shape[-1], n_together]
    patches = lowering.scratch((n_together * across, n_in), dtype)
    op = w.CONVOLVE if instruction.op == "convolve" else w.CONVOLVE_WEIGHTS

    operands: list[tuple[View, Sequence[int]]] = [
        *((each, each.strides) for each in (out, images, other)),
        (patches, patches.strides[:1]),
    ]
    n_multiplications = math.prod(outer) * n_images * down * across * n_in * out.shape[-1]
    yield Plain(op, sizes, operands, n_multiplications)


_OTHERS: dict[str, Callable[..., Iterator[Step | Other]]] = {
    "copy": _copy,
    "concat": _concat,
    "pad": _pad,
    "patches": _patches,
    "unpatches": _unpatches,
    "sum": _reduction,
    "max": _reduction,
    "min": _reduction,
    "vecdot": _vecdot,
    "matmul": _matmul,
    "convolve": _convolution,
    "convolve_weights": _convolution,
    "take": _table,
    "add_at": _table,
}


# ---- Words ----


class Encoder:
    """Knows where buffers are.

    Parameters
    ----------
    places : dict of Buffer to int
        Where own ones begin in a model's memory.
    in_slots : set of Buffer
        Those that live in a run alone.
    """

    def __init__(self, places: Mapping[Buffer, int], in_slots: set[Buffer]):
        self._places, self._in_slots = places, in_slots
        self.numbers: dict[Buffer, int] = {}

    def operand(self, view: View, strides: Sequence[int]) -> list[int]:
        if view.buffer in self._places:
            return [0, self._places[view.buffer] + view.offset, 0, *strides]
        number = self.numbers.setdefault(view.buffer, len(self.numbers) + 1)
        return [number, view.offset, view.models, *strides]

    def record(
        self, op: int, sizes: Sequence[int], *operands: tuple[View, Sequence[int]]
    ) -> list[int]:
        """An instruction that is no run."""
        body = [*sizes]
        for view, strides in operands:
            body += self.operand(view, strides)
        return [op, len(body) + 2, *body]


class _RunWords:
    """Registers of a run, and steps on them."""

    def __init__(self, encoder: Encoder, run: Run):
        self._encoder, self._run = encoder, run
        shape = run.steps[0].out.shape
        self._axes = _order(run.steps[0].out)
        views = [
            view
            for each in run.steps
            for view in (each.out, *each.views)
            if view.buffer not in encoder._in_slots
        ]
        distinct = list(dict.fromkeys(views))
        lengths, strides = _merge(
            [shape[axis] for axis in self._axes], [each.along(self._axes) for each in distinct]
        )
        missing = max(0, 2 - len(lengths))
        self._lengths = [1] * missing + lengths
        if len(self._lengths) > MAX_AXES:
            raise Unsupported("too many axes")
        self._strides = {
            view: [0] * missing + found for view, found in zip(distinct, strides, strict=True)
        }
        self._registers: list[list[int]] = []
        self._numbers: dict[Any, int] = {}
        self._steps: list[list[int]] = []
        # Slots that are free, and how many there are.
        self._free: list[int] = []
        self._n_slots = 0
        # The slot and register of each buffer that has one; and the steps that read it last.
        self._of_buffer: dict[Buffer, tuple[int, int]] = {}
        self._last = {
            view.buffer: number for number, each in enumerate(run.steps) for view in each.views
        }

    def words(self) -> list[int]:
        for number, each in enumerate(self._run.steps):
            self._add(number, each)
        n_axes = len(self._lengths)
        itemsize = max(w.SIZES[register[1]] for register in self._registers)
        body = [n_axes, *self._lengths, len(self._registers), self._n_slots, len(self._steps)]
        body.append(w.TILE_BYTES // 2 // itemsize)
        for register in self._registers:
            body += [*register, *[0] * (5 + n_axes - len(register))]
        for step in self._steps:
            body += step
        return [w.RUN, len(body) + 2, *body]

    def _register(self, key: Any, words: list[int]) -> int:
        if key not in self._numbers:
            self._numbers[key] = len(self._registers)
            self._registers.append(words)
        return self._numbers[key]

    def _slot(self, dtype: np.dtype[Any]) -> tuple[int, int]:
        """A free slot, and the register that it is in this dtype."""
        if not self._free:
            self._free.append(self._n_slots)
            self._n_slots += 1
        slot = self._free.pop()
        code = w.DTYPES[dtype]
        return slot, self._register(("slot", slot, code), [w.SLOT, code, slot])

    def _memory(self, view: View) -> tuple[int, bool]:
        """The register of a view, and whether functions can work on it as it is."""
        strides = self._strides[view]
        code = w.DTYPES[view.dtype]
        words = [w.IN_MEMORY, code, *self._encoder.operand(view, strides)]
        direct = strides[-1] in (0, view.dtype.itemsize)
        return self._register(("memory", view), words), direct

    def _add(self, number: int, step: Step) -> None:
        is_copy = step.function == w.COPY
        freed: list[int] = []
        inputs = []
        for place, each in enumerate(step.inputs):
            if not isinstance(each, View):
                is_condition = step.function in w.OF_CONDITIONS and place == 0
                dtype = np.dtype(bool) if is_condition else step.dtype
                words = [w.NUMBER, w.DTYPES[dtype], _bits(each, dtype)]
                inputs.append(self._register(("number", *words), words))
            elif each.buffer in self._encoder._in_slots:
                slot, register = self._of_buffer[each.buffer]
                inputs.append(register)
                if self._last[each.buffer] == number and slot not in freed:
                    freed.append(slot)
            else:
                register, direct = self._memory(each)
                if not direct and not is_copy:
                    slot, loaded = self._slot(each.dtype)
                    self._steps.append(
                        [w.COPY, w.DTYPES[each.dtype], loaded, register, register, register]
                    )
                    freed.append(slot)
                    register = loaded
                inputs.append(register)
        out, after = self._out(step, is_copy)
        padded = (inputs + [inputs[0]] * 2)[:3] if inputs else []
        self._steps.append([step.function, w.DTYPES[step.dtype], out, *padded])
        if after is not None:
            register, slot = after
            code = w.DTYPES[step.out.dtype]
            self._steps.append([w.COPY, code, register, out, out, out])
            freed.append(slot)
        self._free += freed

    def _out(self, step: Step, is_copy: bool) -> tuple[int, tuple[int, int] | None]:
        """Where a step writes; and what that is to be copied to, and the slot it was in."""
        view = step.out
        if view.buffer in self._encoder._in_slots:
            if view.buffer not in self._of_buffer:
                self._of_buffer[view.buffer] = self._slot(view.dtype)
            if view.buffer not in self._last:
                self._last[view.buffer] = -1
            return self._of_buffer[view.buffer][1], None
        register, _ = self._memory(view)
        if is_copy or self._strides[view][-1] == view.dtype.itemsize or self._lengths[-1] == 1:
            return register, None
        slot, into = self._slot(view.dtype)
        return into, (register, slot)


def _bits(number: Number, dtype: np.dtype[Any]) -> int:
    """A number in a dtype, as the first bytes of a word."""
    raw = np.array(number, dtype=dtype).tobytes()
    return int.from_bytes(raw.ljust(8, b"\0"), "little", signed=True)
