"""Random words of NumPy's default generator."""

import numpy as np
import pytest
from skopt_dl_native import pcg64
from skopt_dl_native.engine import NativeEngine


@pytest.mark.parametrize("n", [0, 1, 2, 3, 4, 5, 100, 1001])
@pytest.mark.parametrize("half_is_left", [False, True])
def test_words_and_states_are_those_of_numpy(n, half_is_left, monkeypatch):
    monkeypatch.setattr(pcg64, "WORTH_IT", 0)
    ours, theirs = (np.random.default_rng(7) for _ in range(2))
    for rng in (ours, theirs) if half_is_left else ():
        # Half a word is kept for the next number of 32 bits.
        rng.integers(10, size=3, dtype=np.uint32)
    for _ in range(3):
        words = NativeEngine().random_words(ours.bit_generator, n)
        assert words.dtype == np.uint64
        np.testing.assert_array_equal(words, theirs.bit_generator.random_raw(n))
        assert ours.bit_generator.state == theirs.bit_generator.state
        assert ours.permutation(9).tolist() == theirs.permutation(9).tolist()


@pytest.mark.parametrize("kind", [np.random.PCG64DXSM, np.random.Philox, np.random.SFC64])
def test_other_generators_give_their_own_words(kind, monkeypatch):
    monkeypatch.setattr(pcg64, "WORTH_IT", 0)
    words = NativeEngine().random_words(kind(3), 50)
    np.testing.assert_array_equal(words, kind(3).random_raw(50))


def test_what_is_no_state_is_refused():
    with pytest.raises(ValueError, match="a state of four words"):
        pcg64.pcg64(np.zeros(3, np.uint64), np.zeros(4, np.uint64))
