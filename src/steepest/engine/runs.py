"""`run`: seeds x cells from start to end; `Runs`: what came of them, as arrays."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import numpy as np

from steepest.core import tree
from steepest.core.errors import UsageError
from steepest.core.outcome import OUTCOME_OF, SENTENCES, Outcome, Reason
from steepest.core.record import swap
from steepest.core.trace import Trace
from steepest.core.types import Horizon
from steepest.data.batches import Order
from steepest.data.dataset import Arrays
from steepest.engine.advance import Layout, measure_rows, metrics, start
from steepest.engine.compiling import precision
from steepest.engine.drive import Hook, Plan, drive
from steepest.engine.mesh import place, split
from steepest.engine.resume import Resume
from steepest.engine.spec import Carry, RunSpec, stack
from steepest.objectives.objective import Batch

RECORDS = 10_000
"""Step records that a run keeps unless told otherwise."""
BLOCK_ROWS = 4096
"""Rows that are measured at once."""
AT_START = (
    "Diverged at step 0: the loss or its gradient is not a finite number at the very start; "
    "check the starting point, or the data."
)


@dataclass
class Runs:
    """Runs that have ended: seeds x cells, everything on the host.

    `specs`: one per cell, as they ran. `carry`: leaves of (seeds, cells, ...). `seconds`: of the
    loop, with its compilation.
    """

    specs: tuple[RunSpec, ...]
    seeds: tuple[int, ...]
    carry: Carry
    trace: Trace
    seconds: float
    steps_per_epoch: int
    dtype: str

    def outcome(self, seed: int = 0, cell: int = 0) -> Outcome:
        """How run (seed, cell) ended; both are positions."""
        return OUTCOME_OF[self.reason(seed, cell)]

    def reason(self, seed: int = 0, cell: int = 0) -> Reason:
        """Why it ended."""
        return Reason(int(self.carry.reason[seed, cell]))

    def message(self, seed: int = 0, cell: int = 0) -> str:
        """The sentence for a person."""
        rule, carry, reason = self.specs[cell].stop, self.carry, self.reason(seed, cell)
        if reason is Reason.NOT_FINITE and not carry.step[seed, cell]:
            return AT_START
        waited = rule.patience if reason is Reason.PATIENCE else rule.stall_patience
        return SENTENCES[reason].format(
            step=int(carry.step[seed, cell]),
            gradient_norm=float(carry.gradient_norm[seed, cell]),
            tolerance=float(rule.tolerance),
            loss=float(carry.value[seed, cell]),
            first_loss=float(carry.first_value[seed, cell]),
            target=float(rule.target),
            patience=f"{float(waited):g}",
            min_delta=float(rule.min_delta),
        )

    def best(self, seed: int = 0, cell: int = 0) -> tuple[Any, Any]:
        """(params, buffers) of the best iterate, or of the last where none was measured."""
        carry = self.carry
        known = np.isfinite(carry.best_value[seed, cell])
        chosen = (carry.best_params, carry.best_buffers) if known else self._last()
        return jax.tree.map(lambda a: a[seed, cell], chosen)

    def last(self, seed: int = 0, cell: int = 0) -> tuple[Any, Any]:
        """(params, buffers) after the last step."""
        return jax.tree.map(lambda a: a[seed, cell], self._last())

    def _last(self):
        return self.carry.params, self.carry.buffers


def bucket(n: int) -> int:
    """The next size of a ladder with eight rungs to the octave: shapes that programs can share."""
    if n <= 8:
        return max(n, 1)
    rung = 1 << (n.bit_length() - 4)
    return -(-n // rung) * rung


def batch_of(arrays: Arrays, rows: int | None = None) -> Batch:
    """Arrays as a batch with weights, filled up to `rows` rows of weight zero."""
    n = len(arrays.x)
    weight = np.ones(n, arrays.x.dtype) if arrays.weight is None else arrays.weight
    batch = Batch(arrays.x, arrays.y, np.asarray(weight, arrays.x.dtype))
    if rows is None or rows == n:
        return batch
    return jax.tree.map(
        lambda a: np.concatenate([a, np.zeros((rows - n, *a.shape[1:]), a.dtype)]), batch
    )


def blocks_of(arrays: Arrays) -> Batch:
    """Arrays as blocks of rows, (blocks, rows, ...), filled up with rows of weight zero."""
    n = len(arrays.x)
    size = min(bucket(n), BLOCK_ROWS)
    count = -(-n // size)
    return jax.tree.map(
        lambda a: a.reshape(count, size, *a.shape[1:]), batch_of(arrays, count * size)
    )


def run_keys(seeds: Sequence[int]) -> np.ndarray:
    """The random keys of the seeds, as `jax.random.PRNGKey` makes them, without a program."""
    return np.array([[s >> 32 & 0xFFFFFFFF, s & 0xFFFFFFFF] for s in seeds], np.uint32)


def run(
    specs: Sequence[RunSpec],
    train: Arrays | None = None,
    held: Arrays | None = None,
    *,
    seeds: Sequence[int] = (0,),
    batch_size: int | str = "full",
    epochs: float | None = None,
    steps: int | None = None,
    dtype: str = "float32",
    initial: Any = None,
    every: int | None = None,
    hooks: tuple[Hook, ...] = (),
    max_seconds: float = math.inf,
    chunk_steps: int | None = None,
    chunk_seconds: float = 1.0,
    sharded: bool = True,
    resume: Resume | None = None,
) -> Runs:
    """Run every spec (a cell) from every seed, as one program.

    All specs must have the same structure: the same code and shapes, other numbers. Within a seed,
    cells share the initial weights and the order of mini-batches. `train` None means that the
    objective is a plain function. `initial`: (params, buffers) with axes (seeds, cells), instead of
    a random start. Give either `epochs` or `steps`. `resume`: go on from there, with all else given
    as it was the first time.
    """
    specs, seeds = tuple(specs), tuple(int(s) for s in seeds)
    with precision(dtype):
        full = train is None or batch_size == "full"
        rows = 0 if train is None else len(train.x)
        per_epoch = 0 if train is None else 1
        orders: tuple[Order, ...] = ()
        if not full:
            orders = tuple(Order(rows, min(int(batch_size), rows), s) for s in seeds)
            per_epoch = orders[0].steps_per_epoch
        if steps is None:
            if epochs is None:
                raise UsageError("give the length of the run, as epochs or steps.")
            steps = max(1, math.ceil(epochs * per_epoch))
        every = max(1, -(-steps // RECORDS)) if every is None else every
        horizon = Horizon(float(max(per_epoch, 1)), float(steps))
        bound = [swap(s, optimizer=s.optimizer.bind(horizon)) for s in specs]
        structures = {jax.tree.structure(s) for s in bound}
        if len(structures) > 1:
            raise UsageError("the cells of one program must differ in numbers alone.")
        for name, s in (("deterministic", specs[0]),):
            if getattr(s.optimizer, name, False) and not s.deterministic:
                raise UsageError(
                    f"optimizer {type(s.optimizer).__name__} compares losses at several points, so "
                    "each step must see all the data without dropout: use batch_size='full'."
                )
        stacked = stack(bound, dtype)
        plan = Plan(
            steps=steps,
            steps_per_epoch=per_epoch,
            orders=orders,
            every=every,
            row_bytes=0 if train is None else train.x[:1].nbytes,
            chunk_steps=chunk_steps,
        )
        groups, axis = split(len(seeds), len(specs))
        layout = Layout(len(seeds), len(specs), plan.records, every, groups, axis, sharded)
        keys = run_keys(seeds)
        data: Any = ()
        if train is not None:
            small = rows <= 2**16
            data = jax.device_put(batch_of(train, bucket(rows) if small else None))
        blocks = None if held is None else jax.device_put(blocks_of(held))
        if initial is not None:
            initial = tree.cast(initial, dtype)
        fixed = data if full else jax.tree.map(lambda a: a[:1], data)
        alone = Layout(len(seeds), len(specs), 0)
        if resume is None:
            carry = start(stacked, keys, initial, fixed, alone)
            trace = Trace(seeds=np.asarray(seeds), cells=len(specs))
        else:
            like = jax.eval_shape(partial(start, layout=alone), stacked, keys, initial, fixed)
            carry, trace = resume.carry(like), resume.trace
        if sharded:
            carry = place(carry, groups, 1 if axis == "cells" else 0)
        carry, trace, seconds = drive(
            stacked,
            carry,
            plan,
            layout,
            keys,
            data,
            blocks,
            trace=trace,
            first=0 if resume is None else resume.step,
            seconds=0.0 if resume is None else resume.seconds,
            hooks=hooks,
            max_seconds=max_seconds,
            chunk_seconds=chunk_seconds,
        )
    return Runs(specs, seeds, carry, trace, seconds, per_epoch, dtype)


def measure(runs: Runs, arrays: Arrays, which: str = "best") -> dict[str, np.ndarray]:
    """Loss and metrics of every run on these rows, each of shape (seeds, cells)."""
    chosen = [
        [getattr(runs, which)(s, c) for c in range(len(runs.specs))] for s in range(len(runs.seeds))
    ]
    points = jax.tree.map(
        lambda *a: np.stack(a), *[jax.tree.map(lambda *a: np.stack(a), *row) for row in chosen]
    )
    return measure_at([s.objective for s in runs.specs], points, arrays, runs.dtype)


def measure_at(
    objectives: Sequence[Any], points: Any, arrays: Arrays, dtype: str
) -> dict[str, np.ndarray]:
    """Loss and metrics at (params, buffers) with axes (seeds, cells), an objective a cell."""
    layout = Layout(len(jax.tree.leaves(points)[0]), len(objectives), 0)
    with precision(dtype):
        objective = stack(objectives, dtype)
        blocks = blocks_of(arrays)
        total: Any = None
        for i in range(len(blocks.x)):
            block = jax.tree.map(lambda a, i=i: a[i], blocks)
            sums = jax.device_get(measure_rows(objective, points, block, layout))
            sums = jax.tree.map(lambda a: np.asarray(a, np.float64), sums)
            total = sums if total is None else jax.tree.map(np.add, total, sums)
        found = metrics(objective, tree.cast(total, dtype), layout)
        return {k: np.asarray(v) for k, v in found.items()}
