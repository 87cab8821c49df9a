"""Running a plan: block after block, or all blocks in rungs where the budget goes to survivors."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from steepest.core.outcome import OUTCOME_OF, Outcome, Reason
from steepest.engine.drive import Hook, Moment
from steepest.engine.runs import measure
from steepest.engine.trained import in_units
from steepest.study.block import Block
from steepest.study.plan import Group, Plan

ETA = 3
"""Halving keeps one in so many cells at each rung (Jamieson and Talwalkar 2016; Li et al. 2018)."""
RECORDS = 2_000_000
"""Step records that a study keeps in all, shared between its runs."""


@dataclass(frozen=True)
class Part:
    """What came of one block: a row a run, and its records by steps and epochs."""

    number: int
    runs: pl.DataFrame
    trace: pl.DataFrame


@dataclass(frozen=True)
class Progress:
    """How far a study is: runs done of how many, how many diverged, and the expected share."""

    done: int
    runs: int
    diverged: int
    share: float


DIVERGED = [r for r, outcome in OUTCOME_OF.items() if outcome is Outcome.DIVERGED]

Show = Callable[[Progress], None]


class Interrupted(Exception):
    """The user ended the study; what is complete is kept."""


def execute(
    plan: Plan,
    *,
    skip: frozenset[int] = frozenset(),
    halving: bool = False,
    metric: str = "validation_loss",
    records: int | None = None,
    show: Show | None = None,
) -> Iterator[Part]:
    """The parts of a study, each as soon as it is complete; blocks in `skip` are left out.

    With `halving` all blocks go up to the first rung, then the best third of the cells (by the
    median over seeds of the monitored loss) to the next, and so on; the parts come at the end.
    """
    if records is None:
        records = max(32, min(512, RECORDS // plan.runs))
    numbered = list(enumerate((g, positions) for g in plan.groups for positions in g.blocks))
    total = sum(_cost(g, positions) for _, (g, positions) in numbered)
    counter = _Counter(plan.runs, total, show)
    for number, (group, positions) in numbered:
        if number in skip:
            counter.add(_cost(group, positions), len(positions) * group.streams, 0)
    waiting = [(n, Block(g, p, plan.seeds, records)) for n, (g, p) in numbered if n not in skip]
    if halving:
        _halve(plan, [b for _, b in waiting], counter)
    for number, block in waiting:
        block.advance(hooks=(counter.hook(block),))
        if counter.interrupted:
            raise Interrupted
        part = Part(number, _table(plan, block), _records(block))
        counter.finish(block)
        yield part


def _halve(plan: Plan, blocks: list[Block], counter: _Counter) -> None:
    """Drive all blocks up to the last rung, dropping cells on the way."""
    count = len(plan.cells)
    rungs = max(0, math.floor(math.log(max(count, 1), ETA)))
    for rung in range(rungs, 0, -1):
        scores: dict[int, float] = {}
        for block in blocks:
            block.advance(math.ceil(block.group.steps / ETA**rung), (counter.hook(block),))
            if counter.interrupted:
                raise Interrupted
            carry = block.runs.carry
            value = np.where(np.isin(carry.reason, DIVERGED), np.inf, carry.best_value)
            median = np.median(np.asarray(value, np.float64), axis=0)
            going = (carry.reason == Reason.NONE).any(axis=0)
            scores |= {c: m for c, m, g in zip(block.cells, median, going, strict=True) if g}
        keep = max(1, math.ceil(len(scores) / ETA))
        dropped = sorted(scores, key=lambda c: (scores[c], c))[keep:]
        for block in blocks:
            block.drop(dropped)


def _cost(group: Group, positions: range) -> float:
    return group.seconds * len(positions) / len(group.cells)


class _Counter:
    """Keeps count of what is done, and tells it."""

    def __init__(self, runs: int, total: float, show: Show | None):
        self.runs, self.total, self.show = runs, total, show
        self.done, self.diverged, self.cost = 0, 0, 0.0
        self.interrupted = False

    def add(self, cost: float, runs: int, diverged: int) -> None:
        self.cost += cost
        self.done += runs
        self.diverged += diverged
        self._tell(0.0, 0)

    def hook(self, block: Block) -> Hook:
        def told(moment: Moment) -> None:
            if moment.stop_reason is Reason.INTERRUPTED:
                self.interrupted = True
            self._tell(_cost(block.group, block.positions) * moment.step / moment.steps, 0)

        return told

    def finish(self, block: Block) -> None:
        runs = block.runs
        outcomes = [
            runs.outcome(s, c) for s in range(len(runs.seeds)) for c in range(len(runs.specs))
        ]
        bad = sum(o is Outcome.DIVERGED for o in outcomes)
        self.add(_cost(block.group, block.positions), len(outcomes), bad)

    def _tell(self, more: float, diverged: int) -> None:
        if self.show is not None:
            share = min(1.0, (self.cost + more) / max(self.total, 1e-12))
            self.show(Progress(self.done, self.runs, self.diverged + diverged, share))


def _table(plan: Plan, block: Block) -> pl.DataFrame:
    """A row a run: which it is, how it ended, and its metrics at the best weights."""
    runs, folds = block.runs, block.group.folds
    seeds, cells, k = len(plan.seeds), len(block.cells), len(folds)
    streams = seeds * k
    per = max(runs.steps_per_epoch, 1)
    carry = runs.carry

    def flat(a: Any) -> np.ndarray:
        return np.asarray(a).T.reshape(-1)

    columns: dict[str, Any] = {
        "cell": np.repeat(block.cells, streams),
        "seed": np.tile(np.repeat(plan.seeds, k), cells),
    }
    if plan.folds:
        columns["fold"] = np.tile(np.arange(k), cells * seeds)
    outcomes = [[runs.outcome(s, c) for s in range(streams)] for c in range(cells)]
    columns["outcome"] = [o.text for row in outcomes for o in row]
    columns["reason"] = [runs.message(s, c) for c in range(cells) for s in range(streams)]
    columns["steps"] = flat(carry.step)
    columns["epochs"] = flat(carry.step) / per
    columns["best_epoch"] = flat(carry.best_step) / per
    columns["final_loss"] = flat(_final(block))
    for part in ("train", "validation", "test"):
        arrays = folds.part(part, plan.seeds)
        if arrays is None:
            continue
        for name, value in measure(runs, arrays).items():
            value = np.asarray(value, np.float64)
            if name in ("rmse", "mae"):
                scales = [in_units(f.encoder, {name: 1.0})[name] for f in folds]
                value = value * np.tile(scales, seeds)[:, None]
            columns[f"{part}_{name}"] = flat(value)
    return pl.DataFrame(columns)


def _final(block: Block) -> np.ndarray:
    """The mean training loss of the last epoch of each run; infinite where it diverged."""
    trace = block.runs.trace.epochs
    runs = block.runs
    shape = (len(runs.seeds), len(runs.specs))
    final = np.full(shape, np.nan)
    if "train_loss" in trace and len(trace["train_loss"]):
        losses = np.asarray(trace["train_loss"], np.float64)
        known = ~np.isnan(losses)
        last = len(losses) - 1 - np.argmax(known[::-1], axis=0)
        final = np.take_along_axis(losses, last[None], axis=0)[0]
        final = np.where(known.any(axis=0), final, np.nan)
    return np.where(np.isin(runs.carry.reason, DIVERGED), np.inf, final)


def _records(block: Block) -> pl.DataFrame:
    """The records of all runs by study cell and stream, tables `steps` and `epochs` together."""
    frames = []
    for table in ("steps", "epochs"):
        frame = block.runs.trace.frame(table)
        if frame.is_empty():
            continue
        frame = frame.rename({"seed": "stream"}).with_columns(
            pl.lit(table).alias("table"),
            pl.col("cell").replace_strict(dict(enumerate(block.cells)), return_dtype=pl.Int64),
            pl.col("epoch").cast(pl.Float64),
        )
        frames.append(frame.select("table", pl.exclude("table")))
    return pl.concat(frames, how="diagonal_relaxed") if frames else pl.DataFrame()
