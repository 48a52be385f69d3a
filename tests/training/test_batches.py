import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skopt_dl.training import Batches


def generators(n_models):
    return [np.random.default_rng(seed) for seed in range(n_models)]


def draw(batches, batches_per_block=3):
    """The rows of each batch of an epoch, ``(K or 1, batch)``."""
    drawn = []
    for block in batches.epoch(batches_per_block):
        rows = block.rows
        if isinstance(rows, slice):
            rows = np.arange(rows.start, rows.stop)[None]
        assert rows.shape[1] == block.n_rows
        drawn += [rows[:, part] for part in block.slices]
    return drawn


@settings(max_examples=50, deadline=None, derandomize=True)
@given(
    n_samples=st.integers(1, 40),
    batch_size=st.integers(1, 50),
    n_models=st.integers(1, 3),
    batches_per_block=st.integers(1, 6),
    shuffle=st.booleans(),
)
def test_one_pass_visits_each_sample_once(
    n_samples, batch_size, n_models, batches_per_block, shuffle
):
    batches = Batches(n_samples, batch_size, shuffle=shuffle, rngs=generators(n_models))
    for _ in range(2):
        drawn = draw(batches, batches_per_block)
        assert len(drawn) == batches.n_batches
        assert {rows.shape[1] for rows in drawn[:-1]} <= {batches.batch_size}
        assert 1 <= drawn[-1].shape[1] <= batches.batch_size
        for rows in np.concatenate(drawn, axis=1):
            np.testing.assert_array_equal(np.sort(rows), np.arange(n_samples))


def test_last_batch_is_short_where_the_size_does_not_divide():
    sizes = [rows.shape[1] for rows in draw(Batches(23, 8, rngs=generators(1)))]
    assert sizes == [8, 8, 7]
    assert Batches(23, 8, rngs=generators(1)).n_batches == 3


def test_batch_size_above_the_number_of_samples_takes_them_all():
    batches = Batches(5, 200, rngs=generators(1))
    assert batches.batch_size == 5
    assert batches.n_batches == 1


def test_one_full_batch_keeps_the_order_and_draws_nothing():
    (rows,) = draw(Batches(7, 7, shuffle=True))
    np.testing.assert_array_equal(rows, [np.arange(7)])


def test_without_shuffling_batches_lie_in_order():
    rows = np.concatenate(draw(Batches(23, 8, shuffle=False)), axis=1)
    np.testing.assert_array_equal(rows, [np.arange(23)])


def test_every_epoch_has_a_new_order_from_the_models_own_generator():
    batches = Batches(30, 8, rngs=generators(2))
    rngs = generators(2)
    for _ in range(3):
        rows = np.concatenate(draw(batches), axis=1)
        np.testing.assert_array_equal(rows, [rng.permutation(30) for rng in rngs])


def test_order_does_not_depend_on_how_batches_are_blocked():
    orders = [
        np.concatenate(draw(Batches(30, 4, rngs=generators(2)), per_block), axis=1)
        for per_block in (1, 3, 100)
    ]
    np.testing.assert_array_equal(orders[0], orders[1])
    np.testing.assert_array_equal(orders[0], orders[2])


def test_replacement_draws_independently_and_uniformly():
    batches = Batches(10, 5, sampling="replacement", rngs=generators(1))
    rows = np.concatenate([np.concatenate(draw(batches), axis=1)[0] for _ in range(1000)])
    counts = np.bincount(rows, minlength=10)
    assert counts.sum() == 10_000
    # Each count is binomial with deviation 30.
    assert np.abs(counts - 1000).max() < 120


def test_replacement_repeats_samples_within_an_epoch_even_in_one_full_batch():
    (rows,) = draw(Batches(50, 50, sampling="replacement", shuffle=False, rngs=generators(1)))
    assert rows.shape == (1, 50)
    assert len(np.unique(rows)) < 50


@pytest.mark.parametrize("shuffle", [False, True])
def test_each_model_draws_from_its_own_rows(shuffle):
    own = np.array([[2, 4, 6, 8], [1, 3, 5, 7]])
    batches = Batches(4, 3, shuffle=shuffle, rngs=generators(2), rows=own)
    drawn = np.concatenate(draw(batches), axis=1)
    np.testing.assert_array_equal(np.sort(drawn, axis=1), np.sort(own, axis=1))
    assert (drawn == own).all() != shuffle


def test_selected_models_go_on_with_their_own_generators_and_rows():
    own = np.arange(60).reshape(3, 20)
    together = Batches(20, 6, rngs=generators(3), rows=own)
    some = Batches(20, 6, rngs=generators(3), rows=own)
    draw(together), draw(some)
    expected = np.concatenate(draw(together), axis=1)
    drawn = np.concatenate(draw(some.select([2, 0])), axis=1)
    np.testing.assert_array_equal(drawn, expected[[2, 0]])


def test_random_batches_without_generators_are_refused():
    with pytest.raises(ValueError, match=r"rngs, a generator for each model.*shuffle=False"):
        Batches(10, 5)


@pytest.mark.parametrize("sampling", ["replacment", None, True, ["shuffle"]])
def test_sampling_that_is_none_is_refused(sampling):
    with pytest.raises(ValueError, match="sampling of Batches must be 'shuffle' or 'replacement'"):
        Batches(10, 10, shuffle=False, sampling=sampling)


def orders_of(batches, n_epochs):
    """What each model sees, ``(K, n_epochs * n_samples)``."""
    seen = []
    for _ in range(n_epochs):
        for block in batches.epoch(2):
            seen.append(block.rows if block.orders is None else block.rows[list(block.orders)])
    return np.concatenate(seen, axis=1)


@pytest.mark.parametrize("sampling", ["shuffle", "replacement"])
def test_followers_see_what_their_leader_draws_and_catch_up_when_one_leaves(sampling):
    seeds, leaders = [5, 5, 7, 5, 7], [0, 0, 2, 0, 2]
    stacks = []
    for given_leaders in (None, leaders):
        rngs = [np.random.default_rng(seed) for seed in seeds]
        batches = Batches(20, 6, sampling=sampling, rngs=rngs, leaders=given_leaders)
        seen = [orders_of(batches, 2)]
        # A leader leaves, and a follower; then all do.
        for models in ([1, 2, 3], [2], []):
            batches = batches.select(models)
            if models:
                seen.append(orders_of(batches, 3))
        stacks.append((seen, [rng.bit_generator.state for rng in rngs]))
    (alone, states), (together, caught_up) = stacks
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_array_equal(one, other)
    assert states == caught_up


def test_only_leaders_draw():
    rngs = generators(3)
    before = [rng.bit_generator.state for rng in rngs]
    batches = Batches(20, 6, rngs=rngs, leaders=[0, 0, 2])
    assert batches.n_orders == 2
    draw(batches)
    assert [rng.bit_generator.state == old for rng, old in zip(rngs, before, strict=True)] == [
        False,
        True,
        False,
    ]
