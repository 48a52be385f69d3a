"""Equal jobs have equal keys, everywhere; whatever a result depends on changes them."""

import contextvars
import functools
import subprocess
import sys
import threading
from dataclasses import fields, replace

import numpy as np
import pytest
from made_jobs import X, Y, made_job
from scipy import sparse
from sklearn.metrics import get_scorer, make_scorer
from threadpoolctl import threadpool_info

import skopt_dl
from skopt_dl import MLPClassifier, MLPRegressor
from skopt_dl.jobs import FitJob, ValidationSet, keys
from skopt_dl.jobs.content import Digester, UnstableError
from skopt_dl.jobs.keys import key_of, keys_of
from skopt_dl.layers.activations import Tanh
from skopt_dl.networks import DenseNetwork
from skopt_dl.optimizers import Adam, Optimizer
from skopt_dl.schedules import Cosine
from skopt_dl.training import Stopping, TrainingConfig


def job(**params):
    return made_job(early_stopping=True, validation_fraction=0.3, **params)


def changed_array(array):
    """The same but for the last bit of one number."""
    array = array.copy()
    array.flat[-1] = np.nextafter(array.flat[-1], np.inf)
    return array


def drawn_from(rng):
    rng.random()
    return rng


def other_network(network, **changes):
    settings = {
        "layer_sizes": network.layer_sizes,
        "activations": network.activations,
        "loss": network.loss,
        "batch_norm": network.batch_norm,
        "input_scaling": network.input_scaling,
    }
    return DenseNetwork(**{**settings, **changes})


# For each field, values that a result may depend on; `job.field` is given.
CHANGES = {
    "network": [
        lambda n: other_network(n, layer_sizes=(5, 7, 1)),
        lambda n: other_network(n, activations=[Tanh()]),
        lambda n: other_network(n, loss=skopt_dl.networks.losses.SquaredError()),
        lambda n: other_network(n, batch_norm=True),
        lambda n: other_network(n, input_scaling=True),
        lambda n: other_network(n, dropout=[0.1]),
    ],
    "config": [
        lambda c: replace(c, optimizer=Adam(learning_rate=np.nextafter(1e-3, 1))),
        lambda c: replace(c, optimizer=Adam(epsilon_hat=True)),
        lambda c: replace(c, optimizer=Adam(Cosine(1e-3))),
        lambda c: replace(c, optimizer=Adam(Cosine(1e-3, 1e-9))),
        lambda c: replace(c, optimizer=skopt_dl.optimizers.AdamW()),
        lambda c: replace(c, max_epochs=c.max_epochs + 1),
        lambda c: replace(c, stopping=None),
        lambda c: replace(c, horizon=c.horizon + 1),
        lambda c: replace(c, max_grad_norm=1.0),
        lambda c: replace(c, ema_decay=0.9),
    ],
    "params": [changed_array, lambda a: a.astype(np.float32)],
    "X": [changed_array, np.asfortranarray, sparse.csr_array, lambda a: a[:, ::-1]],
    "y": [lambda a: 1 - a],
    "rng": [drawn_from, lambda r: np.random.Generator(np.random.MT19937(0))],
    "alpha": [lambda a: np.nextafter(a, 1)],
    "label_smoothing": [lambda a: 0.1],
    "batch_size": [lambda n: n + 1],
    "shuffle": [lambda b: not b],
    "sampling": [lambda s: "replacement"],
    "device": [lambda d: "cpu"],
    "engine": [lambda e: "numpy" if e == "native" else "native"],
    "sample_weight": [lambda w: np.ones((60, 1))],
    "rows": [lambda r: r[::-1], lambda r: None],
    "validation": [
        lambda v: None,
        lambda v: replace(v, X=changed_array(v.X)),
        lambda v: replace(v, y=1 - v.y),
        lambda v: replace(v, sample_weight=np.ones((60, 1))),
        lambda v: replace(v, rows=v.rows[::-1]),
        lambda v: replace(v, scored_by="something else"),
        lambda v: replace(v, scored_by=None, score=lambda raw, params: 1.0),
    ],
    "resume": [lambda r: {"progress": {"step": 1}}],
    "on_epoch_begin": [lambda f: print],
    "on_epoch_end": [lambda f: print],
    "only_prints": [lambda b: not b],
    "context": [lambda c: contextvars.copy_context()],
    "watchers": [lambda w: [object()]],
    "stays_here": [lambda b: not b],
    "n_bytes_given": [lambda n: 1],
    "reproducible": [lambda b: not b],
    "snapshot": [lambda s: object()],
}


# Who is told, where it is trained, what it takes: no result depends on these.
HARMLESS = {
    "on_epoch_begin",
    "on_epoch_end",
    "only_prints",
    "context",
    "watchers",
    "stays_here",
    "n_bytes_given",
    "reproducible",
    "snapshot",
}


@pytest.mark.parametrize("name", [field.name for field in fields(FitJob)])
def test_every_field_of_a_job_has_a_decision(name):
    for change in CHANGES[name]:
        before, after = job(), job()
        setattr(after, name, change(getattr(after, name)))
        assert (key_of(before) == key_of(after)) == (name in HARMLESS), change


@pytest.mark.parametrize("field", fields(Stopping), ids=lambda field: field.name)
def test_every_field_of_the_stopping_rule_counts(field):
    before, after = job(), job()
    rule = after.config.stopping
    value = getattr(rule, field.name)
    other = not value if isinstance(value, bool) else value * 2
    rule = replace(rule, **{field.name: other})
    after.config = replace(after.config, stopping=rule)
    assert key_of(before) != key_of(after)


def test_changes_of_a_configuration_are_complete():
    given, changed = job().config, [change(job().config) for change in CHANGES["config"]]
    for field in fields(TrainingConfig):
        assert any(getattr(given, field.name) is not getattr(c, field.name) for c in changed)


def test_changes_of_a_validation_set_are_complete():
    tried = {"X", "y", "sample_weight", "rows", "scored_by", "score"}
    assert {field.name for field in fields(ValidationSet)} == tried


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("versions", ("skopt_dl 9.9",)),
        ("platform.machine", "abacus"),
        ("threadpool_info", []),
        ("np.show_config", {"SIMD Extensions": {"found": ["X86_V9"]}}),
    ],
)
def test_versions_and_processor_count(name, value, monkeypatch):
    before = keys.environment()
    with monkeypatch.context() as patch:
        patch.setattr(f"skopt_dl.jobs.keys.{name}", lambda *args, **kwargs: value)
        assert keys.environment() != before
    assert keys.environment() == before
    key = key_of(job())
    monkeypatch.setattr(keys, "_environment", lambda: b"another")
    assert key_of(job()) != key


def test_other_libraries_that_a_program_has_imported_do_not_count(monkeypatch):
    before = keys.environment()
    other = {
        "user_api": "blas",
        "internal_api": "mkl",
        "architecture": "other",
        "filepath": "/lib/libmkl_rt.so",
    }
    monkeypatch.setattr(keys, "threadpool_info", lambda: [other, *threadpool_info()])
    assert keys.environment() == before


SCRIPT = """
import numpy as np
from made_jobs import made_job, X
from sklearn.metrics import make_scorer
from sklearn.base import clone
from skopt_dl import MLPClassifier
from skopt_dl.jobs.keys import key_of
from skopt_dl.optimizers import Adam

NAMES = {"alpha", "beta", "gamma", "delta"}
CONSTANT = 3

def helper(x):
    return x + CONSTANT

class Mine(Adam):
    "What it does."
    NAMES = {"a", "b", "c", "d"}

    def coefficients(self, number, learning_rate):
        return super().coefficients(number, helper(learning_rate))

def score(y, p, names=NAMES):
    return float(np.mean([helper(float(a == b)) for a, b in zip(y, p)]))

for model in (
    dict(),
    dict(optimizer="nadam", early_stopping=True, scoring="f1", class_weight={0: 1.0, 1: 2.0}),
    dict(optimizer=Mine(), early_stopping=True, scoring=make_scorer(score)),
    dict(early_stopping=True, scoring=lambda m, x, y: helper(m.score(x, y))),
    dict(dtype="float32", batch_norm=True),
):
    print(key_of(made_job(**model)).hex())
"""


def run_script(script, seed):
    code = [sys.executable, "-c", script]
    root = skopt_dl.__path__[0].rpartition("/")[0]
    paths = f"{root}:{root}/tests"
    environment = {"PYTHONHASHSEED": str(seed), "PYTHONPATH": paths, "PATH": ""}
    return subprocess.run(code, capture_output=True, text=True, check=True, env=environment).stdout


def test_equal_jobs_of_two_processes_have_equal_keys():
    first = run_script(SCRIPT, 1).split()
    assert len(set(first)) == 5
    # A comment, a docstring and lines elsewhere are no changes; a helper's constant is one.
    moved = "# Moved.\n\n" + SCRIPT.replace("What it does.", "What else it does.")
    other = SCRIPT.replace("CONSTANT = 3", "CONSTANT = 4")
    # Each defines all that it uses anew.
    again = run_script("\n".join([SCRIPT, moved, other]), 2).split()
    assert again[:5] == again[5:10] == first
    equal = [a == b for a, b in zip(first, again[10:], strict=True)]
    assert equal == [True, True, False, False, True]


@pytest.mark.parametrize(
    "params",
    [
        {"scoring": "f1"},
        {"scoring": "loss"},
        {"scoring": get_scorer("accuracy")},
        {"scoring": make_scorer(lambda y, p: 0.5)},
        {"scoring": make_scorer(lambda y, p: 0.6)},
        {"class_weight": {0: 2.0}},
    ],
)
def test_scores_count_with_all_that_they_depend_on(params):
    assert key_of(job()) != key_of(job(**params))


def test_what_a_lambda_encloses_counts():
    def scorer(factor):
        return lambda model, x, y: factor * model.score(x, y)

    assert key_of(job(scoring=scorer(2.0))) == key_of(job(scoring=scorer(2.0)))
    assert key_of(job(scoring=scorer(2.0))) != key_of(job(scoring=scorer(3.0)))
    assert key_of(job(scoring=functools.partial(scorer(2.0), sample_weight=None))) != key_of(
        job(scoring=functools.partial(scorer(2.0)))
    )


def test_targets_of_other_units_have_other_scores():
    def regression(y, **params):
        model = MLPRegressor(
            6, standardize_target=True, early_stopping=True, random_state=0, **params
        )
        return made_job(model, y=y)

    targets = X[:, 0]
    assert key_of(regression(targets)) == key_of(regression(targets.copy()))
    assert key_of(regression(targets)) != key_of(regression(2.0 * targets))


def test_an_estimator_that_was_fitted_before_makes_the_same_job():
    model = MLPClassifier(6, max_iter=2, early_stopping=True, random_state=0, scoring="f1")
    first = key_of(made_job(model))
    with pytest.warns(Warning, match="max_iter"):
        model.fit(X, Y)
    assert key_of(made_job(model)) == first


def test_classes_of_one_name_and_other_code_differ():
    def make(factor):
        class Mine(Optimizer):
            def __init__(self, learning_rate=0.1):
                self.learning_rate = learning_rate

            def update(self, grad, state, params, step):
                return -factor * step.learning_rate * grad

        return Mine()

    assert key_of(job(optimizer=make(1.0))) == key_of(job(optimizer=make(1.0)))
    assert key_of(job(optimizer=make(1.0))) != key_of(job(optimizer=make(2.0)))


def test_what_cannot_be_recognised_is_named():
    lock = threading.Lock()

    def scorer(model, x, y):
        with lock:
            return 0.5

    with pytest.raises(UnstableError, match=r"_thread\.lock"):
        key_of(job(scoring=scorer))
    good, bad = keys_of([job(), job(scoring=scorer)])
    assert isinstance(good, bytes)
    assert isinstance(bad, UnstableError)


def test_data_that_jobs_share_is_read_once(monkeypatch):
    digester, read = Digester(), []
    jobs = [made_job(alpha=alpha) for alpha in (0.1, 0.2, 0.3)]
    for each in jobs:
        each.X = jobs[0].X
    original = np.ascontiguousarray
    monkeypatch.setattr("numpy.ascontiguousarray", lambda a: read.append(a.shape) or original(a))
    assert len({key_of(each, digester) for each in jobs}) == 3
    assert read.count(X.shape) == 1


def test_data_that_changes_between_two_searches_is_noticed():
    each = made_job(x=X.copy())
    (before,) = keys_of([each])
    each.X[0, 0] += 1.0
    (after,) = keys_of([each])
    each.X[0, 0] = X[0, 0]
    assert before != after
    assert keys_of([each]) == [before]


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (1, True),
        (1, 1.0),
        ("1", b"1"),
        (0.0, -0.0),
        ([1], (1,)),
        (["ab", "c"], ["a", "bc"]),
        ([[1], 2], [[1, 2]]),
        ({1: 2}, {2: 1}),
        (np.float64(1), np.float32(1)),
        (np.zeros(2), np.zeros((2, 1))),
        (np.zeros(2), np.zeros(2, ">f8")),
        (np.zeros(2, "i8"), np.zeros(2, "u8")),
        (np.array(["a", "b"], dtype=object), np.array(["a", "c"], dtype=object)),
        (np.dtype("f8"), np.dtype("f4")),
        (print, len),
        (np.add, np.multiply),
        (sparse.csr_array(np.eye(2)), sparse.csc_array(np.eye(2))),
        (range(3), range(4)),
        (slice(1), slice(2)),
    ],
)
def test_content_that_differs_has_different_digests(a, b):
    assert Digester().digest(a) == Digester().digest(a)
    assert Digester().digest(a) != Digester().digest(b)


def test_what_contains_itself_has_a_digest():
    ring = [1]
    ring.append(ring)
    other = [2]
    other.append(other)
    assert Digester().digest(ring) != Digester().digest(other)


def test_arrays_count_in_the_order_of_their_elements(tmp_path):
    a = np.arange(12.0).reshape(3, 4)
    assert Digester().digest(a) == Digester().digest(a[::-1].copy()[::-1])
    assert Digester().digest(a.T) != Digester().digest(np.ascontiguousarray(a.T))
    # Processes get large arrays as maps of files.
    np.save(tmp_path / "a.npy", a)
    mapped = np.load(tmp_path / "a.npy", mmap_mode="r")
    assert Digester().digest(mapped) == Digester().digest(a)
