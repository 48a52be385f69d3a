"""LAMB and LARS: their rules, values of known code, and their names at work."""

from pathlib import Path

import numpy as np
import pytest
import skopt_dl_lamb.optimizers as package
from sklearn.datasets import load_iris
from sklearn.model_selection import GridSearchCV
from sklearn.preprocessing import scale
from skopt_dl_lamb.optimizers import LAMB, LARS

from skopt_dl import MLPClassifier, make_optimizer
from skopt_dl.optimizers import Adam, Momentum
from skopt_dl.schedules import ExponentialDecay
from skopt_dl.testing import golden_traces, parametrize_with_optimizer_checks

TRACES = golden_traces(Path(__file__).parent / "lamb_references.json")
TRACE = TRACES[0]
X, y = load_iris(return_X_y=True)
X = scale(X)

# Fits are short here; they do not converge.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def tensors(row):
    """The parameters of one model, by name."""
    return {each.name: each.array[0] for each in TRACE.layout.tensors(row[None])}


@parametrize_with_optimizer_checks([LAMB(), LARS(weight_decay=0.1, nesterov=True)])
def test_rules_for_optimizers(optimizer, check):
    said = check(optimizer)
    assert check.name != "check_program" or said.startswith("traced")


@pytest.mark.parametrize("trace", TRACES, ids=str)
def test_parameters_follow_known_code(trace):
    trace.check(getattr(package, trace.method)(**trace.params))


def test_step_of_lamb_is_a_share_of_the_weights_of_each_layer():
    start, first = tensors(TRACE.start), tensors(TRACE.follow(LAMB(0.02))[0, 0])
    for name in ("first", "middle", "last"):
        step = np.linalg.norm(first[name] - start[name])
        assert step == pytest.approx(0.02 * np.linalg.norm(start[name]))


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (LAMB(0.01, weight_decay=0.5), Adam(0.01, epsilon=1e-6)),
        (LARS(0.1, weight_decay=0.5), Momentum(0.1)),
    ],
    ids=["lamb", "lars"],
)
def test_biases_and_normalisations_are_neither_adapted_nor_decayed(ours, theirs):
    first, second = (tensors(TRACE.follow(each)[-1, 0]) for each in (ours, theirs))
    for name in ("shift", "bias"):
        np.testing.assert_allclose(first[name], second[name], rtol=1e-12)


@pytest.mark.parametrize("optimizer", [LAMB(weight_decay=0.0), LARS()], ids=str)
def test_layer_of_zeros_or_without_gradient_is_finite(optimizer):
    still = TRACE._replace(gradients=np.zeros_like(TRACE.gradients))
    np.testing.assert_array_equal(still.follow(optimizer)[-1, 0], TRACE.start)
    from_zero = TRACE._replace(start=np.zeros_like(TRACE.start)).follow(optimizer)
    assert np.isfinite(from_zero).all()
    assert (from_zero[-1] != 0).all()


def test_gradients_of_another_size_change_nothing_for_lars():
    large = TRACE._replace(gradients=1024 * TRACE.gradients)
    first, second = (tensors(each.follow(LARS())[-1, 0]) for each in (TRACE, large))
    np.testing.assert_allclose(first["middle"], second["middle"], rtol=1e-12)


def test_falling_rate_leaves_the_velocity_of_lars_as_it_is():
    optimizer = LARS(ExponentialDecay(0.1, 1e-9), nesterov=False)
    steps = np.diff(TRACE.follow(optimizer)[:, 0], axis=0)
    np.testing.assert_allclose(steps[1], 0.9 * steps[0], rtol=1e-6)


@pytest.mark.parametrize("cls", [LAMB, LARS])
def test_models_of_a_stack_have_the_bits_of_one(cls):
    optimizers = [cls(rate, weight_decay=decay) for rate, decay in ((0.1, 0.0), (0.01, 0.3))]
    together = TRACE.follow(*optimizers)
    for k, optimizer in enumerate(optimizers):
        np.testing.assert_array_equal(together[:, k], TRACE.follow(optimizer)[:, 0])


@pytest.mark.parametrize(
    ("name", "cls", "rates"), [("lamb", LAMB, [0.003, 0.03]), ("lars", LARS, [0.3, 10.0])]
)
def test_classifier_searches_over_learning_rates_by_name(name, cls, rates):
    assert type(make_optimizer(f"skopt-dl-lamb/{name}")) is cls
    model = MLPClassifier(16, optimizer=name, batch_size=16, max_iter=20, random_state=0)
    search = GridSearchCV(model, {"optimizer__learning_rate": rates}, cv=2).fit(X, y)
    assert search.best_score_ > 0.85
    assert len(set(search.cv_results_["mean_test_score"])) > 1


@pytest.mark.parametrize(
    ("optimizer", "message"),
    [
        (LAMB(weight_decay=-0.1), "weight_decay of LAMB must be a float in"),
        (LARS(trust=0.0), r"trust of LARS must be a float in \(0, inf\); got 0.0"),
        (LARS(nesterov=1), "nesterov of LARS must be True or False; got 1"),
    ],
)
def test_bad_hyperparameter_is_refused_by_name(optimizer, message):
    with pytest.raises(ValueError, match=message):
        MLPClassifier(optimizer=optimizer).fit(X, y)


def test_name_of_other_libraries_is_answered_with_ours():
    with pytest.raises(TypeError, match="Here it is trust"):
        LARS(trust_coefficient=0.01)
