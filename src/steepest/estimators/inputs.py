"""What estimators are given: rows, targets and weights, checked and made into arrays."""

from __future__ import annotations

import contextlib
import numbers
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_array, validate_data

from steepest.core.errors import DataError
from steepest.data.dataset import Arrays
from steepest.data.moments import moments
from steepest.engine.runs import bucket
from steepest.estimators import sparse

SMALL = 2**17
"""Inputs of so few numbers are filled up to round shapes, so that programs are shared."""


def check_fit(estimator: Any, X: Any, y: Any, *, reset: bool = True, **how: Any) -> tuple[Any, Any]:
    """(X, y) as scikit-learn checks them; X an array of numbers or a CSR matrix."""
    with naming_columns(X):
        rows, y = validate_data(
            estimator, X, y, reset=reset, accept_sparse="csr", dtype="numeric", **how
        )
        rows = _numbers(rows)
    if how.get("y_numeric") and y.dtype.kind in "US":
        raise DataError(
            f"y holds text, such as {str(y.ravel()[0])!r}; {type(estimator).__name__} needs "
            "numbers: convert them, as y.astype(float) does."
        )
    return rows, y


def check_rows(estimator: Any, X: Any) -> Any:
    """New rows for a fitted estimator: as many features, under the same names."""
    with naming_columns(X):
        rows = validate_data(estimator, X, reset=False, accept_sparse="csr", dtype="numeric")
        return _numbers(rows)


def _numbers(X: Any) -> Any:
    # Objects come out of scikit-learn's check of a polars frame as they went in.
    return X.astype(np.float64) if X.dtype.kind not in "fiub" else X


@contextlib.contextmanager
def naming_columns(X: Any) -> Iterator[None]:
    """Say of text in a frame in which column it stands, and what to do about it."""
    try:
        yield
    except ValueError as error:
        if "could not convert string to float" not in str(error) or not hasattr(X, "columns"):
            raise
        raise DataError(f"X: {_text_in(X)}{error}; encode it, as OneHotEncoder does.") from error


def _text_in(frame: Any) -> str:
    """The columns of a frame that hold text, named."""
    named = [c for c in frame.columns if isinstance(c, str) and _is_text(frame[c])]
    return f"column {', '.join(named)} holds text: " if named else ""


def _is_text(column: Any) -> bool:
    values = np.asarray(column)
    return values.dtype.kind in "OUST" and any(isinstance(v, str) for v in values.ravel())


def check_weight(sample_weight: Any, rows: int) -> np.ndarray:
    """Row weights as float64 (rows,), ones for None."""
    if sample_weight is None:
        return np.ones(rows)
    if isinstance(sample_weight, numbers.Number):
        sample_weight = np.full(rows, sample_weight)
    weight = check_array(
        sample_weight, ensure_2d=False, dtype=np.float64, input_name="sample_weight"
    )
    if weight.shape != (rows,):
        raise DataError(
            f"sample_weight has the shape {weight.shape}; give one weight for each of the "
            f"{rows} rows, a 1D array."
        )
    if weight.min() < 0:
        raise DataError(f"sample_weight must not be negative, got {weight.min()}.")
    if not weight.any():
        raise DataError("Sample weights must contain at least one non-zero number.")
    return weight


def dense(X: Any, dtype: Any = np.float64) -> np.ndarray:
    """Rows as a contiguous array of `dtype`, not copied where they are that already."""
    dtype = np.dtype(dtype)
    if sp.issparse(X):
        X = X.toarray()
    out = np.ascontiguousarray(X, dtype)
    if out.dtype != X.dtype:
        require_finite(out)
    return out


def require_finite(x: np.ndarray) -> None:
    """Refuse rows that became infinite in their number type."""
    # A sum is finite only where all is; what overflows in the sum alone is looked at closely.
    with np.errstate(over="ignore", invalid="ignore"):
        if not np.isfinite(x.sum()) and not np.isfinite(x).all():
            raise DataError(
                f"X holds values too large for {x.dtype.name}; scale it, or use float64."
            )


def aligned(shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """An empty array that begins at a multiple of 64 bytes, which JAX takes without copying it."""
    dtype = np.dtype(dtype)
    size = int(np.prod(shape)) * dtype.itemsize
    raw = np.empty(size + 64, np.uint8)
    first = -raw.ctypes.data % 64
    return raw[first : first + size].view(dtype).reshape(shape)


@dataclass(frozen=True)
class Scaling:
    """x -> (x - shift) / scale, feature by feature."""

    shift: np.ndarray
    scale: np.ndarray

    @classmethod
    def none(cls, features: int) -> Scaling:
        """The identity."""
        return cls(np.zeros(features), np.ones(features))

    @classmethod
    def fit(cls, X: np.ndarray, weight: np.ndarray | None, centre: bool = True) -> Scaling:
        """To mean 0 and deviation 1; without `centre`, to root mean square 1. Constants stay."""
        if sp.issparse(X):
            weight = np.ones(X.shape[0]) if weight is None else weight
            mean, sd = sparse.moments(X, weight)
            size = sd if centre else np.hypot(sd, mean)
            return cls(mean if centre else np.zeros_like(mean), np.where(size > 0, size, 1.0))
        found = moments(X, weight)
        size = found.sd if centre else np.hypot(found.sd, found.mean)
        # What rounding leaves of a constant is no deviation to divide by.
        varied = size > 1e-12 * np.abs(found.mean) if centre else size > 0
        varied &= np.isfinite(size) & (~found.constant if centre else True)
        shift = np.where(np.isfinite(found.mean), found.mean, 0.0)
        return cls(shift if centre else np.zeros(X.shape[1]), np.where(varied, size, 1.0))

    def __call__(self, X: np.ndarray, dtype: Any) -> np.ndarray:
        """The scaled rows as `dtype`, in blocks, so that no other copy is made."""
        out = aligned(X.shape, dtype)
        step = max(1, 2**18 // max(1, X.shape[1]))
        with np.errstate(over="ignore"):
            for first in range(0, len(X), step):
                rows = slice(first, first + step)
                out[rows] = (X[rows] - self.shift) / self.scale
        require_finite(out)
        return out


def filled(x: np.ndarray, y: np.ndarray, weight: np.ndarray, width: int) -> Arrays:
    """Rows filled up with rows of weight 0, features with zeros to `width`, where they are few."""
    n, p = x.shape
    rows = n
    if n * p <= SMALL:
        # Coarser than the engine's own ladder, which a check suite climbs rung by rung.
        rows = max(128, 1 << (n - 1).bit_length()) if n <= 512 else bucket(n)
    if rows == n and width == p:
        return Arrays(x, y, weight.astype(x.dtype))
    new = np.zeros((rows, width), x.dtype)
    new[:n, :p] = x
    return Arrays(
        new,
        np.concatenate([y, np.zeros((rows - n, *y.shape[1:]), y.dtype)]),
        np.concatenate([weight, np.zeros(rows - n)]).astype(x.dtype),
    )


def width_for(shape: tuple[int, int]) -> int:
    """The number of features after filling up, for linear models of few numbers."""
    n, p = shape
    return max(16, 1 << (p - 1).bit_length()) if n * p <= SMALL else p


@dataclass(frozen=True)
class Labels:
    """Classes in order, and labels as their indices; `multilabel`: a 0/1 column for each label."""

    classes: np.ndarray
    multilabel: bool = False

    @classmethod
    def fit(cls, estimator: Any, y: Any, multilabel: bool = False) -> Labels:
        """The classes in `y`; a target of real numbers is refused."""
        check_classification_targets(y)
        if np.ndim(y) == 2 and multilabel:
            return cls(np.arange(y.shape[1]), True)
        return cls(np.unique(y))

    def require_several(self, estimator: Any, codes: np.ndarray, weight: np.ndarray) -> None:
        """Refuse a target with one class only, counting rows that have weight."""
        if self.multilabel:
            return
        seen = np.unique(codes[weight > 0])
        if len(seen) < 2:
            raise DataError(
                f"{type(estimator).__name__} needs at least 2 classes, but the rows with weight "
                f"hold one class only: {self.classes[seen].tolist()}."
            )

    def encode(self, y: np.ndarray) -> np.ndarray:
        """Indices of classes (rows,) int32, or 0 and 1 (rows, labels); unknown ones are refused."""
        if self.multilabel:
            return np.ascontiguousarray(y, np.int32)
        codes = np.searchsorted(self.classes, y)
        codes = np.minimum(codes, len(self.classes) - 1)
        strange = self.classes[codes] != y
        if np.any(strange):
            raise DataError(
                f"y holds the label {y[strange][0]!r}, which is not among the classes "
                f"{self.classes.tolist()}."
            )
        return codes.astype(np.int32)

    def decode(self, codes: np.ndarray) -> np.ndarray:
        """Labels of indices."""
        return codes.astype(self.classes.dtype) if self.multilabel else self.classes[codes]

    def weights(self, class_weight: Any, codes: np.ndarray, weight: np.ndarray) -> np.ndarray:
        """Row weights times those of their classes: `balanced`, a dict by label, or None."""
        if class_weight is None:
            return weight
        if self.multilabel:
            raise DataError("class_weight is for one label a row; use sample_weight.")
        k = len(self.classes)
        if isinstance(class_weight, str) and class_weight == "balanced":
            mass = np.bincount(codes, weight, k)
            of_class = weight.sum() / (k * np.where(mass > 0, mass, 1))
        else:
            labels = self.classes[codes]
            of_class = compute_class_weight(class_weight, classes=self.classes, y=labels)
        return weight * of_class[codes]
