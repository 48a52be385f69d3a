"""Imports point downward only; one package names cupy; no deep-learning framework anywhere."""

import ast
from importlib.util import resolve_name
from pathlib import Path

import pytest

import skopt_dl

ROOT = Path(skopt_dl.__file__).parent

# From the bottom; modules with a leading underscore lie below them all, skopt_dl itself on top.
LAYERS = [
    {"backends"},
    {"networks"},
    {"schedules"},
    {"optimizers"},
    {"training"},
    {"plugins"},
    {"jobs"},
    {"search"},
    {"preprocessing"},
    {"estimators"},
    {"displays"},
    {"callbacks", "cli", "lab", "learning_rates", "testing"},
]
FORBIDDEN = {"torch", "jax", "tensorflow", "keras", "flax", "mlx"}

MODULES = {
    ".".join(["skopt_dl", *path.relative_to(ROOT).with_suffix("").parts]).removesuffix(
        ".__init__"
    ): path
    for path in sorted(ROOT.rglob("*.py"))
}


def imports(module):
    """Every module that `module` imports, wherever in its code."""
    path = MODULES[module]
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            source = resolve_name("." * node.level + (node.module or ""), package)
            for alias in node.names:
                if alias.name.startswith("__"):
                    continue  # __version__ is there before any module is
                submodule = f"{source}.{alias.name}"
                yield submodule if submodule in MODULES else source


def layer(module):
    """Height of a module of skopt_dl: -1 for underscore modules, the largest for the package."""
    _, _, inside = module.partition(".")
    name = inside.partition(".")[0]
    if not name or name == "__main__":
        return len(LAYERS)
    if name.startswith("_"):
        return -1
    heights = [height for height, names in enumerate(LAYERS) if name in names]
    assert heights, f"{module} has no place in the layers"
    return heights[0]


@pytest.mark.parametrize("module", MODULES)
def test_imports_point_downward(module):
    upward = [
        name
        for name in imports(module)
        if name.partition(".")[0] == "skopt_dl" and layer(name) > layer(module)
    ]
    assert not upward


@pytest.mark.parametrize("module", MODULES)
def test_no_deep_learning_framework_is_imported(module):
    assert not {name.partition(".")[0] for name in imports(module)} & FORBIDDEN


@pytest.mark.parametrize("module", MODULES)
def test_only_backends_name_cupy(module):
    if module.startswith("skopt_dl.backends"):
        return
    tree = ast.parse(MODULES[module].read_text(encoding="utf-8"))
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
