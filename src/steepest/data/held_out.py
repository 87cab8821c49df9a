"""`HeldOut`: which rows of a stream validate and test, class by class, told as they come."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from steepest.data.target import as_series

MOST_CLASSES = 100_000
"""Classes that are counted each by itself; further ones are held out as one."""
GROUP = 16
"""Rows of a class of which the share of each part is exact but for one."""
GOLDEN = (5**0.5 - 1) / 2


class HeldOut:
    """0 (training), 1 (validation) or 2 (test) for each row of pieces that come in their order.

    The rows of a class are taken by `GROUP` in turn. A row tests where u < test, and validates
    where u < test + validation, with u = (r + o) / GROUP: r is its rank by random numbers in its
    group, and the offset o follows the golden ratio from group to group. So each class is held out
    by its share to within a few rows, wherever it stands in the file, and within a group the rows
    are drawn at random. The first row of each class trains. Rows without classes are one class.

    >>> told = HeldOut(validation=0.25, test=0.25, seed=0)
    >>> parts = told(np.repeat(["a", "b"], [16, 160]), 176)
    >>> np.bincount(parts[:16]).tolist(), np.bincount(parts[16:]).tolist()
    ([9, 4, 3], [81, 40, 39])
    """

    def __init__(self, validation: float, test: float, seed: int):
        self.validation, self.test, self.seed = validation, test, seed
        self.classes: dict[Any, int] = {}
        self.counts = np.zeros(1, np.int64)

    def __call__(self, labels: np.ndarray | pl.Series | None, rows: int) -> np.ndarray:
        """The parts of the next `rows` rows, which have these labels; None where none count."""
        kind = np.zeros(rows, np.int64) if labels is None else self._kinds(as_series(labels))
        order = np.argsort(kind, kind="stable")
        kind = kind[order]
        sizes = np.bincount(kind, minlength=len(self.counts))
        # The place of each row within its class: behind those of the pieces before, and of this.
        place = np.arange(rows) - np.repeat(np.cumsum(sizes) - sizes - self.counts, sizes)
        self.counts = self.counts + sizes
        u = uniform(self.seed, kind, place)
        held = np.where(u < self.test, 2, np.where(u < self.test + self.validation, 1, 0))
        parts = np.empty(rows, np.int64)
        parts[order] = np.where(place > 0, held, 0)
        return parts

    def _kinds(self, labels: pl.Series) -> np.ndarray:
        distinct = labels.drop_nulls().unique(maintain_order=True)
        for label in distinct.to_list():
            if len(self.classes) < MOST_CLASSES:
                self.classes.setdefault(label, len(self.classes) + 1)
        known = [self.classes.get(label, 0) for label in distinct.to_list()]
        grown = np.zeros(len(self.classes) + 1, np.int64)
        grown[: len(self.counts)] = self.counts
        self.counts = grown
        if not known:
            return np.zeros(len(labels), np.int64)
        places = labels.replace_strict(
            distinct, pl.Series(known, dtype=pl.Int64), default=0, return_dtype=pl.Int64
        )
        return places.to_numpy()


def uniform(seed: int, kind: np.ndarray, place: np.ndarray) -> np.ndarray:
    """A number in [0, 1) for row `place` of class `kind`; both in rising order of class, place."""
    group = kind * (1 << 36) + place // GROUP
    first = np.flatnonzero(np.diff(group, prepend=-1))
    keys = mixed(seed, group[first, None] * GROUP + np.arange(GROUP))
    rank = np.argsort(np.argsort(keys, axis=1), axis=1)
    offset = (mixed(seed, kind[first]) * 2.0**-64 + place[first] // GROUP * GOLDEN) % 1.0
    which = np.repeat(np.arange(len(first)), np.diff(first, append=len(group)))
    return (rank[which, place % GROUP] + offset[which]) / GROUP


def mixed(seed: int, number: np.ndarray) -> np.ndarray:
    """A uint64 for each pair of seed and number, by the mixing function of SplitMix64.

    Source: Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014.
    """
    z = (number.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    z += np.uint64(seed * 0xD1B54A32D192ED03 % 2**64)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        z = (z ^ (z >> np.uint64(shift))) * np.uint64(factor)
    return z ^ (z >> np.uint64(31))
