"""`Spool`: encoded rows on disk, read back in shuffled blocks while others are being used.

Rows are written once, in the order of the file they came from, shuffled within each piece. An epoch
reads segments of them in random order, and joins as many as fill a block; within a block the order
of mini-batches shuffles again. Source: Xu et al., "In-database machine learning with CorgiPile:
Stochastic gradient descent without full data shuffle", SIGMOD 2022.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import weakref
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np

from steepest.core.errors import DataError
from steepest.data.batches import BlockOrder
from steepest.data.dataset import Arrays

SEGMENTS = 32
"""Segments in a block: rows that are neighbours in the file are at most 1/32 of a block."""
SPARE = 1 << 26
"""Bytes of the disk that are left free."""


class Spool:
    """Rows of x, y and weight in unnamed files, which vanish with the process whatever ends it.

    `block_bytes`: about the size of a block; two or three are in memory at a time. `folder` is
    where the files lie. Rows are appended, then read.
    """

    def __init__(self, folder: str, block_bytes: int, batch_size: int, seed: int):
        self.folder, self.seed, self.batch_size = folder, seed, batch_size
        self.block_bytes = block_bytes
        self.rows = 0
        self._files: dict[str, Any] = {}
        self._like: dict[str, tuple[np.dtype, tuple[int, ...]]] = {}
        self._pool = ThreadPoolExecutor(1, "steepest-read")
        self._next: tuple[tuple[int, int], Future] | None = None
        weakref.finalize(self, _close, self._files, self._pool)

    def __len__(self) -> int:
        return self.rows

    def append(self, arrays: Arrays) -> None:
        """More rows; DataError where the disk has no room for them."""
        if not len(arrays):
            return
        if not self._files:
            for name, a in _parts(arrays):
                self._like[name] = a.dtype, a.shape[1:]
                self._files[name] = tempfile.TemporaryFile(dir=self.folder, buffering=0)  # noqa: SIM115
        key = np.array([self.seed, self.rows], np.uint64)
        order = np.random.Generator(np.random.Philox(key=key)).permutation(len(arrays))
        needed = sum(a.nbytes for _, a in _parts(arrays))
        free = shutil.disk_usage(self.folder).free
        if needed + SPARE > free:
            raise DataError(
                f"{self.folder} has no room for the encoded rows: {self.rows} are written, and "
                f"{free / 1e9:.1f} GB are free. Choose another directory (-o), or give more memory."
            )
        for name, a in _parts(arrays):
            view = memoryview(np.ascontiguousarray(a[order])).cast("B")
            while view:
                view = view[self._files[name].write(view) :]
        self.rows += len(arrays)

    @property
    def row_bytes(self) -> int:
        """The size of an encoded row."""
        return sum(d.itemsize * int(np.prod(s)) for d, s in self._like.values())

    @property
    def block_rows(self) -> int:
        """Rows in a block, a multiple of the batch size."""
        most = max(1, self.block_bytes // self.row_bytes // self.batch_size)
        return self.batch_size * min(most, -(-self.rows // self.batch_size))

    def order(self, seed: int) -> BlockOrder:
        """The order in which the run of this seed sees the rows of each block."""
        return BlockOrder(self.rows, self.batch_size, self.block_rows, seed)

    def block(self, epoch: int, number: int) -> Arrays:
        """A block of an epoch; the one after it is then read while this one is in use."""
        key = epoch, number
        if self._next is not None and self._next[0] == key:
            found = self._next[1].result()
        else:
            found = self._read(*key)
        last = (number + 1) * self.block_rows >= self.rows
        after = (epoch + 1, 0) if last else (epoch, number + 1)
        self._next = after, self._pool.submit(self._read, *after)
        return found

    def pieces(self) -> Iterator[Arrays]:
        """All rows, in the order in which they are written, a block at a time."""
        self._next = None
        for first in range(0, self.rows, self.block_rows):
            count = min(self.block_rows, self.rows - first)
            yield self._joined([(first, count)])

    def _read(self, epoch: int, number: int) -> Arrays:
        size = max(1, self.block_rows // SEGMENTS)
        count = self.rows // size
        key = np.array([self.seed, epoch], np.uint64)
        order = np.random.Generator(np.random.Philox(key=key)).permutation(count)
        # The short segment comes last, so that all blocks but the last are full.
        starts = np.append(order * size, count * size)
        first = number * self.block_rows
        last = min(first + self.block_rows, self.rows)
        spans = []
        while first < last:
            which, within = divmod(first, size)
            n = min(size - within, last - first)
            spans.append((int(starts[which]) + within, n))
            first += n
        return self._joined(spans)

    def _joined(self, spans: list[tuple[int, int]]) -> Arrays:
        total, out = sum(n for _, n in spans), {}
        for name, (dtype, shape) in self._like.items():
            array = np.empty((total, *shape), dtype)
            flat, row, at = memoryview(array).cast("B"), array[:1].nbytes, 0
            for first, n in spans:
                part, offset = flat[at * row : (at + n) * row], first * row
                while part:
                    got = os.preadv(self._files[name].fileno(), [part], offset)
                    if not got:
                        raise DataError(f"{self.folder}: the encoded rows on the disk are cut off.")
                    part, offset = part[got:], offset + got
                at += n
            out[name] = array
        return Arrays(**out)


def _close(files: dict[str, Any], pool: ThreadPoolExecutor) -> None:
    pool.shutdown(wait=False, cancel_futures=True)
    for file in files.values():
        file.close()


def _parts(arrays: Arrays) -> Iterator[tuple[str, np.ndarray]]:
    for name in ("x", "y", "weight"):
        value = getattr(arrays, name)
        if value is not None:
            yield name, value
