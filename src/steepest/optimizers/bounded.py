"""L-BFGS within bounds: lower <= x <= upper.

The gradient decides which variables are on their way to a bound, the pairs of L-BFGS how the others
move, and the line search follows the projected path x(t) = P(x + t d), on which many bounds may be
met at once.

Sources: Bertsekas, "Projected Newton methods for optimization problems with simple constraints",
SIAM J. Control Optim. 20 (1982), 221-246; Kim, Sra and Dhillon, "Tackling box-constrained
optimization via a new projected quasi-Newton approach", SIAM J. Sci. Comput. 32 (2010), 3548-3563.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from steepest.optimizers.deterministic import Flat, Held, Point
from steepest.optimizers.line_search import Found, StrongWolfe


def search_within(
    search: StrongWolfe, at: Flat, held: Held, state: Any, lower: Any, upper: Any
) -> tuple[Found, Any]:
    """`(found, whether x is stationary)`: one step of L-BFGS with the pairs of `state`.

    A variable whose gradient step x - gamma g ends at a bound goes there; the others, the free
    ones, go along -H g, with H made of the free parts of the pairs.
    """
    x, g = held.point.x, held.point.gradient
    aim = x - state.gamma * g
    leaving = ((aim <= lower) & (g > 0)) | ((aim >= upper) & (g < 0))
    d = jnp.where(leaving, jnp.clip(aim, lower, upper) - x, -inverse_hessian(state, g, ~leaving))

    def inwards(d):
        # At a bound, a free variable has its gradient inwards: this keeps d a descent direction.
        return jnp.where(((x <= lower) & (d < 0)) | ((x >= upper) & (d > 0)), 0, d)

    def along(z) -> Point:
        """The point P(z); the slope there is that of the path, on which what is cut off rests."""
        point = at(jnp.clip(z, lower, upper))
        cut = (z < lower) | (z > upper)
        moving = jnp.where(cut, 0, point.gradient)
        return point._replace(gradient=moving, aux=(point.gradient, point.aux))

    steepest = inwards(-g)
    found = search(
        along, held.point._replace(aux=(g, held.point.aux)), inwards(d), step=1.0,
        second=steepest, second_step=state.gamma, skip=held.failed, size=held.size,
    )  # fmt: skip
    gradient, aux = found.point.aux
    point = found.point._replace(gradient=gradient, aux=aux)
    return found._replace(point=point), ~jnp.any(steepest != 0)


def inverse_hessian(state: Any, g: Any, free: Any) -> Any:
    """H g on the `free` variables, by the two loops over the pairs of `state` cut down to them."""
    memory = state.curvature.size
    s, y = jnp.where(free, state.s, 0), jnp.where(free, state.y, 0)
    sy, yy = jnp.sum(s * y, axis=1), jnp.sum(y * y, axis=1)
    # Less of a pair may have no positive curvature, though all of it had.
    good = (state.curvature > 0) & (sy > jnp.sqrt(jnp.finfo(g.dtype).eps) * state.curvature)
    rho = jnp.where(good, 1 / jnp.where(good, sy, 1), 0)
    scales = jnp.where(good, sy / jnp.where(good, yy, 1), state.gamma)

    def place(age):  # 0 is the newest pair
        return (state.slot - 1 - age) % memory

    def backwards(age, loop):
        q, a, gamma, found = loop
        i = place(age)
        alpha = rho[i] * jnp.vdot(s[i], q)
        gamma = jnp.where(good[i] & ~found, scales[i], gamma)
        return q - alpha * y[i], a.at[i].set(alpha), gamma, found | good[i]

    loop = (jnp.where(free, g, 0), jnp.zeros_like(rho), state.gamma, jnp.zeros((), bool))
    q, a, gamma, _ = jax.lax.fori_loop(0, memory, backwards, loop)

    def forwards(k, r):
        i = place(memory - 1 - k)
        return r + (a[i] - rho[i] * jnp.vdot(y[i], r)) * s[i]

    return jax.lax.fori_loop(0, memory, forwards, gamma * q)
