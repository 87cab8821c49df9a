"""The arguments of the commands that use a trained model: MODEL, and the rows in FILE."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from typing import Annotated

import typer

from steepest.core.errors import DataError

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


def named(sentence: str, path: str) -> str:
    """`sentence` with standard input called by that name; see `rows_in`."""
    return sentence.replace(repr(path), "standard input").replace(path, "standard input")
