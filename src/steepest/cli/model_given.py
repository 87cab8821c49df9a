"""The arguments of the commands that use a trained model: MODEL, and the rows in FILE."""

from __future__ import annotations

import contextlib
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


LARGE = 1 << 26
"""Bytes from which on a file is read in pieces, in which the kinds of columns are found by the
first one; smaller files are looked at as a whole."""
PIECE = 1 << 24
NAME = "standard input"


def rows_to_predict(file: str, target: Any) -> Iterator[Table]:
    """The rows of a file without their target, in pieces where it is large or a pipe.

    A text table in a pipe is given on as it comes.
    """
    from steepest.data.dataset import Source
    from steepest.data.pieces import pieces, read_csv, streams, tables
    from steepest.data.sources import check_inputs, load

    options = {"target": target, "labelled": False}
    if file == STREAM and _is_text(sys.stdin.buffer.peek(8)):  # type: ignore[attr-defined]
        found = tables(
            read_csv(sys.stdin.buffer, NAME, PIECE, live=True), NAME, Source(NAME), **options
        )
    elif file != STREAM and streams(file) and _size(file) > LARGE:
        found = pieces(file, PIECE, **options)
    else:
        with rows_in(file) as path:
            yield load(path, **options)
        return
    for table in found:
        check_inputs(table, whole=False)
        yield table


def _is_text(start: bytes) -> bool:
    """Whether a stream that begins so may be a text table: neither binary nor JSON."""
    return (
        start.lstrip()[:1] not in (b"{", b"[")
        and all(b >= 9 and b != 127 for b in start)
        and (not start.startswith((b"PAR1", b"ARROW1", b"BZh", b"PK\x03")))
    )


def _size(file: str) -> int:
    if not os.path.isdir(file):
        return os.path.getsize(file)
    return sum(entry.stat().st_size for entry in os.scandir(file))


def named(sentence: str, path: str) -> str:
    """`sentence` with standard input called by that name; see `rows_in`."""
    return sentence.replace(repr(path), "standard input").replace(path, "standard input")
