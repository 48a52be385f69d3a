"""Runs that are compared are those that the loop makes, and what became of them is true."""

import numpy as np
import pytest

from skopt_dl import lab
from skopt_dl.objectives import (
    FiniteSum,
    Function,
    MonkeySaddle,
    Polynomial,
    StationaryPoint,
    from_callable,
)
from skopt_dl.optimizers import SGD, Adam, Momentum


class Valley(Function):
    """``(x² + 10 y²) / 2``, and its minimum."""

    def __init__(self, **options):
        super().__init__(2, (-4.0, 4.0), **options)
        self.minima = [StationaryPoint(np.zeros(2), 0.0, "minimum")]

    def value(self, x):
        return 0.5 * (x**2 * self.curvatures(x)).sum(axis=-1)

    def gradient(self, x):
        return x * self.curvatures(x)

    @staticmethod
    def curvatures(x):
        return np.array([1.0, 10.0], dtype=x.dtype)


class TwoWells(Function):
    """``(x² - 1)²``, whose minima are -1 and 1."""

    def __init__(self):
        super().__init__(1, (-2.0, 2.0))
        self.minima = [StationaryPoint(np.array([x]), 0.0, "minimum") for x in (-1.0, 1.0)]

    def value(self, x):
        return (x[..., 0] ** 2 - 1.0) ** 2

    def gradient(self, x):
        return 4.0 * x * (x**2 - 1.0)


def test_every_combination_is_a_run_that_ends_where_the_closed_form_says():
    rates, starts = [0.01, 0.1], [[1.0, 1.0], [-2.0, 0.5], [3.0, -3.0]]
    found = lab.compare(Valley(), "sgd", learning_rates=rates, starts=starts, n_steps=7)
    assert len(found) == 6
    for rate, start, end in zip(
        found.table["learning_rate"], found.table["start"], found.ends, strict=True
    ):
        factors = (1.0 - rate * np.array([1.0, 10.0])) ** 7
        np.testing.assert_allclose(end, np.array(starts[start]) * factors, rtol=1e-13)


def test_paths_values_and_gradients_are_kept_on_request():
    found = lab.compare(Valley(), SGD(0.05), starts=[[1.0, 2.0]], n_steps=4, record=True)
    factors = 1.0 - 0.05 * np.array([1.0, 10.0])
    path = np.array([[1.0, 2.0] * factors**t for t in range(5)])
    np.testing.assert_allclose(found.paths[0], path, rtol=1e-14)
    np.testing.assert_allclose(found.values[0], 0.5 * (path**2 @ [1.0, 10.0]), rtol=1e-14)
    np.testing.assert_allclose(found.gradients[0], path[:4] * [1.0, 10.0], rtol=1e-14)
    assert lab.compare(Valley(), SGD(0.05), n_steps=4).paths is None


def test_steps_to_tolerance_are_the_first_after_which_the_gap_is_small():
    found = lab.compare(TwoWells(), SGD(0.01), starts=[[1.2], [0.0]], n_steps=300, tol=1e-8)
    gaps = found.values[0]
    step = int(found.table["steps_to_tolerance"][0])
    assert gaps[step - 1] > 1e-8 >= gaps[step]
    # The top between the wells is stationary.
    assert found.table["steps_to_tolerance"][1] == np.inf
    assert found.table["outcome"].tolist() == ["reached", "stalled"]
    assert found.table["minimum"].tolist() == [1, -1]


@pytest.mark.parametrize(
    ("rate", "outcome"), [(0.1, "reached"), (1e-3, "moving"), (0.21, "diverged"), (1e6, "diverged")]
)
def test_outcome_tells_what_a_rate_leads_to(rate, outcome):
    """Above 2 / 10 descent diverges, soon beyond all numbers or slowly."""
    found = lab.compare(Valley(), "sgd", learning_rates=[rate], starts=[[1.0, 1.0]], n_steps=200)
    assert found.table["outcome"].tolist() == [outcome]
    assert np.isfinite(found.ends).all() == (rate < 1)


def test_methods_that_end_themselves_elsewhere_are_stalled():
    shifted = TwoWells()
    shifted.minima = [StationaryPoint(np.array([1.0]), 0.0, "minimum")]
    shifted.value = lambda x: (x[..., 0] ** 2 - 1.0) ** 2 + (x[..., 0] < 0)
    found = lab.compare(shifted, "lbfgs", starts=[[-1.5], [1.5]], n_steps=100)
    assert found.table["outcome"].tolist() == ["stalled", "reached"]


def test_what_is_not_known_is_measured_against_the_best_run():
    valley = Valley()
    valley.minima = []
    found = lab.compare(valley, SGD(0.01), starts=[[1.0, 0.0], [3.0, 0.0]], n_steps=10)
    assert found.table["final_gap"][0] == 0.0
    assert found.table["final_gap"][1] > 0.0
    assert found.table["minimum"].tolist() == [-1, -1]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_run_has_the_bits_it_has_alone(dtype):
    optimizers = {"a": SGD(0.01), "b": Momentum(0.01), "c": Adam(0.1), "d": "lion", "e": "lbfgs"}
    together = lab.compare(Valley(), optimizers, starts=3, n_steps=20, dtype=dtype)
    for row, (label, start) in enumerate(
        zip(together.table["optimizer"], together.table["start"], strict=True)
    ):
        alone = lab.compare(
            Valley(),
            {label: optimizers[label]},
            starts=[together.starts[start]],
            n_steps=20,
            dtype=dtype,
        )
        np.testing.assert_array_equal(together.ends[row], alone.ends[0])


def test_methods_that_run_themselves_take_part():
    found = lab.compare(Valley(), ["sgd", "lbfgs"], n_steps=50, record=True)
    assert found.table["outcome"].tolist() == ["moving", "reached"]
    assert np.isnan(found.table["learning_rate"]).tolist() == [False, True]
    n_points = np.isfinite(found.paths[1]).all(axis=1).sum()
    assert 2 < n_points < 51
    np.testing.assert_array_equal(found.paths[1, n_points - 1], found.ends[1])


def test_the_table_is_a_frame_where_pandas_is_installed():
    pandas = pytest.importorskip("pandas")
    found = lab.compare(Valley(), ["sgd", "adam"], n_steps=30)
    frame = found.to_frame()
    assert isinstance(frame, pandas.DataFrame)
    assert frame["state_numbers"].tolist() == [0, 4]
    assert repr(found) == "<Comparison on Valley: 2 runs, 2 moving>"


def test_the_best_of_all_runs_has_arrived_only_where_it_rests():
    valley = Valley()
    valley.minima = []
    options = {"starts": [[1.0, 0.0]], "n_steps": 200}
    found = lab.compare(valley, {"slow": SGD(1e-3), "fast": SGD(0.19)}, **options)
    assert found.table["outcome"].tolist() == ["moving", "reached"]
    assert lab.compare(valley, SGD(1e-3), **options).table["outcome"].tolist() == ["moving"]


@pytest.mark.parametrize(
    ("objective", "options"),
    [
        (from_callable(lambda x: x.sum(-1), 2), {"learning_rates": [0.1], "n_steps": 300}),
        (MonkeySaddle(), {"n_steps": 10}),
        (from_callable(lambda x: ((x - 1) ** 2).sum(-1), 2), {"n_steps": 50}),
    ],
)
def test_run_on_its_way_has_reached_nothing_that_is_known(objective, options):
    found = lab.compare(objective, ["sgd"], **options)
    assert found.table["outcome"].tolist() == ["moving"]
    np.testing.assert_array_equal(np.isnan(found.table["final_gap"]), objective.minimum == -np.inf)


def test_gaps_to_an_unknown_minimum_are_those_to_the_best_of_all_runs():
    bowl = from_callable(lambda x: ((x - 1) ** 2).sum(-1), 2)
    found = lab.compare(bowl, "sgd", learning_rates=[0.01, 0.1], n_steps=500, tol=1e-3)
    best = np.nanmin(found.values)
    np.testing.assert_allclose(found.table["final_gap"], found.table["final_value"] - best)
    first = [int(np.argmax(values - best <= 1e-3)) for values in found.values]
    assert found.table["steps_to_tolerance"].tolist() == first


@pytest.mark.parametrize(
    ("sizes", "of_sgd", "of_lbfgs"), [([1, 2], [1, 2], [3]), ([None, 1, 3], [3, 1], [3])]
)
def test_methods_that_run_themselves_take_part_once_with_all_terms(sizes, of_sgd, of_lbfgs):
    total = FiniteSum([Polynomial([c * c / 2, -c, 0.5]) for c in (1.0, 2.0, 3.0)])
    options = {"learning_rates": [0.1, 0.2], "n_steps": 5, "starts": [[0.0], [1.0]]}
    found = lab.compare(total, ["sgd", "lbfgs"], batch_sizes=sizes, **options)
    table = found.table
    for label, due, n_rates in (("sgd", of_sgd, 2), ("lbfgs", of_lbfgs, 1)):
        rows = table["optimizer"] == label
        assert table["batch_size"][rows].tolist() == np.repeat(due, 2 * n_rates).tolist()
    assert np.isnan(table["learning_rate"]).tolist() == (table["optimizer"] == "lbfgs").tolist()
    np.testing.assert_allclose(found.ends[table["optimizer"] == "lbfgs"], 2.0)
    # A row's optimizer, end and values belong together.
    np.testing.assert_allclose(total.value(found.ends), table["final_value"])
    alone = lab.compare(total, ["lbfgs"], batch_sizes=[1], starts=options["starts"])
    assert alone.table["batch_size"].tolist() == [3, 3]


def test_nothing_is_reached_where_there_is_no_smallest_value():
    """On ``-x²``, one run flees from the top, and one stays there."""
    hill = Polynomial([0.0, 0.0, -1.0], (-2.0, 2.0))
    found = lab.compare(hill, SGD(0.01), starts=[[0.5], [0.0]], n_steps=20)
    assert found.table["outcome"].tolist() == ["moving", "stalled"]
    assert np.isinf(found.table["steps_to_tolerance"]).all()
    assert np.isnan(found.table["final_gap"]).all()


def test_batches_of_one_seed_are_the_same_for_all_and_a_step_takes_their_mean():
    """Parabolas around 1, 2, … 6; plain descent by the rate 0.5 goes to the mean of a batch."""
    centers = np.arange(1.0, 7.0)
    total = FiniteSum([Polynomial([c * c / 2, -c, 0.5]) for c in centers])
    options = {"starts": [[0.0]], "n_steps": 6, "record": True, "seeds": [3, 4]}
    found = lab.compare(total, {"a": SGD(1.0), "b": SGD(1.0)}, batch_sizes=[1, 2, None], **options)
    ends = found.paths[:, 1:, 0].reshape(3, 2, 2, 6)
    np.testing.assert_array_equal(ends[:, 0], ends[:, 1])
    for k, seed in enumerate([3, 4]):
        rng = np.random.default_rng(seed)
        one = centers[rng.permutation(6)]
        np.testing.assert_allclose(ends[0, 0, k], one)
        rng = np.random.default_rng(seed)
        pairs = [centers[rng.permutation(6)].reshape(3, 2).mean(axis=1) for _ in range(2)]
        np.testing.assert_allclose(ends[1, 0, k], np.concatenate(pairs))
    np.testing.assert_allclose(ends[2], 3.5)
    assert found.table["batch_size"].tolist() == [1] * 4 + [2] * 4 + [6] * 4
    # Values are those of the whole sum, whatever the batch.
    np.testing.assert_allclose(found.values[0], total.value(found.paths[0]))


def test_batches_with_replacement_are_drawn_independently():
    total = FiniteSum([Polynomial([c * c / 2, -c, 0.5]) for c in (1.0, 2.0, 3.0)])
    found = lab.compare(
        total,
        SGD(1.0),
        starts=[[0.0]],
        n_steps=6,
        record=True,
        batch_sizes=[1],
        sampling="replacement",
    )
    rng = np.random.default_rng(0)
    drawn = np.concatenate([rng.integers(3, size=3) for _ in range(2)])
    np.testing.assert_allclose(found.paths[0, 1:, 0], drawn + 1.0)


WRONG = {
    "an objective that is none": (lambda: lab.compare(len, "sgd"), TypeError, "from_callable"),
    "an unknown name": (lambda: lab.compare(Valley(), "adm"), ValueError, "adam"),
    "no optimizer": (lambda: lab.compare(Valley(), []), ValueError, "optimizers is empty"),
    "a class": (lambda: lab.compare(Valley(), [SGD]), ValueError, "optimizers must be names"),
    "one twice": (lambda: lab.compare(Valley(), ["sgd", "sgd"]), ValueError, "'?sgd'? twice"),
    "a negative rate": (
        lambda: lab.compare(Valley(), "sgd", learning_rates=[-1.0]),
        ValueError,
        "learning_rate",
    ),
    "rates of another": (
        lambda: lab.compare(Valley(), "sgd", learning_rates={"adam": [0.1]}),
        ValueError,
        "'adam', which is none of the optimizers: 'sgd'",
    ),
    "a start outside": (
        lambda: lab.compare(Valley(), "sgd", starts=[[1.0, 5.0]]),
        ValueError,
        r"starts of Valley must lie in its domain.*got \[1.0, 5.0\]",
    ),
    "a start of another shape": (
        lambda: lab.compare(Valley(), "sgd", starts=[[1.0]]),
        ValueError,
        r"must be of shape \(n, 2\)",
    ),
    "a start that is no number": (
        lambda: lab.compare(Valley(), "sgd", starts=[[np.nan, 0.0]]),
        ValueError,
        "starts of Valley",
    ),
    "no start": (lambda: lab.compare(Valley(), "sgd", starts=0), ValueError, "how many to draw"),
    "batches of no sum": (
        lambda: lab.compare(Valley(), "sgd", batch_sizes=[4]),
        ValueError,
        "no sum of terms.*got 4",
    ),
    "a class alone": (lambda: lab.compare(Valley(), Adam), ValueError, r"Pass Adam\(\)"),
    "a class in a list": (lambda: lab.compare(Valley(), [Adam]), ValueError, r"Pass Adam\(\)"),
    "nothing for optimizers": (
        lambda: lab.compare(Valley(), None),
        ValueError,
        "optimizers must be a name.*got None",
    ),
    "a schedule's name for rates": (
        lambda: lab.compare(Valley(), "sgd", learning_rates="cosine"),
        ValueError,
        r"learning_rates must be a sequence, such as \[0.01, 0.1\]; got 'cosine'",
    ),
    "a rate of one of them alone": (
        lambda: lab.compare(Valley(), "sgd", learning_rates={"sgd": 0.1}),
        ValueError,
        "learning_rates of 'sgd' must be a sequence",
    ),
    "no rates of one of them": (
        lambda: lab.compare(Valley(), "sgd", learning_rates={"sgd": []}),
        ValueError,
        "learning_rates of 'sgd' is empty",
    ),
    **{
        f"{name} that is {value!r}": (
            lambda name=name, value=value: lab.compare(Valley(), "sgd", **{name: value}),
            ValueError,
            f"{name} {words}",
        )
        for name, value, words in [
            ("learning_rates", 0.1, "must be a sequence.*got 0.1"),
            ("learning_rates", np.array(0.1), "must be a sequence"),
            ("learning_rates", [], "is empty; pass at least one"),
            ("seeds", 3, "must be a sequence.*got 3"),
            ("seeds", [], "is empty"),
            ("seeds", [-3], r"must be an int in \[0, inf\); got -3"),
            ("seeds", [0.5], r"must be an int in \[0, inf\); got 0.5"),
            ("seeds", "01", "must be a sequence"),
            ("batch_sizes", 2, "must be a sequence.*got 2"),
            ("batch_sizes", [], "is empty"),
            ("batch_sizes", [True], "must be None.*got True"),
            ("sampling", "replacment", "must be 'shuffle' or 'replacement'; got 'replacment'"),
            ("sampling", None, "must be 'shuffle' or 'replacement'; got None"),
            ("tol", -1, r"must be a float in \[0, inf\); got -1"),
            ("tol", np.nan, "must be a float.*got nan"),
            ("tol", np.inf, "must be a float.*got inf"),
            ("tol", "x", "must be a float.*got 'x'"),
            ("dtype", "int32", "must be 'float64' or 'float32'; got 'int32'"),
            ("dtype", "float16", "must be 'float64' or 'float32'; got 'float16'"),
            ("dtype", "foo", "must be 'float64' or 'float32'; got 'foo'"),
            ("dtype", bool, "must be 'float64' or 'float32'; got 'bool'"),
            ("dtype", complex, "must be 'float64' or 'float32'; got 'complex128'"),
            ("dtype", None, "must be 'float64' or 'float32'; got None"),
            ("record", "no", "must be True or False; got 'no'"),
            ("starts", True, "must be points, or how many to draw, an int.*got True"),
            ("n_steps", True, r"must be an int in \[1, inf\); got True"),
        ]
    },
    "more starts than there is memory": (
        lambda: lab.compare(Valley(), ["sgd", "adam"], starts=10**12, n_steps=10),
        MemoryError,
        r"2,000,000,000,000 runs \(2 of optimizers.*1,000,000,000,000 starts and 1 seeds\) of 10 "
        r"steps need .* \([\d,]+ bytes\); there are .*Lower n_steps or how many starts",
    ),
    "more steps than there is memory": (
        lambda: lab.compare(Valley(), "sgd", n_steps=10**15, record=True),
        MemoryError,
        "Lower n_steps.*or leave record=False",
    ),
    "a column that is none": (
        lambda: lab.rules(["sgd"]).table.only("scales"),
        ValueError,
        "no column 'scales'. Did you mean 'scale'",
    ),
    "the rules of one name": (lambda: lab.rules("adam"), TypeError, r"Pass \['adam'\]"),
    "the rules of a number": (lambda: lab.rules(3), TypeError, "rules shows several"),
    "the rule of a bad rate": (lambda: lab.rule(Adam(-1)), ValueError, "learning_rate of Adam"),
    "slots of no run": (lambda: lab.slots_of_run("a"), TypeError, "comparison must be.*got 'a'"),
    "slots of no row": (
        lambda: lab.slots_of_run(lab.compare(Valley(), "sgd", n_steps=2, record=True), "a"),
        ValueError,
        "run must be an int from 0 to 0.*got 'a'",
    ),
    "no steps": (lambda: lab.compare(Valley(), "sgd", n_steps=0), ValueError, "n_steps"),
    "half a step": (lambda: lab.compare(Valley(), "sgd", n_steps=0.5), ValueError, "n_steps"),
}


@pytest.mark.parametrize("what", WRONG)
def test_bad_input_is_answered_by_name(what):
    call, error, words = WRONG[what]
    with pytest.raises(error, match=words):
        call()
