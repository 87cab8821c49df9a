"""`Trace`: what runs recorded on their way, as named arrays over record x seed x cell."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from steepest.core import atomic
from steepest.core.errors import FileError, UsageError, suggest

if TYPE_CHECKING:
    import pandas
    import polars

TABLES = ("steps", "epochs")
SHARED = {"step": np.int64, "epoch": np.float64, "seconds": np.float64}
"""Columns without axes of runs: all runs of a trace take their steps together."""


class Trace:
    """The record of S seeds x C cells, in two tables that grow chunk by chunk.

    `steps`: `step` (R,), `epoch` (R,), and what the probes gave, such as `loss`, `gradient_norm`,
    `step_norm`, `learning_rate`, each (R, S, C). `epochs`: `epoch` (E,), `step` (E,), `seconds`
    (E,), and what was measured, such as `train_loss`, `validation_loss`, each (E, S, C). A probe
    may record a tree or more than a number; its leaves are then (R, S, C, ...).

    A run that has ended has NaN in all later rows (0 in columns of integers); `frame` leaves these
    rows out. Rows in which no run has recorded anything are not kept.

    >>> trace = Trace(seeds=[0], cells=2)
    >>> trace.append("steps", {"step": [0, 1], "epoch": [0.0, 0.5], "loss": np.ones((2, 1, 2))})
    >>> trace.steps["loss"].shape
    (2, 1, 2)
    >>> trace.frame().columns
    ['seed', 'cell', 'step', 'epoch', 'loss']
    """

    def __init__(self, seeds: Sequence[int] | np.ndarray = (0,), cells: int = 1):
        self.seeds = np.asarray(seeds)
        self.cells = int(cells)
        if self.seeds.ndim != 1 or len(set(self.seeds.tolist())) != len(self.seeds):
            raise UsageError(f"Trace: seeds must be a list of different numbers, got {seeds!r}.")
        self._tables = {name: _Table() for name in TABLES}

    @property
    def steps(self) -> Mapping[str, Any]:
        """The table by steps: name -> array (or tree of arrays); views, valid until an append."""
        return self._tables["steps"]

    @property
    def epochs(self) -> Mapping[str, Any]:
        """The table by epochs, one row a measurement."""
        return self._tables["epochs"]

    def append(self, table: str, columns: Mapping[str, Any]) -> None:
        """Add rows to `table` (`"steps"` or `"epochs"`); the first call fixes the columns.

        The cost is that of copying the new rows, however long the trace is. `UsageError` where a
        column is missing, or has another shape than (rows, seeds, cells, ...).
        """
        arrays = {}
        for name, value in columns.items():
            dtype: Any = SHARED.get(name)
            if table == "epochs" and name == "epoch":
                dtype = np.int64
            arrays[name] = np.asarray(value, dtype) if dtype else jax.tree.map(np.asarray, value)
        self._tables[_known(table)].append(arrays, (len(self.seeds), self.cells))

    def frame(self, table: str = "steps") -> polars.DataFrame:
        """`table` as a tidy polars frame: a row for each run and record.

        Columns `seed` (its value), `cell` (its position), `step`, `epoch`, and one for each leaf;
        leaves of trees are named by their path (`layer_norms.0.weights`), and leaves that are more
        than a number have polars' `Array` type. Rows after the end of a run are left out.
        """
        import polars as pl

        columns = self._tables[_known(table)]
        leaves = dict(columns.leaves())
        shape = (len(self.seeds), self.cells, columns.rows)
        live = columns.live(shape)
        seed, cell, row = np.nonzero(live)
        out = {"seed": self.seeds[seed], "cell": cell}
        for name, array in leaves.items():
            out[name] = array[row] if name in SHARED else array[row, seed, cell]
        if not leaves:
            return pl.DataFrame(schema={"seed": pl.Int64, "cell": pl.Int64})
        return pl.DataFrame({k: _series(pl, k, v) for k, v in out.items()})

    def to_pandas(self, table: str = "steps") -> pandas.DataFrame:
        """`table` as a tidy pandas frame; see `frame`. Needs pandas."""
        import pandas as pd

        frame = self.frame(table)
        return pd.DataFrame({
            c.name: list(c.to_numpy()) if c.to_numpy().ndim > 1 else c.to_numpy() for c in frame
        })  # fmt: skip

    def write(self, path: str | os.PathLike[str]) -> None:
        """Both tables as one Parquet file, atomically.

        The rows are those of `frame`, with a first column `table` that says `steps` or `epochs`;
        what a table does not have is null there:
        `polars.scan_parquet(path).filter(polars.col("table") == "epochs")`.
        """
        import polars as pl

        frames = []
        for name in TABLES:
            frame = self.frame(name)
            if "epoch" in frame.columns:
                frame = frame.with_columns(pl.col("epoch").cast(pl.Float64))
            frames.append(frame.select(pl.lit(name).alias("table"), pl.all()))
        buffer = io.BytesIO()
        pl.concat(frames, how="diagonal_relaxed").write_parquet(buffer)
        atomic.write_bytes(path, buffer.getvalue())

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> Trace:
        """The trace that `write` wrote; trees come back as columns named by their paths.

        `FileError` where the file is missing, truncated, or not such a trace.
        """
        import polars as pl

        try:
            with open(path, "rb") as file:
                whole = pl.read_parquet(io.BytesIO(file.read()))
            seeds = whole["seed"].unique(maintain_order=True).to_numpy()
            trace = cls(seeds, int(whole["cell"].max() or 0) + 1)  # type: ignore[arg-type]
            for name in TABLES:
                frame = whole.filter(pl.col("table") == name).drop("table")
                trace.append(name, _columns(frame, seeds, trace.cells))
        except OSError as e:
            raise FileError(f"{os.fspath(path)} cannot be read: {e.strerror or e}.") from e
        except (pl.exceptions.PolarsError, UsageError, ValueError, TypeError, IndexError) as e:
            raise FileError(
                f"{os.fspath(path)} is not a trace of steepest, or it was altered or cut short."
            ) from e
        return trace

    def __repr__(self) -> str:
        rows = ", ".join(f"{name}={t.rows}" for name, t in self._tables.items())
        return f"Trace(seeds={len(self.seeds)}, cells={self.cells}, {rows})"


class _Table(Mapping):
    """Columns that grow together; buffers double, so that appending costs the new rows only."""

    def __init__(self) -> None:
        self.rows = 0
        self._structures: dict[str, Any] = {}
        self._paths: list[str] = []
        self._buffers: list[np.ndarray] = []

    def append(self, columns: dict[str, Any], runs: tuple[int, int]) -> None:
        paths, arrays, structures = [], [], {}
        for name, value in columns.items():
            named, structures[name] = jax.tree_util.tree_flatten_with_path(value)
            paths += [_path(name, keys) for keys, _ in named]
            arrays += [a for _, a in named]
        if not arrays:
            return
        count = len(arrays[0])
        for path, a in zip(paths, arrays, strict=True):
            want = (count,) if path in SHARED else (count, *runs)
            if a.shape[: len(want)] != want or (path in SHARED and a.ndim != 1):
                raise UsageError(
                    f"Trace: column {path!r} has shape {a.shape}; it must begin with {want}."
                )
        if not self._structures:
            self._structures, self._paths = structures, paths
            self._buffers = [np.empty((0, *a.shape[1:]), a.dtype) for a in arrays]
        elif structures != self._structures:
            raise UsageError(
                f"Trace: the columns {', '.join(paths)} are not those of the rows before: "
                f"{', '.join(self._paths)}."
            )
        end = self.rows + _recorded(paths, arrays, count)
        place = {path: i for i, path in enumerate(self._paths)}
        for path, a in zip(paths, arrays, strict=True):
            i = place[path]
            if end > len(self._buffers[i]):
                grown = np.empty((max(end, 2 * self.rows), *a.shape[1:]), self._buffers[i].dtype)
                grown[: self.rows] = self._buffers[i][: self.rows]
                self._buffers[i] = grown
            self._buffers[i][self.rows : end] = a[: end - self.rows]
        self.rows = end

    def leaves(self) -> Iterator[tuple[str, np.ndarray]]:
        """(path, array) of every leaf."""
        for path, buffer in zip(self._paths, self._buffers, strict=True):
            yield path, buffer[: self.rows]

    def live(self, shape: tuple[int, int, int]) -> np.ndarray:
        """(seeds, cells, rows): whether the run had not ended before that row."""
        known = np.zeros((self.rows, *shape[:2]), bool)
        judged = False
        for path, a in self.leaves():
            if path not in SHARED and np.issubdtype(a.dtype, np.floating):
                judged = True
                known |= ~np.isnan(a).all(axis=tuple(range(3, a.ndim)))
        if not judged:
            known[:] = True
        # A NaN inside a run is a fact about it; only what follows its last number is no row.
        live = np.logical_or.accumulate(known[::-1], axis=0)[::-1]
        return np.moveaxis(live, 0, -1)

    def __getitem__(self, name: str) -> Any:
        at = 0
        for column, structure in self._structures.items():
            if column == name:
                leaves = [b[: self.rows] for b in self._buffers[at : at + structure.num_leaves]]
                return jax.tree.unflatten(structure, leaves)
            at += structure.num_leaves
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._structures)

    def __len__(self) -> int:
        return len(self._structures)


def _recorded(names: list[str], arrays: list[np.ndarray], count: int) -> int:
    """How many rows there are up to the last in which some run has recorded a number."""
    judged = [
        ~np.isnan(a).all(axis=tuple(range(1, a.ndim)))
        for n, a in zip(names, arrays, strict=True)
        if n not in SHARED and np.issubdtype(a.dtype, np.floating) and a.size
    ]
    if not judged:
        return count
    rows = np.flatnonzero(np.logical_or.reduce(judged))
    return int(rows[-1]) + 1 if len(rows) else 0


def _columns(frame: polars.DataFrame, seeds: np.ndarray, cells: int) -> dict[str, np.ndarray]:
    """The arrays (rows, seeds, cells, ...) of a tidy frame."""
    if frame.is_empty():
        return {}
    steps, row = np.unique(frame["step"].to_numpy(), return_inverse=True)
    place = {int(s): i for i, s in enumerate(seeds)}
    seed = np.asarray([place[int(s)] for s in frame["seed"].to_numpy()])
    cell = frame["cell"].to_numpy()
    out = {}
    for column in frame.drop("seed", "cell"):
        if column.null_count() == len(column):
            continue
        values = column.to_numpy()
        if column.name in SHARED:
            array = np.empty(len(steps), values.dtype)
            array[row] = values
        else:
            blank = np.nan if np.issubdtype(values.dtype, np.floating) else 0
            array = np.full((len(steps), len(seeds), cells, *values.shape[1:]), blank, values.dtype)
            array[row, seed, cell] = values
        out[column.name] = array
    return out


def _series(pl: Any, name: str, values: np.ndarray) -> Any:
    # Booleans and integers of any width have a polars type; half precision has not everywhere.
    if values.dtype.kind == "f" and values.dtype.itemsize < 4:
        values = values.astype(np.float32)
    return pl.Series(name, np.ascontiguousarray(values))


def _path(name: str, keys: tuple) -> str:
    """`layer_norms.0.weights` for a column and a path of JAX's keys in it."""
    parts = (getattr(k, "key", getattr(k, "idx", getattr(k, "name", k))) for k in keys)
    return ".".join(map(str, (name, *parts)))


def _known(table: str) -> str:
    if table not in TABLES:
        raise UsageError(f"Trace has no table {table!r}; {suggest(table, TABLES)}")
    return table
