"""The test functions that are known by name, in the grammar of formulas, with their minima.

Sources, cited by key in `reference`:
    JY13: M. Jamil, X.-S. Yang, A literature survey of benchmark functions for global optimisation
        problems, Int. J. Mathematical Modelling and Numerical Optimisation 4(2), 2013.
    MGH81: J. J. Moré, B. S. Garbow, K. E. Hillstrom, Testing unconstrained optimization software,
        ACM Transactions on Mathematical Software 7(1), 1981.
    SB13: S. Surjanovic, D. Bingham, Virtual library of simulation experiments, Simon Fraser
        University, 2013.
    Goh17: G. Goh, Why momentum really works, Distill, 2017.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from steepest.core.errors import UsageError


class Minimum(NamedTuple):
    """A global minimum: the point w and f(w)."""

    point: tuple[float, ...]
    value: float


Minima = tuple[Minimum, ...]
Interval = tuple[float, float]


@dataclass(frozen=True)
class Surface:
    """An entry of the catalogue.

    Attributes:
        formula: text in the grammar of `parse`.
        fixed: the number of variables, or None if any number from `least` in steps of `multiple`.
        interval: the customary (low, high): one for all variables, one for each, or n -> one.
        known: n -> global minima; none where no point is on record.
        begin: the customary starting point, repeated along longer vectors.
    """

    name: str
    title: str
    formula: str
    interval: Interval | tuple[Interval, ...] | Callable[[int], Interval]
    known: Callable[[int], Minima]
    reference: str
    note: str = ""
    fixed: int | None = 2
    least: int = 1
    multiple: int = 1
    begin: tuple[float, ...] = ()

    def check(self, dimensions: int | None) -> int:
        """The number of variables to use; refuses one that the function does not have."""
        default = self.fixed or max(2, self.least)
        n = default if dimensions is None else dimensions
        if self.fixed is not None and n != self.fixed:
            raise UsageError(f"{self.name} has {self.fixed} variables, got dimensions={n}.")
        if n < self.least or n % self.multiple:
            steps = f" and a multiple of {self.multiple}" if self.multiple > 1 else ""
            raise UsageError(
                f"{self.name}: dimensions must be at least {self.least}{steps}, got {n}."
            )
        return n

    def box(self, n: int) -> tuple[Interval, ...]:
        """(low, high) of each of n variables."""
        interval = self.interval(n) if callable(self.interval) else self.interval
        if isinstance(interval[0], tuple):
            return interval  # type: ignore[return-value]
        return (interval,) * n  # type: ignore[return-value]

    def start(self, n: int) -> tuple[float, ...]:
        """The customary starting point, else one off the axes of the box."""
        if self.begin:
            return tuple(self.begin[k % len(self.begin)] for k in range(n))
        return tuple(
            round(low + (0.8 if k % 2 == 0 else 0.3) * (high - low), 6)
            for k, (low, high) in enumerate(self.box(n))
        )

    def minima(self, n: int) -> Minima:
        """The global minima on record for n variables."""
        return self.known(n)


def at(value: float, *points: Sequence[float]) -> Callable[[int], Minima]:
    """The same minima whatever n; a point of length 1 is repeated n times."""

    def known(n: int) -> Minima:
        return tuple(Minimum(tuple(p) * n if len(p) == 1 else tuple(p), value) for p in points)

    return known


def nowhere(n: int) -> Minima:
    """No minimum on record, or none that exists."""
    return ()


def _dixon_price(n: int) -> Minima:
    first = [2.0 ** -(1 - 2.0 ** (1 - i)) for i in range(1, n + 1)]
    mirrored = [*first[:-1], -first[-1]]
    return (Minimum(tuple(first), 0.0),) + ((Minimum(tuple(mirrored), 0.0),) if n > 1 else ())


def _michalewicz(n: int) -> Minima:
    if n > len(MICHALEWICZ):
        return ()
    points = MICHALEWICZ[:n]
    value = -sum(
        math.sin(x) * math.sin(i * x * x / math.pi) ** 20 for i, x in enumerate(points, start=1)
    )
    return (Minimum(points, value),)


MICHALEWICZ = (
    2.2029055201726093, 1.5707963267948966, 1.2849915705529242, 1.9230584698663626,
    1.7204697725658413, 1.5707963267948966, 1.4544139713623792, 1.7560865209450263,
    1.6557174168210291, 1.5707963267948966,
)  # fmt: skip
"""The function is a sum over single variables; this is where each term is least."""


def _styblinski_tang(n: int) -> Minima:
    return (Minimum((-2.903534027771177,) * n, -39.16616570377142 * n),)


def _trid(n: int) -> Minima:
    point = tuple(float(i * (n + 1 - i)) for i in range(1, n + 1))
    return (Minimum(point, -n * (n + 4) * (n - 1) / 6),)


_HOLDER = (8.055023475736563, 9.664590019241272)
_TRAY = 1.3494066171539107
_CAMEL = (0.08984201368301331, -0.7126564032704135)

_ALL = (
    Surface("bowl", "Bowl", "x^2 + x*y + y^2", (-4, 4), at(0, (0, 0)), "Goh17",
            "quadratic with eigenvalues 1 and 3", begin=(3, -2)),
    Surface("ravine", "Ravine", "(x^2 + 100*y^2)/2", (-10, 10), at(0, (0, 0)), "Goh17",
            "quadratic with condition number 100", begin=(10, 1)),
    Surface("sphere", "Sphere", "sum(i=1..n, x[i]^2)", (-5.12, 5.12), at(0, (0,)), "JY13",
            "the easiest of all", fixed=None),
    Surface("ellipsoid", "Sum of squares", "sum(i=1..n, i*x[i]^2)", (-10, 10), at(0, (0,)), "SB13",
            "quadratic with condition number n", fixed=None),
    Surface("double-sum", "Schwefel 1.2", "sum(i=1..n, sum(j=1..i, x[j])^2)", (-65.536, 65.536),
            at(0, (0,)), "JY13", "quadratic, not separable", fixed=None),
    Surface("trid", "Trid", "sum(i=1..n, (x[i] - 1)^2) - sum(i=2..n, x[i]*x[i-1])",
            lambda n: (-n * n, n * n), _trid, "SB13", "quadratic with a tridiagonal Hessian",
            fixed=None, least=2),
    Surface("booth", "Booth", "(x + 2*y - 7)^2 + (2*x + y - 5)^2", (-10, 10), at(0, (1, 3)),
            "JY13", "quadratic"),
    Surface("matyas", "Matyas", "0.26*(x^2 + y^2) - 0.48*x*y", (-10, 10), at(0, (0, 0)), "JY13",
            "quadratic, plate-shaped"),
    Surface("saddle", "Saddle", "x^2 - y^2", (-2, 2), nowhere, "Goh17", "no minimum",
            begin=(1.5, 0.01)),
    Surface("monkey-saddle", "Monkey saddle", "x^3 - 3*x*y^2", (-2, 2), nowhere, "Goh17",
            "no minimum; the Hessian is 0 at the origin", begin=(1, 0.5)),
    Surface("rosenbrock", "Rosenbrock",
            "sum(i=1..n-1, 100*(x[i+1] - x[i]^2)^2 + (1 - x[i])^2)", (-2.048, 2.048), at(0, (1,)),
            "MGH81", "a curved valley", fixed=None, least=2, begin=(-1.2, 1)),
    Surface("dixon-price", "Dixon-Price", "(x[1] - 1)^2 + sum(i=2..n, i*(2*x[i]^2 - x[i-1])^2)",
            (-10, 10), _dixon_price, "JY13", "a curved valley", fixed=None, least=2),
    Surface("zakharov", "Zakharov",
            "sum(i=1..n, x[i]^2) + sum(i=1..n, i*x[i]/2)^2 + sum(i=1..n, i*x[i]/2)^4", (-5, 10),
            at(0, (0,)), "JY13", "one minimum", fixed=None),
    Surface("powell", "Powell singular",
            "sum(i=1..n/4, (x[4*i-3] + 10*x[4*i-2])^2 + 5*(x[4*i-1] - x[4*i])^2"
            " + (x[4*i-2] - 2*x[4*i-1])^4 + 10*(x[4*i-3] - x[4*i])^4)", (-4, 5), at(0, (0,)),
            "MGH81", "singular Hessian at the minimum", fixed=None, least=4, multiple=4,
            begin=(3, -1, 0, 1)),
    Surface("wood", "Wood (Colville)",
            "100*(x1^2 - x2)^2 + (x1 - 1)^2 + (x3 - 1)^2 + 90*(x3^2 - x4)^2"
            " + 10.1*((x2 - 1)^2 + (x4 - 1)^2) + 19.8*(x2 - 1)*(x4 - 1)", (-10, 10), at(0, (1,)),
            "MGH81", "a saddle on the way", fixed=4, begin=(-3, -1, -3, -1)),
    Surface("beale", "Beale",
            "(1.5 - x + x*y)^2 + (2.25 - x + x*y^2)^2 + (2.625 - x + x*y^3)^2", (-4.5, 4.5),
            at(0, (3, 0.5)), "MGH81", "flat valleys, steep corners", begin=(1, 1)),
    Surface("brown", "Brown badly scaled", "(x - 1e6)^2 + (y - 2e-6)^2 + (x*y - 2)^2",
            ((-1e7, 1e7), (-10, 10)), at(0, (1e6, 2e-6)), "MGH81", "scales of 1e6 and 1e-6",
            begin=(1, 1)),
    Surface("freudenstein-roth", "Freudenstein and Roth",
            "(x - 13 + ((5 - y)*y - 2)*y)^2 + (x - 29 + ((y + 1)*y - 14)*y)^2", (-20, 20),
            at(0, (5, 4)), "MGH81", "a second minimum, 48.98 at (11.41, -0.8968)",
            begin=(0.5, -2)),
    Surface("goldstein-price", "Goldstein-Price",
            "(1 + (x + y + 1)^2*(19 - 14*x + 3*x^2 - 14*y + 6*x*y + 3*y^2))"
            "*(30 + (2*x - 3*y)^2*(18 - 32*x + 12*x^2 + 48*y - 36*x*y + 27*y^2))", (-2, 2),
            at(3, (0, -1)), "JY13", "values from 3 to a million"),
    Surface("himmelblau", "Himmelblau", "(x^2 + y - 11)^2 + (x + y^2 - 7)^2", (-6, 6),
            at(0, (3, 2), (-2.805118086952745, 3.131312518250573),
               (-3.779310253377747, -3.283185991286170), (3.584428340330492, -1.848126526964404)),
            "JY13", "four minima", begin=(0, 0)),
    Surface("three-hump-camel", "Three-hump camel", "2*x^2 - 1.05*x^4 + x^6/6 + x*y + y^2",
            (-5, 5), at(0, (0, 0)), "JY13", "three minima"),
    Surface("six-hump-camel", "Six-hump camel",
            "(4 - 2.1*x^2 + x^4/3)*x^2 + x*y + (4*y^2 - 4)*y^2", ((-3, 3), (-2, 2)),
            at(-1.0316284534898774, _CAMEL, (-_CAMEL[0], -_CAMEL[1])), "JY13", "six minima"),
    Surface("styblinski-tang", "Styblinski-Tang", "sum(i=1..n, x[i]^4 - 16*x[i]^2 + 5*x[i])/2",
            (-5, 5), _styblinski_tang, "JY13", "2^n minima", fixed=None),
    Surface("branin", "Branin",
            "(y - 5.1*x^2/(4*pi^2) + 5*x/pi - 6)^2 + 10*(1 - 1/(8*pi))*cos(x) + 10",
            ((-5, 10), (0, 15)),
            at(5 / (4 * math.pi), (-math.pi, 12.275), (math.pi, 2.275), (3 * math.pi, 2.475)),
            "JY13", "three minima"),
    Surface("mccormick", "McCormick", "sin(x + y) + (x - y)^2 - 1.5*x + 2.5*y + 1",
            ((-1.5, 4), (-3, 4)),
            at(-math.sqrt(3) / 2 - math.pi / 3, (0.5 - math.pi / 3, -0.5 - math.pi / 3)), "JY13",
            "lower without bounds, once a period"),
    Surface("bohachevsky", "Bohachevsky 1", "x^2 + 2*y^2 - 0.3*cos(3*pi*x) - 0.4*cos(4*pi*y) + 0.7",
            (-100, 100), at(0, (0, 0)), "JY13", "a rippled bowl"),
    Surface("rastrigin", "Rastrigin", "10*n + sum(i=1..n, x[i]^2 - 10*cos(2*pi*x[i]))",
            (-5.12, 5.12), at(0, (0,)), "JY13", "a minimum near every whole number", fixed=None),
    Surface("ackley", "Ackley",
            "20 + e - 20*exp(-0.2*sqrt(sum(i=1..n, x[i]^2)/n))"
            " - exp(sum(i=1..n, cos(2*pi*x[i]))/n)",
            (-32.768, 32.768), at(0, (0,)), "JY13", "a cone among ripples", fixed=None),
    Surface("griewank", "Griewank",
            "1 + sum(i=1..n, x[i]^2)/4000 - prod(i=1..n, cos(x[i]/sqrt(i)))", (-600, 600),
            at(0, (0,)), "JY13", "a wide bowl with fine ripples", fixed=None),
    Surface("levy", "Levy",
            "sin(pi*(3 + x[1])/4)^2 + sum(i=1..n-1, (x[i] - 1)^2/16"
            "*(1 + 10*sin(pi*(3 + x[i])/4 + 1)^2))"
            " + (x[n] - 1)^2/16*(1 + sin(pi*(3 + x[n])/2)^2)", (-10, 10), at(0, (1,)), "SB13",
            "ripples", fixed=None),
    Surface("schwefel", "Schwefel 2.26",
            "418.9828872724339*n - sum(i=1..n, x[i]*sin(sqrt(abs(x[i]))))", (-500, 500),
            at(0, (420.968746359982,)), "JY13", "the best minimum is far from the next",
            fixed=None),
    Surface("michalewicz", "Michalewicz", "-sum(i=1..n, sin(x[i])*sin(i*x[i]^2/pi)^20)",
            (0, math.pi), _michalewicz, "SB13", "plains and narrow gorges", fixed=None),
    Surface("easom", "Easom", "-cos(x)*cos(y)*exp(-(x - pi)^2 - (y - pi)^2)", (-100, 100),
            at(-1, (math.pi, math.pi)), "JY13", "a hole in a plain", begin=(2, 2)),
    Surface("drop-wave", "Drop wave",
            "-(1 + cos(12*sqrt(x^2 + y^2)))/((x^2 + y^2)/2 + 2)", (-5.12, 5.12), at(-1, (0, 0)),
            "SB13", "rings"),
    Surface("schaffer-2", "Schaffer 2", "0.5 + (sin(x^2 - y^2)^2 - 0.5)/(1 + 0.001*(x^2 + y^2))^2",
            (-100, 100), at(0, (0, 0)), "JY13", "rings", begin=(2, 1)),
    Surface("cross-in-tray", "Cross in tray",
            "-0.0001*(abs(sin(x)*sin(y)*exp(abs(100 - sqrt(x^2 + y^2)/pi))) + 1)^0.1", (-10, 10),
            at(-2.062611870822739, (_TRAY, _TRAY), (_TRAY, -_TRAY), (-_TRAY, _TRAY),
               (-_TRAY, -_TRAY)), "JY13", "kinks along the axes"),
    Surface("holder-table", "Hölder table",
            "-abs(sin(x)*cos(y)*exp(abs(1 - sqrt(x^2 + y^2)/pi)))", (-10, 10),
            at(-19.208502567886754, _HOLDER, (_HOLDER[0], -_HOLDER[1]), (-_HOLDER[0], _HOLDER[1]),
               (-_HOLDER[0], -_HOLDER[1])), "JY13", "kinks; the best minima lie in the corners"),
    Surface("eggholder", "Eggholder",
            "-(y + 47)*sin(sqrt(abs(y + x/2 + 47))) - x*sin(sqrt(abs(x - y - 47)))", (-512, 512),
            at(-959.640662720851, (512, 404.23180511375784)), "JY13", "least on its bounds"),
    Surface("bukin", "Bukin 6", "100*sqrt(abs(y - 0.01*x^2)) + 0.01*abs(x + 10)",
            ((-15, -5), (-3, 3)), at(0, (-10, 1)), "JY13", "a valley that is a kink"),
)  # fmt: skip

SURFACES: dict[str, Surface] = {s.name: s for s in _ALL}

ALIASES = {
    "rosen": "rosenbrock",
    "banana": "rosenbrock",
    "camel": "three-hump-camel",
    "colville": "wood",
    "styblinski": "styblinski-tang",
    "sum-squares": "ellipsoid",
    "quadratic": "bowl",
    "hoelder-table": "holder-table",
}


def names() -> tuple[str, ...]:
    """All names of the catalogue, sorted."""
    return tuple(sorted(SURFACES))


def find(text: str) -> Surface | None:
    """The entry of a name, whatever its case, with `_`, spaces or hyphens; None for no name.

    >>> find("Three hump_camel").title
    'Three-hump camel'
    """
    if len(text) > 40:
        return None
    name = "-".join(text.strip().lower().replace("_", " ").replace("-", " ").split())
    return SURFACES.get(ALIASES.get(name, name))
