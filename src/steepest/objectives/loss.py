"""Losses E(f, y): what one row costs, what an output means, and how a fit is scored.

A loss is called with outputs of shape (rows, k) and targets of shape (rows,) or (rows, k), and
gives one number a row, (rows,). It knows how many outputs it needs (`outputs_for`), what they
predict (`predict`, `probabilities`), and how to score them in blocks: `sums` of two blocks of rows
may be added, and `metrics` reads the total.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from steepest.core.errors import DataError, UsageError
from steepest.core.record import record, static

Array = Any


@record
class Loss:
    """The base of all losses; `task` is `classification` or `regression`."""

    task: ClassVar[str] = "regression"

    def __call__(self, outputs: Array, targets: Array) -> Array:
        """The loss of each row, (rows,)."""
        raise NotImplementedError

    def outputs_for(self, size: int) -> int:
        """How many outputs the model needs for `size` classes, or targets of width `size`."""
        return size

    def predict(self, outputs: Array) -> Array:
        """Class indices, or values: what a user calls the prediction."""
        return narrow(outputs)

    def probabilities(self, outputs: Array) -> Array:
        """Class probabilities (rows, classes); UsageError where outputs are not probabilities."""
        raise UsageError(
            f"{type(self).__name__} gives no probabilities; use log_loss or binary_log_loss."
        )

    def check(self, targets: Array, size: int) -> None:
        """Refuse targets on the host, before anything compiles; `size` as in `outputs_for`."""
        if not np.all(np.isfinite(np.asarray(targets))):
            raise DataError("The targets hold NaN or infinite values; drop or fill those rows.")

    def sums(self, outputs: Array, targets: Array, weight: Array, centre: Any = 0.0) -> dict:
        """Weighted sums over rows from which `metrics` follow; those of two blocks may be added."""
        raise NotImplementedError

    def metrics(self, sums: dict) -> dict:
        """`loss` and the scores of the task. Sums may have leading axes (seeds, cells)."""
        raise NotImplementedError

    def weighted(self, outputs: Array, targets: Array, weight: Array) -> tuple[Array, dict]:
        """The weights in the dtype of the loss, and the sums that all losses have."""
        losses = self(outputs, targets)
        w = jnp.asarray(weight, losses.dtype)
        return w, {"weight": jnp.sum(w), "loss": weighted_sum(w, losses)}


@record
class RegressionLoss(Loss):
    """Losses of real targets, scored by R^2 and the root mean squared error."""

    def sums(self, outputs, targets, weight, centre=0.0):
        """Also the squared residuals, and the first two moments of the targets about `centre`.

        `centre` is any number near the mean of the targets, the same for all blocks: without it,
        targets of 10^6 +- 1 would lose all their digits.
        """
        w, sums = self.weighted(outputs, targets, weight)
        prediction = self.predict(outputs)
        prediction, y = align(prediction.reshape(outputs.shape), targets)
        d = y - jnp.asarray(centre, y.dtype)
        return sums | {
            "residual": weighted_sum(w, jnp.square(prediction - y)),
            "first": weighted_sum(w, d),
            "second": weighted_sum(w, jnp.square(d)),
        }

    def metrics(self, sums):
        """`loss`, `r2` = 1 - residual / total, averaged over outputs, and `rmse` over all of them.

        As in scikit-learn, constant targets give r2 = 1 if they are met exactly, else 0.
        """
        xp = _namespace(sums)
        n = sums["weight"][..., None]
        safe = xp.where(n > 0, n, 1)
        residual, second = sums["residual"], sums["second"]
        total = second - xp.square(sums["first"]) / safe
        # What cancellation leaves of constant targets is rounding, not variance.
        varied = total > 64 * xp.finfo(second.dtype).eps * second
        r2 = xp.where(
            varied, 1 - residual / xp.where(varied, total, 1), xp.where(residual == 0, 1.0, 0.0)
        )
        rmse = xp.sqrt(xp.mean(residual / safe, axis=-1))
        return {"loss": _mean(sums, "loss"), "r2": xp.mean(r2, axis=-1), "rmse": rmse}


@record
class ClassificationLoss(Loss):
    """Losses of classes 0, 1, ..., scored by accuracy."""

    task: ClassVar[str] = "classification"

    def predict(self, outputs):
        """The index of the largest output; with one output, whether it is positive."""
        if outputs.shape[-1] == 1:
            return (outputs[..., 0] > 0).astype(jnp.int32)
        return jnp.argmax(outputs, axis=-1).astype(jnp.int32)

    def check(self, targets, size):
        """Targets must be whole numbers from 0 to size - 1."""
        y = np.asarray(targets)
        if y.size and not (np.all(y == np.floor(y)) and y.min() >= 0 and y.max() < max(size, 2)):
            raise DataError(
                f"{type(self).__name__}: targets must be class indices 0 to {max(size, 2) - 1}, "
                f"got values from {y.min()} to {y.max()}; encode the classes first."
            )

    def correct(self, outputs: Array, targets: Array) -> Array:
        """Whether each row is predicted right, (rows,)."""
        hard = targets if targets.ndim == 1 else jnp.argmax(targets, axis=-1)
        return self.predict(outputs) == hard.astype(jnp.int32)

    def sums(self, outputs, targets, weight, centre=0.0):
        """Also the weight of the rows that are predicted right."""
        w, sums = self.weighted(outputs, targets, weight)
        right = self.correct(outputs, targets).astype(w.dtype)
        return sums | {"correct": jnp.sum(w * right)}

    def metrics(self, sums):
        """`loss` and `accuracy`."""
        return {"loss": _mean(sums, "loss"), "accuracy": _mean(sums, "correct")}


@record
class Custom(Loss):
    """A loss of your own: `function(outputs, targets) -> losses (rows,)`, in JAX.

    `kind` says which task it is for: `regression` scores by R^2, `classification` by accuracy.

    >>> import jax.numpy as jnp
    >>> loss = Custom(lambda f, y: jnp.log(jnp.cosh(f[:, 0] - y)))
    >>> loss(jnp.zeros((2, 1)), jnp.zeros(2)).tolist()
    [0.0, 0.0]
    """

    function: Callable = static()
    kind: str = static(default="regression", choices=("regression", "classification"))

    @property
    def task(self) -> str:  # type: ignore[override]
        """The task, as said."""
        return self.kind

    def _scores(self) -> type[Loss]:
        return RegressionLoss if self.kind == "regression" else ClassificationLoss

    def __call__(self, outputs, targets):
        """function(outputs, targets)."""
        losses = self.function(outputs, targets)
        if jnp.shape(losses) != outputs.shape[:1]:
            raise UsageError(
                f"A custom loss must give one number a row, shape {outputs.shape[:1]}, "
                f"got shape {jnp.shape(losses)}; take the mean or sum over outputs only."
            )
        return losses

    def predict(self, outputs):
        """As the task says."""
        return self._scores().predict(self, outputs)

    def check(self, targets, size):
        """As the task says."""
        self._scores().check(self, targets, size)

    def correct(self, outputs, targets):
        """As in classification."""
        return ClassificationLoss.correct(self, outputs, targets)  # type: ignore[arg-type]

    def sums(self, outputs, targets, weight, centre=0.0):
        """As the task says."""
        return self._scores().sums(self, outputs, targets, weight, centre)

    def metrics(self, sums):
        """As the task says."""
        return self._scores().metrics(self, sums)


def narrow(outputs: Array) -> Array:
    """Outputs (rows, 1) as (rows,); wider ones as they are."""
    return outputs[..., 0] if outputs.shape[-1] == 1 else outputs


def align(outputs: Array, targets: Array) -> tuple[Array, Array]:
    """Outputs and targets as (rows, k) in the dtype of the outputs; unequal widths are refused."""
    y = targets.reshape(targets.shape[0], -1).astype(outputs.dtype)
    if y.shape != outputs.shape:
        raise UsageError(
            f"The outputs have shape {outputs.shape} and the targets {targets.shape}; "
            f"the model needs outputs={y.shape[1]}."
        )
    return outputs, y


def weighted_sum(w: Array, values: Array) -> Array:
    """sum_i w_i v_i over rows, where rows of weight 0 do not count even if they are not finite."""
    w = w.reshape(w.shape + (1,) * (values.ndim - 1))
    return jnp.sum(jnp.where(w > 0, w * values, 0), axis=0)


def _mean(sums: dict, name: str) -> Array:
    xp = _namespace(sums)
    n = sums["weight"]
    return sums[name] / xp.where(n > 0, n, 1)


def _namespace(sums: dict) -> Any:
    # Sums that the host added up in float64 must stay there.
    return jnp if any(isinstance(v, jax.Array) for v in sums.values()) else np


__all__ = [
    "ClassificationLoss",
    "Custom",
    "Loss",
    "RegressionLoss",
    "align",
    "narrow",
    "weighted_sum",
]
