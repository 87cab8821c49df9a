"""`steepest functions`: the test functions that are known by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from steepest.cli import options, output

if TYPE_CHECKING:
    from steepest.functions.function import Function


def functions(
    name: Annotated[str | None, typer.Argument(
        metavar="NAME", help="Show this one with its formula, bounds and minima.")] = None,
    dimensions: Annotated[int | None, typer.Option(
        metavar="N", help="The number of variables, where any will do.")] = None,
    latex: Annotated[bool, typer.Option("--latex", help="Write formulas in LaTeX.")] = False,
    json: options.Json = False,
) -> int:  # fmt: skip
    """List the test functions that are known by name, with their minima and bounds."""
    from steepest.core.errors import UsageError, suggest
    from steepest.functions import SURFACES, function, surfaces

    if name is not None:
        if surfaces.find(name) is None:
            raise UsageError(f"There is no function named {name!r}; {suggest(name, SURFACES)}")
        f = function(name, dimensions)
        if json:
            output.emit(_as_json(f))
        else:
            _show(f, latex)
        return 0
    if dimensions is not None:
        raise UsageError(
            "--dimensions goes with NAME: steepest functions rosenbrock --dimensions 4."
        )
    listed = [function(key) for key in SURFACES]
    if json:
        output.emit({"functions": [_as_json(f) for f in listed]})
        return 0
    output.table(
        ["name", "variables", "bounds", "minimum", "at", "character"],
        [_row(f) for f in listed],
    )
    output.hint("`steepest functions NAME` shows formula and source; all names serve as EXPR.")
    return 0


def _row(f: Function) -> list[str]:
    surface = f.surface
    assert surface is not None
    minima = f.minima
    several = f" and {len(minima) - 1} more" if len(minima) > 1 else ""
    return [
        f.name,
        str(surface.fixed) if surface.fixed else "n",
        _bounds(f),
        output.number(float(minima[0].value)) if minima else "–",
        _point(minima[0].point) + several if minima else "–",
        surface.note,
    ]


def _bounds(f: Function) -> str:
    assert f.bounds is not None
    distinct = list(dict.fromkeys(f.bounds))
    shown = distinct if len(distinct) == 1 else f.bounds
    return ", ".join(f"{output.number(float(a))}..{output.number(float(b))}" for a, b in shown)


def _point(point: tuple[float, ...]) -> str:
    shown = [output.number(float(x)) for x in point]
    if len(shown) > 8:
        shown = [*shown[:3], "...", shown[-1]]
    return f"({', '.join(shown)})"


def _show(f: Function, latex: bool) -> None:
    surface = f.surface
    assert surface is not None
    names = ", ".join(f.variables) if f.dimensions <= 8 else f"{f.variables[0]} ... n"
    output.say(surface.title, style="bold")
    rows = [
        ["formula", f.latex if latex else f.text],
        ["variables", names + ("" if surface.fixed else "; any number n, by --dimensions")],
        ["bounds", _bounds(f)],
        ["start", _point(f.start or ())],
        *[["minimum", f"{output.number(float(m.value))} at {_point(m.point)}"] for m in f.minima],
        ["character", surface.note],
        ["source", _source(surface.reference)],
    ]
    output.table(["", ""], rows)


def _source(key: str) -> str:
    """The line of the catalogue's docstring that belongs to a key such as MGH81."""
    import re

    from steepest.functions import surfaces

    text = " ".join((surfaces.__doc__ or "").split())
    rest = text.partition(f"{key}: ")[2]
    return re.split(r"\s\w+\d\d: ", rest)[0].rstrip(".") or key


def _as_json(f: Function) -> dict[str, Any]:
    surface = f.surface
    assert surface is not None
    return {
        "name": f.name,
        "title": surface.title,
        "formula": f.text,
        "latex": f.latex,
        "dimensions": surface.fixed,
        "variables": list(f.variables),
        "bounds": [list(b) for b in f.bounds or ()],
        "start": list(f.start or ()),
        "minima": [{"point": list(m.point), "value": m.value} for m in f.minima],
        "character": surface.note,
        "reference": _source(surface.reference),
    }
