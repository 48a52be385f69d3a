"""Imports point down, without circles; one package names cupy; no deep-learning framework."""

import ast
from functools import cache
from graphlib import CycleError, TopologicalSorter
from importlib.util import resolve_name
from pathlib import Path

import pytest

import skopt_dl

ROOT = Path(skopt_dl.__file__).parent

# From the bottom; modules with a leading underscore lie below them all, skopt_dl itself on top.
LAYERS = [
    {"plugins"},
    {"backends"},
    {"programs"},
    {"objectives"},
    {"layers"},
    {"networks"},
    {"schedules"},
    {"optimizers", "plugins.constraints"},
    {"training"},
    {"jobs"},
    {"search"},
    {"preprocessing"},
    {"estimators"},
    {"lab"},
    {"displays"},
    {"comparing"},
    {"callbacks", "cli", "learning_rates", "testing"},
]
FORBIDDEN = {"torch", "jax", "tensorflow", "keras", "flax", "mlx"}

MODULES = {
    ".".join(["skopt_dl", *path.relative_to(ROOT).with_suffix("").parts]).removesuffix(
        ".__init__"
    ): path
    for path in sorted(ROOT.rglob("*.py"))
    # A package that is copied, not a part of this one.
    if not path.is_relative_to(ROOT / "cli" / "template")
}


@cache
def parsed(code):
    return ast.parse(code)


def imports(module):
    """Every module that `module` imports, wherever in its code."""
    path = MODULES[module]
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    return imports_of(path.read_text(encoding="utf-8"), package)


@cache
def imports_of(code, package, *, for_types=True):
    """Every module that `code` imports; those for type checkers alone may be left out."""
    return tuple(_imports_of(code, package, for_types))


def _imports_of(code, package, for_types):
    nodes = [parsed(code)]
    while nodes:
        node = nodes.pop()
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            source = resolve_name("." * node.level + (node.module or ""), package)
            for alias in node.names:
                if alias.name.startswith("__"):
                    continue  # __version__ is there before any module is
                submodule = f"{source}.{alias.name}"
                yield submodule if submodule in MODULES else source
        if not for_types and is_for_types(node):
            nodes.extend(node.orelse)
        else:
            nodes.extend(ast.iter_child_nodes(node))


def is_for_types(node):
    """Whether a statement is ``if TYPE_CHECKING:``."""
    return isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")


def graph(*, for_types):
    """What each module of skopt_dl makes Python run first, packages around it included."""
    edges = {}
    for module, path in MODULES.items():
        package = module if path.name == "__init__.py" else module.rpartition(".")[0]
        code = path.read_text(encoding="utf-8")
        named = set(imports_of(code, package, for_types=for_types)) & set(MODULES)
        # Its own packages have begun already, and do not wait unless it asks for them by name.
        around = {each for name in named for each in with_packages(name)}
        edges[module] = named | (around - set(with_packages(module)))
    return edges


def with_packages(name):
    """``a.b.c``, ``a.b`` and ``a``."""
    while name:
        yield name
        name = name.rpartition(".")[0]


def circle(edges):
    """A list of modules, each importing the next, that ends where it began; empty without."""
    try:
        TopologicalSorter(edges).prepare()
    except CycleError as error:
        return error.args[1][::-1]
    return []


def layer(module):
    """Height of a module of skopt_dl: -1 for underscore modules, the largest for the package."""
    _, _, inside = module.partition(".")
    name = inside.partition(".")[0]
    if not name or name == "__main__":
        return len(LAYERS)
    if name.startswith("_"):
        return -1
    heights = [height for height, names in enumerate(LAYERS) if {name, inside} & names]
    assert heights, f"{module} has no place in the layers"
    # A module of a package may have a place of its own, above that of the package.
    return heights[-1]


@pytest.mark.parametrize("module", MODULES)
def test_imports_point_downward(module):
    upward = [
        name
        for name in imports(module)
        if name.partition(".")[0] == "skopt_dl" and layer(name) > layer(module)
    ]
    assert not upward


def test_imports_run_in_no_circle():
    assert not circle(graph(for_types=False))


def test_imports_for_type_checkers_close_no_circle_either():
    assert not circle(graph(for_types=True))


@pytest.mark.parametrize("module", MODULES)
def test_no_deep_learning_framework_is_imported(module):
    assert not {name.partition(".")[0] for name in imports(module)} & FORBIDDEN


@pytest.mark.parametrize("module", MODULES)
def test_only_backends_name_cupy(module):
    if module.startswith("skopt_dl.backends"):
        return
    tree = parsed(MODULES[module].read_text(encoding="utf-8"))
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    texts = {
        node.value.partition(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    imported = {name.partition(".")[0] for name in imports(module)}
    assert not (names | texts | imported) & {"cupy", "cupyx", "cp"}


def test_layers_are_all_there_is():
    top_level = {name.split(".")[1] for name in MODULES if "." in name}
    assert {"backends", "networks", "optimizers", "training", "estimators"} <= top_level
    for name in top_level:
        layer(f"skopt_dl.{name}")


def test_imports_within_functions_and_from_packages_are_seen():
    assert "skopt_dl.training.loop" in set(imports("skopt_dl.training"))
    assert "skopt_dl.optimizers.rule" in set(imports("skopt_dl.optimizers.classics"))
    assert "cupy" in set(imports("skopt_dl.backends._select"))


PLANTED = {
    "at the top": "from skopt_dl.estimators import classifier",
    "within a function": "def f():\n    from skopt_dl.estimators.classifier import MLPClassifier",
    "in a package": "from skopt_dl.estimators import MLPClassifier",
    "relative": "from .classifier import MLPClassifier",
    "for types": "if TYPE_CHECKING:\n    from skopt_dl.estimators import classifier",
}


@pytest.mark.parametrize("place", PLANTED)
def test_planted_circle_is_found(place, tmp_path, monkeypatch):
    """estimators.scoring is imported by estimators.base, and that by estimators.classifier."""
    code = MODULES["skopt_dl.estimators.scoring"].read_text(encoding="utf-8")
    planted = tmp_path / "scoring.py"
    planted.write_text(f"{code}\n{PLANTED[place]}\n", encoding="utf-8")
    monkeypatch.setitem(MODULES, "skopt_dl.estimators.scoring", planted)
    found = circle(graph(for_types=True))
    assert found[0] == found[-1]
    assert "skopt_dl.estimators.scoring" in found
    assert bool(circle(graph(for_types=False))) == (place != "for types")


def test_circle_through_another_package_is_found(tmp_path, monkeypatch):
    """Importing a module runs the package that it lies in."""
    planted = tmp_path / "layout.py"
    planted.write_text("import skopt_dl.training.batches\n", encoding="utf-8")
    monkeypatch.setitem(MODULES, "skopt_dl.objectives.layout", planted)
    assert "skopt_dl.objectives.layout" in circle(graph(for_types=False))
