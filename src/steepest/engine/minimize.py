"""`minimize`: a function of some variables; the same loop with an empty batch, in float64."""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from steepest.core import tree
from steepest.core.errors import UsageError
from steepest.engine.compiling import precision
from steepest.engine.descend import Descent, descend, starting_points, traceable
from steepest.engine.drive import Moment
from steepest.engine.minimum import Minima, Minimum
from steepest.objectives.bounds import Box
from steepest.objectives.finite_difference import FiniteDifferenceObjective
from steepest.objectives.objective import FunctionObjective
from steepest.optimizers.registry import optimizer as make_optimizer

Point = Any


def minimize(
    fun: Callable | str,
    x0: Point = None,
    *,
    optimizer: Any = None,
    learning_rate: Any = None,
    max_steps: int = 10_000,
    tol: float = 1e-8,
    args: tuple = (),
    jac: Callable | None = None,
    gradient: str = "auto",
    bounds: Any = None,
    starts: int | None = None,
    callback: Callable[[Moment], None] | None = None,
    target: float | None = None,
    max_seconds: float = math.inf,
    every: int | None = None,
    probes: tuple | None = None,
    seed: int = 0,
    dtype: str = "float64",
    **settings: Any,
) -> Any:
    """Minimise f(x) by descending along its gradient: x <- x - eta grad f(x), or better methods.

    Args:
      fun: f(x, *args) -> a number, written with jax.numpy, or a formula as text (x is then a
        vector of its variables in alphabetical order). A record with numbers as leaves does not
        recompile when these change; neither does a function that is passed again.
      x0: where to start: a number, an array, or any pytree of arrays; a list of numbers is an
        array.
      optimizer: a name or an optimizer; by default L-BFGS, or `gd` where a learning rate is given.
      learning_rate: for the rules that have one: a number, a schedule, or `"auto"`: from the
        curvature at x0, 2/(l + L) of gradient descent on a quadratic with positive curvature, else
        half of the stable limit (`objectives.curvature`).
      max_steps, tol: the run converges when the gradient norm is at most `tol` (with bounds: the
        norm of x - clip(x - grad f)).
      args: further arguments of `fun`, pytrees of numbers; other numbers do not recompile.
      jac: your own gradient, jac(x, *args) -> a tree like x0.
      gradient: `auto` (JAX), or `finite-difference` for a function that only NumPy can compute.
      bounds: (lower, upper), each a number or a tree like x0, or a list of pairs or a `Bounds` as
        in SciPy. Infinite or None: no bound.
      starts: descend from this many points drawn uniformly within `bounds`, as one program. With
        x0, your own points: x0 has a leading axis of that length.
      callback: called with a `Moment` after every chunk of steps (the first has 64, later ones
        take about a second): `moment.step`, `moment.seconds`, `moment.trace`, `moment.carry` with
        `best_value` and `best_params` (leading axes: start, 1). `moment.stop()` ends the run.
      target: stop when f is at most this; it counts as converged.
      max_seconds: stop after the chunk in which this time is used up.
      every, probes: what to record, see `engine.probes`; `"params"` records the path. By default
        each k-th step, so that 10,000 records suffice.
      seed: of the starting points that are drawn.
      dtype: `float64` or `float32`.
      **settings: further settings of the optimizer.

    Returns: `Minimum`, or `Minima` where `starts` is given. The best point is returned, never a
    worse last one.
    Raises: UsageError if f cannot be traced by JAX, x0 is missing or f is no number there.

    >>> result = minimize(lambda x: x[0] ** 2 + x[0] * x[1] + x[1] ** 2, [3.0, -2.0])
    >>> result.outcome.text, bool(abs(result.fun) < 1e-12)
    ('converged', True)
    >>> minimize("x^2 + x*y + y^2", [3, -2], learning_rate=0.7).message.partition(":")[0]
    'Diverged at step 109'
    >>> many = minimize("(x^2 + y - 11)^2 + (x + y^2 - 7)^2", bounds=(-5, 5), starts=40)
    >>> len(many.distinct()), bool(many.best[1] < 1e-12)
    (4, True)
    """
    if isinstance(fun, str):
        fun = _formula(fun)
    with precision(dtype):
        points = starting_points(x0, starts, _box_like(fun, bounds), seed, dtype)
        first = jax.tree.map(lambda a: a[0], points)
        objective = _objective(fun, first, tuple(args), jac, gradient)
        box = None if bounds is None else Box.of(bounds, first)
        method = _method(optimizer, learning_rate, box, settings, objective, first)
        found = descend(
            objective,
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
        )
    calls = 2 * tree.size(first) + 1 if gradient == "finite-difference" else 1
    return _minimum(found, calls) if starts is None else _minima(found, points, calls)


def _formula(text: str) -> Callable:
    from steepest.functions.function import function

    return function(text)


def _box_like(fun: Any, bounds: Any) -> Any:
    """One pair of numbers as bounds of a formula is a pair for each of its variables."""
    n = getattr(fun, "dimensions", None)
    if n is None or not isinstance(bounds, tuple) or len(bounds) != 2:
        return bounds
    if not all(isinstance(side, numbers.Real) for side in bounds):
        return bounds
    return tuple(np.full(n, side) for side in bounds)


@jax.jit
def _evaluate(objective: Any, x: Point) -> Any:
    return objective.evaluate(x)


def _objective(fun, x0, args, jac, gradient):
    if gradient not in ("auto", "finite-difference"):
        raise UsageError(f"gradient must be 'auto' or 'finite-difference', got {gradient!r}.")
    if gradient == "finite-difference":
        if jac is not None:
            raise UsageError("give either jac or gradient='finite-difference', not both.")
        differences = FiniteDifferenceObjective(fun, args)
        differences.check(x0)
        return differences
    objective = FunctionObjective(fun, args, jac)
    otherwise = ", or pass gradient='finite-difference' (--gradient finite-difference)"
    traceable(_evaluate, objective, x0, getattr(fun, "__name__", "fun"), otherwise)
    return objective


def _method(optimizer, learning_rate, box, settings, objective, x0):
    if optimizer is None:
        optimizer = "gd" if learning_rate is not None else "lbfgs"
    if isinstance(learning_rate, str):
        if learning_rate != "auto":
            raise UsageError(f"learning_rate={learning_rate!r} must be a number or 'auto'.")
        from steepest.objectives.curvature import stable_rate

        learning_rate = stable_rate(objective, x0, optimizer, **settings)
    if learning_rate is not None:
        settings = settings | {"learning_rate": learning_rate}
    return make_optimizer(optimizer, **settings)


def _minimum(found: Descent, calls: int) -> Minimum:
    runs, carry = found.runs, found.runs.carry
    outcome = runs.outcome()
    evaluations = int(carry.evaluations[0, 0])
    return Minimum(
        x=jax.tree.map(lambda a: a[0], found.x),
        fun=float(found.value[0]),
        jac=jax.tree.map(lambda a: a[0], found.gradient),
        nit=int(carry.step[0, 0]),
        nfev=evaluations * calls,
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
        objective=runs.specs[0].objective,
    )


def _minima(found: Descent, starts: Point, calls: int) -> Minima:
    runs, carry = found.runs, found.runs.carry
    return Minima(
        x=found.x,
        fun=found.value,
        gradient_norm=found.gradient_norm,
        nit=carry.step[:, 0],
        nfev=carry.evaluations[:, 0] * calls,
        status=carry.reason[:, 0],
        success=found.success,
        starts=starts,
        seconds=runs.seconds,
        trace=runs.trace,
        optimizer=runs.specs[0].optimizer,
    )
