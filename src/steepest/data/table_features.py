"""Frames as inputs: the kind of each column found, an encoder fitted to each, all side by side."""

from __future__ import annotations

import os
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from steepest.core.errors import DataError
from steepest.data.columns import (
    MOST_LEVELS,
    Boolean,
    Category,
    Coded,
    Column,
    Dropped,
    Number,
    as_numbers,
)
from steepest.data.dataset import Table
from steepest.data.dates import Date, find_format
from steepest.data.report import ColumnReport
from steepest.data.text import Text

KINDS: dict[str, type[Column]] = {
    kind.kind: kind for kind in (Number, Boolean, Category, Coded, Date, Text, Dropped)
}

#: Columns of these names are numbers of rows, where all their values differ.
_ID_NAME = re.compile(
    r"(id|idx|index|row|uuid|guid|unnamed.*|)|.*[ _.-](id|uuid|guid|index)|.*[a-z](Id|ID)"
)
#: Below so many rows, distinct values say nothing about a column's kind.
_FEW_ROWS = 20
#: Text has so many words in the mean; a category has fewer.
_WORDS = 3.0
#: The share of strings that must be numbers for the others to count as missing.
_NUMERIC = 0.95
_BLOCK = 1 << 14


def choose(series: pl.Series, standardize: bool, where: str, embed: bool = False) -> Any:
    """The encoder that suits a column of the training rows; `embed`: codes for many categories."""
    name, dtype = series.name, series.dtype
    if series.null_count() == len(series):
        return Dropped(name, "no value in any training row")
    if dtype.is_nested() or dtype in (pl.Object, pl.Binary):
        return Dropped(name, f"values of the kind {dtype} cannot be used")
    encoder: Any
    if dtype == pl.Boolean:
        encoder = Boolean.fit(series)
    elif dtype.is_numeric() or dtype == pl.Duration:
        if dtype.is_integer() and _ID_NAME.fullmatch(name) and _all_differ(series):
            return Dropped(name, "a number of the row by its name, different in each")
        encoder = Number.fit(as_numbers(series, _silent), standardize, where)
    elif dtype in (pl.Date, pl.Datetime, pl.Time):
        encoder = Date.fit(series, None, standardize)
    else:
        encoder = _choose_text(series.cast(pl.String), standardize, where, embed)
    return encoder or Dropped(name, "the same value in all training rows")


def _choose_text(series: pl.Series, standardize: bool, where: str, embed: bool) -> Any:
    # Distinct values are counted once; what follows looks at those only.
    counts = series.drop_nulls().alias("level").value_counts(name="times")
    levels, times = counts["level"], counts["times"]
    form = find_format(levels)
    if form is not None:
        return Date.fit(series, form, standardize)
    distinct, n = len(levels), len(series) - series.null_count()
    numeric = as_numbers(levels, _silent).is_not_null()
    if int((times * numeric).sum()) >= _NUMERIC * n:
        return Number.fit(as_numbers(series, _silent), standardize, where)
    if n >= _FEW_ROWS and 10 * distinct > n:
        words = levels.str.count_matches(r"[\p{L}\p{N}]+").mean()
        if isinstance(words, float) and words >= _WORDS:
            return Text(series.name)
        if distinct > 0.9 * n:
            return Dropped(series.name, f"a name of the row, {distinct} different in {n} rows")
    if embed and distinct > MOST_LEVELS:
        return Coded.fit(series.name, levels, times)
    return Category.fit(series.name, levels, times, n < len(series))


def _all_differ(series: pl.Series) -> bool:
    return len(series) >= _FEW_ROWS and series.n_unique() == len(series)


def _threads(table: Table) -> int:
    return min(os.cpu_count() or 1, 8) if len(table) > _BLOCK else 1


def _silent(sentence: str, key: str) -> None:
    """For training rows, where the report says what a warning would."""


@dataclass(frozen=True)
class TableFeatures:
    """One encoder a column, in training's order; rows to come are matched by column names."""

    columns: tuple[Any, ...]

    @classmethod
    def fit(cls, table: Table, standardize: bool = True, embed: bool = False) -> TableFeatures:
        """Encoders for all columns; raises DataError where none is left to learn from."""
        assert table.frame is not None
        # NumPy and polars let go of the interpreter's lock, so threads do use the cores.
        with ThreadPoolExecutor(_threads(table)) as pool:
            columns = tuple(
                pool.map(
                    lambda s: choose(s, standardize, table.where, embed), table.frame.get_columns()
                )
            )
        return cls.checked(columns, table.where)

    @classmethod
    def checked(cls, columns: tuple[Any, ...], where: str) -> TableFeatures:
        """These encoders; raises DataError where none has an input."""
        if not any(c.width for c in columns):
            reasons = "; ".join(f"{c.name!r} {c.report.action}" for c in columns[:5])
            raise DataError(
                f"{where}: no column is left to learn from ({reasons}); "
                "give columns whose values differ."
            )
        return cls(columns)

    @property
    def inputs(self) -> tuple[int, ...]:
        """The shape of one encoded row."""
        return (sum(c.width for c in self.columns),)

    @property
    def codes(self) -> tuple[tuple[int, int], ...]:
        """(place, number of codes) of each input that is a code, for a model that embeds it."""
        at, found = 0, []
        for column in self.columns:
            if column.codes:
                found.append((at, column.codes))
            at += column.width
        return tuple(found)

    @property
    def report(self) -> list[ColumnReport]:
        """A line a column."""
        return [c.report for c in self.columns]

    def transform(self, table: Table, dtype, warn) -> np.ndarray:
        """Encoded rows of `table`, contiguous, of `dtype`."""
        series = self._match(table, warn)
        n = len(table)
        out = np.zeros((n, self.inputs[0]), dtype)

        def write(start: int) -> list[tuple[str, str]]:
            said: list[tuple[str, str]] = []
            at = 0
            for column, values in zip(self.columns, series, strict=True):
                if values is not None and column.width:
                    rows = values.slice(start, _BLOCK)
                    part = out[start : start + _BLOCK, at : at + column.width]
                    column.write(rows, part, table.first + start, lambda *told: said.append(told))
                at += column.width
            return said

        # The map yields in order of rows, so what is told does not depend on the threads.
        with ThreadPoolExecutor(_threads(table)) as pool:
            for said in pool.map(write, range(0, n, _BLOCK)):
                for sentence, key in said:
                    warn(sentence, key)
        return out

    def _match(self, table: Table, warn) -> list[pl.Series | None]:
        frame = self._frame(table)
        names = [c.name for c in self.columns]
        used = [c.name for c in self.columns if c.width]
        absent = [name for name in used if name not in frame.columns]
        if len(absent) == len(used):
            raise DataError(
                f"{table.where}: none of the columns of training is there; expected "
                f"{', '.join(map(repr, used[:10]))}{', ...' if len(used) > 10 else ''}."
            )
        if absent:
            warn(
                f"{table.where}: the column{'s' if len(absent) > 1 else ''} "
                f"{', '.join(map(repr, absent[:10]))} of training "
                f"{'are' if len(absent) > 1 else 'is'} not there; all values count as missing.",
                f"absent {absent}",
            )
        extra = [name for name in frame.columns if name not in names]
        if extra:
            warn(
                f"{table.where}: the column{'s' if len(extra) > 1 else ''} "
                f"{', '.join(map(repr, extra[:10]))} {'were' if len(extra) > 1 else 'was'} not in "
                f"training and {'are' if len(extra) > 1 else 'is'} left out.",
                f"extra {extra}",
            )
        if [n for n in names if n in frame.columns] != [n for n in frame.columns if n in names]:
            warn(
                f"{table.where}: the columns stand in another order than in training; "
                "they are taken by their names.",
                "order",
            )
        return [self._series(frame, c) for c in self.columns]

    def _frame(self, table: Table) -> pl.DataFrame:
        if table.frame is not None:
            return table.frame
        x = np.asarray(table.x)
        if x.ndim != 2 or x.shape[1] != len(self.columns):
            raise DataError(
                f"{table.where}: the rows have the shape {x.shape[1:]}, training had "
                f"{len(self.columns)} columns; give all of them."
            )
        return pl.DataFrame({c.name: x[:, i] for i, c in enumerate(self.columns)})

    @staticmethod
    def _series(frame: pl.DataFrame, column: Any) -> pl.Series | None:
        if column.name in frame.columns:
            return frame[column.name]
        if not column.width:
            return None
        return pl.repeat(None, frame.height, dtype=pl.Null, eager=True).alias(column.name)

    def to_dict(self) -> dict[str, Any]:
        return {"kind": "table", "columns": [c.to_dict() for c in self.columns]}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> TableFeatures:
        columns = []
        for one in data["columns"]:
            fields = dict(one)
            columns.append(KINDS[fields.pop("kind")].from_dict(fields))
        return cls(tuple(columns))
