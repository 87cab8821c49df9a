"""`Table`: rows as read, before any encoding; `Arrays`: the numbers that training sees."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from steepest.core.errors import DataError

if TYPE_CHECKING:
    # Minimising a function needs `Arrays` from here, but no tables: polars takes 0.1 s to import.
    import polars as pl

    from steepest.data.split import Split

Task = Literal["classification", "regression"]


@dataclass(frozen=True, eq=False)
class Arrays:
    """Encoded rows: inputs, targets and weights, with the rows on the first axis.

    `x` is a contiguous float array of shape (n, features...); `y` is an int32 class index (n,), a
    float target (n,) or (n, k) in scaled units, or None where there is no target; `weight` is a
    float (n,) or None, which means 1 for every row.
    """

    x: np.ndarray
    y: np.ndarray | None = None
    weight: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.x)

    def take(self, rows: np.ndarray) -> Arrays:
        """These rows, by number."""
        y, weight = (None if a is None else a[rows] for a in (self.y, self.weight))
        return Arrays(self.x[rows], y, weight)


@dataclass(frozen=True, eq=False)
class Source:
    """Where rows came from, so that a resumed run can tell whether they are still the same.

    `place` is a path, a bundled name, or a word for rows from memory. The checksum is computed when
    `fingerprint` is first read, as it costs a pass over the bytes.
    """

    place: str
    paths: tuple[str, ...] = ()
    held: tuple[Any, ...] = ()

    @cached_property
    def fingerprint(self) -> dict[str, Any]:
        """`{"path", "size", "sha256"}`: the size in bytes, the SHA-256 of all bytes."""
        digest, size = hashlib.sha256(), 0
        for path in self.paths:
            digest.update(os.path.basename(path).encode())
            with open(path, "rb") as file:
                while block := file.read(1 << 20):
                    digest.update(block)
                    size += len(block)
        for array in self.held:
            size += _digest(digest, array)
        return {"path": self.place, "size": size, "sha256": digest.hexdigest()}


def _digest(digest, array) -> int:
    import polars as pl

    if isinstance(array, pl.DataFrame):
        return sum(_digest(digest, array[name].alias(name)) for name in array.columns)
    if isinstance(array, pl.Series):
        digest.update(f"{array.name} {array.dtype}".encode())
        _digest(digest, array.is_null().to_numpy())
        return _digest(digest, _bytes(array))
    array = np.asarray(array)
    digest.update(f"{array.dtype} {array.shape}".encode())
    if array.dtype.hasobject:
        digest.update(repr(array.tolist()).encode())
    else:
        digest.update(np.ascontiguousarray(array).view(np.uint8).data)
    return int(array.nbytes)


def _bytes(series: pl.Series) -> np.ndarray:
    """The values as an array; polars' own hashes change with its version, so they are not used."""
    import polars as pl

    if series.dtype in (pl.Categorical, pl.Enum):
        series = series.cast(pl.String)
    if series.dtype == pl.String:
        lengths = series.str.len_bytes().fill_null(0).to_numpy()
        joined = str(series.fill_null("").str.join("").item()).encode()
        return np.concatenate([lengths.view(np.uint8), np.frombuffer(joined, np.uint8)])
    physical = series.to_physical()
    if physical.dtype.is_numeric() or physical.dtype == pl.Boolean:
        return physical.fill_null(0).to_numpy()
    return np.array([str(v) for v in series])


@dataclass(frozen=True, eq=False)
class Table:
    """Rows as read, before encoding.

    The inputs are either `frame` (named columns of any kind) or `x` (a numeric array of shape
    (n, features...)). `y` is the raw target: a series or an array of shape (n,), an array of shape
    (n, k) for several regression targets, or None. `weight` holds one number per row, or is None.
    `image_shape` is (height, width, channels) where the rows are images, flattened or not. `test`
    is a table that the user set apart for testing; `split` honours it. `pads` says that features
    beyond the last column are zero, as in sparse files. `notes` are sentences on
    what was guessed. `first` is the number of the first row, for a piece of a longer table.
    """

    frame: pl.DataFrame | None = None
    x: np.ndarray | None = None
    y: np.ndarray | pl.Series | None = None
    weight: np.ndarray | None = None
    name: str = "data"
    target: str | tuple[str, ...] = "target"
    task: Task | None = None
    features: tuple[str, ...] = ()
    image_shape: tuple[int, int, int] | None = None
    source: Source = Source("memory")
    test: Table | None = None
    pads: bool = False
    notes: tuple[str, ...] = ()
    first: int = 0

    def __post_init__(self) -> None:
        if (self.frame is None) == (self.x is None):
            raise DataError(f"{self.where}: give the rows either as `frame` or as `x`, not both.")
        n = len(self)
        for what, values in (("the target", self.y), ("the weights", self.weight)):
            if values is not None and len(values) != n:
                raise DataError(
                    f"{self.where}: {what} have {len(values)} rows but the inputs have {n}; "
                    "they must be equal."
                )
        if not self.features:
            object.__setattr__(self, "features", self._feature_names())

    def _feature_names(self) -> tuple[str, ...]:
        if self.frame is not None:
            return tuple(self.frame.columns)
        if self.x is not None and self.x.ndim == 2:
            return tuple(f"x{i}" for i in range(self.x.shape[1]))
        return ()

    def __len__(self) -> int:
        return self.frame.height if self.frame is not None else len(self.x)  # type: ignore[arg-type]

    @property
    def where(self) -> str:
        """How messages call this table: by the path of its file where it has one."""
        return self.source.place if self.source.paths else self.name

    @property
    def rows(self) -> int:
        """The number of rows."""
        return len(self)

    @property
    def without_values(self) -> list[str]:
        """The columns in which every value is missing."""
        if self.frame is None:
            return []
        return [
            s.name
            for s in self.frame.get_columns()
            if s.null_count() + int(s.is_nan().sum() if s.dtype.is_float() else 0) == len(s)
        ]

    def take(self, index: Sequence[int] | np.ndarray) -> Table:
        """The rows of these indices, in this order; the test table stays behind."""
        index = np.asarray(index)
        in_line = len(index) and np.array_equal(index, np.arange(index[0], index[0] + len(index)))
        return dataclasses.replace(
            self,
            frame=None if self.frame is None else self.frame[index],
            x=None if self.x is None else self.x[index],
            y=None if self.y is None else self.y[index],
            weight=None if self.weight is None else self.weight[index],
            test=None,
            first=self.first + int(index[0]) if in_line else 0,
        )

    def split(self, validation: float = 0.15, test: float = 0.2, seed: int = 0) -> Split:
        """Training, validation and test rows; see `steepest.data.split.split`."""
        from steepest.data.split import split

        return split(self, validation=validation, test=test, seed=seed)

    def __repr__(self) -> str:
        what = f"{self.rows} rows, {len(self.features) or self.x.shape[1:]} features"  # type: ignore[union-attr]
        return f"Table({self.name!r}, {what}, target={self.target!r}, task={self.task!r})"
