"""Orders and random bits of NumPy's default generator, drawn in C."""

import warnings

import numpy as np
import pytest
from sklearn.datasets import make_classification
from sklearn.exceptions import ConvergenceWarning
from skopt_dl_native import _interpreter, drawing
from skopt_dl_native._interpreter import address
from skopt_dl_native.drawing import Where, drawing_of

from skopt_dl import MLPClassifier
from skopt_dl.backends import NumPyBackend
from skopt_dl.layers import Dropout
from skopt_dl.networks.draws import Draws
from skopt_dl.programs import HostWrites, using_engine
from skopt_dl.training.batches import Batches

N_TIMES = 5


def _orders(rngs, n, **how):
    """What draws orders of n rows, where it writes them."""
    (write, *_) = Batches(n, min(n, 7), rngs=rngs, **how).plan(3)
    return write


def _masks(rngs, n_rows, sizes, rates, are_kept=False):
    """What draws which units of some layers stay."""
    draws = Draws(NumPyBackend(), [Dropout(0.5)] * len(sizes), np.array(rates), rngs)
    draws.are_kept = are_kept
    names = [f"mask {number}" for number in range(len(sizes))]
    arrays = [np.zeros((len(rngs), n_rows, size), bool) for size in sizes]

    def write(n_steps, *tables):
        draws(names, n_steps, *tables)

    return HostWrites(arrays, write, lambda: draws.draws(names))


class _Call:
    """A call's tables, written in C or by the call itself."""

    def __init__(self, write, positions):
        self.write, self.positions = write, positions
        shapes = [(N_TIMES * len(positions), *array.shape) for array in write.arrays]
        self.tables = [
            np.zeros(shape, array.dtype) for shape, array in zip(shapes, write.arrays, strict=True)
        ]
        self.row = 0

    def where(self, places):
        def addresses(number):
            table = self.tables[number]
            return address(table) + np.arange(len(table)) * table.strides[0]

        return Where(addresses, places, self.positions)

    def draw(self):
        self.write.write(1, *(table[self.row : self.row + 1] for table in self.tables))
        self.row += 1


def _calls(rngs, n_samples, sizes):
    """An epoch: an order, masks before each of two tasks, and others before the third."""
    rates = [[0.2 + 0.1 * layer for layer in range(len(sizes))] for _ in rngs]
    # A model that draws nothing in one layer.
    rates[-1][0] = 0.0
    rows = [np.random.default_rng(k).permutation(n_samples) + k for k in range(len(rngs))]
    return [
        _Call(_orders(rngs, n_samples, rows=rows), [0]),
        _Call(_masks(rngs, 7, sizes, rates), [0, 1]),
        _Call(_masks(rngs, n_samples % 7 or 7, sizes, rates), [2]),
    ]


# Where each call is among all of an epoch: with tasks, and what reads, between.
PLACES = [[0], [1, 3], [6]]
N_TASKS = 3


@pytest.mark.parametrize("half_is_left", [False, True])
@pytest.mark.parametrize("n_models", [1, 3])
@pytest.mark.parametrize(
    ("n_samples", "sizes"),
    # Up to more words than are drawn at a time, and as many as that, one less and one more.
    [(8, [1]), (9, [3, 5]), (64, [4, 70, 1]), (1025, [300]), (3000, [9])]
    + [(21, [n]) for n in (292, 293)],
    ids=str,
)
def test_what_is_drawn_and_states_are_those_of_numpy(n_samples, sizes, n_models, half_is_left):
    ours, theirs = ([np.random.default_rng(k) for k in range(n_models)] for _ in range(2))
    for rng in (*ours, *theirs) if half_is_left else ():
        # Half a word is kept for the next number of 32 bits.
        rng.integers(10, size=3, dtype=np.uint32)
    calls, expected = (_calls(rngs, n_samples, sizes) for rngs in (ours, theirs))
    wheres = [call.where(places) for call, places in zip(calls, PLACES, strict=True)]
    found = drawing_of(dict(zip([call.write for call in calls], wheres, strict=True)))
    found.make(N_TIMES, N_TASKS)
    first = 0
    for last in (1, 2, 4, N_TIMES * N_TASKS):
        found.write(first, last)
        first = last
    order, masks, last_masks = expected
    for _ in range(N_TIMES):
        for call in (order, masks, masks, last_masks):
            call.draw()
    for ours_of_call, theirs_of_call in zip(calls, expected, strict=True):
        for drawn, of_numpy in zip(ours_of_call.tables, theirs_of_call.tables, strict=True):
            np.testing.assert_array_equal(drawn, of_numpy)
    for our, their in zip(ours, theirs, strict=True):
        assert our.bit_generator.state == their.bit_generator.state
        assert our.permutation(9).tolist() == their.permutation(9).tolist()


@pytest.mark.parametrize("kind", [np.random.PCG64DXSM, np.random.Philox, np.random.SFC64])
def test_other_generators_are_left_to_numpy(kind):
    write = _masks([np.random.Generator(kind(3))], 4, [5], [[0.5]])
    assert drawing_of({write: Where(np.array, [0], [0])}) is None


@pytest.mark.parametrize(
    "write",
    [
        _orders([np.random.default_rng(0)], 20, sampling="replacement"),
        _masks([np.random.default_rng(0)], 4, [5], [[0.5]], are_kept=True),
        HostWrites([np.zeros(3)], lambda n_times, table: None),
    ],
    ids=["with replacement", "kept", "something else"],
)
def test_what_is_not_made_of_draws_is_left_to_the_host(write):
    assert drawing_of({write: Where(np.array, [0], [0])}) is None


def test_a_generator_that_shuffles_its_own_way_is_left_to_itself():
    class Backwards(np.random.Generator):
        def shuffle(self, x):
            x[...] = x[::-1]

    write = _orders([Backwards(np.random.PCG64(0))], 20)
    assert drawing_of({write: Where(np.array, [0], [0])}) is None


def test_nothing_is_drawn_for_no_calls():
    assert drawing_of({}) is None


def test_fits_are_the_same_where_numpy_draws(monkeypatch):
    X, y = make_classification(150, random_state=0)
    model = MLPClassifier((8, 8), batch_size=32, max_iter=12, tol=0, dropout=0.3, random_state=0)
    with using_engine("native"), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        drawn = model.fit(X, y).coefs_
        monkeypatch.setattr(drawing, "draws_as_numpy", lambda: False)
        expected = model.fit(X, y).coefs_
    for ours, theirs in zip(drawn, expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_what_does_not_fit_is_refused():
    for n_states, words in ((1, [1, 0, 0, 0]), (1, [2, 1, 0, 0, 0]), (0, [2, 0, 0, 0, 0])):
        with pytest.raises(ValueError, match="five words each"):
            _interpreter.draw(bytearray(40 * n_states), np.array(words))
