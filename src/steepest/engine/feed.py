"""`Feed`: data that does not fit, block by block on the device."""

from __future__ import annotations

from typing import Any

import jax

from steepest.data.spool import Spool


class Feed:
    """The blocks of a `Spool` on the device, for the loop: `at(step)` is the block of that step."""

    def __init__(self, spool: Spool, batch_of: Any):
        self.spool, self.batch_of = spool, batch_of
        self.order = spool.order(0)
        self._key: tuple[int, int] | None = None
        self._data: Any = None

    def at(self, step: int) -> Any:
        """The block that holds the rows of this step."""
        epoch, block, _ = self.order.place(step)
        if self._key != (epoch, block):
            self._data = None  # its memory is free before the next one is placed
            arrays = self.spool.block(epoch, block)
            self._data = jax.device_put(self.batch_of(arrays, self.spool.block_rows))
            self._key = epoch, block
        return self._data

    def left(self, step: int) -> int:
        """Steps until the next block."""
        return self.order.left(step)
