"""`least_squares`: a sum of squares by its residuals, as when a curve is fitted to data."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from steepest.core.errors import DivergedError, UsageError
from steepest.core.outcome import Outcome
from steepest.core.record import swap
from steepest.core.trace import Trace
from steepest.engine.compiling import precision
from steepest.engine.descend import Descent, descend, starting_points, traceable
from steepest.engine.drive import Moment
from steepest.engine.program import program
from steepest.objectives.bounds import Box
from steepest.optimizers.gauss_newton import (
    GaussNewton,
    LevenbergMarquardt,
    ResidualObjective,
    Residuals,
)
from steepest.optimizers.registry import optimizer as make_optimizer

Point = Any


@dataclass
class LeastSquares:
    """Where a fit ended: the names of SciPy's `least_squares`, and ours.

    x:          the best point found, a pytree like x0. cost: |r(x)|^2 / 2.
    fun:        the residuals r(x), a vector of m numbers. jac: J = dr/dx there, m x n.
    grad:       J^T r, a vector of n numbers. optimality: its largest entry by size; with bounds
                of x - clip(x - J^T r).
    nit:        steps taken. nfev, njev: evaluations of r and of J (made together).
    success, status, message, outcome, last_x, gradient_norm, seconds, trace, optimizer: as in
                `Minimum`.
    """

    x: Point
    cost: float
    fun: np.ndarray
    jac: np.ndarray
    grad: np.ndarray
    optimality: float
    nit: int
    nfev: int
    njev: int
    success: bool
    status: int
    message: str
    outcome: Outcome
    gradient_norm: float
    last_x: Point
    seconds: float
    trace: Trace
    optimizer: Any

    def covariance(self) -> np.ndarray:
        """(J^T J)^-1 s^2 with s^2 = |r|^2 / (m - n): the variances of x, n x n, for equal errors.

        As `scipy.optimize.curve_fit` gives it; entries are infinite where J has not full rank or
        there are no more residuals than variables. (Bates and Watts 1988, eq. 1.36.)
        """
        m, n = self.jac.shape
        if m <= n or np.linalg.matrix_rank(self.jac) < n:
            return np.full((n, n), np.inf)
        _, s, vt = np.linalg.svd(self.jac, full_matrices=False)
        return (vt.T / s**2) @ vt * (2 * self.cost / (m - n))

    def raise_if_diverged(self) -> LeastSquares:
        """The result itself; DivergedError if the run diverged."""
        if self.outcome is Outcome.DIVERGED:
            raise DivergedError(self.message)
        return self

    def __repr__(self) -> str:
        return (
            f"LeastSquares({self.outcome.text}, cost={self.cost:.6g}, x={self.x!r}, "
            f"nit={self.nit}, optimality={self.optimality:.3g})"
        )


def least_squares(
    fun: Callable,
    x0: Point,
    *,
    optimizer: Any = None,
    max_steps: int = 1000,
    tol: float = 1e-8,
    args: tuple = (),
    jac: Callable | None = None,
    bounds: Any = None,
    callback: Callable[[Moment], None] | None = None,
    target: float | None = None,
    max_seconds: float = math.inf,
    every: int | None = None,
    probes: tuple | None = None,
    dtype: str = "float64",
    **settings: Any,
) -> LeastSquares:
    """Minimise |r(x)|^2 / 2, a sum of squares given by its residuals r.

    Args:
      fun: r(x, *args) -> the residuals, an array or a tree of arrays, written with jax.numpy.
      x0: where to start, as in `minimize`.
      optimizer: `levenberg-marquardt` by default, `gauss-newton`, or any of `minimize`'s. With
        `bounds`, L-BFGS.
      max_steps, tol: the run converges when the norm of J^T r is at most `tol` (with bounds: of
        x - clip(x - J^T r)).
      jac: your own Jacobian, jac(x, *args) -> m x n.
      args, bounds, callback, target, max_seconds, every, probes, dtype, **settings: as in
        `minimize`.

    Raises: UsageError if r cannot be traced by JAX, or x0 holds no finite numbers.

    >>> import jax.numpy as jnp
    >>> t = np.linspace(0, 4, 20)
    >>> y = 2.5 * np.exp(-1.3 * t) + 0.5
    >>> fit = least_squares(lambda p: p[0] * jnp.exp(-p[1] * t) + p[2] - y, [1.0, 1.0, 0.0])
    >>> fit.outcome.text, np.round(fit.x, 6).tolist()
    ('converged', [2.5, 1.3, 0.5])
    """
    with precision(dtype):
        points = starting_points(x0, None, None, 0, dtype)
        first = jax.tree.map(lambda a: a[0], points)
        box = None if bounds is None else Box.of(bounds, first)
        if optimizer is None:
            optimizer = "levenbergmarquardt" if box is None else "lbfgs"
        if not callable(fun):
            raise UsageError(f"fun must be a function that gives residuals, got {fun!r}.")
        objective = ResidualObjective(fun, tuple(args), derivative=jac)
        method = make_optimizer(optimizer, **settings)
        traceable(_evaluate, objective, first, getattr(fun, "__name__", "fun"), "")
        by_residuals = isinstance(method, (GaussNewton, LevenbergMarquardt))
        found = descend(
            objective if by_residuals else swap(objective, with_jacobian=False),
            method,
            points,
            box=box,
            max_steps=max_steps,
            tol=tol,
            target=target,
            every=every,
            probes=probes,
            dtype=dtype,
            hooks=(callback,) if callback else (),
            max_seconds=max_seconds,
            judge=objective,
        )
    return _result(found, box)


@program
def _evaluate(objective: Any, x: Point) -> Any:
    return objective.evaluate(x)


def _result(found: Descent, box: Box | None) -> LeastSquares:
    runs, carry = found.runs, found.runs.carry
    outcome = runs.outcome()
    evaluations = int(carry.evaluations[0, 0])
    x, gradient = (jax.tree.map(lambda a: a[0], t) for t in (found.x, found.gradient))
    residuals = Residuals(*(np.asarray(a[0]) for a in found.aux))
    slope = gradient
    if box is not None:
        slope = jax.tree.map(
            lambda a, g, low, high: a - np.clip(a - g, low, high), x, gradient, box.lower, box.upper
        )
    grad, entries = (
        np.concatenate([np.ravel(a) for a in jax.tree.leaves(t)]) for t in (gradient, slope)
    )
    return LeastSquares(
        x=x,
        cost=float(found.value[0]),
        fun=residuals.r,
        jac=residuals.jacobian,
        grad=grad,
        optimality=float(np.max(np.abs(entries))),
        nit=int(carry.step[0, 0]),
        nfev=evaluations,
        njev=evaluations,
        success=bool(found.success[0]),
        status=int(runs.reason()),
        message=runs.message(),
        outcome=outcome,
        gradient_norm=float(found.gradient_norm[0]),
        last_x=jax.tree.map(lambda a: a[0, 0], carry.params),
        seconds=runs.seconds,
        trace=runs.trace,
        optimizer=runs.specs[0].optimizer,
    )
