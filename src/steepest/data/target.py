"""What is predicted: classes as indices, numbers in units of their standard deviation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from steepest.core.errors import DataError
from steepest.data.dataset import Task
from steepest.data.moments import Moments, moments

#: A numeric target with at most so many distinct whole values is taken to be classes.
MOST_INTEGER_CLASSES = 20
MOST_FLOAT_CLASSES = 10
LIMIT = 1e100  # squares of larger numbers do not fit into float64


def guess_task(y: np.ndarray | pl.Series) -> tuple[Task, str]:
    """The task that a target suggests, and the reason in words.

    Names, words and truth values are classes. Numbers are classes where they are whole, of few
    distinct values (20 for integers, 10 for floats), and each value occurs twice on average.

    >>> guess_task(np.array([0, 1, 1, 0]))
    ('classification', '2 distinct whole numbers')
    >>> guess_task(np.array([0.5, 1.0, 2.0]))[0]
    'regression'
    """
    if isinstance(y, np.ndarray) and y.ndim > 1:
        return "regression", f"{y.shape[1]} target columns"
    series = as_series(y)
    if not series.dtype.is_numeric():
        return "classification", f"{series.n_unique()} distinct names"
    integer = series.dtype.is_integer()
    most = MOST_INTEGER_CLASSES if integer else MOST_FLOAT_CLASSES
    if not integer and not bool((series.floor() == series).all()):
        return "regression", "numbers with decimals"
    distinct = series.n_unique()
    if distinct <= most and 2 * distinct <= len(series):
        return "classification", f"{distinct} distinct whole numbers"
    return "regression", f"{distinct} distinct whole numbers"


def as_series(y: np.ndarray | pl.Series) -> pl.Series:
    """A target (n,) as a series of booleans, integers, floats or strings."""
    if isinstance(y, np.ndarray):
        if y.dtype == np.float16:
            y = y.astype(np.float32)
        try:
            y = pl.Series("target", y.tolist() if y.dtype.hasobject else np.ascontiguousarray(y))
        except (TypeError, ValueError, OverflowError, pl.exceptions.PolarsError):
            raise DataError(
                f"The target mixes kinds or is of a kind that cannot be learned ({y.dtype}); "
                "give numbers, or give names as strings."
            ) from None
    if y.dtype.is_numeric() and not y.dtype.is_decimal():
        return y
    if y.dtype.is_decimal():
        return y.cast(pl.Float64)
    if y.dtype in (pl.Boolean, pl.String):
        return y
    try:
        return y.cast(pl.String)
    except pl.exceptions.PolarsError:
        raise DataError(
            f"The target has values of the kind {y.dtype}, which cannot be learned; "
            "give numbers, or give names as strings."
        ) from None


def check_target(y: np.ndarray | pl.Series, name: str, where: str, first: int = 0) -> None:
    """Raise DataError where target values are missing or infinite, with their rows (from 1).

    `first` is the number of the first row in a longer table.
    """
    if isinstance(y, np.ndarray) and y.ndim > 1:
        finite = np.isfinite(y).all(axis=1)
        bad, what = np.flatnonzero(~finite), "missing or infinite"
    else:
        series = as_series(y)
        missing = series.is_null()
        if series.dtype.is_float():
            missing = missing | series.is_nan().fill_null(False)
        bad, what = missing.arg_true().to_numpy(), "missing"
        if not len(bad) and series.dtype.is_float():
            bad, what = series.is_infinite().arg_true().to_numpy(), "infinite"
    if len(bad):
        raise DataError(
            f"{where}: the target {name!r} is {what} in {rows_text(bad + first)}; "
            "fill in these rows or remove them."
        )


def rows_text(index: np.ndarray, first: int = 1) -> str:
    """`row 3`, `rows 3, 17 and 4 others`: rows as people count them, from 1 after the header."""
    shown = [str(int(i) + first) for i in index[:3]]
    if len(index) == 1:
        return "row " + shown[0]
    others = len(index) - len(shown)
    if others:
        return f"rows {', '.join(shown)} and {others} other{'s' if others > 1 else ''}"
    return f"rows {', '.join(shown[:-1])} and {shown[-1]}"


_DTYPES: dict[str, Any] = {
    "boolean": pl.Boolean,
    "integer": pl.Int64,
    "float": pl.Float64,
    "string": pl.String,
}


@dataclass(frozen=True)
class ClassTarget:
    """Classes in sorted order; index i stands for `classes[i]`."""

    name: str
    dtype: str
    classes: tuple[Any, ...]

    @classmethod
    def fit(cls, y: np.ndarray | pl.Series, name: str, where: str) -> ClassTarget:
        """The distinct labels; raises DataError for one class, or as many classes as rows."""
        series = as_series(y)
        if series.dtype == pl.Boolean:
            dtype = "boolean"
        elif series.dtype.is_integer():
            dtype = "integer"
        else:
            dtype = "float" if series.dtype.is_float() else "string"
        classes = tuple(series.cast(_DTYPES[dtype]).unique().sort().to_list())
        if len(classes) < 2:
            raise DataError(
                f"{where}: the target {name!r} has one class only ({classes[0]!r}), so there is "
                "nothing to learn; give rows of at least two classes."
            )
        if len(classes) >= len(series) and len(classes) > 2:
            raise DataError(
                f"{where}: the target {name!r} has {len(classes)} classes in {len(series)} rows; "
                "classification needs several rows of each class. If the target is a number, "
                "set the task to regression."
            )
        return cls(name, dtype, classes)

    @property
    def width(self) -> int:
        """The number of classes."""
        return len(self.classes)

    def index(self, y: np.ndarray | pl.Series) -> np.ndarray:
        """int32 class indices, -1 for a label that training has not seen."""
        series = as_series(y)
        if series.dtype == pl.Boolean and self.dtype == "string":
            series = series.cast(pl.String)
        elif series.dtype == pl.String and self.dtype == "boolean":
            series = series.str.to_lowercase()
            series = series.replace_strict(
                ["true", "false"], [True, False], default=None, return_dtype=pl.Boolean
            )
        return (
            series.cast(_DTYPES[self.dtype], strict=False)
            .replace_strict(
                pl.Series(self.classes, dtype=_DTYPES[self.dtype]),
                pl.Series(range(self.width), dtype=pl.Int32),
                default=-1,
                return_dtype=pl.Int32,
            )
            .fill_null(-1)
            .to_numpy()
        )

    def transform(self, y: np.ndarray | pl.Series, dtype, where: str, first: int = 0) -> np.ndarray:
        """int32 class indices; raises DataError for a label that training has not seen.

        `first` is the number of the first row in a longer table.
        """
        series, index = as_series(y), self.index(y)
        unknown = np.flatnonzero(index < 0)
        if len(unknown):
            raise DataError(
                f"{where}: the target {self.name!r} is {series[int(unknown[0])]!r} in "
                f"{rows_text(unknown + first)}, a class that the training rows do not have; "
                "correct the label or remove the row."
            )
        return np.array(index, np.int32)

    def decode(self, prediction: np.ndarray) -> np.ndarray:
        """Labels of class indices."""
        return self.labels[np.asarray(prediction)]

    @property
    def labels(self) -> np.ndarray:
        """The classes as an array."""
        return np.array(self.classes)

    def to_dict(self) -> dict[str, Any]:
        return {
            "kind": "classes",
            "name": self.name,
            "dtype": self.dtype,
            "classes": list(self.classes),
        }


@dataclass(frozen=True)
class NumberTarget:
    """One or more numbers, z = (y - mean) / scale with the training rows' mean and deviation."""

    name: str | tuple[str, ...]
    mean: tuple[float, ...]
    scale: tuple[float, ...]
    scalar: bool

    @classmethod
    def fit(
        cls,
        y: np.ndarray | pl.Series,
        name: str | tuple[str, ...],
        where: str,
        standardize: bool = True,
        weight: np.ndarray | None = None,
    ) -> NumberTarget:
        """Mean and standard deviation; a constant target has scale 1."""
        values = _numbers(y, name, where)
        columns = values.reshape(len(values), -1)
        return cls.of(name, moments(columns, weight), values.ndim == 1, standardize, where)

    @classmethod
    def of(
        cls,
        name: str | tuple[str, ...],
        m: Moments,
        scalar: bool,
        standardize: bool,
        where: str,
    ) -> NumberTarget:
        """The scaling for targets of these moments."""
        if max(np.abs(m.low).max(), np.abs(m.high).max()) > LIMIT:
            raise DataError(
                f"{where}: the target {name!r} has values beyond {LIMIT:g}, which cannot be "
                "scaled; give it in larger units."
            )
        if not standardize:
            return cls(name, (0.0,) * len(m.mean), (1.0,) * len(m.mean), scalar)
        scale = np.where(m.constant | ~(m.sd > 0), 1.0, m.sd)
        return cls(name, tuple(m.mean.tolist()), tuple(scale.tolist()), scalar)

    @property
    def width(self) -> int:
        """The number of target columns."""
        return len(self.mean)

    def transform(self, y: np.ndarray | pl.Series, dtype, where: str, first: int = 0) -> np.ndarray:
        """Scaled targets, (n,) or (n, k) as in training."""
        values = _numbers(y, self.name, where)
        if values.reshape(len(values), -1).shape[1] != self.width:
            raise DataError(
                f"{where}: the target has {values.reshape(len(values), -1).shape[1]} columns, "
                f"training had {self.width}; give the same columns."
            )
        values = values.reshape(len(values), self.width)
        with np.errstate(over="ignore"):
            scaled = ((values - np.array(self.mean)) / np.array(self.scale)).astype(dtype)
        bad = np.flatnonzero(~np.isfinite(scaled).all(axis=1))
        if len(bad):
            raise DataError(
                f"{where}: the target {self.name!r} is {values[bad[0]].tolist()} in "
                f"{rows_text(bad + first)}, too far from the training rows for {np.dtype(dtype)}; "
                "correct or remove these rows."
            )
        return np.ascontiguousarray(scaled[:, 0] if self.scalar else scaled)

    def decode(self, prediction: np.ndarray) -> np.ndarray:
        """Predictions in the target's own units: scale z + mean."""
        z = np.asarray(prediction, np.float64)
        if self.scalar:
            return z * self.scale[0] + self.mean[0]
        return z * np.array(self.scale) + np.array(self.mean)

    def to_dict(self) -> dict[str, Any]:
        return {
            "kind": "numbers",
            "name": self.name if isinstance(self.name, str) else list(self.name),
            "mean": list(self.mean),
            "scale": list(self.scale),
            "scalar": self.scalar,
        }


def _numbers(y: np.ndarray | pl.Series, name, where: str) -> np.ndarray:
    if isinstance(y, np.ndarray) and y.ndim > 1:
        return y.astype(np.float64)
    series = as_series(y)
    if series.dtype == pl.String:
        raise DataError(
            f"{where}: the target {name!r} holds text such as {series[0]!r}, which regression "
            "cannot use; set the task to classification, or choose a numeric target."
        )
    return series.cast(pl.Float64).to_numpy().copy()


def target_from_dict(data: dict[str, Any]) -> ClassTarget | NumberTarget:
    """The target that `to_dict` wrote."""
    if data["kind"] == "classes":
        return ClassTarget(data["name"], data["dtype"], tuple(data["classes"]))
    name = data["name"]
    return NumberTarget(
        name if isinstance(name, str) else tuple(name),
        tuple(data["mean"]),
        tuple(data["scale"]),
        data["scalar"],
    )
