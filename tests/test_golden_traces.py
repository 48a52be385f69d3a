"""Golden traces: what is read, and what is found wrong."""

import json

import numpy as np
import pytest

from skopt_dl.optimizers import SGD
from skopt_dl.testing import golden_traces

START = [1.0, -2.0, 1e-6]
GRADIENTS = [[1.0, 0.5, 1e-6], [2.0, -1.0, 2e-6], [0.5, 0.25, -1e-6]]
TENSORS = [["w", "output", [2, 1]], ["b", "bias", [1, 1]]]


def path_of(learning_rate):
    return (np.array(START) - learning_rate * np.cumsum(GRADIENTS, axis=0)).tolist()


def content(**changes):
    case = {"name": "descent", "params": {"learning_rate": 0.1}, "path": path_of(0.1)}
    whole = {"start": START, "gradients": GRADIENTS, "steps": [1, 2, 3], "cases": [case]}
    return whole | changes


@pytest.fixture
def read(tmp_path):
    def read(content):
        file = tmp_path / "sgd_references.json"
        file.write_text(json.dumps(content))
        return golden_traces(file)

    return read


def test_optimizer_that_follows_passes(read):
    (trace,) = read(content(source="by hand"))
    trace.check(SGD(**trace.params))
    assert str(trace) == "descent"


def test_some_of_the_steps_are_enough(read):
    (trace,) = read(content())
    trace._replace(steps=np.array([3]), path=trace.path[2:]).check(SGD(0.1))


def test_stack_is_followed_model_by_model(read):
    (trace,) = read(content())
    path = trace.follow(SGD(0.1), SGD(0.5))
    assert path.shape == (3, 2, 3)
    np.testing.assert_allclose(path[:, 1], path_of(0.5), rtol=1e-14, atol=1e-15)


@pytest.mark.parametrize(
    ("place", "seen"),
    [
        ((1, 0), "'descent' differs first after step 2, by .* in w \\(output\\), coordinate 0"),
        ((2, 2), "'descent' differs first after step 3, by .* in b \\(bias\\), coordinate 2"),
    ],
)
def test_difference_is_named_by_step_and_tensor_however_small_the_coordinate(read, place, seen):
    (trace,) = read(content(tensors=TENSORS))
    trace.path[place] *= 1 + 1e-9
    with pytest.raises(AssertionError, match=seen):
        trace.check(SGD(0.1))
    trace.check(SGD(0.1), tolerance=1e-8)


class Diverging(SGD):
    def coefficients(self, number, learning_rate):
        return {"rate": -learning_rate if number < 2 else np.inf}


def test_values_that_are_not_finite_are_a_difference(read):
    (trace,) = read(content())
    with pytest.raises(AssertionError, match="differs first after step 2, by inf of the largest"):
        trace.check(Diverging(0.1))
    together = trace.follow(Diverging(0.1), Diverging(0.2))
    assert np.isfinite(together[0]).all()
    assert np.isnan(together[2]).all()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"start": [1.0, 2.0]},
            r"gradients of sgd_references.json, case 'descent', must be of sha",
        ),
        ({"tensors": TENSORS[:1]}, r"start of .* must be of shape \(2,\); got \(3,\)"),
        ({"steps": [1, 2]}, r"path of .* must be of shape \(2, 3\); got \(3, 3\)"),
        ({"steps": [1, 2, 4]}, "steps of .* must be from 1 to 3, the number of gradients; got"),
        ({"cases": [{"name": "x"}]}, "a case needs name, params, path; got name. Add params, path"),
        ({"cases": []}, "holds no golden traces: there are no cases"),
    ],
)
def test_file_that_does_not_fit_is_refused(read, changes, message):
    with pytest.raises(ValueError, match=message):
        read(content(**changes))


def test_file_without_what_it_needs_is_refused(read):
    with pytest.raises(ValueError, match=r"the file needs start, .*; got cases. Add start, grad"):
        read({"cases": []})
