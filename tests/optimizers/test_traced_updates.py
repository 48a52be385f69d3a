"""An update that is recorded does what it does when it is called, to the last bit."""

from functools import partial

import numpy as np
import pytest
from problems import OPTIMIZERS, Problem

from skopt_dl import MLPClassifier
from skopt_dl.backends import get_backend
from skopt_dl.objectives import GivenGradients, Layout, Quadratic
from skopt_dl.optimizers import SGD, Adam, Optimizer
from skopt_dl.programs import engines, parts
from skopt_dl.schedules import Constant, Cosine, ExponentialDecay
from skopt_dl.testing import check_optimizer
from skopt_dl.training import minimise, updates

LAYOUT = Layout.from_shapes([("w", "hidden", (5, 4)), ("b", "bias", (1, 4))])


class Plain(Optimizer):
    """What the optimizers of these tests have in common."""

    slots = ("memory",)

    def __init__(self, learning_rate=0.1, decay=0.9):
        self.learning_rate = learning_rate
        self.decay = decay


@pytest.fixture
def by_code(monkeypatch):
    """Calls a function where no update is traced."""

    def run(function):
        with monkeypatch.context() as patch:
            patch.setattr(updates, "update_program", lambda case: "of a test")
            return function()

    return run


@pytest.fixture
def in_parts(monkeypatch):
    """Has updates of more than eight numbers cut into parts of four."""
    monkeypatch.setattr(type(get_backend("cpu")), "part_bytes", 4 * 8)
    monkeypatch.setattr(parts, "MIN_PARTS", 2)


def path_of(optimizers, dtype="float64", n_steps=12, layout=LAYOUT, seed=0, **options):
    """Parameters after each step, ``(n_steps, K, P)``, and the runs."""
    rng, shape = np.random.default_rng(seed), (len(optimizers), layout.size)
    start, path = rng.normal(size=shape).astype(dtype), []
    runs = minimise(
        GivenGradients(rng.normal(size=(n_steps, *shape)), layout),
        optimizers,
        start,
        max_epochs=n_steps,
        validate=lambda params, models: path.append(params.copy()) or {},
        **options,
    )
    return np.array(path), runs


def variants(cls, n_models=3):
    """Optimizers with rates and decays of their own."""
    found = []
    for k in range(n_models):
        params = {
            name: value * 0.9**k
            for name, value in cls().get_params().items()
            if isinstance(value, float)
        }
        found.append(cls(**params))
    return found


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_program_has_the_bits_of_the_code(name, dtype, by_code):
    cls = OPTIMIZERS[name]
    for optimizers in ([cls()], [cls()] * 3, variants(cls)):
        for schedule in (None, Cosine(0.1)):
            if schedule is not None:
                optimizers = [cls(learning_rate=schedule) for _ in optimizers]
            path, runs = path_of(optimizers, dtype)
            expected, called = by_code(partial(path_of, optimizers, dtype))
            np.testing.assert_array_equal(path, expected)
            assert {run.untraced for run in runs} == {""}
            assert {run.untraced for run in called} == {"of a test"}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_parts_of_an_update_have_the_bits_of_the_whole(name, by_code, request):
    cls = OPTIMIZERS[name]
    stacks = [[cls()], [cls()] * 3, variants(cls), variants(cls, 2) * 4]
    wholes = [path_of(stack)[0] for stack in stacks]
    request.getfixturevalue("in_parts")
    for stack, whole in zip(stacks, wholes, strict=True):
        np.testing.assert_array_equal(path_of(stack)[0], whole)
        narrow = Layout.from_shapes([("w", "hidden", (2, 1))])
        short = path_of(stack, layout=narrow)[0]
        np.testing.assert_array_equal(
            short, by_code(lambda s=stack, n=narrow: path_of(s, layout=n)[0])
        )


@pytest.mark.usefixtures("in_parts", "numpy_engine")
def test_a_large_update_is_cut_and_one_that_sums_over_a_model_is_not(monkeypatch):
    counts = []

    def counting(*arguments):
        counts.append(len(calls(*arguments)))
        return calls(*arguments)

    calls = engines.calls_in_parts
    monkeypatch.setattr(engines, "calls_in_parts", counting)

    class Normalised(Plain):
        def update(self, grad, state, params, step):
            norm = step.xp.sqrt(step.xp.sum(grad * grad, axis=1, keepdims=True))
            return -step.learning_rate * grad / norm

    path_of([SGD()])
    path_of([Normalised()])
    # A product and a sum for each of six parts of four numbers.
    assert counts[0] == 2 * 6
    assert counts[-1] < 2 * 6


def test_scalar_slot_is_updated_once_in_a_step_that_is_cut(in_parts):
    class Counts(Plain):
        slots = {"memory": "scalar"}

        def update(self, grad, state, params, step):
            state["memory"] += self.decay
            return -step.learning_rate * grad * state["memory"]

    _, runs = path_of([Counts(), Counts(decay=0.5)])
    np.testing.assert_allclose([run.state["slots"]["memory"][0] for run in runs], [10.8, 6.0])


def test_scalar_slot_that_is_read_before_it_is_written_keeps_its_order(by_code, request):
    class Late(Plain):
        slots = {"memory": "scalar"}

        def update(self, grad, state, params, step):
            grad *= state["memory"]
            state["memory"] += self.decay
            return -step.learning_rate * grad

    expected = by_code(lambda: path_of([Late()])[0])
    request.getfixturevalue("in_parts")
    np.testing.assert_array_equal(path_of([Late()])[0], expected)


def test_rate_that_becomes_one_for_each_model_is_followed(by_code):
    optimizers = [SGD(Constant(0.1)), SGD(ExponentialDecay(0.1, rate=0.5))]
    path, runs = path_of(optimizers, max_grad_norm=1.0)
    assert runs[0].history["learning_rate"][0] == runs[1].history["learning_rate"][0]
    assert runs[0].history["learning_rate"][-1] != runs[1].history["learning_rate"][-1]
    np.testing.assert_array_equal(path, by_code(lambda: path_of(optimizers, max_grad_norm=1.0)[0]))


def test_number_of_the_step_is_that_of_a_run_that_goes_on(by_code):
    class Slows(Plain):
        def update(self, grad, state, params, step):
            state["memory"] *= 1 - self.decay**step.number
            state["memory"] += grad / (step.number + 2)
            return -step.learning_rate * state["memory"] * 0.99**step.number

    def train(n_epochs, resume=None, start=1.0):
        objective = Quadratic(np.linspace(0.1, 1.0, 6))
        params = np.full((1, 6), start)
        return minimise(objective, Slows(), params, max_epochs=n_epochs, resume=resume)[0]

    whole, half = train(8), train(4)
    rest = train(4, [half.state], half.params)
    np.testing.assert_array_equal(whole.params, by_code(lambda: train(8)).params)
    np.testing.assert_array_equal(whole.params, rest.params)
    assert not whole.untraced


def branches(self, grad, state, params, step):
    return grad if grad[0, 0] > 0 else -grad


def asks_the_number(self, grad, state, params, step):
    return -grad if step.number % 2 else grad


def rebinds_its_state(self, grad, state, params, step):
    state["memory"] = state["memory"] + grad
    return -step.learning_rate * state["memory"]


def sets_attributes(self, grad, state, params, step):
    self.norm = step.xp.sum(grad * grad)
    return -step.learning_rate * grad


def writes_params(self, grad, state, params, step):
    params *= 0.5
    return -step.learning_rate * grad


def writes_its_hyperparameters(self, grad, state, params, step):
    self.decay *= 0.5
    return -step.learning_rate * grad


def uses_numpy(self, grad, state, params, step):
    return -step.learning_rate * np.cumsum(grad, axis=1)


def has_an_array(self, grad, state, params, step):
    return -step.learning_rate * grad * np.linspace(0.5, 1.0, LAYOUT.size, dtype=np.float32)


def calls_what_is_not_known(self, grad, state, params, step):
    return -step.learning_rate * step.xp.linalg.norm(grad, axis=1, keepdims=True) * grad


def computes_more_exactly(self, grad, state, params, step):
    return step.xp.astype(-0.1 * step.xp.astype(grad, np.float64), grad.dtype)


def keeps_what_it_sees(self, grad, state, params, step):
    KEPT.append(grad.copy())
    return -step.learning_rate * grad


def reads_the_scratch(self, grad, state, params, step):
    # Nobody has written there: it may be anything, nan as well, and must change nothing.
    return -step.learning_rate * step.xp.where(step.scratch > 0, grad, grad)


KEPT = []
REASONS = {
    branches: "asks for the values of an array",
    asks_the_number: "asks for the number of the step",
    rebinds_its_state: "puts other arrays into its state",
    sets_attributes: "sets its own attributes",
    writes_params: "writes to params",
    writes_its_hyperparameters: "writes to hyper.decay",
    uses_numpy: "asks for the values of an array",
    has_an_array: "uses an array of its own",
    calls_what_is_not_known: "uses xp.linalg",
    computes_more_exactly: "computes in float64",
    keeps_what_it_sees: "keeps arrays beyond the step",
    reads_the_scratch: "uses what the scratch array held before",
}


@pytest.mark.parametrize("update", REASONS, ids=lambda update: update.__name__)
def test_code_that_cannot_be_traced_is_called_at_every_step(update, by_code):
    cls = type("Untraceable", (Plain,), {"update": update, "slots": ("memory",)})
    with np.errstate(all="ignore"):
        path, runs = path_of([cls()], "float32", n_steps=5)
        expected, _ = by_code(lambda: path_of([cls()], "float32", n_steps=5))
    np.testing.assert_array_equal(path, expected)
    assert REASONS[update] in runs[0].untraced


def test_what_is_kept_of_each_step_is_kept_of_all_of_them():
    KEPT.clear()
    cls = type("Keeps", (Plain,), {"update": keeps_what_it_sees})
    path_of([cls()], n_steps=5)
    assert [each.shape for each in KEPT if isinstance(each, np.ndarray)] == [(1, 24)] * 5


@pytest.mark.parametrize("wrong", [None, 1.0, np.zeros(3)], ids=["None", "a number", "a shape"])
def test_result_that_is_no_change_is_told_as_without_tracing(wrong):
    cls = type("Wrong", (Plain,), {"update": lambda self, grad, state, params, step: wrong})
    with pytest.raises(ValueError, match=r"Wrong.update returned .* must return the change"):
        path_of([cls()])


def test_an_error_of_the_code_is_raised_by_the_code():
    def update(self, grad, state, params, step):
        return grad / state["misspelt"]

    with pytest.raises(KeyError, match="misspelt"):
        path_of([type("Wrong", (Plain,), {"update": update})()])


class Counted(Plain):
    """Does more than to compute."""

    traceable = False
    n_calls = 0

    def update(self, grad, state, params, step):
        Counted.n_calls += 1
        state["memory"] += grad
        return -step.learning_rate * grad


def test_class_that_says_so_is_not_traced():
    Counted.n_calls = 0
    _, runs = path_of([Counted()], n_steps=7)
    assert Counted.n_calls == 7
    assert runs[0].untraced == "it says so, traceable = False"
    assert check_optimizer(Counted()) == "not traced: it says so, traceable = False"


def test_program_that_differs_from_the_code_breaks_a_rule():
    class Hidden(Plain):
        n_calls = 0

        def update(self, grad, state, params, step):
            Hidden.n_calls += 1
            state["memory"] += grad
            return -step.learning_rate * grad / Hidden.n_calls**0.01

    with pytest.raises(AssertionError, match=r"Equal runs give equal results|traceable = False"):
        check_optimizer(Hidden())


def test_program_is_made_once_for_optimizers_that_differ_in_floats_alone():
    updates.update_program.cache_clear()
    for decay in (0.5, 0.9, 0.99):
        path_of([Adam(beta_1=decay)])
    path_of([Adam(epsilon_hat=True)])
    assert updates.update_program.cache_info().misses == 2


def test_views_of_a_gradient_see_what_is_written_to_it(by_code):
    class Views(Plain):
        def update(self, grad, state, params, step):
            first = grad[:, :7]
            grad *= 2.0
            first += 1.0
            state["memory"] += first[:, :1] * grad
            grad -= first[:, 6:]
            return -step.learning_rate * (grad + state["memory"])

    path, runs = path_of([Views()])
    assert not runs[0].untraced
    np.testing.assert_array_equal(path, by_code(lambda: path_of([Views()]))[0])


def test_gradients_in_one_array_and_in_many_give_the_same(by_code):
    problem = Problem()

    def train(optimizers):
        return np.stack([run.params for run in problem.train(optimizers)])

    for optimizers in ([Adam()], [Adam(), SGD(), Adam()]):
        np.testing.assert_array_equal(
            train(optimizers), by_code(lambda found=optimizers: train(found))
        )


@pytest.mark.filterwarnings("ignore:Maximum iterations")
def test_verbose_says_that_an_update_is_not_traced(capsys):
    x, y = np.random.default_rng(0).normal(size=(20, 3)), np.arange(20) % 2
    MLPClassifier((3,), optimizer=Counted(), max_iter=3, tol=0, verbose=True).fit(x, y)
    lines = capsys.readouterr().out.splitlines()
    line = "The update of Counted is not traced, and takes longer: it says so, traceable = False."
    assert lines.count(line) == 1
    MLPClassifier((3,), optimizer="adam", max_iter=3, verbose=True).fit(x, y)
    assert "not traced" not in capsys.readouterr().out
