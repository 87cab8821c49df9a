"""Columns of numbers, truth values and categories as inputs, fitted on the training rows.

Every column encoder has a `width`, writes rows with `write(series, out, first, warn)` into a float
array `out` of shape (n, width) that starts as zeros, and says in `report` what it does. `first` is
the number of the first row in the table (from 0); `warn(sentence, key)` tells something once a key.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np
import polars as pl

from steepest.core.errors import DataError
from steepest.data.report import ColumnReport
from steepest.data.target import LIMIT, rows_text

Warn = Callable[[str, str], None]

#: Scaled inputs farther out than this are taken as this far out, so that none overflows float32.
FARTHEST = 1e6
#: Columns with values farther from the median than this many robust deviations get bent tails.
TAIL = 8.0
#: Where bent tails end. Source: Holzmueller et al., "Better by default", NeurIPS 2024, sec. 3.
BEND = 3.0
#: The most frequent so many categories get an input each; the others share one.
MOST_LEVELS = 64
#: Where categories are embedded, so many have a code of their own.
MOST_CODES = 10_000
_SAMPLE = 1 << 16
_NORMAL_IQR = 1.3489795003921634  # interquartile range of the standard normal distribution


class Column:
    """What the encoders of one column share: names, and their form in JSON."""

    kind: ClassVar[str]
    name: str

    @property
    def codes(self) -> int:
        """How many codes the column's single input may be; 0 where inputs are numbers."""
        return 0

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready; the fields are numbers, strings, or tuples of them."""
        return {"kind": self.kind} | asdict(self)  # type: ignore[call-overload]

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Any:
        """The encoder that `to_dict` wrote."""
        return cls(**{k: tuple(v) if isinstance(v, list) else v for k, v in data.items()})


@dataclass(frozen=True)
class Number(Column):
    """z = (x - centre) / scale; where the training rows have outliers, z / sqrt(1 + (z / 3)^2).

    Without outliers, centre and scale are mean and standard deviation. With outliers (beyond 8
    robust deviations) they are the median and the interquartile range / 1.349, and the tails are
    bent so that |z| stays below 3. Missing values become 0 in z; a second input marks them where
    training has some.
    """

    kind: ClassVar[str] = "number"
    name: str
    centre: float
    scale: float
    fill: float
    bent: bool = False
    marked: bool = False

    @classmethod
    def fit(cls, series: pl.Series, standardize: bool, where: str) -> Number | None:
        """The encoder, or None for a column that never varies."""
        values, missing = _floats(series)
        known = values[~missing] if missing.any() else values
        if not len(known):
            return None
        low, high = float(known.min()), float(known.max())
        if max(abs(low), abs(high)) > LIMIT:
            refuse(series.name, values, where, LIMIT)
        marked = bool(missing.any())
        if low == high and not marked:
            return None
        spread = (low, high, float(known.mean()), float(known.std()))
        return cls.of(series.name, spread, quartiles(known), marked, standardize)

    @classmethod
    def of(
        cls,
        name: str,
        spread: tuple[float, float, float, float],
        quarters: tuple[float, float, float],
        marked: bool,
        standardize: bool,
    ) -> Number:
        """The encoder for values of this least, largest, mean, deviation, and these quartiles."""
        low, high, mean, sd = spread
        first, middle, third = quarters
        if not standardize:
            return cls(name, 0.0, 1.0, middle, False, marked)
        robust = (third - first) / _NORMAL_IQR or sd
        if max(high - middle, middle - low) > TAIL * robust:
            centre, scale, bent = middle, robust, True
        else:
            centre, scale, bent = mean, sd, False
        return cls(name, centre, scale if scale > 0 else 1.0, centre, bent, marked)

    @property
    def width(self) -> int:
        return 1 + self.marked

    @property
    def report(self) -> ColumnReport:
        """The formula with its numbers."""
        plain = self.centre == 0 and self.scale == 1
        action = "kept as it is" if plain else f"(x - {self.centre:.6g}) / {self.scale:.6g}"
        if self.bent:
            action = f"z = {action} by median and quartiles, tails bent to |z| < {BEND:g}"
        if self.marked:
            action += f", missing set to {self.fill:.6g} and marked"
        return ColumnReport(self.name, self.kind, action, self.width)

    def write(self, series: pl.Series, out: np.ndarray, first: int, warn: Warn) -> None:
        """Scaled values into `out[:, 0]`, marks of missing ones into `out[:, 1]`."""
        series = as_numbers(series, warn, first)
        values, missing = _floats(series)
        gaps = bool(missing.any())
        if gaps:
            values = np.where(missing, self.fill, values)
        z = values - self.centre
        z /= self.scale
        if not np.isfinite(z).all():
            refuse(self.name, values, "", float(np.finfo(np.float64).max), first)
        if self.bent:
            np.clip(z, -FARTHEST, FARTHEST, out=z)
            z /= np.sqrt(1 + np.square(z / BEND))
        out[:, 0] = np.clip(z, -FARTHEST, FARTHEST, out=z)
        if self.marked:
            out[:, 1] = missing
        elif gaps:
            warn(
                f"Column {self.name!r} has missing values, which training never had; "
                f"{self.fill:.6g} is put in their place.",
                f"missing {self.name}",
            )


@dataclass(frozen=True)
class Boolean(Column):
    """-1 for false, 1 for true; missing is 0, marked by a second input where training has some."""

    kind: ClassVar[str] = "boolean"
    name: str
    marked: bool = False

    @classmethod
    def fit(cls, series: pl.Series) -> Boolean | None:
        """The encoder, or None for a column that never varies."""
        marked = bool(series.null_count())
        if series.drop_nulls().n_unique() + marked < 2:
            return None
        return cls(series.name, marked)

    @property
    def width(self) -> int:
        return 1 + self.marked

    @property
    def report(self) -> ColumnReport:
        """What stands for what."""
        action = "false -1, true 1" + (", missing 0 and marked" if self.marked else "")
        return ColumnReport(self.name, self.kind, action, self.width)

    def write(self, series: pl.Series, out: np.ndarray, first: int, warn: Warn) -> None:
        """Signs into `out[:, 0]`, marks of missing values into `out[:, 1]`."""
        if series.dtype == pl.String:
            series = series.str.to_lowercase().replace_strict(
                ["true", "false", "1", "0"],
                [True, False, True, False],
                default=None,
                return_dtype=pl.Boolean,
            )
        elif series.dtype not in (pl.Boolean, pl.Null) and not series.dtype.is_numeric():
            series = pl.repeat(None, len(series), dtype=pl.Boolean, eager=True)
        sign = 2 * series.cast(pl.Boolean).cast(pl.Float64) - 1
        out[:, 0] = sign.fill_null(0.0).to_numpy()
        if self.marked:
            out[:, 1] = series.is_null().to_numpy()
        elif series.null_count():
            warn(
                f"Column {self.name!r} has missing values, which training never had; "
                "they count as neither true nor false.",
                f"missing {self.name}",
            )


@dataclass(frozen=True)
class Category(Column):
    """One input a category (one-hot): 1 for the row's own, 0 elsewhere.

    The `levels` are the most frequent categories of training. The rarer ones share the input
    `other`, missing values have their own, each where training has some. A category that training
    never had is `other`, or 0 everywhere.
    """

    kind: ClassVar[str] = "category"
    name: str
    levels: tuple[str, ...]
    other: bool = False
    marked: bool = False

    @classmethod
    def fit(cls, name: str, levels: pl.Series, times: pl.Series, marked: bool) -> Category | None:
        """The encoder for these distinct levels, or None for a column that never varies."""
        if len(levels) + marked < 2:
            return None
        ranked = ranking(levels, times)
        return cls(name, tuple(ranked.head(MOST_LEVELS)), len(levels) > MOST_LEVELS, marked)

    @property
    def width(self) -> int:
        return len(self.levels) + self.other + self.marked

    @property
    def report(self) -> ColumnReport:
        """The number of categories, and the first of them."""
        shown = ", ".join(self.levels[:4]) + (", ..." if len(self.levels) > 4 else "")
        action = f"one input each for {len(self.levels)} categories ({shown})"
        extra = ["rarer ones"] * self.other + ["missing"] * self.marked
        if extra:
            action += f", one for {' and one for '.join(extra)}"
        return ColumnReport(self.name, self.kind, action, self.width)

    def write(self, series: pl.Series, out: np.ndarray, first: int, warn: Warn) -> None:
        """Ones into `out`, a row each."""
        text = words(series)
        unknown = len(self.levels) if self.other else -1
        missing = len(self.levels) + self.other if self.marked else -2
        place = places(text, self.levels)
        strange = place < 0
        if strange.any():
            absent = text.is_null().to_numpy()
            place = np.where(strange, np.where(absent, missing, unknown), place)
            self._tell(text, strange & ~absent, bool(absent.any()), first, warn)
        if (place < 0).any():
            rows = np.flatnonzero(place >= 0)
            out[rows, place[rows]] = 1
        else:
            out[np.arange(len(place)), place] = 1

    def _tell(
        self, text: pl.Series, unknown: np.ndarray, absent: bool, first: int, warn: Warn
    ) -> None:
        # With an input for rare categories a new one is no surprise.
        if unknown.any() and not self.other:
            at = int(np.flatnonzero(unknown)[0])
            warn(
                f"Column {self.name!r} has the category {text[at]!r} in row {at + first + 1}, "
                "which training never had; such rows count as of no known category.",
                f"category {self.name}",
            )
        if absent and not self.marked:
            warn(
                f"Column {self.name!r} has missing values, which training never had; "
                "they count as of no category.",
                f"missing {self.name}",
            )


@dataclass(frozen=True)
class Coded(Column):
    """One input, the code of the row's category, which a model looks up in a learned table.

    Code 1 is the most frequent of the `levels`, and so on; 0 stands for missing values and for
    categories that are rarer, or that training never had.
    """

    kind: ClassVar[str] = "coded"
    name: str
    levels: tuple[str, ...]

    @classmethod
    def fit(cls, name: str, levels: pl.Series, times: pl.Series) -> Coded:
        """The encoder for these distinct levels."""
        # What occurs once says nothing by itself; such rows teach what stands for all others.
        often = times > 1
        if int(often.sum()) > 1:
            levels, times = levels.filter(often), times.filter(often)
        return cls(name, tuple(ranking(levels, times).head(MOST_CODES)))

    @property
    def width(self) -> int:
        return 1

    @property
    def codes(self) -> int:
        return 1 + len(self.levels)

    @property
    def report(self) -> ColumnReport:
        """The number of categories, and the first of them."""
        shown = ", ".join(self.levels[:4]) + ", ..."
        action = f"a learned embedding for each of {len(self.levels)} categories ({shown}), and one"
        return ColumnReport(self.name, self.kind, f"{action} for all others and missing", 1)

    def write(self, series: pl.Series, out: np.ndarray, first: int, warn: Warn) -> None:
        """Codes into `out[:, 0]`."""
        out[:, 0] = places(words(series), self.levels) + 1


def ranking(levels: pl.Series, times: pl.Series) -> pl.Series:
    """The levels, most frequent first; equally frequent ones in alphabetical order."""
    counts = pl.DataFrame({"level": levels, "times": times})
    return counts.sort(["times", "level"], descending=[True, False])["level"]


def words(series: pl.Series) -> pl.Series:
    """Values as text, null where they have no such form."""
    try:
        return series.cast(pl.String)
    except pl.exceptions.PolarsError:
        return pl.repeat(None, len(series), dtype=pl.String, eager=True)


def places(text: pl.Series, levels: tuple[str, ...]) -> np.ndarray:
    """The place of each value among the levels, -1 for others and null."""
    return (
        text.replace_strict(
            pl.Series(levels, dtype=pl.String),
            pl.Series(range(len(levels)), dtype=pl.Int32),
            default=-1,
            return_dtype=pl.Int32,
        )
        .fill_null(-1)
        .to_numpy()
    )


@dataclass(frozen=True)
class Dropped(Column):
    """A column that says nothing that can be learned; `reason` says why."""

    kind: ClassVar[str] = "dropped"
    name: str
    reason: str

    @property
    def width(self) -> int:
        return 0

    @property
    def report(self) -> ColumnReport:
        """The reason."""
        return ColumnReport(self.name, self.kind, f"dropped: {self.reason}", 0)

    def write(self, series: pl.Series, out: np.ndarray, first: int, warn: Warn) -> None:
        """Nothing is written."""


def as_numbers(series: pl.Series, warn: Warn, first: int = 0) -> pl.Series:
    """A series of numbers; what is no number counts as missing, and is told once."""
    if series.dtype.is_numeric() and not series.dtype.is_decimal():
        return series
    if series.dtype == pl.Duration:
        return series.dt.total_microseconds().cast(pl.Float64) / 1e6
    try:
        source = series.str.strip_chars() if series.dtype == pl.String else series
        numbers = source.cast(pl.Float64, strict=False)
    except pl.exceptions.PolarsError:
        numbers = pl.repeat(None, len(series), dtype=pl.Float64, eager=True).alias(series.name)
    lost = (numbers.is_null() & series.is_not_null()).arg_true()
    if len(lost):
        rows = rows_text(lost.to_numpy() + first)
        warn(
            f"Column {series.name!r} is {series[int(lost[0])]!r} in {rows}, "
            "which is no number; it counts as missing.",
            f"number {series.name}",
        )
    return numbers


def _floats(series: pl.Series) -> tuple[np.ndarray, np.ndarray]:
    values = series.cast(pl.Float64).to_numpy()
    return values, np.isnan(values)


def quartiles(known: np.ndarray) -> tuple[float, float, float]:
    """The quartiles, of a sample where there are many values."""
    return tuple(np.quantile(_sample(known), (0.25, 0.5, 0.75)).tolist())


def _sample(values: np.ndarray) -> np.ndarray:
    """At most 65,536 of the values, by which quartiles are known to a few thousandths."""
    if len(values) <= _SAMPLE:
        return values
    return values[np.random.default_rng(0).integers(0, len(values), _SAMPLE)]


def refuse(name: str, values: np.ndarray, where: str, limit: float, first: int = 0) -> None:
    """Raise DataError for a value beyond `limit`; `first` is the number of the first row."""
    bad = np.flatnonzero(np.abs(values) > limit)
    if len(bad):
        start = f"{where}: column" if where else "Column"
        raise DataError(
            f"{start} {name!r} is {values[bad[0]]:g} in {rows_text(bad + first)}; "
            f"inputs must be finite and below {LIMIT:g}: correct or remove these rows."
        )
