"""An `Encoder` fitted in one pass over pieces of a table, in bounded memory.

Mean, deviation, extremes, missing values and the numbers of each category are those of all training
rows. What kind a column is, and its quartiles, are told by a sample of them.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import polars as pl

from steepest.core.errors import DataError
from steepest.data.array_features import ArrayFeatures, numeric, refuse
from steepest.data.columns import (
    MOST_LEVELS,
    Boolean,
    Category,
    Coded,
    Dropped,
    Number,
    as_numbers,
    quartiles,
)
from steepest.data.columns import refuse as refuse_number
from steepest.data.dataset import Table
from steepest.data.encode import Encoder
from steepest.data.moments import Sums
from steepest.data.table_features import TableFeatures, choose
from steepest.data.target import LIMIT, ClassTarget, NumberTarget, guess_task

MOST_COUNTED = 100_000
"""Distinct values that are counted; a column with more is judged by the sample."""
SAMPLE_ROWS = 200_000


class Summary:
    """Adds up what an encoder needs to know: `add(piece, rows)` for each, then `encoder()`.

    `share` is that of the training rows which the sample takes.
    """

    def __init__(
        self, standardize: bool = True, share: float = 1.0, seed: int = 0, embed: bool = False
    ):
        self.standardize, self.share, self.embed = standardize, share, embed
        self.rng = np.random.default_rng(seed)
        self.rows = 0
        self.columns: dict[str, _ColumnSummary] = {}
        self.sums: Sums | None = None
        self.labels: Counter = Counter()
        self.numbers: Sums | None = None
        self.target: list[pl.Series | np.ndarray] = []
        self.like: Table | None = None
        self.reason = ""

    def add(self, piece: Table, rows: np.ndarray) -> None:
        """The rows of `piece` at these places train; labels of the others are known, too."""
        if self.like is None:
            self.like = piece.take(np.arange(1))
        self._add_target(piece, rows)
        if piece.weight is not None:
            rows = rows[piece.weight[rows] > 0]
        self.rows += len(rows)
        if piece.frame is None:
            part = numeric(piece)[rows]
            flat = part.reshape(len(part), -1)
            self.sums = self.sums or Sums(flat.shape[1])
            self.sums.add(flat, None if piece.weight is None else piece.weight[rows])
            m = self.sums
            refuse(piece, flat, m.low, m.high)
            return
        frame = piece.frame if len(rows) == piece.rows else piece.frame[rows]
        chosen = np.flatnonzero(self.rng.random(frame.height) < self.share)
        for series in frame.get_columns():
            found = self.columns.setdefault(series.name, _ColumnSummary(series.name))
            found.add(series, chosen, piece.where, piece.first)

    def _add_target(self, piece: Table, rows: np.ndarray) -> None:
        y = piece.y
        if y is None:
            return
        if isinstance(y, np.ndarray) and y.ndim > 1:
            values = y.astype(float)
        else:
            series = y if isinstance(y, pl.Series) else pl.Series("target", y)
            if len(self.labels) <= MOST_COUNTED:
                counts = series.alias("level").value_counts(name="times")
                self.labels.update(dict(zip(counts["level"], counts["times"], strict=True)))
            chosen = np.flatnonzero(self.rng.random(len(series)) < self.share)
            self.target.append(series[chosen])
            if not series.dtype.is_numeric():
                return
            values = series.cast(pl.Float64).to_numpy().reshape(-1, 1)
        self.numbers = self.numbers or Sums(values.shape[1])
        self.numbers.add(values[rows], None if piece.weight is None else piece.weight[rows])

    def encoder(self, task: Any = None) -> Encoder:
        """The encoder; raises DataError where nothing can be learned, as `Encoder.fit` does."""
        like = self.like
        if like is None or not self.rows:
            raise DataError("There are no training rows; give at least two.")
        to, task = self._target(like, task)
        if like.frame is None:
            assert self.sums is not None
            features: Any = ArrayFeatures.of(like, self.sums.moments, self.standardize)
        else:
            fitted = [
                c.encoder(self.standardize, like.where, self.embed) for c in self.columns.values()
            ]
            features = TableFeatures.checked(tuple(fitted), like.where)
        return Encoder(task, features, to, like.image_shape)

    def _target(self, like: Table, task: Any) -> tuple[Any, Any]:
        name = like.target
        if not self.target:
            m = self.numbers
            assert m is not None
            return NumberTarget.of(name, m.moments, False, self.standardize, like.where), task
        series = _joined(self.target)
        guessed, self.reason = guess_task(series)
        task = task or like.task or guessed
        if task == "classification":
            labels = pl.Series("target", list(self.labels), dtype=series.dtype, strict=False)
            label = name if isinstance(name, str) else ", ".join(name)
            # Twice each: whether there are more classes than rows, the sample cannot tell.
            twice = pl.concat([labels, labels]) if len(labels) < self.rows else labels
            return ClassTarget.fit(twice, label, like.where), task
        if self.numbers is None:
            return NumberTarget.fit(series, name, like.where), task
        return NumberTarget.of(name, self.numbers.moments, True, self.standardize, like.where), task


class _ColumnSummary:
    """One column: moments of its numbers, counts of its words, and a sample."""

    def __init__(self, name: str):
        self.name = name
        self.rows = self.missing = 0
        self.sums = Sums(1)
        self.levels: Counter | None = Counter()
        self.sample: list[pl.Series] = []

    def add(self, series: pl.Series, chosen: np.ndarray, where: str, first: int) -> None:
        self.rows += len(series)
        self.sample.append(series[chosen])
        if series.dtype.is_float():
            series = series.fill_nan(None)
        self.missing += series.null_count()
        if series.dtype in (pl.String, pl.Categorical, pl.Enum, pl.Boolean):
            self._count(series.cast(pl.String))
        numbers = series
        if series.dtype == pl.String:
            glance = as_numbers(series.drop_nulls().head(100), _silent)
            if not len(glance) or glance.null_count() > len(glance) // 2:
                return
            numbers = as_numbers(series, _silent)
        elif series.dtype.is_numeric() or series.dtype == pl.Duration:
            numbers = as_numbers(series, _silent)
        else:
            return
        values = numbers.cast(pl.Float64).to_numpy()
        self.sums.add(values.reshape(-1, 1))
        if max(abs(self.sums.low[0]), abs(self.sums.high[0])) > LIMIT and self.sums.total[0]:
            refuse_number(self.name, values, where, LIMIT, first)

    def _count(self, text: pl.Series) -> None:
        if self.levels is None:
            return
        counts = text.drop_nulls().alias("level").value_counts(name="times")
        self.levels.update(dict(zip(counts["level"], counts["times"], strict=True)))
        if len(self.levels) > MOST_COUNTED:
            self.levels = None

    def encoder(self, standardize: bool, where: str, embed: bool) -> Any:
        """As `choose` finds it from the sample, with the figures of all rows."""
        sample = _joined(self.sample)
        chosen = choose(sample, standardize, where, embed)
        marked = self.missing > 0
        known = self.rows - self.missing
        m = self.sums.moments
        varies = bool(m.low[0] < m.high[0])
        if isinstance(chosen, Dropped):
            # What is rare may be absent from the sample.
            plain = sample.dtype.is_numeric() or sample.dtype == pl.Null
            constant = sample.drop_nulls().n_unique() < 2
            if plain and constant and (varies or (marked and known and self.sums.total[0])):
                return self._number(sample, m, marked, standardize)
            if constant and self.levels and len(self.levels) + marked > 1:
                return self._category(marked, embed)
            return chosen
        if isinstance(chosen, Number) and self.sums.total[0]:
            return self._number(sample, m, bool(self.rows > self.sums.total[0]), standardize)
        if isinstance(chosen, (Category, Coded)) and self.levels is not None:
            return self._category(marked, embed)
        if isinstance(chosen, Boolean):
            return Boolean(self.name, marked)
        return chosen

    def _number(self, sample: pl.Series, m: Any, marked: bool, standardize: bool) -> Any:
        values = as_numbers(sample, _silent).cast(pl.Float64).to_numpy()
        values = values[~np.isnan(values)]
        middle = m.mean[0]
        quarters = quartiles(values) if len(values) else (middle, middle, middle)
        spread = tuple(float(v[0]) for v in (m.low, m.high, m.mean, m.sd))
        return Number.of(self.name, spread, quarters, marked, standardize)  # type: ignore[arg-type]

    def _category(self, marked: bool, embed: bool) -> Any:
        assert self.levels is not None
        levels = pl.Series("level", list(self.levels), dtype=pl.String)
        times = pl.Series("times", list(self.levels.values()), dtype=pl.Int64)
        if embed and len(levels) > MOST_LEVELS:
            return Coded.fit(self.name, levels, times)
        found = Category.fit(self.name, levels, times, marked)
        return found or Dropped(self.name, "the same value in all training rows")


def _joined(parts: list[Any]) -> pl.Series:
    """One series of all parts; of words where their kinds differ."""
    dtypes = {p.dtype for p in parts if p.dtype != pl.Null}
    if len(dtypes) > 1:
        numbers = all(d.is_numeric() for d in dtypes)
        parts = [p.cast(pl.Float64 if numbers else pl.String) for p in parts]
    elif dtypes:
        parts = [p.cast(next(iter(dtypes))) for p in parts]
    return pl.concat(parts)


def _silent(sentence: str, key: str) -> None:
    """For training rows, where the report says what a warning would."""
