"""`race`: several optimizers on one function, side by side, each at its own learning rate."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from steepest.core.outcome import Outcome
from steepest.engine.compiling import precision
from steepest.engine.minimize import Minimum, minimize
from steepest.engine.runs import run
from steepest.engine.spec import RunSpec
from steepest.engine.stop import StopRule
from steepest.objectives.objective import FunctionObjective
from steepest.optimizers.registry import OPTIMIZERS
from steepest.optimizers.registry import optimizer as make_optimizer

RATES = tuple(np.geomspace(1e-5, 10.0, 61))
"""The learning rates of the sweep: ten to a factor of ten."""


@dataclass(frozen=True)
class Lane:
    """One optimizer in a race: the rate it ran at (None if it has none), and how it went."""

    optimizer: str
    learning_rate: float | None
    tuned: bool
    result: Minimum

    @property
    def rank_key(self) -> tuple[int, float]:
        """Converged first, by steps; then the others by the value reached; diverged last."""
        if self.result.outcome is Outcome.CONVERGED:
            return (0, self.result.nfev)
        if self.result.outcome is Outcome.DIVERGED:
            return (2, self.result.fun)
        return (1, self.result.fun)


def takes_rate(name: str) -> bool:
    """Whether the optimizer of that name has a learning rate to choose."""
    cls = OPTIMIZERS.get(name)
    return cls is not None and "learning_rate" in getattr(cls, "__dataclass_fields__", {})


def race(
    fun: Callable,
    x0: Sequence[float],
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
    `learning_rate`, each runs at its own default.

    >>> lanes = race(lambda x: x[0] ** 2 + 3 * x[1] ** 2, [1.0, 1.0], ["gd", "lbfgs"], tune=True)
    >>> [lane.optimizer for lane in lanes]
    ['lbfgs', 'gd']
    """
    lanes = []
    for name in optimizers:
        make_optimizer(name)
        rate = learning_rate if takes_rate(name) else None
        tuned = tune and takes_rate(name)
        if tuned:
            rate = best_rate(fun, x0, name, max_steps=max_steps, tol=tol)
        result = minimize(
            fun, list(x0), optimizer=name, learning_rate=rate, max_steps=max_steps, tol=tol,
            probes=probes, every=1 if max_steps <= 100_000 else None,
        )  # fmt: skip
        if rate is None and takes_rate(name):
            rate = float(make_optimizer(name).learning_rate.learning_rate)
        lanes.append(Lane(name, rate, tuned, result))
    return sorted(lanes, key=lambda lane: lane.rank_key)


def best_rate(
    fun: Callable, x0: Sequence[float], name: str, *, max_steps: int, tol: float,
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
        start = np.broadcast_to(np.asarray(x0, float), (1, len(rates), len(x0)))
        runs = run(
            specs, steps=max_steps, dtype="float64", initial=(np.array(start), ()), every=max_steps
        )
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
