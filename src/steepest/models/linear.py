"""The linear model: with a loss it is linear, logistic or Poisson regression, or a linear SVM."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from steepest.core.record import record, set_field, static
from steepest.models import layers
from steepest.models.sizes import fill_sizes, flatten_rows, need_sizes, normal_size


@record
class Linear:
    """f_w(x) = x W + b.

    Inputs (rows, ...) are flattened to (rows, inputs); outputs have shape (rows, outputs).
    Parameters are `{"weight": (inputs, outputs), "bias": (outputs,)}`, without the bias if
    `intercept=False`. They start at zero: with a convex loss every start leads to the same minimum,
    and zero needs no luck.

    Raises UsageError for a size that is not a positive whole number or contradicts the data.

    >>> import jax
    >>> model = Linear().bind(inputs=(3,), outputs=2)
    >>> params, buffers = model.init(jax.random.key(0))
    >>> outputs, buffers = model.forward(params, buffers, jax.numpy.ones((5, 3)))
    >>> outputs.shape
    (5, 2)
    """

    inputs: int | None = static(default=None, help="number of features; None: from the data")
    outputs: int | None = static(
        default=None, help="number of outputs; None: from the data and the loss"
    )
    intercept: bool = static(default=True, choices=(True, False), help="whether there is a bias")
    initializer: Any = static(default="zeros", help="initialisation of the weights")

    def __post_init__(self):
        set_field(self, "inputs", normal_size("Linear", "inputs", self.inputs))
        set_field(self, "outputs", normal_size("Linear", "outputs", self.outputs))
        layers.initializer(self.initializer)

    @property
    def uses_key(self) -> bool:
        """Whether training draws random numbers: never."""
        return False

    def bind(self, inputs: tuple[int, ...], outputs: int) -> Linear:
        """This model with its sizes filled in from the data."""
        return fill_sizes(self, inputs, outputs)

    def init(self, key: jax.Array) -> tuple[Any, Any]:
        """(params, buffers); there are no buffers."""
        inputs, outputs = need_sizes(self)
        dtype = layers.float_dtype()
        draw = layers.initializer(self.initializer)
        params = {"weight": draw(key, (inputs, outputs), dtype)}
        if self.intercept:
            params["bias"] = jnp.zeros((outputs,), dtype)
        return params, ()

    def forward(self, params, buffers, x, key=None, train=False, weight=None):
        """(outputs, buffers)."""
        return layers.dense(params, flatten_rows(x, params["weight"].dtype)), buffers

    def decay_mask(self, params) -> Any:
        """Penalties apply to the weight, not to the bias."""
        return {name: name == "weight" for name in params}
