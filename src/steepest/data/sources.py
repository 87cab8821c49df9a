"""`load`: any source to a `Table`, with the target found and the task guessed."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from typing import Any, get_args

import numpy as np
import polars as pl

from steepest.core.errors import DataError, UsageError, suggest
from steepest.data.bundled import BUNDLED, bundled
from steepest.data.compressed import bare_name
from steepest.data.dataset import Source, Table, Task
from steepest.data.files import find_format, read_frame
from steepest.data.idx import load_idx
from steepest.data.images import load_images
from steepest.data.memory import as_frame, as_target, as_weight, from_arrays, is_frame
from steepest.data.numpy_files import load_npz, read_npy
from steepest.data.sql import read_sql
from steepest.data.svmlight import load_svmlight
from steepest.data.synthetic import SYNTHETIC, synthetic
from steepest.data.target import check_target, guess_task, rows_text

TARGET_NAMES = ("target", "label", "class", "y")


def load(
    source: Any,
    *,
    target: str | Sequence[str] | None = None,
    test: Any = None,
    weights: Any = None,
    drop: Sequence[str] = (),
    task: Task | None = None,
    labelled: bool = True,
    encoding: str | None = None,
) -> Table:
    """Rows from a name, a file, arrays or a frame.

    `source` is one of: a bundled set (`iris wine breast_cancer diabetes digits`); a synthetic set
    (`moons circles spirals blobs`, with options as in `moons:n=2000,noise=0.2`); a file (CSV
    and its kin, Parquet, Arrow, NPZ, NPY, JSON lines, SVMlight; compressed or not); a folder of IDX
    files, or of images with a subfolder a class; `sql:URL QUERY`; a pair (X, y) of arrays; a
    polars, pandas or pyarrow frame, alone or in a pair with y; a `Table`.

    `target` names the target column, or several for regression; without it a column named
    target, label, class or y is taken, else the last one, and `notes` says which. `test` is
    another source whose rows are kept for testing. `weights` names a column, or is an array.
    `drop` names columns to leave out. `task` overrides the guess. `labelled=False` reads rows to
    predict: no target is looked for, though a column that `target` names is set apart.

    Raises DataError for data that cannot be used.

    >>> load("moons:n=200,noise=0.1").rows
    200
    >>> load((np.eye(4), [0.1, 0.7, 0.2, 0.9])).task
    'regression'
    """
    if task is not None and task not in get_args(Task):
        raise UsageError(f"task={task!r} is not known; {suggest(task, get_args(Task))}")
    drop = (drop,) if isinstance(drop, str) else tuple(drop)
    table = _read(source, target, weights, drop, labelled, encoding)
    check_inputs(table, whole=labelled)
    table = _with_task(table, task)
    if test is not None:
        if not isinstance(weights, str):
            weights = None
        label = table.target if table.frame is not None else None
        held = _read(test, label, weights, drop, True, encoding)
        check_inputs(held, whole=False)
        table = dataclasses.replace(table, test=_with_task(held, table.task))
    return table


def check_inputs(table: Table, whole: bool) -> None:
    """Raise DataError for infinite values and, in a `whole` table, for columns without any value.

    This is done on the rows as read, where row numbers are those of the file.
    """
    if table.frame is None:
        x = np.asarray(table.x)
        if x.dtype.kind == "f":
            with np.errstate(over="ignore", invalid="ignore"):
                suspicious = not np.isfinite(x.sum())
            bad = np.argwhere(np.isinf(x))[:1] if suspicious else np.empty((0, 2))
            if len(bad):
                row, place = int(bad[0][0]), tuple(map(int, bad[0][1:]))
                named = table.features[place[0]] if len(place) == 1 else str(place)
                raise DataError(
                    f"{table.where}: column {named!r} is infinite in row {table.first + row + 1}; "
                    "inputs must be finite: correct or remove such rows."
                )
        return
    for series in table.frame.get_columns():
        if series.dtype.is_float():
            bad = series.is_infinite().arg_true().to_numpy()
            if len(bad):
                raise DataError(
                    f"{table.where}: column {series.name!r} is infinite in "
                    f"{rows_text(bad + table.first)}; inputs must be finite: correct or remove "
                    "such rows."
                )
    if whole:
        refuse_empty(table, table.without_values)


def refuse_empty(table: Table, without_values: list[str]) -> None:
    """Raise DataError where there are columns without any value."""
    if without_values:
        name = without_values[0]
        raise DataError(
            f"{table.where}: column {name!r} has no value in any row; "
            f"leave it out (drop {name!r}), or fill it in."
        )


def check_there(path: Any) -> None:
    """Raise DataError for a name that is neither a path nor a data set's."""
    if isinstance(path, (str, os.PathLike)) and not os.path.exists(path):
        text, known = os.fspath(path), sorted([*BUNDLED, *SYNTHETIC])
        if text.partition(":")[0] not in (*known, "sql"):
            raise DataError(
                f"{text!r} is neither a file nor a known data set; {suggest(text, known)}"
            )


def _read(source, target, weights, drop, labelled, encoding) -> Table:
    if isinstance(source, Table):
        return source
    if isinstance(source, (str, os.PathLike)):
        text = os.fspath(source)
        if text in BUNDLED:
            return _named(bundled(text), target, weights, drop)
        if text.partition(":")[0] in SYNTHETIC:
            return _named(synthetic(text), target, weights, drop)
        return _read_path(text, target, weights, drop, labelled, encoding)
    if isinstance(source, tuple):
        if len(source) != 2:
            raise UsageError(f"A tuple of {len(source)} cannot be read; give a pair (X, y).")
        x, y = source
        if is_frame(x):
            frame = as_frame(x)
            origin = Source("memory", held=(frame,) if y is None else (frame, y))
            return table_of(frame, "data", origin, None, weights, drop, y is not None, y)
        return from_arrays(x, y, weights)
    if is_frame(source):
        frame = as_frame(source)
        origin = Source("memory", held=(frame,))
        return table_of(frame, "data", origin, target, weights, drop, labelled)
    return from_arrays(source, None, weights)


def _named(table: Table, target, weights, drop) -> Table:
    """Rows that come with their target: the options that need a table's columns do not apply."""
    for name, value in (("target", target), ("weights", weights), ("drop", drop)):
        if value is not None and value != () and value != table.target:
            raise UsageError(
                f"{name}={value!r} does not apply to {table.where!r}, which has its own target and "
                "no columns to choose from; leave it out, or give a table."
            )
    return table


def _read_path(text: str, target, weights, drop, labelled, encoding) -> Table:
    if text.startswith("sql:"):
        frame, name = read_sql(text)
        origin = Source(name, held=(frame,))
        return table_of(frame, name, origin, target, weights, drop, labelled)
    check_there(text)
    form = find_format(text)
    if form in ("idx", "images", "svmlight"):
        read = {"idx": load_idx, "images": load_images, "svmlight": load_svmlight}[form]
        return _named(read(text), target, weights, drop)
    if form == "npz":
        if drop:
            raise UsageError(f"drop={drop!r} does not apply to {text!r}, which has no columns.")
        return load_npz(text, target, weights, labelled)
    data = read_npy(text) if form == "npy" else read_frame(text, form, encoding)
    if isinstance(data, np.ndarray):
        return dataclasses.replace(
            from_arrays(data, name=_short(text)), source=Source(text, (text,))
        )
    return table_of(data, text, Source(text, (text,)), target, weights, drop, labelled)


def table_of(
    frame: pl.DataFrame,
    name: str,
    origin: Source,
    target: str | Sequence[str] | None,
    weights: Any,
    drop: Sequence[str],
    labelled: bool = True,
    y: Any = None,
) -> Table:
    """Columns to inputs, target and weights."""
    notes: list[str] = []
    for column in drop:
        _require(column, frame, name, "the column to drop")
    frame = frame.drop(drop)
    weight = None
    if isinstance(weights, str):
        if labelled or weights in frame.columns:
            _require(weights, frame, name, "the column of weights")
            weight = as_weight(_weights_column(frame[weights], name), name)
            frame = frame.drop(weights)
    elif weights is not None:
        weight = as_weight(weights, name)
    values: Any = None
    label: str | tuple[str, ...] = "target"
    if y is not None:
        values = as_target(y)
        if isinstance(values, pl.Series) and values.name:
            label = values.name
    elif labelled:
        label, guessed = _find_target(frame, target, name)
        if guessed:
            notes.append(f"The target is the column {label!r}; give `target` for another.")
        values = _target_values(frame, label, name)
        frame = frame.drop(label)
    elif target is not None:
        names = [target] if isinstance(target, str) else list(target)
        label = target if isinstance(target, str) else tuple(target)
        frame = frame.drop([n for n in names if n in frame.columns])
    if not frame.width:
        raise DataError(
            f"{name}: there is no column left to learn from beside the target; "
            "give a table with at least one input column."
        )
    if not frame.height:
        raise DataError(f"{name}: there are no rows below the header; give rows of data.")
    return Table(
        frame=frame,
        y=values,
        weight=weight,
        name=_short(origin.place) if origin.paths else name,
        target=label,
        source=origin,
        notes=tuple(notes),
    )


def _short(path: str) -> str:
    """`flights` for `data/flights.csv.gz`."""
    return bare_name(path).partition(".")[0] or "data"


def _find_target(frame: pl.DataFrame, target, name: str) -> tuple[str | tuple[str, ...], bool]:
    if target is not None and not isinstance(target, str):
        for one in target:
            _require(one, frame, name, "the target")
        return (target[0] if len(target) == 1 else tuple(target)), False
    if isinstance(target, str):
        _require(target, frame, name, "the target")
        return target, False
    if not frame.width:
        raise DataError(f"{name}: there are no columns; give a table with inputs and a target.")
    lower = {column.lower(): column for column in reversed(frame.columns)}
    for known in TARGET_NAMES:
        if known in lower:
            return lower[known], True
    return frame.columns[-1], True


def _target_values(frame: pl.DataFrame, label, name: str) -> np.ndarray | pl.Series:
    if isinstance(label, str):
        return frame[label]
    for one in label:
        if not frame[one].dtype.is_numeric():
            raise DataError(
                f"{name}: the target column {one!r} holds {frame[one].dtype}, but several targets "
                "must all be numbers; give one target, or numeric ones."
            )
    return frame.select(label).cast(pl.Float64).to_numpy()


def _weights_column(series: pl.Series, name: str) -> np.ndarray:
    if not (series.dtype.is_numeric() or series.dtype == pl.Boolean):
        raise DataError(
            f"{name}: the column of weights {series.name!r} holds {series.dtype}; give numbers."
        )
    return series.cast(pl.Float64).to_numpy()


def _require(column: str, frame: pl.DataFrame, name: str, what: str) -> None:
    if column not in frame.columns:
        shown = ", ".join(map(repr, frame.columns[:30])) + (", ..." if frame.width > 30 else "")
        raise DataError(f"{name}: {what} {column!r} is not there; the columns are {shown}.")


def _with_task(table: Table, task: Task | None) -> Table:
    if table.y is None:
        return dataclasses.replace(table, task=task or table.task)
    label = table.target if isinstance(table.target, str) else ", ".join(table.target)
    if not isinstance(table.y, pl.Series) or table.task is None:
        check_target(table.y, label, table.where)
    notes = table.notes
    if task is None and table.task is None:
        task, reason = guess_task(table.y)
        notes += (f"The task is {task}, as the target has {reason}; give `task` for another.",)
    return dataclasses.replace(table, task=task or table.task, notes=notes)
