"""`StudyResult`: what a study found, as tidy tables."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from steepest.core.errors import UsageError, suggest
from steepest.study import statistics
from steepest.study.grid import Cell, label, text
from steepest.study.statistics import Interval, Paired

if TYPE_CHECKING:
    import pandas

HIGHER = ("accuracy", "r2")
"""Metrics that are better when higher; of all others lower is better."""
OTHER_METRICS = ("final_loss", "final_value", "gradient_norm", "steps")
INDEX = ("cell", "seed", "fold")


@dataclass(frozen=True)
class StudyResult:
    """The runs of a study.

    cells:  the settings of each cell. runs: a row a run, ordered by cell, seed and fold: `cell`,
            the varied settings, `seed`, `fold` (with folds), `outcome`, `reason`, `steps`,
            `epochs`, `best_epoch`, `final_loss` (mean training loss of the last epoch), and
            loss and metrics at the best weights of `train_`, `validation_`, `test_` rows.
    trace:  the records of all runs, `table` being `steps` or `epochs`; `stream` counts the runs of
            a cell.
    metric: by which cells are compared; of `..._accuracy` and `..._r2` higher is better, of all
            others lower.
    """

    cells: tuple[Cell, ...]
    runs: pl.DataFrame
    trace: pl.DataFrame
    metric: str
    seconds: float = math.nan
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def metrics(self) -> list[str]:
        """The columns of `runs` by which cells can be compared."""
        parts = ("train_", "validation_", "test_")
        return [c for c in self.runs.columns if c.startswith(parts) or c in OTHER_METRICS]

    def values(self, metric: str | None = None) -> np.ndarray:
        """A metric as (cells, runs); NaN for diverged runs. Columns are the same seed and fold."""
        metric = self._known(metric)
        column = self.runs[metric].cast(pl.Float64).to_numpy().copy()
        column[(self.runs["outcome"] == "diverged").to_numpy()] = np.nan
        column[np.isinf(column)] = np.nan
        return column.reshape(len(self.cells), -1)

    def summary(self, metric: str | None = None) -> pl.DataFrame:
        """A row a cell, the best first: `median` and `mean` with bootstrap 95 % intervals.

        `median_low`, `median_high`, `mean_low`, `mean_high`; `deviation` over runs; `diverged` how
        many of `runs`. The median takes diverged runs as infinitely bad; the mean leaves them out.
        """
        metric = self._known(metric)
        sign = -1.0 if higher_is_better(metric) else 1.0
        values = self.values(metric) * sign
        draws = statistics.resamples(values.shape[1])
        rows: list[dict[str, Any]] = []
        for number, (cell, row) in enumerate(zip(self.cells, values, strict=True)):
            median = _signed(statistics.median_interval(row, draws), sign)
            mean = _signed(statistics.mean_interval(row, draws), sign)
            known = row[~np.isnan(row)]
            rows.append({
                "cell": number, **{k: text(v) for k, v in cell.items()},
                "median": median.value, "median_low": median.low, "median_high": median.high,
                "mean": mean.value, "mean_low": mean.low, "mean_high": mean.high,
                "deviation": float(known.std(ddof=1)) if len(known) > 1 else math.nan,
                "diverged": int(np.isnan(row).sum()), "runs": len(row),
            })  # fmt: skip
        order = sorted(rows, key=lambda r: (_worst(sign * r["median"]), _worst(sign * r["mean"])))
        return pl.DataFrame(order)

    def best(self, metric: str | None = None) -> int:
        """The number of the best cell by the median."""
        return int(self.summary(metric)["cell"][0])

    def compare(self, metric: str | None = None, to: int | None = None) -> pl.DataFrame:
        """Each other cell against the best (or cell `to`), on the same seeds, best first.

        `difference` is cell minus best with `low` and `high`, a t interval of paired differences;
        `p` of the sign-flip test corrected by Holm over all comparisons; `wins`: in what share of
        the runs the cell is the better one; `seeds_needed` to tell the two apart with power 0.8.
        """
        metric = self._known(metric)
        values = self.values(metric)
        base = self.best(metric) if to is None else to
        sign = -1.0 if higher_is_better(metric) else 1.0
        others = [int(c) for c in self.summary(metric)["cell"] if int(c) != base]
        pairs = [statistics.paired(sign * values[base], sign * values[c]) for c in others]
        corrected = statistics.holm([p.p for p in pairs])
        rows = [
            {
                "cell": c, **{k: text(v) for k, v in self.cells[c].items()},
                "difference": sign * p.difference.value,
                "low": _signed(p.difference, sign).low, "high": _signed(p.difference, sign).high,
                "p": float(q), "clear": bool(q <= 0.05), "wins": p.share, "pairs": p.pairs,
                "seeds_needed": statistics.seeds_needed(p.difference.value, p.deviation),
            }
            for c, p, q in zip(others, pairs, corrected, strict=True)
        ]  # fmt: skip
        schema = {"seeds_needed": pl.Int64}
        return pl.DataFrame(rows, schema_overrides=schema) if rows else pl.DataFrame()

    def paired(self, a: int, b: int, metric: str | None = None) -> Paired:
        """How cell b compares with cell a; differences are b - a of the metric as it is."""
        values = self.values(metric)
        return statistics.paired(values[a], values[b])

    def effects(self, metric: str | None = None) -> pl.DataFrame:
        """For each level of each factor: the mean over its cells minus that over all cells."""
        values = self.values(metric)
        draws = statistics.resamples(values.shape[1], draws=500)
        rows = statistics.main_effects(self.factors, values, draws)
        return pl.DataFrame(
            [
                {"factor": n, "level": text(v), "effect": i.value, "low": i.low, "high": i.high}
                for n, v, i in rows
            ]
        )

    def interactions(self, metric: str | None = None) -> pl.DataFrame:
        """For each pair of factors, the share of the variance between cells that is joint."""
        rows = statistics.interactions(self.factors, self.values(metric))
        schema = {"first": pl.String, "second": pl.String, "share": pl.Float64}
        return pl.DataFrame(rows, schema=schema, orient="row")

    def seeds_needed(self, a: int, b: int, metric: str | None = None) -> int | None:
        """Seeds needed to tell cells a and b apart with power 0.8 at 5 %; None: too many."""
        pair = self.paired(a, b, metric)
        return statistics.seeds_needed(pair.difference.value, pair.deviation)

    @cached_property
    def factors(self) -> dict[str, list[Any]]:
        """For each varied setting its level in each cell."""
        names = dict.fromkeys(name for cell in self.cells for name in cell)
        return {name: [cell.get(name) for cell in self.cells] for name in names}

    def curves(self, column: str, table: str = "epochs") -> tuple[np.ndarray, np.ndarray]:
        """`(x, values)`: a record over time, values (cells, runs, records), NaN after a run's end.

        x are epochs. Cells with other records than the rest (another batch size by steps) have to
        be looked at one by one in `trace`.
        """
        rows = self.trace.filter(pl.col("table") == table)
        if column not in rows.columns:
            raise UsageError(f"the trace has no {column!r}; {suggest(column, rows.columns)}")
        epochs, at = np.unique(rows["epoch"].to_numpy(), return_inverse=True)
        streams = len(self.runs) // len(self.cells)
        out = np.full((len(self.cells), streams, len(epochs)), np.nan)
        stream = rows["stream"].to_numpy()
        out[rows["cell"].to_numpy(), stream, at] = rows[column].cast(pl.Float64).to_numpy()
        return epochs, out

    def only(self, cells: Sequence[int]) -> StudyResult:
        """The result of some cells alone, numbered anew in this order."""
        place = {c: i for i, c in enumerate(cells)}

        def pick(frame: pl.DataFrame) -> pl.DataFrame:
            frame = frame.filter(pl.col("cell").is_in(list(cells)))
            frame = frame.with_columns(pl.col("cell").replace_strict(place))
            return frame.sort("cell", maintain_order=True)

        chosen = tuple(self.cells[c] for c in cells)
        return replace(self, cells=chosen, runs=pick(self.runs), trace=pick(self.trace))

    def sentence(self) -> str:
        """What was found, in words."""
        summary = self.summary()
        first = summary.row(0, named=True)
        name = self.metric.replace("_", " ")
        best = label(self.cells[first["cell"]])
        out = f"Best by median {name}: {best}, {first['median']:.4g}"
        out += f" [{first['median_low']:.4g}, {first['median_high']:.4g}]."
        if len(self.cells) > 1:
            table = self.compare()
            # A cell of which every run diverged is no match, though there is nothing to compare.
            unclear = int((~table["clear"] & (table["pairs"] > 0)).sum())
            if unclear:
                out += (
                    f" {unclear} of {len(table)} other cells cannot be told from it "
                    f"with these {first['runs']} runs."
                )
            else:
                others = "the other" if len(table) == 1 else f"all {len(table)} others"
                out += f" It differs clearly from {others}."
        bad = int((self.runs["outcome"] == "diverged").sum())
        return out + (f" {bad} of {len(self.runs)} runs diverged." if bad else "")

    def to_pandas(self) -> pandas.DataFrame:
        """`runs` as a pandas frame. Needs pandas."""
        import pandas as pd

        return pd.DataFrame({c.name: c.to_list() for c in self.runs})

    def write(self, path: str | os.PathLike[str]) -> None:
        """`runs` as CSV or Parquet, by the ending of `path`; atomically."""
        import io

        from steepest.core import atomic

        name = os.fspath(path)
        buffer = io.BytesIO()
        if name.endswith(".csv"):
            self.runs.write_csv(buffer)
        elif name.endswith(".parquet"):
            self.runs.write_parquet(buffer)
        else:
            raise UsageError(f"{name}: the file must end with .csv or .parquet.")
        atomic.write_bytes(path, buffer.getvalue())

    def _known(self, metric: str | None) -> str:
        metric = self.metric if metric is None else metric
        if metric not in self.metrics:
            raise UsageError(f"there is no metric {metric!r}; {suggest(metric, self.metrics)}")
        return metric

    def __repr__(self) -> str:
        return f"StudyResult({len(self.cells)} cells, {len(self.runs)} runs; {self.sentence()})"


def higher_is_better(metric: str) -> bool:
    """Whether a metric is a score rather than a loss."""
    return metric.endswith(HIGHER)


def assemble(
    cells: Sequence[Cell], runs: Sequence[pl.DataFrame], trace: Sequence[pl.DataFrame]
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The parts as one table of runs, with the varied settings, and one trace, both in order."""
    table = pl.concat(runs, how="diagonal_relaxed")
    table = table.sort([c for c in INDEX if c in table.columns], maintain_order=True)
    names = list(dict.fromkeys(name for cell in cells for name in cell))
    number = table["cell"].to_list()
    columns = []
    for name in names:
        of = [cell.get(name) for cell in cells]
        plain = all(v is None or isinstance(v, (bool, int, float, str)) for v in of)
        kinds = {type(v) for v in of if v is not None}
        if not plain or len(kinds - {int, float}) > 1 or (len(kinds) > 1 and str in kinds):
            of = [None if v is None else text(v) for v in of]
        elif kinds == {int, float}:
            of = [None if v is None else float(v) for v in of]
        columns.append(pl.Series(name, [of[i] for i in number]))
    rest = [c for c in table.columns if c != "cell"]
    table = table.select("cell").with_columns(columns).with_columns(table.select(rest))
    filled = [t for t in trace if not t.is_empty()]
    joined = pl.concat(filled, how="diagonal_relaxed") if filled else pl.DataFrame()
    if not joined.is_empty():
        joined = joined.sort("table", "cell", "stream", "epoch", maintain_order=True)
    return table, joined


def _signed(interval: Interval, sign: float) -> Interval:
    if sign > 0:
        return interval
    return Interval(-interval.value, -interval.high, -interval.low)


def _worst(x: float) -> float:
    return math.inf if math.isnan(x) else x
