"""From a finished run to its diagnosis: what `result.diagnose()` and `steepest diagnose` call."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from steepest.core.outcome import Outcome
from steepest.core.trace import Trace
from steepest.diagnose.case import Case, columns
from steepest.diagnose.finding import Diagnosis, ranked
from steepest.diagnose.illness import CAUSES, found
from steepest.engine.train import Prepared
from steepest.store import run_directory


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


def diagnose_directory(path: str | Path, *, deep: bool = True) -> Diagnosis:
    """The diagnosis of the best run in a directory of `steepest train`; its data are read again.

    FileError where the directory holds no finished run, DataError where its data are not there.
    """
    return diagnose_case(case_in(path), deep)


def case_in(path: str | Path) -> Case:
    """The best run of a directory as a `Case`."""
    path = Path(path)
    trained, about = run_directory.read(path)
    config = run_directory.read_json(path / run_directory.CONFIG)
    settings = run_directory.settings_of(config)
    data = dict(about.get("data") or config["data"])
    where = {k: v for k, v in data.items() if k not in ("name", "folder") and "finger" not in k}
    ready = Prepared(_found(data["name"], data.get("folder", "")), settings, **where)
    trace = Trace.read(path / "trace.parquet")
    metrics = about["metrics"]
    seed = int(metrics["seed"])
    place = int(np.flatnonzero(np.asarray(trace.seeds) == seed)[0])
    return Case(
        settings=settings,
        encoder=ready.encoder,
        parts=ready.parts,
        params=trained.params,
        buffers=trained.buffers,
        last=None,
        outcome=Outcome[metrics["outcome"].upper()],
        message=metrics["message"],
        seed=seed,
        steps=columns(trace.steps, place),
        epochs=columns(trace.epochs, place),
        taken=int(metrics["steps"]),
        metrics={k: metrics.get(k) for k in ("train", "validation", "test")},
        source=ready.table,
        name=data["name"],
        where=where,
    )


def diagnose_case(case: Case, deep: bool = True) -> Diagnosis:
    """The findings of a case, ranked, and what was measured."""
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
    return Diagnosis(findings, measured)


def _found(name: str, folder: str) -> str:
    """A relative path as seen from where the run was begun."""
    there = Path(folder) / name
    return str(there) if folder and there.exists() else name
