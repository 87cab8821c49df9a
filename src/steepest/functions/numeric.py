"""Expression tree to a JAX function of the vector of variables.

A sum over an index becomes array code over all its points at once: `x[i+1]` for i = 1 ... n-1 is
one slice, so a thousand variables compile as fast as ten. Index arithmetic happens in NumPy when
the function is traced; only variables reach JAX. At kinks the derivative is 0 where it has to be
chosen: of |x|, relu and sqrt at 0.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from steepest.core.types import Array
from steepest.functions.expression import (
    Call,
    Chain,
    Constant,
    Dimension,
    Element,
    Expression,
    Index,
    Negate,
    Number,
    Power,
    Reduction,
    Variable,
    free_indices,
    integer,
)
from steepest.functions.indices import Scope, domain, integers


def _sqrt(x):
    """sqrt(x), of derivative 0 at 0, lest the gradient of sqrt(x^2 + y^2) be NaN at its minimum."""
    zero = x == 0
    return jnp.where(zero, x, jnp.sqrt(jnp.where(zero, jnp.ones_like(x), x)))


def _step(x):
    return (x > 0).astype(x.dtype)


FUNCTIONS: dict[str, Callable] = {
    "sin": jnp.sin,
    "cos": jnp.cos,
    "tan": jnp.tan,
    "asin": jnp.arcsin,
    "acos": jnp.arccos,
    "atan": jnp.arctan,
    "atan2": jnp.arctan2,
    "sinh": jnp.sinh,
    "cosh": jnp.cosh,
    "tanh": jnp.tanh,
    "asinh": jnp.arcsinh,
    "acosh": jnp.arccosh,
    "atanh": jnp.arctanh,
    "exp": jnp.exp,
    "expm1": jnp.expm1,
    "ln": jnp.log,
    "log": jnp.log,
    "log10": jnp.log10,
    "log2": jnp.log2,
    "log1p": jnp.log1p,
    "sqrt": _sqrt,
    "cbrt": jnp.cbrt,
    "abs": lambda x: x * jnp.sign(x),  # jnp.abs has derivative 1 at 0
    "sign": jnp.sign,
    "step": _step,
    "floor": jnp.floor,
    "ceil": jnp.ceil,
    "min": lambda *a: functools.reduce(jnp.minimum, a),
    "max": lambda *a: functools.reduce(jnp.maximum, a),
    "sigmoid": jax.nn.sigmoid,
    "relu": jax.nn.relu,
    "softplus": jax.nn.softplus,
    "erf": jax.scipy.special.erf,
}


def to_jax(expression: Expression, variables: tuple[str, ...]) -> Callable[[Array], Array]:
    """f(w) for a vector w of shape (n,) in the order of `variables`: traceable, of the dtype of w.

    Literals are rounded to that dtype. Nothing is raised for values: outside its domain a function
    is NaN or infinite, as in JAX.
    """
    where = {name: k for k, name in enumerate(variables)}
    n = len(variables)

    def call(w: Array) -> Array:
        return _evaluate(expression, w, where, n, {})

    return call


def _evaluate(node: Expression, w: Array, where: dict[str, int], n: int, scope: Scope) -> Array:
    """The value over all points of `scope`: shape (points,), or () if no index is involved."""

    def value(child: Expression) -> Array:
        return _evaluate(child, w, where, n, scope)

    def number(x: float | np.ndarray) -> Array:
        with np.errstate(over="ignore", under="ignore"):
            return jnp.asarray(np.asarray(x).astype(w.dtype))

    match node:
        case Number():
            return number(float(node.value))
        case Constant(name):
            return number(math.pi if name == "pi" else math.e)
        case Dimension():
            return number(n)
        case Index(name):
            return number(scope[name])
        case Variable(name):
            return w[where[name]]
        case Element(_, index):
            return _take(w, integers(index, scope, n) - 1)
        case Negate(operand):
            return -value(operand)
        case Chain(kind, inverted, terms):
            total = value(terms[0])
            if inverted[0]:
                total = -total
            for under, term in zip(inverted[1:], terms[1:], strict=True):
                right = value(term)
                if kind == "+":
                    total = total - right if under else total + right
                else:
                    total = total / right if under else total * right
            return total
        case Power(base, exponent):
            power = n if isinstance(exponent, Dimension) else integer(exponent)
            if power is not None:
                return value(base) ** power
            if isinstance(exponent, Number) and exponent.value * 2 == 1:
                return _sqrt(value(base))
            if isinstance(base, Constant) and base.name == "e":
                return jnp.exp(value(exponent))
            return jnp.power(value(base), value(exponent))
        case Call(name, arguments):
            return FUNCTIONS[name](*map(value, arguments))
        case Reduction():
            return _reduce(node, w, where, n, scope)
    raise AssertionError(node)


def _take(w: Array, index: np.ndarray) -> Array:
    """w[index]; a slice where the indices are evenly spaced, since gathers are slow."""
    if index.ndim == 0:
        return w[int(index)]
    if index.size == 0:
        return jnp.zeros(0, w.dtype)
    first, last = int(index[0]), int(index[-1])
    stride = int(index[1]) - first if index.size > 1 else 1
    if np.all(np.diff(index) == stride):
        if stride > 0:
            return lax.slice(w, (first,), (last + 1,), (stride,))
        if stride < 0:
            return lax.slice(w, (last,), (first + 1,), (-stride,))[::-1]
        return w[first]
    return w.at[index].get(mode="promise_in_bounds")


def _reduce(node: Reduction, w, where, n: int, scope: Scope) -> Array:
    scope = {name: scope[name] for name in free_indices(node)}
    points = domain(node, scope, n)
    total, rows = len(points.parent), len(points.counts)
    body = jnp.broadcast_to(_evaluate(node.body, w, where, n, points.scope), (total,))
    if not scope:
        return jnp.sum(body) if node.kind == "sum" else jnp.prod(body)
    width = total // rows if rows else 0
    if np.all(points.counts == width):
        table = body.reshape(rows, width)
        return jnp.sum(table, 1) if node.kind == "sum" else jnp.prod(table, 1)
    if node.kind == "sum":
        return jax.ops.segment_sum(body, points.parent, rows, indices_are_sorted=True)
    ends = np.cumsum(points.counts)
    return jnp.stack([jnp.prod(body[e - c : e]) for e, c in zip(ends, points.counts, strict=True)])
