"""`steepest inspect FILE`: what training would do with each column."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from steepest.cli import options, output

if TYPE_CHECKING:
    from steepest.data import Encoder, Table

_MOST_CLASSES = 10


def inspect(
    file: Annotated[str, typer.Argument(
        metavar="FILE", help="A file, a folder, sql:URL QUERY, or the name of a data set.")],
    target: options.Target = None,
    weights: options.Weights = None,
    drop: options.Drop = None,
    task: Annotated[str | None, typer.Option(
        help="classification or regression, if the guess is wrong.")] = None,
    encoding: options.Encoding = None,
    json: options.Json = False,
) -> int:  # fmt: skip
    """Show what training would do with each column of a table."""
    from steepest.data import Encoder, load

    table = load(
        file,
        target=target,
        weights=weights,
        drop=tuple(drop or ()),
        task=task,  # type: ignore[arg-type]
        encoding=encoding,
    )
    encoder = Encoder.fit(table)
    if json:
        output.emit(_as_json(table, encoder))
    else:
        _show(table, encoder)
    return 0


def _show(table: Table, encoder: Encoder) -> None:
    output.say(
        f"{table.where}: {output.count(table.rows)} rows, {encoder.task}, "
        f"{' x '.join(map(output.count, encoder.inputs))} inputs to the model"
    )
    columns = encoder.report
    output.table(
        ["column", "kind", "inputs", "what is done"],
        [[c.name, c.kind, c.width, c.action] for c in columns],
    )
    output.say(_target(table, encoder))
    for note in table.notes:
        output.hint(note)


def _target(table: Table, encoder: Encoder) -> str:
    name = table.target if isinstance(table.target, str) else ", ".join(table.target)
    if encoder.to is None:
        return "There is no target."
    if encoder.classes is None:
        scaled = f"(y - {encoder.target_mean}) / {encoder.target_scale}"
        return f"target {name!r}: {scaled}"
    counts = _counts(table, encoder)
    shown = ", ".join(f"{c} {output.count(n)}" for c, n in list(counts.items())[:_MOST_CLASSES])
    more = ", ..." if len(counts) > _MOST_CLASSES else ""
    return f"target {name!r}: {len(counts)} classes with their rows: {shown}{more}"


def _counts(table: Table, encoder: Encoder) -> dict[str, int]:
    import numpy as np

    assert encoder.to is not None
    assert table.y is not None
    assert encoder.classes is not None
    index = encoder.to.transform(table.y, np.float32, table.where)
    return dict(zip(map(str, encoder.classes), np.bincount(index).tolist(), strict=True))


def _as_json(table: Table, encoder: Encoder) -> dict[str, Any]:
    return {
        "source": table.where,
        "rows": table.rows,
        "task": encoder.task,
        "target": encoder.target,
        "classes": None if encoder.classes is None else _counts(table, encoder),
        "target_mean": encoder.target_mean,
        "target_scale": encoder.target_scale,
        "inputs": encoder.inputs,
        "columns": [c.to_dict() for c in encoder.report],
        "notes": table.notes,
    }
