"""Intervals and tests, against closed forms of Student's distribution and SciPy."""

import math

import numpy as np
import pytest
from scipy.stats import ttest_1samp

from skopt_dl.comparing.statistics import (
    first_reaching,
    holm,
    interval,
    mean_ranks,
    median,
    p_value,
)

# The quantile of 97.5 % of Student's distribution with one and with two degrees of freedom.
T1, T2 = math.tan(0.475 * math.pi), 0.95 * math.sqrt(2 / (1 - 0.95**2))


@pytest.mark.parametrize(("ratio", "half"), [(0.0, T2 / 3**0.5), (1 / 3, T2 * (2 / 3) ** 0.5)])
def test_interval_of_three_is_that_of_student_with_the_variance_of_overlapping_splits(ratio, half):
    assert interval([1.0, 2.0, 3.0], ratio) == pytest.approx((2.0, 2.0 - half, 2.0 + half))


def test_interval_of_two():
    assert interval([0.0, 2.0], 0.0) == pytest.approx((1.0, 1 - T1, 1 + T1))


def test_single_score_has_a_mean_and_no_bounds():
    mean, low, high = interval([0.7], 1 / 3)
    assert mean == 0.7
    assert math.isnan(low)
    assert math.isnan(high)
    assert math.isnan(p_value([0.7], 1 / 3))


@pytest.mark.parametrize("ratio", [0.0, 0.25])
def test_p_value_is_the_closed_form_for_two_and_three(ratio):
    t = 1 / math.sqrt((1 / 2 + ratio) * 2)
    assert p_value([0.0, 2.0], ratio) == pytest.approx(1 - 2 / math.pi * math.atan(t))
    t = 2 / math.sqrt(1 / 3 + ratio)
    assert p_value([1.0, 2.0, 3.0], ratio) == pytest.approx(1 - t / math.sqrt(2 + t * t))


def test_without_overlap_p_value_is_that_of_scipy():
    differences = np.random.default_rng(0).normal(0.3, 1, 12)
    assert p_value(differences, 0.0) == pytest.approx(ttest_1samp(differences, 0).pvalue)


def test_differences_without_variance_are_certain_or_nothing():
    assert p_value([0.1, 0.1, 0.1], 0.2) == 0.0
    assert p_value([0.0, 0.0, 0.0], 0.2) == 1.0


def test_holm_multiplies_by_those_that_are_left_and_never_falls():
    assert holm([0.04, 0.01, 0.03, 0.5]) == pytest.approx([0.09, 0.04, 0.09, 0.5])
    assert holm([0.6, 0.7]) == [1.0, 1.0]
    assert holm([]) == []
    adjusted = holm([0.01, math.nan])
    assert adjusted[0] == 0.01
    assert math.isnan(adjusted[1])


def test_equal_scores_share_their_ranks():
    assert mean_ranks([[0.9, 0.5], [0.9, 0.6], [0.1, 0.7]]) == [2.25, 1.75, 2.0]


def test_first_epoch_that_reaches_a_target():
    curve = [0.1, 0.6, 0.5, 0.7]
    assert [first_reaching(curve, target) for target in (0.1, 0.55, 0.7)] == [1, 2, 4]
    assert first_reaching(curve, 0.71) == math.inf
    assert first_reaching([0.1 + 0.2], 0.3) == 1
    assert first_reaching([], 0.0) == math.inf


def test_median_is_infinite_where_half_are():
    assert median([4.0, 1.0, 3.0, 2.0]) == 2.5
    assert median([1.0, math.inf, math.inf]) == math.inf
    assert median([1.0, math.inf]) == math.inf
