"""What the methods that look at one fixed objective share: the flat view, and the cached point.

A line search compares f at several points, so the objective must be the same each time: these
methods are for functions and for full-batch training. Each gradient is spent once: the point that a
step arrives at is kept in the state with its value and gradient, and the next step starts from it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

from steepest.core.errors import UsageError
from steepest.core.record import part, record
from steepest.core.types import Evaluate, Horizon, Params, Stepped


class Point(NamedTuple):
    """A point x with f(x), the gradient (all vectors of n numbers), and the objective's aux."""

    x: Any
    value: Any
    gradient: Any
    aux: Any = ()


@record
class Held:
    """The state common to the deterministic methods.

    `evaluations` made since the last step was reported (`start` makes one, which the first step
    reports), and whether the method has `failed`: it then stays where it is, at no further cost.
    `size`: a mean of |f| over the last steps, to whose rounding values can be told apart, since f
    may be small by cancellation alone (C_k of Hager and Zhang 2006, section 4, with Delta = 0.7).
    """

    point: Point = part()
    evaluations: Any = part()
    failed: Any = part()
    size: Any = part()

    def after(self, point: Point, failed: Any) -> Held:
        """What is held after a step to `point`, whose evaluations have been reported."""
        size = 0.7 * self.size + 0.3 * jnp.abs(point.value)
        return Held(point, jnp.zeros((), jnp.int32), failed, size)


class Deterministic:
    """Base of the methods that need a deterministic objective; not tied to any horizon."""

    deterministic = True

    def bind(self, horizon: Horizon):
        """Itself: no setting of a deterministic method depends on the length of the run."""
        return self


Flat = Callable[[Any], Point]


def flat(evaluate: Evaluate, params: Params) -> tuple[Flat, Any, Callable[[Any], Params]]:
    """`(evaluate on vectors, params as a vector, vector -> params)`.

    Raises `UsageError` where the leaves of `params` are not all of one floating type.
    """
    leaves = jax.tree.leaves(params)
    types = sorted({str(jnp.asarray(x).dtype) for x in leaves})
    if len(types) != 1 or not jnp.issubdtype(types[0], jnp.floating):
        raise UsageError(
            f"params must hold numbers of one floating type, got {', '.join(types) or 'nothing'}: "
            "convert them with jax.tree.map(lambda a: jnp.asarray(a, float), params)."
        )
    x, unravel = ravel_pytree(params)

    def at(x) -> Point:
        e = evaluate(unravel(x))
        return Point(x, jnp.asarray(e.value, x.dtype), ravel(e.gradient), e.aux)

    return at, x, unravel


def ravel(t: Params) -> Any:
    """The leaves of a tree, of one type, as one vector."""
    parts = [jnp.ravel(x) for x in jax.tree.leaves(t)]
    return parts[0] if len(parts) == 1 else jnp.concatenate(parts)


def first(evaluate: Evaluate, params: Params) -> Held:
    """The state before the first step: one evaluation."""
    at, x, _ = flat(evaluate, params)
    point = at(x)
    return Held(point, jnp.ones((), jnp.int32), jnp.zeros((), bool), jnp.abs(point.value))


def first_step(gradient):
    """1 / |g|, so that the first trial has length 1; 1 at a stationary point."""
    size = jnp.linalg.norm(gradient)
    return jnp.where(size > 0, 1 / jnp.where(size > 0, size, 1), 1)


def stepped(unravel, held: Held, state: Any, found: Any) -> Stepped:
    """What a step reports: value and gradient where it started, params where it arrived.

    A point whose gradient is exactly zero is no failure: the step has length zero.
    """
    return Stepped(
        params=unravel(found.point.x),
        state=state,
        value=held.point.value,
        gradient=unravel(held.point.gradient),
        aux=held.point.aux,
        learning_rate=found.step,
        evaluations=held.evaluations + found.evaluations,
        failed=found.failed & jnp.any(held.point.gradient != 0),
    )


def refuse_proximal(method: Any, proximal: Any) -> None:
    """Raise `UsageError` where a method for smooth objectives is given a proximal term."""
    if proximal is not None:
        raise UsageError(
            f"{type(method).__name__} works on smooth objectives only and cannot take bounds or an "
            "L1 penalty: use FISTA, BacktrackingGD or BarzilaiBorwein, or LBFGS for bounds."
        )


def box_of(method: Any, proximal: Any, dtype: Any) -> tuple[Any, Any]:
    """`(lower, upper)` as vectors, where the proximal operator is the projection on a box.

    Raises `UsageError` for any other.
    """
    if not (hasattr(proximal, "lower") and hasattr(proximal, "upper")):
        raise UsageError(
            f"{type(method).__name__} takes bounds, but no L1 penalty: "
            "use FISTA, BacktrackingGD or BarzilaiBorwein."
        )
    return tuple(  # type: ignore[return-value]
        ravel(jax.tree.map(lambda a: jnp.asarray(a, dtype), side))
        for side in (proximal.lower, proximal.upper)
    )


def pick(condition: Any, a: Any, b: Any) -> Any:
    """`a` where the scalar `condition` holds, else `b`, leaf by leaf."""
    return jax.tree.map(lambda p, q: jnp.where(condition, p, q), a, b)
