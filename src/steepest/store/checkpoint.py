"""Checkpoints: a run as it was between two chunks, from which it goes on as if nothing had been.

DIR/checkpoints/config.json         what was asked for: data, settings, seeds
DIR/checkpoints/step-000000000512/  the arrays of the run, a folder as of `model_file`

The folder exists while a run is unfinished, and only then. Each checkpoint is under checksums and
appears in one event; the two newest are kept, so that one is left if the other is damaged.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from steepest.core.errors import DataError, FileError, UsageError
from steepest.core.outcome import Reason
from steepest.core.trace import TABLES, Trace
from steepest.engine.drive import Moment
from steepest.engine.resume import Resume
from steepest.store import model_file
from steepest.store.run_directory import CHECKPOINTS, CONFIG, read_json, write_json

KEPT = 2
MOST_SHARE = 0.05
"""The share of the time that writing may take: where the disk is slow, checkpoints come rarely."""


def begin(directory: Path, config: dict[str, Any]) -> Path:
    """Note what was asked for before the training begins; returns the folder of checkpoints.

    Checkpoints of another run in the same place are removed: whoever calls has asked for that.
    """
    end(directory)
    folder = directory / CHECKPOINTS
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / CONFIG, config)
    return folder


def asked(directory: Path) -> dict[str, Any] | None:
    """What `begin` noted, or None where `directory` holds no unfinished run."""
    path = directory / CHECKPOINTS / CONFIG
    return read_json(path) if path.exists() else None


def end(directory: Path) -> None:
    """The run is complete: its checkpoints are of no more use."""
    folder = directory / CHECKPOINTS
    # First what makes it an unfinished run, so that a kill in between leaves rubbish only.
    with contextlib.suppress(FileNotFoundError):
        (folder / CONFIG).unlink()
    shutil.rmtree(folder, ignore_errors=True)


def found(folder: Path) -> list[Path]:
    """The checkpoints that were written to their end, oldest first."""
    return sorted(p.parent for p in folder.glob(f"step-*/{model_file.JSON_NAME}"))


def write(folder: Path, moment: Moment) -> Path:
    """Write a checkpoint, then remove all but the newest two; FileError leaves the old ones."""
    resume = Resume.of(moment)
    place = folder / f"step-{resume.step:012d}"
    arrays = {
        "carry": resume.leaves,
        "trace": {name: dict(getattr(resume.trace, name)) for name in TABLES},
    }
    config = {
        "run": digest(read_json(folder / CONFIG)),
        "step": resume.step,
        "seconds": resume.seconds,
        "seeds": resume.trace.seeds.tolist(),
        "cells": resume.trace.cells,
    }
    try:
        model_file.save(place, arrays, config)
    except BaseException:
        if place not in found(folder):
            shutil.rmtree(place, ignore_errors=True)
        raise
    kept = found(folder)[-KEPT:]
    for old in folder.glob("step-*"):
        if old not in kept:
            # Without its JSON it is no checkpoint any more, however far the removal comes.
            with contextlib.suppress(OSError):
                (old / model_file.JSON_NAME).unlink()
            shutil.rmtree(old, ignore_errors=True)
    return place


def newest(folder: Path) -> tuple[Resume | None, list[str]]:
    """The newest checkpoint that is whole, and a sentence on each damaged one before it.

    None where there is none: the run then starts again, and ends equal all the same. UsageError
    where the configuration is no longer that of the checkpoints.
    """
    run, said = digest(read_json(folder / CONFIG)), []
    for place in reversed(found(folder)):
        try:
            arrays, config = model_file.load(place)
            resume = _restored(arrays, config)
        except FileError:
            said.append(f"The checkpoint {place} was altered or cut short; it is left out.")
            continue
        if config["run"] != run:
            raise UsageError(
                f"{folder / CONFIG} was changed since the run began; "
                "restore it, or start another run with the new settings."
            )
        return resume, said
    if said:
        said.append("No checkpoint is whole: the run starts again from its first step.")
    return None, said


def _restored(arrays: Any, config: dict[str, Any]) -> Resume:
    try:
        trace = Trace(config["seeds"], config["cells"])
        for name in TABLES:
            trace.append(name, arrays["trace"][name])
        return Resume(arrays["carry"], trace, config["step"], config["seconds"])
    except (KeyError, TypeError, ValueError) as error:
        raise FileError("not a checkpoint") from error


def digest(config: dict[str, Any]) -> str:
    """The SHA-256 of a configuration, however its JSON is laid out."""
    return hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest()


def same_rows(config: dict[str, Any], described: dict[str, Any]) -> None:
    """Raise DataError where the data is not what the run began with; both as `data` in a config."""
    for key in ("fingerprint", "test_fingerprint"):
        before, now = config["data"].get(key) or {}, described.get(key) or {}
        if any(before.get(k) != now.get(k) for k in ("size", "sha256")):
            raise DataError(
                f"{now.get('path') or before.get('path')} has changed since the run began; "
                "restore it to resume the run, or start another run on the new rows."
            )


class Saver:
    """A hook of the engine that writes a checkpoint each `seconds` of training.

    One is also written where the user or the time limit ends the run, which can then be resumed;
    `leaving` says so. A checkpoint that cannot be written (a full disk) is told once through
    `warn`, and the training goes on.
    """

    def __init__(self, folder: Path, seconds: float, warn: Callable[[str], None]):
        self.folder, self.seconds, self.warn = folder, seconds, warn
        self.leaving = False
        self._due = time.monotonic() + seconds
        self._warned = False

    def __call__(self, moment: Moment) -> None:
        self.leaving = moment.stop_reason in (Reason.INTERRUPTED, Reason.MAX_TIME)
        began = time.monotonic()
        if began < self._due and not self.leaving:
            return
        try:
            write(self.folder, moment)
        except FileError as error:
            if not self._warned:
                self._warned = True
                self.warn(f"{error} The training goes on; {_left(self.folder)}")
        took = time.monotonic() - began
        self._due = began + took + max(self.seconds, took / MOST_SHARE)


def _left(folder: Path) -> str:
    left = found(folder)
    if not left:
        return "there is no checkpoint yet."
    return f"the last checkpoint is {os.fspath(left[-1])}."
