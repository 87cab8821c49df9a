"""Rows that are in memory already: arrays, and polars, pandas or pyarrow frames."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from steepest.core.errors import DataError
from steepest.data.dataset import Source, Table

_HEAVIEST = 1e30  # sums of many such weights still fit into float32


def is_frame(data: Any) -> bool:
    """Whether `data` has named columns: a polars, pandas or pyarrow frame, or a dict of columns."""
    if isinstance(data, (pl.DataFrame, pl.LazyFrame, dict)):
        return True
    # By the module's name, so that neither pandas nor pyarrow has to be imported or installed.
    origin = type(data).__module__.split(".")[0]
    return (origin == "pandas" and hasattr(data, "columns")) or (
        origin == "pyarrow" and hasattr(data, "column_names")
    )


def as_frame(data: Any) -> pl.DataFrame:
    """A polars frame of any frame; raises DataError for columns that have no tabular form."""
    try:
        if isinstance(data, pl.DataFrame):
            return data
        if isinstance(data, pl.LazyFrame):
            return data.collect()
        if isinstance(data, dict):
            return pl.DataFrame(data)
        if type(data).__module__.startswith("pandas"):
            return _from_pandas(data)
        frame = pl.from_arrow(data)
        return frame if isinstance(frame, pl.DataFrame) else frame.to_frame()
    except (pl.exceptions.PolarsError, TypeError, ValueError) as error:
        raise DataError(f"The frame cannot be read as columns: {first_line(error)}") from None


def _from_pandas(data: Any) -> pl.DataFrame:
    names = [str(name) for name in data.columns]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError(f"The frame has two columns named {twice[0]!r}; rename one of them.")
    columns = []
    for place, name in enumerate(names):
        column = data.iloc[:, place]
        if isinstance(column.dtype, np.dtype) and column.dtype.kind in "biufmM":
            columns.append(pl.Series(name, column.to_numpy(), nan_to_null=True))
        else:  # objects, categories and extension types, each with its own word for missing
            values = [None if _absent(v) else v for v in column.tolist()]
            columns.append(pl.Series(name, values, strict=False))
    return pl.DataFrame(columns)


def _absent(value: Any) -> bool:
    """None, NaN, NaT and pandas' NA: the values that differ from themselves, or refuse to say."""
    if value is None:
        return True
    try:
        return bool(value != value)
    except (TypeError, ValueError):
        return type(value).__name__ == "NAType"


def from_arrays(x: Any, y: Any = None, weight: Any = None, name: str = "data") -> Table:
    """A table of an array (n, features...) and a target (n,) or (n, k).

    >>> from_arrays(np.zeros((4, 2)), ["a", "b", "a", "b"]).rows
    4
    """
    inputs = as_array(x, "X")
    if inputs.ndim == 1:
        raise DataError(
            f"X has the shape {inputs.shape}; give (rows, features): "
            "X.reshape(-1, 1) for one feature, X.reshape(1, -1) for one row."
        )
    if not len(inputs):
        raise DataError("X has no rows; give at least two.")
    target = None if y is None else as_target(y)
    return Table(
        x=inputs,
        y=target,
        weight=None if weight is None else as_weight(weight, name),
        name=name,
        image_shape=_image_shape(inputs.shape),
        source=Source("memory", held=(inputs,) if target is None else (inputs, target)),
    )


def _image_shape(shape: tuple[int, ...]) -> tuple[int, int, int] | None:
    """Four axes are (n, height, width, channels); three may be sequences, so they say nothing."""
    return (shape[1], shape[2], shape[3]) if len(shape) == 4 else None


def as_array(x: Any, what: str) -> np.ndarray:
    """A real numeric array of at least one axis."""
    if hasattr(x, "toarray"):
        x = x.toarray()  # SciPy's sparse matrices: the engine computes with dense rows
    try:
        array = np.asarray(x)
        if array.dtype.hasobject:
            array = array.astype(np.float64)
    except (TypeError, ValueError):
        raise DataError(
            f"{what} is not a numeric array; give numbers in rows of equal length, "
            "or columns of other kinds as a polars or pandas frame."
        ) from None
    if array.ndim == 0 or array.dtype.kind not in "biuf":
        raise DataError(
            f"{what} is of the kind {array.dtype} with shape {array.shape}; give real numbers as "
            "an array (rows, features), or columns of other kinds as a polars or pandas frame."
        )
    return array


def as_target(y: Any) -> np.ndarray | pl.Series:
    """A target (n,) or (n, k); (n, 1) counts as (n,)."""
    if isinstance(y, pl.Series):
        return y
    if is_frame(y):
        frame = as_frame(y)
        return frame.to_series() if frame.width == 1 else as_array(frame.to_numpy(), "y")
    array = np.asarray(y)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim == 2:
        return as_array(array, "y").astype(np.float64)
    if array.ndim != 1:
        raise DataError(f"y has the shape {array.shape}; give (rows,), or (rows, targets).")
    if array.dtype.kind not in "biufUOM":
        raise DataError(f"y is of the kind {array.dtype}; give numbers or labels.")
    return array


def as_weight(weight: Any, where: str) -> np.ndarray:
    """Row weights: finite, not negative, not all 0."""
    values = as_array(weight, "weights").astype(np.float64)
    if values.ndim != 1:
        raise DataError(f"{where}: weights have the shape {values.shape}; give one per row.")
    bad = np.flatnonzero(~((values >= 0) & (values <= _HEAVIEST)))
    if len(bad):
        raise DataError(
            f"{where}: the weight in row {bad[0] + 1} is {values[bad[0]]}; "
            f"weights must be from 0 to {_HEAVIEST:g}."
        )
    if not values.any():
        raise DataError(f"{where}: all weights are 0; give some rows weight.")
    return values


def first_line(error: BaseException) -> str:
    """The first line of a foreign message, without a full stop."""
    lines = str(error).strip().splitlines()
    return (lines[0] if lines else type(error).__name__).rstrip(".")
