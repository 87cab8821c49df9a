"""`steepest evaluate MODEL FILE`: how well a trained model does on rows whose target is known."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from steepest.cli import model_given, options, output

if TYPE_CHECKING:
    from steepest.data.dataset import Arrays
    from steepest.engine.trained import Trained

BLOCK_ROWS = 1 << 16
"""Rows that are encoded and measured at once, which bounds the memory that they take."""


def evaluate(
    model: model_given.Model,
    file: model_given.File,
    target: Annotated[str | None, typer.Option(
        help="The column with the true target; that of training where not given.")] = None,
    weights: Annotated[str | None, typer.Option(help="The column of row weights.")] = None,
    json: options.Json = False,
) -> int:  # fmt: skip
    """Measure a trained model on the rows of a file, whose target is known."""
    from steepest.store import run_directory

    trained = run_directory.load(model)
    rows = _Rows(trained, file, {"target": target or trained.encoder.target, "weights": weights})
    found = trained.evaluate(rows)
    for sentence in trained.encoder.warnings:
        output.warn(sentence)
    metrics = {"loss": found["loss"]} | found
    if json:
        output.emit({"model": model, "data": file, "rows": rows.count, **metrics})
    else:
        output.table(["rows", *metrics], [[rows.count, *metrics.values()]])
    return 0


@dataclass
class _Rows:
    """The encoded rows of a file, a table at a time; `count` of them so far."""

    trained: Trained
    file: str
    options: dict[str, Any]
    count: int = 0

    def pieces(self) -> Iterator[Arrays]:
        import numpy as np

        encoder, dtype = self.trained.encoder, np.dtype(self.trained.dtype)
        for table in model_given.tables_in(self.file, **self.options):
            for first in range(0, table.rows, BLOCK_ROWS):
                rows = table.take(np.arange(first, min(first + BLOCK_ROWS, table.rows)))
                yield encoder.transform(rows, dtype)
                self.count += rows.rows
