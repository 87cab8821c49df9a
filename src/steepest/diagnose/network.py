"""Illnesses of networks: signals that vanish or explode, units that are dead or all alike."""

from __future__ import annotations

import math
from typing import Any

from steepest.diagnose.case import Case
from steepest.diagnose.finding import Finding
from steepest.models.mlp import MLP

VANISHED, EXPLODED = 1e-3, 1e2
DEAD, SATURATED = 0.5, 0.5


def symmetric_initialisation(case: Case, deep: bool) -> Finding | None:
    """All units of a hidden layer start alike, and so stay alike."""
    if not _network(case, deep):
        return None
    found = [layer.name for layer in case.flow_at_start if layer.identical]
    if not found:
        return None
    return Finding(
        "symmetric_initialisation",
        f"All units of {found[0]} start with the same weights, so they get the same gradients and "
        "can never differ: draw the weights at random.",
        {"layers": found, "initializer": str(case.settings.initializer)},
        ({"initializer": "auto"},),
        1.0,
    )


def vanishing_gradients(case: Case, deep: bool) -> Finding | None:
    """The gradient that reaches the first layer is a tiny part of that at the output."""
    found = _flow(case, deep)
    if found is None or not case.struggling:
        return None
    ratio, first, _ = found
    if not ratio < VANISHED:
        return None
    return Finding(
        "vanishing_gradients",
        f"The gradient at {first} is {ratio:.1e} of that at the output layer, so the first layers "
        "hardly learn: use relu with He initialisation, a normalisation, or fewer layers.",
        {"ratio": ratio, "layer": first, "at": "start", **_settings(case)},
        ({"activation": "relu", "initializer": "auto"}, {"norm": "batch"}, {"initializer": "auto"}),
        0.9,
    )


def exploding_gradients(case: Case, deep: bool) -> Finding | None:
    """The gradient grows from layer to layer on its way back, or the outputs start far off."""
    found = _flow(case, deep)
    if found is None or not math.isfinite(case.first_loss):
        return None
    ratio, first, _ = found
    start = case.first_loss / case.plain
    if not (ratio > EXPLODED or start > 30):
        return None
    if not (case.struggling or case.diverged):
        return None
    return Finding(
        "exploding_gradients",
        f"The gradient at {first} is {ratio:.3g} times that at the output layer, and the first "
        f"loss is {start:.3g} times that of knowing nothing: the initial weights are too large; "
        "use the usual initialisation, or clip the gradient.",
        {"ratio": ratio, "layer": first, "first_loss": case.first_loss, **_settings(case)},
        ({"initializer": "auto"}, {"clip_norm": 1.0}, {"norm": "layer"}),
        0.92,
    )


def dead_units(case: Case, deep: bool) -> Finding | None:
    """Relu units that are 0 on all rows: they have no gradient and cannot come back."""
    if not _network(case, deep):
        return None
    now = [(layer.dead or 0.0, layer.name) for layer in case.flow_at_end]
    share, where = max(now)
    if share <= DEAD or not (case.struggling or share > 0.9):
        return None
    then = max(layer.dead or 0.0 for layer in case.flow_at_start)
    from_start = then > DEAD
    why = (
        "from the very start, by the initial weights" if from_start
        else "since a large step of the descent"
    )  # fmt: skip
    changes: list[dict[str, Any]] = [{"activation": "leaky_relu"}]
    if from_start:
        changes = [{"initializer": "auto", "standardize": True}, *changes]
    elif case.rate is not None:
        changes = [{"learning_rate": float(f"{case.rate / 10:.2g}")}, *changes]
    return Finding(
        "dead_units",
        f"{100 * share:.0f} % of the relu units of {where} are 0 on every row ({why}): they do not "
        "learn any more.",
        {"share": share, "layer": where, "share_at_start": then, **_settings(case)},
        tuple(changes),
        0.88,
    )


def saturated_units(case: Case, deep: bool) -> Finding | None:
    """tanh or sigmoid units that start where they are flat."""
    if not _network(case, deep) or not case.struggling:
        return None
    then = [(layer.saturated or 0.0, layer.name) for layer in case.flow_at_start]
    share, where = max(then)
    if share <= SATURATED:
        return None
    return Finding(
        "saturated_units",
        f"{100 * share:.0f} % of the activations of {where} start where the function is flat, so "
        "hardly any gradient passes: use the usual initialisation and standardised inputs.",
        {"share": share, "layer": where, **_settings(case)},
        ({"initializer": "auto", "standardize": True}, {"activation": "relu"}),
        0.9,
    )


def _network(case: Case, deep: bool) -> bool:
    model = case.spec.objective.model
    return deep and isinstance(model, MLP) and len(model.hidden) > 0


def _flow(case: Case, deep: bool) -> tuple[float, str, str] | None:
    """(signal at the first layer over that at the last, their names) at the start."""
    if not _network(case, deep):
        return None
    layers = case.flow_at_start
    first, last = layers[0], layers[-1]
    if any(layer.identical for layer in layers) or not last.signal or first.signal is None:
        return None
    if not math.isfinite(first.signal) or not math.isfinite(last.signal):
        return math.inf, first.name, last.name
    return first.signal / last.signal, first.name, last.name


def _settings(case: Case) -> dict[str, Any]:
    model = case.spec.objective.model
    return {"activation": str(model.activation), "initializer": str(model.initializer),
            "hidden": list(model.hidden)}  # fmt: skip
