"""Gradient descent that finds its own step length: Armijo, Barzilai and Borwein, Polyak.

All three go x+ = prox(x - t g, t), so they take bounds and L1 penalties too; the value of the
objective then holds the penalty, its gradient does not.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

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
    ravel,
)

Move = Callable[[Any], Any]


class Shortened(NamedTuple):
    """What `Backtracking` yields: the point, its step t, and the cost."""

    point: Point
    step: Any
    evaluations: Any
    failed: Any


@record
class Backtracking:
    """Shorten the step t until the new point x(t) = prox(x - t g, t) has

        F(x(t)) <= reference - c / t |x(t) - x|^2            c = `decrease`

    which without a prox is Armijo's condition, f(x - t g) <= f(x) - c t |g|^2. Where values differ
    by rounding only, their difference is taken from the slopes instead. A trial that is not finite
    shortens the step to a tenth, any other by `factor`.

    Source: Armijo, Pacific J. Math. 16 (1966), 1-3; Wright, Nowak and Figueiredo, "Sparse
    reconstruction by separable approximation", IEEE Trans. Signal Process. 57 (2009), eq. (22).
    """

    decrease: float = number(default=1e-4, above=0, below=1, help="c, of the sufficient decrease")
    factor: float = number(
        default=0.5, above=0, below=1, help="by which a step that is too long shrinks"
    )
    max_trials: int = number(default=60, least=1, help="evaluations in one step")

    def __call__(
        self,
        at: Flat,
        start: Point,
        move: Move,
        step: Any,
        reference: Any = None,
        skip: Any = False,
    ) -> Shortened:
        """The first acceptable t of step, step x factor, ...; `reference` is F(x) if not given."""
        dtype = start.x.dtype
        c, factor = jnp.asarray(self.decrease, dtype), jnp.asarray(self.factor, dtype)
        reference = start.value if reference is None else reference
        noise = 100 * jnp.finfo(dtype).eps * jnp.abs(start.value)

        def turn(loop):
            t, trials, _, _ = loop
            point = at(move(t))
            delta = point.x - start.x
            square = jnp.vdot(delta, delta)
            rise = jnp.vdot(point.gradient - start.gradient, delta)
            finite = jnp.isfinite(point.value) & jnp.isfinite(rise)
            level = jnp.abs(point.value - start.value) <= noise
            level = level & (rise <= 2 * (1 - c) * square / t)
            good = finite & ((point.value <= reference - c * square / t) | level)
            shorter = t * jnp.where(finite, factor, jnp.minimum(factor, 0.1))
            return jnp.where(good, t, shorter), trials + 1, good, point

        def going(loop):
            _, trials, good, _ = loop
            return ~good & (trials < jnp.asarray(self.max_trials, trials.dtype))

        usable = jnp.isfinite(start.value) & (step > 0) & jnp.isfinite(step)
        done = ~usable | jnp.asarray(skip)
        loop = (jnp.asarray(step, dtype), jnp.zeros((), jnp.int32), done, start)
        t, trials, good, point = jax.lax.while_loop(going, turn, loop)
        failed = ~good | done
        return Shortened(pick(failed, start, point), t, trials, failed)


def _mover(proximal: Proximal | None, point: Point, unravel: Callable) -> Move:
    """t -> prox(x - t g, t), on vectors."""

    def move(t):
        x = point.x - t * point.gradient
        return x if proximal is None else ravel(proximal(unravel(x), t))

    return move


def _report(unravel, held: Held, state: Any, found: Shortened) -> Stepped:
    return Stepped(
        params=unravel(found.point.x),
        state=state,
        value=held.point.value,
        gradient=unravel(held.point.gradient),
        aux=held.point.aux,
        learning_rate=jnp.where(found.failed, 0, found.step),
        evaluations=held.evaluations + found.evaluations,
        failed=found.failed,
    )


@record
class StepState:
    """`step`: the length to try next; `recent`: the last values (of Barzilai-Borwein)."""

    held: Held = part()
    step: Any = part()
    recent: Any = part(default=())


@record
class BacktrackingGD(Deterministic):
    """Gradient descent with Armijo's rule: w <- prox(w - t g, t), t halved until f falls enough.

    Each step first tries the length that the last one ended with, or `growth` times that where the
    last one accepted its first trial; the first tries 1/|g| or, where given, `initial_step`.

    Source: Armijo 1966; Nocedal and Wright, "Numerical Optimization" (2006), algorithm 3.1.
    """

    initial_step: float | None = number(
        default=None, above=0, optional=True, help="first step length to try; none: 1/|g|"
    )
    growth: float = number(
        default=2.0, least=1, help="the next first trial, in units of the last step"
    )
    search: Backtracking = part(factory=Backtracking, help="how a step is shortened")

    def start(self, evaluate: Evaluate, params: Params) -> StepState:
        """One evaluation at `params`."""
        held = first(evaluate, params)
        return StepState(held, _initial(self.initial_step, held.point.gradient))

    def step(
        self,
        evaluate: Evaluate,
        params: Params,
        state: StepState,
        proximal: Proximal | None = None,
    ) -> Stepped:
        """One step of gradient descent, or of proximal gradient descent."""
        at, _, unravel = flat(evaluate, params)
        held = state.held
        move = _mover(proximal, held.point, unravel)
        found = self.search(at, held.point, move, state.step, skip=held.failed)
        growth = jnp.asarray(self.growth, found.step.dtype)
        longer = found.step * jnp.where(found.evaluations == 1, growth, 1)
        new = StepState(
            held.after(found.point, found.failed),
            jnp.where(found.failed, state.step, longer),
        )
        return _report(unravel, held, new, found)


@record
class BarzilaiBorwein(Deterministic):
    """Gradient descent with the step of Barzilai and Borwein, from s = x+ - x and y = g+ - g.

        long: t = s . s / s . y     short: t = s . y / y . y     alternate: the one, then the other

    The values need not fall at each step: Armijo's rule, by which the step is shortened, compares
    with the largest of the last `memory` values. Where s . y <= 0, the step is doubled.

    Sources: Barzilai and Borwein, IMA J. Numer. Anal. 8 (1988), 141-148; Raydan, SIAM J. Optim. 7
    (1997), 26-33 (the nonmonotone search); Dai and Fletcher, Numer. Math. 100 (2005), 21-47.
    """

    variant: str = static(
        default="alternate", choices=("long", "short", "alternate"), help="which step"
    )
    initial_step: float | None = number(
        default=None, above=0, optional=True, help="first step length to try; none: 1/|g|"
    )
    memory: int = static(default=10, help="values that the search compares with")
    search: Backtracking = part(factory=Backtracking, help="how a step is shortened")

    def start(self, evaluate: Evaluate, params: Params) -> StepState:
        """One evaluation at `params`."""
        held = first(evaluate, params)
        recent = jnp.full((int(self.memory),), held.point.value)
        step = _initial(self.initial_step, held.point.gradient)
        return StepState(held, step, (recent, jnp.zeros((), jnp.int32)))

    def step(
        self,
        evaluate: Evaluate,
        params: Params,
        state: StepState,
        proximal: Proximal | None = None,
    ) -> Stepped:
        """One step of gradient descent, or of proximal gradient descent."""
        at, _, unravel = flat(evaluate, params)
        held, (recent, count) = state.held, state.recent
        move = _mover(proximal, held.point, unravel)
        found = self.search(at, held.point, move, state.step, jnp.max(recent), held.failed)
        s, y = found.point.x - held.point.x, found.point.gradient - held.point.gradient
        sy, ss, yy = jnp.vdot(s, y), jnp.vdot(s, s), jnp.vdot(y, y)
        curved = (sy > 0) & (yy > 0)
        sy, yy = jnp.where(curved, sy, 1), jnp.where(curved, yy, 1)
        odd = {"long": False, "short": True, "alternate": count % 2 == 1}[self.variant]
        step = jnp.where(curved, jnp.where(odd, sy / yy, ss / sy), 2 * found.step)
        here = jnp.arange(recent.size, dtype=jnp.int32) == count % recent.size
        state = StepState(
            held.after(found.point, found.failed),
            jnp.where(jnp.isfinite(step) & (step > 0), step, found.step),
            (jnp.where(here, found.point.value, recent), count + 1),
        )
        return _report(unravel, held, state, found)


@record
class PolyakStep(Deterministic):
    """Gradient descent with Polyak's step, t = scale (f(x) - target) / |g|^2.

    For a convex f whose least value is `target`, each step brings x nearer to every minimiser. With
    a `target` that is too low the steps are too long: they are not shortened, except where the new
    point is not finite. At or below the target there is nothing left to do, and the run stays.

    Source: Polyak, "Introduction to Optimization" (1987), section 5.3, eq. (11).
    """

    target: float = number(default=0.0, help="the least value of f")
    scale: float = number(default=1.0, above=0, below=2, help="factor of the step")
    max_step: float = number(default=float("inf"), above=0, help="the longest step t")

    def start(self, evaluate: Evaluate, params: Params) -> StepState:
        """One evaluation at `params`."""
        held = first(evaluate, params)
        return StepState(held, jnp.zeros((), held.point.x.dtype))

    def step(
        self,
        evaluate: Evaluate,
        params: Params,
        state: StepState,
        proximal: Proximal | None = None,
    ) -> Stepped:
        """One step of gradient descent, or of proximal gradient descent."""
        at, x, unravel = flat(evaluate, params)
        held = state.held
        g = held.point.gradient
        square = jnp.vdot(g, g)
        above = held.point.value - jnp.asarray(self.target, x.dtype)
        step = jnp.asarray(self.scale, x.dtype) * above / jnp.where(square > 0, square, 1)
        step = jnp.minimum(step, jnp.asarray(self.max_step, x.dtype))
        move = _mover(proximal, held.point, unravel)
        ended = held.failed | ~(step > 0) | (square == 0)
        infinity = jnp.full((), jnp.inf, x.dtype)
        found = Backtracking()(at, held.point, move, step, infinity, ended)
        failed = found.failed & ~(ended & ~held.failed)
        found = found._replace(failed=failed, step=jnp.where(ended, 0, found.step))
        state = StepState(held.after(found.point, failed), found.step)
        return _report(unravel, held, state, found)


def _initial(step, gradient):
    if step is None:
        return first_step(gradient)
    return jnp.asarray(step, gradient.dtype)
