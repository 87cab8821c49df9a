"""What a step records: small functions of the moment, chosen by name; nothing else is kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from steepest.core import tree
from steepest.core.errors import UsageError, suggest
from steepest.core.types import Stepped


class Moment(NamedTuple):
    """All that is known in a step: the point `params` it started from, and what came of it.

    `stepped.value` and `stepped.gradient` belong to `params`; `stepped.params` is the new point.
    """

    params: Any
    stepped: Stepped
    gradient_norm: Any
    step_norm: Any
    evaluations: Any


Probe = Callable[[Moment], Any]

PROBES: dict[str, Probe] = {
    "loss": lambda m: m.stepped.value,
    "gradient_norm": lambda m: m.gradient_norm,
    "step_norm": lambda m: m.step_norm,
    "learning_rate": lambda m: m.stepped.learning_rate,
    "evaluations": lambda m: m.evaluations,
    "params": lambda m: m.params,
    "layer_gradient_norms": lambda m: tree.map(tree.norm, m.stepped.gradient),
    "layer_step_norms": lambda m: tree.map(
        lambda a, b: tree.norm(a - b), m.stepped.params, m.params
    ),
    "layer_norms": lambda m: tree.map(tree.norm, m.params),
}
"""Probes by name. A probe returns an array or a tree of arrays; a scalar is what tables show."""


def resolve(probes: tuple) -> dict[str, Probe]:
    """Name -> function; callables go under their own name."""
    out = {}
    for p in probes:
        if callable(p):
            out[getattr(p, "__name__", "probe")] = p
        elif p in PROBES:
            out[p] = PROBES[p]
        else:
            raise UsageError(f"probe {p!r} is not known; {suggest(p, PROBES)}")
    return out
