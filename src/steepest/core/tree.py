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


def norm(t: Tree):
    """The Euclidean norm of the whole tree, as one vector."""
    found = [_folded(jnp.square(jnp.abs(x))) for x in leaves(t)]
    kinds = {x.dtype for x in found}
    if len(kinds) == 1:
        return jnp.sqrt(jnp.sum(sum(found[1:], found[0])))
    parts = [jnp.sum(x) for x in found]
    return jnp.sqrt(sum(parts[1:], parts[0])) if parts else jnp.zeros(())


LANES = 32


def _folded(x):
    """`LANES` numbers with the same sum as the entries of `x`, by adding halves to each other.

    A compiler may not reorder a sum of floating-point numbers, so `jnp.sum` adds them one by one;
    halves are added side by side, which takes a third of the time and rounds less.
    """
    x = jnp.ravel(x)
    rows = max(1, -(-x.size // LANES))
    x = jnp.pad(x, (0, rows * LANES - x.size)).reshape(rows, LANES)
    while rows > 1:
        # The first fold leaves a power of two, so that all others are even.
        half = 1 << ((rows - 1).bit_length() - 1)
        x = x[:half] + jnp.pad(x[half:], ((0, 2 * half - rows), (0, 0)))
        rows = half
    return x[0]


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
