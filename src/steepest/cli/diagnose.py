"""`steepest diagnose DIR`: what is wrong with a run, measured, and what would cure it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from steepest.cli import options, output


def diagnose(
    directory: Annotated[Path, typer.Argument(
        metavar="DIR", help="The directory of a run of `steepest train`.")],
    quick: Annotated[bool, typer.Option(
        "--quick", help="Look at what was recorded alone, without measuring.")] = False,
    cure: Annotated[bool, typer.Option(
        "--cure", help="Run again with one change each, and tell which helps.")] = False,
    seeds: Annotated[int, typer.Option(
        min=1, help="Seeds of each trial of --cure.")] = 3,
    eigenvalues: Annotated[int | None, typer.Option(
        min=1, metavar="N", help="Show the N largest and smallest of the Hessian.")] = None,
    rows: Annotated[int | None, typer.Option(
        min=1, help="Training rows by which --eigenvalues measures \\[all].")] = None,
    json: options.Json = False,
) -> int:  # fmt: skip
    """Say what is wrong with a trained run, with measurements, and what would cure it."""
    from steepest.diagnose.diagnose import diagnose_case
    from steepest.diagnose.directory import case_in
    from steepest.diagnose.remedies import cure as try_out

    case = case_in(directory)
    found = diagnose_case(case, not quick)
    tried = None
    if cure:
        output.hint("Running again with one change each ...")
        tried = try_out(case, found.findings, table=case.source, seeds=seeds)
    ends = None
    if eigenvalues is not None:
        ends = dict(zip(("largest", "smallest"), case.spectrum(eigenvalues, rows), strict=True))
    if json:
        extra = {} if tried is None else {"cure": tried.to_dict()}
        if ends is not None:
            extra["eigenvalues"] = {k: v.values for k, v in ends.items()}
        output.emit({"directory": str(directory), **found.to_dict(), **extra})
        return 0
    output.say(case.message)
    _show_measured(case, found)
    _show_layers(found.measured)
    if ends is not None:
        _show_ends(case, ends)
    if not found:
        output.say(str(found))
    for i, finding in enumerate(found, 1):
        output.say(f"{i}. {finding.code}: {finding.sentence}")
        for line in finding.options:
            output.say(f"   try {line}")
    if tried is not None:
        _show_tried(case, tried)
    return 0


def _show_measured(case: Any, found: Any) -> None:
    from steepest.models.linear import Linear

    curvature = found.measured.get("curvature")
    if curvature is None:
        return
    kind = "preconditioned " if curvature.preconditioned else ""
    rows: list[list[Any]] = [
        ["training loss at start and end", f"{case.first_loss:.4g}  {found.measured['end']:.4g}"],
        [f"{kind}sharpness", f"{curvature.value:.4g}"],
    ]
    if curvature.rate is not None:
        rows.append(["learning rate", f"{curvature.rate:.3g}"])
    if curvature.limit is not None:
        rows.append(["stable up to about (local estimate)", f"{curvature.limit:.3g}"])
    noise = found.measured.get("noise_scale")
    if noise is not None:
        rows.append([
            "gradient noise scale, examples",
            f"{noise.value:.3g}  ({noise.low:.3g} to {noise.high:.3g})",
        ])  # fmt: skip
    output.table(["measured", "value"], rows)
    if curvature.at_edge and not isinstance(case.spec.objective.model, Linear):
        output.say(
            "The learning rate is at the limit that the curvature allows: the edge of stability, "
            "to which full-batch descent on networks comes by itself."
        )
    output.say()


def _show_layers(measured: dict[str, Any]) -> None:
    """How gradients flow through a network's layers, before training and at the weights kept."""
    distances = measured.get("layers_moved")
    if not distances or len(distances) < 2:
        return
    pairs = zip(measured["layers_at_start"], measured["layers_at_end"], distances, strict=True)
    rows = [
        [b.name, f"{a.gradient:.3g}", f"{b.gradient:.3g}", f"{a.signal:.3g}", f"{b.signal:.3g}",
         *("" if v is None else f"{v:.0%}" for v in (b.dead, b.saturated)), f"{far:.3g}"]
        for a, b, far in pairs
    ]  # fmt: skip
    head = ["layer", "gradient at start", "at end", "signal at start", "at end", "dead",
            "saturated", "moved"]  # fmt: skip
    output.table(head, rows, title="Layers; moved: |w - w0| / |w0|")
    output.say()


def _show_ends(case: Any, ends: dict[str, Any]) -> None:
    """Both ends of the spectrum; of a linear model, what they say about gradient descent."""
    from steepest.models.linear import Linear

    output.table(
        ["eigenvalues of the Hessian", "value", "error at most"],
        [[kind, float(v), float(e)]
         for kind, pairs in ends.items()
         for v, e in zip(pairs.values, pairs.residuals, strict=True)],
    )  # fmt: skip
    low, high = float(ends["smallest"].values[0]), float(ends["largest"].values[0])
    if isinstance(case.spec.objective.model, Linear) and low > 1e-6 * high:
        output.say(
            f"The loss is convex, with the condition number {high / low:.3g}: full-batch gradient "
            f"descent does best at the rate {2 / (low + high):.3g}, and then needs about "
            f"{1.15 * high / low:.3g} steps a digit."
        )
    output.say()


def _show_tried(case: Any, tried: Any) -> None:
    from steepest.core.record import replace
    from steepest.diagnose.remedies import command

    output.say()
    rows = []
    for trial in (tried.before, *tried.trials):
        rows.append([
            trial.options or "(as it was)",
            output.spread(float(trial.score.mean()), float(trial.score.std())),
            f"{trial.gain:+.3f} ± {trial.error:.3f}" if trial.options else "",
            f"{trial.diverged} of {len(tried.seeds)}" if trial.diverged else "",
            "cured" if trial.cured else "",
        ])  # fmt: skip
    part = "validation" if case.parts.get("validation") is not None else "training"
    output.table(
        ["change", f"{part} {tried.metric}", "gain", "diverged", ""], rows,
        title=f"One change each, the same {len(tried.seeds)} seeds",
    )  # fmt: skip
    best = tried.best
    if best is None:
        output.say("No single change cured it.")
        return
    line = command(case.name, case.where, replace(case.settings, **best.changes))
    output.say(f"Best: {line}")
