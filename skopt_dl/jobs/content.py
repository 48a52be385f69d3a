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
        parts: list[bytes] = []
        self._add(values, parts)
        return hashlib.sha256(b"".join(parts)).digest()

    def _add(self, value: Any, parts: list[bytes]) -> None:
        kind = type(value)
        if kind is float:
            parts.append(b"f" + struct.pack("<d", value))
        elif kind in _PRIMITIVE:
            text = value if kind is bytes else repr(value).encode("utf-8", "backslashreplace")
            parts.append(b"%s %d " % (kind.__name__.encode(), len(text)) + text)
        elif kind is np.ndarray or kind is np.memmap:
            parts.append(self._array(value))
        else:
            self._composite(kind, value, parts)

    def _composite(self, kind: type, value: Any, parts: list[bytes]) -> None:
        if id(value) in self._open:
            parts.append(b"again %d" % (len(self._open) - self._open[id(value)]))
            return
        self._open[id(value)] = len(self._open)
        try:
            if kind is tuple or kind is list:
                parts.append(b"%s %d(" % (kind.__name__.encode(), len(value)))
                for each in value:
                    self._add(each, parts)
                parts.append(b")")
            elif kind is dict:
                parts.append(b"dict %d(" % len(value))
                for key, each in value.items():
                    self._add(key, parts)
                    self._add(each, parts)
                parts.append(b")")
            elif kind is set or kind is frozenset:
                parts.append(b"set %d(" % len(value))
                parts.extend(sorted(self.digest(each) for each in value))
                parts.append(b")")
            else:
                self._object(kind, value, parts)
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

    def _object(self, kind: type, value: Any, parts: list[bytes]) -> None:
        if isinstance(value, type):
            self._class(value, parts)
        elif kind is types.FunctionType:
            self._function(value, parts)
        elif kind is types.MethodType:
            parts.append(b"method")
            self._add((value.__func__, value.__self__), parts)
        elif kind is types.ModuleType:
            parts.append(b"module " + value.__name__.encode() + _edition(value.__name__))
        elif kind is types.CodeType:
            self._code(value, parts)
        elif isinstance(value, np.generic):
            parts.append(b"number " + str(value.dtype).encode() + b" " + value.tobytes())
        elif isinstance(value, np.dtype):
            parts.append(b"dtype " + repr(value.descr).encode())
        elif kind in (types.BuiltinFunctionType, np.ufunc) or kind is types.GetSetDescriptorType:
            parts.append(b"builtin")
            self._add((getattr(value, "__module__", None), value.__name__), parts)
        elif kind is types.MemberDescriptorType:
            parts.append(b"slot " + value.__name__.encode())
        elif kind in (staticmethod, classmethod):
            parts.append(kind.__name__.encode())
            self._add(value.__func__, parts)
        elif kind is property:
            parts.append(b"property")
            self._add((value.fget, value.fset, value.fdel), parts)
        elif kind is partial:
            parts.append(b"partial")
            self._add((value.func, value.args, value.keywords), parts)
        else:
            self._pickled(kind, value, parts)

    def _pickled(self, kind: type, value: Any, parts: list[bytes]) -> None:
        """Take an object apart as pickle would."""
        name = f"{kind.__module__}.{kind.__qualname__}"
        try:
            reduced = value.__reduce_ex__(4)
        except Exception as error:
            raise UnstableError(f"a {name} ({error})") from error
        if isinstance(reduced, str):
            module = str(getattr(value, "__module__", None) or kind.__module__)
            parts.append(f"global {module}.{reduced} ".encode() + _edition(module))
            return
        function, arguments, state, items, pairs = (*reduced, None, None, None)[:5]
        parts.append(b"object ")
        self._add((function, arguments), parts)
        # The order in which attributes were set is no matter.
        if type(state) is dict and all(type(key) is str for key in state):
            state = sorted(state.items())
        self._add(state, parts)
        self._add(None if items is None else list(items), parts)
        self._add(None if pairs is None else list(pairs), parts)

    # Code

    def _class(self, cls: type, parts: list[bytes]) -> None:
        parts.append(f"class {cls.__module__}.{cls.__qualname__} ".encode())
        if _is_installed(cls):
            parts.append(_edition(cls.__module__))
            return
        self._add(cls.__bases__, parts)
        for name, value in sorted(vars(cls).items()):
            if name not in _NO_CODE:
                parts.append(name.encode())
                self._add(value, parts)

    def _function(self, function: types.FunctionType, parts: list[bytes]) -> None:
        parts.append(f"function {function.__module__}.{function.__qualname__} ".encode())
        self._add((function.__defaults__, function.__kwdefaults__), parts)
        for cell in function.__closure__ or ():
            try:
                enclosed = cell.cell_contents
            except ValueError:
                continue
            self._add(enclosed, parts)
        if _is_installed(function):
            parts.append(_edition(function.__module__))
            return
        self._add(function.__code__, parts)
        for name in sorted(_names(function.__code__)):
            if name in function.__globals__:
                parts.append(name.encode())
                self._add(function.__globals__[name], parts)

    def _code(self, code: types.CodeType, parts: list[bytes]) -> None:
        parts.append(b"code ")
        self._add(
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
            ),
            parts,
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
