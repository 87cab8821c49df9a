"""`Minimum`: where a descent ended; `Minima`: where many did."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from steepest.core.errors import DivergedError
from steepest.core.outcome import Outcome
from steepest.core.trace import Trace

Point = Any


@dataclass
class Minimum:
    """Where a descent ended: SciPy's `OptimizeResult` names, and ours.

    x:       the best point found, a pytree like x0. fun: f there. jac: the gradient there.
    nit:     steps taken. nfev, njev: how often f and its gradient were computed (together; by
             finite differences a gradient takes 2 n + 1 values).
    success: whether the run converged. status: the `Reason` as a number. message: as a sentence.
    outcome: `converged`, `diverged`, `stalled`, `budget` or `stopped`.
    gradient_norm: |grad f(x)|, with bounds |x - clip(x - grad f(x))|.
    last_x:  the point after the last step. trace: what was recorded. seconds: of the loop.
    objective: what was descended.
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
    objective: Any = None

    def diagnose(self) -> Any:
        """What is wrong with this descent, by curvature, and what would cure it: a `Diagnosis`."""
        from steepest.diagnose.function import diagnose_minimum

        return diagnose_minimum(self)

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

    `x`, `starts` are trees like x0; `fun`, `gradient_norm`, `nit`, `nfev`, `status` (a `Reason`),
    `success` are as in `Minimum`, one entry a start. `best` is the lowest point, `distinct()` the
    different minima.
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
    optimizer: Any

    def __len__(self) -> int:
        return len(self.fun)

    @property
    def best(self) -> tuple[Point, float]:
        """The lowest point found, and f there."""
        i = int(np.argmin(np.where(np.isnan(self.fun), np.inf, self.fun)))
        return jax.tree.map(lambda a: a[i], self.x), float(self.fun[i])

    def distinct(self, tolerance: float = 1e-3) -> list[dict[str, Any]]:
        """The different minima reached, lowest first: `x`, `fun`, `count`, `share` of all starts.

        Converged points belong together when every coordinate agrees within `tolerance` times the
        spread of the starts (1 at least).
        """
        points, starts = _matrix(self.x), _matrix(self.starts)
        radius = tolerance * max(1.0, float(np.ptp(starts, axis=0).max()))
        left = np.flatnonzero(self.success & np.isfinite(self.fun))
        left = left[np.argsort(self.fun[left], kind="stable")]
        out: list[dict[str, Any]] = []
        while len(left):
            first = left[0]
            near = np.max(np.abs(points[left] - points[first]), axis=1) <= radius
            out.append({
                "x": jax.tree.map(lambda a, i=first: a[i], self.x),
                "fun": float(self.fun[first]),
                "count": int(near.sum()),
                "share": float(near.sum() / len(self)),
            })  # fmt: skip
            left = left[~near]
        return out

    def __repr__(self) -> str:
        done = int(self.success.sum())
        return f"Minima({len(self)} starts, {done} converged, lowest fun={self.best[1]:.6g})"


def _matrix(points: Point) -> np.ndarray:
    """Points as rows."""
    return np.concatenate(
        [np.reshape(a, (len(a), -1)) for a in jax.tree.leaves(points)], axis=1, dtype=float
    )
