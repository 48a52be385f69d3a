"""Parts for tables: values and gradients of known code, and their names at work."""

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_diabetes
from sklearn.model_selection import GridSearchCV
from sklearn.preprocessing import scale
from skopt_dl_tabular.layers import FeatureEmbedding, SquaredReLU
from skopt_dl_tabular.losses import Tweedie
from skopt_dl_tabular.schedules import StableDecay

from skopt_dl import MLPRegressor, NeuralNetRegressor
from skopt_dl.backends import get_backend
from skopt_dl.layers import Dense
from skopt_dl.networks import DensePool, Loss, Network, NetworkObjective, TargetPool
from skopt_dl.optimizers import Adam
from skopt_dl.schedules import Progress, WarmUp

REFERENCES = json.loads((Path(__file__).parent / "tabular_references.json").read_text())
CPU = get_backend("cpu")
X, y = load_diabetes(return_X_y=True)
X, y = scale(X), y / y.mean()

# Fits are short here; they do not converge.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


class Linear(Loss):
    """A loss whose gradient is the targets."""

    def value(self, xp, raw, y):
        return xp.sum(raw * y, axis=-1)


def value_and_gradients(layers, x, targets, tensors=(), loss=None):
    """The loss of a batch and its gradients by name, of one model; both of the sum."""
    network = Network(layers, x.shape[1:], loss or Linear())
    row = np.zeros((1, network.layout.size))
    for tensor, given in zip(network.layout.tensors(row), tensors, strict=True):
        tensor.array[0] = np.reshape(given, tensor.array.shape[1:])
    pools = DensePool(CPU, x), TargetPool(CPU, targets)
    value, grad = NetworkObjective(CPU, network, *pools, n_models=1).value_and_grad(row)
    gradients = {each.name: each.array[0] * len(x) for each in network.layout.tensors(grad)}
    return value.item() * len(x), gradients


def test_layer_and_its_gradients_are_those_of_the_authors():
    known = {name: np.array(each) for name, each in REFERENCES["layer"].items()}
    value, gradients = value_and_gradients(
        [FeatureEmbedding(4)],
        known["x"],
        known["delta"],
        [known["coefs"], known["intercepts"]],
    )
    assert value == pytest.approx((known["out"] * known["delta"]).sum(), rel=1e-12)
    for name in ("coefs", "intercepts"):
        (ours,) = (each for full, each in gradients.items() if full.startswith(name))
        expected = known[f"{name}_gradient"].reshape(ours.shape)
        np.testing.assert_allclose(ours, expected, rtol=1e-12, atol=1e-14)


def test_activation_and_its_gradient_are_those_of_torch():
    known = {name: np.array(each) for name, each in REFERENCES["activation"].items()}
    # Each number is the bias of a unit, which zeros are multiplied for.
    value, gradients = value_and_gradients(
        [Dense(6), SquaredReLU()],
        np.zeros((1, 1)),
        np.ones((1, 6)),
        [np.zeros((1, 6)), known["z"]],
    )
    assert value == pytest.approx(known["out"].sum(), rel=1e-12)
    (bias,) = (each for name, each in gradients.items() if name.startswith("intercepts"))
    np.testing.assert_allclose(bias[0], known["gradient"], rtol=1e-12)


@pytest.mark.parametrize("power", [1.1, 1.5, 1.9])
def test_loss_is_half_the_deviance_of_scikit_learn_and_its_gradient_fits(power):
    known = REFERENCES["loss"]
    raw, targets = (np.array(known[name])[None, :, None] for name in ("raw", "y"))
    loss = Tweedie(power)
    expected = np.array([known["deviances"][str(power)]]) / 2
    np.testing.assert_allclose(loss.value(np, raw, targets), expected, rtol=1e-11)
    h = 1e-5
    differences = (loss.value(np, raw + h, targets) - loss.value(np, raw - h, targets)) / (2 * h)
    np.testing.assert_allclose(
        loss.gradient(np, raw, targets)[..., 0], differences, rtol=1e-7, atol=1e-9
    )


@pytest.mark.parametrize(("form", "after"), [("root", 1 - 0.5**0.5), ("linear", 0.5)])
def test_schedule_stays_and_then_falls(form, after):
    schedule, progress = StableDecay(0.1, decay_fraction=0.25, form=form), Progress(10, 80)
    rates = []
    for progress.step in (0, 59, 60, 70, 80):
        rates.append(schedule.value(progress))
    np.testing.assert_allclose(rates, [0.1, 0.1, 0.1, 0.1 * after, 0.0], rtol=1e-12)
    progress.step = 0
    assert WarmUp(schedule, steps=10).value(progress) == pytest.approx(0.01)


def model_of_names(max_iter):
    layers = ["feature_embedding", Dense(8), "squared_relu"]
    model = NeuralNetRegressor(layers, loss="tweedie", optimizer=Adam("stable_decay"))
    return model.set_params(max_iter=max_iter, random_state=0)


def test_names_work_together_and_learn():
    model = model_of_names(40).fit(X, y)
    assert model.score(X, y) > 0.4
    assert (model.predict(X) > 0).all()
    loaded = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(loaded.predict(X), model.predict(X))


def test_search_trains_stacks_with_the_results_of_single_fits():
    grid = {"optimizer__learning_rate": [0.003, 0.03], "network__0__n_units": [2, 3]}
    search = GridSearchCV(model_of_names(3), grid, cv=2, refit=False).fit(X[:100], y[:100])
    last = {name: values[-1:] for name, values in grid.items()}
    single = GridSearchCV(model_of_names(3), last, cv=2, refit=False).fit(X[:100], y[:100])
    scores = search.cv_results_["mean_test_score"]
    assert len(set(scores)) == 4
    assert single.cv_results_["mean_test_score"][0] == scores[-1]


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (MLPRegressor(loss=Tweedie(2.0)), r"power of Tweedie must be a float in \(1, 2\); got 2.0"),
        (
            NeuralNetRegressor([FeatureEmbedding()], input_shape=(2, 5)),
            "FeatureEmbedding takes rows of numbers; got samples of shape",
        ),
        (
            NeuralNetRegressor([FeatureEmbedding(0)]),
            r"n_units of FeatureEmbedding must be an int in \[1, inf\); got 0",
        ),
        (
            MLPRegressor(optimizer=Adam(StableDecay(form="cosine"))),
            "form of StableDecay must be 'root' or 'linear'; got 'cosine'",
        ),
    ],
)
def test_what_cannot_be_is_refused_by_name(model, message):
    with pytest.raises(ValueError, match=message):
        model.fit(X, y)


def test_target_below_zero_is_named():
    with pytest.raises(ValueError, match=r"loss='tweedie' needs .* y has -1"):
        MLPRegressor(loss="tweedie").fit(X, np.where(y > 0.5, y, -1.0))
