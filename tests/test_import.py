"""What importing the package brings along."""

import subprocess
import sys

import pytest

import skopt_dl


def modules_after(*steps):
    """Names of the modules that are loaded in a new process after each piece of code."""
    code = "\n".join(["import sys", *(f"{step}\nprint(*sys.modules)" for step in steps)])
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return [set(line.split()) for line in ran.stdout.splitlines()]


@pytest.fixture(scope="module")
def loaded():
    """What is loaded after importing scikit-learn's networks, after ours, and after a fit."""
    return modules_after(
        "import sklearn.neural_network",
        "import skopt_dl.estimators",
        "from skopt_dl import MLPClassifier; import numpy as np",
        "MLPClassifier(2, optimizer='lbfgs').fit(np.eye(4), [0, 1, 0, 1])",
    )


def test_importing_the_package_imports_neither_plugins_nor_optional_packages(loaded):
    # scikit-learn imports some optional packages itself.
    theirs, ours, *_ = loaded
    unwanted = {"cupy", "matplotlib", "pandas", "torch", "click", "rich", "skopt_dl_lion"}
    assert "skopt_dl.estimators" in ours
    assert not (ours - theirs) & unwanted


def test_bare_import_is_light():
    (ours,) = modules_after("import skopt_dl")
    assert "skopt_dl" in ours
    assert "sklearn" not in ours


def test_fitting_with_a_built_in_optimizer_loads_no_plugin(loaded):
    assert "skopt_dl.training.loop" in loaded[-1]
    assert "skopt_dl_lion" not in loaded[-1]


def test_public_names_are_there():
    for name in skopt_dl.__all__:
        assert getattr(skopt_dl, name) is not None
    assert set(skopt_dl.__all__) <= set(dir(skopt_dl))
    with pytest.raises(AttributeError, match="nonsense"):
        _ = skopt_dl.nonsense
