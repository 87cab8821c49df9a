"""From a finished run to its diagnosis: what `fit.diagnose()` calls."""

from __future__ import annotations

from typing import Any

import numpy as np

from steepest.core import tree
from steepest.diagnose.case import Case, norm
from steepest.diagnose.finding import Diagnosis, ranked
from steepest.diagnose.illness import CAUSES, found
from steepest.engine.train import Prepared
from steepest.models.mlp import MLP


def diagnose_fit(fit: Any, data: Any = None, *, deep: bool = True, **options: Any) -> Diagnosis:
    """The diagnosis of a `Fit`.

    data: the data that was trained on, where the fit does not hold its rows any more; `options` as
        in `train`'s `data_options`. deep: measure gradients, layers and curvature too, which takes
        a second or two; without, only what was recorded is looked at.

    >>> from steepest.engine.train import train
    >>> fit = train("mlp", "iris", hidden=(8,), epochs=30, initializer="zeros")
    >>> diagnose_fit(fit).codes
    ('symmetric_initialisation',)
    """
    parts = Prepared(data, fit.settings, **options).parts if data is not None else None
    return diagnose_case(Case.of_fit(fit, parts), deep)


def diagnose_case(case: Case, deep: bool = True) -> Diagnosis:
    """The findings of a case, ranked, and what was measured."""
    case.deep = deep
    findings = ranked(found(case, deep), CAUSES)
    measured: dict[str, Any] = {
        "outcome": case.outcome.text,
        "learning_rate": case.rate,
        "score": case.score,
    }
    if case.curve is not None:
        measured |= {"start": case.curve.start, "end": case.curve.end,
                     "falling": case.curve.falling}  # fmt: skip
    if deep:
        if not case.diverged:
            measured["curvature"] = case.sharpness_at_end
            measured["noise_scale"] = case.noise
        measured["layers_at_start"] = case.flow_at_start
        measured["layers_at_end"] = case.flow_at_end
        measured["layers_moved"] = moved(case)
    return Diagnosis(findings, measured)


def moved(case: Case) -> list[float]:
    """|w - w0| / |w0| of each layer of a network: how far training has taken its weights w0.

    Empty for other models, infinite where a layer began at zero.
    """
    if not isinstance(case.spec.objective.model, MLP):
        return []
    pairs = zip(case.initial[0]["layers"], case.params["layers"], strict=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        return [float(np.divide(norm(tree.subtract(b, a)), norm(a))) for a, b in pairs]
