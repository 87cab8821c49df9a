"""Splitting: seeded, disjoint, complete, stratified as in scikit-learn, all classes in training."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import StratifiedShuffleSplit

from steepest.core.errors import DataError, UsageError
from steepest.data import Table, load


def numbered(y, task="classification"):
    """A table whose only input is the row number, so that rows can be recognised."""
    y = np.asarray(y)
    return Table(x=np.arange(len(y), dtype=float)[:, None], y=y, task=task)


def ids(part):
    return set() if part is None else set(part.x[:, 0].astype(int).tolist())


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.integers(0, 4), min_size=8, max_size=80),
    st.floats(0, 0.45),
    st.floats(0, 0.45),
    st.integers(0, 5),
)
def test_parts_are_a_partition_and_training_has_every_class(labels, validation, test, seed):
    table = numbered(labels)
    parts = table.split(validation, test, seed)
    sets = [ids(part) for part in parts]
    assert set.union(*sets) == set(range(len(labels)))
    assert sum(map(len, sets)) == len(labels)
    assert set(parts.train.y.tolist()) == set(labels)
    again = table.split(validation, test, seed)
    assert [ids(part) for part in again] == sets


def test_proportions_are_those_of_scikit_learn():
    y = np.random.default_rng(0).choice(4, 1000, p=[0.6, 0.25, 0.1, 0.05])
    parts = numbered(y).split(validation=0, test=0.2, seed=3)
    _, held = next(StratifiedShuffleSplit(1, test_size=0.2, random_state=0).split(y, y))
    assert parts.validation is None
    assert np.abs(np.bincount(parts.test.y) - np.bincount(y[held])).max() <= 1
    assert len(parts.test) == 200


def test_another_seed_gives_other_rows():
    table = load("iris")
    a, b = (table.split(seed=s).test.x for s in (0, 1))
    assert not np.array_equal(a, b)
    assert [len(p) for p in table.split()] == [98, 22, 30]


def test_regression_rows_are_drawn_uniformly():
    table = numbered(np.linspace(0, 1, 100), "regression")
    counts = np.zeros(100)
    for seed in range(400):
        counts[list(ids(table.split(0, 0.3, seed).test))] += 1
    # Binomial(400, 0.3): mean 120, deviation 9.2.
    assert counts.min() > 80
    assert counts.max() < 160


def test_counts_and_a_given_test_table():
    held = numbered([0, 1])
    y = np.arange(40) % 2
    table = Table(x=np.arange(40.0)[:, None], y=y, task="classification", test=held)
    parts = table.split(validation=10, test=0.5)
    assert parts.test is held
    assert (len(parts.train), len(parts.validation)) == (30, 10)


def test_frames_and_weights_follow_their_rows():
    import polars as pl

    frame = pl.DataFrame({"a": range(50), "y": [i % 2 for i in range(50)], "w": range(1, 51)})
    parts = load(frame, target="y", weights="w").split(seed=2)
    for part in parts:
        a = part.frame["a"].to_numpy()
        assert np.array_equal(part.weight, a + 1)
        assert np.array_equal(part.y.to_numpy(), a % 2)


@pytest.mark.parametrize("bad", [-0.1, 1.5, float("nan"), "half", True])
def test_impossible_sizes_are_refused(bad):
    with pytest.raises(UsageError, match="must be a fraction below 1"):
        load("iris").split(test=bad)


def test_no_training_row_is_refused():
    with pytest.raises(DataError, match="leave no training row of 150"):
        load("iris").split(validation=75, test=75)
