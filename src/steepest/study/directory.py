"""The directory of a study: what reproduces it, and its results part by part.

DIR/study.json     data, settings, cells, seeds and version: all that reproduces the study
DIR/runs.parquet   a row a run
DIR/trace.parquet  the records of all runs
DIR/parts/         while it is unfinished: a pair of files for each block that is complete

A part is written to a temporary file and renamed, with a checksum; a killed study goes on with the
parts that are whole, and ends with the same tables.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
from pathlib import Path
from typing import Any

import polars as pl

from steepest.core import atomic
from steepest.core.errors import FileError, UsageError
from steepest.study.execute import Part

STUDY, RUNS, TRACE, PARTS = "study.json", "runs.parquet", "trace.parquet", "parts"


def claim(path: Path, description: dict[str, Any], *, overwrite: bool, resume: bool) -> None:
    """Make the directory and write `study.json`, before any work is done.

    UsageError where it holds a study and neither `overwrite` nor `resume` was said, or where the
    study to resume is another one.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(f"{path} cannot be written: {error.strerror}.") from error
    there = path / STUDY
    if there.exists() and resume:
        known = read(path)
        for key in description:
            if known.get(key) != description[key]:
                raise UsageError(
                    f"{path} holds a study with another {key}; it cannot go on with this one. "
                    "Choose another directory."
                )
        return
    if there.exists() and not overwrite:
        raise UsageError(
            f"{path} already holds a study; go on with it by resume, choose another directory, or "
            "overwrite it."
        )
    shutil.rmtree(path / PARTS, ignore_errors=True)
    for name in (RUNS, TRACE):
        (path / name).unlink(missing_ok=True)
    text = json.dumps(description, indent=2, ensure_ascii=False, allow_nan=False)
    atomic.write_bytes(there, (text + "\n").encode())


def read(path: Path) -> dict[str, Any]:
    """The description in `study.json`; FileError where it is missing or altered."""
    try:
        found = json.loads((path / STUDY).read_text(encoding="utf-8"))
    except OSError as error:
        raise FileError(f"{path} holds no study: {error.strerror}.") from error
    except ValueError as error:
        raise FileError(
            f"{path / STUDY} was altered or cut short; start the study anew."
        ) from error
    if not isinstance(found, dict):
        raise FileError(f"{path / STUDY} does not describe a study.")
    return found


def keep(path: Path, part: Part) -> None:
    """Write a complete part."""
    place = path / PARTS
    place.mkdir(exist_ok=True)
    files = {"runs": part.runs, "trace": part.trace}
    sums = {}
    for name, frame in files.items():
        data = _parquet(frame)
        sums[name] = hashlib.sha256(data).hexdigest()
        atomic.write_bytes(place / f"{part.number}-{name}.parquet", data)
    # The sums come last: a part counts once they are there.
    atomic.write_bytes(place / f"{part.number}.json", json.dumps(sums).encode())


def kept(path: Path) -> dict[int, Part]:
    """The parts that are complete and unaltered."""
    out = {}
    for file in sorted((path / PARTS).glob("*.json")):
        try:
            sums = json.loads(file.read_bytes())
            number = int(file.stem)
            frames = {}
            for name in ("runs", "trace"):
                data = (path / PARTS / f"{number}-{name}.parquet").read_bytes()
                if hashlib.sha256(data).hexdigest() != sums[name]:
                    raise ValueError
                frames[name] = pl.read_parquet(io.BytesIO(data))
        except (OSError, ValueError, KeyError, TypeError, pl.exceptions.PolarsError):
            continue
        out[number] = Part(number, frames["runs"], frames["trace"])
    return out


def finish(path: Path, runs: pl.DataFrame, trace: pl.DataFrame) -> None:
    """Write the whole tables; the parts are then no longer needed."""
    atomic.write_bytes(path / RUNS, _parquet(runs))
    atomic.write_bytes(path / TRACE, _parquet(trace))
    shutil.rmtree(path / PARTS, ignore_errors=True)


def finished(path: Path) -> bool:
    """Whether both tables are there."""
    return (path / RUNS).exists() and (path / TRACE).exists() and not (path / PARTS).exists()


def tables(path: Path) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The runs and the trace of a finished study."""
    try:
        found = [pl.read_parquet(io.BytesIO((path / name).read_bytes())) for name in (RUNS, TRACE)]
    except OSError as error:
        raise FileError(f"{os.fspath(path)}: {error.filename} cannot be read.") from error
    except pl.exceptions.PolarsError as error:
        raise FileError(f"{os.fspath(path)}: a table was altered or cut short.") from error
    return found[0], found[1]


def _parquet(frame: pl.DataFrame) -> bytes:
    buffer = io.BytesIO()
    frame.write_parquet(buffer)
    return buffer.getvalue()
