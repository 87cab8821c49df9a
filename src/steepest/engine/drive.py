"""The host loop: chunk after chunk, and between chunks all that a person wants while it runs.

Progress, callbacks, time limits, checkpoints and Ctrl-C happen here and nowhere else.
"""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import jax
import numpy as np

from steepest.core.outcome import Reason
from steepest.core.record import swap
from steepest.core.trace import Trace
from steepest.data.batches import SKIP, bucket
from steepest.engine.advance import Chunk, Layout, advance
from steepest.engine.spec import Carry, RunSpec

GATHER_BYTES = 4 * 2**20
"""How much of the data is gathered at once: what the caches hold until it is used."""
CHUNK_ROWS = 2**20
"""How many row numbers are sent with a chunk."""
RECORD_ROWS = 4096
"""How many records a chunk may hold."""


@dataclass(frozen=True)
class Plan:
    """What the host needs to know to cut a run into chunks.

    orders: one `Order` a seed, or None where each step sees everything.
    steps: how many steps there are; steps_per_epoch: after how many to measure (0: never).
    row_bytes: size of a row of data. every: record each k-th step.
    """

    steps: int
    steps_per_epoch: int = 0
    orders: tuple = ()
    row_bytes: int = 0
    every: int = 1
    chunk_steps: int | None = None

    @property
    def capacity(self) -> int:
        """Steps that a chunk can hold: a shape of the program, so a function of sizes alone."""
        if self.chunk_steps is not None:
            return max(self.chunk_steps, 2)
        most = RECORD_ROWS * self.every
        if self.orders:
            most = min(most, max(1, CHUNK_ROWS // (self.orders[0].batch_size * len(self.orders))))
            # Where data comes in blocks, a chunk stays within one.
            block = getattr(self.orders[0], "block_rows", 0) // self.orders[0].batch_size
            most = min(most, block) if block else most
        # A power of two at least as large as the run: runs of other lengths share the program.
        return max(2, min(most, 1 << max(self.steps - 1, 0).bit_length()))

    @property
    def piece(self) -> int:
        """Steps of a segment at most: those whose rows are gathered together."""
        if not self.orders:
            return self.capacity
        row = self.orders[0].batch_size * self.row_bytes * len(self.orders)
        return min(self.capacity, bucket(self.steps_per_epoch), max(1, GATHER_BYTES // max(row, 1)))

    @property
    def segments(self) -> int:
        """Segments that a chunk can hold: it is cut at the ends of epochs and of pieces."""
        if not self.steps_per_epoch:
            return 1
        most = self.capacity // self.steps_per_epoch + 2
        if self.piece < self.steps_per_epoch:
            most += self.capacity // self.piece + 1
        return 1 << (most - 1).bit_length()

    @property
    def records(self) -> int:
        """Step records that a chunk can hold."""
        return self.capacity // self.every + 2

    def chunk(self, first: int, count: int, keys: Any) -> Chunk:
        """The chunk of `count` steps from `first` on, cut at the ends of epochs and of pieces."""
        stops, measure = [], []
        at, per = first, self.steps_per_epoch
        while at < first + count:
            end = min(first + count, at + self.piece)
            end = min(end, (at // per + 1) * per) if per else end
            stops.append(end - first)
            measure.append(bool(per) and end % per == 0)
            at = end
        pad = self.segments - len(stops)
        rows = None
        if self.orders:
            size = self.orders[0].batch_size
            rows = np.full((len(self.orders), self.segments, self.piece, size), SKIP, np.int32)
            for s, order in enumerate(self.orders):
                steps = order.steps(first, count)
                for e, (a, b) in enumerate(pairwise([0, *stops])):
                    rows[s, e, : b - a] = steps[a:b]
        return Chunk(
            rows=rows,
            first=np.int32(first),
            stops=np.asarray(stops + [0] * pad, np.int32),
            measure=np.asarray(measure + [False] * pad, bool),
            count=np.int32(len(stops)),
            keys=keys,
        )


@dataclass
class Moment:
    """The state of all runs between two chunks, as hooks see it.

    `stop_reason` tells hooks that the user or the time limit ends all runs here.
    """

    spec: RunSpec
    carry: Carry
    trace: Trace
    step: int
    steps: int
    steps_per_epoch: int
    seconds: float
    stop_reason: Reason = Reason.NONE

    def stop(self, reason: Reason = Reason.CALLBACK) -> None:
        """End all runs that are still going, here."""
        self.stop_reason = reason

    @property
    def epoch(self) -> float:
        """Passes over the data so far."""
        return self.step / self.steps_per_epoch if self.steps_per_epoch else float(self.step)


Hook = Callable[[Moment], None]


@dataclass
class Interrupt:
    """Whether the user asked to stop: the first Ctrl-C ends the run cleanly, the second at once."""

    asked: bool = False
    _old: Any = field(default=None, repr=False)

    @contextmanager
    def watching(self):
        """Catch SIGINT while the block runs; only the main thread can."""
        if threading.current_thread() is not threading.main_thread():
            yield self
            return

        def handler(signum, frame):
            if self.asked:
                raise KeyboardInterrupt
            self.asked = True

        self._old = signal.signal(signal.SIGINT, handler)
        try:
            yield self
        finally:
            signal.signal(signal.SIGINT, self._old)


def drive(
    spec: RunSpec,
    carry: Carry,
    plan: Plan,
    layout: Layout,
    keys: Any,
    data: Any = (),
    held: Any = None,
    *,
    trace: Trace | None = None,
    first: int = 0,
    until: int | None = None,
    seconds: float = 0.0,
    hooks: tuple[Hook, ...] = (),
    max_seconds: float = math.inf,
    chunk_seconds: float = 1.0,
) -> tuple[Carry, Trace, float]:
    """`(carry, trace, seconds)` when every run has ended or the steps are used up.

    The runs must have been started with `advance.start`; `first` is the step to go on from,
    `seconds` what went into the steps before it. `data` may come block by block, from an object
    with `at(step)`, the block of a step, and `left(step)`, how many steps stay in it. With `until`,
    the loop is left before that step, and what is running then stays so: it can go on from there.
    """
    trace = Trace(seeds=np.arange(layout.seeds), cells=layout.cells) if trace is None else trace
    began = time.perf_counter() - seconds
    at, wished, compiled = first, plan.steps_per_epoch or 64, False
    fed = data if hasattr(data, "left") else None
    last = plan.steps if until is None else min(until, plan.steps)
    reason = Reason.NONE
    with Interrupt().watching() as interrupt:
        while at < last:
            count = min(wished, plan.capacity, last - at)
            if fed is not None:
                count, data = min(count, fed.left(at)), None
                data = fed.at(at)
            chunk = plan.chunk(at, count, keys)
            started = time.perf_counter()
            carry, steps, epochs = advance(spec, carry, chunk, data, held, layout)
            going = bool(np.any(np.asarray(carry.reason) == Reason.NONE))
            took = time.perf_counter() - started
            elapsed = time.perf_counter() - began
            _keep(trace, plan, chunk, at, count, steps, epochs, elapsed)
            at += count
            moment = Moment(spec, carry, trace, at, plan.steps, plan.steps_per_epoch, elapsed)
            if interrupt.asked:
                moment.stop(Reason.INTERRUPTED)
            elif elapsed > max_seconds:
                moment.stop(Reason.MAX_TIME)
            for hook in hooks:
                hook(moment)
            reason = moment.stop_reason
            if reason is not Reason.NONE or not going:
                break
            if compiled or took < chunk_seconds:
                more = max(1, math.ceil(count * min(chunk_seconds / took, 16)))
                # A chunk that was cut short tells little about how many steps take a second.
                wished = more if count == min(wished, plan.capacity) else max(wished, more)
            compiled = True
    if reason is Reason.NONE and last == plan.steps:
        reason = Reason.MAX_STEPS
    carry = end(carry, reason)
    return carry, trace, time.perf_counter() - began


def end(carry: Carry, reason: Reason) -> Carry:
    """The carry on the host, every run that was still going ended for `reason`."""
    carry = jax.device_get(carry)
    reasons = np.where(carry.reason == Reason.NONE, np.int32(reason), carry.reason)
    return swap(carry, reason=reasons.astype(np.int32))


def _keep(trace, plan, chunk, first, count, steps, epochs, seconds):
    """Append the records that were written; rows after the last run ended are all NaN: dropped."""
    steps, epochs = jax.device_get((steps, epochs))
    numbers = np.arange(first, first + count)
    numbers = numbers[numbers % plan.every == 0]
    slots = numbers // plan.every - first // plan.every
    per = plan.steps_per_epoch
    trace.append(
        "steps",
        {"step": numbers, "epoch": numbers / per if per else numbers.astype(float)}
        | {n: jax.tree.map(lambda a: a[slots], v) for n, v in steps.items()},
    )
    if per:
        measured = np.flatnonzero(chunk.measure)
        ends = first + chunk.stops[measured]
        trace.append(
            "epochs",
            {"epoch": ends // per, "step": ends, "seconds": np.full(len(ends), seconds)}
            | {n: v[measured] for n, v in epochs.items()},
        )
