"""The order of examples: which rows each step sees, made on the host, chunk by chunk.

Batch, stochastic and mini-batch descent are one plan with another batch size. The permutation of an
epoch depends on the seed and the epoch alone: not on the batch size (so runs of different batch
sizes see the same order), nor on what came before (so a run resumes anywhere). A sort inside the
compiled program would cost more to compile than the rest of the loop.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from steepest.core.errors import UsageError

SKIP = -1
"""The row number that stands for no row: it counts with weight zero."""


def bucket(n: int) -> int:
    """The next size of a ladder with eight rungs to the octave: shapes that programs can share."""
    if n <= 8:
        return max(n, 1)
    rung = 1 << (n.bit_length() - 4)
    return -(-n // rung) * rung


@dataclass(frozen=True)
class Order:
    """Rows of each step for a data set of `rows` rows in mini-batches of `batch_size`.

    The last batch of an epoch holds what is left and is filled up with `SKIP`. `offset` is the
    number of the first row; `steps_at_least` appends steps without rows, so that data sets of
    nearly the same size (the folds of a cross-validation) have epochs of equal length.

    >>> Order(rows=5, batch_size=2, shuffle=False).steps(0, 3).tolist()
    [[0, 1], [2, 3], [4, -1]]
    """

    rows: int
    batch_size: int
    seed: int = 0
    shuffle: bool = True
    offset: int = 0
    steps_at_least: int = 1
    _last: dict[int, np.ndarray] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def __post_init__(self):
        if self.rows < 1:
            raise UsageError("the training data has no rows; give at least one.")
        if self.batch_size < 1:
            raise UsageError(f"batch_size must be at least 1, got {self.batch_size}.")

    @property
    def steps_per_epoch(self) -> int:
        """Steps in one pass over the data, the short last one included."""
        return max(math.ceil(self.rows / self.batch_size), self.steps_at_least)

    def epoch(self, number: int) -> np.ndarray:
        """The rows of epoch `number` (from 0), as (steps_per_epoch, batch_size) int32.

        The last one asked for is kept: a long epoch is sent to the device in several chunks.
        """
        found = self._last.get(number)
        if found is None:
            found = self._epoch(number)
            found.flags.writeable = False
            self._last.clear()
            self._last[number] = found
        return found

    def _epoch(self, number: int) -> np.ndarray:
        padded = np.full(self.steps_per_epoch * self.batch_size, SKIP, np.int32)
        if self.shuffle:
            bits = np.random.Philox(key=np.array([self.seed, number], np.uint64))
            padded[: self.rows] = np.random.Generator(bits).permutation(self.rows)
        else:
            padded[: self.rows] = np.arange(self.rows)
        padded[: self.rows] += self.offset
        return padded.reshape(self.steps_per_epoch, self.batch_size)

    def steps(self, first: int, count: int) -> np.ndarray:
        """The rows of `count` steps from step `first` on, as (count, batch_size) int32."""
        per = self.steps_per_epoch
        a, b = first // per, -(-(first + count) // per)
        rows = [self.epoch(e) for e in range(a, b)]
        if not rows:
            return np.zeros((0, self.batch_size), np.int32)
        return np.concatenate(rows)[first - a * per : first - a * per + count]


@dataclass(frozen=True)
class BlockOrder:
    """Rows of each step where data comes in blocks of `block_rows`, a multiple of the batch size.

    Rows are numbered within the block that a step belongs to; each block of each epoch has a
    permutation of its own.

    >>> order = BlockOrder(rows=5, batch_size=2, block_rows=4)
    >>> order.place(3), order.left(3), order.steps(2, 1).tolist()
    ((1, 0, 0), 2, [[0, -1]])
    """

    rows: int
    batch_size: int
    block_rows: int
    seed: int = 0
    _drawn: dict[tuple[int, int], np.ndarray] = field(
        default_factory=dict, repr=False, compare=False
    )

    @property
    def steps_per_epoch(self) -> int:
        """Steps in one pass over the data, the short last one included."""
        return math.ceil(self.rows / self.batch_size)

    @property
    def blocks(self) -> int:
        """Blocks in one pass over the data."""
        return math.ceil(self.rows / self.block_rows)

    def place(self, step: int) -> tuple[int, int, int]:
        """(epoch, block, step within the block)."""
        epoch, at = divmod(step, self.steps_per_epoch)
        return (epoch, *divmod(at, self.block_rows // self.batch_size))

    def left(self, step: int) -> int:
        """Steps from `step` to the end of its block."""
        _, block, at = self.place(step)
        return self._block(block).steps_per_epoch - at

    def steps(self, first: int, count: int) -> np.ndarray:
        """The rows of `count` steps from step `first` on, all within one block."""
        epoch, block, at = self.place(first)
        return self.draw(epoch, block)[at : at + count]

    def draw(self, epoch: int, block: int) -> np.ndarray:
        """The rows of all steps of a block; this one and that before it are kept."""
        found = self._drawn.get((epoch, block))
        if found is None:
            found = self._block(block).epoch(epoch * self.blocks + block)
            for old in list(self._drawn)[:-1]:
                del self._drawn[old]
            self._drawn[epoch, block] = found
        return found

    def _block(self, block: int) -> Order:
        rows = min(self.block_rows, self.rows - block * self.block_rows)
        return Order(rows, self.batch_size, self.seed)
