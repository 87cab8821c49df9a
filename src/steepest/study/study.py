"""`Study`: many training runs as a few compiled programs, and what they say."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from steepest.core.errors import UsageError, suggest
from steepest.core.record import from_dict, replace, to_dict
from steepest.data.dataset import Table
from steepest.data.sources import load
from steepest.engine.settings import Settings, with_recipe
from steepest.study import directory as place
from steepest.study.conduct import conduct
from steepest.study.execute import Part, Show, execute
from steepest.study.folds import SETTINGS, Folds
from steepest.study.grid import Cell, changes, design, factors, known
from steepest.study.plan import Plan, plan
from steepest.study.result import StudyResult

METRICS = ("loss", "accuracy", "r2", "rmse", "mae")


class Study:
    """Train with each combination of settings from many seeds, and compare.

    Within a seed all cells share the initial weights and the order of mini-batches (common random
    numbers), so that differences between them are paired. Cells that differ in numbers alone are
    one compiled program.

    Args:
      data: as for `train`: a name, a file, a frame, `(x, y)`, or a `Table`.
      model: as for `train`.
      vary: setting -> levels, as a list or as text: `"1e-4:1:log9"`, `"sgd,adam"`.
        `optimizer.NAME` and `schedule.NAME` reach settings of the rule and of the schedule.
      fixed: settings that are the same in all cells.
      cells: a list of dicts of settings instead of `vary`, for a design of one's own.
      design: `grid`, or `random:N` for N of its cells.
      seeds: how many, or which.
      folds: cross-validation folds, each a run; None: one split into training and validation rows.
      metric: by which cells are compared: `validation_loss`, `test_accuracy`, `final_loss`, ...
      halving: drop two thirds of the cells at each rung of a third of the steps that remain.
      data_options: further arguments of `load`, such as `target`.

    Raises: UsageError for a wrong setting in any cell, DataError for the data, before any run.

    >>> study = Study("iris", vary={"learning_rate": [0.01, 0.1]}, seeds=3,
    ...               fixed={"optimizer": "sgd", "hidden": (8,), "epochs": 5})
    >>> study.plan.runs, study.plan.programs
    (6, 1)
    >>> study.run().summary()["learning_rate"].to_list()
    ['0.1', '0.01']
    """

    def __init__(
        self,
        data: Any,
        model: Any = "mlp",
        vary: Mapping[str, Any] | None = None,
        fixed: Mapping[str, Any] | None = None,
        *,
        cells: Sequence[Cell] | None = None,
        design: str = "grid",
        seeds: int | Sequence[int] = 10,
        folds: int | None = None,
        metric: str | None = None,
        halving: bool = False,
        data_options: Mapping[str, Any] | None = None,
    ):
        self.data, self.data_options = data, dict(data_options or {})
        given = dict(fixed or {})
        if not isinstance(model, str) or model != "mlp":
            given["model"] = model
        self.fixed, self.halving, self.folds = given, halving, folds
        self.cells = _cells(vary, cells, design, int(given.get("seed", 0)))
        clash = sorted({name for cell in self.cells for name in cell} & set(given))
        if clash and vary is not None:
            raise UsageError(f"{clash[0]} is both varied and fixed; give it once.")
        named = {name: None for cell in self.cells for name in changes(cell)}
        used = {k: v for k, v in with_recipe(named | given).items() if k not in named or k in given}
        self.settings = replace(Settings(), **used)
        self.seeds = _seeds(seeds, self.settings.seed)
        if folds is not None and (isinstance(folds, bool) or not isinstance(folds, int)):
            raise UsageError(f"folds={folds!r} must be a whole number of at least 2, or None.")
        self.table = data if isinstance(data, Table) else load(data, **self.data_options)
        self._folds: dict[Any, Folds] = {}
        self.plan: Plan = plan(self.cells, self.settings, self._ready, self.seeds, folds)
        self.metric = self._metric(metric)

    def _ready(self, settings: Settings) -> Folds:
        key = tuple(getattr(settings, name) for name in SETTINGS)
        if key not in self._folds:
            self._folds[key] = Folds(self.table, settings, self.folds)
        return self._folds[key]

    def _metric(self, metric: str | None) -> str:
        first = self.plan.groups[0]
        parts = ["train", *[p for p in ("validation", "test") if getattr(first.folds[0], p)]]
        if metric is None:
            return "validation_loss" if "validation" in parts else "train_loss"
        known = [f"{p}_{m}" for p in ("train", "validation", "test") for m in METRICS]
        known += ["final_loss", "steps"]
        if metric not in known:
            raise UsageError(f"metric={metric!r} is not known; {suggest(metric, known)}")
        part = metric.partition("_")[0]
        if part in ("validation", "test") and part not in parts:
            raise UsageError(f"metric={metric!r} needs {part} rows; set {part} above 0.")
        return metric

    def run(
        self,
        directory: str | os.PathLike[str] | None = None,
        *,
        resume: bool = False,
        overwrite: bool = False,
        show: Show | None = None,
        records: int | None = None,
    ) -> StudyResult:
        """Run all cells from all seeds.

        With a `directory` each block is kept as it completes, and `resume=True` goes on with what
        is there; the tables are the same as of an undisturbed study. `show` is told the progress.
        `records`: step records kept for each run. KeyboardInterrupt, once the block is ended, if
        the user presses Ctrl-C.
        """

        def parts(skip: frozenset[int]) -> Iterator[Part]:
            return execute(self.plan, skip=skip, halving=self.halving, records=records, show=show)

        return conduct(self, parts, directory, resume=resume, overwrite=overwrite)

    def facts(self) -> dict[str, Any]:
        """What a report says about the study besides its results."""
        folds = self.plan.groups[0].folds[0]
        sizes = {p: 0 if a is None else len(a) for p, a in vars(folds).items() if p != "encoder"}
        return {
            "data": self.table.name, "rows": sizes, "seeds": list(self.seeds), "folds": self.folds,
            "fixed": {k: _plain(v) for k, v in self.fixed.items()}, "metric": self.metric,
        }  # fmt: skip

    def describe(self) -> dict[str, Any]:
        """All that reproduces the study, JSON-ready; objects of Python by their `repr`."""
        from steepest import __version__

        options = {k: _plain(v) for k, v in self.data_options.items()}
        return {
            "steepest": __version__,
            "data": self.data if isinstance(self.data, str) else self.table.name,
            "data_options": options,
            "fingerprint": dict(self.table.source.fingerprint),
            "settings": {k: _plain(v) for k, v in vars(self.settings).items()},
            "cells": [{k: _plain(v) for k, v in cell.items()} for cell in self.cells],
            "seeds": list(self.seeds),
            "folds": self.folds,
            "metric": self.metric,
            "halving": self.halving,
        }

    @classmethod
    def of(cls, directory: str | os.PathLike[str]) -> Study:
        """The study that a directory describes, ready to go on; its data must be a name or file."""
        path = Path(directory)
        known = place.read(path)
        try:
            settings = {k: from_dict(v) for k, v in known["settings"].items()}
            cells = [{k: from_dict(v) for k, v in cell.items()} for cell in known["cells"]]
            options = {k: from_dict(v) for k, v in known["data_options"].items()}
            study = cls(
                known["data"], cells=cells, fixed=settings, seeds=known["seeds"],
                folds=known["folds"], metric=known["metric"], halving=known["halving"],
                data_options=options,
            )  # fmt: skip
        except (KeyError, TypeError, AttributeError) as error:
            raise UsageError(
                f"{path / place.STUDY} is not one of this version ({error})."
            ) from None
        return study


def _cells(vary, cells, kind: str, seed: int) -> tuple[Cell, ...]:
    if (vary is None) == (cells is None):
        raise UsageError("give either what to vary, or a list of cells.")
    if vary is not None:
        return tuple(design(kind, factors(vary), seed))
    out = []
    for cell in cells:
        if not isinstance(cell, Mapping):
            raise UsageError(f"cells: {cell!r} must be a dict of settings.")
        for name in cell:
            known(name)
        out.append({k: tuple(v) if isinstance(v, list) else v for k, v in cell.items()})
    return tuple(out)


def _seeds(seeds: int | Sequence[int], first: int) -> tuple[int, ...]:
    if isinstance(seeds, int) and not isinstance(seeds, bool):
        if seeds < 1:
            raise UsageError(f"seeds must be at least 1, got {seeds}.")
        return tuple(range(first, first + seeds))
    chosen = tuple(int(s) for s in seeds)  # type: ignore[union-attr]
    if not chosen or len(set(chosen)) < len(chosen):
        raise UsageError(f"seeds must be different numbers, got {seeds!r}.")
    return chosen


def _plain(value: Any) -> Any:
    try:
        return to_dict(value)
    except UsageError:
        return repr(value)
