"""`Folds`: the data of a study made ready, once as a whole or once for each fold."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np

from steepest.core.errors import DataError, UsageError
from steepest.data.batches import Order
from steepest.data.dataset import Arrays, Table
from steepest.data.encode import Encoder
from steepest.data.split import groups_of
from steepest.engine.runs import batch_of
from steepest.engine.settings import Settings
from steepest.objectives.objective import Batch

SETTINGS = ("validation", "test", "standardize", "dtype", "seed")
"""What decides the arrays: cells that agree in these share them."""


class Fold:
    """Training and held-out rows as arrays, encoded as fitted on these training rows."""

    def __init__(self, train: Table, held: Table | None, test: Table | None, settings: Settings):
        self.encoder = Encoder.fit(train, standardize=settings.standardize)
        dtype = np.dtype(settings.dtype)
        self.train: Arrays = self.encoder.transform(train, dtype)
        self.validation, self.test = (
            None if part is None else self.encoder.transform(part, dtype) for part in (held, test)
        )


class Folds:
    """The folds of a table: `count` of them, or one plain split where `count` is None.

    Rows set apart for testing belong to no fold. Folds are stratified for classification, and the
    same for the same seed.

    >>> from steepest.data import load
    >>> [len(f.validation) for f in Folds(load("iris"), Settings(test=0.2), count=3)]
    [40, 40, 40]
    """

    def __init__(self, table: Table, settings: Settings, count: int | None = None):
        self.table = table
        if table.y is None:
            raise UsageError(f"{table.name} has no target to learn; name one with target=.")
        if count is None:
            held = settings.held_out(len(table))
            parts = table.split(held, settings.test, settings.seed)
            self._tables = [(parts.train, parts.validation)]
        else:
            parts = table.split(0, settings.test, settings.seed)
            self._tables = list(_cut(parts.train, count, settings.seed))
        self._folds = [Fold(a, b, parts.test, settings) for a, b in self._tables]
        if len({f.encoder.inputs for f in self._folds}) > 1:
            # A rare category may be missing from a fold: then the columns are those of all rows.
            encoder = Encoder.fit(parts.train, standardize=settings.standardize)
            for fold, (a, b) in zip(self._folds, self._tables, strict=True):
                fold.encoder = encoder
                dtype = np.dtype(settings.dtype)
                fold.train = encoder.transform(a, dtype)
                fold.validation = None if b is None else encoder.transform(b, dtype)
                fold.test = None if parts.test is None else encoder.transform(parts.test, dtype)

    def __iter__(self):
        return iter(self._folds)

    def __len__(self) -> int:
        return len(self._folds)

    def __getitem__(self, i: int) -> Fold:
        return self._folds[i]

    @property
    def encoder(self) -> Encoder:
        """The encoder of the first fold: all have the same inputs and outputs."""
        return self._folds[0].encoder

    @property
    def rows(self) -> int:
        """Training rows of the largest fold."""
        return max(len(f.train) for f in self._folds)

    @cached_property
    def row(self) -> Batch:
        """One row as a batch, for shapes."""
        train = self._folds[0].train
        return batch_of(Arrays(train.x[:1], None if train.y is None else train.y[:1], None))

    def steps_per_epoch(self, batch_size: Any) -> int:
        """Steps of one pass over the training rows."""
        if batch_size == "full":
            return 1
        return Order(self.rows, min(int(batch_size), self.rows)).steps_per_epoch

    def spec(self, settings: Settings) -> Any:
        """The run that these settings describe, on this data."""
        return settings.spec(self.encoder.inputs, self.encoder.outputs, self.encoder.task)

    def part(self, name: str, seeds: Sequence[int]) -> Any:
        """The arrays `train`, `validation` or `test`, one for each stream (seed x fold); or None.

        Streams are seed by seed, the folds of a seed side by side.
        """
        arrays = [getattr(f, name) for f in self._folds]
        if arrays[0] is None:
            return None
        return arrays[0] if len(arrays) == 1 else arrays * len(seeds)


def _cut(table: Table, count: int, seed: int):
    """`count` pairs of (training, held-out) tables; classes are spread evenly over the folds."""
    if count < 2 or count > len(table):
        raise UsageError(f"folds={count} must be between 2 and the {len(table)} rows.")
    groups = groups_of(table)
    smallest = int(np.bincount(groups).min())
    if groups.any() and smallest < 2:
        raise DataError(
            f"{table.where}: a class has a single row, so it cannot be both learned and held out; "
            "leave that row out, or do without folds."
        )
    order = np.random.default_rng(seed).permutation(len(table))
    order = order[np.argsort(groups[order], kind="stable")]
    fold = np.empty(len(table), np.int64)
    fold[order] = np.arange(len(table)) % count
    for k in range(count):
        yield table.take(np.flatnonzero(fold != k)), table.take(np.flatnonzero(fold == k))
