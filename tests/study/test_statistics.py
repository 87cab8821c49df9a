"""Statistics against SciPy, closed forms and their own promises on made data."""

import math

import numpy as np
import pytest
from scipy import stats

from steepest.study import statistics as s


def test_the_median_interval_covers_the_median_as_often_as_it_says():
    random = np.random.default_rng(0)
    draws = s.resamples(25, draws=500)
    inside = 0
    for _ in range(400):
        found = s.median_interval(random.exponential(size=25), draws)
        inside += found.low <= math.log(2) <= found.high
    assert 0.90 <= inside / 400 <= 0.99


def test_the_mean_interval_is_that_of_scipys_percentile_bootstrap():
    x = np.random.default_rng(1).normal(size=30)
    ours = s.mean_interval(x, s.resamples(30, draws=20_000))
    theirs = stats.bootstrap(
        (x,), np.mean, n_resamples=20_000, method="percentile", rng=np.random.default_rng(2)
    ).confidence_interval
    assert ours.value == pytest.approx(x.mean())
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=0.02)


def test_a_median_stands_until_half_of_the_runs_diverge():
    draws = s.resamples(5)
    assert s.median_interval(np.array([1.0, 2, 3, np.nan, np.nan]), draws).value == 3
    assert s.median_interval(np.array([1.0, 2, np.nan, np.nan, np.nan]), draws).value == np.inf


@pytest.mark.parametrize("n", [4, 7, 10])
def test_sign_flips_are_those_of_scipy(n):
    d = np.random.default_rng(n).normal(0.4, 1, size=n)
    theirs = stats.permutation_test(
        (d,), np.mean, permutation_type="samples", n_resamples=np.inf
    ).pvalue
    assert s.sign_flip(d) == pytest.approx(theirs)


def test_random_sign_flips_agree_with_the_t_test_where_normal_data_are_many():
    d = np.random.default_rng(3).normal(0.25, 1, size=60)
    assert s.sign_flip(d) == pytest.approx(stats.ttest_1samp(d, 0).pvalue, abs=0.02)


def test_sign_flips_reject_a_true_null_no_more_often_than_they_say():
    random = np.random.default_rng(4)
    rejected = sum(s.sign_flip(random.standard_t(3, size=9)) <= 0.05 for _ in range(600))
    assert rejected / 600 <= 0.07


def test_the_paired_interval_is_scipys():
    random = np.random.default_rng(5)
    a, b = random.normal(size=(2, 12))
    found = s.paired(a, b)
    theirs = stats.ttest_rel(b, a).confidence_interval()
    assert found.difference.value == pytest.approx((b - a).mean())
    assert (found.difference.low, found.difference.high) == pytest.approx((theirs.low, theirs.high))


def test_diverged_runs_are_left_out_of_differences_and_lose_every_comparison():
    a = np.array([1.0, 1, 1, 1])
    b = np.array([0.5, 0.5, np.nan, 2])
    found = s.paired(a, b)
    assert found.pairs == 3
    assert found.share == 0.5
    assert found.diverged == (0, 1)
    assert s.paired(a, np.full(4, np.nan)).pairs == 0


def test_holm_is_that_of_the_textbook():
    p = [0.01, 0.02, 0.03, 0.005, math.nan]
    # 4 x 0.005, 3 x 0.01, 2 x 0.02, 1 x 0.03, made monotone.
    np.testing.assert_allclose(s.holm(p), [0.03, 0.04, 0.04, 0.02, math.nan])


@pytest.mark.parametrize(("difference", "deviation"), [(1.0, 1.0), (0.2, 1.0), (3.0, 1.0)])
def test_seeds_needed_reach_the_power(difference, deviation):
    n = s.seeds_needed(difference, deviation)

    def power(n):
        shift = difference / deviation * math.sqrt(n)
        t = stats.t.ppf(0.975, n - 1)
        return 1 - stats.nct.cdf(t, n - 1, shift) + stats.nct.cdf(-t, n - 1, shift)

    assert power(n) >= 0.79
    assert n <= 3 or power(n - 2) < 0.82


def test_no_number_of_seeds_shows_what_is_not_there():
    assert s.seeds_needed(0.0, 1.0) is None
    assert s.seeds_needed(1e-9, 1.0) is None
    assert s.seeds_needed(math.nan, 1.0) is None
    assert s.seeds_needed(1.0, 0.0) == 2


def test_effects_of_an_additive_design_are_its_parts_without_interaction():
    rows, cols = np.array([0.0, 1.0, 5.0]), np.array([0.0, 10.0])
    values = (rows[:, None] + cols)[..., None] + np.zeros(4)
    levels = {"a": [r for r in "xyz" for _ in range(2)], "b": list("uv") * 3}
    table = values.reshape(6, 4)
    found = {(n, v): i for n, v, i in s.main_effects(levels, table, s.resamples(4, draws=20))}
    assert found["a", "z"].value == pytest.approx(3.0)
    assert found["b", "v"].value == pytest.approx(5.0)
    [(_, _, share)] = s.interactions(levels, table)
    assert share == pytest.approx(0, abs=1e-12)


def test_the_interaction_of_an_exclusive_or_is_everything():
    levels = {"a": [0, 0, 1, 1], "b": [0, 1, 0, 1]}
    values = np.array([0.0, 1, 1, 0])[:, None] + np.zeros(3)
    [(a, b, share)] = s.interactions(levels, values)
    assert (a, b) == ("a", "b")
    assert share == pytest.approx(1.0)
