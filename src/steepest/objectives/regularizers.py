"""The penalty R(w): L1, L2, and both, the elastic net."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from steepest.core.record import number, record, set_field
from steepest.models.layers import off_if_zero

Tree = Any


@record
class Penalty:
    """R(w) = l1 |w|_1 + l2 / 2 |w|^2, over the leaves that `mask` selects.

    The L2 part is smooth and belongs to the differentiated loss. The L1 part is not: it enters by
    its proximal operator, which makes zeros that are exact.

    `l1` and `l2` are leaves. None, or a plain 0, leaves the part out of the program; a study that
    varies one between 0 and something gives it as an array.

    Source: Zou & Hastie 2005, eq. (3); Parikh & Boyd 2014, sec. 6.5.2.

    >>> import jax.numpy as jnp
    >>> Penalty(l1=1.0).proximal({"w": jnp.array([3.0, -0.5])}, 1.0, {"w": True})["w"].tolist()
    [2.0, 0.0]
    """

    l1: float | None = number(default=None, least=0, optional=True, help="L1 penalty")
    l2: float | None = number(default=None, least=0, optional=True, help="L2 penalty")

    def __post_init__(self):
        set_field(self, "l1", off_if_zero(self.l1))
        set_field(self, "l2", off_if_zero(self.l2))

    @property
    def sparse(self) -> bool:
        """Whether there is an L1 part, so that steps need the proximal operator."""
        return self.l1 is not None

    def smooth(self, params: Tree, mask: Tree) -> jax.Array:
        """l2 / 2 |w|^2."""
        return self._total(self.l2, lambda w: jnp.sum(jnp.square(w)) / 2, params, mask)

    def rough(self, params: Tree, mask: Tree) -> jax.Array:
        """l1 |w|_1."""
        return self._total(self.l1, lambda w: jnp.sum(jnp.abs(w)), params, mask)

    def value(self, params: Tree, mask: Tree) -> jax.Array:
        """R(w)."""
        return self.smooth(params, mask) + self.rough(params, mask)

    def proximal(self, params: Tree, metric: Tree, mask: Tree) -> Tree:
        """argmin_v l1 |v|_1 + |v - w|^2 / (2 metric) = sign(w) max(0, |w| - metric l1).

        `metric` is the step size of each entry: one number, or a tree of numbers or arrays that is
        `params` or a prefix of it.
        """
        if self.l1 is None:
            return params

        def shrink(size, penalised, w):
            if not penalised:
                return w
            t = jnp.asarray(size, w.dtype) * jnp.asarray(self.l1, w.dtype)
            return w - jnp.clip(w, -t, t)  # exact zeros, none of them -0.0

        return jax.tree.map(shrink, jax.tree.broadcast(metric, params), mask, params)

    def _total(self, factor, of_leaf, params, mask) -> jax.Array:
        leaves = jax.tree.leaves(params)
        dtype = jnp.result_type(*leaves) if leaves else jnp.zeros(()).dtype
        if factor is None:
            return jnp.zeros((), dtype)
        chosen = [w for w, on in zip(leaves, jax.tree.leaves(mask), strict=True) if on]
        parts = [of_leaf(w).astype(dtype) for w in chosen]
        return jnp.asarray(factor, dtype) * sum(parts[1:], parts[0] if parts else 0)
