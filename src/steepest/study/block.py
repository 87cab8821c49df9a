"""`Block`: cells of one program x seeds x folds, driven in stages, with ended cells packed away."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from steepest.core.outcome import Reason
from steepest.core.record import swap
from steepest.core.trace import TABLES, Trace
from steepest.engine.drive import Hook
from steepest.engine.resume import Resume
from steepest.engine.runs import Runs, run
from steepest.engine.spec import Carry
from steepest.study.plan import COMPILE_SECONDS, Group

STAGES = (1 / 8, 1 / 4, 1 / 2, 1.0)
"""Shares of the steps after which a block looks whether cells have ended and can be packed away."""

PACKING_SECONDS = 2 * COMPILE_SECONDS
"""Seconds of one core that packing cells away must save."""


class Block:
    """Some cells of a group, all their seeds and folds, as one program.

    Between stages the cells whose runs have all ended are taken out, once they are half of those
    still carried and what that saves is expected to be more than the fewer cells, which are another
    program, cost to compile. That depends on the runs alone, never on the clock, so a study that is
    done again does the same arithmetic.
    """

    def __init__(self, group: Group, positions: range, seeds: Sequence[int], records: int):
        self.group, self.positions, self.seeds = group, positions, tuple(seeds)
        first = group.settings[0]
        self.specs = tuple(group.specs[i] for i in positions)
        self.streams = tuple(s for s in self.seeds for _ in range(len(group.folds)))
        self.every = first.every or max(1, math.ceil(group.steps / records))
        self.step = 0
        self.seconds = 0.0
        self.live = np.arange(len(self.specs))
        self._runs: Runs | None = None
        self._trace: Trace | None = None

    @property
    def cells(self) -> list[int]:
        """The numbers of its cells in the study."""
        return [self.group.cells[i] for i in self.positions]

    def advance(self, until: int | None = None, hooks: tuple[Hook, ...] = ()) -> None:
        """Run all cells that are live up to step `until`, or to the end."""
        total = self.group.steps
        last = total if until is None else min(until, total)
        stages = sorted({math.ceil(share * total) for share in STAGES} | {last})
        for stage in (s for s in stages if self.step < s <= last):
            if not len(self.live):
                return
            if not self._stage(stage, hooks):
                return

    def drop(self, cells: Sequence[int]) -> None:
        """End the runs of these cells (numbers in the study) that are still going."""
        assert self._runs is not None
        mine = np.isin(self.cells, list(cells))
        carry = self._runs.carry
        reason = np.where(
            mine[None] & (carry.reason == Reason.NONE), np.int32(Reason.HALVED), carry.reason
        )
        self._runs.carry = swap(carry, reason=reason)
        self._pack()

    @property
    def runs(self) -> Runs:
        """All runs of the block, as far as they have come."""
        assert self._runs is not None
        return self._runs

    def _stage(self, until: int, hooks: tuple[Hook, ...]) -> bool:
        """One call of `run`; False if the user or the clock has ended it."""
        settings, folds = self.group.settings[0], self.group.folds
        seeds = self.seeds
        resume = None
        if self._runs is not None:
            leaves = jax.tree_util.tree_leaves_with_path(_columns(self._runs.carry, self.live))
            named = {jax.tree_util.keystr(path): np.asarray(x) for path, x in leaves}
            fresh = Trace(range(len(self.streams)), len(self.live))
            resume = Resume(named, fresh, self.step, self.seconds)
        found = run(
            [self.specs[i] for i in self.live],
            folds.part("train", seeds),
            folds.part("validation", seeds),
            seeds=self.streams,
            batch_size=settings.batch_size,
            epochs=settings.epochs,
            until=until,
            dtype=settings.dtype,
            every=self.every,
            hooks=hooks,
            resume=resume,
        )
        self.seconds = found.seconds
        self.step = until
        self._take(found)
        broken = np.isin(found.carry.reason, (Reason.INTERRUPTED, Reason.MAX_TIME, Reason.CALLBACK))
        self._pack()
        return not broken.any()

    def _take(self, found: Runs) -> None:
        cells = len(self.specs)
        if self._runs is None:
            self._runs, self._trace = found, Trace(range(len(self.streams)), cells)
            self._runs.specs = self.specs
        else:
            self._runs.carry = jax.tree.map(
                lambda whole, some: _put(whole, some, self.live), self._runs.carry, found.carry
            )
        assert self._trace is not None
        for table in TABLES:
            rows = getattr(found.trace, table)
            if rows:
                self._trace.append(
                    table, {k: _spread(k, v, self.live, cells) for k, v in rows.items()}
                )
        self._runs.trace, self._runs.seconds = self._trace, self.seconds

    def _pack(self) -> None:
        going = (self.runs.carry.reason[:, self.live] == Reason.NONE).any(axis=0)
        ended = len(going) - int(going.sum())
        left = self.group.work * (1 - self.step / self.group.steps) / len(self.group.cells)
        if not going.any() or (2 * ended >= len(going) and left * ended > PACKING_SECONDS):
            self.live = self.live[going]


def _columns(carry: Carry, cells: np.ndarray) -> Carry:
    return jax.tree.map(lambda a: a[:, cells], carry)


def _put(whole: np.ndarray, some: np.ndarray, cells: np.ndarray) -> np.ndarray:
    out = np.array(whole)
    out[:, cells] = some
    return out


def _spread(name: str, values: Any, cells: np.ndarray, count: int) -> Any:
    """Records of some cells among all of them, NaN in the others."""

    def one(a: np.ndarray) -> np.ndarray:
        if a.ndim < 3:
            return a
        blank = np.nan if np.issubdtype(a.dtype, np.floating) else 0
        out = np.full((*a.shape[:2], count, *a.shape[3:]), blank, a.dtype)
        out[:, :, cells] = a
        return out

    return jax.tree.map(one, values)
