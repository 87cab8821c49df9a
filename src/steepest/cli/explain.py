"""`steepest explain EXPR`: what calculus says about a function before it is descended."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Annotated

import typer

from steepest.cli import options, output

if TYPE_CHECKING:
    from steepest.functions.analysis import Analysis
    from steepest.functions.expression import Expression

MOST_ROWS = 10


def explain(
    formula: Annotated[str, typer.Argument(
        metavar="EXPR", help="A formula such as 'x^2 + x*y + y^2', or a name that `steepest "
        "functions` lists.")],
    at: Annotated[str | None, typer.Option(
        metavar="1,2", help="The point for value, Hessian and learning rates \\[a minimum]; "
        "variables in alphabetical order.")] = None,
    dimensions: Annotated[int | None, typer.Option(
        metavar="N", help="The number n of variables, for formulas with sum(i=1..n, ...).")] = None,
    momentum: Annotated[float, typer.Option(
        help="Momentum in the limits for heavy ball and Nesterov.")] = 0.9,
    latex: Annotated[bool, typer.Option("--latex", help="Write formulas in LaTeX.")] = False,
    time_limit: Annotated[float, typer.Option(
        metavar="SECONDS", help="Give each kind of symbolic work up after this time.")] = 2.0,
    json: options.Json = False,
) -> int:  # fmt: skip
    """Derivatives, curvature, critical points and stable learning rates of a function."""
    from steepest.functions import analyse, function

    f = function(formula, dimensions)
    point = None if at is None else options.floats(at, "--at", length=f.dimensions)
    found = analyse(f, point, momentum, time_limit)
    if json:
        output.emit(found.to_dict())
        return 0
    _formulas(found, latex)
    _point(found)
    _critical(found)
    _rates(found)
    for note in found.notes:
        output.hint(note)
    return 0


def _formulas(found: Analysis, latex: bool) -> None:
    from steepest.functions.notation import to_latex, to_text

    def write(tree: Expression) -> str:
        return to_latex(tree) if latex else to_text(tree, implicit=True)

    f, d = found.function, found.derivatives
    names = f.variables
    arguments = ", ".join(names) if len(names) <= 4 else f"{names[0]}, ..., {names[-1]}"
    output.say(f"f({arguments}) = {f.latex if latex else f.text}", style="bold")
    if found.quadratic:
        output.say("A quadratic: its Hessian is the same everywhere.")
    if d.partials:
        output.say()
        rows = [[f"∂f/∂{v}", write(p)] for v, p in zip(names, d.partials, strict=True)]
        output.table(["derivative", "formula"], rows)
    if d.hessian and len(names) <= 6:
        output.say()
        rows = [
            [v, *(_cut(write(e), latex) for e in row)]
            for v, row in zip(names, d.hessian, strict=True)
        ]
        output.table(["Hessian", *names], rows)
    if found.check.agrees:
        output.hint(f"Checked against JAX's derivatives at {found.check.points} random points.")


def _cut(text: str, whole: bool) -> str:
    return text if whole or len(text) <= 60 else text[:57] + "..."


def _point(found: Analysis) -> None:
    f = found.function
    kind = f", a {found.kind} point" if found.kind == "degenerate" else f", a {found.kind}"
    output.say()
    output.say(f"At {_place(f.variables, found.point)}{kind if found.kind else ''}", style="bold")
    rows = [["value", _shown(found.value)]]
    if len(f.variables) <= MOST_ROWS:
        rows += [["gradient", _list(found.gradient)]]
    rows += [["gradient norm", _shown(found.gradient_norm)]]
    where = " (everywhere)" if found.quadratic else ""
    rows += [["eigenvalues of the Hessian", _list(found.eigenvalues) + where]]
    if found.condition is not None:
        rows += [["condition number", _shown(found.condition)]]
    output.table(["", ""], rows)


def _critical(found: Analysis) -> None:
    names, points = found.function.variables, found.critical.points
    output.say()
    if not points:
        output.say(
            "Critical points: none." if found.critical.complete else "No critical point found."
        )
        output.hint(found.critical.note)
        return
    shown = points[:MOST_ROWS]
    wide = len(names) > 6
    columns = ["point"] if wide else list(names)
    rows = []
    for p in shown:
        exact = p.exact or (None,) * len(names)
        cells = [_coordinate(v, e) for v, e in zip(p.point, exact, strict=True)]
        rows.append([*([_list(p.point)] if wide else cells), _shown(p.value), p.kind, p.note])
    many = f" ({len(points)})" if len(points) > 1 else ""
    output.table([*columns, "f", "kind", ""], rows, title="Critical points" + many)
    if len(points) > MOST_ROWS:
        output.hint(f"The {MOST_ROWS} lowest of {len(points)}; --json has all.")
    if found.critical.note:
        output.hint(found.critical.note)


def _rates(found: Analysis) -> None:
    rates = found.rates
    if rates is None:
        return
    output.say()
    b = output.number(rates.momentum)
    rows = [
        ["gradient descent, largest stable", "2 / l_max", _shown(rates.stable)],
        ["gradient descent, best fixed", "2 / (l_min + l_max)", _shown(rates.best)],
        [f"heavy ball {b}, largest stable", "2 (1 + b) / l_max", _shown(rates.heavy_ball)],
        [
            f"Nesterov {b}, largest stable",
            "2 (1 + b) / ((1 + 2 b) l_max)",
            _shown(rates.nesterov),
        ],
    ]
    where = "everywhere" if found.quadratic else "near this point"
    output.table(["learning rate", "formula", where], rows)


def _place(names, point) -> str:
    if len(names) > 6:
        return _list(point)
    return ", ".join(f"{v} = {_shown(x)}" for v, x in zip(names, point, strict=True))


def _list(values) -> str:
    shown = [_shown(v) for v in values]
    if len(shown) > MOST_ROWS:
        return f"{', '.join(shown[:3])}, ..., {shown[-1]} ({len(shown)} values)"
    return ", ".join(shown)


def _coordinate(value: float, exact: str | None) -> str:
    """`0.7071 = sqrt(2)/2`; the formula is left out where the number says it all."""
    plain = output.number(value)
    if exact is None or exact == plain:
        return _shown(value)
    return f"{plain} = {exact}"


def _shown(x: float) -> str:
    """`0.6667 (2/3)`: with a fraction where it is exact and short."""
    if x == round(x) and abs(x) < 1e6:
        return str(int(x))
    near = Fraction(x).limit_denominator(100) if abs(x) < 1e3 else Fraction(0)
    text = output.number(float(x))
    if near.denominator > 1 and abs(x - near) <= 1e-12 * abs(x) and text != str(float(near)):
        return f"{text} ({near})"
    return text
