"""`steepest predict MODEL FILE`: one prediction for each row of a file, in its order."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Annotated

import typer

from steepest.cli import model_given, output
from steepest.core import atomic
from steepest.core.errors import UsageError

if TYPE_CHECKING:
    import polars as pl

    from steepest.data.dataset import Table
    from steepest.engine.trained import Trained

BLOCK_ROWS = 1 << 16
"""Rows that are encoded, predicted and written at once, which bounds the memory that they take."""
CSV, PARQUET = (".csv",), (".parquet", ".pq")


def predict(
    model: model_given.Model,
    file: model_given.File,
    out: Annotated[str | None, typer.Option(
        "-o", "--out", metavar="FILE", help="Where to put the predictions: a .csv or .parquet "
        "file, or - for CSV on standard output, which is the default.")] = None,
    probabilities: Annotated[bool, typer.Option(
        "--probabilities", help="Add a column with the probability of each class.")] = False,
) -> int:  # fmt: skip
    """Predict the target for each row of a file, with a trained model."""
    to = _where(out, file)
    from steepest.store import run_directory

    trained = run_directory.load(model)
    _check(trained, probabilities)
    done = _Done()
    tables = model_given.tables_in(file, target=trained.encoder.target, labelled=False)
    blocks = _blocks(trained, tables, probabilities, done)
    if to.endswith(PARQUET):
        _write_parquet(to, blocks)
    else:
        _write_csv(to, blocks)
    for sentence in trained.encoder.warnings:
        output.warn(sentence)
    if to != model_given.STREAM:
        output.hint(f"{output.count(done.rows)} predictions are in {to}.")
    return 0


@dataclass
class _Done:
    """How many rows were predicted."""

    rows: int = 0


def _where(out: str | None, file: str) -> str:
    """The place for the predictions; checked first, since the work is lost without it."""
    if out is None or out == model_given.STREAM:
        return model_given.STREAM
    if not out.lower().endswith(CSV + PARQUET):
        raise UsageError(f"-o {out}: the format is told by the name; end it in .csv or .parquet.")
    if os.path.exists(out) and os.path.exists(file) and os.path.samefile(out, file):
        raise UsageError(f"-o {out} would replace the rows that are read; give another file.")
    return out


def _check(trained: Trained, probabilities: bool) -> None:
    if probabilities and trained.encoder.classes is None:
        raise UsageError(
            "--probabilities is for classification; this model predicts "
            f"{_spelled(trained.encoder.target)}, a number."
        )


def _spelled(target: str | tuple[str, ...] | None) -> str:
    names = [target] if isinstance(target, str) else list(target or ())
    return ", ".join(map(repr, names))


def _blocks(
    trained: Trained, tables: Iterable[Table], probabilities: bool, done: _Done
) -> Iterator[pl.DataFrame]:
    import numpy as np

    for table in tables:
        for first in range(0, table.rows, BLOCK_ROWS):
            rows = table.take(np.arange(first, min(first + BLOCK_ROWS, table.rows)))
            yield _frame(trained, rows, probabilities)
            done.rows += rows.rows


def _frame(trained: Trained, rows: Table, probabilities: bool) -> pl.DataFrame:
    """Column `prediction`, or one for each of several targets, and the probabilities."""
    import polars as pl

    encoder = trained.encoder
    arrays = encoder.transform(rows, trained.dtype)
    found = trained.predict(arrays)
    if found.ndim == 1:
        columns = {"prediction": found}
    else:
        columns = {f"prediction_{name}": found[:, i] for i, name in enumerate(encoder.target or ())}
    if probabilities:
        each = trained.predict_probabilities(arrays)
        columns |= {f"probability_{c}": each[:, i] for i, c in enumerate(encoder.classes or ())}
    return pl.DataFrame(columns)


def _write_csv(to: str, blocks: Iterator[pl.DataFrame]) -> None:
    opened = _stdout() if to == model_given.STREAM else atomic.replacing(to)
    with opened as file:
        for i, block in enumerate(blocks):
            block.write_csv(file, include_header=i == 0)
            file.flush()


def _write_parquet(to: str, blocks: Iterator[pl.DataFrame]) -> None:
    """Blocks are kept beside the file until all are there: their number stands at its end."""
    import polars as pl

    with atomic.replacing(to) as file:
        beside = os.path.dirname(os.path.realpath(to))
        with tempfile.TemporaryDirectory(prefix=".steepest-", dir=beside) as folder:
            parts = []
            for i, block in enumerate(blocks):
                parts.append(os.path.join(folder, f"{i}.parquet"))
                block.write_parquet(parts[-1])
            pl.scan_parquet(parts, glob=False).sink_parquet(file)


@contextlib.contextmanager
def _stdout() -> Iterator[IO[bytes]]:
    sys.stdout.flush()
    yield sys.stdout.buffer
    sys.stdout.buffer.flush()
