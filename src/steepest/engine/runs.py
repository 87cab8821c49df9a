"""`run`: seeds x cells from start to end; `Runs`: what came of them, as arrays."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import jax
import numpy as np

from steepest.core import tree
from steepest.core.errors import UsageError
from steepest.core.outcome import OUTCOME_OF, SENTENCES, Outcome, Reason
from steepest.core.record import swap
from steepest.core.trace import Trace
from steepest.core.types import Horizon
from steepest.data.batches import Order, bucket
from steepest.data.dataset import Arrays
from steepest.data.spool import Spool
from steepest.engine.advance import Layout, draw, measure_rows, metrics, start
from steepest.engine.compiling import precision
from steepest.engine.drive import Hook, Plan, drive
from steepest.engine.feed import Feed
from steepest.engine.mesh import place, split
from steepest.engine.resume import Resume
from steepest.engine.spec import Carry, RunSpec, stack
from steepest.objectives.objective import Batch

RECORDS = 10_000
"""Step records that a run keeps unless told otherwise."""
BLOCK_ROWS = 4096
"""Rows that are measured at once."""
FEW_ROWS = 512
"""The same for small data, whose parts of different sizes then share a program."""
AT_START = (
    "Diverged at step 0: the loss or its gradient is not a finite number at the very start; "
    "check the starting point, or the data."
)


@runtime_checkable
class Pieces(Protocol):
    """Encoded rows that are given in pieces, so that they need not be held at once."""

    def pieces(self) -> Iterator[Arrays]: ...


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
            share=float(rule.target_share),
            patience=f"{float(waited):g}",
            min_delta=float(rule.min_delta),
        )

    def best(self, seed: int = 0, cell: int = 0) -> tuple[Any, Any]:
        """(params, buffers) of the best iterate, or of the last where none was measured."""
        return jax.tree.map(lambda a: a[seed, cell], self.points("best"))

    def last(self, seed: int = 0, cell: int = 0) -> tuple[Any, Any]:
        """(params, buffers) after the last step."""
        return jax.tree.map(lambda a: a[seed, cell], self.points("last"))

    def points(self, which: str = "best") -> tuple[Any, Any]:
        """(params, buffers) of all runs, `best` or `last`: leaves of (seeds, cells, ...)."""
        carry = self.carry
        last = (carry.params, carry.buffers)
        known = np.isfinite(carry.best_value)
        if which == "last" or not known.any():
            return last
        best = (carry.best_params, carry.best_buffers)
        if known.all():
            return best

        def choose(a, b):
            return np.where(known.reshape(known.shape + (1,) * (a.ndim - 2)), a, b)

        return jax.tree.map(choose, best, last)


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


def blocks_of(arrays: Arrays | Sequence[Arrays], size: int | None = None) -> Batch:
    """Arrays as blocks of `size` rows, (blocks, rows, ...), filled up with rows of weight zero.

    Of several Arrays, one for each seed: (seeds, blocks, rows, ...).
    """
    sets = _sets(arrays)
    n = max(len(a.x) for a in sets)
    size = size or min(bucket(n), BLOCK_ROWS)
    count = -(-n // size)
    blocks = [
        jax.tree.map(lambda a: a.reshape(count, size, *a.shape[1:]), batch_of(a, count * size))
        for a in sets
    ]
    return blocks[0] if len(blocks) == 1 else jax.tree.map(lambda *a: np.stack(a), *blocks)


def _sets(arrays: Arrays | Sequence[Arrays]) -> Sequence[Arrays]:
    return (arrays,) if isinstance(arrays, Arrays) else arrays


def _shared(arrays: Any, seeds: int, name: str) -> Any:
    """Arrays for all seeds, or a tuple with one for each seed; one data set is never a tuple."""
    if arrays is None or isinstance(arrays, (Arrays, Spool)):
        return arrays
    if len(arrays) != seeds:
        raise UsageError(
            f"{name} has {len(arrays)} data sets for {seeds} seeds; give one for each."
        )
    return arrays[0] if all(a is arrays[0] for a in arrays) else tuple(arrays)


def _placed(train: Any, seeds: tuple[int, ...], batch_size: Any) -> tuple[Any, tuple[Any, ...]]:
    """The data on the device, and the order of each seed (none where steps see everything).

    Data sets of single seeds lie one after another, since mini-batches are gathered by row number;
    for full batches they are stacked on an axis of seeds. Rows on disk come block by block.
    """
    if isinstance(train, Spool):
        by_seed = tuple(train.order(s) for s in seeds)
        return Feed(train, batch_of, by_seed), by_seed
    full = batch_size == "full"
    sets = _sets(train)
    most = max(len(a.x) for a in sets)
    small = most <= 2**16
    if full and len(sets) > 1:
        batches = [batch_of(a, bucket(most)) for a in sets]
        return jax.device_put(jax.tree.map(lambda *a: np.stack(a), *batches)), ()
    different = list({id(a): a for a in sets}.values())
    offsets = dict(
        zip(map(id, different), np.cumsum([0] + [len(a.x) for a in different]), strict=False)
    )
    joined = different[0]
    if len(different) > 1:
        joined = jax.tree.map(lambda *a: np.concatenate(a), *map(batch_of, different))
        joined = Arrays(joined.x, joined.y, joined.weight)
    data = jax.device_put(batch_of(joined, bucket(len(joined.x)) if small else None))
    if full:
        return data, ()
    size = min(int(batch_size), most)
    every = list(sets) if len(sets) > 1 else list(sets) * len(seeds)
    orders = tuple(
        Order(
            len(a.x),
            size,
            seed,
            offset=int(offsets[id(a)]),
            steps_at_least=math.ceil(most / size),
        )
        for a, seed in zip(every, seeds, strict=True)
    )
    return data, orders


def _row_bytes(train: Any) -> int:
    if train is None:
        return 0
    return train.row_bytes if isinstance(train, Spool) else _sets(train)[0].x[:1].nbytes


def run_keys(seeds: Sequence[int]) -> np.ndarray:
    """The random keys of the seeds, as `jax.random.PRNGKey` makes them, without a program."""
    return np.array([[s >> 32 & 0xFFFFFFFF, s & 0xFFFFFFFF] for s in seeds], np.uint32)


def drawn(objective: Any, keys: np.ndarray, cells: int) -> tuple[Any, Any]:
    """(params, buffers) of all runs, axes (seeds, cells): cells share the weights of their seed.

    `objective` is stacked over cells. What a draw depends on are the model's numbers; where cells
    differ in them each draws, from the same key.
    """
    model = jax.tree.leaves(getattr(objective, "model", objective))
    kinds: dict[tuple, int] = {}
    which = [kinds.setdefault(tuple(np.asarray(x[c]).tobytes() for x in model), len(kinds))
             for c in range(cells)]  # fmt: skip
    first = [which.index(k) for k in range(len(kinds))]
    each = [[jax.device_get(draw(_cell(objective, c), key)) for c in first] for key in keys]

    def join(*leaves):
        drawn = np.stack(leaves).reshape(len(keys), len(first), *np.shape(leaves[0]))
        shape = (len(keys), cells, *drawn.shape[2:])
        return np.broadcast_to(drawn, shape) if len(first) == 1 else drawn[:, which]

    return jax.tree.map(join, *[point for row in each for point in row])


def _first_row(a: Any) -> Any:
    # A slice of an array on a device is a program; on a CPU the host sees the same memory.
    return (np.asarray(a) if jax.default_backend() == "cpu" else a)[:1]


def _cell(stacked: Any, c: int) -> Any:
    return jax.tree.map(lambda x: x[c], stacked)


def run(
    specs: Sequence[RunSpec],
    train: Arrays | Sequence[Arrays] | Spool | None = None,
    held: Arrays | Sequence[Arrays] | None = None,
    *,
    seeds: Sequence[int] = (0,),
    batch_size: int | str = "full",
    epochs: float | None = None,
    steps: int | None = None,
    until: int | None = None,
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
    objective is a plain function; a `Spool` has its rows on disk. `train` and `held` may be
    sequences with data for each seed, as the folds of a cross-validation are; seeds may then
    repeat. `initial`: (params, buffers) with axes (seeds, cells), instead of a random start. Give
    either `epochs` or `steps`; with `until`, leave the loop before that step. `resume`: go on from
    there, with all else given as it was the first time.
    """
    specs, seeds = tuple(specs), tuple(int(s) for s in seeds)
    with precision(dtype):
        train = _shared(train, len(seeds), "train")
        held = _shared(held, len(seeds), "held")
        data: Any = ()
        orders: tuple[Order, ...] = ()
        if train is not None:
            data, orders = _placed(train, seeds, batch_size)
        per_epoch = 0 if train is None else orders[0].steps_per_epoch if orders else 1
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
        rule = specs[0].optimizer
        if getattr(rule, "deterministic", False) and not specs[0].deterministic:
            raise UsageError(
                f"optimizer {type(rule).__name__} compares losses at several points, so "
                "each step must see all the data without dropout: use batch_size='full'."
            )
        stacked = stack(bound, dtype)
        plan = Plan(
            steps=steps,
            steps_per_epoch=per_epoch,
            orders=orders,
            every=every,
            row_bytes=_row_bytes(train),
            chunk_steps=chunk_steps,
        )
        groups, axis = split(len(seeds), len(specs))
        layout = Layout(len(seeds), len(specs), plan.records, every, groups, axis, sharded)
        keys = run_keys(seeds)
        blocks = None if held is None else jax.device_put(blocks_of(held))
        resident = data.at(0) if isinstance(data, Feed) else data
        fixed = jax.tree.map(_first_row, resident) if orders else data
        del resident
        alone = Layout(len(seeds), len(specs), 0)
        if resume is None:
            if initial is None:
                initial = drawn(stacked.objective, keys, len(specs))
            else:
                initial = tree.cast(initial, dtype)
            carry = start(stacked, keys, initial, fixed, alone)
            del initial
            # Seeds that repeat, with data of their own, are told apart by their position.
            known = seeds if len(set(seeds)) == len(seeds) else range(len(seeds))
            trace = Trace(seeds=np.asarray(known), cells=len(specs))
        else:
            if initial is None:
                axes = (len(seeds), len(specs))
                initial = jax.tree.map(
                    lambda s: jax.ShapeDtypeStruct((*axes, *s.shape), s.dtype),
                    draw.eval_shape(_cell(stacked.objective, 0), keys[0]),
                )
            like = start.eval_shape(stacked, keys, initial, fixed, alone)
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
            until=until,
            seconds=0.0 if resume is None else resume.seconds,
            hooks=hooks,
            max_seconds=max_seconds,
            chunk_seconds=chunk_seconds,
        )
    return Runs(specs, seeds, carry, trace, seconds, per_epoch, dtype)


def measure(
    runs: Runs, arrays: Arrays | Sequence[Arrays] | Spool, which: str = "best"
) -> dict[str, np.ndarray]:
    """Loss and metrics of every run on these rows (or each seed's own), each (seeds, cells)."""
    objectives = [s.objective for s in runs.specs]
    arrays = _shared(arrays, len(runs.seeds), "arrays")
    return measure_at(objectives, runs.points(which), arrays, runs.dtype)


def measure_at(
    objectives: Sequence[Any], points: Any, arrays: Arrays | Sequence[Arrays] | Pieces, dtype: str
) -> dict[str, np.ndarray]:
    """Loss and metrics at (params, buffers) with axes (seeds, cells), an objective a cell."""
    layout = Layout(len(jax.tree.leaves(points)[0]), len(objectives), 0)
    with precision(dtype):
        objective = stack(objectives, dtype)
        total: Any = None
        for part in arrays.pieces() if isinstance(arrays, Pieces) else (arrays,):
            few = max(len(a.x) for a in _sets(part)) <= 2 * BLOCK_ROWS
            blocks: Any = blocks_of(part, FEW_ROWS if few else BLOCK_ROWS)
            own = blocks.weight.ndim == 3
            for i in range(blocks.weight.shape[-2]):
                block = jax.tree.map(lambda a, i=i, own=own: a[:, i] if own else a[i], blocks)
                sums = jax.device_get(measure_rows(objective, points, block, layout))
                sums = jax.tree.map(lambda a: np.asarray(a, np.float64), sums)
                total = sums if total is None else jax.tree.map(np.add, total, sums)
        found = metrics(objective, tree.cast(total, dtype), layout)
        return {k: np.asarray(v) for k, v in found.items()}
