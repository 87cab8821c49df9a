"""Newton's method with the exact Hessian, for few variables."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from steepest.core.record import number, part, record, static
from steepest.core.types import Evaluate, Params, Proximal, Stepped
from steepest.optimizers.deterministic import (
    Deterministic,
    Held,
    first,
    first_step,
    flat,
    refuse_proximal,
    stepped,
)
from steepest.optimizers.line_search import StrongWolfe
from steepest.optimizers.trust_region import TrustRegion


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
        default="trust-region",
        choices=("trust-region", "line-search"),
        help="what keeps the steps safe",
    )
    radius: float = number(default=1.0, above=0, help="first radius of the trust region")
    region: TrustRegion = part(factory=TrustRegion, help="the trust region")
    least_curvature: float = number(default=1e-8, above=0, below=1, help="of |B|, relative")
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
                size=held.size,
            )  # fmt: skip
            radius = state.radius
        else:
            found, radius = self.region(
                at, held.point, vectors.T @ held.point.gradient, values,
                lambda p: vectors @ p, state.radius, usable,
            )  # fmt: skip
        new = held.after(found.point, found.failed)
        return stepped(unravel, held, NewtonState(new, radius), found)
