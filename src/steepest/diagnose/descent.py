"""Illnesses of the descent itself: rates, noise, and runs that ended too soon."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from steepest.diagnose.case import Case
from steepest.diagnose.finding import Finding

PEAK, FAR = 3.0, 10.0
"""The mean loss of an epoch over that of the first step, from which on the run was thrown off; the
second even where it found back."""
FALLING, FALLING_EARLY = 0.1, 0.08
"""Share of the whole decrease that a quarter of the run adds, from which on a run was not done; the
second where the run had fewer than eight epochs."""
PACE = 2e-4
"""Relative change of the weights a step at the start, below which learning is too slow."""
SETTLED = 0.04
FEW_STEPS = 50
"""A run of fewer steps that has not learned what is there has not been given a chance."""


def not_finite_at_start(case: Case, deep: bool) -> Finding | None:
    """The loss is not a number before any step was taken."""
    if not case.diverged or case.taken > 0:
        return None
    return Finding(
        "not_finite_at_start",
        "The loss is not a finite number before the first step: look for extreme values in the "
        "inputs or targets, and scale them.",
        {"step": 0},
        ({"standardize": True},),
        1.0,
    )


def learning_rate_too_large(case: Case, deep: bool) -> Finding | None:
    """Diverged, thrown far off, or jumping up and down without settling."""
    curve, rate = case.curve, case.rate
    if rate is None or (case.diverged and case.taken == 0):
        return None
    evidence: dict[str, Any] = {"learning_rate": rate}
    if case.diverged:
        first, last = _ends(case)
        what = f"The run diverged at step {case.taken}"
        evidence |= {"step": case.taken, "first_loss": first, "last_loss": last}
        thrown = case.thrown
        if thrown is not None:
            evidence |= {"layer": thrown[0], "growth": thrown[1]}
            what += f", first in {thrown[0]}"
        weight = 0.95
    elif curve is None:
        return None
    else:
        peak = float(np.max(curve.loss)) / max(abs(curve.start), 1e-300)
        bouncing = curve.by_epoch and curve.jumps > 0.3 and curve.end > 0.05 * abs(curve.start)
        if (peak > PEAK and curve.end > 0.2 * curve.start) or peak > FAR:
            what = f"The loss rose to {peak:.3g} times its first value"
            evidence |= {"peak": peak, "epoch": float(curve.at[int(np.argmax(curve.loss))])}
            weight = 0.85
        elif curve.end > 1.1 * max(curve.start, curve.loss[0]) and curve.start > 0:
            what = f"The loss ended above its first value ({curve.end:.3g} after {curve.start:.3g})"
            evidence |= {"start": curve.start, "end": curve.end}
            weight = 0.85
        elif bouncing:
            what = f"The loss jumps by {100 * curve.jumps:.0f} % from one epoch to the next"
            evidence |= {"jumps": curve.jumps, "end": curve.end, "period": curve.period,
                         "amplitude": curve.amplitude}  # fmt: skip
            weight = 0.7
        else:
            return None
    better = rate / 10
    said = ""
    if deep:
        there = case.sharpness_at_start
        if there.limit and math.isfinite(there.limit):
            evidence |= there.to_dict()
            said = (
                f" The largest stable rate at the start was {there.limit:.3g} (by the curvature "
                f"{there.value:.3g}; exact on a quadratic, here an estimate)."
            )
            if there.limit < rate:
                better = min(better, there.limit / 2)
    sentence = f"{what}: the learning rate {rate:.3g} is too large; lower it.{said}"
    changes = ({"learning_rate": _round(better)}, {"clip_norm": 1.0}, {"warmup": 2.0})
    return Finding("learning_rate_too_large", sentence, evidence, changes, weight)


def slow(case: Case, deep: bool) -> Finding | None:
    """The loss was still falling at the end: the rate is too small, or the run too short."""
    curve = case.curve
    if curve is None or case.diverged or case.outcome.text in ("converged", "stopped"):
        return None
    if case.full_batch and _arrived(case):
        return None
    pace = case.pace
    crawling = pace is not None and pace < PACE
    most = min(curve.start, case.plain + case.penalty(case.params))
    end = curve.end
    if deep and not curve.by_epoch:
        # Of few steps the last losses are those of few rows; that of all rows is known, too.
        end = min(end, case.kept("loss") + case.penalty(case.params))
    falling = curve.fall(1.0, most)
    if deep and not curve.by_epoch and not crawling:
        falling = max(falling, _by_gradient(case, most - end))
    least = FALLING if curve.by_epoch else FALLING_EARLY
    unfinished = falling > least or (crawling and curve.drop < 0.5)
    unfinished |= case.taken < FEW_STEPS and case.struggling and end < curve.start
    if not unfinished or (end > curve.start and not crawling):
        return None
    turn = case.turn
    if turn is not None and turn.rise > 0.1 and not crawling:
        return None
    evidence: dict[str, Any] = {
        "falling": falling, "drop": curve.drop, "epochs": case.epochs_taken, "pace": pace,
    }  # fmt: skip
    ratio = None
    if deep and case.rate is not None:
        ratio = case.sharpness_at_end.ratio
        evidence |= case.sharpness_at_end.to_dict()
    rate = case.rate
    if rate is not None and (crawling or (ratio is not None and 0 < ratio < 0.005)):
        limit = case.sharpness_at_end.limit if deep else None
        better = rate * 10
        if limit and math.isfinite(limit) and case.full_batch:
            better = limit / 2
        moved = "" if pace is None else f" (a step changes the weights by {100 * pace:.2g} %)"
        return Finding(
            "learning_rate_too_small",
            f"The loss was still falling when the run ended, and the learning rate {rate:.3g} "
            f"takes only small steps{moved}: raise it.",
            evidence,
            ({"learning_rate": _round(better)}, {"learning_rate": _round(rate * 100)}),
            0.8,
        )
    return Finding(
        "too_few_epochs",
        f"The loss was still falling when the run ended: a quarter more steps would add "
        f"about {100 * falling:.0f} % to the decrease; train longer.",
        evidence,
        ({"epochs": 4 * max(1, round(case.epochs_taken))},)
        + (({"learning_rate": _round(3 * rate)},) if rate else ()),
        0.45,
    )


def noise_floor(case: Case, deep: bool) -> Finding | None:
    """The loss has stopped falling because steps on mini-batches at this rate are too noisy."""
    curve = case.curve
    if not deep or curve is None or case.diverged or case.full_batch or case.rate is None:
        return None
    rates = np.asarray(case.steps.get("learning_rate", ()), float)
    rates = rates[np.isfinite(rates)]
    if not len(rates) or rates[-1] < 0.5 * rates.max() or curve.fall(2.0) > SETTLED:
        return None
    if case.settings.average is not None or curve.end <= 0:
        return None
    kept = case.kept("loss") + case.penalty(case.params)
    if case.excess is None or not kept > 0:
        return None
    # Noise grows with the loss, so its share at the weights kept is that on the way, too.
    share = min(case.excess / kept, 1.0)
    if not case.settings.dropout and curve.by_epoch:
        # The best weights were passed on the way, so the loss at them is what noise adds to.
        share = max(share, 1 - kept / curve.end)
    if share < 0.35 or curve.end < 0.05 * curve.start:
        return None
    noise = case.noise
    assert noise is not None
    return Finding(
        "noise_floor",
        f"The loss has settled at {curve.end:.3g}, and about {100 * share:.0f} % of that is kept "
        f"up by the noise of mini-batches of {case.batch_size} at the learning rate "
        f"{rates[-1]:.3g}: let the rate fall, average the weights, or take larger batches.",
        {"excess": case.excess, "share": share, "end": curve.end, "learning_rate": float(rates[-1]),
         "batch_size": case.batch_size, "noise_scale": noise.to_dict()},
        ({"schedule": "cosine"}, {"average": 0.99}, {"batch_size": 4 * case.batch_size}),
        0.4,
    )  # fmt: skip


def _arrived(case: Case) -> bool:
    """Whether hardly anything is left of the gradient."""
    norms = np.asarray(case.steps.get("gradient_norm", ()), float)
    return len(norms) > 1 and bool(norms[-1] < 1e-3 * norms[0])


def _by_gradient(case: Case, whole: float) -> float:
    """`falling` from gradient and rate at the end: a few steps are too noisy to see it by.

    whole: the decrease so far.
    """
    ratio = case.sharpness_at_end.ratio
    if case.promise is None or (ratio is not None and ratio > 1):
        return 0.0
    quarter = case.promise / 4
    return quarter / max(whole, quarter, 1e-300)


def _ends(case: Case) -> tuple[float, float]:
    loss = np.asarray(case.steps.get("loss", ()), float)
    known = loss[np.isfinite(loss)]
    if not len(known):
        return float("nan"), float("nan")
    return float(known[0]), float(known[-1])


def _round(x: float) -> float:
    """To two digits: a suggestion is no measurement."""
    return float(f"{x:.2g}")
