"""Arithmetic on pytrees: the few operations that optimizers and the engine share."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

Tree = Any
map = jax.tree.map
leaves = jax.tree.leaves


def zeros(t: Tree) -> Tree:
    """A tree of zeros in the shapes and dtypes of `t`."""
    return map(jnp.zeros_like, t)


def add(a: Tree, b: Tree) -> Tree:
    """a + b."""
    return map(lambda x, y: x + y, a, b)


def subtract(a: Tree, b: Tree) -> Tree:
    """a - b."""
    return map(lambda x, y: x - y, a, b)


def scale(c, t: Tree) -> Tree:
    """c t, in the dtype of t."""
    return map(lambda x: jnp.asarray(c, x.dtype) * x, t)


def axpy(c, a: Tree, b: Tree) -> Tree:
    """c a + b, in the dtype of a."""
    return map(lambda x, y: jnp.asarray(c, x.dtype) * x + y, a, b)


def dot(a: Tree, b: Tree):
    """The inner product <a, b>."""
    parts = leaves(map(lambda x, y: jnp.vdot(x, y), a, b))
    return sum(parts[1:], parts[0]) if parts else jnp.zeros(())


def _sum_of_squares(x):
    # In two stages: sums over the leading axis run in vector registers, a plain sum is one chain.
    x, lanes = jnp.ravel(x), 128
    head = x.size // lanes * lanes
    if head < 8 * lanes:
        return jnp.sum(jnp.square(x))
    columns = jnp.sum(jnp.square(x[:head].reshape(-1, lanes)), axis=0)
    return jnp.sum(columns) + jnp.sum(jnp.square(x[head:]))


def norm(t: Tree):
    """The Euclidean norm of the whole tree, as one vector."""
    # Small arrays are joined first: a kernel for each would cost more to start than to run.
    small = [jnp.ravel(x) for x in leaves(t) if x.size <= 4096]
    parts = [_sum_of_squares(x) for x in leaves(t) if x.size > 4096]
    if small:
        same = {x.dtype for x in small}
        joined = [jnp.concatenate(small)] if len(same) == 1 else small
        parts += [_sum_of_squares(x) for x in joined]
    return jnp.sqrt(sum(parts[1:], parts[0])) if parts else jnp.zeros(())


def max_abs(t: Tree):
    """The largest absolute entry."""
    parts = [jnp.max(jnp.abs(x), initial=0) for x in leaves(t)]
    return jnp.max(jnp.stack(parts)) if parts else jnp.zeros(())


def where(condition, a: Tree, b: Tree) -> Tree:
    """`a` where the scalar `condition` holds, else `b`, leaf by leaf."""
    return map(lambda x, y: jnp.where(condition, x, y), a, b)


def all_finite(t: Tree):
    """Whether every entry is finite."""
    parts = [jnp.all(jnp.isfinite(x)) for x in leaves(t)]
    return jnp.all(jnp.stack(parts)) if parts else jnp.asarray(True)


def cast(t: Tree, dtype) -> Tree:
    """Floating leaves (Python floats too) as arrays of `dtype`; the others as they are."""

    def one(x):
        x = jnp.asarray(x)
        return x.astype(dtype) if jnp.issubdtype(x.dtype, jnp.floating) else x

    return map(one, t)


def size(t: Tree) -> int:
    """How many numbers the tree holds."""
    return sum(int(jnp.size(x)) for x in leaves(t))
