"""Checkpoints: what is written where, what is kept when that fails, and how training goes on."""

import errno
import os
import socket
import stat
import sys
import threading
import warnings

import joblib
import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning

from skopt_dl import (
    MLPClassifier,
    MLPRegressor,
    _files,
    available_optimizers,
    fit_many,
    make_optimizer,
)
from skopt_dl.callbacks import Checkpoint, EpochCallback
from skopt_dl.optimizers import SGD, Minimizer
from skopt_dl.schedules import Cosine, ReduceOnPlateau

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X, Y = load_digits(return_X_y=True)
X, Y = X[:150] / 16, Y[:150]

N_EPOCHS, SAVED = 7, 3
STOCHASTIC = [
    name
    for name in available_optimizers()
    if "/" not in name and not isinstance(make_optimizer(name), Minimizer)
]
FEATURES = {
    "plain": {},
    "dropout": {"dropout": 0.3},
    "batch norm": {"batch_norm": True},
    "averages": {"ema_decay": 0.9},
    "all": {"dropout": 0.2, "batch_norm": True, "ema_decay": 0.9, "input_scaling": True},
    "limits": {"max_grad_norm": 0.1, "sampling": "replacement", "dtype": "float32"},
    "plateaus": {"optimizer": SGD(ReduceOnPlateau(0.1)), "tol": 10.0, "n_iter_no_change": 1},
    "cosine": {"optimizer": SGD(Cosine(0.1))},
}


def after_epoch(number):
    """Monitors a figure that is best after one epoch."""
    return lambda model: -abs(model.n_iter_ - number)


def classifier(**params):
    defaults = {"max_iter": N_EPOCHS, "batch_size": 32, "random_state": 0}
    return MLPClassifier(8, **{**defaults, **params})


def weights(model):
    return np.concatenate([w.ravel() for w in (*model.coefs_, *model.intercepts_)])


def assert_goes_on(loaded, full, y):
    for _ in range(N_EPOCHS - SAVED):
        loaded.partial_fit(X, y)
    np.testing.assert_array_equal(weights(loaded), weights(full))
    assert loaded.loss_curve_ == full.loss_curve_
    assert (loaded.t_, loaded.n_steps_) == (full.t_, full.n_steps_)
    # And both go on alike.
    np.testing.assert_array_equal(
        weights(loaded.partial_fit(X, y)), weights(full.partial_fit(X, y))
    )


@pytest.mark.parametrize("features", FEATURES)
def test_loaded_checkpoint_trains_on_as_the_training_did(tmp_path, features):
    path = tmp_path / "model"
    full = classifier(**FEATURES[features])
    full.set_callbacks(Checkpoint(path, after_epoch(SAVED))).fit(X, Y)
    loaded = joblib.load(path)
    assert (loaded.n_iter_, full.n_iter_) == (SAVED, N_EPOCHS)
    assert_goes_on(loaded, full, Y)


@pytest.mark.parametrize("optimizer", STOCHASTIC)
def test_state_of_every_optimizer_is_in_a_checkpoint(tmp_path, optimizer):
    path = tmp_path / "model"
    full = MLPRegressor(
        6, optimizer=optimizer, batch_size=32, max_iter=N_EPOCHS, standardize_target=True,
        random_state=0,
    )  # fmt: skip
    full.set_callbacks(Checkpoint(path, after_epoch(SAVED))).fit(X, 1.0 * Y)
    assert_goes_on(joblib.load(path), full, 1.0 * Y)


def test_models_of_a_stack_have_checkpoints_of_their_own_that_go_on(tmp_path):
    models = [
        classifier(random_state=k, dropout=0.1 * k).set_callbacks(
            Checkpoint(tmp_path / f"model-{k}", after_epoch(SAVED))
        )
        for k in range(3)
    ]
    fit_many(models, X, Y)
    for k, full in enumerate(models):
        assert_goes_on(joblib.load(tmp_path / f"model-{k}"), full, Y)


def test_copy_that_a_callback_keeps_stays_as_it_was():
    kept = []

    class Keep(EpochCallback):
        def after_epoch(self, model, memory):
            model.set_callbacks()
            kept.append(model)

    full = classifier(dropout=0.2, batch_norm=True).set_callbacks(Keep()).fit(X, Y)
    model = kept[SAVED - 1]
    vars(model).pop("_callback_fit_ctx", None)
    assert_goes_on(model, full, Y)


def test_interrupted_training_goes_on_from_its_checkpoint(tmp_path):
    class Interrupt(EpochCallback):
        def after_epoch(self, model, memory):
            if model.n_iter_ == SAVED:
                raise KeyboardInterrupt

    full, path = classifier().fit(X, Y), tmp_path / "model"
    model = classifier().set_callbacks(Checkpoint(path), Interrupt())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(X, Y)
    assert_goes_on(joblib.load(path), full, Y)


def folder(path):
    path.mkdir()


def pipe(path):
    os.mkfifo(path)


def local_socket(path):
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(path.name)


def device(path):
    path.symlink_to(os.devnull)


def link_to_a_folder(path):
    path.with_name("folder").mkdir()
    path.symlink_to(path.with_name("folder"))


def link_to_nowhere(path):
    path.symlink_to(path.with_name("missing") / "file")


def circle(path):
    path.symlink_to(path.with_name("other"))
    path.with_name("other").symlink_to(path)


@pytest.mark.skipif(sys.platform == "win32", reason="has neither pipes nor sockets in folders")
@pytest.mark.parametrize(
    ("put", "words"),
    [
        (folder, "model is a folder"),
        (pipe, "model is a named pipe"),
        (local_socket, "model is a socket"),
        (device, f"model is a link to {os.devnull}, which is a device"),
        (link_to_a_folder, "model is a link to .*folder, which is a folder"),
        (link_to_nowhere, "model is a link to .*file, which is in .*missing, and there is no such"),
        (circle, "model cannot be followed"),
    ],
)
def test_what_is_no_file_is_refused_before_training_and_stays(tmp_path, monkeypatch, put, words):
    monkeypatch.chdir(tmp_path)  # names of sockets are short
    path = tmp_path / "model"
    put(path)
    before = path.lstat()
    model = classifier().set_callbacks(Checkpoint(path))
    with pytest.raises(ValueError, match=f"path of Checkpoint must be a file .*{words}"):
        model.fit(X, Y)
    after = path.lstat()
    assert (after.st_mode, after.st_ino) == (before.st_mode, before.st_ino)
    assert not hasattr(model, "coefs_")


@pytest.mark.skipif(sys.platform == "win32", reason="needs a privilege there")
@pytest.mark.parametrize("there", [True, False])
def test_link_to_a_file_stays_and_the_file_is_written(tmp_path, there):
    target, link = tmp_path / "runs" / "model-1", tmp_path / "latest"
    target.parent.mkdir()
    if there:
        target.write_text("an older one")
        target.chmod(0o640)
    link.symlink_to(target)
    fitted = classifier(max_iter=2).set_callbacks(Checkpoint(link)).fit(X, Y)
    assert link.is_symlink()
    assert not target.is_symlink()
    assert joblib.load(target).n_iter_ == fitted.n_iter_
    assert sorted(each.name for each in tmp_path.rglob("*")) == ["latest", "model-1", "runs"]
    if there:
        assert stat.S_IMODE(target.stat().st_mode) == 0o640


def test_full_disk_leaves_the_last_checkpoint_and_warns_once(tmp_path, monkeypatch):
    path, written = tmp_path / "model", []

    def fsync(descriptor):
        written.append(descriptor)
        if 2 * SAVED < len(written) <= 2 * SAVED + 2:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(_files.os, "fsync", fsync)
    model = classifier().set_callbacks(Checkpoint(path))
    seen = []

    class Look(EpochCallback):
        def after_epoch(self, model, memory):
            seen.append(joblib.load(path).n_iter_)
            assert [each.name for each in tmp_path.iterdir()] == ["model"]

    with pytest.warns(UserWarning, match="checkpoint") as caught:
        model.set_callbacks(Checkpoint(path), Look()).fit(X, Y)
    messages = [str(w.message) for w in caught if w.category is not ConvergenceWarning]
    (message,) = [text for text in messages if "checkpoint" in text]
    assert f"epoch {SAVED + 1} cannot be written to {path}: [Errno 28] No space left" in message
    assert "is whole. Training goes on" in message
    assert seen == [1, 2, 3, 3, 3, 6, 7]
    assert model.n_iter_ == N_EPOCHS


def test_error_while_writing_leaves_no_part_behind(tmp_path):
    class Unpicklable(MLPClassifier):
        def __getstate__(self):
            raise RuntimeError("no state")

    model = Unpicklable(4, max_iter=2).set_callbacks(Checkpoint(tmp_path / "model"))
    with pytest.raises(RuntimeError, match="no state"):
        model.fit(X, Y)
    assert not list(tmp_path.iterdir())


def test_two_fits_at_once_may_write_to_one_path(tmp_path):
    path, errors = tmp_path / "model", []
    both = threading.Barrier(2)

    class Wait(EpochCallback):
        def after_epoch(self, model, memory):
            both.wait(30)

    def fit(seed):
        try:
            classifier(random_state=seed).set_callbacks(Wait(), Checkpoint(path)).fit(X, Y)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=fit, args=(seed,)) for seed in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert [each.name for each in tmp_path.iterdir()] == ["model"]
    assert joblib.load(path).score(X, Y) > 0.1


def test_file_is_on_the_disk_before_it_has_its_name(tmp_path, monkeypatch):
    path, events = tmp_path / "model", []
    fsync, replace = os.fsync, type(path).replace
    monkeypatch.setattr(_files.os, "fsync", lambda fd: (events.append("sync"), fsync(fd)))
    monkeypatch.setattr(
        type(path), "replace", lambda *names: (events.append("name"), replace(*names))
    )
    _files.write_whole(path, lambda file: file.write(b"all of it"))
    assert events[:2] == ["sync", "name"]
    assert path.read_bytes() == b"all of it"
