"""∇f = 0 solved by SymPy, for polynomials in a few variables, within a time limit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import sympy

from steepest.functions.deadline import within
from steepest.functions.function import Function
from steepest.functions.notation import to_text
from steepest.functions.symbolic import NotInGrammar, Style, from_sympy, symbols, to_sympy

LONGEST = 40


class Root(NamedTuple):
    """A real solution, and its coordinates as formulas if they are short."""

    point: tuple[float, ...]
    exact: tuple[str, ...] | None


class Roots(NamedTuple):
    """The real solutions; `family` if some are curves, from which single points were taken."""

    points: tuple[Root, ...]
    family: bool


def roots(f: Function, time_limit: float) -> Roots | None:
    """Real solutions of ∇f = 0; None if SymPy fails or takes too long.

    SymPy may miss solutions (of `(x*y - 1)^2` it does): never take the list for complete unchecked.
    """
    w, style = symbols(f.variables), Style.of(f.expression)

    def work() -> Iterator[Roots]:
        value = to_sympy(f.expression, f.variables)
        found, family = [], False
        for solution in sympy.solve([sympy.diff(value, v) for v in w], list(w), dict=True):
            solved = [solution.get(v, v) for v in w]
            free = set().union(*(e.free_symbols for e in solved))
            family = family or bool(free)
            for number in (0, 1) if free else (0,):
                place = [e.subs(dict.fromkeys(free, number)) for e in solved]
                values = [complex(e.evalf(30)) for e in place]
                if all(abs(v.imag) <= 1e-12 * (1 + abs(v)) for v in values):
                    point = tuple(v.real + 0.0 for v in values)
                    found.append(Root(point, _texts(place, style)))
                    break
        yield Roots(tuple(found), family)

    result = within(time_limit, work)
    return result.values[0] if result.values else None


def _texts(place: list[sympy.Expr], style: Style) -> tuple[str, ...] | None:
    try:
        texts = tuple(to_text(from_sympy(e, style)) for e in place)
    except NotInGrammar:
        return None
    return texts if max(map(len, texts)) <= LONGEST else None
