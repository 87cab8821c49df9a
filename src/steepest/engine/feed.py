"""`Feed`: data that does not fit, block by block on the device."""

from __future__ import annotations

import dataclasses
import weakref
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import jax

from steepest.data.batches import BlockOrder
from steepest.data.dataset import Arrays
from steepest.data.spool import Spool, aligned
from steepest.engine.compiling import precision


class Feed:
    """The blocks of a `Spool` on the device, for the loop: `at(step)` is the block of that step.

    While a block is in use, the next one is read, placed and its order drawn, in a thread of its
    own: what is left for the loop to do between two blocks does not grow with them. `orders` are
    those of the seeds, `batch_of(arrays, rows)` makes a batch of that many rows.
    """

    def __init__(
        self, spool: Spool, batch_of: Callable[[Arrays, int], Any], orders: Sequence[BlockOrder]
    ):
        self.spool, self.batch_of, self.orders = spool, batch_of, orders
        self.dtype = str(spool.like["x"][0])
        self._key: tuple[int, int] | None = None
        self._data: Any = None
        self._next: tuple[tuple[int, int], Future] | None = None
        # One block is used while the other is read.
        self._rooms = spool.room(), spool.room()
        self._ones = aligned((spool.block_rows,), spool.like["x"][0])
        self._ones[:] = 1
        self._pool = ThreadPoolExecutor(1, "steepest-read")
        weakref.finalize(self, self._pool.shutdown, wait=False, cancel_futures=True)

    def at(self, step: int) -> Any:
        """The block that holds the rows of this step."""
        epoch, block, _ = self.orders[0].place(step)
        key = epoch, block
        if self._key != key:
            self._data = None
            if self._next is None or self._next[0] != key:
                self._next = self._reading(key)
            self._key, self._data = key, self._next[1].result()
            last = block + 1 == self.orders[0].blocks
            after = (epoch + 1, 0) if last else (epoch, block + 1)
            self._next = self._reading(after)
        return self._data

    def left(self, step: int) -> int:
        """Steps until the next block."""
        return self.orders[0].left(step)

    def _reading(self, key: tuple[int, int]) -> tuple[tuple[int, int], Future]:
        self._rooms = self._rooms[::-1]
        return key, self._pool.submit(self._placed, *key, self._rooms[0])

    def _placed(self, epoch: int, block: int, room: Arrays) -> Any:
        for order in self.orders:
            order.draw(epoch, block)
        arrays = self.spool.block(epoch, block, room)
        if arrays.weight is None and len(arrays) == len(self._ones):
            arrays = dataclasses.replace(arrays, weight=self._ones)
        # The number type is a setting of each thread.
        with precision(self.dtype):
            return jax.device_put(self.batch_of(arrays, self.spool.block_rows))
