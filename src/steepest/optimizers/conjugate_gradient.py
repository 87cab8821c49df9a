"""Nonlinear conjugate gradients: directions from the last two gradients, without a matrix."""

from __future__ import annotations

from typing import Any

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


@record
class ConjugateGradientState:
    """`direction`: the next d; `step`: the first length to try along it."""

    held: Held = part()
    direction: Any = part()
    step: Any = part()


def _sharp() -> StrongWolfe:
    return StrongWolfe(curvature=0.1)


@record
class ConjugateGradient(Deterministic):
    """Nonlinear conjugate gradients, d+ = -g+ + beta d, followed by a line search.

    With y = g+ - g, `beta` is one of

        hager-zhang       max((y - 2 d |y|^2 / (d . y)) . g+ / (d . y), -1 / (|d| min(0.01, |g|)))
        polak-ribiere     max(g+ . y / |g|^2, 0)
        fletcher-reeves   |g+|^2 / |g|^2

    On a quadratic in n variables, with an exact search, the minimum is reached in n steps. A
    direction that does not descend, or along which the search fails, gives way to -g. Memory: 2 n
    numbers.

    Sources: Hager and Zhang, SIAM J. Optim. 16 (2005), 170-192, eq. (1.5), (1.6); Nocedal and
    Wright, "Numerical Optimization", 2nd ed. (2006), section 5.2; first length: eq. (3.60).
    """

    beta: str = static(
        default="hager-zhang",
        choices=("hager-zhang", "polak-ribiere", "fletcher-reeves"),
        help="the formula for beta",
    )
    search: StrongWolfe = part(factory=_sharp, help="the line search")
    floor: float = number(
        default=0.01, above=0, help="eta, which bounds beta of hager-zhang from below"
    )

    def start(self, evaluate: Evaluate, params: Params) -> ConjugateGradientState:
        """One evaluation at `params`; the steepest descent."""
        held = first(evaluate, params)
        g = held.point.gradient
        return ConjugateGradientState(held, -g, first_step(g))

    def step(
        self,
        evaluate: Evaluate,
        params: Params,
        state: ConjugateGradientState,
        proximal: Proximal | None = None,
    ) -> Stepped:
        """One line search, then the next direction; raises `UsageError` for a `proximal` term."""
        refuse_proximal(self, proximal)
        at, _, unravel = flat(evaluate, params)
        held = state.held
        g = held.point.gradient
        found = self.search(
            at, held.point, state.direction, step=state.step,
            second=-g, second_step=first_step(g), skip=held.failed, size=held.size,
        )  # fmt: skip
        new = found.point
        d = jnp.where(found.second, -g, state.direction)
        beta = self._beta(g, new.gradient, d)
        beta = jnp.where(jnp.isfinite(beta) & ~found.failed, beta, 0)
        next_d = beta * d - new.gradient
        slope = jnp.vdot(new.gradient, next_d)
        # The first length foresees the same first-order change as the last step made.
        length = jnp.minimum(found.step * found.slope / slope, 10 * found.step)
        usable = jnp.isfinite(length) & (length > 0)
        state = ConjugateGradientState(
            held=held.after(new, found.failed),
            direction=next_d,
            step=jnp.where(usable, length, first_step(new.gradient)),
        )
        return stepped(unravel, held, state, found)

    def _beta(self, g, new, d):
        y = new - g
        if self.beta == "fletcher-reeves":
            return jnp.vdot(new, new) / jnp.vdot(g, g)
        if self.beta == "polak-ribiere":
            return jnp.maximum(jnp.vdot(new, y) / jnp.vdot(g, g), 0)
        dy = jnp.vdot(d, y)
        beta = (jnp.vdot(y, new) - 2 * jnp.vdot(d, new) * jnp.vdot(y, y) / dy) / dy
        eta = jnp.asarray(self.floor, g.dtype)
        least = -1 / (jnp.linalg.norm(d) * jnp.minimum(eta, jnp.linalg.norm(g)))
        return jnp.maximum(beta, least)
