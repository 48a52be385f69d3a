"""The parts: the rules of their kinds, PyTorch's values, and their names at work in skopt_dl."""

import json
import math
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.model_selection import GridSearchCV
from sklearn.preprocessing import scale
from skopt_dl_parts.activations import SquaredReLU
from skopt_dl_parts.initializers import TruncatedNormal
from skopt_dl_parts.layers import RMSNorm
from skopt_dl_parts.losses import GCE, LogisticGCE, SoftmaxGCE
from skopt_dl_parts.networks import PreNorm
from skopt_dl_parts.schedules import WSD

from skopt_dl import MLPClassifier, NeuralNetClassifier
from skopt_dl.backends import get_backend
from skopt_dl.layers import Residual
from skopt_dl.networks.losses import SoftmaxLogLoss
from skopt_dl.optimizers import Adam
from skopt_dl.plugins import find
from skopt_dl.programs import Memory, Tracer, differentiate, engine_of
from skopt_dl.schedules import Progress
from skopt_dl.testing import parametrize_with_component_checks

REFERENCES = json.loads((Path(__file__).parent / "parts_references.json").read_text())
X, y = load_iris(return_X_y=True)
X = scale(X)

# Fits are short here; they do not converge.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def written_anew(component, *given):
    """The formulas of the papers, in NumPy."""
    if isinstance(component, RMSNorm):
        x, tensors = given
        rows = x.reshape(-1, x.shape[-1])
        size = np.linalg.norm(rows, axis=1) / math.sqrt(x.shape[-1])
        root = np.hypot(size, math.sqrt(component.epsilon))[:, None]
        return (rows / root * (1 + tensors["rms_norm"])).reshape(x.shape)
    if isinstance(component, SquaredReLU):
        return np.where(given[0] > 0, given[0] ** 2, 0.0)
    if isinstance(component, SoftmaxGCE):
        raw, labels = given
        p = np.exp(raw) / np.exp(raw).sum(axis=1, keepdims=True)
        return (1 - (p * labels).sum(axis=1) ** component.q) / component.q
    if isinstance(component, LogisticGCE):
        raw, labels = given
        p = 1 / (1 + np.exp(np.where(labels > 0, -raw, raw)))
        return ((1 - p**component.q) / component.q).sum(axis=1)
    if isinstance(component, TruncatedNormal):
        # A normal distribution, cut at two deviations.
        density, inside = math.exp(-2) / math.sqrt(2 * math.pi), math.erf(math.sqrt(2))
        return component.scale * math.sqrt(1 - 4 * density / inside)
    if isinstance(component, WSD):
        (progress,) = given
        parts = [component.warmup_fraction, component.decay_fraction]
        rising, falling = (part * progress.n_steps for part in parts)
        rate = component.learning_rate
        if progress.step + 1 < rising:
            rate *= (progress.step + 1) / rising
        left = max(0.0, progress.n_steps - progress.step)
        if left < falling:
            t = 1 - left / falling
            end = component.final_learning_rate
            rate = end + (rate - end) * (1 - t ** {"sqrt": 0.5, "linear": 1.0}[component.decay])
        return rate
    return None


PARTS = [RMSNorm(), SquaredReLU(), GCE(), TruncatedNormal()]
PARTS += [WSD(), WSD(0.1, 0.5, 0.5, "linear", 0.001), WSD(0.1, 0.0, 0.0)]


@parametrize_with_component_checks(PARTS, reference=written_anew)
def test_rules(component, check):
    check(component)


def close(ours, theirs):
    np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-13)


def traced(function, *inputs, delta=None):
    """What array code of one model gives, and the gradients where `delta` arrives."""
    arrays = {f"in {i}": np.array(each, float)[None] for i, each in enumerate(inputs)}
    b, tracer = get_backend("cpu"), Tracer("float64")
    given = [tracer.given(name, each.shape) for name, each in arrays.items()]
    result = function(tracer.xp, *given)
    arrays["out"] = np.empty(result.shape)
    tracer.copy(result, tracer.given("out", result.shape))
    if delta is not None:
        arrays["delta"] = np.array(delta)[None]
        wanted = []
        for i, each in enumerate(given):
            arrays[f"grad {i}"] = np.empty(each.shape)
            wanted.append((each, tracer.given(f"grad {i}", each.shape)))
        differentiate(tracer, [(result, tracer.given("delta", result.shape))], wanted)
    memory = Memory(b, arrays["out"])
    for call in engine_of(b).bind(b, tracer.program(), arrays, memory).calls():
        call()
    return [arrays[name][0] for name in arrays if name.startswith(("out", "grad"))]


def test_rms_norm_is_pytorchs():
    known = REFERENCES["rms_norm"]

    def function(xp, x, scale):
        return RMSNorm().forward(x, SimpleNamespace(rms_norm=scale), SimpleNamespace(xp=xp))

    found = traced(function, known["x"], [known["scale"]], delta=known["delta"])
    for ours, name in zip(found, ("out", "grad_x", "grad_scale"), strict=True):
        close(ours.reshape(np.shape(known[name])), known[name])


def test_squared_relu_is_pytorchs():
    known, layer = REFERENCES["squared_relu"], SquaredReLU()
    close(traced(layer.value, known["z"])[0], known["value"])
    ones = np.ones_like(known["z"])
    slope = traced(lambda xp, z: layer.gradient(xp, z * 0.0 + 1.0, z, None), known["z"])[0]
    close(slope, known["slope"])
    close(traced(layer.value, known["z"], delta=ones)[1], known["slope"])


@pytest.mark.parametrize("case", REFERENCES["gce"], ids=lambda c: f"{c['target_type']}-{c['q']}")
def test_gce_is_pytorchs(case):
    loss, arrays = GCE(case["q"]).for_targets(case["target_type"]), (case["raw"], case["y"])
    close(traced(loss.value, *arrays)[0], case["value"])
    close(traced(loss.gradient, *arrays)[0], case["gradient"])


def test_wsd_is_pytorchs_three_schedules_in_a_row():
    known = REFERENCES["wsd"]
    schedule, progress = WSD(**known["params"]), Progress(n_epochs=4, n_steps=known["n_steps"])
    for progress.step, rate in enumerate(known["rates"]):
        assert schedule.value(progress) == pytest.approx(rate, rel=1e-12)


def test_truncated_normal_has_pytorchs_deviation_and_nothing_beyond_two():
    known = REFERENCES["truncated_normal"]
    weights = TruncatedNormal(known["scale"]).draw(np.random.default_rng(0), 400, 300)
    assert weights.std() == pytest.approx(known["deviation"], rel=0.01)
    assert np.abs(weights).max() <= 2 * known["scale"]


def test_gce_lies_between_the_cross_entropy_and_the_absolute_error():
    raw = np.random.default_rng(0).normal(size=(20, 3))
    labels = np.eye(3)[np.arange(20) % 3]
    small = traced(SoftmaxGCE(1e-6).value, raw, labels)[0]
    np.testing.assert_allclose(small, traced(SoftmaxLogLoss().value, raw, labels)[0], rtol=1e-5)
    p = np.exp(raw) / np.exp(raw).sum(axis=1, keepdims=True)
    close(traced(SoftmaxGCE(1.0).value, raw, labels)[0], np.abs(p - labels).sum(axis=1) / 2)


def test_gce_follows_wrong_labels_less():
    rng = np.random.default_rng(0)
    noisy = np.where(rng.uniform(size=len(y)) < 0.4, (y + 1) % 3, y)
    found = {}
    for loss in ("log_loss", "gce"):
        model = MLPClassifier(64, loss=loss, optimizer=Adam(0.02), max_iter=80, random_state=0)
        found[loss] = model.fit(X, noisy).score(X, y)
    assert found["gce"] > found["log_loss"]


def test_every_part_works_by_its_name_in_a_search():
    model = MLPClassifier(
        16,
        activation="squared_relu",
        init="truncated_normal",
        loss="gce",
        optimizer=Adam("wsd"),
        max_iter=30,
        batch_size=16,
        random_state=0,
    )
    grid = {
        "loss": [GCE(0.3), GCE(0.9)],
        "init": [TruncatedNormal(0.1), "truncated_normal"],
        "optimizer__learning_rate": [WSD(0.02), WSD(0.05, decay="linear")],
    }
    search = GridSearchCV(model, grid, cv=2).fit(X, y)
    assert search.best_score_ > 0.85
    assert len(set(search.cv_results_["mean_test_score"])) > 1


@pytest.mark.parametrize(
    ("kind", "name", "cls"),
    [
        ("activation", "squared_relu", SquaredReLU),
        ("initializer", "truncated_normal", TruncatedNormal),
        ("layer", "rms_norm", RMSNorm),
        ("loss", "gce", GCE),
        ("network", "pre_norm", PreNorm),
        ("schedule", "wsd", WSD),
    ],
)
def test_every_hook_gives_a_name(kind, name, cls):
    assert find(kind, name) is cls
    assert find(kind, f"skopt-dl-parts/{name}") is cls


def test_layer_and_network_work_by_their_names():
    found = []
    for network in ("pre_norm", PreNorm(n_units=16), ["rms_norm", Residual([RMSNorm()]), "tanh"]):
        model = NeuralNetClassifier(
            network, optimizer=Adam(0.01), max_iter=20, batch_size=16, random_state=0
        )
        found.append(model.fit(X, y).score(X, y))
    assert min(found) > 0.8


@pytest.mark.parametrize(
    ("component", "message"),
    [
        (GCE(0.0), r"q of GCE must be a float in \(0, 1\]; got 0.0"),
        (WSD(decay="cosine"), "decay of WSD must be 'sqrt' or 'linear'; got 'cosine'"),
        (RMSNorm(epsilon=0), "epsilon of RMSNorm must be a float in"),
        (TruncatedNormal(-1.0), "scale of TruncatedNormal must be a float in"),
    ],
    ids=repr,
)
def test_bad_parameter_is_refused_by_name(component, message):
    with pytest.raises(ValueError, match=message):
        component.check_params()
