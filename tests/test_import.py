"""What importing the package brings along."""

import subprocess
import sys

import pytest

import skopt_dl


def modules_after(code):
    listing = f"{code}; import sys; print(*sys.modules)"
    return set(
        subprocess.run(
            [sys.executable, "-c", listing], capture_output=True, text=True, check=True
        ).stdout.split()
    )


def test_importing_the_package_imports_neither_plugins_nor_optional_packages():
    # scikit-learn imports some optional packages itself.
    loaded = modules_after("import skopt_dl.estimators") - modules_after(
        "import sklearn.neural_network"
    )
    unwanted = {"cupy", "matplotlib", "pandas", "torch", "click", "rich", "skopt_dl_lion"}
    assert not loaded & unwanted


def test_bare_import_is_light():
    assert "sklearn" not in modules_after("import skopt_dl")


def test_fitting_with_a_built_in_optimizer_loads_no_plugin():
    code = (
        "from skopt_dl import MLPClassifier; import numpy as np;"
        "MLPClassifier(2, optimizer='lbfgs').fit(np.eye(4), [0, 1, 0, 1])"
    )
    assert "skopt_dl_lion" not in modules_after(code)


def test_public_names_are_there():
    for name in skopt_dl.__all__:
        assert getattr(skopt_dl, name) is not None
    assert set(skopt_dl.__all__) <= set(dir(skopt_dl))
    with pytest.raises(AttributeError, match="nonsense"):
        _ = skopt_dl.nonsense
