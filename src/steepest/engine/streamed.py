"""`Streamed`: a file that is larger than memory, made ready for training.

One pass over the file fits the encoder on the training rows, a second one encodes them into a
`Spool`; each epoch then reads the spool. The rows to validate and to test on, of each class its
share, are held in memory, up to a share of that.
"""

from __future__ import annotations

import dataclasses
import os
import tempfile
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from steepest.core.errors import DataError, UsageError
from steepest.data.dataset import Arrays, Table
from steepest.data.delimited import HEAD
from steepest.data.encode import Encoder
from steepest.data.held_out import HeldOut
from steepest.data.pieces import check_memory, held_bytes, pieces, pieces_to_test, streams
from steepest.data.sources import check_inputs, check_there, refuse_empty
from steepest.data.spool import Spool
from steepest.data.summary import SAMPLE_ROWS, Summary
from steepest.data.target import check_target, guess_task
from steepest.engine.settings import Settings

BLOCK_SHARE, HELD_SHARE, PIECE_SHARE, SAMPLE_SHARE = 1 / 3, 1 / 8, 1 / 32, 1 / 16
"""What a block, the held-out rows, a piece of the file and the sample take of the memory.

Two blocks are held at a time, when the sample and the pieces are no more.
"""
LARGEST_PIECE = 1 << 24
LEAST = 1_000_000


def must_stream(data: Any) -> int | None:
    """The memory to stream with, where `data` is a file that does not fit; else None."""
    if not streams(data):
        return None
    free = free_memory()
    return max(free // 4, LEAST) if held_bytes(os.fspath(data)) > 0.7 * free else None


def free_memory() -> int:
    """Bytes of memory that this process may still take, by the system and its control group."""
    found = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    try:
        with open("/proc/meminfo") as file:
            lines = dict(line.split(":", 1) for line in file)
        found = int(lines["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):
        pass
    try:
        with (
            open("/sys/fs/cgroup/memory.max") as most,
            open("/sys/fs/cgroup/memory.current") as now,
        ):
            found = min(found, max(0, int(most.read()) - int(now.read())))
    except (OSError, ValueError):
        pass
    return found


class Streamed:
    """A file read in pieces, with the face of `Prepared`; `fill` makes the second pass."""

    def __init__(
        self,
        path: Any,
        settings: Settings,
        memory: int | str,
        *,
        target: str | Sequence[str] | None = None,
        test: Any = None,
        weights: str | None = None,
        drop: Sequence[str] = (),
        task: str | None = None,
    ):
        if settings.batch_size == "full":
            raise UsageError(
                "batch_size='full' needs all rows in memory at once; give a number, such as 128."
            )
        if not streams(path):
            check_there(path)
            raise UsageError(
                f"memory={memory!r} bounds what a CSV, Parquet or IDX file takes; {path!r} is "
                "another kind of data: leave it out."
            )
        self.path, self.settings = os.fspath(path), settings
        self.memory = check_memory(memory)
        self.options: dict[str, Any] = {"target": target, "weights": weights, "drop": drop}
        self.given_test, self.task = test, task
        self.shares: tuple[float, float] | None = None
        self.by_class = False
        self.train_: Spool | None = None
        self.held: dict[str, Arrays | None] = {}
        self._first_pass()

    def _pieces(self) -> Iterator[tuple[Table, np.ndarray]]:
        """Each piece, and for each of its rows 0 (training), 1 (validation) or 2 (test)."""
        size, told = min(int(self.memory * PIECE_SHARE), LARGEST_PIECE), None
        for piece in pieces(self.path, size, **self.options):
            if self.shares is None:
                self.shares = self._shares(piece, size)
                self.by_class = (
                    piece.y is not None
                    and (self.task or piece.task or guess_task(piece.y)[0]) == "classification"
                )
            told = told or HeldOut(*self.shares, self.settings.seed)
            yield piece, told(piece.y if self.by_class else None, piece.rows)

    def _shares(self, piece: Table, size: int) -> tuple[float, float]:
        """The shares of rows to validate and to test on, lowered to what may be held."""
        if piece.frame is not None:
            row = max(piece.frame.estimated_size() / piece.rows, 4.0 * piece.frame.width)
        else:
            row = 4.0 * np.prod(np.asarray(piece.x).shape[1:])
        self.estimated = max(piece.rows, int(self._file_rows(piece, size)))
        wanted = [self.settings.held_out(), self.settings.test]
        wanted = [v if v < 1 else v / self.estimated for v in wanted]
        if self.given_test is not None or any(True for _ in self._test_tables(1 << 16)):
            wanted[1] = 0.0
        most = self.memory * HELD_SHARE / row / self.estimated
        scale = min(1.0, most / sum(wanted)) if sum(wanted) else 1.0
        return wanted[0] * scale, wanted[1] * scale

    def _file_rows(self, piece: Table, size: int) -> float:
        if os.path.isdir(self.path):
            return held_bytes(self.path) / 8 / np.prod(np.asarray(piece.x).shape[1:])
        if self.path.endswith((".parquet", ".pq")):
            return held_bytes(self.path) / 20 / (piece.frame.width + 1)  # type: ignore[union-attr]
        # The first piece is what was looked at to find the dialect, and one reading more.
        return os.path.getsize(self.path) / (size + HEAD) * piece.rows

    def _test_tables(self, size: int) -> Iterator[Table]:
        if self.given_test is not None:
            yield from pieces(os.fspath(self.given_test), size, **self.options)
        elif os.path.isdir(self.path):
            yield from pieces_to_test(self.path, size)

    def _first_pass(self) -> None:
        task = self.task
        summary: Summary | None = None
        self.rows, empty = 0, None
        for piece, part in self._pieces():
            if summary is None:
                most = min(SAMPLE_ROWS, int(self.memory * SAMPLE_SHARE / _row_size(piece)))
                share = min(1.0, max(most, 1000) / self.estimated)
                s = self.settings
                summary = Summary(s.standardize, share, s.seed, s.embeds)
                self.table = piece.take(np.arange(min(piece.rows, 1000)))
                if piece.y is None:
                    raise UsageError(f"{piece.name} has no target to learn; name one with target=.")
                self.options["target"] = piece.target
            check_inputs(piece, whole=False)
            without = piece.without_values
            empty = without if empty is None else [name for name in empty if name in without]
            label = piece.target if isinstance(piece.target, str) else ", ".join(piece.target)
            if piece.y is not None:
                check_target(piece.y, label, piece.where, piece.first)
            summary.add(piece, np.flatnonzero(part == 0))
            self.rows += piece.rows
        assert summary is not None
        refuse_empty(self.table, empty or [])
        self.encoder: Encoder = summary.encoder(task)
        notes = self.table.notes
        if task is None and self.table.task is None and summary.reason:
            notes += (
                f"The task is {self.encoder.task}, as the target has {summary.reason}; "
                "give `task` for another.",
            )
        notes += (f"{self.rows} rows are streamed, with {self.memory / 1e6:.0f} MB for them.",)
        self.table = dataclasses.replace(self.table, notes=notes, task=self.encoder.task)

    def fill(self, folder: str | os.PathLike[str] | None = None) -> None:
        """Encode the rows: those to train on into files in `folder`, the others into memory."""
        dtype = np.dtype(self.settings.dtype)
        spool = Spool(
            os.fspath(folder or tempfile.gettempdir()), int(self.memory * BLOCK_SHARE),
            int(self.settings.batch_size), self.settings.seed,
        )  # fmt: skip
        kept: dict[str, list[Arrays]] = {"validation": [], "test": []}
        room = int(self.memory * HELD_SHARE)
        for piece, part in self._pieces():
            arrays = self.encoder.transform(piece, dtype)
            for name, number in (("validation", 1), ("test", 2)):
                room = _keep(kept[name], arrays.take(np.flatnonzero(part == number)), room)
            spool.append(arrays.take(np.flatnonzero(part == 0)))
        for piece in self._test_tables(min(int(self.memory * PIECE_SHARE), LARGEST_PIECE)):
            room = _keep(kept["test"], self.encoder.transform(piece, dtype), room)
        if not spool.rows:
            raise DataError(f"{self.path}: no row is left to train on; lower validation or test.")
        spool.batch_size = min(spool.batch_size, spool.rows)
        self.train_ = spool
        self.held = {k: _joined(v) for k, v in kept.items()}

    @property
    def train(self) -> Any:
        """The training rows, a `Spool`."""
        if self.train_ is None:
            self.fill()
        return self.train_

    @property
    def validation(self) -> Arrays | None:
        """The rows to validate on."""
        return self.parts["validation"]

    @property
    def test(self) -> Arrays | None:
        """The rows to test on."""
        return self.parts["test"]

    @property
    def parts(self) -> dict[str, Any]:
        """Training, validation and test rows by name."""
        return {"train": self.train, **self.held}

    def spec(self, settings: Settings):
        """The run that these settings describe, on this data."""
        return settings.spec_for(self.encoder)


def _row_size(piece: Table) -> float:
    if piece.frame is not None:
        return max(1.0, piece.frame.estimated_size() / piece.rows)
    return float(np.prod(np.asarray(piece.x).shape[1:]))


def _keep(kept: list[Arrays], arrays: Arrays, room: int) -> int:
    """Add the rows for which there is room, and return what room is left."""
    row = arrays.x[:1].nbytes + 8
    n = min(len(arrays), room // row) if len(arrays) else 0
    if n:
        kept.append(arrays.take(np.arange(n)))
    return room - n * row


def _joined(parts: list[Arrays]) -> Arrays | None:
    if not parts:
        return None

    def join(values: list[Any]) -> Any:
        return None if values[0] is None else np.concatenate(values)

    x, y, weight = ([getattr(a, name) for a in parts] for name in ("x", "y", "weight"))
    return Arrays(join(x), join(y), join(weight))
