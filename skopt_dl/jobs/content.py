"""What objects are, as digests: equal content, equal digest, in every process and every run.

Data is taken bit by bit; an object by what pickle would save of it; a class or a function of an
installed package by its name and the package's version; one of a script, a notebook or a module
of the user's by its code, and the code that this refers to.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import struct
import sys
import sysconfig
import types
from collections.abc import Iterator
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np

_PRIMITIVE = (str, bytes, bool, int, float, complex, type(None), type(...), type(NotImplemented))
# Of a class's own names: what Python makes for each anew, and what changes nothing.
_NO_CODE = frozenset(
    {
        "__module__",
        "__dict__",
        "__weakref__",
        "__doc__",
        "__qualname__",
        "__firstlineno__",
        "__static_attributes__",
        "__annotations__",
        "__annotate__",
        "__annotate_func__",
        "__annotations_cache__",
        "__abstractmethods__",
        "_abc_impl",
    }
)


class UnstableError(ValueError):
    """Something that cannot be recognised when it comes again; the message says what."""


class Digester:
    """Computes digests; arrays that it meets again are not read again.

    It must not outlive the moment: an array that was changed in place since would keep its
    digest. What it has seen, it keeps alive, so that no other object can have the same address.
    """

    def __init__(self) -> None:
        self._arrays: dict[int, tuple[Any, bytes]] = {}
        # Objects that are being taken apart: one that contains itself is met again.
        self._open: dict[int, int] = {}

    def digest(self, *values: Any) -> bytes:
        """Return 32 bytes that stand for the values.

        Raises
        ------
        UnstableError
            If one contains what is another each time: a lock, an open file, a weak reference.
        """
        return hashlib.sha256(b"".join(self._parts(values))).digest()

    def _parts(self, value: Any) -> Iterator[bytes]:
        kind = type(value)
        if kind is float:
            yield b"f" + struct.pack("<d", value)
        elif kind in _PRIMITIVE:
            text = value if kind is bytes else repr(value).encode("utf-8", "backslashreplace")
            yield b"%s %d " % (kind.__name__.encode(), len(text)) + text
        elif kind is np.ndarray or kind is np.memmap:
            yield self._array(value)
        else:
            yield from self._composite(kind, value)

    def _composite(self, kind: type, value: Any) -> Iterator[bytes]:
        if id(value) in self._open:
            yield b"again %d" % (len(self._open) - self._open[id(value)])
            return
        self._open[id(value)] = len(self._open)
        try:
            if kind is tuple or kind is list:
                yield b"%s %d(" % (kind.__name__.encode(), len(value))
                for each in value:
                    yield from self._parts(each)
                yield b")"
            elif kind is dict:
                yield b"dict %d(" % len(value)
                for key, each in value.items():
                    yield from self._parts(key)
                    yield from self._parts(each)
                yield b")"
            elif kind is set or kind is frozenset:
                yield b"set %d(" % len(value)
                yield from sorted(self.digest(each) for each in value)
                yield b")"
            else:
                yield from self._object(kind, value)
        finally:
            del self._open[id(value)]

    def _array(self, array: np.ndarray) -> bytes:
        known = self._arrays.get(id(array))
        if known is not None:
            return known[1]
        order = "F" if array.flags.f_contiguous and not array.flags.c_contiguous else "C"
        about = f"array {array.dtype.descr} {array.shape} {order} ".encode()
        if array.dtype.hasobject:
            content = self.digest(array.tolist())
        else:
            hashed = hashlib.sha256()
            rows = array.T if order == "F" else array
            hashed.update(np.ascontiguousarray(rows).reshape(-1).view(np.uint8).data)
            content = hashed.digest()
        found = about + content
        self._arrays[id(array)] = array, found
        return found

    def _object(self, kind: type, value: Any) -> Iterator[bytes]:
        if isinstance(value, type):
            yield from self._class(value)
        elif kind is types.FunctionType:
            yield from self._function(value)
        elif kind is types.MethodType:
            yield b"method"
            yield from self._parts((value.__func__, value.__self__))
        elif kind is types.ModuleType:
            yield b"module " + value.__name__.encode() + _edition(value.__name__)
        elif kind is types.CodeType:
            yield from self._code(value)
        elif isinstance(value, np.generic):
            yield b"number " + str(value.dtype).encode() + b" " + value.tobytes()
        elif isinstance(value, np.dtype):
            yield b"dtype " + repr(value.descr).encode()
        elif kind in (types.BuiltinFunctionType, np.ufunc) or kind is types.GetSetDescriptorType:
            yield b"builtin"
            yield from self._parts((getattr(value, "__module__", None), value.__name__))
        elif kind is types.MemberDescriptorType:
            yield b"slot " + value.__name__.encode()
        elif kind in (staticmethod, classmethod):
            yield kind.__name__.encode()
            yield from self._parts(value.__func__)
        elif kind is property:
            yield b"property"
            yield from self._parts((value.fget, value.fset, value.fdel))
        elif kind is partial:
            yield b"partial"
            yield from self._parts((value.func, value.args, value.keywords))
        else:
            yield from self._pickled(kind, value)

    def _pickled(self, kind: type, value: Any) -> Iterator[bytes]:
        """Take an object apart as pickle would."""
        name = f"{kind.__module__}.{kind.__qualname__}"
        try:
            reduced = value.__reduce_ex__(4)
        except Exception as error:
            raise UnstableError(f"a {name} ({error})") from error
        if isinstance(reduced, str):
            module = str(getattr(value, "__module__", None) or kind.__module__)
            yield f"global {module}.{reduced} ".encode() + _edition(module)
            return
        function, arguments, state, items, pairs = (*reduced, None, None, None)[:5]
        yield b"object "
        yield from self._parts((function, arguments))
        # The order in which attributes were set is no matter.
        if type(state) is dict and all(type(key) is str for key in state):
            state = sorted(state.items())
        yield from self._parts(state)
        yield from self._parts(None if items is None else list(items))
        yield from self._parts(None if pairs is None else list(pairs))

    # Code

    def _class(self, cls: type) -> Iterator[bytes]:
        yield f"class {cls.__module__}.{cls.__qualname__} ".encode()
        if _is_installed(cls):
            yield _edition(cls.__module__)
            return
        yield from self._parts(cls.__bases__)
        for name, value in sorted(vars(cls).items()):
            if name not in _NO_CODE:
                yield name.encode()
                yield from self._parts(value)

    def _function(self, function: types.FunctionType) -> Iterator[bytes]:
        yield f"function {function.__module__}.{function.__qualname__} ".encode()
        yield from self._parts((function.__defaults__, function.__kwdefaults__))
        for cell in function.__closure__ or ():
            try:
                enclosed = cell.cell_contents
            except ValueError:
                continue
            yield from self._parts(enclosed)
        if _is_installed(function):
            yield _edition(function.__module__)
            return
        yield from self._parts(function.__code__)
        for name in sorted(_names(function.__code__)):
            if name in function.__globals__:
                yield name.encode()
                yield from self._parts(function.__globals__[name])

    def _code(self, code: types.CodeType) -> Iterator[bytes]:
        yield b"code "
        yield from self._parts(
            (
                code.co_code,
                code.co_consts,
                code.co_names,
                code.co_varnames,
                code.co_freevars,
                code.co_cellvars,
                code.co_argcount,
                code.co_posonlyargcount,
                code.co_kwonlyargcount,
                code.co_flags,
                code.co_exceptiontable,
            )
        )


def _names(code: types.CodeType) -> set[str]:
    """Names that a function's code, and that of functions within it, looks up."""
    names = set(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            names |= _names(constant)
    return names


def _is_installed(thing: Any) -> bool:
    """Whether the code of a class or function is known by its module."""
    module = getattr(thing, "__module__", None)
    return module is not None and bool(_edition(module))


@cache
def _edition(module: str) -> bytes:
    """What tells one version of a module from the next; empty where only its code can.

    Of packages under development, and so of ours, the sources themselves count.
    """
    top = module.partition(".")[0]
    if top == "__main__" or top not in sys.modules:
        return b""
    if top in sys.stdlib_module_names:
        return b"python %d.%d" % sys.version_info[:2]
    file = getattr(sys.modules[top], "__file__", None)
    paths = sysconfig.get_paths()
    installed = (Path(paths[name]) for name in ("purelib", "platlib"))
    if file is not None and any(Path(file).is_relative_to(path) for path in installed):
        return f"{top} {_version(top)}".encode()
    if file is not None and Path(file).name == "__init__.py":
        return top.encode() + _sources(Path(file).parent)
    return b""


def _version(top: str) -> str:
    """The version of an installed package, by the name it is imported by."""
    try:
        return importlib.metadata.version(top)
    except importlib.metadata.PackageNotFoundError:
        names = importlib.metadata.packages_distributions().get(top, [])
        return " ".join(f"{name} {importlib.metadata.version(name)}" for name in sorted(set(names)))


def _sources(folder: Path) -> bytes:
    """A digest of a package's sources."""
    hashed = hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        content = path.read_bytes()
        hashed.update(f"{path.relative_to(folder).as_posix()} {len(content)} ".encode() + content)
    return hashed.digest()
