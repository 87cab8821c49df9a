"""Sparse rows, as scipy.sparse has them, in a form that mini-batches and programs can take.

A packed row is the values of its k entries that are not zero, then their column numbers, filled up
with zeros: (rows, 2 k) numbers in place of (rows, features). Mini-batches, folds and cells treat
such rows as any others; X is never made dense as a whole.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import scipy.sparse as sp

from steepest.core.errors import DataError
from steepest.core.record import part, record, static
from steepest.data.batches import bucket

DENSE_NUMBERS = 2**17
"""Sparse inputs of so few numbers, zeros included, are made dense: they then share programs."""


def entries_of(X: Any) -> int:
    """Entries of the fullest row, on a ladder of sizes, so that folds have the same."""
    return bucket(max(1, int(np.diff(X.indptr).max(initial=0))))


def packs(X: Any) -> bool:
    """Whether X is sparse and smaller packed than dense."""
    if not sp.issparse(X):
        return False
    n, p = X.shape
    return n * p > DENSE_NUMBERS and 2 * entries_of(X) < p


def pack(X: Any, dtype: Any, entries: int | None = None) -> np.ndarray:
    """Rows of a CSR matrix, packed: (rows, 2 k), k at least `entries`."""
    n, p = X.shape
    if p > 2 ** np.finfo(dtype).nmant:
        raise DataError(
            f"X has {p} columns, whose numbers {np.dtype(dtype).name} cannot hold; use float64."
        )
    k = max(entries_of(X), entries or 0)
    out = np.zeros((n, 2 * k), dtype)
    row = np.repeat(np.arange(n), np.diff(X.indptr))
    place = np.arange(X.nnz) - np.repeat(X.indptr[:-1], np.diff(X.indptr))
    out[row, place] = X.data
    out[row, k + place] = X.indices
    if not np.isfinite(out[:, :k]).all():
        raise DataError(f"X holds values too large for {np.dtype(dtype).name}; scale it.")
    return out


def unpack(x: np.ndarray, features: int) -> Any:
    """The CSR matrix of packed rows."""
    n, k = len(x), x.shape[1] // 2
    indptr = np.arange(0, n * k + 1, k)
    columns = x[:, k:].astype(np.int32).ravel()
    return sp.csr_matrix((x[:, :k].ravel(), columns, indptr), (n, features))


def moments(X: Any, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weighted mean and standard deviation of each column of a CSR matrix, zeros counted."""
    w = weight / weight.sum()
    mean = np.asarray(X.T @ w, np.float64)
    square = np.asarray(X.multiply(X).T @ w, np.float64)
    # The difference of squares has no digits left where a column is nearly constant.
    spread = square - mean**2
    return mean, np.sqrt(np.where(spread > 1e-12 * square, spread, 0.0))


def product(x: Any, w: Any) -> Any:
    """x @ w for packed rows x (rows, 2 k) and weights w (features, outputs)."""
    k = x.shape[1] // 2
    values, columns = x[:, :k], x[:, k:].astype(jnp.int32)

    def output(column):
        return jnp.sum(values * column[columns], axis=1)

    if w.shape[1] == 1:
        return output(w[:, 0])[:, None]
    # One output after another: (rows, k, outputs) numbers would be more than X itself.
    return jax.lax.map(output, w.T).T


@record
class Unpacked:
    """f_w((x - shift) / scale) of packed rows x, which are made dense a mini-batch at a time.

    Parameters and buffers are those of `model`, so what was learned is put to dense rows by it.

    >>> from steepest.models import Linear
    >>> inner = Linear(inputs=3, outputs=1)
    >>> model = Unpacked(inner, 3, jnp.zeros(3), jnp.ones(3))
    >>> params = {"weight": jnp.array([[1.0], [2.0], [3.0]]), "bias": jnp.zeros(1)}
    >>> model.forward(params, (), jnp.array([[5.0, 0.0, 2.0, 0.0]]))[0].tolist()  # 5 in column 2
    [[15.0]]
    """

    model: Any = part()
    inputs: int = static()
    shift: Any = part()
    scale: Any = part()

    @property
    def uses_key(self) -> bool:
        """Whether training draws random numbers: where the inner model does."""
        return self.model.uses_key

    def init(self, key: jax.Array) -> tuple[Any, Any]:
        """Those of the inner model."""
        return self.model.init(key)

    def forward(self, params, buffers, x, key=None, train=False, weight=None):
        """(outputs, buffers)."""
        k = x.shape[1] // 2
        rows = jnp.arange(len(x), dtype=jnp.int32)[:, None]
        dense = jnp.zeros((len(x), self.inputs), x.dtype)
        dense = dense.at[rows, x[:, k:].astype(jnp.int32)].add(x[:, :k])
        dense = (dense - self.shift.astype(x.dtype)) / self.scale.astype(x.dtype)
        return self.model.forward(params, buffers, dense, key, train=train, weight=weight)

    def decay_mask(self, params: Any) -> Any:
        """That of the inner model."""
        return self.model.decay_mask(params)
