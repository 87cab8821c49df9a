"""`descend`: what `minimize` and `least_squares` share, from starting points to ends."""

from __future__ import annotations

import math
import numbers
import operator
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from steepest.core.errors import UsageError
from steepest.core.outcome import OUTCOME_OF, Outcome, Reason
from steepest.engine.advance import Layout, evaluate
from steepest.engine.compiling import precision
from steepest.engine.drive import Hook
from steepest.engine.runs import Runs, run
from steepest.engine.spec import RunSpec, cast_host
from steepest.engine.stop import StopRule
from steepest.objectives.bounds import Bounded, Box

Point = Any
PROBES = ("loss", "gradient_norm", "step_norm", "learning_rate", "evaluations")
PROBES_OF_MANY = ("loss", "gradient_norm")
RECORDS_OF_MANY = 2**18
"""How many records many starts keep together."""


@dataclass
class Descent:
    """Runs that have ended, one a start, and the best point of each, all with a leading axis."""

    runs: Runs
    x: Point
    value: np.ndarray
    gradient: Point
    gradient_norm: np.ndarray
    aux: Any

    @property
    def success(self) -> np.ndarray:
        """Which runs converged."""
        ended = np.array([OUTCOME_OF[r] is Outcome.CONVERGED for r in Reason])
        return ended[self.runs.carry.reason[:, 0]]


def descend(
    objective: Any,
    method: Any,
    points: Point,
    *,
    box: Box | None = None,
    max_steps: int,
    tol: float,
    target: float | None = None,
    every: int | None = None,
    probes: tuple | None = None,
    dtype: str = "float64",
    hooks: tuple[Hook, ...] = (),
    max_seconds: float = math.inf,
    judge: Any = None,
) -> Descent:
    """Run `method` on `objective` from every point of `points`, a tree with a leading axis.

    `judge`: an equal objective that tells more, to be evaluated at the points found.
    """
    max_steps = whole("max_steps", max_steps)
    if not isinstance(tol, numbers.Real) or not tol >= 0:
        raise UsageError(f"tol must be a number of at least 0, got {tol!r}.")
    count = len(jax.tree.leaves(points)[0])
    if box is not None:
        points = jax.tree.map(np.clip, points, box.lower, box.upper)
        objective = Bounded(objective, box)
        judge = None if judge is None else Bounded(judge, box)
    if probes is None:
        probes = PROBES if count == 1 else PROBES_OF_MANY
    if every is None and count > 1:
        # Thousands of paths of thousands of steps would fill the memory.
        every = max(1, math.ceil(max_steps * count / RECORDS_OF_MANY))
    spec = RunSpec(
        objective=objective,
        optimizer=method,
        stop=StopRule(tolerance=tol, target=-math.inf if target is None else target),
        probes=tuple(probes),
        track="step",
        deterministic=True,
    )
    runs = run(
        [spec],
        seeds=range(count),
        steps=max_steps,
        dtype=dtype,
        initial=(jax.tree.map(lambda a: a[:, None], points), ()),
        every=every,
        hooks=hooks,
        max_seconds=max_seconds,
    )
    return _settle(runs, objective if judge is None else judge)


def _settle(runs: Runs, objective: Any) -> Descent:
    """The best point of each run, the point after the last step looked at too."""
    carry, layout = runs.carry, Layout(len(runs.seeds), 1, 0)
    objective = jax.tree.map(lambda a: a[None], cast_host(objective, runs.dtype))

    def at(params):
        with precision(runs.dtype):
            found = evaluate(objective, params, (), (), layout)
        return (params, *jax.device_get(found))

    chosen = at(carry.params)
    value = chosen[1]
    # Values that differ by rounding are equal: a run that converged ends where it converged.
    noise = 16 * np.finfo(value.dtype).eps * np.abs(value)
    converged = carry.reason == int(Reason.GRADIENT)
    last = np.isfinite(value) & ~(carry.best_value < value - np.where(converged, noise, 0))
    if not last.all():
        best = at(carry.best_params)
        chosen = jax.tree.map(
            lambda a, b: np.where(last.reshape(last.shape + (1,) * (np.ndim(a) - 2)), a, b),
            chosen,
            best,
        )
    return Descent(runs, *jax.tree.map(lambda a: a[:, 0], chosen))


def starting_points(x0: Point, starts: int | None, bounds: Any, seed: int, dtype: str) -> Point:
    """The starting points as NumPy arrays with a leading axis; without `starts` it has length 1.

    Without x0, `starts` points are drawn uniformly within `bounds`.
    """
    if starts is not None:
        starts = whole("starts", starts)
    if x0 is None:
        if starts is None or bounds is None:
            raise UsageError("give x0, the point to start from (or starts=n together with bounds).")
        lower, upper = Box.of(bounds, None).finite()
        rng = np.random.default_rng(seed)
        return jax.tree.map(
            lambda a, b: np.asarray(a + rng.random((starts, *a.shape)) * (b - a), dtype),
            lower,
            upper,
        )
    try:
        points = jax.tree.map(partial(_as_array, dtype=dtype), _lists_to_arrays(x0))
    except (TypeError, ValueError) as error:
        raise UsageError(f"x0={x0!r} must be numbers, or a pytree of arrays of numbers.") from error
    leaves = jax.tree.leaves(points)
    if not any(a.size for a in leaves):
        raise UsageError(f"x0={x0!r} holds no numbers; give the point to start from.")
    if not all(np.isfinite(a).all() for a in leaves):
        raise UsageError("x0 holds a number that is not finite; start from a finite point.")
    if starts is None:
        return jax.tree.map(lambda a: a[None], points)
    if {a.shape[:1] for a in leaves} != {(starts,)}:
        raise UsageError(f"with starts={starts}, x0 must have a leading axis of {starts} points.")
    return points


def _as_array(a: Any, dtype: str) -> np.ndarray:
    a = np.asarray(a)
    if a.dtype.kind not in "fiu" and not jnp.issubdtype(a.dtype, jnp.floating):
        raise TypeError(f"numbers are needed, not {a.dtype}")
    return a.astype(dtype)


def _lists_to_arrays(x0: Point) -> Point:
    """A list or tuple of nothing but numbers, nested or not, is one array; other trees stay."""
    if isinstance(x0, (list, tuple)) and not hasattr(x0, "_fields"):
        leaves = jax.tree.leaves(x0)
        if leaves and all(isinstance(v, numbers.Real) for v in leaves):
            return np.asarray(x0, float)
    return x0


def traceable(evaluate: Any, objective: Any, x0: Point, name: str, otherwise: str) -> None:
    """UsageError with what to write where JAX cannot trace `evaluate(objective, x0)`.

    `evaluate` is a jitted function: its traces are kept, so the second look costs nothing.
    """
    try:
        evaluate.eval_shape(objective, x0)
    except UsageError:
        raise
    except Exception as error:
        lines = str(error).strip().splitlines()
        why = type(error).__name__ + (f": {lines[0][:160]}" if lines else "")
        raise UsageError(
            f"{name} cannot be differentiated by JAX ({why}). Write it with jax.numpy "
            "(`import jax.numpy as jnp`, jnp.sin instead of np.sin or math.sin; jnp.where instead "
            f"of if){otherwise}."
        ) from error


def whole(name: str, value: Any) -> int:
    """`value` as a whole number of at least 1."""
    try:
        number = operator.index(value)
    except TypeError:
        number = 0
    if isinstance(value, bool) or number < 1:
        raise UsageError(f"{name} must be a whole number of at least 1, got {value!r}.")
    return number
