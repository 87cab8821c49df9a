"""Columns of dates and times as inputs: where in time, and where in the year, week and day."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import polars as pl

from steepest.data.columns import FARTHEST, Column, Warn
from steepest.data.report import ColumnReport

#: How dates are written, most usual first; a column has the first form that fits all its values.
FORMATS = (
    "%Y-%m-%d",
    "%Y-%m-%d %H:%M:%S%.f",
    "%Y-%m-%dT%H:%M:%S%.f",
    "%Y-%m-%dT%H:%M:%S%.fZ",
    "%Y-%m-%d %H:%M",
    "%Y-%m-%dT%H:%M",
    "%Y/%m/%d",
    "%d.%m.%Y",
    "%m/%d/%Y",
    "%d/%m/%Y",
    "%m/%d/%Y %H:%M",
    "%d/%m/%Y %H:%M",
)
_DAY = 86400.0
_YEAR = 365.2425 * _DAY
_CYCLES = ("year", "week", "day")


def find_format(series: pl.Series) -> str | None:
    """The form in which all strings of a column are dates, or None."""
    known = series.drop_nulls()
    # A glance at a few values spares the other columns of text twelve attempts at parsing.
    for form in FORMATS:
        if not len(known) or _parse(known.head(20), form).null_count():
            continue
        if not _parse(known, form).null_count():
            return form
    return None


def _parse(text: pl.Series, form: str) -> pl.Series:
    return text.str.strip_chars().str.to_datetime(form, strict=False, time_unit="us")


@dataclass(frozen=True)
class Date(Column):
    """z = (t - centre) / scale in seconds, then sine and cosine for each cycle that varies.

    The cycles are the place in the year, in the week and in the day: 2 pi times the fraction that
    has passed. Missing values are 0 throughout, and marked where training has some. Times with a
    zone are taken as the clock shows them there.
    """

    kind: ClassVar[str] = "date"
    name: str
    centre: float
    scale: float
    cycles: tuple[str, ...]
    form: str | None = None
    marked: bool = False

    @classmethod
    def fit(cls, series: pl.Series, form: str | None, standardize: bool) -> Date | None:
        """The encoder, or None for a column that never varies."""
        times = _times(series, form)
        marked = bool(times.null_count())
        seconds = _seconds(times.drop_nulls())
        if not len(seconds):
            return None
        span = float(np.ptp(seconds))
        if span == 0 and not marked:
            return None
        cycles = tuple(
            cycle
            for cycle, least in (("year", _YEAR / 12), ("week", _DAY), ("day", 1.0))
            if span >= least and np.ptp(_phase(seconds, cycle)) > 1e-9
        )
        centre, scale = (float(seconds.mean()), float(seconds.std())) if standardize else (0.0, 1.0)
        return cls(series.name, centre, scale if scale > 0 else 1.0, cycles, form, marked)

    @property
    def width(self) -> int:
        return 1 + 2 * len(self.cycles) + self.marked

    @property
    def report(self) -> ColumnReport:
        """The parts that the date became."""
        parts = ["the time itself, scaled"]
        if self.cycles:
            parts.append(f"sine and cosine of the place in the {', '.join(self.cycles)}")
        if self.marked:
            parts.append("a mark where missing")
        return ColumnReport(self.name, self.kind, "; ".join(parts), self.width)

    def write(self, series: pl.Series, out: np.ndarray, first: int, warn: Warn) -> None:
        """Time, cycles and mark into the columns of `out`."""
        times = _times(series, self.form)
        missing = times.is_null().to_numpy()
        unread = missing & series.is_not_null().to_numpy()
        if unread.any():
            at = int(np.flatnonzero(unread)[0])
            warn(
                f"Column {self.name!r} is {series[at]!r} in row {at + first + 1}, which is no date "
                "as in training; it counts as missing.",
                f"date {self.name}",
            )
        elif missing.any() and not self.marked:
            warn(
                f"Column {self.name!r} has missing values, which training never had; "
                "the mean time is put in their place.",
                f"missing {self.name}",
            )
        seconds = _seconds(times.fill_null(0))
        out[:, 0] = np.clip((seconds - self.centre) / self.scale, -FARTHEST, FARTHEST)
        for i, cycle in enumerate(self.cycles):
            angle = 2 * np.pi * _phase(seconds, cycle)
            out[:, 1 + 2 * i] = np.sin(angle)
            out[:, 2 + 2 * i] = np.cos(angle)
        if missing.any():
            out[missing] = 0
        if self.marked:
            out[:, -1] = missing


def _times(series: pl.Series, form: str | None) -> pl.Series:
    """Microseconds since 1970 (of the day, for times of day), null where there is no date."""
    dtype = series.dtype
    try:
        if dtype == pl.String:
            found = form or find_format(series) or FORMATS[0]
            return _parse(series, found).to_physical()
        if dtype == pl.Time:
            return series.to_physical() // 1000
        if dtype == pl.Datetime:
            return series.dt.replace_time_zone(None).cast(pl.Datetime("us")).to_physical()
        if dtype == pl.Date:
            return series.cast(pl.Datetime("us")).to_physical()
    except pl.exceptions.PolarsError:
        pass
    return pl.repeat(None, len(series), dtype=pl.Int64, eager=True)


def _seconds(times: pl.Series) -> np.ndarray:
    return times.cast(pl.Float64).to_numpy() / 1e6


def _phase(seconds: np.ndarray, cycle: str) -> np.ndarray:
    """The fraction of the cycle that has passed, in [0, 1)."""
    if cycle == "day":
        return seconds / _DAY % 1.0
    if cycle == "week":
        # 1970-01-01 was a Thursday, the fourth day of the week.
        return (np.floor(seconds / _DAY) + 3) % 7 / 7
    # The mean year drifts by at most two days in the century around 1970: nothing for a season.
    return seconds / _YEAR % 1.0
