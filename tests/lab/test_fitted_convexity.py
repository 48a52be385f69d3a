"""Whether the loss of a fitted model is convex in its weights."""

import numpy as np
import pytest
from naive import penalised_loss
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skopt_dl import MLPClassifier, MLPRegressor, lab
from skopt_dl.lab.fitted_convexity import _chord
from skopt_dl.networks.losses import SquaredError

RNG = np.random.default_rng(2)
X = RNG.normal(size=(50, 3))
Y = np.digitize(X[:, 0] * X[:, 1] + 0.3 * RNG.normal(size=50), [-0.3, 0.3])


def test_linear_cross_entropy_is_proved_convex():
    model = MLPClassifier((), optimizer="lbfgs", max_iter=1000, random_state=0).fit(X, Y)
    found = lab.convexity_of_estimator(model, X, Y)
    assert (found.verdict, found.chord) == ("proved", None)
    assert len(found.curvatures) == 4
    assert not any(each.has_negative for each in found.curvatures)


def test_a_network_is_refuted_by_a_chord_that_holds_when_computed_plainly():
    model = MLPClassifier(4, activation="tanh", optimizer="lbfgs", random_state=0, max_iter=1000)
    found = lab.convexity_of_estimator(model.fit(X, Y), X, Y)
    assert found.verdict == "refuted"
    first, last = found.chord.ends
    losses = [
        penalised_loss(row, (3, 4, 3), "Tanh", "multiclass", X, np.eye(3)[Y])
        for row in (first, 0.5 * (first + last), last)
    ]
    np.testing.assert_allclose(found.chord.losses, losses, rtol=1e-12)
    excess = losses[1] - 0.5 * (losses[0] + losses[2])
    assert excess > 1e-6
    assert found.chord.excess == pytest.approx(excess, rel=1e-6)
    assert f"{found.smallest:.3g}" in found.reason


def test_positive_curvature_at_some_points_is_no_proof(monkeypatch):
    """Only the form of the loss is, and here it is not said to be convex."""
    monkeypatch.setattr(SquaredError, "is_convex", False)
    model = MLPRegressor((), optimizer="lbfgs", max_iter=1000, random_state=0).fit(X, X[:, 0])
    found = lab.convexity_of_estimator(model, X, X[:, 0], n_points=2)
    assert (found.verdict, found.chord) == ("undecided", None)
    assert found.smallest > 0.1
    assert "at 3 points, which proves nothing" in found.reason


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"hidden_layer_sizes": (3, 3), "activation": ["tanh", "softplus"], "dropout": [0.1, 0.0]},
        {"batch_norm": True, "input_scaling": True, "early_stopping": True, "scoring": "loss"},
    ],
)
def test_a_linear_model_stands_beside_any_network(params):
    model = MLPClassifier(4, activation="tanh", optimizer="adam", random_state=0, max_iter=5)
    pipeline = make_pipeline(StandardScaler(), model.set_params(**params))
    with pytest.warns(UserWarning, match="Maximum iterations"):
        pipeline.fit(X, Y)
    before = pipeline[-1].get_params()
    both = lab.linear_beside_network(pipeline, X, Y)
    assert (both.linear.verdict, both.network.verdict) == ("proved", "refuted")
    assert both.linear.smallest > -1e-7 > -1e-3 > both.network.smallest
    assert both.linear_model.coefs_[0].shape == (3, 3)
    assert pipeline[-1].get_params() == before
    printed = str(both).splitlines()
    assert printed[0].startswith("linear model: convexity proved")
    assert printed[1].startswith("network: convexity refuted")


def test_the_number_of_points_is_checked():
    model = MLPClassifier((), optimizer="lbfgs", max_iter=1000, random_state=0).fit(X, Y)
    with pytest.raises(ValueError, match="n_points must be an int, at least 1; got 0"):
        lab.convexity_of_estimator(model, X, Y, n_points=0)


def test_rounding_is_no_chord():
    model = MLPClassifier((), optimizer="lbfgs", max_iter=1000, random_state=0).fit(X, Y)
    at = lab.curvature(model, X, Y)
    # Biases that all grow alike change nothing but the last bits.
    assert abs(at.smallest) < 1e-10
    assert _chord(lab.FittedLoss(model, X, Y), at) is None
