"""The arguments of the commands that use a trained model: MODEL, and the rows in FILE."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from steepest.core.errors import DataError

if TYPE_CHECKING:
    from steepest.data.dataset import Table

STREAM = "-"
"""Stands for standard input where a file is read, for standard output where one is written."""

Model = Annotated[str, typer.Argument(
    metavar="MODEL", help="The directory of a run, or a model folder.")]  # fmt: skip
File = Annotated[str, typer.Argument(
    metavar="FILE", help="A file of rows, or - for a table on standard input.")]  # fmt: skip


@contextlib.contextmanager
def rows_in(file: str) -> Iterator[str]:
    """The path to read for `file`: standard input is first put into a temporary file.

    The separator and the kinds of columns are found by looking at all rows, so a pipe, which can
    be read only once, has to be kept. Errors name it as standard input.
    """
    if file != STREAM:
        yield file
        return
    with tempfile.TemporaryDirectory() as folder:
        # Without a suffix, the format is found by the first bytes.
        path = os.path.join(folder, "rows")
        with open(path, "wb") as kept:
            shutil.copyfileobj(sys.stdin.buffer, kept)
        try:
            yield path
        except DataError as error:
            raise DataError(named(str(error), path)) from error


LARGE = 1 << 28
"""A file whose rows take more bytes than this is read in pieces, in which the kinds of columns are
found by the first one; smaller files are looked at as a whole."""
PIECE = 1 << 24
NAME = "standard input"


def tables_in(file: str, **options: Any) -> Iterator[Table]:
    """The rows of a file, in pieces where it is large or a pipe; `options` are those of `load`.

    A text table in a pipe is given on as it comes. DataError names a pipe as standard input.
    """
    from steepest.data.dataset import Source
    from steepest.data.pieces import held_bytes, pieces, read_csv, streams, tables
    from steepest.data.sources import load

    if file == STREAM and _is_text(sys.stdin.buffer.peek(8)):  # type: ignore[union-attr]
        frames = read_csv(sys.stdin.buffer, NAME, PIECE, live=True)
        yield from _checked(tables(frames, NAME, Source(NAME), **options))
        return
    with rows_in(file) as path:
        large = streams(path) and held_bytes(path) > LARGE
        found = _checked(pieces(path, PIECE, **options)) if large else [load(path, **options)]
        for table in found:
            if file == STREAM:
                table = dataclasses.replace(table, name=NAME, source=Source(NAME))
            yield table


def _checked(tables: Iterator[Table]) -> Iterator[Table]:
    from steepest.data.sources import check_inputs
    from steepest.data.target import check_target

    for table in tables:
        check_inputs(table, whole=False)
        if table.y is not None:
            label = table.target if isinstance(table.target, str) else ", ".join(table.target)
            check_target(table.y, label, table.where, table.first)
        yield table


def _is_text(start: bytes) -> bool:
    """Whether a stream that begins so may be a text table: neither binary nor JSON."""
    return (
        start.lstrip()[:1] not in (b"{", b"[")
        and all(b >= 9 and b != 127 for b in start)
        and (not start.startswith((b"PAR1", b"ARROW1", b"BZh", b"PK\x03")))
    )


def named(sentence: str, path: str) -> str:
    """`sentence` with standard input called by that name; see `rows_in`."""
    return sentence.replace(repr(path), "standard input").replace(path, "standard input")
