import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from problems import Problem
from simple_objectives import BOWL, FLAT

from skopt_dl.optimizers import SGD, Adam
from skopt_dl.schedules import ReduceOnPlateau
from skopt_dl.training import Stopping, TrainingConfig, minimise


def scikit_learns_rule(curve, tol, n_iter_no_change, larger_is_better):
    """The epochs after which training stops, 0 when it does not, and the best value.

    Restated from the documentation: stop when the figure has not improved by at least `tol` for
    more than `n_iter_no_change` consecutive epochs.
    """
    best, n_without = -math.inf if larger_is_better else math.inf, 0
    for epoch, value in enumerate(curve, 1):
        improved = value >= best + tol if larger_is_better else value <= best - tol
        n_without = 0 if improved else n_without + 1
        best = max(best, value) if larger_is_better else min(best, value)
        if n_without > n_iter_no_change:
            return epoch, best
    return 0, best


@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    curve=st.lists(st.integers(0, 12), min_size=1, max_size=25),
    tol=st.sampled_from([0.0, 1.0, 2.0]),
    n_iter_no_change=st.integers(1, 4),
    larger_is_better=st.booleans(),
)
def test_rule_stops_where_scikit_learns_does(curve, tol, n_iter_no_change, larger_is_better):
    curve = [float(value) for value in curve]
    values = iter(curve)
    stopping = Stopping(
        tol,
        n_iter_no_change,
        monitor="validation_score",
        larger_is_better=larger_is_better,
    )
    (run,) = minimise(
        FLAT,
        SGD(),
        np.ones((1, 3)),
        max_epochs=len(curve),
        stopping=stopping,
        validate=lambda params, models: {"validation_score": np.array([next(values)])},
    )
    expected, best = scikit_learns_rule(curve, tol, n_iter_no_change, larger_is_better)
    assert run.n_epochs == (expected or len(curve))
    assert run.stop_reason == ("no_improvement" if expected else "max_iter")
    assert run.best == best


def test_without_a_rule_all_epochs_are_run():
    (run,) = minimise(FLAT, SGD(), np.ones((1, 3)), max_epochs=30)
    assert run.n_epochs == 30
    assert run.stop_reason == "max_iter"


def test_infinite_patience_never_stops():
    (run,) = minimise(
        FLAT,
        SGD(),
        np.ones((1, 3)),
        max_epochs=30,
        stopping=Stopping(n_iter_no_change=math.inf),
    )
    assert run.stop_reason == "max_iter"


def test_rule_has_the_last_word_in_the_last_epoch():
    (run,) = minimise(
        FLAT, SGD(), np.ones((1, 3)), max_epochs=4, stopping=Stopping(n_iter_no_change=2)
    )
    assert run.n_epochs == 4
    assert run.stop_reason == "no_improvement"


def test_restored_parameters_are_those_of_the_best_epoch():
    scores, seen = iter([0.1, 0.5, 0.3, 0.5, 0.2, 0.1]), []

    def validate(params, models):
        seen.append(params[0].copy())
        return {"validation_score": np.array([next(scores)])}

    (run,) = Problem().train(
        [Adam(0.1)],
        max_epochs=6,
        validate=validate,
        stopping=Stopping(monitor="validation_score", larger_is_better=True, restore_best=True),
    )
    np.testing.assert_array_equal(run.params, seen[1])
    assert run.best == 0.5


def test_each_model_of_a_stack_gets_back_its_own_best_epoch():
    table = np.array(
        [[3.0, 1.0, 2.0, 4.0], [1.0, 2.0, 0.0, 3.0], [2.0, 1.0, 3.0, 4.0], [1.0, 2.0, 2.0, 2.0]]
    )
    seen, epoch = {}, iter(range(4))

    def validate(params, models):
        e = next(epoch)
        for row, k in enumerate(models):
            seen[e, k] = params[row].copy()
        return {"validation_loss": table[list(models), e]}

    rules = [
        Stopping(monitor="validation_loss", restore_best=restore, n_iter_no_change=patience)
        for restore, patience in ((True, 10), (True, 0), (False, 10), (True, 10))
    ]
    configs = [TrainingConfig(Adam(0.1), 4, rule) for rule in rules]
    runs = Problem().train(configs, validate=validate)
    assert [run.n_epochs for run in runs] == [4, 2, 4, 4]
    for run, kept in zip(runs, (1, 0, 3, 0), strict=True):
        np.testing.assert_array_equal(run.params, seen[kept, run.index])


def test_models_have_rules_of_their_own():
    rules = [Stopping(n_iter_no_change=n) for n in (1, 4)] + [None]
    runs = minimise(FLAT, [TrainingConfig(SGD(), 10, rule) for rule in rules], np.ones((3, 3)))
    assert [run.n_epochs for run in runs] == [3, 6, 10]
    reasons = ["no_improvement", "no_improvement", "max_iter"]
    assert [run.stop_reason for run in runs] == reasons


def test_callback_stops_one_model_and_sees_the_others_go_on():
    seen = []

    def stop(runs):
        seen.append([run.index for run in runs])
        for run in runs:
            run.stop_requested = run.index == 0 and run.n_epochs == 2

    runs = Problem().train([Adam()] * 2, on_epoch_end=stop)
    assert [run.stop_reason for run in runs] == ["requested", "max_iter"]
    assert [run.n_epochs for run in runs] == [2, 4]
    assert seen == [[0, 1], [0, 1], [1], [1]]


def test_improvement_of_exactly_tol_counts():
    (run,) = minimise(
        BOWL,
        SGD(0.5),
        np.full((1, 3), 2.0),
        max_epochs=3,
        stopping=Stopping(tol=0.0, n_iter_no_change=0),
    )
    assert run.stop_reason == "max_iter"


def test_plateau_schedule_and_max_epochs_end_the_run_together():
    (run,) = minimise(
        FLAT,
        SGD(ReduceOnPlateau(1.0)),
        np.ones((1, 3)),
        max_epochs=4,
        stopping=Stopping(n_iter_no_change=2),
    )
    assert run.stop_reason == "max_iter"
    assert run.progress.n_plateaus == 1
