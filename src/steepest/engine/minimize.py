"""`minimize`: a function of some variables; the same loop with an empty batch, in float64."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from steepest.core import tree
from steepest.core.errors import DivergedError, UsageError
from steepest.core.outcome import Outcome
from steepest.core.trace import Trace
from steepest.engine.advance import Layout, evaluate
from steepest.engine.compiling import precision
from steepest.engine.drive import Moment
from steepest.engine.runs import Runs, run
from steepest.engine.spec import RunSpec, stack
from steepest.engine.stop import StopRule
from steepest.objectives.bounds import Bounded, Box
from steepest.objectives.finite_difference import FiniteDifferenceObjective
from steepest.objectives.objective import FunctionObjective
from steepest.optimizers.registry import optimizer as make_optimizer

Point = Any


@dataclass
class Minimum:
    """Where a descent ended: SciPy's `OptimizeResult` names, and ours.

    x:       the best point found, a pytree like x0. fun: f there. jac: the gradient there.
    nit:     steps taken. nfev, njev: evaluations of f and of its gradient (made together).
    success: whether the run converged. status: the reason as a number. message: as a sentence.
    outcome: `converged`, `diverged`, `stalled`, `budget` or `stopped`.
    last_x:  the point after the last step. trace: what was recorded.
    """

    x: Point
    fun: float
    jac: Point
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

    def raise_if_diverged(self) -> Minimum:
        """The result itself; DivergedError if the run diverged."""
        if self.outcome is Outcome.DIVERGED:
            raise DivergedError(self.message)
        return self

    def __repr__(self) -> str:
        return (
            f"Minimum({self.outcome.text}, fun={self.fun:.6g}, x={self.x!r}, nit={self.nit}, "
            f"gradient_norm={self.gradient_norm:.3g})"
        )


@dataclass
class Minima:
    """Many descents from many starts, as arrays with a leading axis of starts.

    `order`: the starts from the lowest value to the highest. `distinct`: the different minima.
    """

    x: Point
    fun: np.ndarray
    gradient_norm: np.ndarray
    nit: np.ndarray
    nfev: np.ndarray
    status: np.ndarray
    success: np.ndarray
    starts: Point
    seconds: float
    trace: Trace

    def __len__(self) -> int:
        return len(self.fun)

    @property
    def best(self) -> tuple[Point, float]:
        """The lowest point found, and f there."""
        i = int(np.nanargmin(self.fun))
        return jax.tree.map(lambda a: a[i], self.x), float(self.fun[i])

    def distinct(self, tolerance: float = 1e-3) -> list[dict[str, Any]]:
        """The different minima reached, lowest first: `x`, `fun`, `count`, `share` of all starts.

        Converged points belong together when they are within `tolerance` times the spread of the
        starts (1 at least) in every coordinate.
        """
        flat = np.stack([_vector(self.x, i) for i in range(len(self))])
        spread = max(
            1.0,
            float(
                np.ptp(np.stack([_vector(self.starts, i) for i in range(len(self))]), axis=0).max()
            ),
        )
        left = np.flatnonzero(self.success & np.isfinite(self.fun))
        left = left[np.argsort(self.fun[left], kind="stable")]
        out: list[dict[str, Any]] = []
        while len(left):
            first = left[0]
            near = np.max(np.abs(flat[left] - flat[first]), axis=1) <= tolerance * spread
            near[0] = True
            out.append(
                {
                    "x": jax.tree.map(lambda a, i=first: a[i], self.x),
                    "fun": float(self.fun[first]),
                    "count": int(near.sum()),
                    "share": float(near.sum() / len(self)),
                }
            )
            left = left[~near]
        return out

    def __repr__(self) -> str:
        done = int(self.success.sum())
        return f"Minima({len(self)} starts, {done} converged, lowest fun={self.best[1]:.6g})"


def _vector(points: Point, i: int) -> np.ndarray:
    return np.concatenate([np.ravel(a[i]) for a in jax.tree.leaves(points)])


def minimize(
    fun: Callable,
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
    probes: tuple = ("loss", "gradient_norm", "step_norm", "learning_rate", "evaluations"),
    seed: int = 0,
    dtype: str = "float64",
    **settings: Any,
) -> Any:
    """Minimise f(x) by descending along its gradient: x <- x - eta grad f(x), or better methods.

    Args:
      fun: f(x, *args) -> a number, written with jax.numpy. A record with numbers as leaves (a
        parsed formula) does not recompile when these change.
      x0: where to start: a number, an array, or any pytree of arrays.
      optimizer: a name or an optimizer; by default L-BFGS, or with `bounds` accelerated projected
        gradient.
      learning_rate: for the rules that have one: a number, a schedule, or `"auto"` (2/(L+l) or 1/L
        from the largest curvature L at x0).
      max_steps, tol: the run converges when the gradient norm is at most `tol` (with bounds: the
        norm of x - clip(x - grad f)).
      args: further arguments of `fun`, as numbers that do not recompile.
      jac: your own gradient, jac(x, *args) -> a tree like x0.
      gradient: `auto` (JAX), or `finite-difference` for a function that only NumPy can compute.
      bounds: (lower, upper), each a number or a tree like x0, or a list of pairs as in SciPy.
      starts: descend from this many points drawn uniformly within `bounds`, as one program. A list
        of points does the same with your own: x0 with a leading axis, and starts=len(x0).
      callback: called between chunks of steps; `state.stop()` ends the run.
      target: stop when f is at most this.
      every, probes: what to record, see `engine.probes`; `"params"` records the path.
      **settings: further settings of the optimizer.

    Returns: `Minimum`, or `Minima` for several starts. The best point is returned, never a worse
    last one.
    Raises: UsageError if f cannot be traced by JAX, x0 is missing or f is no number there.

    >>> result = minimize(lambda x: x[0] ** 2 + x[0] * x[1] + x[1] ** 2, [3.0, -2.0])
    >>> result.outcome.text, bool(abs(result.fun) < 1e-12)
    ('converged', True)
    """
    if tol < 0 or max_steps < 1:
        raise UsageError(f"tol={tol} must be at least 0 and max_steps={max_steps} at least 1.")
    with precision(dtype):
        x0, count = _starts(x0, starts, bounds, seed, dtype)
        single = jax.tree.map(lambda a: a[0], x0)
        objective = _objective(fun, single, args, jac, gradient)
        method = _method(optimizer, learning_rate, bounds, settings, objective, single)
        if bounds is not None:
            objective = Bounded(objective, Box.of(bounds, single))
            x0 = objective.box.clip(x0)
        spec = RunSpec(
            objective=objective,
            optimizer=method,
            stop=StopRule(tolerance=tol, target=-math.inf if target is None else target),
            probes=probes,
            track="step",
            deterministic=True,
        )
        initial = (jax.tree.map(lambda a: a[:, None], x0), ())
        runs = run(
            [spec],
            seeds=range(count),
            steps=max_steps,
            dtype=dtype,
            initial=initial,
            every=every,
            hooks=(callback,) if callback else (),
            max_seconds=max_seconds,
        )
        x, value, slope = _settle(runs)
    if starts is None:
        return _minimum(runs, method, x, value, slope)
    return _minima(runs, x0, x, value, slope)


def _starts(x0, starts, bounds, seed, dtype):
    """The starting points with a leading axis, and how many there are."""
    if x0 is None and (starts is None or bounds is None):
        raise UsageError("give x0, the point to start from (or starts=n together with bounds).")
    if x0 is None:
        if isinstance(starts, bool) or not isinstance(starts, int) or starts < 1:
            raise UsageError(f"starts must be a whole number of at least 1, got {starts!r}.")
        lower, upper = Box.of(bounds, None).finite()
        share = np.random.default_rng(seed).random((starts, *lower.shape))
        return jnp.asarray(lower + share * (upper - lower), dtype), starts
    try:
        x0 = jax.tree.map(lambda a: jnp.asarray(a, dtype), _as_arrays(x0))
    except (TypeError, ValueError) as error:
        raise UsageError(f"x0={x0!r} must be numbers, or a pytree of arrays of numbers.") from error
    if not jax.tree.leaves(x0):
        raise UsageError(f"x0={x0!r} holds no numbers; give the point to start from.")
    if not bool(tree.all_finite(x0)):
        raise UsageError("x0 holds a number that is not finite; start from a finite point.")
    if starts is None:
        return jax.tree.map(lambda a: a[None], x0), 1
    sizes = {a.shape[:1] for a in jax.tree.leaves(x0)}
    if sizes != {(starts,)}:
        raise UsageError(f"with starts={starts}, x0 must have a leading axis of {starts} points.")
    return x0, starts


def _as_arrays(x0):
    """A flat list or tuple of numbers is one array, as in SciPy; other trees stay."""
    if isinstance(x0, (list, tuple)) and all(isinstance(v, (int, float)) for v in x0):
        return np.asarray(x0, float)
    return x0


def _objective(fun, x0, args, jac, gradient):
    if gradient not in ("auto", "finite-difference"):
        raise UsageError(f"gradient must be 'auto' or 'finite-difference', got {gradient!r}.")
    if gradient == "finite-difference":
        return FiniteDifferenceObjective(fun, args)
    objective = FunctionObjective(fun, args, jac)
    try:
        jax.eval_shape(lambda x: objective.evaluate(x), x0)
    except UsageError:
        raise
    except Exception as error:
        name = getattr(fun, "__name__", "fun")
        raise UsageError(
            f"{name} cannot be differentiated by JAX ({_first_line(error)}). Write it with "
            "jax.numpy (`import jax.numpy as jnp`, jnp.sin instead of np.sin or math.sin; "
            "jnp.where instead of if), or pass gradient='finite-difference'."
        ) from error
    return objective


def _first_line(error):
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0][:160]}" if text else type(error).__name__


def _method(optimizer, learning_rate, bounds, settings, objective, x0):
    if optimizer is None:
        rate_given = learning_rate is not None
        optimizer = "gd" if rate_given else "lbfgs" if bounds is None else "fista"
    if isinstance(learning_rate, str):
        if learning_rate != "auto":
            raise UsageError(f"learning_rate={learning_rate!r} must be a number or 'auto'.")
        from steepest.objectives.curvature import stable_rate

        learning_rate = stable_rate(objective, x0, optimizer, **settings)
    if learning_rate is not None:
        settings = settings | {"learning_rate": learning_rate}
    return make_optimizer(optimizer, **settings)


def _settle(runs: Runs):
    """The best point of each run, the point after the last step looked at too."""
    carry, layout = runs.carry, Layout(len(runs.seeds), 1, 0)
    spec = stack(list(runs.specs), runs.dtype)
    value, slope = jax.device_get(evaluate(spec, carry.params, carry.buffers, (), layout))
    last = np.isfinite(value) & ~(carry.best_value < value)
    if not last.all():
        best_value, best_slope = jax.device_get(
            evaluate(spec, carry.best_params, carry.best_buffers, (), layout)
        )
    else:
        best_value, best_slope = value, slope

    def choose(a, b):
        return jax.tree.map(
            lambda u, v: np.where(last.reshape(last.shape + (1,) * (np.ndim(u) - 2)), u, v)[:, 0],
            a,
            b,
        )

    x = choose(carry.params, carry.best_params)
    return x, choose(value, best_value), choose(slope, best_slope)


def _minimum(runs, method, x, value, slope) -> Minimum:
    outcome = runs.outcome()
    x, slope = (jax.tree.map(lambda a: a[0], t) for t in (x, slope))
    calls = int(runs.carry.evaluations[0, 0])
    return Minimum(
        x=x,
        fun=float(value[0]),
        jac=slope,
        nit=int(runs.carry.step[0, 0]),
        nfev=calls,
        njev=calls,
        success=outcome is Outcome.CONVERGED,
        status=int(runs.reason()),
        message=runs.message(),
        outcome=outcome,
        gradient_norm=_size(slope),
        last_x=jax.tree.map(lambda a: a[0, 0], runs.carry.params),
        seconds=runs.seconds,
        trace=runs.trace,
        optimizer=method,
    )


def _minima(runs, x0, x, value, slope) -> Minima:
    status = runs.carry.reason[:, 0]
    outcomes = [runs.outcome(s) for s in range(len(runs.seeds))]
    sizes = sum(np.sum(np.square(a.reshape(len(a), -1)), axis=1) for a in jax.tree.leaves(slope))
    return Minima(
        x=x,
        fun=value,
        gradient_norm=np.sqrt(sizes),
        nit=runs.carry.step[:, 0],
        nfev=runs.carry.evaluations[:, 0],
        status=status,
        success=np.array([o is Outcome.CONVERGED for o in outcomes]),
        starts=jax.device_get(x0),
        seconds=runs.seconds,
        trace=runs.trace,
    )


def _size(slope) -> float:
    return float(np.sqrt(sum(np.sum(np.square(a)) for a in jax.tree.leaves(slope))))
