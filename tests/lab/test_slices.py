"""Slices through the loss of a fitted model."""

import numpy as np
import pytest
import scipy.sparse
from sklearn.decomposition import PCA
from sklearn.metrics import log_loss
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skopt_dl import MLPClassifier, MLPRegressor, lab
from skopt_dl.callbacks import WeightPath
from skopt_dl.lab import fitted, slices
from skopt_dl.networks.losses import Huber

RNG = np.random.default_rng(4)
X = RNG.normal(size=(45, 4))
Y = np.digitize(X[:, 0] + X[:, 1] ** 2, [0.2, 1.5])


def make(seed=0, labels=Y, **params):
    params = {"hidden_layer_sizes": (6, 5), "activation": "tanh", "max_iter": 1000} | params
    return MLPClassifier(optimizer="lbfgs", random_state=seed, **params).fit(X, labels)


@pytest.fixture(scope="module")
def model():
    return make()


@pytest.fixture(scope="module")
def walked():
    """A trained model and its weights after each epoch."""
    path = WeightPath()
    walking = MLPClassifier((6, 5), activation="tanh", max_iter=25, random_state=0, tol=0)
    with pytest.warns(UserWarning, match="Maximum iterations"):
        walking.set_callbacks(path).fit(X, Y)
    return walking, path.params_


def with_weights(model, row):
    """A copy of a model with other weights and biases."""
    copied = object.__new__(type(model))
    copied.__dict__.update(vars(model))
    shapes = [weights.shape for weights in (*model.coefs_, *model.intercepts_)]
    ends = np.cumsum([np.prod(shape) for shape in shapes])[:-1]
    arrays = [part.reshape(shape) for part, shape in zip(np.split(row, ends), shapes, strict=True)]
    copied.coefs_, copied.intercepts_ = arrays[:3], arrays[3:]
    return copied


def cross_entropy(model, row, w=None):
    log_p = with_weights(model, row).predict_log_proba(X)
    return -np.average(log_p[np.arange(len(Y)), Y], weights=w)


@pytest.mark.parametrize("weighted", [False, True])
def test_each_point_has_the_loss_of_a_model_with_these_weights(model, weighted):
    w = RNG.uniform(size=45) if weighted else None
    plane = lab.landscape(model, X, Y, w, resolution=5, span=0.5, random_state=0)
    assert plane.losses.shape == (5, 5)
    for i, a in enumerate(plane.coordinates[0]):
        for j, b in enumerate(plane.coordinates[1]):
            row = plane.origin + a * plane.directions[0] + b * plane.directions[1]
            expected = cross_entropy(model, row, w)
            assert plane.losses[i, j] == pytest.approx(expected, rel=1e-9)
    assert plane.losses[2, 2] == plane.loss


def test_random_directions_have_units_as_long_as_the_models_own(model):
    plane = lab.landscape(model, X, Y, resolution=3, random_state=1)
    for direction in plane.directions:
        parts = with_weights(model, direction)
        for drawn, own in zip(parts.coefs_, model.coefs_, strict=True):
            np.testing.assert_allclose(np.linalg.norm(drawn, axis=0), np.linalg.norm(own, axis=0))
        assert not np.concatenate(parts.intercepts_).any()
    assert abs(np.corrcoef(plane.directions)[0, 1]) < 0.5


def test_a_seed_gives_the_same_slice(model):
    first, second = (lab.landscape(model, X, Y, resolution=3, random_state=7) for _ in range(2))
    np.testing.assert_array_equal(first.losses, second.losses)
    other = lab.landscape(model, X, Y, resolution=3, random_state=8)
    assert not np.array_equal(first.losses, other.losses)


def test_the_penalty_is_added_on_request(model):
    options = {"resolution": 3, "random_state": 0}
    bare, penalised = (lab.landscape(model, X, Y, penalty=p, **options) for p in (False, True))
    squares = sum((weights**2).sum() for weights in model.coefs_)
    assert penalised.loss - bare.loss == pytest.approx(1e-4 / 2 * squares / 45, rel=1e-6)


def test_stacks_of_any_width_give_the_same_bits(model, monkeypatch):
    whole = lab.landscape(model, X, Y, resolution=7, random_state=0)
    monkeypatch.setattr(slices, "PASS_SIZE", 500)
    monkeypatch.setattr(fitted, "PASS_SIZE", 300)
    parts = lab.landscape(model, X, Y, resolution=7, random_state=0)
    np.testing.assert_array_equal(parts.losses, whole.losses)


def test_single_precision_sparse_samples_and_pipelines_work(model):
    thin = scipy.sparse.csr_array(X.astype(np.float32))
    single = make(dtype="float32")
    plane = lab.landscape(single, thin, Y, resolution=3, random_state=0)
    assert plane.losses.dtype == np.float32
    pipeline = make_pipeline(StandardScaler(), make_unfitted()).fit(X, Y)
    inside = lab.landscape(pipeline[-1], pipeline[0].transform(X), Y, resolution=3, random_state=0)
    outside = lab.landscape(pipeline, X, Y, resolution=3, random_state=0)
    np.testing.assert_array_equal(outside.losses, inside.losses)


def make_unfitted():
    return MLPClassifier(3, activation="tanh", optimizer="lbfgs", max_iter=1000, random_state=0)


def test_directions_may_be_given(model):
    given = RNG.normal(size=lab.parameters(model).size)
    line = lab.landscape(model, X, Y, directions=given, resolution=3, span=0.1)
    assert line.losses.shape == (3,)
    np.testing.assert_array_equal(line.directions, given[None])
    row = line.origin + 0.1 * given
    assert line.losses[2] == pytest.approx(cross_entropy(model, row))


def test_directions_of_the_hessian_bend_as_their_eigenvalues_say(model):
    plane = lab.landscape(
        model, X, Y, directions="hessian", resolution=3, span=1e-3, random_state=0
    )
    bends = [np.diff(plane.losses[:, 1], 2).item(), np.diff(plane.losses[1], 2).item()]
    np.testing.assert_allclose(
        np.array(bends) / 1e-6, plane.eigenvalues, atol=1e-3 * plane.eigenvalues[0]
    )
    assert plane.eigenvalues[0] > plane.eigenvalues[1]
    line = lab.landscape(
        model, X, Y, directions="hessian", n_dims=1, resolution=3, span=1e-3, random_state=0
    )
    np.testing.assert_array_equal(line.losses, plane.losses[:, 1])


def test_a_path_has_the_principal_components_that_scikit_learn_finds(walked):
    model, path = walked
    plane = lab.landscape(model, X, Y, directions="path", path=path, resolution=5)
    pca = PCA(2, svd_solver="full").fit(path)
    np.testing.assert_allclose(plane.explained_variance, pca.explained_variance_ratio_)
    np.testing.assert_allclose(np.abs(np.sum(plane.directions * pca.components_, axis=1)), 1.0)
    coordinates = (path - plane.origin) @ plane.directions.T
    np.testing.assert_allclose(plane.path, coordinates, atol=1e-12)
    # The last of the path is the model, in the middle of its own slice.
    np.testing.assert_allclose(plane.path[-1], 0.0, atol=1e-12)
    assert plane.path_losses[-1] == plane.loss
    expected = [cross_entropy(model, row) for row in path]
    np.testing.assert_allclose(plane.path_losses, expected)
    for along, seen in zip(plane.coordinates, plane.path.T, strict=True):
        assert along[0] < seen.min() <= seen.max() < along[-1]
    assert f"{pca.explained_variance_ratio_[0]:.0%} of variance)" in plane.labels[0]


def test_a_path_lies_at_its_nearest_points_in_a_plane_of_any_directions(walked):
    model, path = walked
    plane = lab.landscape(model, X, Y, path=path, resolution=3, random_state=0)
    misses = path - plane.origin - plane.path @ plane.directions
    np.testing.assert_allclose(misses @ plane.directions.T, 0.0, atol=1e-9)


def test_a_straight_path_is_seen_in_a_plane_that_is_not_flat(model):
    end = lab.parameters(model)
    path = end + np.linspace(4, 0, 5)[:, None] * np.eye(83)[0]
    plane = lab.landscape(model, X, Y, directions="path", path=path, resolution=3)
    assert plane.explained_variance == pytest.approx([1.0, 0.0])
    assert [np.ptp(along) for along in plane.coordinates] == pytest.approx([6.0, 2.0])


def test_paths_of_models_with_other_units_of_targets_end_at_the_model():
    path = WeightPath(every=4)
    model = MLPRegressor(5, batch_norm=True, standardize_target=True, max_iter=9, random_state=0)
    target = 1e3 * X[:, 0] + 1e4
    with pytest.warns(UserWarning, match="Maximum iterations"):
        model.set_callbacks(path).fit(X, target)
    assert path.params_.shape == (3, 31)
    np.testing.assert_array_equal(path.params_[-1], lab.parameters(model))
    line = lab.landscape(model, X, target, directions="path", path=path.params_, n_dims=1)
    expected = np.mean(((model.predict(X) - target) / target.std()) ** 2) / 2
    assert line.path_losses[-1] == line.loss == pytest.approx(expected)


def test_a_callback_that_saw_nothing_says_so():
    with pytest.raises(AttributeError, match="fit the model"):
        _ = WeightPath().params_


def test_the_barrier_between_two_models_is_where_and_what_it_is_plainly(model):
    other = make(seed=5)
    line = lab.between(model, other, X, Y, resolution=61)
    t = line.coordinates[0]
    assert (t[0], t[10], t[50], t[-1]) == pytest.approx((-0.25, 0.0, 1.0, 1.25))
    rows = [(1 - s) * lab.parameters(model) + s * lab.parameters(other) for s in t]
    losses = np.array([cross_entropy(model, row) for row in rows])
    np.testing.assert_allclose(line.losses, losses, rtol=1e-6)
    above = (losses - (1 - t) * losses[10] - t * losses[50])[10:51]
    assert line.barrier == pytest.approx(above.max())
    assert line.barrier > 0.1
    assert line.barrier_at == pytest.approx(t[10 + above.argmax()])
    assert line.end_losses == pytest.approx((losses[10], losses[50]))


def test_units_in_another_order_are_a_barrier_away(model):
    order = [5, 4, 3, 2, 1, 0]
    twin = with_weights(model, lab.parameters(model))
    twin.coefs_ = [model.coefs_[0][:, order], model.coefs_[1][order], model.coefs_[2]]
    twin.intercepts_ = [model.intercepts_[0][order], *model.intercepts_[1:]]
    line = lab.between(model, twin, X, Y)
    assert line.end_losses[0] == pytest.approx(line.end_losses[1], rel=1e-6)
    assert line.barrier > 0.1


def test_there_is_no_barrier_between_linear_models_or_a_model_and_itself(model):
    first = make(hidden_layer_sizes=(), alpha=1.0)
    line = lab.between(first, make(hidden_layer_sizes=(), alpha=0.1), X, Y)
    assert line.barrier == 0.0
    assert np.isnan(line.barrier_at)
    assert lab.between(model, model, X, Y).barrier == 0.0


def test_models_that_differ_have_no_line_between_them(model):
    with pytest.raises(ValueError, match=r"The two models differ: .*\(4, 6, 5, 3\).*\(4, 3, 3\)"):
        lab.between(model, make(hidden_layer_sizes=3), X, Y)


@pytest.mark.parametrize(
    ("params", "text"),
    [
        ({"resolution": 1}, "resolution must be an int, at least 2; got 1"),
        ({"resolution": 5.0}, "resolution must be an int"),
        ({"n_dims": 3}, "n_dims must be 1 or 2; got 3"),
        ({"span": -1.0}, "span must be a positive number"),
        ({"span": np.inf}, "span must be a positive number"),
        ({"directions": "randum"}, "Did you mean 'random'"),
        ({"directions": np.zeros((2, 3))}, r"directions must be of shape .*got shape \(2, 3\)"),
        ({"directions": np.zeros((3, 83))}, "one or two rows; got 3"),
        ({"directions": np.full((1, 83), np.nan)}, "directions has values that are not finite"),
        ({"directions": "path"}, "needs path="),
        ({"directions": "path", "path": np.zeros((2, 83))}, "path has 2 points"),
        ({"directions": "path", "path": np.zeros((9, 83))}, "path does not move"),
        ({"directions": np.zeros((2, 83))}, r"directions\[0\] is zero"),
        ({"directions": np.eye(83)[0] * [[1], [0]]}, r"directions\[1\] is zero"),
        ({"directions": np.ones((2, 83))}, "two directions are parallel"),
        ({"directions": np.arange(83) * [[1e-9], [-1e9]]}, "two directions are parallel"),
        ({"directions": [["a"] * 83]}, r"directions must be real numbers, of shape \(n, 83\)"),
        ({"path": WeightPath()}, r"path must be .*got a WeightPath.*\.params_"),
        ({"path": 7j}, "path must be real numbers"),
        ({"path": np.zeros((9, 8))}, r"path must be of shape \(n, 83\)"),
    ],
)
def test_parameters_that_cannot_be_are_named(model, params, text):
    with pytest.raises(ValueError, match=text):
        lab.landscape(model, X, Y, **params)


TARGET = 3 * X[:, 0] + X[:, 1] ** 2 + 4


def regressor(seed=0, **params):
    model = MLPRegressor(3, optimizer="lbfgs", random_state=seed, max_iter=1000, **params)
    return model.fit(X, TARGET)


def scaled(rows=slice(None), seed=0, **params):
    pipeline = make_pipeline(StandardScaler(), make(seed, **params))
    pipeline[0].fit(3 * X[rows] + 1)
    return pipeline


# Two models, targets, whether with the penalty, and what differs.
DIFFERENT = {
    "loss": (regressor, lambda: regressor(loss="huber"), TARGET, False, r"SquaredError.*Huber"),
    "its parameter": (
        lambda: regressor(loss="huber"),
        lambda: regressor(loss=Huber(delta=2.0)),
        TARGET,
        False,
        r"Huber\(\) and Huber\(delta=2.0\)",
    ),
    "classes": (
        make,
        lambda: make(labels=Y + 5),
        Y,
        False,
        r"\[0, 1, 2\] and \[5, 6, 7\]",
    ),
    "smoothing": (
        make,
        lambda: make(label_smoothing=0.1),
        Y,
        False,
        "label_smoothing: 0.0 and 0.1",
    ),
    "alpha": (make, lambda: make(alpha=0.5), Y, True, "alpha, and penalty=True: 0.0001 and 0.5"),
    "targets": (
        regressor,
        lambda: regressor(standardize_target=True),
        TARGET,
        False,
        r"targets, by standardize_target \(column 0, by up to",
    ),
    "weights": (make, lambda: make(class_weight="balanced"), Y, False, "class_weight"),
    "a scaler": (make, scaled, Y, False, r"X, as it comes out of their pipelines \(column \d"),
    "what a scaler has seen": (scaled, lambda: scaled(slice(20)), Y, False, "of their pipelines"),
}


@pytest.mark.parametrize("case", DIFFERENT)
def test_models_with_other_losses_have_no_line_between_them(case):
    first, second, y, penalty, text = DIFFERENT[case]
    with pytest.raises(ValueError, match=f"The two models differ in their .*{text}.*same"):
        lab.between(first(), second(), X, y, penalty=penalty)


@pytest.mark.parametrize(
    "two",
    [
        (make, lambda: make(1, alpha=0.5)),
        (make, lambda: make(1, dtype="float32", input_scaling=True)),
        (
            lambda: scaled(seed=0),
            lambda: make_pipeline(StandardScaler(), make(1)).fit(3 * X + 1, Y),
        ),
    ],
)
def test_both_ends_are_each_models_own_loss(two):
    first, second = (make_one() for make_one in two)
    line = lab.between(first, second, X, Y)
    for model, loss in zip((first, second), line.end_losses, strict=True):
        assert loss == pytest.approx(log_loss(Y, model.predict_proba(X)), rel=1e-5)


def test_directions_at_a_small_angle_are_a_plane(model):
    rows = np.ones((2, 83)) + 1e-6 * np.eye(83)[:2]
    plane = lab.landscape(model, X, Y, directions=rows, resolution=3, span=0.1)
    np.testing.assert_array_equal(plane.directions, rows)


def test_a_resolution_beyond_memory_is_refused_with_its_bytes(model):
    with pytest.raises(MemoryError, match=r"resolution=10000000 .* 800 TB \(800,000,000,000,000"):
        lab.landscape(model, X, Y, resolution=10**7)
