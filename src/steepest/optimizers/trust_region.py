"""Trust regions: the step that minimises a quadratic model within a ball."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from steepest.core.record import number, record
from steepest.optimizers.deterministic import Flat, Point, pick
from steepest.optimizers.line_search import Found


@record
class TrustRegion:
    """Shrink the ball |p| <= radius until the decrease of f is a fair part of that of the model.

    ratio = (f(x) - f(x + p)) / (m(0) - m(p)),   m(p) = f(x) + g . p + p . B p / 2

    A step is taken when the ratio is above `accept`. Below 1/4 the radius becomes a tenth to a half
    of the step; above 3/4, where the step reaches the edge, it doubles. Where the model promises
    less than rounding, the gradient norm must fall instead. A trial that is not finite shrinks the
    radius to a tenth of the step.

    Sources: Nocedal and Wright, "Numerical Optimization", 2nd ed. (2006), algorithm 4.1; Moré, "The
    Levenberg-Marquardt algorithm" (1978), section 4 (by how much the radius shrinks).
    """

    accept: float = number(
        default=1e-4, above=0, below=0.25, help="least ratio for a step to be taken"
    )
    max_radius: float = number(default=1e10, above=0, help="the largest radius")
    max_trials: int = number(default=60, least=1, help="evaluations in one step")

    def __call__(
        self, at: Flat, start: Point, g: Any, values: Any, back: Callable, radius: Any, usable: Any
    ) -> tuple[Found, Any]:
        """The step taken and the next radius.

        `g` and `values`: the gradient and the eigenvalues (ascending) in the basis in which B is
        diagonal and the ball is round; `back(p)` leads from there to a change of x.
        """
        dtype = start.x.dtype
        size = jnp.linalg.norm(start.gradient)
        noise = 100 * jnp.finfo(dtype).eps * jnp.abs(start.value)
        accept, most = (jnp.asarray(c, dtype) for c in (self.accept, self.max_radius))

        def turn(loop):
            radius, trials, _, _ = loop
            p = in_ball(g, values, radius)
            model = -(jnp.vdot(g, p) + 0.5 * jnp.vdot(values, p * p))
            point = at(start.x + back(p))
            finite = jnp.isfinite(point.value) & jnp.all(jnp.isfinite(point.gradient))
            fall = start.value - point.value
            ratio = fall / model
            level = (model <= noise) & (jnp.abs(fall) <= noise)
            calmer = level & (jnp.linalg.norm(point.gradient) < size)
            good = finite & (((ratio > accept) & (model > 0) & (fall > 0)) | calmer)
            length = jnp.linalg.norm(p)
            # The least value, along p, of the parabola through f(x), its slope and f(x + p).
            slope = jnp.vdot(g, p)
            share = jnp.where(
                fall + slope < 0, jnp.clip(0.5 * slope / (fall + slope), 0.1, 0.5), 0.5
            )
            smaller = jnp.where(finite, share, 0.1) * length
            at_edge = length >= 0.99 * radius
            wider = jnp.where((ratio > 0.75) & at_edge, 2 * radius, radius)
            kept = jnp.where((ratio < 0.25) & ~level, smaller, wider)
            return jnp.where(good, jnp.minimum(kept, most), smaller), trials + 1, good, point

        def going(loop):
            _, trials, good, _ = loop
            return ~good & (trials < jnp.asarray(self.max_trials, trials.dtype))

        ended = (
            ~jnp.asarray(usable) | ~jnp.isfinite(start.value) | ~jnp.isfinite(size) | (size == 0)
        )
        loop = (radius, jnp.zeros((), jnp.int32), ended, start)
        new_radius, trials, good, point = jax.lax.while_loop(going, turn, loop)
        failed = ~good | ended
        one = jnp.where(failed, 0, jnp.ones((), dtype))
        found = Found(pick(failed, start, point), one, -size, trials, failed, jnp.zeros((), bool))
        return found, jnp.where(failed, radius, new_radius)


def in_ball(g, values, radius):
    """argmin_p g . p + sum_i values_i p_i^2 / 2 over |p| <= radius, `values` in ascending order.

    p = -g / (values + m), with the least multiplier m >= max(0, -values_0) for which |p| <= radius,
    found by Newton's method on 1/radius - 1/|p|, within a bracket. In the hard case, g orthogonal
    to the lowest eigenvector, that vector makes up the length.
    """
    eps, one = jnp.finfo(g.dtype).eps, jnp.ones((), g.dtype)
    scale = jnp.maximum(jnp.max(jnp.abs(values)), jnp.finfo(g.dtype).tiny)
    size = jnp.linalg.norm(g)
    lowest = values[0]
    floor = jnp.where(lowest > -eps * scale, 0, -lowest + eps * scale)

    def divided(m):
        d = values + m
        return -g / jnp.where(d > 0, d, eps * scale)

    def turn(_, loop):
        m, low, high = loop
        p = divided(m)
        length = jnp.linalg.norm(p)
        d = values + m
        slope = jnp.vdot(p, p / jnp.where(d > 0, d, eps * scale))
        long = length > radius
        low, high = jnp.where(long, m, low), jnp.where(long, high, m)
        slope = jnp.where(slope > 0, slope, 1)
        new = m + (length / radius - 1) * length**2 / slope
        inside = (new > low) & (new < high) & jnp.isfinite(new)
        return jnp.where(inside, new, jnp.sqrt(jnp.maximum(low, eps * scale)) * jnp.sqrt(high)
                         ).clip(low, high), low, high  # fmt: skip

    high = floor + size / radius + scale
    m, _, high = jax.lax.fori_loop(0, 40, turn, (floor, floor, high))
    p = divided(m)
    length = jnp.linalg.norm(p)
    p = jnp.where(length > radius, p * (radius / jnp.where(length > 0, length, one)), p)
    # The hard case: at the least multiplier p is still short, though B is not positive.
    short = jnp.sqrt(jnp.maximum(radius**2 - jnp.vdot(p, p), 0))
    hard = (lowest < -eps * scale) & (m <= floor + 2 * eps * scale) & (short > 0)
    sign = jnp.where(g[0] > 0, -one, one)
    return p.at[0].add(jnp.where(hard, sign * short, 0))
