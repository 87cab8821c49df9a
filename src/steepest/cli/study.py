"""`steepest study DATA --vary ...`: which settings work, over many seeds; or so for a function."""

from __future__ import annotations

import json as jsonlib
from pathlib import Path
from typing import Annotated, Any

import typer

from steepest.cli import options, output
from steepest.cli.progress import StudyProgress
from steepest.cli.settings import with_settings
from steepest.core.errors import FileError, UsageError

SHOWN = 20
"""Cells that the table on the terminal shows; all are in the directory."""


@with_settings
def study(
    data: Annotated[str | None, typer.Argument(
        metavar="DATA|EXPR", show_default=False, help="Data, as for `steepest train`; or a formula "
        "such as 'x^2 + 10*y^2', or a name that `steepest functions` lists.")] = None,
    vary: Annotated[list[str] | None, typer.Option(
        metavar="NAME=LEVELS", help="A setting and its levels: optimizer=sgd,adam or "
        "learning_rate=1e-4:1:log9 (lin6 for even steps); hidden=32,64x64. May be repeated.",
        rich_help_panel="Study")] = None,
    cells: Annotated[Path | None, typer.Option(
        metavar="FILE.json", help="A list of settings to compare, instead of --vary: "
        "\\[{\"optimizer\": \"adam\"}, ...].", rich_help_panel="Study")] = None,
    design: Annotated[str, typer.Option(
        help="All combinations (grid), or random:50 for 50 of them.",
        rich_help_panel="Study")] = "grid",
    seeds: Annotated[int, typer.Option(
        min=1, help="Runs of each cell.", rich_help_panel="Study")] = 10,
    seed: options.Seed = 0,
    folds: Annotated[int | None, typer.Option(
        help="Cross-validation folds, each a run.", rich_help_panel="Study")] = None,
    metric: Annotated[str | None, typer.Option(
        help="By what cells are compared \\[validation_loss; final_value for functions].",
        show_default=False, rich_help_panel="Study")] = None,
    halving: Annotated[bool, typer.Option(
        "--halving", help="Drop the worse two thirds of the cells at each rung.",
        rich_help_panel="Study")] = False,
    target: options.Target = None,
    test: options.Test = None,
    weights: options.Weights = None,
    drop: options.Drop = None,
    task: options.Task = None,
    encoding: options.Encoding = None,
    starts: Annotated[int | None, typer.Option(
        min=1, help="Starting points \\[10].", show_default=False,
        rich_help_panel="Functions")] = None,
    bounds: Annotated[str | None, typer.Option(
        metavar="-2:2,-1:3", help="Where starting points are drawn; one interval for all, or one a "
        "variable.", rich_help_panel="Functions")] = None,
    start: Annotated[str | None, typer.Option(
        metavar="3,-2", help="Draw starting points around this one instead.",
        rich_help_panel="Functions")] = None,
    spread: Annotated[float | None, typer.Option(
        help="Standard deviation around --start \\[1].", show_default=False,
        rich_help_panel="Functions")] = None,
    max_steps: Annotated[int | None, typer.Option(
        min=1, help="Steps at most \\[1000].", show_default=False,
        rich_help_panel="Functions")] = None,
    dimensions: Annotated[int | None, typer.Option(
        metavar="N", help="Number of variables, where any will do.",
        rich_help_panel="Functions")] = None,
    out: Annotated[Path | None, typer.Option(
        "-o", "--out", metavar="DIR", help="Where to put report.html, figures and tables "
        "\\[runs/study-DATA].", show_default=False)] = None,
    resume: Annotated[Path | None, typer.Option(
        metavar="DIR", help="Go on with the study in DIR that was killed or interrupted.")] = None,
    overwrite: Annotated[bool, typer.Option(help="Replace the study that DIR holds.")] = False,
    dry_run: Annotated[bool, typer.Option(
        "--dry-run", help="Show the plan alone: cells, runs, programs, time and memory.")] = False,
    json: options.Json = False,
    settings: Any = None,
    given: dict[str, Any] | None = None,
) -> int:  # fmt: skip
    """Compare settings over many seeds: what works best, how surely, and what each one does."""
    fixed = dict(given or {}) | ({"seed": seed} if seed else {})
    for_data = {"target": target, "test": test, "weights": weights, "drop": tuple(drop or ()),
                "task": task, "encoding": encoding}  # fmt: skip
    for_data = {k: v for k, v in for_data.items() if v}
    for_functions = {"starts": starts, "start": start, "spread": spread, "bounds": bounds,
                     "max_steps": max_steps, "dimensions": dimensions}  # fmt: skip
    for_functions = {k: v for k, v in for_functions.items() if v is not None}
    if resume is not None:
        asked = [data, vary, cells, folds, metric, halving, out, overwrite, *fixed, *for_data,
                 *for_functions, design != "grid", seeds != 10]  # fmt: skip
        if any(v for v in asked):
            raise UsageError("--resume goes on with the study as it was begun: give DIR alone.")
        made = _resumed(resume)
    elif data is None:
        raise UsageError("DATA is missing: give a name such as digits, a file, or a formula.")
    else:
        common = {"vary": _vary(vary), "cells": _cells(cells), "design": design, "metric": metric}
        if is_function(data):
            only = {**for_data, "folds": folds, "halving": halving}
            _refuse(only, f"{data!r} is a function")
            made = _function_study(data, seed, fixed, for_functions, common)
        else:
            _refuse(for_functions, f"{data!r} is data, not a function")
            made = _data_study(data, fixed, for_data, seeds, folds, halving, common)
    if dry_run:
        return _dry(made, json)
    return _run(made, resume or out, resume is not None, overwrite, json)


def is_function(text: str) -> bool:
    """Whether `text` means a function rather than data; what is known as data is data."""
    import os

    from steepest.core.errors import FormulaError
    from steepest.data.bundled import BUNDLED
    from steepest.data.synthetic import SYNTHETIC
    from steepest.functions import surfaces
    from steepest.functions.parse import parse

    if text in BUNDLED or text.partition(":")[0] in SYNTHETIC or os.path.exists(text):
        return False
    if surfaces.find(text) is not None:
        return True
    module, colon, name = text.partition(":")
    if colon and module.replace(".", "").replace("_", "").isalnum() and name.isidentifier():
        return True
    if text.isidentifier() or text.startswith("sql:") or os.path.splitext(text)[1][1:].isalpha():
        return False
    try:
        parse(text)
    except FormulaError:
        # What has signs of arithmetic was meant as a formula, and its error says where it is wrong.
        return any(sign in text for sign in "^*+()=") and os.sep not in text
    return True


def _data_study(data, fixed, where, seeds, folds, halving, common) -> Any:
    from steepest.study import Study

    if common["vary"] is None and common["cells"] is None:
        raise UsageError("nothing is varied: add --vary learning_rate=1e-4:1:log9, or --cells.")
    return Study(
        data, fixed=fixed, seeds=seeds, folds=folds, halving=halving, data_options=where, **common
    )


def _function_study(formula, seed, fixed, given, common) -> Any:
    from steepest.cli.functions_given import given as read
    from steepest.study.functions import FunctionStudy

    f = read(formula, given.pop("dimensions", None))
    fixed.pop("seed", None)
    if "start" in given:
        given["start"] = f.start_at(given["start"])
    if "bounds" in given:
        given["bounds"] = options.bounds(given["bounds"], "--bounds")
    elif "start" not in given:
        if not f.names:
            raise UsageError("a Python function does not say where to start: give --start.")
        if f.bounds is not None:
            given["bounds"] = f.bounds
        else:
            output.hint("No --bounds and no --start given: starts lie between -2 and 2.")
    if common.pop("cells") is not None:
        raise UsageError("--cells is for studies of data; vary optimizer and learning_rate.")
    return FunctionStudy(
        f.function, formula=formula, names=f.names, fixed=fixed, seed=seed, **given, **common
    )


def _resumed(directory: Path) -> Any:
    from steepest.study import Study
    from steepest.study import directory as place
    from steepest.study.functions import FunctionStudy

    known = place.read(directory)
    if "formula" not in known:
        return Study.of(directory)
    from steepest.cli.functions_given import given as read

    f = read(known["formula"], len(known.get("names", ())) or None)
    return FunctionStudy.of(directory, f.function)


def _dry(made: Any, json: bool) -> int:
    plan = made.plan
    if json:
        output.emit({
            "cells": len(plan.cells), "runs": plan.runs, "programs": plan.programs,
            "blocks": plan.blocks, "seconds": plan.seconds, "bytes": plan.memory,
        })  # fmt: skip
    else:
        output.say(plan.describe())
    return 0


def _run(made: Any, out: Path | None, resume: bool, overwrite: bool, json: bool) -> int:
    from dataclasses import replace

    from steepest.report import study as report
    from steepest.store.run_directory import free_directory

    output.hint(made.plan.describe())
    facts = made.facts()
    name = facts.get("data") or facts["formula"]
    place = out or free_directory(f"study-{name[:40]}")
    try:
        with StudyProgress("Study") as progress:
            result = made.run(place, resume=resume, overwrite=overwrite, show=progress.show)
    except KeyboardInterrupt:
        output.hint(
            f"What is complete is kept; `steepest study --resume {place}` goes on with it.",
            style=None,
        )
        raise
    if not result.facts:
        result = replace(result, facts=facts)
    page = report.write(result, place)
    bad = int((result.runs["outcome"] == "diverged").sum())
    if json:
        output.emit(_told(result) | {"diverged": bad, "directory": place, "page": page})
    else:
        _report(result, page)
    return 3 if bad == len(result.runs) else 0


def _report(result: Any, page: Path) -> None:
    names, metric = list(result.factors), result.metric.replace("_", " ")
    frame = result.summary()
    rows = [
        [*(r[n] for n in names), *_shown(r), f"{r['diverged']} of {r['runs']}"]
        for r in frame.head(SHOWN).iter_rows(named=True)
    ]
    columns = [*names, f"median {metric}", "95 %", "mean", "diverged"]
    output.table(columns, rows, best=0)
    if len(frame) > SHOWN:
        output.hint(f"The best {SHOWN} of {output.count(len(frame))} cells; all are in "
                    f"{page.parent / 'summary.csv'}.")  # fmt: skip
    output.say(result.sentence())
    output.say(f"The report is {page}.")


def _shown(row: dict[str, Any]) -> list[Any]:
    """The median of a cell with its interval, and its mean."""
    import math

    if not math.isfinite(row["median"]):
        return ["diverged", "–", "–"]
    low, high = (output.number(row[k], 3) for k in ("median_low", "median_high"))
    return [output.number(row["median"]), f"{low} to {high}", output.number(row["mean"])]


def _told(result: Any) -> dict[str, Any]:
    return {
        "metric": result.metric, "sentence": result.sentence(), "facts": result.facts,
        "seconds": result.seconds, "runs": len(result.runs),
        "summary": result.summary().to_dicts(), "compare": result.compare().to_dicts(),
        "effects": result.effects().to_dicts(), "interactions": result.interactions().to_dicts(),
    }  # fmt: skip


def _vary(items: list[str] | None) -> dict[str, str] | None:
    if not items:
        return None
    out: dict[str, str] = {}
    for item in items:
        name, equals, levels = item.partition("=")
        name = name.strip().replace("-", "_")
        if not equals or not name or not levels.strip():
            raise UsageError(
                f"--vary: {item!r} has no levels; write it like learning_rate=1e-4:1:log9."
            )
        if name in out:
            raise UsageError(f"--vary names {name} twice; give all its levels at once.")
        out[name] = levels
    return out


def _cells(file: Path | None) -> list[dict[str, Any]] | None:
    if file is None:
        return None
    try:
        found = jsonlib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise FileError(f"--cells: {file} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise UsageError(f"--cells: {file} is not JSON ({error}).") from error
    if not isinstance(found, list) or not all(isinstance(c, dict) for c in found) or not found:
        raise UsageError(
            f'--cells: {file} must hold a list of settings, like [{{"optimizer": "adam"}}].'
        )
    return found


def _refuse(values: dict[str, Any], why: str) -> None:
    wrong = [k for k, v in values.items() if v]
    if wrong:
        option = "--" + wrong[0].replace("_", "-")
        raise UsageError(f"{option} has no meaning here: {why}; leave it out.")
