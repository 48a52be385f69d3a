"""Jobs as estimators make them, and what it means that two were trained to the same bits."""

from dataclasses import fields

import numpy as np
from sklearn.datasets import make_classification

from skopt_dl import MLPClassifier
from skopt_dl.estimators.preparing import prepare
from skopt_dl.optimizers import Minimizer, Optimizer
from skopt_dl.schedules import Progress
from skopt_dl.training import TrainingConfig, TrainingResult

X, Y = make_classification(60, 5, random_state=0)


def made_job(estimator=None, x=X, y=Y, **params):
    """The job that ``fit`` would train."""
    if estimator is None:
        small = {"hidden_layer_sizes": (6,), "batch_size": 16, "max_iter": 7, "random_state": 0}
        estimator = MLPClassifier(**small | params)
    return prepare(estimator, x, y)[1]


def assert_equal_bits(a, b):
    """The same types and the same content, to the last bit; NaN equals itself."""
    assert type(a) is type(b)
    if isinstance(a, dict):
        assert list(a) == list(b)
        for key in a:
            assert_equal_bits(a[key], b[key])
    elif isinstance(a, list | tuple):
        assert len(a) == len(b)
        for pair in zip(a, b, strict=True):
            assert_equal_bits(*pair)
    elif isinstance(a, np.ndarray):
        assert (a.dtype, a.shape) == (b.dtype, b.shape)
        np.testing.assert_array_equal(a, b)
        assert a.tobytes() == b.tobytes()
    elif isinstance(a, Progress):
        assert vars(a) == vars(b)
    elif isinstance(a, Optimizer | Minimizer | TrainingConfig):
        assert repr(a) == repr(b)
    elif isinstance(a, float):
        assert np.float64(a).tobytes() == np.float64(b).tobytes()
    else:
        assert a == b


def assert_same_outcome(outcome, job, other, other_job):
    """Two outcomes that cannot be told apart, but by the seconds they took."""
    assert outcome.error is other.error is None
    assert outcome.device == other.device
    for field in fields(TrainingResult):
        if field.name == "index":
            continue
        values = [getattr(each.result, field.name) for each in (outcome, other)]
        if field.name == "history":
            values = [{k: v for k, v in each.items() if k != "seconds"} for each in values]
        assert_equal_bits(*values)
    assert len(outcome.result.history["seconds"]) == outcome.result.n_epochs
    assert_equal_bits(job.rng.bit_generator.state, other_job.rng.bit_generator.state)
