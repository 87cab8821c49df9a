"""`steepest minimize EXPR`: descend a function, and see where it ended and why."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from steepest.cli import options, output
from steepest.cli.functions_given import Given, given
from steepest.core.errors import UsageError
from steepest.core.outcome import Outcome

HEAD, TAIL = 6, 4
PATH_VARIABLES = 50


def minimize(
    formula: Annotated[str, typer.Argument(
        metavar="EXPR", help="A formula such as 'x^2 + x*y + y^2', a name that `steepest "
        "functions` lists, or module:function for a Python function of one vector.")],
    start: Annotated[str | None, typer.Option(
        metavar="3,-2", help="Where to start; variables in alphabetical order.")] = None,
    optimizer: Annotated[str | None, typer.Option(
        help="Update rule or method \\[lbfgs; gd if a learning rate is given].")] = None,
    learning_rate: Annotated[str | None, typer.Option(
        metavar="RATE", help="Step size, or auto for the best fixed one from curvature.")] = None,
    momentum: Annotated[float | None, typer.Option(help="For the rules that have one.")] = None,
    set_: Annotated[list[str] | None, typer.Option(
        "--set", help="A further setting of the method, as name=value.")] = None,
    max_steps: Annotated[int, typer.Option(min=1, help="Steps at most.")] = 10_000,
    tolerance: Annotated[float, typer.Option(
        min=0.0, help="Gradient norm at which the descent has converged.")] = 1e-8,
    bounds: Annotated[str | None, typer.Option(
        metavar="-2:2,-1:3", help="Stay within these bounds (by projection).")] = None,
    starts: Annotated[int | None, typer.Option(
        min=1, help="Descend from this many random points within the bounds.")] = None,
    dimensions: Annotated[int | None, typer.Option(
        metavar="N", help="Number of variables, where any will do.")] = None,
    gradient: Annotated[str, typer.Option(
        metavar="HOW", help="auto, by JAX; finite-difference for a Python function that only "
        "NumPy can compute.")] = "auto",
    seed: options.Seed = 0,
    plot: Annotated[Path | None, typer.Option(
        metavar="FILE", help="Draw contours, path and loss curve (png, svg, pdf).")] = None,
    surface: Annotated[Path | None, typer.Option(
        metavar="FILE", help="Draw the path on the surface in 3-D.")] = None,
    animate: Annotated[Path | None, typer.Option(
        metavar="FILE.gif", help="Draw the descent as a moving picture.")] = None,
    csv: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the path.")] = None,
    json: options.Json = False,
) -> int:  # fmt: skip
    """Minimise a function by gradient descent: the path, where it ended, and why."""
    from steepest.engine.minimize import minimize as descend

    f = given(formula, dimensions)
    box = None if bounds is None else list(options.bounds(bounds, "--bounds"))
    f.by_jax = gradient != "finite-difference"
    x0 = None if starts is not None else f.start_at(start)
    if box is not None and f.names:
        box = _box(box, f.size)
    _check_files(f, plot, surface, animate, csv, starts)
    settings: dict[str, Any] = dict(options.pairs(set_ or (), "--set"))
    if momentum is not None:
        settings["momentum"] = momentum
    rate = _rate(learning_rate)
    if starts is not None:
        if box is None and f.bounds is None:
            raise UsageError("--starts draws from --bounds; give them, as in --bounds -5:5,-5:5.")
        many = descend(
            f.function, None, optimizer=optimizer, learning_rate=rate, bounds=box or f.bounds,
            starts=starts, seed=seed, max_steps=max_steps, tol=tolerance, gradient=gradient,
            **settings,
        )  # fmt: skip
        f.name_variables(np.size(many.best[0]))
        return _many(f, many, json)
    record = f.size <= PATH_VARIABLES
    probes = ("loss", "gradient_norm", "step_norm", *(("params",) if record else ()))
    result = descend(
        f.function, x0, optimizer=optimizer, learning_rate=rate, bounds=box, max_steps=max_steps,
        tol=tolerance, probes=probes, gradient=gradient, **settings,
    )  # fmt: skip
    path = _path(f, result) if record else None
    ending = _ending(f, result, box)
    if csv is not None:
        _write_csv(csv, f, path)
    f.draw({_label(result): path["points"]} if path else {}, plot, surface, animate)
    wrong = _wrong(result, ending) if f.by_jax else ()
    if json:
        findings = [finding.to_dict() for finding in wrong]
        output.emit(_as_json(f, result, ending) | {"findings": findings})
    else:
        _report(f, result, path, ending, wrong)
    return 3 if result.outcome is Outcome.DIVERGED else 0


def _rate(text: str | None) -> float | str | None:
    if text is None or text == "auto":
        return text
    return options.floats(text, "--learning-rate", length=1)[0]


def _box(box: list, size: int) -> list:
    """An interval a variable; a single one holds for all."""
    if len(box) not in (1, size):
        raise UsageError(
            f"--bounds holds {len(box)} intervals, but there are {size} variables; give one for "
            "all, or one a variable."
        )
    return box * size if len(box) == 1 else box


def _check_files(f: Given, plot, surface, animate, csv, starts) -> None:
    if starts is not None:
        if plot or surface or animate or csv:
            raise UsageError("--plot, --surface, --animate and --csv show one descent; "
                             "leave out --starts.")  # fmt: skip
        return
    if plot and f.size > 2:
        raise UsageError(f"--plot draws one or two variables, but there are {f.size}.")
    for flag, file in (("--surface", surface), ("--animate", animate)):
        if file and f.size != 2:
            raise UsageError(f"{flag} draws two variables, but there are {f.size}.")
    if csv and f.size > PATH_VARIABLES:
        raise UsageError(
            f"--csv writes the path of up to {PATH_VARIABLES} variables, not {f.size}."
        )


def _label(result: Any) -> str:
    return type(result.optimizer).__name__


def _path(f: Given, result: Any) -> dict[str, Any]:
    """The recorded points, the last one added where the record does not reach it."""
    steps = result.trace.steps
    points = np.asarray(steps["params"])[:, 0, 0].reshape(-1, f.size)
    values = np.asarray(steps["loss"])[:, 0, 0]
    norms = np.asarray(steps["gradient_norm"])[:, 0, 0]
    numbers = np.asarray(steps["step"])
    keep = ~np.isnan(points).any(axis=1)
    out = {"step": numbers[keep], "points": points[keep], "f": values[keep], "g": norms[keep]}
    last = np.ravel(result.last_x)
    if not len(out["step"]) or (out["step"][-1] < result.nit and np.isfinite(last).all()):
        out["step"] = np.append(out["step"], result.nit)
        out["points"] = np.vstack([out["points"], last])
        out["f"] = np.append(out["f"], f.value(last))
        out["g"] = np.append(out["g"], np.linalg.norm(f.slope(last)))
    return out


def _ending(f: Given, result: Any, box: list | None) -> dict[str, Any]:
    """What kind of point it ended at, and whether the learning rate was above the limit."""
    from steepest.objectives.curvature import limit, spectrum

    out: dict[str, Any] = {"kind": None, "limit": None, "exact": False, "sentence": ""}
    if f.size > 500 or not f.by_jax:
        return out
    here = f.spectrum(spectrum, np.ravel(result.x))
    size = max(here.sharpness, 1e-300)
    flat = 1e-9 * size
    if math.isfinite(here.sharpness) and result.outcome is not Outcome.DIVERGED:
        if _at_bounds(np.ravel(result.x), box):
            out["kind"] = "minimum on the bounds" if result.success else None
        elif here.low > flat:
            out["kind"] = "minimum"
        elif here.high < -flat:
            out["kind"] = "maximum"
        elif here.low < -flat and here.high > flat:
            out["kind"] = "saddle"
        else:
            out["kind"] = "degenerate"
    rate = getattr(getattr(result.optimizer, "learning_rate", None), "learning_rate", None)
    if rate is None or not math.isfinite(here.sharpness) or here.sharpness == 0:
        return out
    name = {"GradientDescent": "gd", "Momentum": "momentum", "Nesterov": "nesterov"}.get(
        type(result.optimizer).__name__, ""
    )
    found = limit(name, here.sharpness, float(getattr(result.optimizer, "momentum", 0.9)))
    if found is None:
        return out
    elsewhere = f.spectrum(spectrum, np.ravel(result.x) + 1.0)
    exact = np.allclose([here.low, here.high], [elsewhere.low, elsewhere.high], rtol=1e-6)
    out |= {"limit": found, "exact": bool(exact)}
    if result.outcome is Outcome.DIVERGED and float(rate) > found:
        why = (
            "exact, since this is a quadratic" if exact else "from the curvature at the best point"
        )
        out["sentence"] = (
            f"The learning rate {output.number(float(rate))} exceeds the stable limit "
            f"{output.number(found, 3)} ({why})."
        )
    return out


def _at_bounds(x: np.ndarray, box: list | None) -> bool:
    """Whether some variable is at one of its bounds, where the Hessian does not decide."""
    return box is not None and any(v in pair for v, pair in zip(x.tolist(), box, strict=True))


def _as_json(f: Given, result: Any, ending: dict[str, Any]) -> dict[str, Any]:
    message = " ".join(s for s in (result.message, ending["sentence"]) if s)
    return {
        "outcome": result.outcome.text,
        "message": message,
        "x": dict(zip(f.names, np.ravel(result.x).tolist(), strict=True)),
        "fun": result.fun,
        "steps": result.nit,
        "gradient_norm": result.gradient_norm,
        "evaluations": result.nfev,
        "kind": ending["kind"],
        "stable_limit": ending["limit"],
        "optimizer": repr(result.optimizer),
        "seconds": round(result.seconds, 4),
    }


def _wrong(result: Any, ending: dict[str, Any]) -> tuple[Any, ...]:
    """What is wrong, worst first; looked for where the descent did not end at a minimum."""
    if result.success and ending["kind"] not in ("saddle", "maximum"):
        return ()
    return tuple(result.diagnose())


def _advice(finding: Any) -> str:
    """The first change that a finding suggests, as an option of this command."""
    from steepest.diagnose.finding import as_options

    if not finding.changes:
        return ""
    names = {"tol": "tolerance"}
    return f" Try {as_options({names.get(k, k): v for k, v in finding.changes[0].items()})}."


def _report(
    f: Given,
    result: Any,
    path: dict[str, Any] | None,
    ending: dict[str, Any],
    wrong: tuple[Any, ...] = (),
) -> None:
    output.say(f.title, style="bold")
    if path is not None and f.size <= 8:
        n = len(path["step"])
        rows: list[list[Any]] = []
        for i in range(n):
            if n > HEAD + TAIL + 1 and HEAD <= i < n - TAIL:
                if i == HEAD:
                    rows.append(["..."] + [""] * (f.size + 2))
                continue
            cells = [*path["points"][i], path["f"][i], path["g"][i]]
            rows.append([str(int(path["step"][i])), *(_cell(v) for v in cells)])
        output.table(["step", *f.names, "f", "|gradient|"], rows)
        output.say()
    where = ", ".join(
        f"{n} = {output.number(v, 6)}"
        for n, v in zip(f.names[:6], np.ravel(result.x)[:6].tolist(), strict=False)
    )
    where += ", ..." if f.size > 6 else ""
    kind = {"degenerate": "a point with zero curvature in some direction"}.get(
        ending["kind"], f"a {ending['kind']}"
    )
    if result.outcome is Outcome.DIVERGED:
        output.say(f"Best point: {where}, f = {output.number(result.fun, 6)}")
    else:
        output.say(
            f"Ended at {where}, f = {output.number(result.fun, 6)}"
            # Where the steps were used up there is none of these yet.
            + (f": {kind}." if ending["kind"] and result.outcome is not Outcome.BUDGET else ".")
        )
    output.say(result.message)
    for finding in wrong[:1]:
        output.say((ending["sentence"] or finding.sentence) + _advice(finding))
    if not wrong and ending["sentence"]:
        output.say(ending["sentence"])
    if not wrong and result.outcome is Outcome.BUDGET:
        output.hint("More steps (--max-steps), a larger learning rate or another method may help.")
    output.hint(f"{output.count(result.nfev)} evaluations, {output.duration(result.seconds)}.")


def _cell(v: float) -> str:
    return "" if np.isnan(v) else output.number(float(v), 5)


def _many(f: Given, found: Any, json: bool) -> int:
    distinct = found.distinct()
    if json:
        output.emit({
            "starts": len(found), "converged": int(found.success.sum()),
            "fun": found.best[1], "x": dict(zip(f.names, np.ravel(found.best[0]), strict=True)),
            "minima": [{**d, "x": dict(zip(f.names, np.ravel(d["x"]), strict=True))}
                       for d in distinct],
            "seconds": round(found.seconds, 4),
        })  # fmt: skip
        return 0
    rows = [
        [*map(float, np.ravel(d["x"])[:6]), d["fun"], d["count"], f"{d['share']:.1%}"]
        for d in distinct[:20]
    ]
    output.table(
        [*f.names[:6], "f", "reached by", "share"],
        rows,
        title=f"{len(distinct)} distinct minima from {output.count(len(found))} starts",
    )
    if len(distinct) > 20:
        output.hint(f"The 20 lowest of {len(distinct)}; --json has all.")
    left = len(found) - int(found.success.sum())
    if left:
        output.say(f"{output.count(left)} starts did not converge.")
    return 0


def _write_csv(file: Path, f: Given, path: dict[str, Any] | None) -> None:
    import polars as pl

    from steepest.core import atomic

    assert path is not None
    columns = {"step": path["step"]} | dict(zip(f.names, path["points"].T, strict=True))
    frame = pl.DataFrame(columns | {"f": path["f"], "gradient_norm": path["g"]})
    atomic.write_bytes(file, frame.write_csv().encode())
