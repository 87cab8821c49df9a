"""`steepest evaluate MODEL FILE`: how well a trained model does on rows whose target is known."""

from __future__ import annotations

from typing import Annotated

import typer

from steepest.cli import model_given, options, output


def evaluate(
    model: model_given.Model,
    file: model_given.File,
    target: Annotated[str | None, typer.Option(
        help="The column with the true target; that of training where not given.")] = None,
    weights: Annotated[str | None, typer.Option(help="The column of row weights.")] = None,
    json: options.Json = False,
) -> int:  # fmt: skip
    """Measure a trained model on the rows of a file, whose target is known."""
    from steepest.data.sources import load
    from steepest.store import run_directory

    trained = run_directory.load(model)
    with model_given.rows_in(file) as path:
        table = load(
            path,
            target=target or trained.encoder.target,
            weights=weights,
            task=trained.task,  # type: ignore[arg-type]
        )
        found = trained.evaluate(table)
        warnings = [model_given.named(w, path) for w in trained.encoder.warnings]
    for sentence in warnings:
        output.warn(sentence)
    metrics = {"loss": found["loss"]} | found
    if json:
        output.emit({"model": model, "data": file, "rows": table.rows, **metrics})
    else:
        output.table(["rows", *metrics], [[table.rows, *metrics.values()]])
    return 0
