"""Threads that share the parts of what one model's steps consist of."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from skopt_dl_native import sequences
from threadpoolctl import threadpool_limits

from skopt_dl import MLPClassifier, NeuralNetClassifier
from skopt_dl.backends import Helpers
from skopt_dl.layers import Conv2d, Dense, Flatten, MaxPool2d
from skopt_dl.programs import using_engine

# A few epochs show it.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

PLUGIN = Path(__file__).parent.parent
SOURCE = PLUGIN / "src" / "skopt_dl_native"

rng = np.random.default_rng(0)
X = rng.normal(size=(700, 196))
Y = (X[:, 0] + X[:, 1] ** 2 > 1).astype(int)
# Each has a step of more multiplications than are worth a team.
SETTINGS = {
    "layers": {"hidden_layer_sizes": (300, 200), "batch_size": 200},
    "float64": {"hidden_layer_sizes": (300, 200), "batch_size": 200, "dtype": "float64"},
    "noise": {"hidden_layer_sizes": (500,), "batch_size": 400, "dropout": 0.2, "batch_norm": True},
    "products of BLAS": {"hidden_layer_sizes": (2100,), "batch_size": 400},
    "convolutions": {
        "network": [Conv2d(16, 3), "relu", Conv2d(16, 3), MaxPool2d(2), Flatten(), Dense(20)],
        "input_shape": (14, 14, 1),
        "batch_size": 200,
    },
}


@pytest.fixture
def teams(monkeypatch):
    """The numbers of threads of all teams that are made."""
    made, new_team = [], sequences.new_team

    def counting(n_threads):
        made.append(n_threads)
        return new_team(n_threads)

    monkeypatch.setattr(sequences, "new_team", counting)
    return made


@pytest.mark.parametrize("name", SETTINGS)
def test_one_large_model_has_the_same_bits_on_any_number_of_threads(name, teams):
    options = {"dtype": "float32", "max_iter": 3, "random_state": 0, "device": "cpu"}
    kind = NeuralNetClassifier if name == "convolutions" else MLPClassifier
    found = []
    with using_engine("native"):
        for n_threads in (1, 2, 5):
            teams.clear()
            with threadpool_limits(n_threads):
                model = kind(**options | SETTINGS[name]).fit(X, Y)
                found.append((model.loss_curve_, model.predict_proba(X).tobytes()))
            assert max(teams, default=1) == n_threads
    assert found[0] == found[1] == found[2]


def test_a_step_that_is_small_is_not_shared(teams):
    with using_engine("native"), threadpool_limits(2):
        MLPClassifier(30, max_iter=2, random_state=0).fit(X, Y)
    assert not teams


def test_threads_that_take_no_work_leave_it_to_the_one_who_leads(monkeypatch):
    """As the interpreter ends, or where there is no memory for a thread."""

    class Refusing(Helpers):
        def submit(self, *arguments, **keywords):
            raise RuntimeError("cannot schedule new futures after interpreter shutdown")

    monkeypatch.setattr(sequences, "helpers", lambda: Refusing(3))
    alone = fitted()
    monkeypatch.setattr(sequences, "helpers", lambda: None)
    assert alone == fitted()


def fitted():
    model = MLPClassifier((300, 200), max_iter=2, random_state=0, device="cpu")
    with using_engine("native"):
        return model.fit(X, Y).predict_proba(X).tobytes()


@pytest.mark.skipif(
    sys.platform != "linux" or shutil.which("gcc") is None, reason="there is no gcc on Linux"
)
def test_every_part_is_done_once_and_threads_race_for_nothing(tmp_path):
    files = [PLUGIN / "tests" / "team_threads.c", SOURCE / "team.c"]
    program = tmp_path / "team_threads"
    command = ["gcc", "-std=gnu11", "-g", "-O1", "-fsanitize=thread", "-pthread", f"-I{SOURCE}"]
    subprocess.run([*command, *map(str, files), "-o", str(program)], check=True)
    # Memory of a fixed layout, which the sanitizer of threads needs, is not everywhere the default.
    done = subprocess.run(["setarch", "-R", str(program)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr[:3000]
