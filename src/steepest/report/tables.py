"""The measured tables of gradient descent as one page, as JSON, and as CSV files."""

from __future__ import annotations

import csv
import io
import json
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from steepest.core import atomic
from steepest.report import charts, page
from steepest.report.markup import Markup, join, tag
from steepest.study.statistics import Interval
from steepest.study.tables.table import FAILS, HOLDS, OPEN, Claim, Table

PAGE, JSON, FOLDER = "tables.html", "tables.json", "tables"
BADGE = {HOLDS: "good", FAILS: "bad", OPEN: "open"}
TITLE = "Gradient descent, measured"
VERDICTS = (
    "A claim holds if runs of the same seed differ as it says, beyond what chance and a margin of "
    "1 % explain; it does not hold if they differ the other way, or by nothing that matters; else "
    "these runs cannot tell. Brackets and small numbers are 95 % intervals."
)
UNSOURCED = (
    "These are the figures that articles commonly print, without a source, data or protocol: "
    "unsourced, for comparison only."
)


def write(
    tables: Sequence[Table],
    directory: str | os.PathLike[str],
    facts: Mapping[str, Any] | None = None,
) -> Path:
    """Write `tables.html`, `tables.json` and `tables/NN-title.csv`; returns the page.

    `facts`: what holds for all tables (data, seeds, time), shown at the top.
    """
    place = Path(directory)
    atomic.make_folder(place)
    folder = atomic.make_folder(place / FOLDER)
    for table in tables:
        atomic.write_text(folder / f"{_stem(table)}.csv", as_csv(table))
    told = {"facts": dict(facts or {}), "tables": [t.to_dict() for t in tables]}
    text = json.dumps(told, indent=2, ensure_ascii=False, allow_nan=False)
    atomic.write_text(place / JSON, text + "\n")
    page.write(place / PAGE, TITLE, *body(tables, facts or {}))
    return place / PAGE


def body(tables: Sequence[Table], facts: Mapping[str, Any]) -> list[Any]:
    """The pieces of the page: what was found, then table after table."""
    shown = page.facts([(k, _fact(v)) for k, v in facts.items()])
    contents = [(tag("a", f"{t.number}. {t.title}", href=f"#table-{t.number}"), " ")
                for t in tables]  # fmt: skip
    return [
        tag("h1", TITLE),
        tag("p", summary(tables), class_="lead"),
        shown,
        tag("p", VERDICTS, class_="note"),
        _overview(tables),
        tag("p", "Tables: ", contents, class_="note"),
        *(section(t) for t in tables),
    ]


def summary(tables: Sequence[Table]) -> str:
    """How many of the claims hold, in a sentence."""
    claims = [c for t in tables for c in t.claims]
    if not claims:
        return f"{_count(len(tables), 'table')} measured; no common claim was tested."
    n = {v: sum(c.verdict == v for c in claims) for v in (HOLDS, FAILS, OPEN)}
    hold = f"{n[HOLDS]} {'holds' if n[HOLDS] == 1 else 'hold'} on these data"
    fail = f"{n[FAILS]} {'does' if n[FAILS] == 1 else 'do'} not"
    return f"Of {_count(len(claims), 'common claim')} {hold}, {fail}, and {n[OPEN]} cannot be told."


def section(table: Table) -> Markup:
    """One table: question, measured rows beside the printed figures, charts, claims, protocol."""
    columns, rows = _with_printed(table)
    drawn = [charts.framed(c) for c in table.charts]
    numbers = tag(
        "div",
        page.table(columns, rows),
        tag("p", UNSOURCED, class_="note") if table.printed else None,
    )
    return tag(
        "section",
        tag("h2", f"{table.number}. {table.title}"),
        tag("p", table.question),
        page.pair(numbers, *drawn[:1]),
        page.pair(*drawn[1:]) if drawn[1:] else None,
        tag("ul", [tag("li", claim(c)) for c in table.claims], class_="claims"),
        tag("p", tag("b", "Protocol. "), table.protocol, class_="note"),
        tag("p", f"Measured in {table.seconds:.3g} s.", class_="note")
        if math.isfinite(table.seconds)
        else None,
        id=f"table-{table.number}",
    )


def claim(c: Claim) -> Markup:
    """A claim with its verdict, effect and sentence."""
    return join(
        badge(c.verdict),
        " ",
        tag("b", c.text),
        tag("br"),
        _sentence(c),
        tag("span", " Effect: ", page.cell(c.effect), f" ({c.unit}).", class_="quiet")
        if math.isfinite(c.effect.value)
        else None,
    )


def badge(verdict: str) -> Markup:
    """The verdict as a small mark; it says in words what its colour says."""
    return tag("span", verdict, class_=f"badge {BADGE.get(verdict, 'open')}")


def as_csv(table: Table) -> str:
    """The measured rows; an interval is three columns: value, low, high."""
    wide = [any(isinstance(row[j], Interval) for row in table.rows)
            for j in range(len(table.columns))]  # fmt: skip
    head: list[str] = []
    for name, several in zip(table.columns, wide, strict=True):
        head += [name, f"{name} low", f"{name} high"] if several else [name]
    text = io.StringIO()
    out = csv.writer(text, lineterminator="\n")
    out.writerow(head)
    for row in table.rows:
        line: list[Any] = []
        for value, several in zip(row, wide, strict=True):
            if isinstance(value, Interval):
                line += [value.value, value.low, value.high]
            else:
                line += [value, None, None] if several else [value]
        out.writerow(["" if v is None else v for v in line])
    return text.getvalue()


def _overview(tables: Sequence[Table]) -> Markup | None:
    rows = [
        [badge(c.verdict), c.text, tag("a", t.title, href=f"#table-{t.number}"), _effect(c)]
        for t in tables
        for c in t.claims
    ]
    return page.table(["verdict", "claim", "table", "effect"], rows) if rows else None


def _effect(c: Claim) -> Markup:
    if not math.isfinite(c.effect.value):
        return join("–")
    return join(page.cell(c.effect), tag("span", f" {c.unit}", class_="quiet"))


def _with_printed(table: Table) -> tuple[list[str], list[list[Any]]]:
    """The rows with the commonly printed figures beside them, where there are any."""
    columns, rows = list(table.columns), [list(r) for r in table.rows]
    if not table.printed:
        return columns, rows
    columns.append(f"commonly printed{f' ({table.printed_name})' if table.printed_name else ''}, "
                   "unsourced")  # fmt: skip
    left = dict(table.printed)
    for row in rows:
        row.append(left.pop(_key(row[0], left), "–"))
    # A printed figure without a measured row is shown all the same.
    rows += [[name, *["–"] * (len(table.columns) - 1), figure] for name, figure in left.items()]
    return columns, rows


def _key(first: Any, printed: Mapping[str, str]) -> str:
    """Under which text a row's first cell stands among the printed figures."""
    if str(first) in printed or not isinstance(first, (int, float)):
        return str(first)
    return f"{first:g}"


def _sentence(c: Claim) -> str:
    return c.sentence[:1].upper() + c.sentence[1:]


def _stem(table: Table) -> str:
    words = "".join(ch if ch.isalnum() else " " for ch in table.title.lower()).split()
    return f"{table.number:02d}-{'-'.join(words)[:50].strip('-')}"


def _fact(value: Any) -> Any:
    return ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else value


def _count(n: int, name: str) -> str:
    return f"{n} {name}{'' if n == 1 else 's'}"
