"""`steepest race EXPR`: several optimizers on one function, ranked."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from steepest.cli import options, output
from steepest.cli.functions_given import given
from steepest.core.errors import UsageError


def race(
    formula: Annotated[str, typer.Argument(
        metavar="EXPR", help="A formula such as 'x^2 + x*y + y^2', a name that `steepest "
        "functions` lists, or module:function.")],
    optimizers: Annotated[str, typer.Option(
        help="Who takes part.")] = "gd,momentum,nesterov,adagrad,rmsprop,adam,lbfgs",
    start: Annotated[str | None, typer.Option(
        metavar="3,-2", help="Where to start; variables in alphabetical order.")] = None,
    learning_rate: Annotated[float | None, typer.Option(
        help="One learning rate for all \\[each one's own default].")] = None,
    tune: Annotated[bool, typer.Option(
        "--tune", help="Give each its own best learning rate, found by a sweep.")] = False,
    max_steps: Annotated[int, typer.Option(min=1, help="Steps at most.")] = 10_000,
    tolerance: Annotated[float, typer.Option(
        min=0.0, help="Gradient norm at which a descent has converged.")] = 1e-8,
    dimensions: Annotated[int | None, typer.Option(
        metavar="N", help="Number of variables, where any will do.")] = None,
    plot: Annotated[Path | None, typer.Option(
        metavar="FILE", help="Draw all paths and loss curves (png, svg, pdf).")] = None,
    animate: Annotated[Path | None, typer.Option(
        metavar="FILE.gif", help="Draw the race as a moving picture.")] = None,
    json: options.Json = False,
) -> int:  # fmt: skip
    """Race optimizers down one function, each at its own learning rate with --tune."""
    from steepest.engine.race import race as run_race

    f = given(formula, dimensions)
    names = options.names(optimizers)
    if not names:
        raise UsageError("--optimizers names nobody; write them like gd,adam,lbfgs.")
    if tune and learning_rate is not None:
        raise UsageError("--tune and --learning-rate exclude each other; leave one out.")
    if (plot and f.size > 2) or (animate and f.size != 2):
        raise UsageError(f"pictures need two variables, but there are {f.size}.")
    x0 = f.start_at(start)
    draws = plot is not None or animate is not None
    lanes = run_race(
        f.function, x0, names, learning_rate=learning_rate, tune=tune, max_steps=max_steps,
        tol=tolerance, probes=("loss", *(("params",) if draws else ())),
    )  # fmt: skip
    if draws:
        paths = {lane.optimizer: _points(lane.result, f.size) for lane in lanes}
        f.draw(paths, plot, None, animate)
    rows = [_row(i, lane) for i, lane in enumerate(lanes, 1)]
    if json:
        output.emit({"start": dict(zip(f.names, x0, strict=True)), "ranking": rows})
        return 0
    output.say(f.title, style="bold")
    output.table(
        ["", "optimizer", "learning rate", "outcome", "steps", "evaluations", "f", "|gradient|"],
        [[str(r["rank"]), r["optimizer"], _rate(r), r["outcome"], r["steps"], r["evaluations"],
          r["fun"], r["gradient_norm"]] for r in rows],
        best=0,
    )  # fmt: skip
    if learning_rate is not None:
        output.hint("One learning rate for all is unfair: --tune gives each its own best one.")
    return 0


def _points(result: Any, size: int) -> np.ndarray:
    points = np.asarray(result.trace.steps["params"])[:, 0, 0].reshape(-1, size)
    points = points[np.isfinite(points).all(axis=1)]
    return np.vstack([points, np.ravel(result.x)])


def _row(rank: int, lane: Any) -> dict[str, Any]:
    r = lane.result
    return {
        "rank": rank, "optimizer": lane.optimizer, "learning_rate": lane.learning_rate,
        "tuned": lane.tuned, "outcome": r.outcome.text, "steps": r.nit, "evaluations": r.nfev,
        "fun": r.fun, "gradient_norm": r.gradient_norm, "message": r.message,
    }  # fmt: skip


def _rate(row: dict[str, Any]) -> str:
    if row["learning_rate"] is None:
        return "–"
    return output.number(row["learning_rate"], 3) + (" (tuned)" if row["tuned"] else "")
