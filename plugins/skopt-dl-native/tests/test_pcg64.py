"""Random bits of NumPy's default generator, drawn in C."""

import numpy as np
import pytest
from skopt_dl_native import _interpreter, pcg64
from skopt_dl_native.engine import NativeEngine

from skopt_dl.backends import NumPyBackend
from skopt_dl.networks.draws import Draws
from skopt_dl.programs import Engine, using_engine


@pytest.fixture(autouse=True)
def _few_words_too(monkeypatch):
    monkeypatch.setattr(pcg64, "WORTH_IT", 0)


def _drawn(engine, generator, sizes, n_steps):
    """What is at least some levels, in arrays whose steps are apart."""
    tables = [np.zeros((n_steps, 2, *np.atleast_1d(size)), bool) for size in sizes]
    levels = [13_107 * (number + 1) for number in range(len(sizes))]
    drawn = [(level, table[:, 1]) for level, table in zip(levels, tables, strict=True)]
    with using_engine(engine.name):
        draws = Draws(NumPyBackend(), [], np.empty((1, 0)), [])
    draws._draw(np.random.Generator(generator), n_steps, drawn)
    assert not any(table[:, 0].any() for table in tables)
    return tables


@pytest.mark.parametrize("half_is_left", [False, True])
@pytest.mark.parametrize(
    ("sizes", "n_steps"),
    [
        ([1], 1),
        ([3, 5], 2),
        ([(4, 6), 7, (2, 3, 5)], 9),
        # As many words as are one vector's places, one less, and one more; and several.
        *(([4 * n], 1) for n in (255, 256, 257, 288, 289)),
        ([(32, 32)], 31),
        ([50_001, (3, 3)], 3),
    ],
    ids=str,
)
def test_bits_and_states_are_those_of_numpy(sizes, n_steps, half_is_left):
    ours, theirs = (np.random.default_rng(7) for _ in range(2))
    for rng in (ours, theirs) if half_is_left else ():
        # Half a word is kept for the next number of 32 bits.
        rng.integers(10, size=3, dtype=np.uint32)
    for _ in range(2):
        drawn = _drawn(NativeEngine(), ours.bit_generator, sizes, n_steps)
        expected = _drawn(Engine(), theirs.bit_generator, sizes, n_steps)
        for each, of_numpy in zip(drawn, expected, strict=True):
            np.testing.assert_array_equal(each, of_numpy)
        assert ours.bit_generator.state == theirs.bit_generator.state
        assert ours.permutation(9).tolist() == theirs.permutation(9).tolist()


@pytest.mark.parametrize("kind", [np.random.PCG64DXSM, np.random.Philox, np.random.SFC64])
def test_other_generators_give_their_own_bits(kind):
    (drawn,), (expected,) = (_drawn(e(), kind(3), [50], 2) for e in (NativeEngine, Engine))
    np.testing.assert_array_equal(drawn, expected)


def test_steps_with_gaps_are_left_to_numpy():
    ours, expected = np.zeros((3, 8, 8), bool), np.zeros((3, 4, 8), bool)
    words = np.random.PCG64(1).random_raw(24).reshape(3, 8)
    NativeEngine().at_least(words, 0, 30_000, ours[:, ::2])
    Engine().at_least(words, 0, 30_000, expected)
    np.testing.assert_array_equal(ours[:, ::2], expected)


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="a state of 32 bytes"):
        _interpreter.pcg64(bytearray(24), np.zeros(4, np.uint64))
    with pytest.raises(ValueError, match="words for each"):
        _interpreter.at_least(np.zeros(4, np.uint64), 1, 5, np.zeros((2, 5), bool))
    with pytest.raises(ValueError, match="steps of bools"):
        _interpreter.at_least(np.zeros(4, np.uint64), 0, 5, np.zeros((2, 6), bool)[:, ::-2])
