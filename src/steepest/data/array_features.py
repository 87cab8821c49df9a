"""Numeric arrays as inputs: standardised per feature, images as a whole."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from steepest.core.errors import DataError
from steepest.data.columns import FARTHEST, Warn
from steepest.data.dataset import Table
from steepest.data.moments import Moments, blocks, moments
from steepest.data.report import ColumnReport
from steepest.data.target import LIMIT, rows_text


@dataclass(frozen=True)
class ArrayFeatures:
    """z = (x - mean) / scale, per feature for (n, d), with one mean and scale for images.

    Features that do not vary in training become 0. Where training has missing values (NaN), they
    become the mean, and a column of zeros and ones at the end says where.
    """

    shape: tuple[int, ...]
    names: tuple[str, ...]
    mean: np.ndarray
    scale: np.ndarray
    fill: np.ndarray
    flagged: tuple[int, ...] = ()
    constant: tuple[int, ...] = ()
    whole: bool = False
    standardized: bool = True

    @classmethod
    def fit(cls, table: Table, standardize: bool = True, embed: bool = False) -> ArrayFeatures:
        """Mean and standard deviation over the rows, weighted where the rows have weights.

        There is nothing to `embed` in arrays of numbers.
        """
        x = numeric(table)
        if x.ndim == 1 or 0 in x.shape:
            raise DataError(
                f"{table.where}: the inputs have the shape {x.shape}; give at least one row and "
                "one feature, as an array of shape (rows, features)."
            )
        flat = x.reshape(len(x), -1)
        m = moments(flat, table.weight)
        refuse(table, flat, m.low, m.high)
        return cls.of(table, m, standardize)

    @classmethod
    def of(cls, table: Table, m: Moments, standardize: bool = True) -> ArrayFeatures:
        """The encoder for arrays like that of `table` whose features have these moments."""
        x = numeric(table)
        shape = tuple(x.shape[1:])
        if x.ndim > 2 or table.image_shape is not None:
            return cls._whole(table, m, shape, standardize)
        if np.all(np.isinf(m.low)):
            raise DataError(f"{table.where}: all values are missing; give rows with values.")
        constant = m.constant if standardize else np.zeros(len(m.mean), bool)
        scale = np.where(m.constant | ~(m.sd > 0), 1.0, m.sd)
        return cls(
            shape,
            table.features,
            m.mean if standardize else np.zeros_like(m.mean),
            scale if standardize else np.ones_like(scale),
            m.mean,
            # A feature that is never there says nothing by being absent.
            tuple(np.flatnonzero((m.missing > 0) & ~np.isinf(m.low)).tolist()),
            tuple(np.flatnonzero(constant).tolist()),
            standardized=standardize,
        )

    @classmethod
    def _whole(cls, table, m, shape, standardize) -> ArrayFeatures:
        # The moments of the features, each over all rows, combine into those of the whole.
        if m.missing.any():
            raise DataError(
                f"{table.where}: images with missing values (NaN) cannot be used; "
                "fill them in, or remove those images."
            )
        mean = m.mean.mean()
        sd = np.sqrt(np.mean(m.sd**2 + (m.mean - mean) ** 2))
        if not (standardize and m.low.min() < m.high.max()):
            mean, sd = 0.0, 1.0
        one = np.ones(1)
        return cls(
            shape,
            table.features,
            one * mean,
            one * sd,
            one * mean,
            whole=True,
            standardized=standardize,
        )

    @property
    def inputs(self) -> tuple[int, ...]:
        """The shape of one encoded row."""
        return (self.shape[0] + len(self.flagged),) if len(self.shape) == 1 else self.shape

    @property
    def codes(self) -> tuple[tuple[int, int], ...]:
        """No input is a code."""
        return ()

    @property
    def report(self) -> list[ColumnReport]:
        """A line a feature, or one for the whole array where features have no names."""
        if self.whole or len(self.names) != self.shape[0]:
            if not self.standardized:
                action = "kept as it is"
            else:
                action = f"(x - {self.mean[0]:.6g}) / {self.scale[0]:.6g} for all values"
            shape = " x ".join(map(str, self.shape))
            return [ColumnReport("x", f"array {shape}", action, int(np.prod(self.shape)))]
        lines = []
        for i, name in enumerate(self.names):
            if i in self.constant:
                action = "constant in training, set to 0"
            elif self.standardized:
                action = f"(x - {self.mean[i]:.6g}) / {self.scale[i]:.6g}"
            else:
                action = "kept as it is"
            if i in self.flagged:
                action += f", missing set to {self.fill[i]:.6g} and marked"
            lines.append(ColumnReport(name, "number", action, 1 + (i in self.flagged)))
        return lines

    def transform(self, table: Table, dtype, warn: Warn) -> np.ndarray:
        """Encoded rows of `table`, contiguous, of `dtype`."""
        x = self._arrange(table, warn)
        flat = x.reshape(len(x), int(np.prod(self.shape)))
        d = flat.shape[1]
        out = np.empty((len(x), d + len(self.flagged)), dtype)
        surprising = np.zeros(d, bool)
        for rows in blocks(flat):
            part = flat[rows].astype(np.float64)
            absent = np.isnan(part)
            if absent.any():
                surprising |= absent.any(axis=0)
                part = np.where(absent, self.fill, part)
            if not np.isfinite(part).all():
                largest = float(np.finfo(np.float64).max)
                refuse(
                    table,
                    part,
                    part.min(axis=0),
                    part.max(axis=0),
                    largest,
                    table.first + rows.start,
                )
            part -= self.mean
            part /= self.scale
            np.clip(part, -FARTHEST, FARTHEST, out=part)
            out[rows, :d] = part
            if self.flagged:
                out[rows, d:] = absent[:, self.flagged]
        if self.constant:
            out[:, self.constant] = 0.0
        surprising[list(self.flagged)] = False
        if surprising.any():
            names = [self.names[i] if self.names else str(i) for i in np.flatnonzero(surprising)]
            warn(
                f"{', '.join(names[:5])}: values are missing here but were never missing in "
                "training; the training mean is put in their place.",
                "missing",
            )
        return out.reshape(len(x), *self.inputs)

    def _arrange(self, table: Table, warn: Warn) -> np.ndarray:
        """The array in training's features, by name where the table has names, else by place."""
        frame = table.frame
        if frame is not None and set(self.names) <= set(frame.columns):
            return numeric(
                Table(frame=frame.select(self.names), name=table.name, source=table.source)
            )
        if frame is not None and len(self.shape) == 1 and frame.width != self.shape[0]:
            absent = [n for n in self.names if n not in frame.columns]
            raise DataError(
                f"{table.where}: the columns {', '.join(map(repr, absent[:5]))} are missing; "
                f"the model was trained on {self.shape[0]} columns: give all of them."
            )
        x = numeric(table)
        if frame is not None:
            warn(
                f"{table.where}: the columns are named otherwise than in training; "
                "they are taken by their places.",
                "names",
            )
        if table.pads and x.ndim == 2 and len(self.shape) == 1:
            return self._pad(x, warn)
        if tuple(x.shape[1:]) == self.shape:
            return x
        if self.whole and x.ndim > 1 and np.prod(x.shape[1:]) == np.prod(self.shape):
            return x.reshape(len(x), *self.shape)
        raise DataError(
            f"{table.where}: the rows have the shape {tuple(x.shape[1:])}, training had "
            f"{self.shape}; give rows of that shape."
        )

    def _pad(self, x: np.ndarray, warn: Warn) -> np.ndarray:
        """Rows of a sparse file: features that are not written are 0."""
        d = self.shape[0]
        if x.shape[1] > d:
            warn(f"Features beyond {d} were never in training; they are left out.", "beyond")
        return np.pad(x[:, :d], ((0, 0), (0, max(0, d - x.shape[1]))))

    def to_dict(self) -> dict[str, Any]:
        return {
            "kind": "array",
            "shape": list(self.shape),
            "names": list(self.names),
            "mean": self.mean.tolist(),
            "scale": self.scale.tolist(),
            "fill": self.fill.tolist(),
            "flagged": list(self.flagged),
            "constant": list(self.constant),
            "whole": self.whole,
            "standardized": self.standardized,
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> ArrayFeatures:
        return cls(
            tuple(data["shape"]),
            tuple(data["names"]),
            np.array(data["mean"], np.float64),
            np.array(data["scale"], np.float64),
            np.array(data["fill"], np.float64),
            tuple(data["flagged"]),
            tuple(data["constant"]),
            data["whole"],
            data["standardized"],
        )


def numeric(table: Table) -> np.ndarray:
    """The inputs as an array of numbers; raises DataError where they are none."""
    if table.x is not None:
        x = np.asarray(table.x)
        if x.dtype.kind not in "biuf":
            raise DataError(
                f"{table.where}: the inputs are of the kind {x.dtype}; give numbers, "
                "or give columns of other kinds as a polars or pandas frame."
            )
        return x
    assert table.frame is not None
    try:
        return table.frame.select(pl.all().cast(pl.Float64)).to_numpy()
    except pl.exceptions.PolarsError as error:
        raise DataError(
            f"{table.where}: the columns must be numbers, as in training: {error}"
        ) from None


def refuse(table: Table, flat, low, high, limit: float = LIMIT, first: int = 0) -> None:
    """Raise DataError for a feature with a value beyond `limit`; `first` is the first row."""
    empty = low > high
    bad = np.flatnonzero(~empty & ~(np.maximum(np.abs(low), np.abs(high)) <= limit))
    if len(bad):
        i = int(bad[0])
        rows = np.flatnonzero(np.abs(flat[:, i]) > limit)
        name = table.features[i] if i < len(table.features) else str(i)
        raise DataError(
            f"{table.where}: column {name!r} is {flat[rows[0], i]:g} in {rows_text(rows + first)}; "
            f"inputs must be finite and below {LIMIT:g}: correct or remove these rows."
        )
