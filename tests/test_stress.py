"""The stresses of searches and of their scheduler, in their short form."""

import warnings

from stress import schedules, searches


def test_random_schedules_lose_nothing_and_never_wait_for_ever():
    counts, failures = schedules.stress(n_events=8000)
    assert not failures
    assert counts["events"] >= 8000


def test_random_searches_give_the_plain_answer_and_leave_the_process_as_it_was():
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        counts, failures = searches.stress(n_searches=8, seed=40)
    assert not failures
    assert counts["searches"] == 8
