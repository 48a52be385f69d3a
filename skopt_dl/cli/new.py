"""``skopt-dl plugins new``: a package for an optimizer, which works before anything is changed."""

from __future__ import annotations

import keyword
import re
import sys
import warnings
from datetime import date
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from skopt_dl.plugins import PluginWarning
from skopt_dl.plugins.manager import BUILTIN, manager

# A package as it is, but for its names: Newcomer, newcomer, skopt_dl_newcomer, skopt-dl-newcomer.
TEMPLATE = Path(__file__).with_name("template")
# What would mean something to git, or to a packager, where it stands.
_MOVED = {"gitignore": ".gitignore", "ci.yml": ".github/workflows/tests.yml"}


def print_new(name: str, folder: str | None, class_name: str | None, author: str | None) -> None:
    """Make a package for the optimizer NAME, with tests that pass.

    Names are made of small letters, digits and underscores: schedule_free.
    """
    try:
        files = make_package(name, None if folder is None else Path(folder), class_name, author)
    except ValueError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
    root = files[0].parent
    (method,) = [file for file in files if file.name == "optimizer.py"]
    (test,) = [file for file in files if file.name == f"test_{name}.py"]
    for file in files:
        print(file)
    print(
        f"\ncd {root}\n"
        "pip install -e '.[test]'\n"
        "python -m pytest\n"
        f"skopt-dl plugins check {name}\n\n"
        f"Then put your method into {method.relative_to(root)}, and its values as the paper has "
        f"them into {test.relative_to(root)}."
    )


def make_package(
    name: str, folder: Path | None = None, class_name: str | None = None, author: str | None = None
) -> list[Path]:
    """Write a package for an optimizer.

    Parameters
    ----------
    name : str
        Of the optimizer; the distribution is ``skopt-dl-name``.
    folder : Path, default=None
        Where to; by default, a folder with the distribution's name in the current one.
    class_name : str, default=None
        By default the name in capitals, ``ScheduleFree`` for ``schedule_free``.
    author : str, default=None
        Whom the licence names.

    Returns
    -------
    files : list of Path
        What was written, those of the root first.

    Raises
    ------
    ValueError
        If a name is none, or taken, or the folder exists; the message says what to do.
    """
    _check_name(name)
    distribution_name = f"skopt-dl-{name.replace('_', '-')}"
    cls = class_name or "".join(part.capitalize() for part in name.split("_"))
    _check_class(cls, given=class_name is not None)
    _check_free(name, distribution_name)
    folder = Path(distribution_name) if folder is None else folder
    if folder.exists():
        raise ValueError(
            f"{folder} exists already, and nothing is written over. Remove it, or choose another "
            "with --folder."
        )
    words = {
        "skopt-dl-newcomer": distribution_name,
        "Newcomer": cls,
        "newcomer": name,
        "AUTHOR": author or f"the authors of {distribution_name}",
        "YEAR": str(date.today().year),
    }
    made = []
    for source in sorted(path for path in TEMPLATE.rglob("*") if path.is_file()):
        if source.parent.name != "__pycache__":
            place = source.relative_to(TEMPLATE).as_posix()
            path = folder / _written(_MOVED.get(place, place), words)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(_written(source.read_text("utf-8"), words), encoding="utf-8")
            made.append(path)
    return sorted(made, key=lambda path: len(path.parts))


def _written(text: str, words: dict[str, str]) -> str:
    return re.sub("|".join(words), lambda found: words[found.group()], text)


def _check_name(name: str) -> None:
    if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name):
        words = re.findall(r"[A-Z]?[a-z0-9]+|[A-Z]+", name)
        better = "_".join(words).lower().removeprefix("skopt_dl_").lstrip("0123456789_")
        hint = f" Did you mean {better!r}?" if better else ""
        raise ValueError(
            f"The name of an optimizer is made of small letters, digits and underscores, and "
            f"begins with a letter; got {name!r}.{hint}"
        )


def _check_class(cls: str, given: bool) -> None:
    used = " ".join(path.read_text("utf-8") for path in TEMPLATE.rglob("*.py"))
    if not cls.isidentifier() or keyword.iskeyword(cls):
        problem = "is no name of a class"
    elif re.search(rf"\b{cls}\b", used):
        problem = "is used for something else in the package"
    else:
        return
    advice = "Choose another one" if given else "Say what the class is to be called"
    raise ValueError(f"{cls!r} {problem}. {advice}: --class My{cls}.")


def _check_free(name: str, distribution_name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PluginWarning)
        owners = [e.distribution for e in manager.entries("optimizer") if e.name == name]
    if owners:
        keeps = "which keeps it" if owners[0] == BUILTIN else "which is installed here"
        raise ValueError(
            f"{name!r} is taken: it is the name of an optimizer of {owners[0]}, {keeps}. Choose "
            f"another one, my_{name} for example."
        )
    try:
        version = distribution(distribution_name).version
    except PackageNotFoundError:
        return
    raise ValueError(
        f"{distribution_name} is taken: version {version} of a package of that name is installed "
        f"here. Choose another name, my_{name} for example, or uninstall it."
    )
