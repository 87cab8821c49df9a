"""Critical points: where the gradient vanishes, how each was found, and of which kind it is.

A quadratic has a linear system. Anything else is searched by Levenberg-Marquardt on |∇f|² from
many starts at once, which finds critical points of every kind but cannot promise to find all; for
polynomials in a few variables SymPy solves besides, and the list is called complete where the
search found nothing that SymPy lacks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from steepest.functions.expression import degree
from steepest.functions.function import Function
from steepest.functions.local import Local

STARTS = 256
ITERATIONS = 100
EXACT_VARIABLES = 3
EXACT_DEGREE = 6
MOST_POINTS = 100

KINDS = ("minimum", "maximum", "saddle", "degenerate")
KINK = "not differentiable here"


@dataclass(frozen=True)
class CriticalPoint:
    """A point with ∇f = 0, or a kink that is a minimum.

    `exact` gives the coordinates as formulas where SymPy solved for them. `eigenvalues` are those
    of the Hessian, ascending; a kind of `degenerate` says that some vanish, and `note` then says
    what the values nearby look like.
    """

    point: tuple[float, ...]
    value: float
    kind: str
    eigenvalues: tuple[float, ...]
    exact: tuple[str, ...] | None = None
    note: str = ""


@dataclass(frozen=True)
class Found:
    """The critical points, lowest value first; whether they are all, and a sentence on that."""

    points: tuple[CriticalPoint, ...]
    method: str
    complete: bool
    note: str = ""


NONE = "There is none: the gradient vanishes nowhere."


def critical_points(
    f: Function,
    local: Local,
    quadratic: bool,
    extra: Sequence[Sequence[float]] = (),
    time_limit: float = 2.0,
) -> Found:
    """The critical points of f. `extra` are further starts, and candidates for kinks."""
    if quadratic:
        return _quadratic(f, local)
    given = np.array([list(map(float, e)) for e in extra]).reshape(-1, f.dimensions)
    if not local.small:
        points = _distinct(local, given[_settled(local, given)])
        return Found(tuple(points), "candidates", False, _only_candidates(f))
    searched, flat = _search(f, local, given)
    powers = degree(f.expression)
    if powers is not None and powers <= EXACT_DEGREE and f.dimensions <= EXACT_VARIABLES:
        from steepest.functions.roots import roots

        solved = roots(f, time_limit)
        if solved is not None:
            exact = [classify(local, r.point, r.exact) for r in solved.points]
            known = [p for p in exact if p is not None]
            further = [p for p in searched if not any(_same(p.point, k.point) for k in known)]
            points = _ordered([*known, *further])
            if not further and not solved.family:
                return Found(tuple(points), "SymPy", True, "" if points else NONE)
            searched = points
    notes = [f"Searched from {STARTS + len(given)} starts; there may be others."]
    degenerate = [p for p in searched if p.kind == "degenerate"]
    if len(degenerate) > 20:
        others = [p for p in searched if p.kind != "degenerate"]
        searched = _ordered([*others, *degenerate[:3]])
        notes.insert(0, "They form curves or surfaces, of which three points are shown.")
    if flat:
        notes.insert(0, "The function is flat in places.")
    return Found(tuple(searched), "search", False, " ".join(notes))


def _only_candidates(f: Function) -> str:
    return (
        f"With {f.dimensions} variables no search is made; only points on record, the given one "
        "and the origin were tried."
    )


def classify(local: Local, w, exact: tuple[str, ...] | None = None) -> CriticalPoint | None:
    """The `CriticalPoint` at w by the eigenvalues of the Hessian; None where f is flat around w."""
    w = np.asarray(w, float)
    value, _, hessian = local.at(w)
    if not (np.isfinite(value) and np.isfinite(hessian).all()):
        return None
    eigenvalues = np.linalg.eigvalsh(hessian)
    size = float(np.abs(eigenvalues).max())
    around, curvature = local.neighbours(w, 0.01)
    if around == "equal":
        return None
    zero = np.inf if size <= 1e-9 * curvature else 1e-14 * len(w) * size
    kind, note = kind_of(eigenvalues, zero), ""
    if not local.smooth(w):
        kind = {"higher": "minimum", "lower": "maximum"}.get(around, "degenerate")
        note = KINK
    elif kind == "degenerate":
        note = {
            "higher": "some eigenvalues are 0; no value nearby is lower, so it is a minimum",
            "lower": "some eigenvalues are 0; no value nearby is higher, so it is a maximum",
            "mixed": "some eigenvalues are 0; values nearby are higher and lower",
        }[around]
    point, numbers = tuple(map(float, w)), tuple(map(float, eigenvalues))
    return CriticalPoint(point, value, kind, numbers, exact, note)


def kind_of(eigenvalues: np.ndarray, zero: float = 0.0) -> str:
    """minimum, maximum, saddle, or degenerate if an eigenvalue is within `zero` of 0.

    Eigenvalues of both signs are a saddle, whatever the others are.
    """
    positive, negative = eigenvalues > zero, eigenvalues < -zero
    if positive.any() and negative.any():
        return "saddle"
    if positive.all():
        return "minimum"
    return "maximum" if negative.all() else "degenerate"


def _quadratic(f: Function, local: Local) -> Found:
    _, gradient, hessian = local.at(np.zeros(f.dimensions))
    w, _, rank, _ = np.linalg.lstsq(hessian, -gradient, rcond=1e-14)
    left = np.abs(hessian @ w + gradient).max()
    if left > 1e-9 * np.abs(gradient).max():
        return Found((), "linear system", True, NONE)
    w = _rounded(w)
    eigenvalues = np.linalg.eigvalsh(hessian)
    zero = 1e-14 * f.dimensions * np.abs(eigenvalues).max()
    kind, note = kind_of(eigenvalues, zero), ""
    if rank < f.dimensions:
        what = "saddles" if kind == "saddle" else "minima" if eigenvalues.sum() > 0 else "maxima"
        shape = {1: "line", 2: "plane"}.get(f.dimensions - int(rank), "subspace")
        note = f"one of a whole {shape} of {what}; this is the one nearest to the origin"
    value = float(local.at(w)[0])
    point = CriticalPoint(
        tuple(map(float, w)), value, kind, tuple(map(float, eigenvalues)), None, note
    )
    return Found((point,), "linear system", True)


def _search(f: Function, local: Local, given: np.ndarray) -> tuple[list[CriticalPoint], bool]:
    """The critical points that are reached from `given` and random starts; whether f is flat."""
    box = np.asarray(f.bounds if f.bounds else [(-5.0, 5.0)] * f.dimensions)
    shape = (STARTS, f.dimensions)
    random = np.random.default_rng(0).uniform(box[:, 0], box[:, 1], shape)
    ends, scale = descend_gradient(local, np.concatenate([given, random]))
    if f.bounds:
        ends = ends[((ends >= box[:, 0]) & (ends <= box[:, 1])).all(1)]
    ends = np.array([_rounded(w) for w in ends]).reshape(-1, f.dimensions)
    values = local.many(ends) if len(ends) else None
    if values is not None:
        norms = np.linalg.norm(values.gradient, axis=1)
        bend = np.nan_to_num(values.hessian).max((1, 2)) * (1 + np.linalg.norm(ends, axis=1))
        small = norms <= np.maximum(1e-7 * scale, 1e-13 * bend)
        ends = ends[small & np.isfinite(values.value)]
    flat = any(local.neighbours(w, 0.01)[0] == "equal" for w in ends[:5])
    ends = ends[_settled(local, ends)]
    kinks = [w for w in given if not local.smooth(w)]
    points = _distinct(local, [*kinks, *_by_value(local, ends)])
    return [p for p in points if p.note != KINK or p.kind == "minimum"], flat


def descend_gradient(local: Local, w: np.ndarray) -> tuple[np.ndarray, float]:
    """Points near which |∇f|² is least, one from each row of w, and the median |∇f| at the start.

    Levenberg-Marquardt with the Hessian: each step solves (H² + λ s I) d = -H ∇f, with s the mean
    square of the eigenvalues; λ falls after a step that makes |∇f| smaller, and rises after one
    that does not, which is not taken.

    Reference: J. Nocedal, S. J. Wright, Numerical optimization, 2nd edition, 2006, section 10.3.
    """
    _, g, h = local.many(w)
    ok = np.isfinite(g).all(1) & np.isfinite(h).all((1, 2))
    w, g, h = w[ok], g[ok], h[ok]
    if not len(w):
        return w, 1.0
    norms = np.linalg.norm(g, axis=1)
    scale = float(np.median(norms) + 1e-6 * norms.max())  # a plain may have a median of 0
    eye = np.eye(w.shape[1])
    damping = np.full(len(w), 1e-2)
    for _ in range(ITERATIONS):
        square = h @ h
        s = np.trace(square, axis1=1, axis2=2) / len(eye)
        lift = np.maximum(damping * s, 1e-300)[:, None, None] * eye
        right = h @ g[:, :, None]
        try:
            step = np.linalg.solve(square + lift, right)[:, :, 0]
        except np.linalg.LinAlgError:
            step = (np.linalg.pinv(square + lift, hermitian=True) @ right)[:, :, 0]
        trial = w - np.where(np.isfinite(step), step, 0.0)
        _, g_trial, h_trial = local.many(trial)
        with np.errstate(invalid="ignore", over="ignore"):
            shorter = np.linalg.norm(g_trial, axis=1) < np.linalg.norm(g, axis=1)
        better = shorter & np.isfinite(h_trial).all((1, 2))
        if not better.any() and damping.min() > 1e3:
            break
        w = np.where(better[:, None], trial, w)
        g = np.where(better[:, None], g_trial, g)
        h = np.where(better[:, None, None], h_trial, h)
        damping = np.clip(np.where(better, 0.2, 5.0) * damping, 1e-15, 1e6)
    return w, scale


def _settled(local: Local, w: np.ndarray) -> np.ndarray:
    """Where a Newton step stays near; in the far tail of exp(-x²) it does not, small as ∇f is."""
    if not len(w):
        return np.zeros(0, bool)
    if not local.small:
        return np.array([np.abs(local.many(row[None]).gradient).max() <= 1e-9 for row in w])
    _, gradient, hessian = local.many(w)
    fine = np.isfinite(hessian).all((1, 2))
    safe = np.where(fine[:, None, None], hessian, 0.0)
    step = (np.linalg.pinv(safe, rcond=1e-14, hermitian=True) @ gradient[:, :, None])[:, :, 0]
    near = np.linalg.norm(step, axis=1) <= 1e-4 * (1 + np.linalg.norm(w, axis=1))
    return fine & near


def _by_value(local: Local, w: np.ndarray) -> list[np.ndarray]:
    if not len(w):
        return []
    values = local.many(w).value
    return [w[k] for k in np.lexsort((np.linalg.norm(w, axis=1), np.round(values, 9)))]


def _distinct(local: Local, places) -> list[CriticalPoint]:
    """Those that differ, classified; what a degenerate point draws in but slowly counts as it."""
    points: list[CriticalPoint] = []
    seen: list[np.ndarray] = []
    for place in places:
        if len(points) >= MOST_POINTS:
            break
        if any(_same(place, s) for s in seen):
            continue
        seen.append(place)
        point = classify(local, place)
        if point is None:
            continue
        low, high = np.abs(point.eigenvalues).min(), np.abs(point.eigenvalues).max()
        slow = [p for p in points if p.kind == "degenerate" or p.note == KINK]
        if low <= 1e-6 * high and any(_same(place, p.point, 1e-2) for p in slow):
            continue
        points.append(point)
    return _ordered(points)


def _ordered(points) -> list[CriticalPoint]:
    """Lowest value first; of equal values the nearest to the origin."""

    def key(p: CriticalPoint):
        return round(p.value, 9), round(float(np.linalg.norm(p.point)), 9), [-x for x in p.point]

    return sorted(points, key=key)


def _same(a, b, tolerance: float = 1e-4) -> bool:
    a, b = np.asarray(a), np.asarray(b)
    return bool(np.linalg.norm(a - b) <= tolerance * (1 + np.linalg.norm(b)))


def _rounded(w: np.ndarray) -> np.ndarray:
    """Coordinates that are whole numbers but for rounding made so; no negative zero."""
    near = np.rint(w)
    return np.where(np.abs(w - near) <= 1e-9 * (1 + np.abs(w)), near, w) + 0.0
