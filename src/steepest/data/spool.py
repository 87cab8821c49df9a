"""`Spool`: encoded rows on disk, read back in shuffled blocks.

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
from typing import Any

import numpy as np

from steepest.core.errors import DataError
from steepest.data.batches import BlockOrder
from steepest.data.dataset import Arrays

SEGMENTS = 32
"""Segments in a block: rows that are neighbours in the file are at most 1/32 of a block."""
SPARE = 1 << 26
"""Bytes of the disk that are left free."""
ALIGNMENT = 64


class Spool:
    """Rows of x, y and weight in unnamed files, which vanish with the process whatever ends it.

    `block_bytes`: about the size of a block. `folder` is where the files lie. Rows are appended,
    then read. `like`: dtype and shape of a row of each part.
    """

    def __init__(self, folder: str, block_bytes: int, batch_size: int, seed: int):
        self.folder, self.seed, self.batch_size = folder, seed, batch_size
        self.block_bytes = block_bytes
        self.rows = 0
        self._files: dict[str, Any] = {}
        self.like: dict[str, tuple[np.dtype, tuple[int, ...]]] = {}
        self._starts: tuple[int, np.ndarray] | None = None
        weakref.finalize(self, _close, self._files)

    def __len__(self) -> int:
        return self.rows

    def append(self, arrays: Arrays) -> None:
        """More rows; DataError where the disk has no room for them."""
        if not len(arrays):
            return
        if not self._files:
            for name, a in _parts(arrays):
                self.like[name] = a.dtype, a.shape[1:]
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
            view = np.ascontiguousarray(a[order]).data.cast("B")
            while view:
                view = view[self._files[name].write(view) :]
        self.rows += len(arrays)

    @property
    def row_bytes(self) -> int:
        """The size of an encoded row."""
        return sum(d.itemsize * int(np.prod(s)) for d, s in self.like.values())

    @property
    def block_rows(self) -> int:
        """Rows in a block, a multiple of the batch size."""
        most = max(1, self.block_bytes // self.row_bytes // self.batch_size)
        return self.batch_size * min(most, -(-self.rows // self.batch_size))

    def order(self, seed: int) -> BlockOrder:
        """The order in which the run of this seed sees the rows of each block."""
        return BlockOrder(self.rows, self.batch_size, self.block_rows, seed)

    def room(self, rows: int | None = None) -> Arrays:
        """Arrays that a block can be read into, again and again: new memory costs time, too."""
        n = self.block_rows if rows is None else rows
        return Arrays(**{k: aligned((n, *s), d) for k, (d, s) in self.like.items()})

    def block(self, epoch: int, number: int, into: Arrays | None = None) -> Arrays:
        """A block of an epoch, in the memory of `into`."""
        size, starts = self._segments(epoch)
        first = number * self.block_rows
        last = min(first + self.block_rows, self.rows)
        spans = []
        while first < last:
            which, within = divmod(first, size)
            n = min(size - within, last - first)
            spans.append((int(starts[which]) + within, n))
            first += n
        return self._joined(spans, into or self.room())

    def pieces(self) -> Iterator[Arrays]:
        """All rows, in the order in which they are written, a quarter of a block at a time."""
        size = -(-self.block_rows // 4)
        for first in range(0, self.rows, size):
            count = min(size, self.rows - first)
            yield self._joined([(first, count)], self.room(count))

    def _segments(self, epoch: int) -> tuple[int, np.ndarray]:
        """The rows of a segment, and where the segments of an epoch begin, in its order."""
        size = max(1, self.block_rows // SEGMENTS)
        if self._starts is None or self._starts[0] != epoch:
            count = self.rows // size
            key = np.array([self.seed, epoch], np.uint64)
            order = np.random.Generator(np.random.Philox(key=key)).permutation(count)
            # The short segment comes last, so that all blocks but the last are full.
            self._starts = epoch, np.append(order * size, count * size)
        return size, self._starts[1]

    def _joined(self, spans: list[tuple[int, int]], into: Arrays) -> Arrays:
        total, out = sum(n for _, n in spans), {}
        for name in self.like:
            array = getattr(into, name)[:total]
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


def aligned(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """An empty array that JAX takes over on the CPU as it lies, where others would be copied."""
    size = int(np.prod(shape)) * dtype.itemsize
    raw = np.empty(size + ALIGNMENT, np.uint8)
    start = -raw.ctypes.data % ALIGNMENT
    return raw[start : start + size].view(dtype).reshape(shape)


def _close(files: dict[str, Any]) -> None:
    for file in files.values():
        file.close()


def _parts(arrays: Arrays) -> Iterator[tuple[str, np.ndarray]]:
    for name in ("x", "y", "weight"):
        value = getattr(arrays, name)
        if value is not None:
            yield name, value
