"""`analyse`: what there is to know about a function before descending it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from steepest.core.errors import UsageError
from steepest.functions.critical import CriticalPoint, Found, critical_points, kind_of
from steepest.functions.derivatives import Check, Derivatives, check, differentiate
from steepest.functions.expression import Number, constant, degree
from steepest.functions.function import Function, function
from steepest.functions.local import Local
from steepest.functions.notation import to_text

MOST_VARIABLES = 2_000


@dataclass(frozen=True)
class Rates:
    """Learning rates from the eigenvalues 0 < l_min <= l_max of the Hessian.

    Attributes:
        stable: 2 / l_max; above it gradient descent diverges along the steepest direction.
        best: 2 / (l_min + l_max), the best fixed one; l_min is the smallest eigenvalue above 0.
        contraction: (l_max - l_min) / (l_max + l_min), the factor per step that it reaches.
        momentum: the momentum b of the next two.
        heavy_ball: 2 (1 + b) / l_max, the largest stable one with heavy-ball momentum.
        nesterov: 2 (1 + b) / ((1 + 2 b) l_max), the largest stable one with Nesterov's.

    Reference: B. T. Polyak, Some methods of speeding up the convergence of iteration methods,
    1964; G. Goh, Why momentum really works, Distill 2017.
    """

    stable: float
    best: float
    contraction: float
    momentum: float
    heavy_ball: float
    nesterov: float

    @staticmethod
    def of(low: float, high: float, momentum: float) -> Rates:
        """The limits for eigenvalues from `low` to `high`, both above 0.

        >>> Rates.of(1.0, 3.0, 0.9).best
        0.5
        """
        return Rates(
            stable=2 / high,
            best=2 / (low + high),
            contraction=(high - low) / (high + low),
            momentum=momentum,
            heavy_ball=2 * (1 + momentum) / high,
            nesterov=2 * (1 + momentum) / ((1 + 2 * momentum) * high),
        )


@dataclass(frozen=True)
class Analysis:
    """What `analyse` found; `point` is where value, gradient, Hessian and rates are taken.

    `quadratic` says that the Hessian, its eigenvalues and the rates are the same everywhere.
    `rates` is None where no fixed learning rate is stable. `condition` is l_max / l_min for
    positive eigenvalues, else None. `kind` is the kind of `point` if it is critical, else "".
    """

    function: Function
    derivatives: Derivatives
    check: Check
    quadratic: bool
    point: tuple[float, ...]
    value: float
    gradient: tuple[float, ...]
    hessian: tuple[tuple[float, ...], ...]
    eigenvalues: tuple[float, ...]
    kind: str
    critical: Found
    rates: Rates | None
    condition: float | None
    notes: tuple[str, ...]

    @property
    def gradient_norm(self) -> float:
        """|∇f| at the point."""
        return math.hypot(*self.gradient)

    def to_dict(self) -> dict[str, Any]:
        """Everything as JSON: names, numbers, lists; numbers that are not finite are null."""
        names = self.function.variables
        d = self.derivatives
        rates = self.rates

        def named(values) -> dict[str, Any]:
            return dict(zip(names, values, strict=True))

        def critical(p: CriticalPoint) -> dict[str, Any]:
            return {
                "point": named(p.point),
                "exact": named(p.exact) if p.exact else None,
                "value": p.value,
                "kind": p.kind,
                "eigenvalues": list(p.eigenvalues),
                "note": p.note,
            }

        return _finite({
            "formula": self.function.text,
            "name": self.function.name or None,
            "latex": self.function.latex,
            "variables": list(names),
            "partial_derivatives": named(d.texts()) if d.partials else None,
            "partial_derivatives_latex": named(d.latex()) if d.partials else None,
            "hessian": [[to_text(e) for e in row] for row in d.hessian] or None,
            "derivatives_agree": self.check.agrees if d.partials else None,
            "quadratic": self.quadratic,
            "point": named(self.point),
            "value": self.value,
            "gradient": named(self.gradient),
            "gradient_norm": self.gradient_norm,
            "hessian_at_point": [list(row) for row in self.hessian],
            "eigenvalues": list(self.eigenvalues),
            "kind": self.kind or None,
            "condition_number": self.condition,
            "critical_points": [critical(p) for p in self.critical.points],
            "critical_points_complete": self.critical.complete,
            "stable_learning_rate": rates.stable if rates else None,
            "best_learning_rate": rates.best if rates else None,
            "contraction": rates.contraction if rates else None,
            "momentum": rates.momentum if rates else None,
            "stable_learning_rate_heavy_ball": rates.heavy_ball if rates else None,
            "stable_learning_rate_nesterov": rates.nesterov if rates else None,
            "notes": list(self.notes),
        })  # fmt: skip


def _finite(value):
    if isinstance(value, dict):
        return {k: _finite(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_finite(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def analyse(
    f: Function | str,
    at: Sequence[float] | None = None,
    momentum: float = 0.9,
    time_limit: float = 2.0,
) -> Analysis:
    """Derivatives, curvature, critical points and stable learning rates of a function.

    Args:
        f: a `Function`, or the text of a formula, or a name of the catalogue.
        at: the point for value, Hessian and rates; else a minimum, else any critical point, else
            the customary start, else the origin.
        momentum: b in the limits with momentum, 0 <= b < 1.
        time_limit: seconds for each kind of symbolic work, which is given up after them.

    Raises:
        FormulaError: the text cannot be read.
        UsageError: `at` has the wrong length, or f is not finite there.

    >>> a = analyse("x^2 + x*y + y^2")
    >>> a.derivatives.texts(), [round(e, 12) for e in a.eigenvalues]
    (('2*x + y', 'x + 2*y'), [1.0, 3.0])
    >>> round(a.rates.stable, 3), round(a.rates.best, 3)
    (0.667, 0.5)
    """
    f = function(f) if isinstance(f, str) else f
    if not isinstance(f, Function):
        raise UsageError(f"analyse takes a Function or its text, got {type(f).__name__}.")
    if not 0 <= momentum < 1:
        raise UsageError(f"momentum must be at least 0 and below 1, got {momentum!r}.")
    if f.dimensions > MOST_VARIABLES:
        raise UsageError(
            f"analyse forms the whole Hessian, for at most {MOST_VARIABLES:,} variables, "
            f"got {f.dimensions:,}."
        )
    given = None if at is None else _point(f, at)
    local = Local(f)
    if given is not None and not local.defined(given):
        raise UsageError(f"The function or its gradient is not finite at {_shown(f, given)}.")
    written = differentiate(f, time_limit)
    compared = check(f, written, local=local)
    quadratic = _is_quadratic(f, written)
    critical = critical_points(f, local, quadratic, _candidates(f, given), time_limit)
    point = given if given is not None else _choose(f, critical, local)
    value, gradient, hessian = local.at(point)
    whole = bool(np.isfinite(hessian).all())
    eigenvalues = np.linalg.eigvalsh(hessian) if whole else np.full(len(point), np.nan)
    notes = [written.note] if written.note else []
    if written.partials and not compared.agrees:
        notes.append(
            "The written derivatives could not be compared with JAX's: no random point has both."
            if compared.points == 0
            else "The written derivatives differ from JAX's; trust the numbers."
        )
    zero = 1e-14 * f.dimensions * np.abs(eigenvalues).max()
    kind = ""
    scale = max(np.abs(hessian).max(), np.abs(gradient).max(), 1e-300)
    if np.abs(gradient).max() <= 1e-8 * scale or np.abs(gradient).max() == 0:
        same = [p for p in critical.points if np.allclose(p.point, point, rtol=1e-6, atol=1e-8)]
        kind = same[0].kind if same else kind_of(eigenvalues, zero)
    rates, condition = None, None
    if not (quadratic or local.smooth(point)):
        notes.append("The function is not differentiable at this point: no curvature is given.")
    elif not whole:
        notes.append("The second derivatives are not finite at this point.")
    elif eigenvalues[0] < -zero:
        notes.append(
            "Negative curvature: along it every learning rate moves away from a critical point."
        )
    elif eigenvalues[-1] <= zero:
        notes.append("There is no curvature here, so it sets no limit to the learning rate.")
    else:
        positive = eigenvalues[eigenvalues > zero]
        rates = Rates.of(float(positive[0]), float(positive[-1]), momentum)
        condition = float(positive[-1] / positive[0]) if len(positive) == len(eigenvalues) else None
    return Analysis(
        f, written, compared, quadratic, tuple(map(float, point)), value,
        tuple(map(float, gradient)), tuple(tuple(map(float, row)) for row in hessian),
        tuple(map(float, eigenvalues)), kind, critical, rates, condition, tuple(notes),
    )  # fmt: skip


def _point(f: Function, at: Sequence[float]) -> np.ndarray:
    try:
        point = np.asarray(at, dtype=float)
    except (TypeError, ValueError):
        raise UsageError(f"at must be numbers, one for each variable, got {at!r}.") from None
    if point.shape != (f.dimensions,):
        shown = ", ".join(f.variables[:6]) + (", ..." if f.dimensions > 6 else "")
        raise UsageError(
            f"at must have {f.dimensions} numbers, one for each of {shown}, got {point.size}."
        )
    if not np.isfinite(point).all():
        raise UsageError(f"at must be finite numbers, got {list(map(float, point))}.")
    return point


def _shown(f: Function, point: np.ndarray) -> str:
    pairs = zip(f.variables[:6], point, strict=False)
    return ", ".join(f"{name} = {float(v):g}" for name, v in pairs)


def _is_quadratic(f: Function, written: Derivatives) -> bool:
    """A polynomial of degree 2 by its structure, or a Hessian that SymPy found constant.

    A kink has a constant Hessian too, almost everywhere: functions that have one do not count.
    """
    powers = degree(f.expression)
    if powers is not None and powers <= 2:
        return True
    if not written.hessian:
        return False
    flat = [e for row in written.hessian for e in row]
    linear = all(degree(p) is not None for p in written.partials)
    return linear and all(isinstance(e, Number) or constant(e) is not None for e in flat)


def _candidates(f: Function, given: np.ndarray | None) -> list[tuple[float, ...]]:
    points: list[tuple[float, ...]] = [(0.0,) * f.dimensions]
    points += [m.point for m in f.minima]
    if f.start is not None:
        points.append(f.start)
    if given is not None:
        points.append(tuple(map(float, given)))
    return points


def _choose(f: Function, critical: Found, local: Local) -> np.ndarray:
    minima = [p for p in critical.points if p.kind == "minimum"]
    for p in [*minima, *critical.points]:
        return np.asarray(p.point)
    for candidate in (f.start, (0.0,) * f.dimensions, (1.0,) * f.dimensions, (0.5,) * f.dimensions):
        if candidate is not None and local.defined(candidate):
            return np.asarray(candidate, float)
    raise UsageError(
        "The function is not finite at the points that were tried: give one with at (--at 1,2)."
    )
