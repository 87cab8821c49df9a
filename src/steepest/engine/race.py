"""`race`: several optimizers on one function, side by side, each at its own learning rate."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from steepest.core.errors import UsageError
from steepest.core.outcome import Outcome
from steepest.engine.compiling import precision
from steepest.engine.descend import starting_points, whole
from steepest.engine.minimize import minimize
from steepest.engine.minimum import Minimum
from steepest.engine.runs import run
from steepest.engine.spec import RunSpec
from steepest.engine.stop import StopRule
from steepest.objectives.objective import FunctionObjective
from steepest.optimizers.registry import optimizer as make_optimizer

RATES = tuple(np.geomspace(1e-5, 10.0, 61).tolist())
"""The learning rates of the sweep: ten to a factor of ten."""
RECORDS = 100_000
"""Up to so many steps, each is recorded."""


@dataclass(frozen=True)
class Lane:
    """One optimizer in a race: the rate it ran at (None if it has none), and how it went."""

    optimizer: str
    learning_rate: float | None
    tuned: bool
    result: Minimum

    @property
    def rank_key(self) -> tuple[int, float]:
        """Converged first, by evaluations of the gradient; others by value; diverged last.

        Evaluations, not steps: a line search spends several in one step.
        """
        result = self.result
        value = math.inf if math.isnan(result.fun) else result.fun
        if result.outcome is Outcome.CONVERGED:
            return (0, float(result.njev))
        return (2 if result.outcome is Outcome.DIVERGED else 1, value)


def default_rate(method: Any) -> float | None:
    """The learning rate that an optimizer starts with; None for methods that have none."""
    schedule = getattr(method, "learning_rate", None)
    rate = getattr(schedule, "learning_rate", None)
    return None if rate is None else float(rate)


def race(
    fun: Callable,
    x0: Any,
    optimizers: Sequence[str],
    *,
    learning_rate: float | None = None,
    tune: bool = False,
    max_steps: int = 10_000,
    tol: float = 1e-8,
    probes: tuple = ("loss", "gradient_norm", "params"),
) -> list[Lane]:
    """Minimise f from x0 with each optimizer; the lanes come back ranked, the best first.

    One learning rate for all is unfair, since its scale differs between rules: with `tune` each
    optimizer first runs at 61 rates from 1e-5 to 10 as one program, and takes the one that reached
    the tolerance in the fewest steps (or, where none did, the lowest value). Without `tune` and
    `learning_rate`, each runs at its own default. Methods with a line search need no rate.

    Raises: UsageError for an unknown optimizer, and for what `minimize` refuses.

    >>> lanes = race(lambda x: x[0] ** 2 + 3 * x[1] ** 2, [1.0, 1.0], ["gd", "lbfgs"], tune=True)
    >>> [lane.optimizer for lane in lanes]
    ['lbfgs', 'gd']
    """
    if not optimizers or isinstance(optimizers, str):
        raise UsageError(f"optimizers must be a list of names, got {optimizers!r}.")
    if len(set(optimizers)) < len(optimizers):
        raise UsageError(f"optimizers names one twice: {', '.join(optimizers)}.")
    if tune and learning_rate is not None:
        raise UsageError("give either tune=True or a learning_rate, not both.")
    max_steps = whole("max_steps", max_steps)
    # All are made before the first runs: a wrong name or rate is no reason to wait.
    own = {name: default_rate(make_optimizer(name)) for name in optimizers}
    if learning_rate is not None:
        for name in optimizers:
            if own[name] is not None:
                make_optimizer(name, learning_rate=learning_rate)
    lanes = []
    for name, default in own.items():
        takes_rate = default is not None
        rate = learning_rate if takes_rate else None
        if tune and takes_rate:
            rate = best_rate(fun, x0, name, max_steps=max_steps, tol=tol)
        result = minimize(
            fun, x0, optimizer=name, learning_rate=rate, max_steps=max_steps, tol=tol,
            probes=probes, every=1 if max_steps <= RECORDS else None,
        )  # fmt: skip
        lanes.append(Lane(name, default if rate is None else rate, tune and takes_rate, result))
    return sorted(lanes, key=lambda lane: lane.rank_key)


def best_rate(
    fun: Callable, x0: Any, name: str, *, max_steps: int, tol: float,
    rates: Sequence[float] = RATES,
) -> float:  # fmt: skip
    """The learning rate of the sweep that serves the optimizer best; see `race`."""
    specs = [
        RunSpec(
            objective=FunctionObjective(fun), optimizer=make_optimizer(name, learning_rate=r),
            stop=StopRule(tolerance=tol), probes=(), track="step", deterministic=True,
        )
        for r in rates
    ]  # fmt: skip
    with precision("float64"):
        start = jax.tree.map(
            lambda a: np.array(np.broadcast_to(a[:, None], (1, len(rates), *a.shape[1:]))),
            starting_points(x0, None, None, 0, "float64"),
        )
        runs = run(specs, steps=max_steps, dtype="float64", initial=(start, ()), every=max_steps)
    keys = []
    for c in range(len(rates)):
        outcome = runs.outcome(0, c)
        value = float(runs.carry.best_value[0, c])
        if outcome is Outcome.CONVERGED:
            keys.append((0, float(runs.carry.step[0, c])))
        elif outcome is Outcome.DIVERGED or not math.isfinite(value):
            keys.append((2, 0.0))
        else:
            keys.append((1, value))
    return float(rates[min(range(len(rates)), key=keys.__getitem__)])
