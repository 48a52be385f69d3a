"""What an author has to mend in the checkout of a plugin; none of its code is run."""

from __future__ import annotations

import ast
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

from skopt_dl._entry_points import GROUP, canonical
from skopt_dl._params import did_you_mean
from skopt_dl.plugins.doctor import Diagnosis
from skopt_dl.plugins.hookspecs import KIND_OF_HOOK
from skopt_dl.plugins.records import Problem

_INSTALL = "Run `pip install -e .` there."


def examine_checkout(folder: Path) -> Diagnosis | None:
    """Compare the ``pyproject.toml`` of a folder, or of one around it, with what is installed.

    Returns
    -------
    diagnosis : Diagnosis or None
        None where there is none, or it is not that of a plugin.
    """
    folder = folder.absolute()
    for root in (folder, *folder.parents):
        if (root / "pyproject.toml").is_file():
            return _diagnosis(root)
    return None


def _diagnosis(root: Path) -> Diagnosis | None:
    try:
        project = tomllib.loads((root / "pyproject.toml").read_text("utf-8")).get("project", {})
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        problem = Problem(f"It cannot be read: {error}.", "Correct it.")
        return Diagnosis(str(root / "pyproject.toml"), "", "checkout", (), (problem,))
    groups = project.get("entry-points", {})
    needs = [canonical(need.split()[0]) for need in project.get("dependencies", [])]
    about_us = any(need.startswith("skopt-dl") for need in needs)
    if GROUP not in groups and not about_us:
        return None
    name = project.get("name", "")
    problems = (*_of_groups(groups), *_of_modules(root, groups.get(GROUP, {})))
    if not problems:
        problems = tuple(_of_installation(root, name, project))
    return Diagnosis(f"{name} in {root}", project.get("version", ""), "checkout", (), problems)


def _of_groups(groups: dict[str, Any]) -> Iterator[Problem]:
    if not groups.get(GROUP):
        similar = [name for name in groups if name.lower().startswith("skopt")]
        seen = f" It has the group {similar[0]!r}." if similar else ""
        yield Problem(
            f"pyproject.toml has no entry point in the group {GROUP!r}.{seen}",
            f'Write the table [project.entry-points.{GROUP}], with name = "package".',
        )


def _of_modules(root: Path, entry_points: dict[str, str]) -> Iterator[Problem]:
    """What is wrong with the modules that entry points name."""
    for name, value in entry_points.items():
        module = value.partition(":")[0].strip()
        path = _source(root, module)
        if path is None:
            there = [
                each.relative_to(place).with_suffix("").parts[0]
                for place in _places(root)
                for pattern in ("*.py", "*/__init__.py")
                for each in place.glob(pattern)
            ]
            yield Problem(
                f"The entry point {name!r} names the module {module!r}, which is neither in {root} "
                f"nor in its src.{did_you_mean(module, there)}",
                "Correct the entry point, or move the module.",
            )
        elif ":" not in value:
            yield from _of_hooks(path)


def _of_hooks(path: Path) -> Iterator[Problem]:
    """What is wrong with the hooks of a module."""
    try:
        tree = ast.parse(path.read_text("utf-8"))
    except (SyntaxError, UnicodeDecodeError) as error:
        yield Problem(f"{path} cannot be read: {error}.", "Correct it.")
        return
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    for function in functions:
        marked = any("hookimpl" in ast.unparse(each) for each in function.decorator_list)
        hint = did_you_mean(function.name, KIND_OF_HOOK)
        if function.name in KIND_OF_HOOK and not marked:
            yield Problem(
                f"{path}:{function.lineno}: {function.name!r} is not marked as a hook.",
                "Put @hookimpl (from skopt_dl import hookimpl) above it.",
            )
        elif function.name not in KIND_OF_HOOK and (marked or (hint and "skopt" in function.name)):
            yield Problem(
                f"{path}:{function.lineno}: {function.name!r} is no hook.{hint}",
                f"Hooks are {', '.join(KIND_OF_HOOK)}.",
            )


def _of_installation(root: Path, name: str, project: dict[str, Any]) -> Iterator[Problem]:
    """What of the checkout is not installed, though its files are in order."""
    try:
        installed = distribution(name)
    except (PackageNotFoundError, ValueError):
        yield Problem(
            f"The entry point is written, but the distribution {name!r} is not installed in "
            f"{sys.prefix}, so nobody finds it.",
            _INSTALL,
        )
        return
    written = project["entry-points"][GROUP]
    known = {each.name: each.value for each in installed.entry_points if each.group == GROUP}
    if written != known:
        yield Problem(
            f"It is installed with the entry points {known}, pyproject.toml has {written}.",
            f"Entry points are read when a package is installed. {_INSTALL}",
        )
    version = project.get("version", installed.version)
    if version != installed.version:
        yield Problem(
            f"Version {installed.version} is installed, pyproject.toml says {version}.", _INSTALL
        )
    other = _differing_copy(root, installed)
    if other is not None:
        yield Problem(
            f"What is installed is a copy, whose {other} is not what the checkout has.",
            f"A copy does not follow your changes. {_INSTALL}",
        )


def _differing_copy(root: Path, installed: Distribution) -> str | None:
    """A module that is installed as a copy, and in the checkout in another state."""
    for file in installed.files or ():
        if file.suffix == ".py":
            copy = Path(str(installed.locate_file(file)))
            for place in _places(root):
                source = place / file
                if source.is_file() and source.resolve() != copy.resolve():
                    same = copy.is_file() and copy.read_bytes() == source.read_bytes()
                    if not same:
                        return str(file)
    return None


def _places(root: Path) -> list[Path]:
    """Where a checkout has its modules."""
    return [place for place in (root / "src", root) if place.is_dir()]


def _source(root: Path, module: str) -> Path | None:
    """The file of a module."""
    inside = Path(*module.split("."))
    for place in _places(root):
        for path in (place / inside / "__init__.py", place / inside.with_suffix(".py")):
            if path.is_file():
                return path
    return None
