"""The report of a study: one page, figures, and its tables as CSV."""

from __future__ import annotations

import io
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from steepest.core import atomic
from steepest.report import charts, heat, page, style
from steepest.report import study_charts as drawn
from steepest.report.markup import Markup, tag
from steepest.study.grid import label, text
from steepest.study.result import StudyResult, higher_is_better
from steepest.study.statistics import Interval
from steepest.study.tables.table import Chart

PAGE, FIGURES, SUMMARY, COMPARE = "report.html", "figures", "summary.csv", "compare.csv"
MOST_ROWS = 40
HOW = (
    "Within a seed all cells share initial weights and the order of mini-batches, so differences "
    "are taken between runs of the same seed. Intervals are 95 %: of medians by the bootstrap "
    "over runs, of differences by the t distribution. The test of a difference flips its signs; "
    "its p is corrected by Holm for the number of comparisons, and a difference is called clear "
    "where that p is at most 0.05. A diverged run counts as worse than any other in medians and "
    "wins, and is left out of means and differences. Seeds needed: to see a difference of this "
    "size with power 0.8."
)
EFFECTS = (
    "Mean over the cells with this level, minus the mean over all cells; diverged runs are left "
    "out."
)
JOINT = (
    "What share of the variance between cells the two settings have only jointly: where it is "
    "large, one cannot be chosen without the other."
)


def write(result: StudyResult, directory: str | os.PathLike[str]) -> Path:
    """Write `report.html`, `figures/*.png` and `.svg`, `summary.csv`, `compare.csv`.

    Returns the page. The folder is made if it is not there.
    """
    place = Path(directory)
    atomic.make_folder(place)
    folder = atomic.make_folder(place / FIGURES)
    parts = _Parts(result)
    for name, chart in parts.charts.items():
        charts.save(chart, folder / name, drawn.BIN)
    for i, made in enumerate(parts.maps):
        figure = heat.figure(made)
        for ending in (".png", ".svg"):
            style.save(figure, folder / f"map-{i + 1}{ending}")
    _csv(result.summary(), place / SUMMARY)
    compared = result.compare()
    if not compared.is_empty():
        _csv(compared, place / COMPARE)
    title = f"Study: {result.facts.get('data') or result.facts.get('formula') or 'results'}"
    page.write(place / PAGE, title, *body(result, title, parts))
    return place / PAGE


class _Parts:
    """The charts of a result, by the names of their files."""

    def __init__(self, result: StudyResult):
        medians = drawn.by_cell(result)
        self.factors = {f"by-{_stem(n)}": drawn.against(result, n, medians)
                        for n in drawn.varied(result)}  # fmt: skip
        self.runs = drawn.single_runs(result)
        self.curves = drawn.curves(result)
        self.maps = drawn.maps(result, medians)

    @property
    def charts(self) -> dict[str, Chart]:
        """All but the maps."""
        found = {**self.factors, "runs": self.runs}
        return found if self.curves is None else {**found, "curves": self.curves}


def body(result: StudyResult, title: str, parts: Any = None) -> list[Any]:
    """The pieces of the page."""
    parts = _Parts(result) if parts is None else parts
    framed = [charts.framed(c, drawn.BIN) for c in parts.factors.values()]
    framed += [heat.framed(m) for m in parts.maps]
    return [
        tag("h1", title),
        tag("p", result.sentence(), class_="lead"),
        page.facts(_facts(result)),
        tag("h2", "What each setting does") if framed else None,
        page.pair(*framed) if framed else None,
        _effects(result),
        tag("h2", "Cells, the best first"),
        page.pair(summary_table(result), charts.framed(parts.runs, drawn.BIN)),
        _compared(result),
        None if parts.curves is None else tag("h2", "How training went"),
        None if parts.curves is None else charts.framed(parts.curves, drawn.BIN),
        _endings(result),
        tag("h2", "How to read this"),
        tag("p", HOW, class_="note"),
    ]


def summary_table(result: StudyResult) -> Markup:
    """The best cells with their medians, means and number of diverged runs."""
    names = list(result.factors)
    rows = []
    frame = result.summary()
    for row in frame.head(MOST_ROWS).iter_rows(named=True):
        rows.append([
            *_levels(result, row["cell"], names),
            _interval(row, "median"), _interval(row, "mean"), f"{row['diverged']} of {row['runs']}",
        ])  # fmt: skip
    metric = drawn.words(result.metric)
    better = "higher" if higher_is_better(result.metric) else "lower"
    columns = [*map(drawn.words, names), f"median {metric}", f"mean {metric}", "diverged"]
    more = _more(len(frame), SUMMARY)
    note = tag("p", f"Of {metric} {better} is better.{more}", class_="note")
    return tag("div", page.table(columns, rows, best=0), note)


def _compared(result: StudyResult) -> Markup | None:
    frame = result.compare()
    if frame.is_empty():
        return None
    names = list(result.factors)
    rows = [
        [
            *_levels(result, row["cell"], names),
            Interval(row["difference"], row["low"], row["high"]),
            row["p"], _told(row), f"{100 * row['wins']:.0f} %",
            _needed(row),
        ]
        for row in frame.head(MOST_ROWS).iter_rows(named=True)
    ]  # fmt: skip
    columns = [*map(drawn.words, names), "difference from the best", "p, corrected"]
    columns += ["difference is", "wins", "seeds needed"]
    best = label(result.cells[result.best()])
    return tag(
        "section",
        tag("h2", "Compared with the best, on the same seeds"),
        tag("p", f"The best is {best}.{_more(len(frame), COMPARE)}"),
        page.table(columns, rows),
    )


def _effects(result: StudyResult) -> Markup | None:
    if not drawn.varied(result) or len(result.cells) < 2:
        return None
    effects = result.effects()
    names = drawn.varied(result)
    rows = [
        [drawn.words(r["factor"]), r["level"], Interval(r["effect"], r["low"], r["high"])]
        for r in effects.iter_rows(named=True)
        if r["factor"] in names
    ]
    columns = ["setting", "level", f"effect on {drawn.words(result.metric)}"]
    table = page.table(columns, rows[:MOST_ROWS])
    pieces = [tag("div", tag("h3", "Main effects"), tag("p", EFFECTS, class_="note"), table)]
    joint = [
        [f"{drawn.words(r['first'])} and {drawn.words(r['second'])}", _share(r["share"])]
        for r in result.interactions().iter_rows(named=True)
    ]
    if joint:
        table = page.table(["settings", "share"], joint)
        pieces.append(tag("div", tag("h3", "Interactions"), tag("p", JOINT, class_="note"), table))
    return page.pair(*pieces)


def _endings(result: StudyResult) -> Markup:
    counts = result.runs.group_by("outcome").len().sort("len", descending=True)
    rows = [[r["outcome"], r["len"]] for r in counts.iter_rows(named=True)]
    bad = result.runs.filter(pl.col("outcome") == "diverged")
    pieces: list[Any] = [tag("h2", "How runs ended"), page.table(["outcome", "runs"], rows)]
    if len(bad):
        by = bad.group_by("cell").agg(pl.len(), pl.col("reason").first()).sort("cell")
        lost = [[label(result.cells[r["cell"]]), r["len"], r["reason"]]
                for r in by.head(MOST_ROWS).iter_rows(named=True)]  # fmt: skip
        pieces += [tag("h3", "Cells with diverged runs"),
                   page.table(["cell", "diverged", "one of the reasons"], lost)]  # fmt: skip
    return tag("section", *pieces)


def _facts(result: StudyResult) -> list[tuple[str, Any]]:
    runs = len(result.runs)
    bad = int((result.runs["outcome"] == "diverged").sum())
    out: list[tuple[str, Any]] = [
        ("runs", f"{runs:,} ({len(result.cells):,} cells x {runs // len(result.cells):,}), "
         f"{bad:,} diverged")
    ]  # fmt: skip
    for name, value in result.facts.items():
        shown = fact(value)
        if shown:
            out.append((drawn.words(name), shown))
    if math.isfinite(result.seconds):
        out.append(("time", f"{result.seconds:.3g} s"))
    return out


def fact(value: Any) -> str:
    """A fact for a person: consecutive seeds as a range, settings as name=value."""
    if isinstance(value, Mapping):
        return ", ".join(f"{k}={_level(v)}" for k, v in value.items() if v not in (None, 0))
    if isinstance(value, (list, tuple)):
        whole = all(isinstance(v, int) for v in value) and len(value) > 2
        if whole and list(value) == list(range(value[0], value[0] + len(value))):
            return f"{value[0]} to {value[-1]}"
        return ", ".join(map(text, value))
    return "" if value is None else text(value)


def _told(row: dict[str, Any]) -> str:
    if not row["pairs"]:
        return "diverged"
    return "clear" if row["clear"] else "cannot tell"


def _needed(row: dict[str, Any]) -> Any:
    if row["seeds_needed"] is None and row["pairs"] > 1:
        return "more than a million"
    return row["seeds_needed"]


def _level(value: Any) -> str:
    return text(tuple(value) if isinstance(value, list) else value)


def _levels(result: StudyResult, cell: int, names: list[str]) -> list[str]:
    return [text(result.factors[n][cell]) for n in names]


def _interval(row: dict[str, Any], name: str) -> Interval | str:
    value = row[name]
    if not math.isfinite(value):
        return "diverged"
    return Interval(value, row[f"{name}_low"], row[f"{name}_high"])


def _share(share: float) -> str:
    return "–" if math.isnan(share) else f"{100 * share:.0f} %"


def _more(rows: int, file: str) -> str:
    return f" The first {MOST_ROWS} of {rows:,}; all are in {file}." if rows > MOST_ROWS else ""


def _stem(name: str) -> str:
    return "".join(c if c.isalnum() else "-" for c in name)


def _csv(frame: pl.DataFrame, path: Path) -> None:
    buffer = io.BytesIO()
    frame.write_csv(buffer)
    atomic.write_bytes(path, buffer.getvalue())
