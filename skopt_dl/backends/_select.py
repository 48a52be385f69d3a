"""Which backend an array, or a ``device=`` setting, belongs to."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from typing import Any

from skopt_dl.backends._base import Backend
from skopt_dl.backends._numpy import NumPyBackend


def _load_cupy() -> Backend:
    from skopt_dl.backends._cupy import CuPyBackend

    return CuPyBackend()


_factories: dict[str, Callable[[], Backend]] = {"numpy": NumPyBackend, "cupy": _load_cupy}
_instances: dict[str, Backend] = {}


def register_backend(library: str, factory: Callable[[], Backend]) -> None:
    """Let arrays whose class is defined in the top-level module `library` be trained on."""
    _factories[library] = factory
    _instances.pop(library, None)


def _backend_for_library(library: str) -> Backend:
    if library not in _instances:
        _instances[library] = _factories[library]()
    return _instances[library]


def backend_of(array: Any) -> Backend:
    """Return the backend an array belongs to.

    Raises
    ------
    TypeError
        If no backend knows the array's library.
    """
    library = type(array).__module__.partition(".")[0]
    if library not in _factories:
        raise TypeError(
            f"Got an array of type {type(array).__module__}.{type(array).__qualname__}; "
            f"arrays of {', '.join(sorted(_factories))} can be trained on. "
            "Convert it with numpy.asarray first."
        )
    return _backend_for_library(library)


@cache
def cuda_problem() -> str | None:
    """Say what keeps ``device="cuda"`` from working here; None when nothing does."""
    if find_spec("cupy") is None:
        return (
            "CuPy is not installed. Run `pip install 'skopt-dl[cuda12]'` (CUDA 12) "
            "or `pip install 'skopt-dl[cuda13]'` (CUDA 13)"
        )
    import cupy

    if not cupy.cuda.is_available():
        return (
            "CuPy is installed but finds no GPU. Check that `nvidia-smi` lists one and that its "
            "driver supports the installed CuPy (`python -c 'import cupy; cupy.show_config()'`)"
        )
    return None


def get_backend(device: str) -> Backend:
    """Return the backend for ``device=``.

    Parameters
    ----------
    device : {"auto", "cpu", "cuda"}
        ``"auto"`` is the CPU: nobody has measured what a GPU would gain.

    Raises
    ------
    RuntimeError
        If ``"cuda"`` is asked for and CuPy or a GPU is missing.
    """
    if device == "cuda":
        problem = cuda_problem()
        if problem is not None:
            raise RuntimeError(f"device='cuda' cannot be used: {problem}, or use device='cpu'.")
        return _backend_for_library("cupy")
    return _backend_for_library("numpy")


def _is_device_array(array: Any) -> bool:
    library = type(array).__module__.partition(".")[0]
    return library in _factories and library != "numpy"


def to_host(array: Any) -> Any:
    """Return an array of a device's library as NumPy, and anything else as it is."""
    return backend_of(array).to_numpy(array) if _is_device_array(array) else array


def like_input(result: Any, array: Any) -> Any:
    """Return a NumPy result in the library of `array`; labels that are not numbers stay NumPy."""
    if _is_device_array(array) and result.dtype.kind in "biuf":
        return backend_of(array).asarray(result)
    return result


def backend_for_prediction(array: Any, device: str) -> Backend:
    """Return the backend to predict with: that of the input, or the GPU if asked for and here.

    A model fitted with ``device="cuda"`` predicts on the CPU where there is no GPU.
    """
    if _is_device_array(array):
        return backend_of(array)
    if device == "cuda" and cuda_problem() is None:
        return get_backend("cuda")
    return get_backend("cpu")
