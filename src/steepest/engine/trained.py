"""`Trained`: a model with its weights and its encoder, ready to predict."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from steepest.core.errors import UsageError
from steepest.data.dataset import Arrays, Table
from steepest.data.encode import Encoder
from steepest.data.sources import load
from steepest.engine.advance import apply
from steepest.engine.compiling import precision
from steepest.engine.runs import BLOCK_ROWS, Pieces, bucket, measure_at
from steepest.objectives.objective import Objective


@dataclass(kw_only=True)
class Trained:
    """A model f_w with weights w, what turns rows into its inputs, and its outputs into labels.

    params, buffers: the weights, a pytree as the model made it, and its running statistics.
    """

    encoder: Encoder
    model: Any
    loss: Any
    params: Any
    buffers: Any
    dtype: str = "float32"

    @property
    def w(self) -> np.ndarray:
        """All weights and biases as one vector."""
        return np.concatenate([np.ravel(x) for x in jax.tree.leaves(self.params)])

    @property
    def task(self) -> str:
        """`classification` or `regression`."""
        return self.encoder.task

    def outputs(self, data: Any) -> np.ndarray:
        """f_w(x) for new rows: logits, or scaled predictions; shape (rows, outputs)."""
        return self._outputs(self._arrays(data).x)

    def predict(self, data: Any) -> np.ndarray:
        """Labels, or values in the target's units, for new rows (a table, a frame or an array)."""
        return self.encoder.decode(np.asarray(self.loss.predict(self.outputs(data))))

    def predict_probabilities(self, data: Any) -> np.ndarray:
        """The probability of each class, shape (rows, classes)."""
        return np.asarray(self.loss.probabilities(self.outputs(data)))

    def evaluate(self, data: Any) -> dict[str, float]:
        """Loss and metrics on rows with a target: a Table, (X, y), encoded arrays, or pieces."""
        arrays = data if isinstance(data, Pieces) else self._arrays(data)
        if not isinstance(arrays, Pieces) and arrays.y is None:
            raise UsageError("evaluate needs the true targets: give (X, y), or name the target.")
        points = jax.tree.map(lambda a: np.asarray(a)[None, None], (self.params, self.buffers))
        found = measure_at([Objective(self.model, self.loss)], points, arrays, self.dtype)
        return in_units(self.encoder, {k: float(v[0, 0]) for k, v in found.items()})

    def _arrays(self, data: Any) -> Arrays:
        if isinstance(data, Arrays):
            return data
        if isinstance(data, tuple):
            data = load(data)
        table = data if isinstance(data, Table) else Table(**_inputs(data), name="the new rows")
        return self.encoder.transform(table, np.dtype(self.dtype))

    def _outputs(self, x: np.ndarray) -> np.ndarray:
        out = []
        with precision(self.dtype):
            for first in range(0, max(len(x), 1), BLOCK_ROWS):
                block = x[first : first + BLOCK_ROWS]
                n = len(block)
                fill = np.zeros((bucket(n) - n, *x.shape[1:]), x.dtype)
                found = apply(self.model, self.params, self.buffers, np.concatenate([block, fill]))
                out.append(np.asarray(found)[:n])
        return np.concatenate(out)


def in_units(encoder: Encoder, metrics: dict[str, float]) -> dict[str, float]:
    """Root mean squared and absolute errors in the units of the target; the rest as it is."""
    scale = encoder.target_scale
    if scale is None or np.ndim(scale):
        return metrics
    return {k: v * float(scale) if k in ("rmse", "mae") else v for k, v in metrics.items()}


def _inputs(data: Any) -> dict[str, Any]:
    """New rows as the fields of a Table: a frame by its columns, anything else as an array."""
    if hasattr(data, "columns") or hasattr(data, "column_names"):
        import polars as pl

        frame = data if isinstance(data, pl.DataFrame) else pl.DataFrame(data)
        return {"frame": frame}
    return {"x": np.asarray(data)}
