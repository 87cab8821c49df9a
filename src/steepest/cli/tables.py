"""`steepest tables`: the common tables of gradient descent, measured."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Any

import typer

from steepest.cli import options, output
from steepest.cli.progress import StudyProgress
from steepest.core.errors import UsageError

QUICK = 0.1
FEWEST = 6
"""Seeds with which the exact test of a claim can come below 5 %: 2/2^6 is the first that does."""


def tables(
    out: Annotated[Path | None, typer.Option(
        "-o", "--out", metavar="DIR", help="Where to put tables.html, tables.json and CSV files "
        "\\[runs/tables].", show_default=False)] = None,
    data: Annotated[str, typer.Option(
        help="On which data: a bundled or synthetic set, or a file.")] = "digits",
    target: options.Target = None,
    seeds: Annotated[int, typer.Option(min=2, help="Runs of each setting.")] = 10,
    only: Annotated[str | None, typer.Option(
        metavar="1,7", help="Only these tables.", show_default=False)] = None,
    quick: Annotated[bool, typer.Option(
        "--quick", help="A tenth of the epochs: to see what it does, not what is true.")] = False,
    json: options.Json = False,
) -> int:  # fmt: skip
    """Measure the common tables of gradient descent, and which of the common claims hold."""
    from steepest.study.tables import TABLES

    numbers = list(TABLES) if only is None else _numbers(only, TABLES)
    from steepest.data.sources import load
    from steepest.report import tables as report
    from steepest.store.run_directory import free_directory
    from steepest.study.tables import Bench, measure

    place = out or free_directory("tables")
    if place.exists() and not place.is_dir():
        raise UsageError(f"--out: {place} is a file; give a directory.")
    source: Any = data if target is None else load(data, target=target)
    bench = Bench(source, seeds=seeds, epochs=QUICK if quick else 1.0)
    if seeds < FEWEST:
        output.hint(f"With fewer than {FEWEST} seeds hardly a claim can be told: give --seeds 10.")
    facts: dict[str, Any] = {"data": bench.table.name, "rows": bench.table.rows, "seeds": seeds}
    if quick:
        facts["length"] = f"{QUICK:g} of the protocol's epochs: not to be trusted"
    done: list[Any] = []
    page = None
    try:
        for number in numbers:
            title = TABLES[number].replace("_", " ")
            with StudyProgress(f"Table {number}, {title}") as progress:
                bench.show = progress.show
                done.append(measure(number, bench))
            page = report.write(done, place, facts)
            if not json:
                _say(done[-1])
    except KeyboardInterrupt:
        if page is not None:
            rest = ",".join(str(n) for n in numbers if n not in [t.number for t in done])
            output.hint(f"{page} has the tables so far; `--only {rest}` measures the others.")
        raise
    if json:
        told = [t.to_dict() for t in done]
        output.emit({"facts": facts, "tables": told, "page": page})
        return 0
    output.say(report.summary(done), style="bold")
    output.say(f"All of it is in {page}.")
    return 0


def _numbers(text: str, known: Any) -> list[int]:
    found = list(dict.fromkeys(options.integers(text, "--only")))
    for n in found:
        if n not in known:
            raise UsageError(f"--only: there is no table {n}; they are 1 to {len(known)}.")
    if not found:
        raise UsageError("--only names no table; write numbers like 1,7.")
    return found


def _say(table: Any) -> None:
    from steepest.study.statistics import Interval

    def shown(value: Any) -> Any:
        if not isinstance(value, Interval):
            return value
        return "∞" if math.isinf(value.value) and value.low == value.high else str(value)

    rows = [[shown(v) for v in row] for row in table.rows]
    output.say(f"{table.number}. {table.title}", style="bold")
    output.table(list(table.columns), rows)
    for c in table.claims:
        colour = {"holds": "green", "does not hold": "red"}.get(c.verdict, "yellow")
        output.say(f"{c.verdict}: {c.text}", style=colour)
        output.say(f"  {c.sentence}")
    output.say()
