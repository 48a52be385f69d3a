"""Random programs, run by the native engine and by NumPy's calls.

``python tools/fuzz.py --first 0 --count 10000`` makes programs by seed, compares what both engines
write, and prints the seeds where they differ.

Numbers are small and whole, so that sums and products of them are exact in any order; what rounds
goes on to functions that are smooth, and is compared to within that.
"""

from __future__ import annotations

import argparse
import math
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from random import Random
from typing import Any

import numpy as np
import scipy.sparse
from skopt_dl_native.binding import NativeCall
from skopt_dl_native.engine import NativeEngine

from skopt_dl.backends import NumPyBackend
from skopt_dl.networks.rows import SparseRows
from skopt_dl.programs import (
    Engine,
    Geometry,
    Memory,
    Program,
    Symbol,
    Tracer,
    TracingError,
    differentiate,
)

FLOATS = ("float32", "float64")
# Lengths of axes: one vector or less, more than a tile's row, and rows that take several tiles.
LENGTHS = (1, 1, 2, 3, 4, 5, 7, 16, 17, 33, 64, 1030, 2050)
MOST_ELEMENTS = 40_000
# What operands are cut to where they are larger: sums of their products are still exact.
LARGEST = 50.0
# Of a result that depends on one function that rounds.
TOLERANCE = {"float32": 3e-6, "float64": 1e-14}


class Guarded:
    """An array among bytes that nobody may write to.

    Parameters
    ----------
    values : ndarray
    order : sequence of int
        Its axes from the outermost in memory to the innermost.
    gaps : dict of int to int
        How many elements of gap come between two places along an axis.
    begin : int
        Elements before it.
    """

    def __init__(
        self,
        values: np.ndarray,
        order: Sequence[int] = (),
        gaps: Mapping[int, int] | None = None,
        begin: int = 8,
    ):
        self._layout = order, gaps, begin
        strides, size = [0] * values.ndim, values.itemsize
        for axis in reversed(order or range(values.ndim)):
            size += (gaps or {}).get(axis, 0) * values.itemsize
            strides[axis] = size
            size *= max(1, values.shape[axis])
        start = begin * values.itemsize
        self.raw = np.full(size + 2 * start, 0xA5, np.uint8)
        self.array = np.ndarray(values.shape, values.dtype, self.raw.data, start, strides)
        self.array[...] = values

    def copy(self) -> Guarded:
        return Guarded(self.array, *self._layout)

    def of(self, models: Sequence[int]) -> Guarded:
        """The part of some models."""
        return Guarded(self.array[list(models)], *self._layout)

    @property
    def given(self) -> Any:
        """What an engine is given."""
        return self.array

    def check(self, name: str) -> None:
        """Assert that bytes around the elements are as they were."""
        outside = np.flatnonzero(self.raw != self.copy().raw)
        assert not len(outside), f"{name}: bytes {outside[:9]} are not its own, but were written"


class Sparse:
    """Rows of sparse matrices, of which an engine is not given the first nor the last.

    Parameters
    ----------
    values : ndarray of shape (R, n_rows + 2, n)
    index : dtype
        Of the columns.
    """

    def __init__(self, values: np.ndarray, index: Any):
        self.array, self._index = values, index
        blocks = [scipy.sparse.csr_array(each) for each in values]
        for each in blocks:
            each.indices, each.indptr = each.indices.astype(index), each.indptr.astype(index)
        self.given = SparseRows(slice(1, values.shape[1] - 1), blocks)

    def copy(self) -> Sparse:
        return self

    def of(self, models: Sequence[int]) -> Sparse:
        """The rows of some models."""
        return Sparse(self.array[list(models)], self._index)


class Filled(Memory):
    """Memory with nan in it, or true, or -1, until something is written."""

    def reserve(self, n_bytes: int) -> Any:
        is_new = self._block is None or n_bytes > self.n_bytes
        block = super().reserve(n_bytes)
        if is_new:
            block.view(np.uint8)[...] = 255
        return block

    def scratch(self, name: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Any:
        found = super().scratch(name, shape, dtype)
        found.reshape(-1).view(np.uint8)[...] = 255
        return found


class Item:
    """An array of a program.

    Attributes
    ----------
    symbol : Symbol
    bound : float
        What no element is larger than, but infinity.
    rough : int
        How many functions that round it depends on, one after the other.
    is_gradient : bool
    """

    def __init__(self, symbol: Any, bound: float, rough: int = 0, is_gradient: bool = False):
        self.symbol, self.bound, self.rough, self.is_gradient = symbol, bound, rough, is_gradient

    @property
    def shape(self) -> tuple[int, ...]:
        return self.symbol.shape

    @property
    def kind(self) -> str:
        return self.symbol.dtype.kind


class Maker:
    """A random program, and arrays for it.

    Parameters
    ----------
    random : Random
        Everything is drawn from it; what is drawn does not depend on how many models there are.
    n_models : int
    apart : bool
        Whether models have nothing to do with each other.
    shares : bool
        Whether arrays may be of one model, for all.
    """

    def __init__(self, random: Random, n_models: int, apart: bool = False, shares: bool = True):
        self.random, self.n_models, self.apart, self.shares = random, n_models, apart, shares
        self.tracer = Tracer(random.choice(FLOATS))
        self.xp = self.tracer.xp
        self.arrays: dict[str, Guarded | Sparse] = {}
        self.known: dict[str, Item] = {}
        self.items: list[Item] = []
        self.is_wild = random.random() < 0.15
        self.lengths = [random.choice(LENGTHS) for _ in range(4)]
        if random.random() < 0.04:
            self.lengths[0] = 0
        for _ in range(random.randrange(1, 4)):
            self.fresh(self.some_shape())
        for _ in range(random.randrange(2, 18)):
            self.do(random.choice(_STEPS))
        if random.random() < 0.5:
            self.do(Maker.gradients)
        self.outputs()

    def do(self, step: Any) -> None:
        # What cannot be traced is nothing to compare.
        with suppress(TracingError):
            step(self)

    @property
    def program(self) -> Program:
        return self.tracer.program()

    # Arrays

    def some_shape(self) -> tuple[int, ...]:
        shape: list[int] = []
        for _ in range(self.random.choice((0, 1, 2, 2, 2, 3, 3, 4))):
            length = self.random.choice(self.lengths)
            if math.prod(shape) * length <= MOST_ELEMENTS:
                shape.append(length)
        return self.models(), *shape

    def models(self) -> int:
        shared = self.random.random() < 0.2
        return 1 if shared and self.shares else self.n_models

    def given(self, values: np.ndarray, item: Item | None = None) -> Symbol:
        """An input of the program with these values, somehow laid out."""
        random, n_axes = self.random, values.ndim
        name, order, gaps = f"array {len(self.arrays)}", list(range(n_axes)), {}
        if n_axes > 1 and random.random() < 0.3:
            order[1:] = random.sample(order[1:], n_axes - 1)
        if n_axes and random.random() < 0.4:
            gaps = {0: random.randrange(1, 9)}
        elif n_axes > 1 and random.random() < 0.15:
            gaps = {random.randrange(n_axes): random.randrange(1, 9)}
        symbol = self.tracer.given(name, values.shape, values.dtype, order)
        self.arrays[name] = Guarded(values, order, gaps, random.randrange(8, 12))
        self.known[name] = item or Item(symbol, LARGEST)
        self.known[name].symbol = symbol
        return symbol

    def numbers(self, shape: Sequence[int], dtype: Any, low: int = -3, high: int = 4) -> np.ndarray:
        rng = np.random.default_rng(self.random.getrandbits(32))
        # Of so many models as there may be: the first are the same however many there are.
        values = rng.integers(low, high, (4, *shape[1:])).astype(dtype)
        if self.is_wild and values.dtype.kind == "f":
            special = rng.choice([np.nan, np.inf, -np.inf, -0.0], values.shape)
            values = np.where(rng.random(values.shape) < 0.1, special, values).astype(dtype)
        return values[: shape[0]] if len(shape) else values.ravel()[:1].reshape(())

    def fresh(self, shape: Sequence[int], dtype: Any = None) -> Item:
        """A new input."""
        if dtype is None:
            odd = ("float32", "float64", "int64", "bool")
            dtype = self.random.choice(odd) if self.random.random() < 0.2 else self.tracer.dtype
        low = 0 if np.dtype(dtype) == bool else -3
        high = 2 if np.dtype(dtype) == bool else 4
        symbol = self.given(self.numbers(shape, dtype, low, high))
        item = self.add(symbol, 3.0)
        self.known[f"array {len(self.arrays) - 1}"] = item
        return item

    def indices(self, shape: Sequence[int], n: int) -> Symbol:
        values = self.numbers(shape, np.int64, 0, n)
        return self.given(values, Item(None, n))

    def add(self, symbol: Any, bound: float, rough: int = 0) -> Item:
        if not isinstance(symbol, Symbol):
            raise TracingError("it is a number")
        if math.prod(symbol.shape[1:]) > MOST_ELEMENTS:
            raise TracingError("it is large")
        item = Item(symbol, bound, rough)
        self.items.append(item)
        return item

    def pick(self, kinds: str = "f", n_axes: int = 0, rough: int = 3) -> Item:
        """An array of one of some kinds, with so many axes at least."""
        found = [
            each
            for each in self.items
            if each.kind in kinds and each.symbol.ndim >= n_axes and each.rough <= rough
        ]
        if not found:
            return self.fresh(
                (self.models(), *(self.random.choice((1, 2, 3, 5)) for _ in range(n_axes - 1))),
                {"f": self.tracer.dtype, "b": bool, "i": np.int64}[kinds[0]],
            )
        # Late ones more often.
        return found[max(self.random.randrange(len(found)), self.random.randrange(len(found)))]

    def small(self, item: Item) -> Item:
        """An array with no large elements."""
        if item.bound <= LARGEST:
            return item
        if item.rough:
            return Item(self.xp.tanh(item.symbol), 1.0, item.rough + 1)
        return Item(self.xp.clip(item.symbol, -3, 3), 3.0)

    def beside(self, item: Item, kinds: str = "fi", rough: int = 3) -> Item:
        """Another array that can be broadcast with one."""
        found = []
        for each in self.items:
            # Axes of models meet each other alone.
            fits = not self.apart or each.symbol.ndim == item.symbol.ndim
            if each.kind in kinds and each.rough <= rough and fits:
                try:
                    shape = np.broadcast_shapes(each.shape, item.shape)
                except ValueError:
                    continue
                if math.prod(shape[1:]) <= MOST_ELEMENTS:
                    found.append(each)
        if found and self.random.random() < 0.8:
            return self.random.choice(found)
        shape = [n if self.random.random() < 0.7 else 1 for n in item.shape[1:]]
        return self.fresh((self.models(), *shape), item.symbol.dtype)

    def target(self, item: Item) -> Item | None:
        """Where a result like an array may be written."""
        if self.random.random() < 0.75:
            return None
        found = [
            each
            for each in self.items
            if each.shape == item.shape and each.symbol.dtype == item.symbol.dtype
        ]
        return self.random.choice(found) if found else None

    def written(self, before: Any, item: Item, bound: float, rough: int) -> None:
        """Remember what may have become of arrays that have memory in common with one."""
        buffers = {before, item.symbol.value.buffer}
        for each in (*self.items, *self.known.values()):
            if each is item or each.symbol.value.buffer in buffers:
                each.bound, each.rough = max(each.bound, bound), max(each.rough, rough)

    def call(self, name: str, bound: float, rough: int, *operands: Any) -> None:
        """Record a function, perhaps with a place for its result."""
        result = next(each for each in operands if isinstance(each, Item))
        out = self.target(result)
        plain = [each.symbol if isinstance(each, Item) else each for each in operands]
        if out is None:
            self.add(getattr(self.xp, name)(*plain), bound, rough)
            return
        before = out.symbol.value.buffer
        getattr(self.xp, name)(*plain, out=out.symbol)
        self.written(before, out, bound, rough)

    # Steps

    def exact_unary(self) -> None:
        name = self.random.choice(("negative", "abs", "sign", "square", "floor", "relu"))
        x = self.small(self.pick("f" if name in ("sign", "floor", "relu") else "fi", rough=0))
        self.call(name, x.bound**2 if name == "square" else x.bound, 0, x)

    def rough_unary(self) -> None:
        xp, x = self.xp, self.small(self.pick())
        rough = x.rough + 1
        name = self.random.choice(
            ("sqrt", "reciprocal", "exp", "expm1", "log", "log1p", "tanh", "erf", "square")
        )
        if name in ("sqrt", "reciprocal", "log", "log1p"):
            above = xp.square(x.symbol) if x.rough else xp.abs(x.symbol)
            x = Item(above + 1.0, x.bound**2 + 1, rough)
        elif name in ("exp", "expm1") and x.bound > 3:
            x = Item(xp.tanh(x.symbol) if x.rough else xp.clip(x.symbol, -3, 3), 3.0, rough)
        bound = {"exp": 21.0, "expm1": 21.0, "square": x.bound**2}.get(name, LARGEST)
        self.call(name, bound, rough, x)

    def arithmetic(self) -> None:
        name = self.random.choice(("add", "subtract", "multiply", "add", "multiply", "divide"))
        x = self.small(self.pick("fi"))
        if self.random.random() < 0.2:
            number = self.random.choice((1, 2, -1, 0.5, 3.0))
            y: Any = number
            bound, rough = 3.0, x.rough + (number == 0.5)
        else:
            y = self.small(self.beside(x))
            bound, rough = y.bound, max(x.rough, y.rough)
        if name == "divide":
            if isinstance(y, Item):
                above = self.xp.square(y.symbol) if y.rough else self.xp.abs(y.symbol)
                y = Item(above + 1, 1.0)
            self.call(name, 2 * x.bound, rough + 1, x, y)
            return
        bound = x.bound * bound if name == "multiply" else x.bound + bound
        operands = (y, x) if self.random.random() < 0.3 else (x, y)
        self.call(name, bound, rough + (rough > 0), *operands)

    def power(self) -> None:
        x = self.pick()
        base = self.xp.square(self.xp.tanh(x.symbol)) + 0.5
        y: Any = self.random.choice((2, 0.5, 3, -1, 1.5, None))
        if y is None:
            y = self.xp.tanh(self.beside(x, "f").symbol)
        self.add(self.xp.power(base, y), 4.0, 4)

    def extremes(self) -> None:
        x = self.pick("fi", rough=0)
        y: Any = self.beside(x, rough=0) if self.random.random() < 0.8 else 1
        bound = max(x.bound, y.bound if isinstance(y, Item) else 1)
        self.call(self.random.choice(("maximum", "minimum")), bound, 0, x, y)

    def clip(self) -> None:
        x = self.pick(rough=0)
        low, high = self.random.choice(((-2, 2), (None, 1), (-1.0, None), (0, 0)))
        self.add(self.xp.clip(x.symbol, low, high), x.bound + 2)

    def relu_gradient(self) -> None:
        if self.is_wild:
            # NumPy's calls multiply, and keep nan where there is none by definition.
            raise TracingError("nan meets a slope of 0")
        x = self.small(self.pick())
        y = self.beside(x, "f", rough=0)
        y = Item(self.xp.relu(y.symbol), y.bound)
        self.call("relu_gradient", x.bound, x.rough, x, y)

    def compare(self) -> None:
        names = ("greater", "greater_equal", "less", "less_equal", "equal", "not_equal")
        x = self.pick("fi", rough=0)
        y: Any = self.beside(x, rough=0).symbol if self.random.random() < 0.7 else 1
        self.add(getattr(self.xp, self.random.choice(names))(x.symbol, y), 1.0)

    def finite(self) -> None:
        self.add(self.xp.isfinite(self.pick(rough=0).symbol), 1.0)

    def logic(self) -> None:
        name = self.random.choice(("and", "or", "not", "any", "all"))
        x = self.pick("b")
        if name == "not":
            self.add(~x.symbol, 1.0)
        elif name in ("any", "all"):
            self.add(getattr(self.xp, name)(x.symbol, **self.some_axes(x)), 1.0)
        else:
            y = self.beside(x, "b").symbol
            self.add(x.symbol & y if name == "and" else x.symbol | y, 1.0)

    def where(self) -> None:
        c = self.pick("b")
        x: Any = self.beside(c)
        y: Any = self.beside(x)
        bound, rough = max(x.bound, y.bound), max(x.rough, y.rough)
        try:
            np.broadcast_shapes(c.shape, x.shape, y.shape)
        except ValueError:
            raise TracingError("they cannot be broadcast") from None
        if self.random.random() < 0.3:
            y = Item(self.random.choice((0, 1, -2.0)), 2.0)
        self.add(self.xp.where(c.symbol, x.symbol, y.symbol), bound + 2, rough)

    def convert(self) -> None:
        x = self.pick("fib", rough=0)
        kinds = ["float32", "float64", "bool"]
        if not self.is_wild:
            kinds.append("int64")
        self.add(self.xp.astype(x.symbol, self.random.choice(kinds)), x.bound)

    def some_axes(self, x: Item) -> dict[str, Any]:
        first = 1 if self.apart or self.random.random() < 0.9 else 0
        axes = list(range(first, x.symbol.ndim))
        if not axes:
            raise TracingError("there is no axis to sum over")
        chosen = tuple(self.random.sample(axes, self.random.randrange(1, len(axes) + 1)))
        return {"axis": chosen, "keepdims": self.random.random() < 0.5}

    def reduce(self) -> None:
        name = self.random.choice(("sum", "sum", "max", "min", "mean", "var"))
        x = self.small(
            self.pick("f" if name == "var" else "fib", 2, rough=3 if name == "sum" else 0)
        )
        axes = self.some_axes(x)
        n = math.prod(x.shape[axis] for axis in axes["axis"])
        if not n or (x.kind == "b" and name == "mean"):
            raise TracingError("there is nothing to reduce")
        bound = x.bound * n if name == "sum" else x.bound**2 + x.bound
        rough = x.rough + 1 if x.rough or name in ("mean", "var") else 0
        self.add(getattr(self.xp, name)(x.symbol, **axes), bound, rough)

    def vecdot(self) -> None:
        x = self.small(self.pick(n_axes=2))
        y = self.small(self.beside(x, "f"))
        if y.symbol.ndim < 2 or x.shape[-1] != y.shape[-1]:
            raise TracingError("models are summed over, or one number is repeated")
        rough = max(x.rough, y.rough)
        n = max(x.shape[-1], y.shape[-1])
        self.add(self.xp.vecdot(x.symbol, y.symbol), x.bound * y.bound * n, rough + (rough > 0))

    def matmul(self) -> None:
        x = self.small(self.pick(n_axes=3))
        left = x.symbol.mT if self.random.random() < 0.4 else x.symbol
        m = self.random.choice((1, 2, 3, 8, 17, 40))
        inner = (left.shape[-1], m) if self.random.random() < 0.5 else (m, left.shape[-1])
        front = [n if self.random.random() < 0.5 else 1 for n in left.shape[1:-2]]
        self.check_product(*left.shape[-2:], m, math.prod(left.shape[1:-2]))
        y = self.fresh((self.models(), *front, *inner), left.dtype)
        right = y.symbol if inner[0] == left.shape[-1] else y.symbol.mT
        if self.random.random() < 0.2:
            left, right = right.mT, left.mT
        bound = x.bound * y.bound * max(1, x.shape[-1], x.shape[-2])
        self.add(left @ right, bound, x.rough + (x.rough > 0))

    def check_product(self, n: int, inner: int, m: int, n_products: int) -> None:
        if n * inner * m * n_products > 1_000_000:
            raise TracingError("it is large")
        if self.is_wild and 1 in (n, inner, m):
            raise TracingError("BLAS may leave out what is times 0, be it nan")

    def layer(self) -> None:
        random, xp = self.random, self.xp
        x = self.small(self.pick(n_axes=3, rough=0))
        *front, n, inner = x.shape[1:]
        ones, m = [1] * len(front), random.choice((1, 2, 3, 8, 17, 40))
        self.check_product(n, inner, m, math.prod(front))
        dtype = x.symbol.dtype
        found = x.symbol @ self.fresh((self.models(), *ones, inner, m), dtype).symbol
        if random.random() < 0.7:
            rows, columns = random.choice(((1, m), (1, m), (n, 1), (n, m)))
            term = self.fresh((self.models(), *ones, rows, columns), dtype).symbol
            if random.random() < 0.3:
                term = term * self.fresh((self.models(), *ones, 1, 1), dtype).symbol
            found = found + term
        y = self.fresh((self.n_models, *front, n, m), dtype)
        mask = xp.relu(y.symbol)
        if random.random() < 0.3:
            # Something else, before what is done to the product.
            self.add(y.symbol * 2.0, 6.0)
        kind = "none" if self.is_wild else random.choice(("none", "relu", "gradient"))
        if kind == "relu":
            found = xp.relu(found)
        elif kind == "gradient":
            found = xp.relu_gradient(found, mask)
        self.add(found, 3 * x.bound * max(1, inner) + 9)

    def sparse_rows(self) -> None:
        random, dtype = self.random, self.tracer.dtype
        n, inner, m = (random.choice((1, 2, 5, 33)) for _ in range(3))
        shape = self.models(), n + 2, inner
        values = np.where(self.numbers(shape, bool, 0, 2), self.numbers(shape, dtype), 0)
        name = f"array {len(self.arrays)}"
        self.arrays[name] = Sparse(values, random.choice((np.int32, np.int64)))
        x = self.tracer.given(name, (shape[0], n, inner), dtype)
        for left in random.sample((x, x.mT), random.randrange(1, 3)):
            y = self.fresh((self.n_models, left.shape[2], m), dtype)
            self.add(left @ y.symbol, 9.0 * left.shape[2])
        if random.random() < 0.2:
            # Here it is to be an array.
            self.add(x + 1.0, 4.0)

    def slice(self) -> None:
        x = self.pick("fib", 2)
        self.add(x.symbol[self.some_key(x)], x.bound, x.rough)

    def some_key(self, x: Item) -> tuple[Any, ...]:
        random, key = self.random, []
        for axis, n in enumerate(x.shape):
            if (axis == 0 and (self.apart or random.random() < 0.93)) or random.random() < 0.3:
                key.append(slice(None))
            elif n and axis and random.random() < 0.15:
                key.append(random.randrange(n))
            else:
                step = random.choice((1, 1, 2, 3, -1, -2))
                start, stop = random.randrange(n + 1), random.randrange(n + 1)
                found = (
                    slice(start, stop, step) if random.random() < 0.5 else slice(None, None, step)
                )
                key.append(found if len(range(n)[found]) or random.random() < 0.1 else slice(None))
            if random.random() < 0.05:
                key.append(None)
        return tuple(key)

    def move_axes(self) -> None:
        x = self.pick("fib", 3)
        if not self.apart and self.random.random() < 0.05:
            axes = self.random.sample(range(x.symbol.ndim), x.symbol.ndim)
        else:
            axes = [0, *self.random.sample(range(1, x.symbol.ndim), x.symbol.ndim - 1)]
        self.add(self.xp.permute_dims(x.symbol, axes), x.bound, x.rough)

    def reshape(self) -> None:
        x = self.pick("fib", 2)
        _, *rest = x.shape
        kind = self.random.choice(("flat", "merge", "split", "expand", "squeeze"))
        if kind == "flat":
            rest = [math.prod(rest)]
        elif kind == "merge" and len(rest) > 1:
            i = self.random.randrange(len(rest) - 1)
            rest[i : i + 2] = [rest[i] * rest[i + 1]]
        elif kind == "split" and rest:
            i = self.random.randrange(len(rest))
            n = next((n for n in (2, 3, 5, 7) if rest[i] % n == 0), 1)
            rest[i : i + 1] = [n, rest[i] // n]
        elif kind == "expand":
            rest.insert(self.random.randrange(len(rest) + 1), 1)
        else:
            rest = [n for n in rest if n != 1]
        if len(rest) > 6:
            raise TracingError("it has many axes")
        self.add(self.xp.reshape(x.symbol, (x.shape[0], *rest)), x.bound, x.rough)

    def broadcast(self) -> None:
        x = self.pick("fib", 2)
        shape = [self.random.choice((2, 3, 5)) if n == 1 else n for n in x.shape[1:]]
        if math.prod(shape) <= MOST_ELEMENTS:
            new = self.xp.broadcast_to(x.symbol, (self.n_models, *shape))
            self.add(new, x.bound, x.rough)

    def copy(self) -> None:
        x = self.pick("fib")
        self.add(x.symbol.copy(), x.bound, x.rough)

    def concat(self) -> None:
        x = self.pick("fib", 2)
        axis = self.random.randrange(1, x.symbol.ndim)
        shape = list(x.shape)
        shape[axis] = self.random.choice((1, 2, 3, 20))
        y = self.fresh((self.models(), *shape[1:]), x.symbol.dtype)
        pair = [x.symbol, y.symbol] if self.random.random() < 0.5 else [y.symbol, x.symbol]
        self.add(self.xp.concat(pair, axis), max(x.bound, y.bound), x.rough)

    def pad(self) -> None:
        x = self.pick("f", 2)
        widths = [(self.random.randrange(3), self.random.randrange(3)) for _ in x.shape[1:]]
        value = self.random.choice((0.0, 1.0, -2.0))
        self.add(self.xp.pad(x.symbol, [(0, 0), *widths], value), x.bound + 2, x.rough)

    def table(self) -> None:
        n, m = self.random.choice((1, 2, 5, 40)), self.random.choice((1, 2, 7, 33))
        shape = (
            self.models(),
            *(self.random.choice((1, 3, 10)) for _ in range(self.random.randrange(1, 3))),
        )
        indices = self.indices(shape, n)
        if self.random.random() < 0.5:
            by_columns = self.random.random() < 0.3
            table = self.fresh((self.models(), *((m, n) if by_columns else (n, m))))
            rows = table.symbol.mT if by_columns else table.symbol
            self.add(self.xp.take(rows, indices, axis=1), table.bound)
        else:
            like = self.fresh((self.models(), n, m), self.tracer.dtype)
            rows = self.fresh((self.n_models, *shape[1:], m), self.tracer.dtype)
            found = self.xp.add_at(like.symbol, indices, rows.symbol)
            self.add(found, rows.bound * math.prod(shape[1:]))

    def images(self) -> None:
        random = self.random
        size = random.choice(((1, 1), (2, 2), (3, 2), (3, 3)))
        stride = random.choice(((1, 1), (1, 2), (2, 2), (3, 1)))
        images = self.fresh(
            (self.models(), random.choice((1, 2, 5)), random.choice((3, 4, 9)),
             random.choice((3, 5, 8)), random.choice((1, 2, 3))),
            self.tracer.dtype,
        )  # fmt: skip
        x = self.fresh(images.shape, self.tracer.dtype) if random.random() < 0.2 else images
        if random.random() < 0.3:
            x = Item(x.symbol[:, :, ::-1, ::2, :] if random.random() < 0.5 else x.symbol + 1, 4.0)
        kind = random.choice(("patches", "unpatches", "convolve", "weights"))
        if kind in ("patches", "unpatches"):
            patches = self.xp.patches(x.symbol, size, stride)
            if kind == "unpatches":
                patches = self.xp.unpatches(patches * 2.0, x.shape, stride)
            self.add(patches, 200.0)
            return
        padding = random.choice((((0, 0), (0, 0)), ((1, 1), (1, 1)), ((2, 0), (0, 3))))
        geometry = Geometry(size, stride, padding)
        if min(geometry.number(*x.shape[2:4])) < 1:
            raise TracingError("there is no window")
        n_in, n_out = math.prod(size) * x.shape[-1], random.choice((1, 4, 17))
        if kind == "convolve":
            weights = self.fresh((self.n_models, n_in, n_out), self.tracer.dtype)
            found = self.xp.convolve(x.symbol, weights.symbol, geometry)
            self.add(found, 12.0 * n_in)
        else:
            n_rows = x.shape[1] * math.prod(geometry.number(*x.shape[2:4]))
            rows = self.fresh((self.n_models, n_rows, n_out), self.tracer.dtype)
            found = self.xp.convolve_weights(x.symbol, rows.symbol, geometry)
            self.add(found, 12.0 * n_rows)

    def in_place(self) -> None:
        x = self.small(self.pick())
        y = self.small(self.beside(x, "f"))
        if self.random.random() < 0.5:
            before = x.symbol.value.buffer
            if self.random.random() < 0.5:
                x.symbol += y.symbol
            else:
                x.symbol *= y.symbol
            bound = max(x.bound + y.bound, x.bound * y.bound)
            self.written(before, x, bound, max(x.rough, y.rough) + 1)
            if x not in self.items:
                self.add(x.symbol, bound, max(x.rough, y.rough) + 1)
            return
        key = self.some_key(x)
        value: Any = self.random.choice((0, 1.0, -2))
        bound, rough, part = 2.0, 0, x.symbol[key]
        if self.random.random() < 0.6 and part.shape:
            shape = [n if self.random.random() < 0.8 else 1 for n in part.shape]
            shape[0] = min(part.shape[0], self.models())
            other = self.fresh(shape, self.random.choice(FLOATS))
            value, bound, rough = other.symbol, other.bound, 0
        before = x.symbol.value.buffer
        x.symbol[key] = value
        self.written(before, x, bound, rough)

    def constants(self) -> None:
        kind = self.random.choice(("array", "zeros", "scalar"))
        if kind == "array":
            x = self.pick(n_axes=2)
            values = self.numbers((1, *x.shape[1:]), x.symbol.dtype)
            self.add(x.symbol + values, x.bound + 3, x.rough)
        elif kind == "scalar":
            scalar = self.given(self.numbers((), self.tracer.dtype), Item(None, 3.0))
            x = self.small(self.pick())
            self.add(x.symbol * scalar, x.bound * 3, x.rough)
        else:
            self.add(self.xp.full(self.some_shape(), 2.0), 2.0)

    # Results

    def gradients(self) -> None:
        found = [
            each
            for each in self.items
            if each.kind == "f" and each.symbol.ndim and each.shape[0] == self.n_models
        ]
        inputs = [
            each
            for each in self.known.values()
            if each.kind == "f" and each.symbol.ndim and each.symbol.value.buffer.name
        ]
        results = self.random.sample(found, min(len(found), self.random.randrange(1, 3)))
        seeds = [
            (each.symbol, self.given(self.numbers(each.shape, each.symbol.dtype)))
            for each in results
        ]
        wanted = []
        for each in inputs:
            out = self.given(
                np.full(each.shape, np.nan, each.symbol.dtype), Item(None, 1.0, 1, True)
            )
            wanted.append((each.symbol, out))
        differentiate(self.tracer, seeds, wanted)

    def outputs(self) -> None:
        chosen = [each for each in self.items if self.random.random() < 0.4] or self.items[-1:]
        for each in chosen:
            start = np.full(each.shape, 1 if each.kind in "bi" else np.nan, each.symbol.dtype)
            item = Item(each.symbol, each.bound, each.rough)
            self.tracer.copy(each.symbol, self.given(start, item))


_STEPS = [
    Maker.exact_unary, Maker.exact_unary, Maker.rough_unary, Maker.rough_unary, Maker.rough_unary,
    Maker.arithmetic, Maker.arithmetic, Maker.arithmetic, Maker.arithmetic, Maker.power,
    Maker.extremes, Maker.clip, Maker.relu_gradient, Maker.compare, Maker.finite, Maker.logic,
    Maker.where, Maker.convert, Maker.reduce, Maker.reduce, Maker.reduce, Maker.vecdot,
    Maker.matmul, Maker.matmul, Maker.layer, Maker.layer, Maker.slice, Maker.slice,
    Maker.move_axes, Maker.reshape, Maker.broadcast, Maker.copy, Maker.concat, Maker.pad,
    Maker.table, Maker.images, Maker.in_place, Maker.in_place, Maker.constants, Maker.sparse_rows,
]  # fmt: skip


def run(engine: Engine, program: Program, arrays: Mapping[str, Guarded | Sparse]) -> list[Any]:
    """Run a program on arrays; return its calls."""
    # Rows that have to be an array become one of this dtype.
    dtypes = [each.array.dtype for each in arrays.values() if isinstance(each, Sparse)]
    b, like = NumPyBackend(), np.empty((1, 1), *dtypes[:1])
    given = {name: each.given for name, each in arrays.items()}
    calls = engine.bind(b, program, given, Filled(b, like)).calls()
    with np.errstate(all="ignore"):
        for call in calls:
            call()
    return list(calls)


def check(maker: Maker) -> bool:
    """Assert that both engines do the same; return whether C did some of it."""
    program = maker.program
    ours, theirs = ({n: each.copy() for n, each in maker.arrays.items()} for _ in range(2))
    try:
        run(Engine(), program, theirs)
    except ValueError:
        # An array with gaps of which it takes a view that it can only have without.
        return False
    calls = run(NativeEngine(), program, ours)
    kinds = {value.dtype for each in program.instructions for value in (each.out, *each.values)}
    tolerance = TOLERANCE["float32" if np.dtype("float32") in kinds else "float64"]
    for name, item in maker.known.items():
        ours[name].check(name)
        same(name, ours[name].array, theirs[name].array, item, tolerance)
    return any(isinstance(each, NativeCall) for each in calls)


def same(name: str, got: np.ndarray, want: np.ndarray, item: Item, tolerance: float) -> None:
    if not item.rough or got.dtype.kind in "bi":
        np.testing.assert_array_equal(got, want, err_msg=name)
        return
    bound = item.bound
    if item.is_gradient:
        # What is small may be what is left of large terms.
        bound = 1e3 * max(1.0, np.max(np.abs(want), where=np.isfinite(want), initial=0))
    tolerance = tolerance * 10.0**item.rough * bound
    np.testing.assert_allclose(got, want, rtol=tolerance, atol=tolerance, err_msg=name)


def check_alone(again: Callable[[], Random], models: Sequence[int]) -> None:
    """Assert that some models of three have the bits that they have in a stack of their own.

    Parameters
    ----------
    again : callable
        Returns a `Random` that draws the same each time.
    models : sequence of int
    """
    shares = len(models) > 1
    stack, other = (Maker(again(), n, True, shares) for n in (3, len(models)))
    of_stack = {name: each.copy() for name, each in stack.arrays.items()}
    arrays = {
        name: each.of(models) if each.array.shape[:1] == (3,) else each.copy()
        for name, each in stack.arrays.items()
    }
    run(NativeEngine(), stack.program, of_stack)
    run(NativeEngine(), other.program, arrays)
    for name, each in arrays.items():
        # What all models share may be a sum over them.
        if of_stack[name].array.shape[:1] == (3,):
            want = of_stack[name].of(models).array
            assert same_bits(each.array, want), f"{name} differs in a stack of {models}"


def same_bits(got: np.ndarray, want: np.ndarray) -> bool:
    """Whether all bits are the same, but those of nan that nobody reads."""
    if got.dtype.kind == "f":
        if not np.array_equal(np.isnan(got), np.isnan(want)):
            return False
        got, want = (np.where(np.isnan(each), 0, each) for each in (got, want))
    return got.tobytes() == want.tobytes()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--stop", action="store_true", help="with the first that differs, and why")
    options = parser.parse_args()
    failed, in_c = [], 0
    for seed in range(options.first, options.first + options.count):
        try:
            in_c += check(Maker(Random(seed), (1, 3)[seed % 2]))
            check_alone(partial(Random, seed), ((0,), (2, 0), (1,))[seed % 3])
        except Exception as error:
            failed.append(seed)
            if options.stop:
                traceback.print_exc()
                break
            lines = [line for line in str(error).splitlines() if line.strip()]
            print(seed, type(error).__name__, *lines[:3], sep=" | ")
    print(f"{options.count} programs, {in_c} at least in part in C; {len(failed)} differ: {failed}")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
