"""Schedule-Free methods: their rules, their authors' values, and their names at work."""

from pathlib import Path

import numpy as np
import pytest
import skopt_dl_schedule_free.optimizer as package
from sklearn.datasets import load_iris
from sklearn.model_selection import GridSearchCV
from sklearn.preprocessing import scale
from skopt_dl_schedule_free.optimizer import ScheduleFreeAdamW, ScheduleFreeSGD

from skopt_dl import MLPClassifier, make_optimizer
from skopt_dl.objectives import GivenGradients
from skopt_dl.schedules import Cosine, WarmUp
from skopt_dl.testing import check_optimizer, golden_traces
from skopt_dl.training import minimise

TRACES = golden_traces(Path(__file__).parent / "schedule_free_references.json")
TRACE = TRACES[0]
X, y = load_iris(return_X_y=True)
X = scale(X)

# Fits are short here; they do not converge.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.mark.parametrize("cls", [ScheduleFreeAdamW, ScheduleFreeSGD])
def test_method_keeps_the_rules_for_optimizers_and_is_traced(cls):
    assert check_optimizer(cls(weight_decay=0.01, average_power=0.5)) == "traced"


@pytest.mark.parametrize("trace", TRACES, ids=str)
def test_averages_follow_the_authors_code(trace):
    params = dict(trace.params)
    n_steps = params.pop("warm_up", None)
    optimizer = getattr(package, trace.method)(**params)
    if n_steps:
        optimizer.set_params(learning_rate=WarmUp(optimizer.learning_rate, n_steps))
    trace.check(optimizer, tolerance=1e-11)


@pytest.mark.parametrize("cls", [ScheduleFreeAdamW, ScheduleFreeSGD])
def test_falling_rate_keeps_the_weight_of_its_largest_value(cls):
    objective, n_steps = GivenGradients(TRACE.gradients), len(TRACE.gradients)
    optimizer, start = cls(learning_rate=Cosine(0.1)), TRACE.start[None].copy()
    (run,) = minimise(objective, optimizer, start, max_epochs=n_steps)
    assert run.state["slots"]["largest_rate"] == 0.1
    assert run.state["slots"]["weight_sum"] == pytest.approx(n_steps * 0.1**2)


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_sgd_is_the_mean_of_the_points_that_steps_are_taken_from(momentum):
    path = TRACE.follow(ScheduleFreeSGD(0.1, momentum))[:, 0]
    bases = TRACE.start - 0.1 * np.cumsum(TRACE.gradients, axis=0)
    means = np.cumsum(bases, axis=0) / np.arange(1, len(bases) + 1)[:, None]
    np.testing.assert_allclose(path, means, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize(
    ("name", "cls", "rates"),
    [
        ("schedule_free_adamw", ScheduleFreeAdamW, [0.003, 0.03]),
        ("schedule_free_sgd", ScheduleFreeSGD, [0.1, 0.5]),
    ],
)
def test_classifier_searches_over_learning_rates_by_name(name, cls, rates):
    assert type(make_optimizer(f"skopt-dl-schedule-free/{name}")) is cls
    model = MLPClassifier(16, optimizer=name, batch_size=16, max_iter=20, random_state=0)
    search = GridSearchCV(model, {"optimizer__learning_rate": rates}, cv=2).fit(X, y)
    assert search.best_score_ > 0.85
    assert len(set(search.cv_results_["mean_test_score"])) == 2


@pytest.mark.parametrize(
    ("optimizer", "message"),
    [
        (ScheduleFreeAdamW(beta_1=1.0), "beta_1 of ScheduleFreeAdamW must be a float in"),
        (ScheduleFreeSGD(momentum=1.0), r"momentum of ScheduleFreeSGD must be a float in \[0, 1\)"),
        (ScheduleFreeSGD(rate_power=-1.0), "rate_power of ScheduleFreeSGD must be"),
    ],
    ids=str,
)
def test_bad_hyperparameter_is_refused_by_name(optimizer, message):
    with pytest.raises(ValueError, match=message):
        MLPClassifier(optimizer=optimizer).fit(X, y)


def test_warm_up_of_the_authors_package_is_answered_with_a_schedule():
    with pytest.raises(TypeError, match="Here it is a schedule that rises, as learning_rate"):
        ScheduleFreeAdamW(warmup_steps=10)
