"""Files read in pieces of whole rows, one after another, so that the memory has not to hold them.

`pieces(path, size)` yields a `Table` a piece. The rows, their kinds and what is refused are those
of `sources.load`; kinds are found in the first piece, and a later value of another kind makes a
column of words in its own piece only.
"""

from __future__ import annotations

import bz2
import dataclasses
import gzip
import io
import lzma
import math
import os
from collections.abc import Iterator, Sequence
from typing import IO, Any

import numpy as np
import polars as pl

from steepest.core.errors import DataError, UsageError
from steepest.data import delimited
from steepest.data.compressed import compression
from steepest.data.dataset import Source, Table
from steepest.data.dialect import MISSING, Dialect
from steepest.data.files import find_format
from steepest.data.guard import reading
from steepest.data.idx import TESTS, header, idx_files, images_table
from steepest.data.sources import table_of

STREAMED = ("csv", "parquet", "idx")
_OPENERS = {None: open, "gzip": gzip.open, "bzip2": bz2.open, "xz": lzma.open}


def streams(path: Any) -> bool:
    """Whether `path` is a file that `pieces` can read."""
    if not isinstance(path, (str, os.PathLike)) or not os.path.exists(path):
        return False
    path = os.fspath(path)
    return find_format(path) in STREAMED and (os.path.isdir(path) or compression(path) in _OPENERS)


def held_bytes(path: str) -> int:
    """About how much memory the encoded rows of a file take, and reading them at once."""
    form = find_format(path)
    if form == "idx":
        # From bytes to float32, with a copy on the way.
        return 8 * sum(math.prod(header(p)[1]) for p in idx_files(path).values())
    size = os.path.getsize(path)
    if form == "parquet":
        with reading(path, "Parquet"):
            frame = pl.scan_parquet(path, glob=False)
            rows, width = _height(frame), len(frame.collect_schema())
        return 20 * rows * width
    return 3 * size * (4 if compression(path) else 1)


def pieces(path: str, size: int, **options: Any) -> Iterator[Table]:
    """The rows of a CSV or Parquet file, or of a folder of IDX files, about `size` bytes a time.

    `options` are those of `sources.load`: target, weights, drop, labelled. `Table.first` is the
    number of a piece's first row. Raises DataError as `load` does.
    """
    form = find_format(path)
    if form == "idx":
        yield from _images(path, size, "train")
        return
    frames = _parquet(path, size) if form == "parquet" else _csv_file(path, size)
    yield from tables(frames, path, Source(path, (path,)), **options)


def pieces_to_test(path: str, size: int) -> Iterator[Table]:
    """The test images that came with a folder of IDX files."""
    if any(part in TESTS for part, _ in idx_files(path)):
        yield from _images(path, size, "test")


def tables(frames: Iterator[pl.DataFrame], name: str, origin: Source, **options: Any):
    """Frames as tables, with target, weights and inputs told apart as `load` does it."""
    first = 0
    options = {"target": None, "weights": None, "drop": (), "labelled": True} | options
    for frame in frames:
        if not frame.height:
            continue
        table = table_of(frame, name, origin, **options)
        if options["labelled"]:
            options["target"] = table.target
        yield dataclasses.replace(table, first=first)
        first += frame.height
    if not first:
        raise DataError(f"{name}: there are no rows; give rows of data.")


def _parquet(path: str, size: int) -> Iterator[pl.DataFrame]:
    with reading(path, "Parquet", "it is truncated, altered or of another format: fetch it again"):
        frame = pl.scan_parquet(path, glob=False)
        rows, width = _height(frame), len(frame.collect_schema())
        step = max(1, size // max(1, 8 * width))
        if hasattr(frame, "collect_batches"):
            yield from frame.collect_batches(chunk_size=step, maintain_order=True)
            return
        for first in range(0, rows, step):
            yield frame.slice(first, step).collect()


def _height(frame: pl.LazyFrame) -> int:
    return int(frame.select(pl.len()).collect().item())


def _images(folder: str, size: int, which: str) -> Iterator[Table]:
    files = idx_files(folder)
    parts = [p for p, what in files if (p in TESTS) == (which == "test") and what == "images"]
    if len(parts) != 1 or (parts[0], "labels") not in files:
        raise DataError(f"{folder} needs one set of {which} images with its labels.")
    paths = files[parts[0], "images"], files[parts[0], "labels"]
    (dtype, shape, _), (kind, labels, _) = header(paths[0]), header(paths[1])
    if len(shape) != 3 or shape[:1] != labels:
        raise DataError(
            f"{folder}: {parts[0]} has images of shape {shape} and labels of shape {labels}; "
            "give (n, height, width) and (n,)."
        )
    row = math.prod(shape[1:]) * dtype.itemsize
    step = max(1, size // max(row, 1))
    with reading(folder, "IDX files"), _open(paths[0]) as images, _open(paths[1]) as names:
        for file, path in ((images, paths[0]), (names, paths[1])):
            file.read(header(path)[2])
        for first in range(0, shape[0], step):
            n = min(step, shape[0] - first)
            x, y = images.read(n * row), names.read(n * kind.itemsize)
            if len(x) != n * row or len(y) != n * kind.itemsize:
                raise DataError(f"{folder}: the {which} files end early; fetch them again.")
            table = images_table(
                folder,
                np.frombuffer(x, dtype).reshape(n, *shape[1:]),
                np.frombuffer(y, kind),
                Source(folder, tuple(files[k] for k in sorted(files))),
            )
            yield dataclasses.replace(table, first=first)


def _open(path: str) -> IO[bytes]:
    return _OPENERS[compression(path)](path, "rb")  # type: ignore[operator, return-value]


def _csv_file(path: str, size: int) -> Iterator[pl.DataFrame]:
    with _open(path) as file:
        yield from read_csv(file, path, size)


def read_csv(file: IO[bytes], name: str, size: int, live: bool = False) -> Iterator[pl.DataFrame]:
    """Frames of a text table from an open file or pipe; `size` bytes of text at a time.

    The dialect is found in the first 256 kB. With `live`, what has come is given without waiting
    for more, and the dialect is that of the first lines which come.
    """
    read = file.read1 if live else file.read  # type: ignore[attr-defined]
    with reading(name, "a text table"):
        head = _first_lines(read) if live else _read_full(file, delimited.HEAD)
    for bom, encoding in delimited.BOMS.items():
        if head.startswith(bom) and encoding != "utf-8-sig":
            raise DataError(f"{name} is {encoding}, which cannot be streamed; save it as UTF-8.")
    head = head.removeprefix(b"\xef\xbb\xbf")
    if b"\r" in head and b"\n" not in head:
        raise DataError(f"{name} ends its lines by \\r alone; save it with usual line ends.")
    if not head:
        raise DataError(f"{name} is empty; give a table with a header and rows.")
    # A last line that is cut off would be one with too few fields.
    whole = head[: head.rfind(b"\n") + 1] or head
    dialect = delimited.dialect_of(name, whole if live else head, head)
    reader = _Reader(name, dialect)
    rest, ended = head, False
    skip = dialect.header
    while not ended:
        more = read(max(size, 1 << 12)) if not live or not _has_rows(rest, skip) else None
        ended = more == b""
        data = rest + (more or b"")
        cut = len(data) if ended else _last_line_end(data)
        part, rest = data[:cut], data[cut:]
        if skip and part.strip():
            part, skip = reader.without_header(part), False
        if part.strip():
            yield reader.frame(part)
        elif part:
            reader.lines += part.count(b"\n")


def _first_lines(read: Any) -> bytes:
    """What comes until there are two whole lines, or the end."""
    out = b""
    while out.count(b"\n") < 2 and (more := read(1 << 16)):
        out += more
    return out


def _has_rows(data: bytes, header: bool) -> bool:
    return data.count(b"\n") > int(header)


def _read_full(file: IO[bytes], count: int) -> bytes:
    """`count` bytes, or less at the end; a pipe may give them in drops."""
    out = b""
    while len(out) < count and (more := file.read(count - len(out))):
        out += more
    return out


def _last_line_end(data: bytes) -> int:
    """Where the last whole line ends; a line end within quotes ends no line. 0: there is none."""
    end = data.rfind(b"\n") + 1
    if b'"' not in data:
        return end
    while end and data.count(b'"', 0, end) % 2:
        end = data.rfind(b"\n", 0, end - 1) + 1
    return end


class _Reader:
    """Turns whole lines of a text table into frames of the kinds that its first lines have."""

    def __init__(self, name: str, dialect: Dialect):
        self.name, self.dialect = name, dialect
        self.kinds: dict[str, Any] = {}
        self.lines = 0

    def without_header(self, data: bytes) -> bytes:
        while True:
            end = data.find(b"\n") + 1 or len(data)
            while end < len(data) and data.count(b'"', 0, end) % 2:
                end = data.find(b"\n", end) + 1 or len(data)
            line, data = data[:end], data[end:]
            self.lines += line.count(b"\n")
            if line.strip():
                return data

    def frame(self, data: bytes) -> pl.DataFrame:
        frame = self._parse(data)
        frame = delimited.without_blank_lines(self.name, data, frame)
        if frame.width > 1 and frame.height and frame.to_series(-1).null_count():
            self._refuse(data)
        self.lines += data.count(b"\n")
        if not self.kinds and frame.height:
            frame = frame.select(delimited.tidy(s) for s in frame.get_columns())
            self.kinds = dict(frame.schema)
            return frame
        return frame.select(self._as_known(s) for s in frame.get_columns())

    def _parse(self, data: bytes) -> pl.DataFrame:
        words = dict.fromkeys(self.dialect.names, pl.String)
        attempts: Sequence[tuple[Any, Any]] = (
            (self.kinds or None, None), (self.kinds or None, list(MISSING)), (words, None),
        )  # fmt: skip
        for schema, missing in attempts:
            try:
                return pl.read_csv(
                    io.BytesIO(data), separator=self.dialect.separator, has_header=False,
                    new_columns=None if schema else list(self.dialect.names), schema=schema,
                    null_values=missing, infer_schema_length=None,
                    decimal_comma=self.dialect.decimal_comma,
                )  # fmt: skip
            except pl.exceptions.ComputeError as error:
                if "could not parse" in str(error) and schema is not words:
                    continue
                failed: BaseException = error
            except pl.exceptions.PolarsError as error:
                failed = error
            delimited.refuse_encoding(self.name, data, self.lines)
            self._refuse(data)
            with reading(self.name, "a text table"):
                raise failed
        raise AssertionError("unreachable")

    def _refuse(self, data: bytes) -> None:
        delimited.refuse_ragged(self.name, data, self.dialect, self.lines)

    def _as_known(self, series: pl.Series) -> pl.Series:
        """The kind of the first piece where all values have it, else words."""
        wanted = self.kinds.get(series.name)
        if series.dtype != pl.String:
            return series
        series = delimited.tidy(series, numbers=False)
        if wanted is None or wanted == pl.String:
            return series
        for dtype in (wanted, pl.Float64) if wanted.is_numeric() else (wanted,):
            try:
                found = series.cast(dtype, strict=False)
            except pl.exceptions.PolarsError:
                continue
            if found.null_count() == series.null_count():
                return found
        return series


def check_memory(text: str | int) -> int:
    """`'2GB'` as bytes; raises UsageError for what is no size.

    >>> check_memory("2GB"), check_memory("512 MB"), check_memory(1 << 20)
    (2000000000, 512000000, 1048576)
    """
    units = {"": 1, "B": 1, "K": 1e3, "KB": 1e3, "M": 1e6, "MB": 1e6, "G": 1e9, "GB": 1e9,
             "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}  # fmt: skip
    if isinstance(text, int) and not isinstance(text, bool):
        size = float(text)
    else:
        plain = str(text).replace(" ", "").upper()
        digits = plain.rstrip("KMGIB")
        try:
            size = float(digits) * units[plain[len(digits) :]]
        except (ValueError, KeyError):
            raise UsageError(f"memory={text!r} is no size; write it like 2GB or 500MB.") from None
    if not size >= 1e6 or math.isinf(size):
        raise UsageError(f"memory={text!r} is too little; give at least 1MB.")
    return int(size)


def known_labels(encoder: Any, table: Table) -> np.ndarray:
    """Which rows have a target of a class that the encoder knows; for numbers, all."""
    if encoder.classes is None or table.y is None:
        return np.ones(table.rows, bool)
    return encoder.to.index(table.y) >= 0
