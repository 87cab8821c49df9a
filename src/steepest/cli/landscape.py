"""`steepest landscape DIR -o FILE.png`: the loss on a line or plane through the trained weights."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from steepest.cli import options, output


def landscape(
    directory: Annotated[Path, typer.Argument(
        metavar="DIR", help="The directory of a run of `steepest train`.")],
    out: Annotated[Path, typer.Option(
        "-o", "--out", metavar="FILE", help="The picture: png, svg or pdf.")],
    directions: Annotated[str, typer.Option(
        help="random (filter-normalised), hessian (the sharpest), or path (where the run went "
        "most).")] = "random",
    path: Annotated[bool, typer.Option(
        "--path", help="Draw the way of the run in, found by running it again.")] = False,
    dimensions: Annotated[int, typer.Option(help="1 for a line, 2 for a plane.")] = 2,
    points: Annotated[int, typer.Option(min=3, help="Points along each direction.")] = 25,
    reach: Annotated[float, typer.Option(
        help="How far to look: 1 changes each unit's weights by their own size.")] = 1.0,
    seed: options.Seed = 0,
    json: options.Json = False,
) -> int:  # fmt: skip
    """Draw the loss on a line or a plane through the weights of a trained run."""
    from steepest.diagnose.directory import case_in
    from steepest.diagnose.landscape import landscape as measure
    from steepest.diagnose.path import iterates
    from steepest.report import landscape as draw
    from steepest.report import style

    style.check_format(out, style.FORMATS)
    case = case_in(directory)
    way = None
    if path or directions == "path":
        output.hint("Running again for the iterates ...")
        way = iterates(case)
    found = measure(
        case.spec.objective, case.params, case.train, case.buffers, directions=directions,
        dimensions=dimensions, points=points, reach=reach, seed=seed, dtype=case.settings.dtype,
        path=way,
    )  # fmt: skip
    title = f"Loss around the weights of {directory.name}, {directions} directions"
    if found.b is None:
        draw.loss_line(found.a, found.loss, out, title=title)
    else:
        draw.loss_plane(found.a, found.b, found.loss, out, title=title, iterates=found.path)
    if json:
        output.emit({
            "a": found.a, "b": found.b, "loss": found.loss, "directions": directions,
            "file": str(out), "path": found.path, "explained": found.explained,
        })  # fmt: skip
        return 0
    middle = found.loss[tuple(n // 2 for n in found.loss.shape)]
    output.say(
        f"Loss {middle:.4g} at the weights, from {found.loss.min():.4g} to {found.loss.max():.4g} "
        f"on {found.loss.size} points; drawn in {out}."
    )
    if found.explained is not None:
        output.say(
            f"{100 * found.explained:.3g} % of the way of the run (its squared distances from the "
            "weights) lies in these directions."
        )
    return 0
