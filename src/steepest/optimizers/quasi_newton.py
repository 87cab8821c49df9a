"""Quasi-Newton methods: the inverse Hessian learned from differences of gradients."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp

from steepest.core.record import part, record, static
from steepest.core.types import Evaluate, Params, Proximal, Stepped
from steepest.optimizers.bounded import search_within
from steepest.optimizers.deterministic import (
    Deterministic,
    Held,
    box_of,
    first,
    first_step,
    flat,
    refuse_proximal,
    stepped,
)
from steepest.optimizers.line_search import Found, StrongWolfe


@record
class LBFGSState:
    """The last m pairs s = x' - x and y = g' - g, in rows of `s` and `y`, in a ring.

    `inverse` is R^-1, where R is the upper triangle of S Y^T in order of age; `curvature` holds
    s_i . y_i; `slot` is the row to be written next, `gamma` the scale of the first matrix.
    Rows not written yet are zero, and so count for nothing.
    """

    held: Held = part()
    s: Any = part()
    y: Any = part()
    inverse: Any = part()
    curvature: Any = part()
    gamma: Any = part()
    slot: Any = part()


@record
class LBFGS(Deterministic):
    """L-BFGS: the BFGS direction from the last `memory` pairs s = x+ - x, y = g+ - g.

        d = -H g,   H = V^T H_0 V + ...,   H_0 = gamma I,   gamma = s . y / y . y   of the last pair

    followed by a line search. The two loops of the recursion are the triangular systems
    R a = S g and R^T b = D a - gamma Y q, with q = g - Y^T a, D = diag(s_i . y_i), and
    d = -(gamma q + S^T b). Here R^-1 is kept and grows by a column with each pair, so that an
    iteration is five products with the m x n matrices S and Y and nothing sequential.

    A pair without positive curvature is left out. Where the search fails, the memory is dropped
    and the step goes along -g. Within bounds, H acts on the variables that no bound holds, and the
    search follows the projected path (`optimizers.bounded`). Memory: 2 m n numbers.

    Sources: Nocedal, "Updating quasi-Newton matrices with limited storage", Math. Comp. 35 (1980),
    773-782; Byrd, Nocedal and Schnabel, "Representations of quasi-Newton matrices", Math. Prog. 63
    (1994), 129-156, theorem 2.2.

    >>> import jax, jax.numpy as jnp
    >>> from steepest.core.types import Evaluation
    >>> f = lambda x: (1 - x[0]) ** 2 + 100 * (x[1] - x[0] ** 2) ** 2
    >>> evaluate = lambda x: Evaluation(*jax.value_and_grad(f)(x))
    >>> method, x = LBFGS(), jnp.array([-1.2, 1.0])
    >>> state, step = method.start(evaluate, x), jax.jit(lambda x, s: method.step(evaluate, x, s))
    >>> for _ in range(40):
    ...     stepped = step(x, state)
    ...     x, state = stepped.params, stepped.state
    >>> bool(jnp.allclose(x, 1.0, atol=1e-3))
    True
    """

    memory: int = static(default=10, help="pairs kept, m")
    search: StrongWolfe = part(factory=StrongWolfe, help="the line search")

    def start(self, evaluate: Evaluate, params: Params) -> LBFGSState:
        """One evaluation at `params`; an empty memory."""
        held = first(evaluate, params)
        x = held.point.x
        m = int(self.memory)
        return LBFGSState(
            held=held,
            s=jnp.zeros((m, x.size), x.dtype),
            y=jnp.zeros((m, x.size), x.dtype),
            inverse=jnp.zeros((m, m), x.dtype),
            curvature=jnp.zeros((m,), x.dtype),
            gamma=first_step(held.point.gradient),
            slot=jnp.zeros((), jnp.int32),
        )

    def step(
        self,
        evaluate: Evaluate,
        params: Params,
        state: LBFGSState,
        proximal: Proximal | None = None,
    ) -> Stepped:
        """One direction and one line search; raises `UsageError` for an L1 penalty."""
        at, _, unravel = flat(evaluate, params)
        held = state.held
        if proximal is None:
            found = self.search(
                at, held.point, -_two_loops(state, held.point.gradient), step=1.0,
                second=-held.point.gradient,
                second_step=state.gamma, skip=held.failed, size=held.size,
            )  # fmt: skip
            return stepped(unravel, held, _remember(state, found), found)
        lower, upper = box_of(self, proximal, held.point.x.dtype)
        found, stationary = search_within(self.search, at, held, state, lower, upper)
        state = _remember(state, found)
        return stepped(unravel, held, state, found._replace(failed=found.failed & ~stationary))


def _two_loops(state: LBFGSState, g):
    """H g."""
    a = state.inverse @ (state.s @ g)
    q = g - a @ state.y
    b = (state.curvature * a - state.gamma * (state.y @ q)) @ state.inverse
    return state.gamma * q + b @ state.s


def _remember(state: LBFGSState, found: Found) -> LBFGSState:
    """The memory with the pair of this step, unless its curvature is not positive."""
    old, new = state.held.point, found.point
    s, y = new.x - old.x, new.gradient - old.gradient
    sy, yy = jnp.vdot(s, y), jnp.vdot(y, y)
    good = curved(sy, found)
    fresh = found.second | found.failed  # the memory led nowhere: drop it
    slots = jnp.arange(state.curvature.size, dtype=jnp.int32)
    here = slots == state.slot
    keep = ~(fresh | (here & good))

    # Without row and column `slot`, R^-1 is the inverse of R without them, as R is triangular.
    inverse = jnp.where(keep[:, None] & keep[None, :], state.inverse, 0)
    rho = 1 / jnp.where(good, sy, jnp.ones_like(sy))
    column = jnp.where(here, rho, -rho * (inverse @ (state.s @ y)))
    inverse = jnp.where((here & good)[None, :], column[:, None], inverse)
    write = (here & good)[:, None]
    return LBFGSState(
        held=state.held.after(new, found.failed),
        s=jnp.where(write, s, state.s),
        y=jnp.where(write, y, state.y),
        inverse=inverse,
        curvature=jnp.where(here & good, sy, jnp.where(keep, state.curvature, 0)),
        gamma=jnp.where(good, sy / jnp.where(good, yy, 1), state.gamma),
        slot=jnp.where(good, (state.slot + 1) % state.curvature.size, state.slot),
    )


@record
class BFGSState:
    """`inverse`: H, an n x n matrix; `gamma`: its scale, s . y / y . y of the last pair.

    `empty`: no pair has been learned since the start or the last failure.
    """

    held: Held = part()
    inverse: Any = part()
    gamma: Any = part()
    empty: Any = part()


@record
class BFGS(Deterministic):
    """BFGS: d = -H g with the whole inverse Hessian H, for up to some thousand variables.

        H+ = (1 - rho s y^T) H (1 - rho y s^T) + rho s s^T,    rho = 1 / s . y

    H starts as 1/|g| and is scaled to s . y / y . y before the first update. A pair without
    positive curvature is left out; where the search fails, H starts anew. Memory: n^2 numbers.

    Source: Nocedal and Wright, "Numerical Optimization", 2nd ed. (2006), eq. (6.17), (6.20).
    """

    search: StrongWolfe = part(factory=StrongWolfe, help="the line search")

    def start(self, evaluate: Evaluate, params: Params) -> BFGSState:
        """One evaluation at `params`; a multiple of the identity for H."""
        held = first(evaluate, params)
        gamma = first_step(held.point.gradient)
        eye = jnp.eye(held.point.x.size, dtype=gamma.dtype)
        return BFGSState(held, gamma * eye, gamma, jnp.ones((), bool))

    def step(
        self,
        evaluate: Evaluate,
        params: Params,
        state: BFGSState,
        proximal: Proximal | None = None,
    ) -> Stepped:
        """One direction and one line search; raises `UsageError` for a `proximal` term."""
        refuse_proximal(self, proximal)
        at, _, unravel = flat(evaluate, params)
        held = state.held
        g = held.point.gradient
        found = self.search(
            at, held.point, -(state.inverse @ g), step=1.0,
            second=-g, second_step=state.gamma, skip=held.failed, size=held.size,
        )  # fmt: skip
        return stepped(unravel, held, _update(state, found), found)


def _update(state: BFGSState, found: Found) -> BFGSState:
    """The inverse Hessian with the pair of this step."""
    old, new = state.held.point, found.point
    s, y = new.x - old.x, new.gradient - old.gradient
    sy, yy = jnp.vdot(s, y), jnp.vdot(y, y)
    good = curved(sy, found)
    gamma = jnp.where(good, sy / jnp.where(good, yy, 1), state.gamma)
    fresh = found.second | found.failed
    anew = fresh | (state.empty & good)
    # Hy of the matrix that is updated: gamma I where H starts anew.
    hy = jnp.where(anew, gamma * y, state.inverse @ y)
    rho = 1 / jnp.where(good, sy, 1)
    half = 0.5 * rho * (1 + rho * jnp.vdot(y, hy))
    u = jnp.where(good, half * s - rho * hy, 0)
    eye = gamma * jnp.eye(s.size, dtype=s.dtype)
    inverse = jnp.where(anew, eye, state.inverse) + (s[:, None] * u + u[:, None] * s)
    held = state.held.after(new, found.failed)
    return BFGSState(held, inverse, gamma, (state.empty | fresh) & ~good)


def curved(sy, found: Found):
    """Whether s . y is positive beyond rounding: at least eps times the decrease that was due."""
    due = -found.slope * found.step
    return (sy > jnp.finfo(sy.dtype).eps * due) & ~found.failed & jnp.isfinite(sy)
