"""What is minimised: L(w) = mean_i E(f_w(x_i), y_i) + R(w), or a plain function f(w).

Both have the same interface, the one that the engine's loop calls:

    init(key) -> (params, buffers)
    evaluate(params, buffers, batch, key) -> Evaluation(value, gradient, aux=new buffers)
    proximal(params, metric) -> params        or None where there is no L1 part
    weight(batch) -> scalar                   how many rows a batch counts for
    measure(params, buffers, batch) -> sums   of blocks, which may be added
    metrics(sums) -> dict
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from steepest.core.errors import UsageError
from steepest.core.record import number, part, record, replace, set_field, static
from steepest.core.types import Evaluation, Proximal
from steepest.models.registry import model as find_model
from steepest.objectives.loss import weighted_sum
from steepest.objectives.losses import loss as find_loss
from steepest.objectives.regularizers import Penalty

Array = Any
Params = Any


class Batch(NamedTuple):
    """Rows of data: inputs (rows, ...), targets (rows,) or (rows, k), weights (rows,).

    Rows of weight 0 are padding. Without weights every row counts as 1.
    """

    x: Array = ()
    y: Array = ()
    weight: Array | None = None


@record
class Objective:
    """L(w) = sum_i weight_i E(f_w(x_i), y_i) / sum_i weight_i + R(w).

    `model`, `loss`: objects or names. `penalty`: R(w), on the leaves of the model's `decay_mask`.
    `reduction`: `mean`, or `sum` for the sum of weighted losses. `centre`: a value near the mean of
    the targets, about which R^2 is computed in blocks; 0 suits standardised targets.

    Rows of weight 0 contribute to nothing, also not to batch normalisation; a batch of such rows
    has the value R(w). The value holds the L1 part, the gradient does not: that part enters through
    `proximal`.

    >>> import jax, jax.numpy as jnp
    >>> objective = Objective("linear", "squared").bind(inputs=(1,), size=1)
    >>> params, buffers = objective.init(jax.random.key(0))
    >>> batch = Batch(jnp.ones((2, 1)), jnp.array([1.0, 3.0]))
    >>> value, gradient, _ = objective.evaluate(params, buffers, batch)
    >>> float(value), float(gradient["bias"][0])
    (5.0, -4.0)
    """

    model: Any = part()
    loss: Any = part()
    penalty: Penalty = part(factory=Penalty)
    reduction: str = static(default="mean", choices=("mean", "sum"))
    centre: float = number(default=0.0)

    def __post_init__(self):
        set_field(self, "model", find_model(self.model))
        set_field(self, "loss", find_loss(self.loss))
        if any(leaf is self.model for leaf in jax.tree.leaves(self.model)):
            raise UsageError(
                f"model={self.model!r} is not a pytree; declare its class with @record, "
                "or use models.Custom(initial, apply)."
            )

    @property
    def uses_key(self) -> bool:
        """Whether `evaluate` draws random numbers (dropout)."""
        return bool(getattr(self.model, "uses_key", False))

    def bind(self, inputs: tuple[int, ...], size: int) -> Objective:
        """With the model's sizes filled in; `size`: number of classes, or width of the targets."""
        return replace(self, model=self.model.bind(inputs, self.loss.outputs_for(size)))

    def init(self, key: Array) -> tuple[Params, Any]:
        """Fresh (params, buffers) of the model."""
        return self.model.init(key)

    def smooth(self, params: Params, buffers: Any, batch: Batch, key: Array | None = None,
               train: bool = True) -> tuple[Array, Any]:  # fmt: skip
        """The differentiable part, the data loss plus L2, and the new buffers."""
        outputs, buffers = self.model.forward(
            params, buffers, batch.x, key, train=train, weight=batch.weight
        )
        losses = self.loss(outputs, batch.y)
        w = jnp.asarray(row_weights(batch, losses), losses.dtype)
        value = weighted_sum(w, losses)
        if self.reduction == "mean":
            total = jnp.sum(w)
            value = value / jnp.where(total > 0, total, 1)
        if self.penalty.l2 is not None:
            value = value + self.penalty.smooth(params, self.model.decay_mask(params))
        return value, buffers

    def evaluate(self, params: Params, buffers: Any, batch: Batch,
                 key: Array | None = None) -> Evaluation:  # fmt: skip
        """Value and gradient at `params`, in training; `aux` are the new buffers."""
        (value, new), gradient = jax.value_and_grad(self.smooth, has_aux=True)(
            params, buffers, batch, key
        )
        if self.penalty.sparse:
            value = value + self.penalty.rough(params, self.model.decay_mask(params))
        return Evaluation(value, gradient, new)

    @property
    def proximal(self) -> Proximal | None:
        """`proximal(params, metric)` of the L1 part, see `Penalty.proximal`; None without one."""
        return self._proximal if self.penalty.sparse else None

    def _proximal(self, params: Params, metric: Any) -> Params:
        return self.penalty.proximal(params, metric, self.model.decay_mask(params))

    def weight(self, batch: Batch) -> Array:
        """sum_i weight_i: how many rows the batch counts for."""
        return jnp.sum(row_weights(batch, jnp.asarray(batch.x)))

    def measure(self, params: Params, buffers: Any, batch: Batch) -> dict:
        """Sums for `metrics` over these rows, without penalty, dropout and batch statistics."""
        outputs, _ = self.model.forward(params, buffers, batch.x, train=False)
        return self.loss.sums(outputs, batch.y, row_weights(batch, outputs), self.centre)

    def metrics(self, sums: dict) -> dict:
        """`loss` and `accuracy`, or `loss`, `r2` and `rmse`."""
        return self.loss.metrics(sums)


@record
class FunctionObjective:
    """f(w), a plain function of a pytree: `fun(params, *args)`, a scalar.

    `args` are leaves: other values do not recompile. A callable record (a pytree itself) keeps its
    own numbers as leaves too. `gradient(params, *args)` replaces automatic differentiation.

    Raises UsageError when `fun` or `gradient` cannot be called, or `fun` gives no scalar.

    >>> import jax.numpy as jnp
    >>> objective = FunctionObjective(lambda w, a: jnp.sum(a * w**2), (3.0,))
    >>> value, gradient, _ = objective.evaluate(jnp.array([1.0, 2.0]), (), None)
    >>> float(value), gradient.tolist()
    (15.0, [6.0, 12.0])
    """

    fun: Callable = static()
    args: tuple = part(default=())
    gradient: Callable | None = static(default=None)

    def __post_init__(self):
        if not callable(self.fun):
            raise UsageError(f"fun must be a function of the parameters, got {self.fun!r}.")
        if self.gradient is not None and not callable(self.gradient):
            raise UsageError(f"gradient must be a function or None, got {self.gradient!r}.")
        set_field(self, "args", tuple(self.args))
        if not any(leaf is self.fun for leaf in jax.tree.leaves(self.fun)):
            set_field(self, "args", (self.fun, *self.args))
            set_field(self, "fun", _call)
            if self.gradient is not None:
                set_field(self, "gradient", _WithoutFirst(self.gradient))

    @property
    def uses_key(self) -> bool:
        """Whether `evaluate` draws random numbers: never."""
        return False

    def smooth(self, params: Params, buffers: Any = (), batch: Any = None,
               key: Array | None = None, train: bool = True) -> tuple[Array, Any]:  # fmt: skip
        """f(w), and no buffers."""
        value = jnp.asarray(self.fun(params, *self.args))
        if value.shape != ():
            raise UsageError(
                f"The function must give one number, got an array of shape {value.shape}; "
                "take a sum or a mean, or check the shape of x0."
            )
        return value, ()

    def evaluate(self, params: Params, buffers: Any = (), batch: Any = None,
                 key: Array | None = None) -> Evaluation:  # fmt: skip
        """f(w) and its gradient."""
        if self.gradient is None:
            (value, _), gradient = jax.value_and_grad(self.smooth, has_aux=True)(params)
            return Evaluation(value, gradient, ())
        value, _ = self.smooth(params)
        gradient = self.gradient(params, *self.args)
        given, needed = jax.tree.structure(gradient), jax.tree.structure(params)
        if given != needed:
            raise UsageError(f"gradient must give a tree like x0, {needed}, got {given}.")
        return Evaluation(value, jax.tree.map(_like, gradient, params), ())

    @property
    def proximal(self) -> None:
        """None: there is no L1 part."""
        return None

    def weight(self, batch: Any) -> Array:
        """1: a function is one row."""
        return jnp.ones(())

    def measure(self, params: Params, buffers: Any = (), batch: Any = None) -> dict:
        """f(w), as sums of one row."""
        value, _ = self.smooth(params)
        return {"weight": jnp.ones_like(value), "loss": value}

    def metrics(self, sums: dict) -> dict:
        """`loss` is f(w)."""
        return {"loss": sums["loss"] / sums["weight"]}


def row_weights(batch: Batch, like: Array) -> Array:
    """The weights of a batch, ones where there are none."""
    return jnp.ones(like.shape[:1]) if batch.weight is None else batch.weight


def _call(params, function, *args):
    return function(params, *args)


class _WithoutFirst:
    """gradient(params, function, *args) -> gradient(params, *args); equal if `gradient` is."""

    def __init__(self, gradient):
        self.gradient = gradient

    def __call__(self, params, _, *args):
        return self.gradient(params, *args)

    def __eq__(self, other):
        return isinstance(other, _WithoutFirst) and self.gradient == other.gradient

    def __hash__(self):
        return hash(self.gradient)


def _like(gradient, w):
    g = jnp.asarray(gradient, w.dtype)
    if g.shape != w.shape:
        raise UsageError(f"gradient must have the shape of x0, {w.shape}, got {g.shape}.")
    return g
