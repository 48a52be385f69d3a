"""Convolutions: products with patches that are made a few images at a time, and stay in the cache.

Where images are cut apart follows from the shapes of one model alone, so that its results do not
depend on how many others there are, nor on how many threads.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import partial
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from skopt_dl.backends import Backend
from skopt_dl.programs.values import Array

Call = Callable[[], Any]

# Multiplications that are worth a thread, and parts of a batch that threads may share.
PART_SIZE = 4_000_000
MAX_PARTS = 4


class Geometry(NamedTuple):
    """How patches are cut from images, ``(n_rows, height, width, channels)``.

    Attributes
    ----------
    size, stride : (int, int)
        Of the windows, vertically and horizontally.
    padding : ((int, int), (int, int))
        Zeros above and below, and on the left and on the right.
    """

    size: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[tuple[int, int], tuple[int, int]]

    def number(self, height: int, width: int) -> tuple[int, int]:
        """How many windows there are, below and beside each other."""
        down, across = (
            (n + sum(around) - k) // s + 1
            for n, around, k, s in zip(
                (height, width), self.padding, self.size, self.stride, strict=True
            )
        )
        return down, across

    @property
    def transposed(self) -> Geometry | None:
        """That of the gradient at the images, as a convolution of that at the result.

        None where there is none: with strides, or more padding than windows are large.
        """
        padding = tuple(
            (k - 1 - before, k - 1 - after)
            for k, (before, after) in zip(self.size, self.padding, strict=True)
        )
        if self.stride != (1, 1) or any(min(around) < 0 for around in padding):
            return None
        return Geometry(self.size, self.stride, padding)  # type: ignore[arg-type]


class _Tile(NamedTuple):
    """Some patches: the calls that make them, as rows, and whose rows in the result they are."""

    calls: list[Call]
    patches: Array
    rows: slice


class Convolutions:
    """The products of some images' patches.

    Parameters
    ----------
    b : Backend
    geometry : Geometry
    images : array of shape (n_rows, height, width, channels)
    scratch : callable
        ``scratch(name, shape)`` returns memory that lives until the next instruction.
    n_parts : int
        Parts of the samples that threads may share.
    """

    def __init__(
        self,
        b: Backend,
        geometry: Geometry,
        images: Array,
        scratch: Callable[[str, tuple[int, ...]], Array],
        n_parts: int,
    ):
        self._b, self._geometry, self._images, self._scratch = b, geometry, images, scratch
        n_rows, height, width, self._n_channels = images.shape
        self._number = geometry.number(height, width)
        edges = [n_rows * i // n_parts for i in range(n_parts + 1)]
        self.parts = [range(*pair) for pair in pairwise(edges)]

    def tiles(self, part: int, itemsize: int) -> Iterator[_Tile]:
        """Cut a part of the samples into patches that fit into the cache."""
        (down, across), samples = self._number, self.parts[part]
        row = across * math.prod(self._geometry.size) * self._n_channels
        limit = max(1, self._b.patch_bytes // (row * itemsize))
        step, band = max(1, limit // down), min(limit, down)
        padded = self._padded(part, min(step, len(samples)))
        for first in range(samples.start, samples.stop, step):
            last = min(first + step, samples.stop)
            calls, images = padded(first, last)
            for top in range(0, down, band):
                bottom = min(top + band, down)
                flat, cut = self._cut(part, images, top, bottom)
                start = (first * down + top) * across
                yield _Tile(calls + cut, flat, slice(start, start + flat.shape[0]))
                calls = []

    def _padded(self, part: int, step: int) -> Callable[[int, int], tuple[list[Call], Array]]:
        """What gives some images with zeros around them, and the calls that this takes."""
        b, (vertical, horizontal) = self._b, self._geometry.padding
        if self._geometry.padding == ((0, 0), (0, 0)):
            return lambda first, last: ([], self._images[first:last, ...])
        _, height, width, n = self._images.shape
        shape = step, height + sum(vertical), width + sum(horizontal), n
        around = self._scratch(f"padded {part}", shape)
        down, across = slice(vertical[0], vertical[0] + height), slice(horizontal[0], None)
        inner = around[:, down, across, :][:, :, :width, :]
        calls: list[Call] = [partial(around.__setitem__, ..., 0.0)]

        def pad(first: int, last: int) -> tuple[list[Call], Array]:
            images, n = self._images[first:last, ...], last - first
            zeros, calls[:] = list(calls), []
            return [*zeros, partial(b.copy, inner[:n, ...], images)], around[:n, ...]

        return pad

    def _cut(self, part: int, images: Array, top: int, bottom: int) -> tuple[Array, list[Call]]:
        """Patches as rows, and the calls that make them."""
        (high, wide), (stride, _) = self._geometry.size, self._geometry.stride
        shape = images.shape[0], bottom - top, self._number[1], high, wide, self._n_channels
        patches = self._scratch(f"patches {part}", shape)
        n_in = math.prod(shape[3:])
        seen = images[:, top * stride : (bottom - 1) * stride + high, :, :]
        calls = self._b.cut_patches(seen, patches, self._geometry.stride)
        return self._b.xp.reshape(patches, (math.prod(shape[:3]), n_in)), calls


def convolve(binding: Any, instruction: Any) -> list[Call]:
    """The calls of a ``convolve`` instruction: patches times weights."""
    b = binding._b
    x, weights = (binding.array(each) for each in instruction.inputs)
    out = binding.array(instruction.out)
    calls: list[Call] = []
    for images, places in _meeting(x, out):
        work = _work(binding, instruction, images, weights.shape[-1] * len(places))
        operations = []
        for part in range(len(work.parts)):
            steps: list[Call] = []
            for tile in work.tiles(part, instruction.out.dtype.itemsize):
                steps += tile.calls
                for place in places:
                    rows, matrix = out[(*place, tile.rows, slice(None))], weights[(*place, ...)]
                    steps.append(b.prepare(b.xp.matmul, tile.patches, matrix, out=rows))
            operations.append(steps)
        calls.append(b.together(operations))
    return calls


def convolve_weights(binding: Any, instruction: Any) -> list[Call]:
    """The calls of a ``convolve_weights`` instruction: transposed patches times a gradient."""
    b = binding._b
    x, delta = (binding.array(each) for each in instruction.inputs)
    out = binding.array(instruction.out)
    calls: list[Call] = []
    for images, places in _meeting(x, out):
        work = _work(binding, instruction, images, out.shape[-1] * len(places))
        shape = (len(work.parts), len(places), *out.shape[-2:])
        totals = binding.scratch("totals", shape, instruction.out.dtype)
        products = binding.scratch("products", shape, instruction.out.dtype)
        operations = []
        for part in range(len(work.parts)):
            steps: list[Call] = []
            for number, tile in enumerate(work.tiles(part, instruction.out.dtype.itemsize)):
                steps += tile.calls
                for i, place in enumerate(places):
                    total, product = totals[part, i, ...], products[part, i, ...]
                    rows = delta[(*place, tile.rows, slice(None))]
                    into = product if number else total
                    steps.append(b.prepare(b.xp.matmul, tile.patches.mT, rows, out=into))
                    if number:
                        steps.append(b.prepare(b.xp.add, total, product, out=total))
            operations.append(steps)
        calls.append(b.together(operations))
        for i, place in enumerate(places):
            whole = out[(*place, ...)]
            calls.append(partial(b.copy, whole, totals[0, i, ...]))
            calls += [
                b.prepare(b.xp.add, whole, totals[part, i, ...], out=whole)
                for part in range(1, len(work.parts))
            ]
    return calls


def _work(binding: Any, instruction: Any, images: Array, n_out: int) -> Convolutions:
    geometry, dtype = instruction.attributes["geometry"], instruction.out.dtype
    n_rows, height, width, n_channels = images.shape
    n_in = math.prod(geometry.size) * n_channels
    size = n_rows * math.prod(geometry.number(height, width)) * n_in * n_out
    n_parts = max(1, min(MAX_PARTS, n_rows, size // PART_SIZE))

    def scratch(name: str, shape: tuple[int, ...]) -> Array:
        return binding.scratch(name, shape, dtype)

    return Convolutions(binding._b, geometry, images, scratch, n_parts)


def _meeting(x: Array, out: Array) -> Iterator[tuple[Array, list[tuple[int, ...]]]]:
    """Each model's (and group's) images, and the places of the matrices that they meet."""
    places: dict[tuple[int, ...], list[tuple[int, ...]]] = {}
    for place in np.ndindex(*out.shape[:-2]):
        own = tuple(i % n for i, n in zip(place, x.shape, strict=False))
        places.setdefault(own, []).append(place)
    for own, found in places.items():
        yield x[(*own, ...)], found
