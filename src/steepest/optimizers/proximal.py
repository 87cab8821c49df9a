"""Accelerated proximal gradient: convex f plus an L1 penalty or bounds."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from steepest.core.record import number, part, record
from steepest.core.types import Evaluate, Params, Proximal, Stepped
from steepest.optimizers.deterministic import (
    Deterministic,
    Held,
    first,
    first_step,
    flat,
    pick,
    ravel,
)


@record
class FISTAState:
    """x is the held point; `y` the extrapolated one; `step` t; `inertia` the a of the recursion."""

    held: Held = part()
    y: Any = part()
    step: Any = part()
    inertia: Any = part()


@record
class FISTA(Deterministic):
    """FISTA, the accelerated proximal gradient method, with backtracking and restarts.

        x+ = prox(y - t g(y), t)
        a+ = (1 + sqrt(1 + 4 a^2 t / t+)) / 2
        y+ = x+ + (a - 1) / a+ (x+ - x)

    t is halved until (g(x+) - g(y)) . (x+ - y) <= |x+ - y|^2 / t, a test by gradients that keeps
    its digits near the solution, and grows by `growth` from step to step. The momentum starts anew
    (a = 1) when it leads uphill, (y - x+) . (x+ - x) > 0, which restores linear convergence where
    f is strongly convex. Without a proximal term this is Nesterov's accelerated gradient. Each step
    costs two evaluations, one at y and one at x+.

    Sources: Beck and Teboulle, SIAM J. Imaging Sci. 2 (2009), 183-202; Becker, Candès and Grant,
    Math. Prog. Comp. 3 (2011), eq. (5.7) (the test); Scheinberg, Goldfarb and Bai, Found. Comput.
    Math. 14 (2014), 389-417 (steps that grow); O'Donoghue and Candès, ibid. 15 (2015), eq. (12).
    """

    initial_step: float | None = number(
        default=None, above=0, optional=True, help="first step length to try; none: 1/|g|"
    )
    factor: float = number(
        default=0.5, above=0, below=1, help="by which a step that is too long shrinks"
    )
    growth: float = number(
        default=1.1, least=1, help="the next first trial, in units of the last step"
    )
    max_trials: int = number(default=60, least=1, help="evaluations in one step")

    def start(self, evaluate: Evaluate, params: Params) -> FISTAState:
        """One evaluation at `params`."""
        held = first(evaluate, params)
        x, g = held.point.x, held.point.gradient
        step = first_step(g) if self.initial_step is None else self.initial_step
        return FISTAState(held, x, jnp.asarray(step, x.dtype), jnp.ones((), x.dtype))

    def step(
        self,
        evaluate: Evaluate,
        params: Params,
        state: FISTAState,
        proximal: Proximal | None = None,
    ) -> Stepped:
        """One accelerated step; `failed` where no step length leads to a finite point."""
        at, x, unravel = flat(evaluate, params)
        held = state.held
        factor, growth = (jnp.asarray(c, x.dtype) for c in (self.factor, self.growth))

        def turn(loop):
            t, y, trials, _, before, _ = loop
            # The first turn evaluates y, the others a trial x+.
            probing = trials == 0
            moved = y - t * before.gradient
            if proximal is not None:
                moved = ravel(proximal(unravel(moved), t))
            point = at(jnp.where(probing, y, moved))
            finite = jnp.isfinite(point.value) & jnp.all(jnp.isfinite(point.gradient))
            delta = point.x - y
            square = jnp.vdot(delta, delta)
            rise = jnp.vdot(point.gradient - before.gradient, delta)
            good = ~probing & finite & (rise <= square / t)
            shrink = jnp.where(finite, factor, jnp.minimum(factor, 0.1))
            t = jnp.where(probing | good, t, shrink * t)
            # Where y itself is not finite, go back to x, whose gradient is at hand.
            y = jnp.where(probing & ~finite, held.point.x, y)
            before = pick(probing, pick(finite, point, held.point), before)
            return t, y, trials + 1, good, before, point

        def going(loop):
            _, _, trials, good, _, _ = loop
            return ~good & (trials < jnp.asarray(self.max_trials, trials.dtype))

        skip = held.failed | ~jnp.isfinite(held.point.value)
        loop = (state.step, state.y, jnp.zeros((), jnp.int32), skip, held.point, held.point)
        t, y, trials, good, _, point = jax.lax.while_loop(going, turn, loop)
        failed = skip | ~good
        new = pick(failed, held.point, point)

        s = new.x - held.point.x
        uphill = jnp.vdot(y - new.x, s) > 0
        a = jnp.where(uphill, 1, state.inertia)
        next_a = (1 + jnp.sqrt(1 + 4 * a**2 / growth)) / 2
        momentum = jnp.where(uphill, 0, (a - 1) / next_a)
        state = FISTAState(
            held=held.after(new, failed),
            y=new.x + momentum * s,
            step=jnp.where(failed, state.step, growth * t),
            inertia=next_a,
        )
        return Stepped(
            params=unravel(new.x),
            state=state,
            value=held.point.value,
            gradient=unravel(held.point.gradient),
            aux=held.point.aux,
            learning_rate=jnp.where(failed, 0, t),
            evaluations=held.evaluations + trials,
            failed=failed,
        )
