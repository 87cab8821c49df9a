"""Nonlinear least squares: f(w) = |r(w)|^2 / 2, from the residuals r and their Jacobian J."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

from steepest.core.errors import UsageError
from steepest.core.record import number, part, record, static, swap
from steepest.core.types import Evaluate, Evaluation, Params, Proximal, Stepped
from steepest.optimizers.deterministic import (
    Deterministic,
    Held,
    first,
    flat,
    pick,
    refuse_proximal,
    stepped,
)
from steepest.optimizers.line_search import Found, StrongWolfe


class Residuals(NamedTuple):
    """r, a vector of m numbers, and J = dr/dw, m x n: the aux of a `ResidualObjective`."""

    r: Any
    jacobian: Any


@record
class ResidualObjective:
    """f(w) = |r(w)|^2 / 2 with r(w) = `residuals(w, *args)`, an array or a tree of arrays.

    `evaluate` gives f, its gradient J^T r, and `Residuals(r, J)` as aux, which `LevenbergMarquardt`
    and `GaussNewton` work with. `mode`: J by `forward` or `reverse` differentiation; `auto` takes
    the one with fewer passes. With `with_jacobian=False` there is no J, at the price of one
    gradient, for first-order methods. `derivative(w, *args)` gives J itself, instead of automatic
    differentiation: an array of shape (m, n).

    >>> import jax.numpy as jnp
    >>> objective = ResidualObjective(lambda w: w**2 - jnp.array([4.0, 9.0]))
    >>> value, gradient, aux = objective.evaluate(jnp.array([1.0, 3.0]))
    >>> float(value), gradient.tolist(), aux.jacobian.tolist()
    (4.5, [-6.0, 0.0], [[2.0, 0.0], [0.0, 6.0]])
    """

    residuals: Callable = static()
    args: tuple = part(())
    mode: str = static("auto", choices=("auto", "forward", "reverse"))
    with_jacobian: bool = static(True, choices=(True, False))
    derivative: Callable | None = static(None)

    @property
    def uses_key(self) -> bool:
        """False: nothing is random."""
        return False

    @property
    def proximal(self) -> None:
        """None: there is no L1 part."""
        return None

    def evaluate(self, params: Params, buffers: Any = (), batch: Any = None,
                 key: Any = None) -> Evaluation:  # fmt: skip
        """f(w), its gradient, and `Residuals` where they are wanted."""
        x, unravel = ravel_pytree(params)

        def r(x):
            parts = jax.tree.leaves(self.residuals(unravel(x), *self.args))
            if not parts:
                raise UsageError("residuals must give an array or a tree of arrays, got nothing.")
            return jnp.concatenate([jnp.ravel(jnp.asarray(a, x.dtype)) for a in parts])

        if not self.with_jacobian:
            value, gradient = jax.value_and_grad(lambda x: 0.5 * jnp.sum(r(x) ** 2))(x)
            return Evaluation(value, unravel(gradient), ())
        if self.derivative is not None:
            values = r(x)
            jacobian = jnp.asarray(self.derivative(params, *self.args), x.dtype)
            if jacobian.shape != (values.size, x.size):
                raise UsageError(
                    f"jac must give an array of shape (residuals, variables) = "
                    f"{(values.size, x.size)}, got {jacobian.shape}."
                )
            gradient = unravel(values @ jacobian)
            return Evaluation(0.5 * jnp.vdot(values, values), gradient, Residuals(values, jacobian))
        m = jax.eval_shape(r, x).size
        forward = {"auto": x.size <= 2 * m, "forward": True, "reverse": False}[self.mode]
        values = r(x)
        jacobian = (jax.jacfwd if forward else jax.jacrev)(r)(x)
        gradient = unravel(values @ jacobian)
        return Evaluation(0.5 * jnp.vdot(values, values), gradient, Residuals(values, jacobian))

    def weight(self, batch: Any) -> Any:
        """1: a function is one row."""
        return jnp.ones(())

    def measure(self, params: Params, buffers: Any = (), batch: Any = None) -> dict:
        """f(w), as sums of one row."""
        parts = jax.tree.leaves(self.residuals(params, *self.args))
        value = 0.5 * sum(jnp.sum(jnp.square(a)) for a in parts)
        return {"weight": jnp.ones_like(value), "loss": value}

    def metrics(self, sums: dict) -> dict:
        """`loss` is f(w)."""
        return {"loss": sums["loss"] / sums["weight"]}


@record
class LeastSquaresState:
    """`damping` m, its `growth` after a rejection, and `scale`, the D of each variable."""

    held: Held = part()
    damping: Any = part()
    growth: Any = part()
    scale: Any = part()


@record
class LevenbergMarquardt(Deterministic):
    """Levenberg and Marquardt's method: (J^T J + m D^2) p = -J^T r, with f = |r|^2 / 2.

    The damping m falls by up to a third after a good step and grows by 2, 4, 8, ... after bad ones
    (Nielsen). D holds the largest column norms of J so far (scaling="jacobian", Moré), which makes
    the method indifferent to the units of the variables, or ones. Each step takes the singular
    values of J D^-1 once, by way of its QR factors, so J^T J is never formed and a trial costs one
    evaluation.

    Sources: Marquardt, J. SIAM 11 (1963), 431-441; Moré, "The Levenberg-Marquardt algorithm:
    implementation and theory", LNM 630 (1978), 105-116; Nielsen, IMM-REP-1999-05, eq. (2.4).
    """

    damping: float = number(1e-3, above=0, help="first damping, relative to the largest of J^T J")
    scaling: str = static("jacobian", choices=("jacobian", "none"), help="D")
    accept: float = number(1e-4, above=0, below=0.25, help="least ratio for a step to be taken")
    max_trials: int = number(60, least=1, help="evaluations in one step")

    def start(self, evaluate: Evaluate, params: Params) -> LeastSquaresState:
        """One evaluation at `params`; raises `UsageError` where the objective has no residuals."""
        held = first(_checked(self, evaluate), params)
        scale = self._scale(held.point.aux.jacobian, None)
        top = jnp.max(jnp.sum((held.point.aux.jacobian / scale) ** 2, axis=0))
        damping = jnp.asarray(self.damping, scale.dtype) * jnp.where(top > 0, top, 1)
        return LeastSquaresState(held, damping, jnp.full((), 2, scale.dtype), scale)

    def step(
        self,
        evaluate: Evaluate,
        params: Params,
        state: LeastSquaresState,
        proximal: Proximal | None = None,
    ) -> Stepped:
        """One linearisation, and one step; raises `UsageError` for a `proximal` term."""
        refuse_proximal(self, proximal)
        at, x, unravel = flat(evaluate, params)
        held = state.held
        start, dtype = held.point, x.dtype
        scale = self._scale(start.aux.jacobian, state.scale)
        u, s, vt = _svd(start.aux.jacobian / scale, start.aux.r)
        size = jnp.linalg.norm(start.gradient)
        noise = 100 * jnp.finfo(dtype).eps * jnp.abs(start.value)
        accept = jnp.asarray(self.accept, dtype)

        def turn(loop):
            damping, growth, trials, _, _ = loop
            z = -(s * u) / (s**2 + damping)
            # |r|^2/2 - |r + J p|^2/2, as a sum of squares
            model = 0.5 * jnp.vdot(z, z * (s**2 + 2 * damping))
            point = at(start.x + (z @ vt) / scale)
            finite = jnp.isfinite(point.value) & jnp.all(jnp.isfinite(point.gradient))
            fall = start.value - point.value
            ratio = fall / model
            level = (model <= noise) & (jnp.abs(fall) <= noise)
            good = finite & (((ratio > accept) & (fall > 0))
                             | (level & (jnp.linalg.norm(point.gradient) < size)))  # fmt: skip
            ratio = jnp.where(level, 1, ratio)
            easier = damping * jnp.maximum(1 / 3, 1 - (2 * ratio - 1) ** 3)
            damping = jnp.where(good, easier, damping * jnp.where(finite, growth, 10 * growth))
            growth = jnp.where(good, 2, 2 * growth)
            return damping, growth, trials + 1, good, point

        def going(loop):
            _, _, trials, good, _ = loop
            return ~good & (trials < jnp.asarray(self.max_trials, trials.dtype))

        ended = held.failed | ~jnp.isfinite(start.value) | ~jnp.isfinite(size) | (size == 0)
        loop = (state.damping, state.growth, jnp.zeros((), jnp.int32), ended, start)
        damping, growth, trials, good, point = jax.lax.while_loop(going, turn, loop)
        failed = ~good | ended
        new = Held(pick(failed, start, point), jnp.zeros((), jnp.int32), failed)
        tiny = jnp.finfo(dtype).tiny
        state = LeastSquaresState(new, jnp.maximum(damping, tiny), growth, scale)
        length = jnp.where(failed, 0, jnp.ones((), dtype))
        found = Found(new.point, length, -size, trials, failed, jnp.zeros((), bool))
        return _without_residuals(stepped(unravel, held, state, found))

    def _scale(self, jacobian, before):
        if self.scaling == "none":
            return jnp.ones(jacobian.shape[1:], jacobian.dtype)
        norms = jnp.linalg.norm(jacobian, axis=0)
        if before is None:
            return jnp.where((norms > 0) & jnp.isfinite(norms), norms, 1)
        return jnp.where(jnp.isfinite(norms), jnp.maximum(norms, before), before)


@record
class GaussNewton(Deterministic):
    """Gauss and Newton's method: p minimises |r + J p|, then a strong-Wolfe search along p.

    Singular values of J below `cutoff` times the largest count as zero, so that p is the shortest
    solution where J has not full rank. Quick where r is small or nearly linear at the solution;
    `LevenbergMarquardt` is the safer choice elsewhere.

    Source: Nocedal and Wright, "Numerical Optimization" (2006), section 10.3.
    """

    cutoff: float = number(1e-10, least=0, below=1, help="relative size of a singular value of 0")
    search: StrongWolfe = part(factory=StrongWolfe, help="the line search")

    def start(self, evaluate: Evaluate, params: Params) -> LeastSquaresState:
        """One evaluation at `params`; raises `UsageError` where the objective has no residuals."""
        return LeastSquaresState(first(_checked(self, evaluate), params), (), (), ())

    def step(
        self,
        evaluate: Evaluate,
        params: Params,
        state: LeastSquaresState,
        proximal: Proximal | None = None,
    ) -> Stepped:
        """One linear least squares problem, and one search; no `proximal` term (`UsageError`)."""
        refuse_proximal(self, proximal)
        at, x, unravel = flat(evaluate, params)
        held = state.held
        g = held.point.gradient
        u, s, vt = _svd(held.point.aux.jacobian, held.point.aux.r)
        large = s > jnp.asarray(self.cutoff, x.dtype) * jnp.max(s)
        p = -(jnp.where(large, u / jnp.where(large, s, 1), 0) @ vt)
        curvature = jnp.max(s) ** 2
        second_step = jnp.where(curvature > 0, 1 / jnp.where(curvature > 0, curvature, 1), 1)
        found = self.search(
            at, held.point, p, step=1.0, second=-g, second_step=second_step, skip=held.failed
        )
        new = Held(found.point, jnp.zeros((), jnp.int32), found.failed)
        state = LeastSquaresState(new, (), (), ())
        return _without_residuals(stepped(unravel, held, state, found))


def _svd(jacobian, r):
    """(U^T r, singular values, V^T) of J; of the identity where J is not finite."""
    m, n = jacobian.shape
    finite = jnp.all(jnp.isfinite(jacobian))
    jacobian = jnp.where(finite, jacobian, jnp.eye(m, n, dtype=jacobian.dtype))
    if m > n:
        q, jacobian = jnp.linalg.qr(jacobian)
        r = r @ q
    u, s, vt = jnp.linalg.svd(jacobian, full_matrices=False)
    return r @ u, s, vt


def _checked(method: Any, evaluate: Evaluate) -> Evaluate:
    def checked(params):
        e = evaluate(params)
        if not isinstance(e.aux, Residuals):
            raise UsageError(
                f"{type(method).__name__} needs the residuals, not only their sum of squares: "
                "give a ResidualObjective, or call steepest.least_squares(residuals, x0)."
            )
        return e

    return checked


def _without_residuals(s: Stepped) -> Stepped:
    """The report with nothing in place of r and J, which are the method's own business."""
    return swap(s, aux=())
