"""Seeded splitting into training, validation and test rows, stratified for classification."""

from __future__ import annotations

import numbers
from typing import NamedTuple

import numpy as np
import polars as pl

from steepest.core.errors import DataError, UsageError
from steepest.data.dataset import Table


class Split(NamedTuple):
    """The three tables; `validation` and `test` are None where they were set to 0."""

    train: Table
    validation: Table | None
    test: Table | None


def split(table: Table, validation: float = 0.15, test: float = 0.2, seed: int = 0) -> Split:
    """Split the rows of `table` at random, the same way for the same seed.

    `validation` and `test` are fractions of all rows (below 1) or counts of rows; 0 means none.
    For classification each part has the classes in the proportions of the whole, by largest
    remainders, and every class keeps at least one row in training. A test table that came with the
    data (`table.test`) is used as it is, and no row is set apart for testing. Rows keep their order
    within each part.

    Raises UsageError for fractions that leave no training rows, DataError for too few rows.

    >>> from steepest.data import load
    >>> parts = load("iris").split(validation=0.2, test=30, seed=1)
    >>> [len(part) for part in parts]
    [90, 30, 30]
    """
    n = table.rows
    wanted_test = 0 if table.test is not None else _count("test", test, n)
    wanted_validation = _count("validation", validation, n)
    if wanted_test + wanted_validation >= n:
        raise DataError(
            f"{table.where}: validation={validation!r} and test={test!r} leave no training row "
            f"of {n}; lower them, or give more rows."
        )
    groups = groups_of(table)
    order = np.random.default_rng(seed).permutation(n)
    order = order[np.argsort(groups[order], kind="stable")]
    sizes = np.bincount(groups)
    in_test = _allot(wanted_test, sizes, sizes - 1)
    in_validation = _allot(wanted_validation, sizes - in_test, sizes - in_test - 1)
    # Place of each row within its own class, in the shuffled order.
    place = np.arange(n) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    of_test = place < np.repeat(in_test, sizes)
    of_validation = ~of_test & (place < np.repeat(in_test + in_validation, sizes))

    def part(mask):
        return table.take(np.sort(order[mask])) if mask.any() else None

    train = part(~of_test & ~of_validation)
    assert train is not None
    return Split(
        train, part(of_validation), table.test if table.test is not None else part(of_test)
    )


def _count(name: str, value: float, n: int) -> int:
    number = isinstance(value, (numbers.Real, np.integer, np.floating))
    if not number or isinstance(value, bool) or not value >= 0:
        raise UsageError(f"{name}={value!r} must be a fraction below 1, or a count of rows.")
    if value < 1:
        return round(float(value) * n)
    if value != int(value):
        raise UsageError(f"{name}={value!r} must be a fraction below 1, or a whole count of rows.")
    return int(value)


def groups_of(table: Table) -> np.ndarray:
    """The class index of each row; one group where rows are not to be stratified."""
    y = table.y
    if table.task != "classification" or y is None:
        return np.zeros(table.rows, np.int64)
    if isinstance(y, pl.Series):
        return y.rank("dense").to_numpy().astype(np.int64) - 1
    return np.unique(np.asarray(y), return_inverse=True)[1].reshape(-1)


def _allot(total: int, sizes: np.ndarray, most: np.ndarray) -> np.ndarray:
    """`total` seats in proportion to `sizes` by largest remainders, at most `most` each.

    Where the caps leave fewer seats than wanted, fewer are given: a class keeps its training row.
    """
    if total <= 0 or sizes.sum() == 0:
        return np.zeros_like(sizes)
    most = np.maximum(most, 0)
    share = total * sizes / sizes.sum()
    given = np.minimum(np.floor(share).astype(sizes.dtype), most)
    remainder = np.where(given < most, share - given, -np.inf)
    left = total - int(given.sum())
    while left > 0 and np.any(given < most):
        open_seats = np.flatnonzero(given < most)
        ranked = open_seats[np.argsort(-remainder[open_seats], kind="stable")][:left]
        given[ranked] += 1
        remainder[ranked] -= 1
        left = total - int(given.sum())
    return given
