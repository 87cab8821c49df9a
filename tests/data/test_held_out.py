"""Rows held out of a stream: each class by its share, at random, however the pieces are cut."""

import numpy as np
import polars as pl
import pytest

from steepest.data.held_out import HeldOut, mixed, uniform


def told(labels, cuts=(), seed=0, validation=0.15, test=0.2):
    held = HeldOut(validation, test, seed)
    parts = np.split(np.arange(len(labels)), cuts)
    return np.concatenate([held(labels[p], len(p)) for p in parts])


@pytest.mark.parametrize("order", ["sorted", "shuffled"])
def test_each_class_by_its_share(order):
    sizes = [20_000, 3000, 100, 7, 1]
    labels = np.repeat(["a", "b", "c", "d", "e"], sizes)
    if order == "shuffled":
        labels = np.random.default_rng(0).permutation(labels)
    found = told(labels)
    for name, n in zip("abcde", sizes, strict=True):
        parts = np.bincount(found[labels == name], minlength=3)
        # By chance alone, 20,000 rows would miss their share by 57 (one standard deviation).
        np.testing.assert_allclose(parts, [0.65 * n, 0.15 * n, 0.2 * n], atol=min(n, 8))
        assert found[labels == name][0] == 0


def test_cuts_do_not_matter():
    labels = np.random.default_rng(1).integers(0, 5, 5000)
    whole = told(labels)
    np.testing.assert_array_equal(told(labels, cuts=[1, 17, 18, 4000]), whole)
    np.testing.assert_array_equal(told(pl.Series(labels), cuts=[999]), whole)


def test_rows_without_classes_are_one():
    held, again = (HeldOut(0.1, 0.3, 4) for _ in range(2))
    found = np.concatenate([held(None, n) for n in (1000, 1, 3096)])
    np.testing.assert_array_equal(found, again(None, 4097))
    np.testing.assert_allclose(np.bincount(found), 4097 * np.array([0.6, 0.1, 0.3]), atol=13)


def test_drawn_at_random():
    # Over seeds each row is held out as often as any other; neighbours are nearly independent.
    found = np.stack([told(np.zeros(64, int), seed=s) == 2 for s in range(1000)])
    assert not found[:, 0].any()
    np.testing.assert_allclose(found[:, 1:].mean(axis=0), 0.2, atol=0.06)
    rows, zeros = np.arange(1 << 16), np.zeros(1 << 16, int)
    u, other, third = (uniform(s, k + zeros, rows) for s, k in ((3, 0), (4, 0), (3, 1)))
    for a, b in ((u, other), (u, third), (u[1:], u[:-1]), (u[2:], u[:-2])):
        assert abs(np.corrcoef(a, b)[0, 1]) < 0.08
    # Rows that stand a fixed distance apart, as of a week, are held out as often as all.
    for period in (2, 4, 7, 16, 24, 365):
        shares = [np.mean(u[start::period] < 0.2) for start in range(min(period, 20))]
        np.testing.assert_allclose(shares, 0.2, atol=0.1 if period == 365 else 0.02)


def test_numbers_of_a_group_are_spread():
    u = uniform(7, np.zeros(1600, int), np.arange(1600)).reshape(100, 16)
    np.testing.assert_array_equal(np.sort(np.floor(16 * u), axis=1), [np.arange(16)] * 100)
    assert len(np.unique(mixed(7, np.arange(1000)))) == 1000


def test_more_classes_than_are_counted(monkeypatch):
    monkeypatch.setattr("steepest.data.held_out.MOST_CLASSES", 3)
    found = told(np.arange(1000), test=0.5, validation=0.0)
    assert abs(np.mean(found == 2) - 0.5) < 0.02


def test_missing_labels_are_left_to_whom_it_concerns():
    assert len(HeldOut(0.1, 0.1, 0)(pl.Series([None, "a", None]), 3)) == 3
    assert len(HeldOut(0.1, 0.1, 0)(pl.Series([None, None], dtype=pl.String), 2)) == 2
