"""What is wrong with a descent on a function: its learning rate, or the place where it ended."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jax
import numpy as np
from jax.flatten_util import ravel_pytree

from steepest.core.errors import UsageError
from steepest.core.outcome import Outcome, Reason
from steepest.diagnose.curve import Curve
from steepest.diagnose.finding import Diagnosis, Finding, ranked
from steepest.engine.compiling import precision
from steepest.engine.sharpness import Eigenpairs, eigenpairs, stability, unwrapped

FLAT = 1e-8
"""Curvature below this share of the largest counts as zero."""
DENSE = 400
"""Up to so many variables all eigenvalues are found."""


CAUSES = {
    "plateau": ("saddle", "maximum", "too_few_steps", "ill_conditioned", "learning_rate_too_small"),
    "saddle": ("too_few_steps", "ill_conditioned"),
}
"""What each finding explains."""
LEVEL = 1e-3
"""Which share of a fall gradient and curvature may tell where the ground counts as level."""


@dataclass
class Place:
    """A `Minimum` with the curvature where it began and ended."""

    found: Any

    @property
    def rule(self) -> Any:
        """The update rule."""
        return unwrapped(self.found.optimizer)

    @property
    def rate(self) -> float | None:
        """The learning rate, where the rule has one."""
        rate = getattr(getattr(self.rule, "learning_rate", None), "learning_rate", None)
        return None if rate is None else float(rate)

    @cached_property
    def top(self) -> Eigenpairs:
        """The largest eigenvalues at the best point (all, for few variables)."""
        return self._pairs(False)

    @cached_property
    def bottom(self) -> Eigenpairs:
        """The smallest eigenvalue at the best point."""
        return self._pairs(True)

    def _pairs(self, smallest: bool) -> Eigenpairs:
        x = self.found.x
        size = ravel_pytree(x)[0].size
        with precision(str(np.asarray(jax.tree.leaves(x)[0]).dtype)):
            return eigenpairs(
                self.found.objective, x, count=1, steps=size if size <= DENSE else 48,
                smallest=smallest,
            )  # fmt: skip

    @property
    def limit(self) -> float | None:
        """The largest stable learning rate by the curvature at the best point; None if none."""
        known = stability(self.rule)
        high = float(self.top.values[0])
        if known is None or known[1] or not high > 0:
            return None
        return known[0] / high

    @cached_property
    def gradient(self) -> np.ndarray:
        """The gradient at the best point, as one vector."""
        x = self.found.x
        with precision(str(np.asarray(jax.tree.leaves(x)[0]).dtype)):
            slope = jax.grad(lambda at: self.found.objective.smooth(at, (), None, None)[0])(x)
            return np.asarray(ravel_pytree(slope)[0], np.float64)

    def value(self, flat: np.ndarray) -> float:
        """The function at other variables, given as one vector."""
        x, unravel = ravel_pytree(self.found.x)
        with precision(str(np.asarray(x).dtype)):
            at = unravel(np.asarray(flat, np.asarray(x).dtype))
            return float(self.found.objective.smooth(at, (), None, None)[0])

    @cached_property
    def curve(self) -> Curve | None:
        """The values along the way."""
        loss = np.asarray(self.found.trace.steps.get("loss", ()), float)
        if loss.ndim < 3 or not len(loss):
            return None
        loss = loss[:, 0, 0]
        loss = loss[np.isfinite(loss)]
        return Curve(np.arange(len(loss)), loss, float(loss[0])) if len(loss) > 2 else None


def diagnose_minimum(found: Any, *, deep: bool = True) -> Diagnosis:
    """The diagnosis of a `Minimum`; an empty one where it converged to a minimum.

    >>> from steepest.engine.minimize import minimize
    >>> diagnose_minimum(minimize("x^2 + x*y + y^2", [3, -2], learning_rate=0.7)).codes
    ('learning_rate_too_large',)
    >>> diagnose_minimum(minimize("x^2 - y^2 + y^4", [1.0, 0.0], optimizer="gd")).codes
    ('saddle',)
    """
    if found.objective is None:
        raise UsageError("this result does not hold its function; call minimize again.")
    place = Place(found)
    looks = (_unbounded, _too_large, _plateau, _saddle, _precision, _slow)
    findings = [f for f in (look(place) for look in looks) if f is not None]
    measured = {"outcome": found.outcome.text, "largest": float(place.top.values[0]),
                "smallest": float(place.bottom.values[0]), "stable_limit": place.limit,
                "learning_rate": place.rate}  # fmt: skip
    low, high = measured["smallest"], measured["largest"]
    if low > FLAT * max(high, 0):
        # What gradient descent at its best fixed rate would need, near this minimum.
        best = 2 / (low + high)
        measured |= {"condition": high / low, "best_rate": best,
                     "steps_a_digit": math.ceil(_steps(low, best))}  # fmt: skip
    return Diagnosis(ranked(findings, CAUSES), measured)


def _unbounded(place: Place) -> Finding | None:
    if Reason(place.found.status) is not Reason.UNBOUNDED:
        return None
    return Finding(
        "unbounded",
        f"The function fell to {place.found.fun:.3g} and seems to have no lower bound: check its "
        "signs, or give bounds.",
        {"value": place.found.fun},
        (),
        1.0,
    )


def _too_large(place: Place) -> Finding | None:
    """Diverged, or bouncing without coming closer, at a rate above the limit."""
    found, rate, limit, curve = place.found, place.rate, place.limit, place.curve
    if rate is None or found.success or Reason(found.status) is Reason.UNBOUNDED:
        return None
    diverged = found.outcome is Outcome.DIVERGED
    evidence: dict[str, Any] = {"learning_rate": rate, "stable_limit": limit, "step": found.nit}
    if not diverged:
        if limit is None or rate <= limit or curve is None or curve.falling > 0.01:
            return None
        step = np.asarray(found.trace.steps.get("step_norm", ()), float)
        evidence |= {"period": curve.period, "jumps": curve.jumps}
        if step.size:
            evidence["amplitude"] = float(np.nanmedian(step[-16:]))
    what = (
        f"The descent diverged at step {found.nit}" if diverged
        else "The descent jumps to and fro across the minimum"
    )  # fmt: skip
    if limit is None or rate <= limit:
        said, better = "", rate / 10
    else:
        said = f"; by the curvature at the best point it is stable up to {limit:.3g}"
        better = limit / 2
    return Finding(
        "learning_rate_too_large",
        f"{what}: the learning rate {rate:.3g} is too large{said}.",
        evidence,
        ({"learning_rate": float(f"{better:.2g}")}, {"learning_rate": "auto"}),
        0.95,
    )


def _plateau(place: Place) -> Finding | None:
    """It ended on level ground: neither gradient nor curvature tell of the fall further on."""
    found = place.found
    flat = np.asarray(ravel_pytree(found.x)[0], np.float64)
    scale = max(1.0, float(np.max(np.abs(flat))))
    bend = max(abs(float(place.top.values[0])), abs(float(place.bottom.values[0])))
    if found.outcome is Outcome.DIVERGED or _at_bounds(found) or not np.isfinite(bend):
        return None
    told = scale * found.gradient_norm + scale**2 * bend
    if told > LEVEL * max(1.0, abs(found.fun)):
        return None
    ways = [sign * np.asarray(place.bottom.vectors[0], np.float64) for sign in (1, -1)]
    gradient = place.gradient
    if np.linalg.norm(gradient) > 0:
        ways.insert(0, -gradient / np.linalg.norm(gradient))
    for distance in scale * 2.0 ** np.arange(-3, 6):
        for way in ways:
            there = flat + distance * way
            value = place.value(there)
            if found.fun - value > told / LEVEL and found.fun - value > 1e-6 * abs(found.fun):
                break
        else:
            continue
        break
    else:
        return None
    start = [float(f"{v:.6g}") for v in there[:20]]
    return Finding(
        "plateau",
        f"The descent ended on a plateau: the gradient is {found.gradient_norm:.2g} and the "
        f"curvature at most {bend:.2g}, but at a distance of {distance:.3g} the function is "
        f"{value:.6g} and not {found.fun:.6g}: start nearer to where it falls.",
        {"gradient_norm": found.gradient_norm, "curvature": bend, "distance": float(distance),
         "value_there": value},
        ({"start": tuple(start)},),
        0.9,
    )  # fmt: skip


def _saddle(place: Place) -> Finding | None:
    """It ended where the gradient vanishes and a direction leads further down."""
    found = place.found
    low, high = float(place.bottom.values[0]), float(place.top.values[0])
    size = max(abs(low), abs(high))
    if found.outcome is Outcome.DIVERGED or not low < -1e-6 * size:
        return None
    if not found.success and found.gradient_norm > 1e-3 * max(1.0, size):
        return None
    if _at_bounds(found):
        return None
    direction = place.bottom.vectors[0]
    kind = "maximum" if high < -FLAT * size else "saddle"
    flat, _ = ravel_pytree(found.x)
    step = 1e-2 * max(1.0, float(np.max(np.abs(flat)))) * direction / np.max(np.abs(direction))
    start = [float(f"{v:.6g}") for v in (np.asarray(flat) + step)[:20]]
    shown = ", ".join(f"{v:.3g}" for v in direction[:6]) + (", ..." if len(direction) > 6 else "")
    return Finding(
        kind,
        f"The descent ended at a {kind}: the gradient vanishes, but along ({shown}) the curvature "
        f"is {low:.3g}, and the function falls both ways: start a little off in that direction.",
        {"direction": direction, "curvature": low, "largest": high},
        ({"start": tuple(start)},),
        0.9,
    )


def _precision(place: Place) -> Finding | None:
    """The line search gave up since the value no longer tells points apart."""
    found = place.found
    if Reason(found.status) is not Reason.LINE_SEARCH:
        return None
    dtype = np.asarray(jax.tree.leaves(found.x)[0]).dtype
    rounding = float(np.finfo(dtype).eps * max(abs(found.fun), 1e-300))
    curvature = max(abs(float(place.top.values[0])), 1e-300)
    gain = found.gradient_norm**2 / (2 * curvature)
    if gain > 100 * rounding:
        return None
    changes: tuple[dict[str, Any], ...] = ({"tol": 2 * found.gradient_norm},)
    if dtype == np.float32:
        changes = ({"dtype": "float64"}, *changes)
    return Finding(
        "loss_of_precision",
        f"The value {found.fun:.6g} is known to {rounding:.1e} only, and the best step would lower "
        f"it by about {gain:.1e}: this is as far as {dtype} goes; the point is most likely good.",
        {"rounding": rounding, "gain": gain, "gradient_norm": found.gradient_norm},
        changes,
        0.3,
    )


def _slow(place: Place) -> Finding | None:
    """The steps were used up: the rate is too small, the function ill-conditioned, or neither."""
    found, rate, limit = place.found, place.rate, place.limit
    if Reason(found.status) is not Reason.MAX_STEPS:
        return None
    low, high = float(place.bottom.values[0]), float(place.top.values[0])
    if limit is not None and rate is not None and rate > limit:
        return None
    evidence: dict[str, Any] = {"gradient_norm": found.gradient_norm, "steps": found.nit,
                                "learning_rate": rate, "stable_limit": limit}  # fmt: skip
    convex = low > FLAT * max(high, 0)
    if limit is not None and rate is not None and rate < limit / 8:
        share = f"{rate:.3g} is {limit / rate:.3g} times below the stable limit {limit:.3g}"
        if convex:
            share += f" (about {_steps(low, rate):.3g} steps a digit)"
        return Finding(
            "learning_rate_too_small",
            f"The steps were used up at a gradient of {found.gradient_norm:.2g}: the learning rate "
            f"{share}; raise it.",
            evidence,
            ({"learning_rate": float(f"{limit / 2:.2g}")}, {"learning_rate": "auto"}),
            0.8,
        )
    if convex and high / low > 1e3 and rate is not None:
        condition = high / low
        return Finding(
            "ill_conditioned",
            f"The curvature ranges from {low:.3g} to {high:.3g}, a condition number of "
            f"{condition:.3g}: even the best fixed rate takes about {1.15 * condition:.3g} steps "
            "a digit; use a method that learns the curvature, or momentum.",
            evidence | {"condition": condition},
            ({"optimizer": "lbfgs"}, {"optimizer": "nesterov", "learning_rate": "auto"}),
            0.6,
        )
    return Finding(
        "too_few_steps",
        f"The {found.nit} steps were used up at a gradient of {found.gradient_norm:.2g}: give "
        "more, or use a faster method.",
        evidence,
        ({"max_steps": 10 * found.nit}, {"optimizer": "lbfgs"}),
        0.4,
    )


def _steps(low: float, rate: float) -> float:
    """Steps in which gradient descent makes the slowest error ten times smaller."""
    return math.log(10) / max(-math.log(abs(1 - rate * low) or 1e-300), 1e-300)


def _at_bounds(found: Any) -> bool:
    box = getattr(found.objective, "box", None)
    if box is None:
        return False
    at = jax.tree.map(lambda x, a, b: np.any((x <= a) | (x >= b)), found.x, box.lower, box.upper)
    return any(map(bool, jax.tree.leaves(at)))
