"""The charts of a study: its metric against each factor, single runs, curves, maps."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np

from steepest.report import style
from steepest.report.heat import Heat
from steepest.study.grid import label, text
from steepest.study.result import StudyResult, higher_is_better
from steepest.study.statistics import Interval
from steepest.study.tables.table import Chart, Series

BIN = "diverged"
MOST_SERIES = 6
MOST_ROWS = 12
MOST_MAPS = 3
POINTS = 120
RECORDS = (
    ("validation_loss", "epochs", "epoch"), ("train_loss", "epochs", "epoch"),
    ("loss", "steps", "step"),
)  # fmt: skip


def by_cell(result: StudyResult) -> dict[int, Interval]:
    """The median of each cell with its interval; infinite where half of the runs diverged."""
    sign = -1.0 if higher_is_better(result.metric) else 1.0
    out = {}
    for row in result.summary().iter_rows(named=True):
        values = [sign * row[k] for k in ("median", "median_low", "median_high")]
        lost = math.isnan(values[0]) or values[0] == math.inf
        worse = row["median_low" if sign < 0 else "median_high"]
        if lost:
            out[row["cell"]] = Interval(math.inf, math.nan, math.inf)
        else:
            ends = sorted((row["median_low"], row["median_high"]))
            # Some of the resampled medians are of diverged runs: the interval has no worse end.
            ends = [math.inf if math.isinf(worse) and e == worse else e for e in ends]
            out[row["cell"]] = Interval(row["median"], min(ends), max(ends))
    return out


def varied(result: StudyResult) -> list[str]:
    """The factors that have more than one level."""
    return [n for n, of in result.factors.items() if len({text(v) for v in of}) > 1]


def numeric(values: list[Any]) -> bool:
    """Whether levels are numbers; None, for cells that have no such setting, is left aside."""
    known = [v for v in values if v is not None]
    return bool(known) and all(
        isinstance(v, (int, float)) and not isinstance(v, bool) for v in known
    )


def against(result: StudyResult, factor: str, medians: dict[int, Interval]) -> Chart:
    """The metric against a factor: a series for each combination of the others, if few enough.

    Else, at each level, the best cell that has it.
    """
    of = result.factors[factor]
    others = [n for n in varied(result) if n != factor]
    groups: dict[str, dict[Any, list[int]]] = {}
    for cell, value in enumerate(of):
        name = " ".join(text(result.factors[n][cell]) for n in others)
        groups.setdefault(name, {}).setdefault(value, []).append(cell)
    note = ""
    if len(groups) > MOST_SERIES:
        merged: dict[Any, list[int]] = {}
        for cell, value in enumerate(of):
            merged.setdefault(value, []).append(cell)
        groups = {"": merged}
        note = "At each level the best of the other settings."
    elif others:
        note = f"Lines: {' and '.join(others)}."
    is_number = numeric(of)
    series = []
    if is_number and None in of:
        note += f" Cells without {words(factor)} are left out."
    for name, levels in groups.items():
        keys = sorted(k for k in levels if k is not None) if is_number else list(levels)
        if not keys:
            continue
        best = [_best([medians[c] for c in levels[k]], result.metric) for k in keys]
        xs = keys if is_number else [text(k) for k in keys]
        series.append(
            Series(name, xs, [b.value for b in best], [b.low for b in best], [b.high for b in best])
        )
    finite = [i.value for i in medians.values() if math.isfinite(i.value)]
    known = [v for v in of if v is not None]
    spread = is_number and (factor.endswith("rate") or style.spans_decades(known, 1.2))
    return Chart(
        f"{words(result.metric).capitalize()} by {words(factor)}", "line" if is_number else "bars",
        words(factor), words(result.metric), series, log_x=spread and min(known) > 0,
        log_y=style.spans_decades(finite, 1.3),
        note=f"Medians with 95 % intervals. {note}".strip(),
    )  # fmt: skip


def single_runs(result: StudyResult) -> Chart:
    """The runs of the best cells, one mark each."""
    cells = [int(c) for c in result.summary()["cell"][:MOST_ROWS]]
    values = result.values()
    names = [label(result.cells[c]) for c in cells for _ in range(values.shape[1])]
    of = [math.inf if math.isnan(v) else float(v) for c in cells for v in values[c]]
    shown = f"the {len(cells)} best cells" if len(cells) < len(result.cells) else "each cell"
    known = [v for v in of if math.isfinite(v)]
    return Chart(
        f"Single runs of {shown}", "strip", "", words(result.metric), [Series("", names, of)],
        log_y=style.spans_decades(known, 1.3), note="A mark a run, a line at the median.",
    )  # fmt: skip


def curves(result: StudyResult) -> Chart | None:
    """How the loss of the best cells went; None where nothing was recorded."""
    found = _recorded(result)
    if found is None:
        return None
    column, table, unit = found
    x, values = result.curves(column, table)
    lost = np.isnan(result.values())
    cells = [int(c) for c in result.summary()["cell"][:MOST_SERIES] if not lost[int(c)].all()]
    series = []
    for c in cells:
        held = _hold(values[c][~lost[c]])
        known = ~np.isnan(held).all(axis=0)
        if not known.any():
            continue
        keep = np.flatnonzero(known)
        keep = keep[np.unique(np.linspace(0, len(keep) - 1, POINTS).astype(int))]
        low, middle, high = np.nanpercentile(held[:, keep], (10, 50, 90), axis=0)
        name = label(result.cells[c])
        series.append(Series(name, x[keep].tolist(), middle.tolist(), low.tolist(), high.tolist()))
    if not series:
        return None
    everything = [v for s in series for v in s.y]
    shown = "" if len(cells) == len(result.cells) else f" of the {len(cells)} best cells"
    return Chart(
        f"{words(column).capitalize()}{shown}", "line", unit, words(column), series,
        log_x=False, log_y=style.spans_decades(everything, 1.0),
        note="Medians over runs, with the band from the 10th to the 90th percentile; diverged runs "
        "are left out.",
    )  # fmt: skip


def maps(result: StudyResult, medians: dict[int, Interval]) -> list[Heat]:
    """A map for each pair of factors that are numbers, the best cell in each place."""
    names = [n for n in varied(result) if numeric(result.factors[n])]
    better = "higher" if higher_is_better(result.metric) else "lower"
    out = []
    for a, b in itertools.islice(itertools.combinations(names, 2), MOST_MAPS):
        xs, ys = (sorted({v for v in result.factors[n] if v is not None}) for n in (a, b))
        values = [[math.nan] * len(xs) for _ in ys]
        for i, j in itertools.product(range(len(ys)), range(len(xs))):
            here = [
                medians[c]
                for c in range(len(result.cells))
                if result.factors[a][c] == xs[j] and result.factors[b][c] == ys[i]
            ]
            if here:
                values[i][j] = _best(here, result.metric).value
        if not any(math.isfinite(v) for row in values for v in row):
            continue
        more = len(varied(result)) > 2
        note = "In each place the best of the other settings." if more else ""
        title = f"{words(result.metric).capitalize()} by {words(a)} and {words(b)}"
        out.append(Heat(title, words(a), words(b), xs, ys, values, better, note))
    return out


def words(name: str) -> str:
    """A name as it is said."""
    return name.replace("_", " ")


def _best(intervals: list[Interval], metric: str) -> Interval:
    sign = -1.0 if higher_is_better(metric) else 1.0
    return min(intervals, key=lambda i: sign * i.value if math.isfinite(i.value) else math.inf)


def _recorded(result: StudyResult) -> tuple[str, str, str] | None:
    trace = result.trace
    if trace.is_empty():
        return None
    kinds = set(trace["table"].unique())
    for column, table, unit in RECORDS:
        if table in kinds and column in trace.columns and trace[column].is_not_null().any():
            return column, table, unit
    return None


def _hold(values: np.ndarray) -> np.ndarray:
    """A run that has ended stays where it was."""
    at = np.where(np.isnan(values), 0, np.arange(values.shape[1]))
    return np.take_along_axis(values, np.maximum.accumulate(at, axis=1), axis=1)
