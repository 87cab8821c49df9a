"""The run in a directory of `steepest train`, as a case: its data are read again."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from steepest.core.errors import DataError
from steepest.core.outcome import Outcome
from steepest.core.trace import Trace
from steepest.diagnose.case import Case, columns
from steepest.engine.train import Prepared
from steepest.store import run_directory


def case_in(path: str | Path) -> Case:
    """The best run of a directory as a `Case`.

    FileError where the directory holds no finished run, DataError where its data are not there.
    """
    path = Path(path)
    trained, about = run_directory.read(path)
    config = run_directory.read_json(path / run_directory.CONFIG)
    settings = run_directory.settings_of(config)
    data = dict(about.get("data") or config["data"])
    folder = data.get("folder", "")
    where = {k: v for k, v in data.items() if k not in ("name", "folder") and "finger" not in k}
    if "drop" in where:
        where["drop"] = tuple(where["drop"])
    if "test" in where:
        where["test"] = _found(where["test"], folder)
    ready = Prepared(_found(data["name"], folder), settings, **where)
    known = (data.get("fingerprint") or {}).get("sha256")
    if known is not None and known != ready.table.source.fingerprint["sha256"]:
        raise DataError(
            f"{data['name']} has changed since the run in {path}: the diagnosis needs the rows "
            "that were trained on; restore them, or train again."
        )
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


def _found(name: str, folder: str) -> str:
    """A relative path as seen from where the run was begun."""
    there = Path(folder) / name
    return str(there) if folder and there.exists() else name
