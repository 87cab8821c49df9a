"""`steepest train - --stream`: learning from rows as they come, until they end or Ctrl-C."""

from __future__ import annotations

import contextlib
import dataclasses
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from steepest.cli import model_given, output
from steepest.core.errors import DataError, UsageError
from steepest.core.record import replace
from steepest.data.dataset import Source, Table
from steepest.data.pieces import pieces, read_csv, tables
from steepest.data.sources import check_inputs
from steepest.data.target import check_target, guess_task
from steepest.engine.drive import Interrupt
from steepest.engine.online import Online
from steepest.engine.result import Fits
from steepest.engine.settings import Settings
from steepest.store import run_directory

FIRST_ROWS = 500
"""Rows that are waited for, to find the kinds of the columns and their scales."""
PIECE = 1 << 16


def train_stream(
    data: str,
    where: dict[str, Any],
    given: dict[str, Any],
    out: Path | None,
    overwrite: bool,
    max_seconds: float,
    json: bool,
) -> int:
    """Read, predict, count, learn; then write the model where `steepest train` would."""
    wrong = [k for k in ("test", "memory", "encoding") if k in where]
    if wrong:
        raise UsageError(f"--{wrong[0]} does not apply to --stream, which learns row by row.")
    task = where.pop("task", None)
    # No recipe: its schedule would need to know the end.
    settings = replace(Settings(), **given)
    settings.make_optimizer()
    name = "standard input" if data == model_given.STREAM else data
    directory = run_directory.claim(
        out or run_directory.free_directory("stream" if data == model_given.STREAM else data),
        overwrite=overwrite,
    )
    began = time.perf_counter()
    online, at = None, 1
    say = output.hint if json else output.say
    for table in _first_rows(_tables(data, name, where), task):
        # While a step is taken, Ctrl-C waits; while rows are waited for, it ends the wait.
        with Interrupt().watching() as interrupt:
            if online is None:
                for note in table.notes:
                    output.hint(note)
                online = Online(table, settings)
                output.hint(f"{online.spec.optimizer!r}")
                say(_HEAD.format("rows", "so far", "last 1,000"))
            at = _learn(online, table, at, say)
        if interrupt.asked or online.ended or time.perf_counter() - began > max_seconds:
            break
    if online is None or online.held is None:
        raise DataError(f"{name} has no rows to learn from; give at least two.")
    if online.rows + online.unknown != _mark(max(at - 1, 1)):
        _report(online, say)
    fits = Fits([online.fit(time.perf_counter() - began)], time.perf_counter() - began)
    run_directory.write(directory, fits, where | {"name": data, "task": online.encoder.task})
    for sentence in online.encoder.warnings:
        output.warn(sentence)
    if online.unknown:
        output.warn(
            f"{online.unknown} rows had a target that the first {FIRST_ROWS} rows had not; they "
            "count as errors, and were not learned from."
        )
    if json:
        output.emit(fits.best.to_dict() | {"recent": online.recent, "directory": str(directory)})
    else:
        output.say(fits.best.message)
        output.say(f"The model is in {directory}.")
    return 3 if online.ended else 0


_HEAD = "{:>12}  {:>10}  {:>10}"


def _learn(online: Online, table: Table, at: int, say: Callable[[str], None]) -> int:
    """Learn from a table, with a line at 1, 2, 5, 10, ... hundred rows; returns the next."""
    first = 0
    while first < table.rows:
        stop = min(table.rows, first + max(1, _mark(at) - online.rows - online.unknown))
        online.learn(table.take(np.arange(first, stop)))
        first = stop
        if online.rows + online.unknown >= _mark(at):
            _report(online, say)
            at += 1
    return at


def _mark(number: int) -> int:
    """100, 200, 500, 1,000, ...: the rows at which line `number` (from 1) is due."""
    decade, place = divmod(number - 1, 3)
    return (1, 2, 5)[place] * 10 ** (decade + 2)


def _report(online: Online, say: Callable[[str], None]) -> None:
    name = "accuracy" if online.encoder.task == "classification" else "rmse"
    values = [d.get(name, float("nan")) for d in (online.running, online.recent)]
    rows = output.count(online.rows + online.unknown)
    say(_HEAD.format(rows, *(output.number(v) for v in values)))


def _tables(data: str, name: str, where: dict[str, Any]) -> Iterator[Table]:
    if data != model_given.STREAM:
        yield from pieces(data, PIECE, **where)
        return
    frames = read_csv(sys.stdin.buffer, name, PIECE, live=True)
    yield from tables(frames, name, Source(name), **where)


def _first_rows(rows: Iterator[Table], task: Any) -> Iterator[Table]:
    """The same tables, the first of them joined until they hold `FIRST_ROWS` rows.

    Ctrl-C while rows are waited for is their end.
    """
    first: list[Table] | None = []
    with contextlib.suppress(KeyboardInterrupt):
        for table in rows:
            check_inputs(table, whole=False)
            label = table.target if isinstance(table.target, str) else ", ".join(table.target)
            if table.y is not None:
                check_target(table.y, label, table.where, table.first)
            if first is None:
                yield table
                continue
            first.append(table)
            if sum(t.rows for t in first) >= FIRST_ROWS:
                together, first = _together(first, task), None
                yield together
    if first:
        yield _together(first, task)


def _together(parts: list[Table], task: Any) -> Table:
    first = parts[0]
    if len(parts) > 1:
        frame = pl.concat([p.frame for p in parts if p.frame is not None], how="vertical_relaxed")
        y: Any
        if isinstance(first.y, pl.Series):
            frames = [pl.Series(p.y).alias("y").to_frame() for p in parts]
            y = pl.concat(frames, how="vertical_relaxed")["y"].alias(first.y.name)
        else:
            y = np.concatenate([np.asarray(p.y) for p in parts])
        weight = None
        if first.weight is not None:
            weight = np.concatenate([np.asarray(p.weight) for p in parts])
        first = dataclasses.replace(first, frame=frame, y=y, weight=weight)
    if first.y is not None:
        found, reason = guess_task(first.y)
        notes = first.notes
        if task is None:
            notes += (f"The task is {found}, as the target has {reason}; give --task for another.",)
        first = dataclasses.replace(first, task=task or found, notes=notes)
    return first
