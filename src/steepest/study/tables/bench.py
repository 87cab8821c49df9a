"""`Bench`: the data, the seeds and the common protocol of all tables, and how they run studies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl

from steepest.data.dataset import Table
from steepest.data.sources import load
from steepest.engine.runs import run
from steepest.engine.settings import Settings
from steepest.study.execute import Show
from steepest.study.folds import Folds
from steepest.study.result import StudyResult
from steepest.study.statistics import Interval, median_interval, resamples
from steepest.study.study import Study
from steepest.study.tables.table import Chart, Series

HIDDEN = (32,)
BATCH = 32
RATE = 0.1
FIXED: dict[str, Any] = {
    "hidden": HIDDEN, "batch_size": BATCH, "optimizer": "sgd", "learning_rate": RATE,
    "validation": 0.2, "test": 0.2,
}  # fmt: skip
PROBES = ("loss",)
DROP = 0.2
"""The target of `iterations to a target`: this share of the loss before training."""


@dataclass
class Bench:
    """Where tables are measured. `data`: a name or a `Table`; `seeds`: how many.

    `epochs` scales the length of all runs: 1 is the protocol, less is for trying things out.
    """

    data: Any = "digits"
    seeds: int = 10
    epochs: float = 1.0
    show: Show | None = None
    seconds: dict[str, float] = field(default_factory=dict)

    @cached_property
    def table(self) -> Table:
        """The rows."""
        return self.data if isinstance(self.data, Table) else load(self.data)

    def few(self, rows: int) -> Table:
        """At most so many of the rows, drawn at random but always the same."""
        if len(self.table) <= rows:
            return self.table
        chosen = np.random.default_rng(0).permutation(len(self.table))[:rows]
        return self.table.take(np.sort(chosen))

    def as_numbers(self, table: Table) -> Table:
        """These rows with numbers as targets: classes as 0 and 1, a column for each."""
        if self.classifies:
            y = np.asarray(table.y.to_numpy() if isinstance(table.y, pl.Series) else table.y)
            labels = np.unique(y)
            one_hot = (y[:, None] == labels).astype(np.float64)
            names = tuple(f"is {v}" for v in labels)
            return Table(
                frame=table.frame, x=table.x, y=one_hot, name=table.name, target=names,
                task="regression", features=table.features,
            )  # fmt: skip
        return table

    @property
    def classifies(self) -> bool:
        """Whether the task is classification."""
        return self.folds.encoder.task == "classification"

    @cached_property
    def folds(self) -> Folds:
        """The rows split and encoded as in all tables."""
        settings = Settings(**{k: FIXED[k] for k in ("validation", "test")})
        return Folds(self.table, settings)

    @property
    def name(self) -> str:
        """What the rows are called."""
        return self.table.name

    def length(self, epochs: float) -> int:
        """So many epochs of the protocol, scaled."""
        return max(1, round(epochs * self.epochs))

    def study(
        self,
        cells: Sequence[Mapping[str, Any]],
        *,
        epochs: float,
        data: Any = None,
        every_step: bool = True,
        seeds: int | None = None,
        **fixed: Any,
    ) -> StudyResult:
        """A study of these cells under the common protocol, but for what is said here.

        With `every_step` the loss of each step is recorded, for `reached`.
        """
        own = {name for cell in cells for name in cell}
        settings = {k: v for k, v in FIXED.items() if k not in own} | fixed
        settings |= {"epochs": self.length(epochs), "probes": PROBES}
        if every_step:
            settings["every"] = 1
        made = Study(
            self.table if data is None else data, cells=list(map(dict, cells)), fixed=settings,
            seeds=self.seeds if seeds is None else seeds,
        )  # fmt: skip
        return made.run(show=self.show)


def alone(bench: Bench, sizes: Sequence[Any], epochs: int, repeats: int) -> dict[Any, np.ndarray]:
    """Seconds of so many epochs at each batch size: one run alone, in turns, compiled before."""
    fold = bench.folds[0]
    seconds: dict[Any, list[float]] = {n: [] for n in sizes}
    for repeat in range(repeats + 1):
        for n in sizes:
            settings = Settings(**(FIXED | {"batch_size": n, "epochs": epochs, "probes": PROBES}))
            spec = bench.folds.spec(settings)
            took = run([spec], fold.train, batch_size=n, epochs=epochs, every=10**9).seconds
            if repeat:  # the first compiles
                seconds[n].append(took)
    return {n: np.asarray(v) for n, v in seconds.items()}


def reached(result: StudyResult, cell: int, window: int, target: float | np.ndarray) -> np.ndarray:
    """The first step by which the mean loss of the last `window` steps is at most `target`.

    One number for each run of the cell, NaN for a run that never got there. The window is an
    epoch, so the mean is that of the loss over all training rows, each as it was when its step was
    taken. `target` may be a number for each run.
    """
    losses = step_losses(result, cell)
    runs, steps = losses.shape
    ended = result.runs.filter(pl.col("cell") == cell)
    targets = np.broadcast_to(np.asarray(target, np.float64), (runs,))
    sums = np.cumsum(np.nan_to_num(losses, nan=np.inf), axis=1)
    shifted = np.concatenate([np.zeros((runs, 1)), sums], axis=1)
    out = np.full(runs, np.nan)
    w = min(window, steps)
    with np.errstate(invalid="ignore"):
        means = (shifted[:, w:] - shifted[:, :-w]) / w
    for r in range(runs):
        hit = np.flatnonzero(means[r] <= targets[r])
        if len(hit):
            out[r] = hit[0] + w
        elif ended["outcome"][r] == "converged":
            # It ended at the target (`target_share`) between two windows.
            out[r] = ended["steps"][r]
    return out


def step_losses(result: StudyResult, cell: int) -> np.ndarray:
    """The loss of every step of a cell's runs, (runs, steps), NaN after the end of a run."""
    rows = result.trace.filter((pl.col("table") == "steps") & (pl.col("cell") == cell))
    step, stream = rows["step"].to_numpy(), rows["stream"].to_numpy()
    runs = len(result.runs) // len(result.cells)
    out = np.full((runs, int(step.max()) + 1 if len(step) else 1), np.nan)
    out[stream, step] = rows["loss"].cast(pl.Float64).to_numpy()
    return out


def first_losses(result: StudyResult, cell: int) -> np.ndarray:
    """The loss of each run's first step: before training."""
    return step_losses(result, cell)[:, 0]


def steps_per_epoch(result: StudyResult, cell: int) -> int:
    """How many steps an epoch of the cell has."""
    rows = result.trace.filter((pl.col("table") == "epochs") & (pl.col("cell") == cell))
    return int(rows["step"].min()) if len(rows) else 1  # type: ignore[arg-type]


def spread(values: np.ndarray) -> Interval:
    """The median over runs with its bootstrap interval; runs without a value are infinite."""
    return median_interval(np.asarray(values, np.float64), resamples(len(values)))


def final_losses(result: StudyResult, cell: int) -> np.ndarray:
    """Each run's mean training loss over its last epoch, NaN where it diverged."""
    return result.values("final_loss")[cell]


def loss_chart(
    result: StudyResult, names: Sequence[str], title: str, column: str = "train_loss"
) -> Chart:
    """A loss by epochs: the median over runs of each cell, with the quartiles."""
    epochs, values = result.curves(column)
    series = []
    for name, runs in zip(names, values, strict=True):
        known = ~np.isnan(runs).all(axis=0)
        low, middle, high = np.nanquantile(runs[:, known], [0.25, 0.5, 0.75], axis=0)
        series.append(
            Series(name, epochs[known].tolist(), middle.tolist(), low.tolist(), high.tolist())
        )
    note = "Median over runs, with quartiles."
    what = "training loss" if column == "train_loss" else column.replace("_", " ")
    return Chart(title, "line", "epoch", what, series, log_y=True, note=note)
