"""Linear models in well-conditioned variables: the same minimum, reached in fewer steps."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from steepest.core.record import number, part, record, set_field, static
from steepest.estimators.sparse import product
from steepest.models.layers import float_dtype, off_if_zero


@record
class Affine:
    """f(x) = ((x - shift) / scale) U + c, in the variables U and c; x itself is not changed.

    As x W + b it has W = U / scale and b = c - shift W. Any shift and scale give the same functions
    f; those of the data make the Hessian's eigenvalues more alike, so that a descent is short.
    Parameters `{"weight": (inputs, outputs), "bias": (outputs,)}` hold U and c; without
    `intercept` there is no c, and shift must be 0. `packed`: rows are packed as in `sparse`.
    `single`: the program is of one run, whose single output has a faster gradient (`column`).

    >>> model = Affine(2, 1, shift=jnp.zeros(2), scale=jnp.array([1.0, 2.0]))
    >>> params = {"weight": jnp.array([[1.0], [4.0]]), "bias": jnp.zeros(1)}
    >>> model.forward(params, (), jnp.array([[1.0, 1.0]]))[0].tolist()
    [[3.0]]
    """

    inputs: int = static()
    outputs: int = static()
    shift: Any = part()
    scale: Any = part()
    intercept: bool = static(default=True)
    packed: bool = static(default=False)
    single: bool = static(default=False)

    @property
    def uses_key(self) -> bool:
        """Whether training draws random numbers: never."""
        return False

    def init(self, key: jax.Array) -> tuple[Any, Any]:
        """Zeros."""
        dtype = float_dtype()
        params = {"weight": jnp.zeros((self.inputs, self.outputs), dtype)}
        if self.intercept:
            params["bias"] = jnp.zeros((self.outputs,), dtype)
        return params, ()

    def forward(self, params, buffers, x, key=None, train=False, weight=None):
        """(outputs, buffers)."""
        w = params["weight"] / self.scale[:, None]
        if self.packed:
            out = product(x, w)
        else:
            out = column(x, w) if self.single and self.outputs == 1 else x @ w
        if self.intercept:
            out = out + (params["bias"] - self.shift @ w)
        return out, buffers

    def decay_mask(self, params) -> Any:
        """Penalties apply to the weight, not to the bias."""
        return {name: name == "weight" for name in params}


@jax.custom_jvp
def column(x: jax.Array, w: jax.Array) -> jax.Array:
    """x @ w for one column w, (inputs, 1), whose gradient is a sum over rows.

    XLA's product of a row with a matrix takes several times as long on CPUs as the same numbers
    multiplied and summed. Mapped over many columns a product would be the faster one.
    """
    return x @ w


@column.defjvp
def _column_jvp(primals, tangents):
    (x, w), (dx, dw) = primals, tangents
    moved = jnp.sum(x * dw[:, 0], axis=1) + jnp.sum(dx * w[:, 0], axis=1)
    return column(x, w), moved[:, None]


@record
class AffinePenalty:
    """R(U) = l1 sum a |U| + l2 / 2 sum b U^2: the penalty of W, said in the variables U.

    `a` and `b` (inputs, outputs) or (inputs, 1) are 1 / scale and 1 / scale^2, times what scaled
    targets need. None, or a plain 0, leaves a part out of the program. With `on_bias`, (m, o), the
    bias b = c - m U + o in units counts too: l2 / 2 |b|^2 is added, as liblinear has it. Interface
    as `objectives.Penalty`.
    """

    l1: float | None = number(default=None, least=0, optional=True)
    l2: float | None = number(default=None, least=0, optional=True)
    a: Any = part(default=1.0)
    b: Any = part(default=1.0)
    on_bias: Any = part(default=None)

    def __post_init__(self):
        set_field(self, "l1", off_if_zero(self.l1))
        set_field(self, "l2", off_if_zero(self.l2))

    @property
    def sparse(self) -> bool:
        """Whether there is an L1 part."""
        return self.l1 is not None

    def smooth(self, params: Any, mask: Any) -> jax.Array:
        """l2 / 2 sum b U^2."""
        u = params["weight"]
        if self.l2 is None:
            return jnp.zeros((), u.dtype)
        total = jnp.sum(jnp.asarray(self.b, u.dtype) * u * u)
        if self.on_bias is not None:
            m, o = self.on_bias
            total = total + jnp.sum(jnp.square(params["bias"] - m @ u + o))
        return jnp.asarray(self.l2, u.dtype) / 2 * total

    def rough(self, params: Any, mask: Any) -> jax.Array:
        """l1 sum a |U|."""
        u = params["weight"]
        if self.l1 is None:
            return jnp.zeros((), u.dtype)
        return jnp.asarray(self.l1, u.dtype) * jnp.sum(jnp.asarray(self.a, u.dtype) * jnp.abs(u))

    def proximal(self, params: Any, metric: Any, mask: Any) -> Any:
        """sign(U) max(0, |U| - metric l1 a); `metric` as in `objectives.Penalty`."""
        if self.l1 is None:
            return params
        u = params["weight"]
        size = jax.tree.broadcast(metric, params)["weight"]
        t = jnp.asarray(size, u.dtype) * jnp.asarray(self.l1, u.dtype)
        t = t * jnp.asarray(self.a, u.dtype)
        return params | {"weight": u - jnp.clip(u, -t, t)}
