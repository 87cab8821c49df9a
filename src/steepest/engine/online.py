"""`Online`: learning from rows as they come, each one predicted before it is learned from."""

from __future__ import annotations

import dataclasses
import math
from collections import deque
from typing import Any

import jax
import numpy as np

from steepest.core import tree
from steepest.core.errors import UsageError
from steepest.core.outcome import Reason
from steepest.core.record import swap
from steepest.core.trace import Trace
from steepest.core.types import Horizon
from steepest.data.batches import SKIP
from steepest.data.dataset import Arrays, Table
from steepest.data.encode import Encoder
from steepest.data.pieces import known_labels
from steepest.engine.advance import Chunk, Layout, advance, measure_rows, metrics, start
from steepest.engine.compiling import precision
from steepest.engine.drive import end
from steepest.engine.mesh import place
from steepest.engine.result import Fit, fits_of
from steepest.engine.runs import Runs, batch_of, drawn, run_keys
from steepest.engine.settings import Settings
from steepest.engine.spec import stack
from steepest.engine.trained import in_units

ENDLESS = ("constant", "inverse-time", "exponential", "step")
"""Schedules that need not know how long the run will be."""
RECENT = 1000
CAPACITY = 2
_LAYOUT = Layout(1, 1, CAPACITY)


class Online:
    """A model that learns from tables as they come, in mini-batches of `settings.batch_size`.

    The accuracy is prequential: each mini-batch is predicted by the model as it is, counted, and
    then learned from by one step, in the order in which the rows come. The encoder is fitted on the
    first table and stays. Source: Gama, Sebastião and Rodrigues, "On evaluating stream learning
    algorithms", Machine Learning 90 (2013), 317-346.

    >>> from steepest.data import load
    >>> table = load("iris")
    >>> table = table.take(np.random.default_rng(0).permutation(len(table)))
    >>> online = Online(table, Settings(model="linear", learning_rate=0.05))
    >>> for _ in range(3):
    ...     online.learn(table)
    >>> online.rows, online.running["accuracy"] > 0.6, online.recent["accuracy"] > 0.6
    (450, True, True)
    """

    def __init__(self, first: Table, settings: Settings):
        if settings.batch_size == "full":
            raise UsageError("batch_size='full' needs all rows, but a stream has no end.")
        if settings.schedule not in ENDLESS and isinstance(settings.schedule, str):
            raise UsageError(
                f"schedule={settings.schedule!r} goes by the length of the run, but a stream has "
                f"no end; use one of {', '.join(ENDLESS)}."
            )
        self.settings, self.batch_size = settings, int(settings.batch_size)
        self.encoder = Encoder.fit(first, settings.standardize, settings.embeds)
        self.unknown = self.rows = self.step = self.held_rows = 0
        self.sums: Any = None
        self.last: deque[tuple[int, Any]] = deque()
        self.held: Arrays | None = None
        spec = settings.spec_for(self.encoder)
        rule = spec.optimizer.bind(Horizon(1.0, math.inf))
        if getattr(rule, "deterministic", False):
            raise UsageError(
                f"optimizer {type(rule).__name__} compares losses at several points of the same "
                "rows; a stream needs a first-order rule, such as adam or sgd."
            )
        self.spec = swap(spec, optimizer=rule, probes=("loss",))
        self.keys = run_keys([settings.seed])
        with precision(settings.dtype):
            self.stacked = stack([self.spec], settings.dtype)
            like = self._encoded(first.take(np.arange(1)))
            initial = drawn(self.stacked.objective, self.keys, 1)
            carry = start(self.stacked, self.keys, initial, batch_of(like), _LAYOUT)
            self.carry = place(carry, 1, 1)

    def _encoded(self, table: Table) -> Arrays:
        return self.encoder.transform(table, np.dtype(self.settings.dtype))

    def learn(self, table: Table) -> None:
        """Predict the rows, count, then learn from them; rows of an unknown class are left out."""
        known = known_labels(self.encoder, table)
        self.unknown += int((~known).sum())
        if not known.any():
            return
        arrays = self._encoded(table if known.all() else table.take(np.flatnonzero(known)))
        with precision(self.settings.dtype):
            for first in range(0, len(arrays), self.batch_size):
                self._batch(arrays, first)
        self.held = arrays

    def _batch(self, arrays: Arrays, first: int) -> None:
        rows = np.arange(first, min(first + self.batch_size, len(arrays)))
        part = arrays.take(rows)
        data = batch_of(part, self.batch_size)
        points = (self.carry.params, self.carry.buffers)
        objective = self.stacked.objective
        sums = jax.device_get(measure_rows(objective, points, data, _LAYOUT))
        # float64, since the sums of an endless stream outgrow single precision.
        sums = jax.tree.map(lambda a: np.asarray(a, np.float64), sums)
        self.sums = sums if self.sums is None else jax.tree.map(np.add, self.sums, sums)
        self.last.append((len(rows), sums))
        self.held_rows += len(rows)
        while self.held_rows - self.last[0][0] >= RECENT:
            self.held_rows -= self.last.popleft()[0]
        order = np.full((1, 1, CAPACITY, self.batch_size), SKIP, np.int32)
        order[0, 0, 0, : len(rows)] = np.arange(len(rows))
        chunk = Chunk(
            rows=order,
            first=np.int32(self.step),
            stops=np.ones(1, np.int32),
            measure=np.zeros(1, bool),
            count=np.int32(1),
            keys=self.keys,
        )
        self.carry, _, _ = advance(self.stacked, self.carry, chunk, data, None, _LAYOUT)
        self.step += 1
        self.rows += len(rows)

    @property
    def ended(self) -> bool:
        """Whether the run has diverged, or otherwise come to its end."""
        return int(np.asarray(self.carry.reason)[0, 0]) != int(Reason.NONE)

    @property
    def running(self) -> dict[str, float]:
        """Loss and metrics over all rows so far, each measured before it was learned from."""
        return self._metrics(self.sums)

    @property
    def recent(self) -> dict[str, float]:
        """The same over the last 1,000 rows."""
        total = None
        for _, sums in self.last:
            total = sums if total is None else jax.tree.map(np.add, total, sums)
        return self._metrics(total)

    def _metrics(self, sums: Any) -> dict[str, float]:
        if sums is None:
            return {}
        with precision(self.settings.dtype):
            found = metrics(self.stacked.objective, tree.cast(sums, self.settings.dtype), _LAYOUT)
        found = {k: float(np.asarray(v)[0, 0]) for k, v in found.items()}
        if "accuracy" in found and sums is self.sums and self.unknown:
            found["accuracy"] *= self.rows / (self.rows + self.unknown)
        return in_units(self.encoder, found)

    def fit(self, seconds: float) -> Fit:
        """The model as it is now; its `train` metrics are the running ones."""
        assert self.held is not None
        carry = end(self.carry, Reason.INTERRUPTED)
        trace = Trace(seeds=np.asarray([self.settings.seed]), cells=1)
        runs = Runs((self.spec,), (self.settings.seed,), carry, trace, seconds, 1,
                    self.settings.dtype)  # fmt: skip
        parts: dict[str, Any] = {"train": self.held, "validation": None, "test": None}
        (fit,) = fits_of(runs, self.settings, self.encoder, parts)
        message = f"Learned from {self.rows} rows as they came, in {self.step} steps."
        return dataclasses.replace(
            fit, train=self.running, sizes={"train": self.rows, "validation": 0, "test": 0},
            message=fit.message if self.ended else message,
        )  # fmt: skip
