"""Verdicts follow from the runs: each claim is made to hold, to fail, and to stay open."""

import numpy as np
import pytest

from steepest.study.tables import claims
from steepest.study.tables.table import FAILS, HOLDS, OPEN

RANDOM = np.random.default_rng(0)
BASE = np.exp(RANDOM.normal(0, 0.5, size=10))


def noisy(factor, spread=0.05):
    return BASE * factor * np.exp(RANDOM.normal(0, spread, size=10))


@pytest.mark.parametrize(
    ("second", "verdict"),
    [(0.5, HOLDS), (2.0, FAILS), (1.0, OPEN)],
)
def test_lower(second, verdict):
    # With noise of 30 % the third case is open; the shared part of both runs cancels.
    b = noisy(second, 0.3 if verdict == OPEN else 0.05)
    claim = claims.lower("b is lower", ["a", "b"], [BASE, b])
    assert claim.verdict == verdict
    if verdict != OPEN:
        assert claim.effect.low <= second * 1.05
        assert claim.effect.high >= second * 0.95


def test_a_difference_that_nobody_would_choose_by_is_none():
    claim = claims.lower("b is lower", ["a", "b"], [BASE, BASE * 0.999])
    assert claim.verdict == FAILS


def test_of_a_chain_all_parts_must_hold():
    a, b, c = BASE, noisy(0.5), noisy(0.25)
    assert claims.lower("x", list("abc"), [a, b, c]).verdict == HOLDS
    assert claims.lower("x", list("acb"), [a, c, b]).verdict == FAILS


def test_more_is_lower_read_backwards():
    a, b = BASE, noisy(3.0)
    assert claims.more("b needs more", ["a", "b"], [a, b], what="x", most=100).verdict == HOLDS
    assert claims.more("a needs more", ["b", "a"], [b, a], what="x", most=100).verdict == FAILS


def test_runs_without_a_value_count_as_the_worst():
    b = noisy(0.5)
    b[:8] = np.nan
    assert claims.lower("b is lower", ["a", "b"], [BASE, b], worst=50.0).verdict == FAILS
    assert "8 of 10 runs with b" in claims.lower("x", ["a", "b"], [BASE, b], worst=50.0).sentence


def test_too_few_runs_cannot_tell():
    assert claims.lower("x", ["a", "b"], [BASE[:4], BASE[:4] / 9]).verdict == OPEN


@pytest.mark.parametrize(("count", "verdict"), [(10, HOLDS), (0, FAILS), (5, OPEN)])
def test_happens(count, verdict):
    assert claims.happens("x", "it was", count, 10).verdict == verdict


def test_within():
    values = np.exp(RANDOM.normal(0, 0.01, size=10))
    assert claims.within("x", values, 0.9, 1.1, what="ratio").verdict == HOLDS
    assert claims.within("x", values, 1.2, 1.4, what="ratio").verdict == FAILS
    assert claims.within("x", values, 1.0, 1.001, what="ratio").verdict == OPEN
    assert claims.within("x", np.array([np.nan, 1]), 0, 1, what="ratio").verdict == OPEN


def test_two_settings_that_never_got_there_cannot_be_told_apart():
    nothing = np.full(10, np.nan)
    assert claims.lower("x", ["a", "b"], [nothing, nothing], worst=99.0).verdict == OPEN
