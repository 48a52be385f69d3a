"""A backend over array-api-strict, which refuses what the array API standard does not promise."""

import array_api_strict
import numpy as np
import scipy.special

from skopt_dl.backends import Backend, _select, register_backend
from skopt_dl.programs.instructions import IN_PLACE

CPU = array_api_strict.Device("CPU_DEVICE")


# Whatever the order in which these compute their elements, the result may replace an argument.
ELEMENTWISE = {"pow", *IN_PLACE}


class NamespaceWithOut:
    """array-api-strict's functions, each also taking ``out=``.

    They compute first and copy then, so that an ``out`` which is also read cannot show in the
    result, as it would on a device that writes while it reads; here it is refused.
    """

    def __getattr__(self, name):
        attribute = getattr(array_api_strict, name)
        if isinstance(attribute, type) or not callable(attribute):
            return attribute

        def function(*args, out=None, **kwargs):
            result = attribute(*args, **kwargs)
            if out is None:
                return result
            assert out.shape == result.shape, f"{name}: {result.shape} into {out.shape}"
            assert out.dtype == result.dtype, f"{name}: {result.dtype} into {out.dtype}"
            assert out.device == result.device, f"{name}: {result.device} into {out.device}"
            refuse_overlap(name, args, out)
            out[...] = result
            return out

        setattr(self, name, function)
        return function


def refuse_overlap(name, args, out):
    """Fail where a function would write what it has yet to read."""
    for arg in args:
        if not isinstance(arg, type(out)):
            continue
        ours, theirs = out._array, arg._array
        if np.shares_memory(ours, theirs):
            same = ours.__array_interface__ == theirs.__array_interface__
            allowed = same and name in ELEMENTWISE
            assert allowed, f"{name} writes into its own argument"


class StrictBackend(Backend):
    """Arrays on one device of array-api-strict; NumPy arrays enter through `asarray` only."""

    def __init__(self, device):
        self.xp = NamespaceWithOut()
        self.strict_device = array_api_strict.Device(device)

    def register(self, monkeypatch):
        """Let array-api-strict's arrays be trained on, until the end of a test."""
        monkeypatch.setattr(_select, "_factories", dict(_select._factories))
        monkeypatch.setattr(_select, "_instances", dict(_select._instances))
        register_backend("array_api_strict", lambda: self)

    def asarray(self, array, dtype=None):
        return self.xp.asarray(array, dtype=dtype, device=self.strict_device)

    def empty(self, shape, like):
        # Not a number until it is written.
        return self.xp.full(shape, float("nan"), dtype=like.dtype, device=like.device)

    def zeros(self, shape, like):
        return self.xp.zeros(shape, dtype=like.dtype, device=like.device)

    def ones(self, shape, like):
        return self.xp.ones(shape, dtype=like.dtype, device=like.device)

    def to_numpy(self, array):
        return np.array(array.to_device(CPU))

    def cut(self, memory, start, shape, dtype):
        # Not a number, or nonsense, until it is written.
        arrays, _ = memory
        key = start, shape, str(dtype)
        if key not in arrays:
            nothing = True if dtype == self.xp.bool else 77
            arrays[key] = self.xp.full(shape, nothing, dtype=dtype, device=self.strict_device)
        return arrays[key]

    def take(self, array, indices, out, axis=0):
        refuse_overlap("take", [array], out)
        super().take(array, indices, out, axis)

    def erf(self, x, out):
        out[...] = self.asarray(scipy.special.erf(self.to_numpy(x)))

    def quiet(self):
        return np.errstate(all="ignore")
