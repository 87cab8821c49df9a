"""Newton's method with the exact Hessian, for few variables."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from steepest.core.record import number, part, record, static
from steepest.core.types import Evaluate, Params, Proximal, Stepped
from steepest.optimizers.deterministic import (
    Deterministic,
    Flat,
    Held,
    Point,
    first,
    first_step,
    flat,
    pick,
    refuse_proximal,
    stepped,
)
from steepest.optimizers.line_search import Found, StrongWolfe


@record
class NewtonState:
    """`radius` of the region in which the quadratic model is trusted."""

    held: Held = part()
    radius: Any = part()


@record
class Newton(Deterministic):
    """Newton's method: p minimises the model m(p) = g . p + p . B p / 2, with B the Hessian.

    globalization="trust-region": p minimises m within |p| <= radius, exactly, from the eigenvalues
    of B; the radius follows the ratio of the decrease of f to that of m. Saddles are left along the
    direction of negative curvature.

    globalization="line-search": p = -|B|^-1 g, where |B| has the absolute eigenvalues, each at
    least `least_curvature` times the largest; then a strong-Wolfe search.

    The Hessian comes from forward differentiation of the gradient, about n more gradients a step,
    which are not among the `evaluations`; the objective must be differentiable twice by JAX. The
    eigenvalues cost O(n^3): for up to some hundred variables.

    Sources: Moré and Sorensen, SIAM J. Sci. Stat. Comput. 4 (1983), 553-572; Nocedal and Wright,
    "Numerical Optimization" (2006), algorithms 4.1, 4.3 and section 3.4.
    """

    globalization: str = static(
        "trust-region", choices=("trust-region", "line-search"), help="what keeps the steps safe"
    )
    radius: float = number(1.0, above=0, help="first radius of the trust region")
    max_radius: float = number(1e10, above=0, help="its largest radius")
    accept: float = number(1e-4, above=0, below=0.25, help="least ratio for a step to be taken")
    least_curvature: float = number(1e-8, above=0, below=1, help="of |B|, relative")
    max_trials: int = number(60, least=1, help="evaluations in one step")
    search: StrongWolfe = part(factory=StrongWolfe, help="the line search")

    def start(self, evaluate: Evaluate, params: Params) -> NewtonState:
        """One evaluation at `params`."""
        held = first(evaluate, params)
        return NewtonState(held, jnp.asarray(self.radius, held.point.x.dtype))

    def step(
        self,
        evaluate: Evaluate,
        params: Params,
        state: NewtonState,
        proximal: Proximal | None = None,
    ) -> Stepped:
        """One Hessian, and one step; raises `UsageError` for a `proximal` term."""
        refuse_proximal(self, proximal)
        at, x, unravel = flat(evaluate, params)
        held = state.held
        hessian = jax.jacfwd(lambda v: at(v).gradient)(held.point.x)
        hessian = 0.5 * (hessian + hessian.T)
        usable = jnp.all(jnp.isfinite(hessian)) & ~held.failed
        eye = jnp.eye(x.size, dtype=x.dtype)
        values, vectors = jnp.linalg.eigh(jnp.where(usable, hessian, eye))
        if self.globalization == "line-search":
            size = jnp.abs(values)
            least = jnp.asarray(self.least_curvature, x.dtype) * jnp.max(size)
            size = jnp.maximum(size, jnp.where(least > 0, least, 1))
            g = held.point.gradient
            found = self.search(
                at, held.point, -(vectors @ ((vectors.T @ g) / size)), step=1.0,
                second=-g, second_step=first_step(g), skip=held.failed,
            )  # fmt: skip
            radius = state.radius
        else:
            found, radius = self._trusted(at, held.point, values, vectors, state.radius, usable)
        new = Held(found.point, jnp.zeros((), jnp.int32), found.failed)
        return stepped(unravel, held, NewtonState(new, radius), found)

    def _trusted(
        self, at: Flat, start: Point, values, vectors, radius, usable
    ) -> tuple[Found, Any]:
        """The radius shrinks until a step is good."""
        dtype = start.x.dtype
        g = vectors.T @ start.gradient
        size = jnp.linalg.norm(start.gradient)
        noise = 100 * jnp.finfo(dtype).eps * jnp.abs(start.value)
        accept, most = (jnp.asarray(c, dtype) for c in (self.accept, self.max_radius))

        def turn(loop):
            radius, trials, _, _ = loop
            p = in_ball(g, values, radius)
            model = -(jnp.vdot(g, p) + 0.5 * jnp.vdot(values, p * p))
            point = at(start.x + vectors @ p)
            finite = jnp.isfinite(point.value) & jnp.all(jnp.isfinite(point.gradient))
            fall = start.value - point.value
            ratio = fall / model
            # Where the model promises less than rounding, the gradient must fall instead.
            level = (model <= noise) & (jnp.abs(fall) <= noise)
            good = finite & (((ratio > accept) & (model > 0) & (fall > 0))
                             | (level & (jnp.linalg.norm(point.gradient) < size)))  # fmt: skip
            length = jnp.linalg.norm(p)
            inside = jnp.where(finite, jnp.where(ratio < 0.25, 0.25, 0.5), 0.1) * length
            at_edge = length >= 0.99 * radius
            wide = jnp.where((ratio > 0.75) & at_edge, 2 * radius, radius)
            kept = jnp.where((ratio < 0.25) & ~level, inside, wide)
            return jnp.where(good, jnp.minimum(kept, most), inside), trials + 1, good, point

        def going(loop):
            _, trials, good, _ = loop
            return ~good & (trials < jnp.asarray(self.max_trials, trials.dtype))

        ended = ~usable | ~jnp.isfinite(start.value) | ~jnp.isfinite(size) | (size == 0)
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
    floor = jnp.where(lowest > eps * scale, 0, -lowest + eps * scale)

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
