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
    refuse_proximal,
    stepped,
)
from steepest.optimizers.line_search import StrongWolfe
from steepest.optimizers.trust_region import TrustRegion


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
    args: tuple = part(default=())
    mode: str = static(default="auto", choices=("auto", "forward", "reverse"))
    with_jacobian: bool = static(default=True, choices=(True, False))
    derivative: Callable | None = static(default=None)

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
    """`radius` of the trust region, and `scale`, the D of each variable (Levenberg-Marquardt)."""

    held: Held = part()
    radius: Any = part()
    scale: Any = part()


@record
class LevenbergMarquardt(Deterministic):
    """Levenberg and Marquardt's method: (J^T J + m D^2) p = -J^T r, with f = |r|^2 / 2.

    As Moré does it: p minimises |r + J p| within |D p| <= the radius of a trust region, and the
    damping m >= 0 is what that takes. D holds the largest column norms of J so far
    (scaling="jacobian"), which makes the method indifferent to the units of the variables, or ones.
    Each step takes the singular values of J D^-1 once, by way of its QR factors, so J^T J is never
    formed and a trial costs one evaluation.

    Sources: Marquardt, J. SIAM 11 (1963), 431-441; Moré, "The Levenberg-Marquardt algorithm:
    implementation and theory", LNM 630 (1978), 105-116.
    """

    radius: float = number(default=100.0, above=0, help="first radius, in units of |D x|")
    scaling: str = static(default="jacobian", choices=("jacobian", "none"), help="D")
    region: TrustRegion = part(factory=TrustRegion, help="the trust region")

    def start(self, evaluate: Evaluate, params: Params) -> LeastSquaresState:
        """One evaluation at `params`; raises `UsageError` where the objective has no residuals."""
        held = first(_checked(self, evaluate), params)
        scale = self._scale(held.point.aux.jacobian, None)
        length = jnp.linalg.norm(scale * held.point.x)
        radius = jnp.asarray(self.radius, scale.dtype) * jnp.where(length > 0, length, 1)
        return LeastSquaresState(held, radius, scale)

    def step(
        self,
        evaluate: Evaluate,
        params: Params,
        state: LeastSquaresState,
        proximal: Proximal | None = None,
    ) -> Stepped:
        """One linearisation, and one step; raises `UsageError` for a `proximal` term."""
        refuse_proximal(self, proximal)
        at, _, unravel = flat(evaluate, params)
        held = state.held
        start = held.point
        scale = self._scale(start.aux.jacobian, state.scale)
        u, s, vt = _svd(start.aux.jacobian / scale, start.aux.r)
        # In the basis of V, with the singular values in ascending order.
        g, values = (s * u)[::-1], (s**2)[::-1]
        found, radius = self.region(
            at, start, g, values, lambda p: (p[::-1] @ vt) / scale, state.radius, ~held.failed
        )
        new = held.after(found.point, found.failed)
        state = LeastSquaresState(new, radius, scale)
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

    cutoff: float = number(
        default=1e-10, least=0, below=1, help="relative size of a singular value of 0"
    )
    search: StrongWolfe = part(factory=StrongWolfe, help="the line search")

    def start(self, evaluate: Evaluate, params: Params) -> LeastSquaresState:
        """One evaluation at `params`; raises `UsageError` where the objective has no residuals."""
        return LeastSquaresState(first(_checked(self, evaluate), params), (), ())

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
        new = held.after(found.point, found.failed)
        state = LeastSquaresState(new, (), ())
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
