"""Array code, traced and run: what tests of programs share."""

import numpy as np
import specified
from strict_backend import StrictBackend

from skopt_dl.backends import get_backend
from skopt_dl.programs import Memory, Tracer, differentiate, engine_of

H = 3e-4


class Traced:
    """A function ``function(xp, *arrays)`` as a program.

    Inputs are called ``in 0``, ``in 1``, …; results are written to ``out 0``, …, and where
    ``wanted`` says so, gradients to ``grad 0``, …: of the sum of all results times weights that
    are all different.
    """

    def __init__(self, function, arrays, wanted=(), orders=None, dtype="float64"):
        self.arrays = [np.asarray(array) for array in arrays]
        tracer = self.tracer = Tracer(dtype)
        orders = orders or [None] * len(arrays)
        given = [
            tracer.given(f"in {i}", array.shape, array.dtype, order)
            for i, (array, order) in enumerate(zip(self.arrays, orders, strict=True))
        ]
        results = function(tracer.xp, *given)
        results = results if isinstance(results, list | tuple) else [results]
        self.shapes = {}
        with tracer.untaped():
            seeds = [
                (each, tracer.given(f"seed {i}", each.shape)) for i, each in enumerate(results)
            ]
        if wanted:
            targets = [(given[i], tracer.given(f"grad {i}", given[i].shape)) for i in wanted]
            differentiate(tracer, seeds, targets)
        for i, each in enumerate(results):
            out = tracer.given(f"out {i}", each.shape, each.dtype)
            with tracer.untaped():
                tracer.copy(each, out)
        self.program = tracer.program()

    def bind(self, b):
        """Arrays for everything that is given, and the calls."""
        arrays = {}
        for name, buffer in self.program.inputs.items():
            kind, number = name.split()
            shape, dtype = buffer.like.shape, buffer.like.dtype
            if kind == "in":
                array = self.arrays[int(number)].copy()
            elif kind == "seed":
                array = weights(shape).astype(dtype)
            elif kind == "scalar":
                array = np.asarray(self.program.scalars[name](3), dtype)
            else:
                array = np.full(shape, 77, dtype)
            order = tuple(
                int(i) for i in np.argsort([-s for s in buffer.like.strides], kind="stable")
            )
            array = array.transpose(order).copy(order="C").transpose(np.argsort(order))
            arrays[name] = array if isinstance(b.xp, type(np)) else b.asarray(array.copy())
        memory = Memory(b, next(iter(arrays.values())) if arrays else np.zeros(1))
        calls = engine_of(b).bind(b, self.program, arrays, memory).calls()
        if isinstance(memory._block, np.ndarray):
            # Not a number, or nonsense, until it is written.
            memory._block[...] = 255
        return arrays, calls

    def run(self, b=None):
        """All arrays after a run, by name."""
        b = b or get_backend("cpu")
        arrays, calls = self.bind(b)
        with b.quiet():
            for call in calls:
                call()
        return {name: b.to_numpy(array) for name, array in arrays.items()}

    def run_as_specified(self):
        """The same by an engine that was written from the documentation."""
        arrays, _ = self.bind(get_backend("cpu"))
        specified.run(self.program, arrays)
        return arrays

    def outputs(self, b=None):
        """The results of a run."""
        found = self.run(b)
        return [found[f"out {i}"] for i in range(sum(name.startswith("out") for name in found))]


def strict():
    """The backend over array-api-strict."""
    return StrictBackend("device1")


def weights(shape):
    """Numbers that are all different, so that no two errors cancel."""
    return np.linspace(0.5, 1.5, int(np.prod(shape))).reshape(shape)


def values(function, arrays):
    """What the same code gives, called with NumPy."""
    with np.errstate(all="ignore"):
        results = function(np, *[np.array(array) for array in arrays])
    return list(results) if isinstance(results, list | tuple) else [results]


def slopes(program, i):
    """Fourth-order central differences of the weighted sum of the results by one input."""

    arrays, calls = program.bind(get_backend("cpu"))
    names = [name for name in arrays if name.startswith("out")]

    def total(moved):
        for number, array in enumerate(program.arrays):
            arrays[f"in {number}"][...] = moved if number == i else array
        for call in calls:
            call()
        return sum(float((weights(arrays[name].shape) * arrays[name]).sum()) for name in names)

    array = program.arrays[i]
    result = np.empty(array.shape)
    for place in np.ndindex(array.shape):
        sums = []
        for step in (-2, -1, 1, 2):
            moved = array.copy()
            moved[place] += step * H
            sums.append(total(moved))
        result[place] = (sums[0] - 8 * sums[1] + 8 * sums[2] - sums[3]) / (12 * H)
    return result


def check_gradient(function, arrays, wanted=None, rtol=1e-6, atol=1e-9, orders=None):
    """Reverse mode against central differences, by each input that is wanted."""
    wanted = range(len(arrays)) if wanted is None else wanted
    forward = Traced(function, arrays, orders=orders)
    found = Traced(function, arrays, wanted, orders=orders).run()
    for i in wanted:
        np.testing.assert_allclose(
            found[f"grad {i}"], slopes(forward, i), rtol=rtol, atol=atol, err_msg=f"by input {i}"
        )
