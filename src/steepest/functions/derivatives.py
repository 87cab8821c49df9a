"""Derivatives written out: the symbolic gradient and Hessian, and a check against JAX's.

Numerics everywhere come from JAX. What is here is for reading; it is given up when it takes too
long, and says so.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import sympy

from steepest.core.errors import UsageError
from steepest.functions.deadline import within
from steepest.functions.expression import Expression, Number, Reduction, children, depth
from steepest.functions.function import Function, function
from steepest.functions.indices import domain
from steepest.functions.local import Local
from steepest.functions.notation import to_latex, to_text
from steepest.functions.numeric import to_jax
from steepest.functions.symbolic import NotInGrammar, Style, from_sympy, symbols, to_sympy

MOST_VARIABLES = 10
MOST_TERMS = 300
MOST_OPERATIONS = 400
MOST_DEPTH = 100
TIME_LIMIT = 2.0


@dataclass(frozen=True)
class Derivatives:
    """The symbolic derivatives of a function, as far as they were found.

    Attributes:
        variables: the names.
        partials: ∂f/∂w_i as expression trees; empty if they were given up.
        hessian: rows of ∂²f/∂w_i∂w_j; empty if they were given up.
        note: why something is missing or not simplified; empty if all is there.
    """

    variables: tuple[str, ...]
    partials: tuple[Expression, ...] = ()
    hessian: tuple[tuple[Expression, ...], ...] = ()
    note: str = ""

    def texts(self) -> tuple[str, ...]:
        """The partial derivatives in plain notation, which `function` reads again."""
        return tuple(map(to_text, self.partials))

    def latex(self) -> tuple[str, ...]:
        """The partial derivatives in LaTeX."""
        return tuple(map(to_latex, self.partials))


def differentiate(f: Function | str, time_limit: float = TIME_LIMIT) -> Derivatives:
    """The symbolic gradient and Hessian of f, simplified, within `time_limit` seconds.

    Sums are written out, so this is for few variables: up to 10.

    Raises:
        UsageError: time_limit is not above 0.

    >>> differentiate("x^2 + x*y + y^2").texts()
    ('2*x + y', 'x + 2*y')
    """
    f = function(f) if isinstance(f, str) else f
    if not time_limit > 0:
        raise UsageError(f"time_limit must be above 0 seconds, got {time_limit!r}.")
    if f.dimensions > MOST_VARIABLES:
        return Derivatives(
            f.variables,
            note=f"{f.dimensions} variables are too many to write the derivatives out.",
        )
    if _terms(f) > MOST_TERMS:
        return Derivatives(f.variables, note="The sums have too many terms to write out.")
    result = within(time_limit, lambda: _stages(f))
    found = dict(result.values)
    found.setdefault("partials", ())
    found.setdefault("hessian", ())
    note = ""
    if isinstance(result.error, NotInGrammar):
        note = f"SymPy's answer cannot be written as a formula ({result.error})."
    elif result.error is not None:
        note = f"SymPy could not work the derivatives out ({type(result.error).__name__})."
    elif not result.finished:
        missing = "Working out the derivatives"
        if found["partials"]:
            missing = "Working out the second derivatives"
        if found["hessian"]:
            missing = "Simplifying the derivatives"
        note = f"{missing} was given up after {time_limit:g} s."
    return Derivatives(f.variables, found["partials"], found["hessian"], note)


def _terms(f: Function) -> int:
    """How many terms the sums have when written out; an upper bound for nested ones."""
    total = 1

    def visit(node: Expression, scope: dict, times: int) -> None:
        nonlocal total
        if isinstance(node, Reduction):
            points = domain(node, scope, f.dimensions)
            count = len(points.parent) if scope else times * len(points.parent)
            total += count
            visit(node.body, points.scope, count)
        else:
            for child in children(node):
                visit(child, scope, times)

    visit(f.expression, {}, 1)
    return total


def _stages(f: Function) -> Iterator[tuple[str, tuple]]:
    """(what, value) from rough to fine: later values replace earlier ones."""
    style, w = Style.of(f.expression), symbols(f.variables)
    value = to_sympy(f.expression, f.variables)

    def written(e: sympy.Expr) -> Expression:
        tree = from_sympy(e, style)
        if depth(tree) > MOST_DEPTH:
            raise NotInGrammar("it is nested too deeply")
        return tree

    first = [sympy.diff(value, v) for v in w]
    partials = [written(e) for e in first]
    yield "partials", tuple(partials)
    n = len(w)
    rows: list[list[Expression]] = [[Number("0")] * n for _ in range(n)]
    for i in range(n):
        for j in range(i + 1):
            rows[i][j] = rows[j][i] = written(sympy.diff(first[i], w[j]))
    yield "hessian", tuple(map(tuple, rows))
    for i in range(n):
        first[i] = _shortest(first[i])
        partials[i] = written(first[i])
        yield "partials", tuple(partials)
    for i in range(n):
        for j in range(i + 1):
            rows[i][j] = rows[j][i] = written(_shortest(sympy.diff(first[i], w[j])))
            yield "hessian", tuple(map(tuple, rows))


def _shortest(e: sympy.Expr) -> sympy.Expr:
    """Short polynomials multiplied out; of other forms the one with the fewest operations."""
    if e.count_ops() > MOST_OPERATIONS:
        return e
    if e.is_polynomial():
        expanded = sympy.expand(e)
        if len(sympy.Add.make_args(expanded)) <= 4:
            return expanded
        forms = [e, expanded, sympy.factor_terms(e)]
    else:
        forms = [e, sympy.simplify(e), sympy.factor_terms(e)]
    return min(forms, key=lambda form: form.count_ops())


@dataclass(frozen=True)
class Check:
    """Symbolic against JAX's derivatives at random points: the largest relative differences.

    `points` counts those where both are finite; an error is None if there was nothing to compare.
    """

    points: int
    gradient_error: float | None
    hessian_error: float | None
    tolerance: float

    @property
    def agrees(self) -> bool:
        """Whether something could be compared and all of it is within the tolerance."""
        errors = [e for e in (self.gradient_error, self.hessian_error) if e is not None]
        return bool(errors) and max(errors) <= self.tolerance


def check(
    f: Function | str,
    found: Derivatives | None = None,
    points: int = 20,
    seed: int = 0,
    tolerance: float = 1e-8,
    local: Local | None = None,
) -> Check:
    """Compare the symbolic derivatives of f with JAX's in float64 at random points of its box.

    The difference is relative to the largest entry at each point, or to 1 if that is smaller. The
    box is f.bounds, else -2 to 2.

    >>> check("x^2*sin(y)").agrees
    True
    """
    f = function(f) if isinstance(f, str) else f
    found = differentiate(f) if found is None else found
    box = np.asarray(f.bounds if f.bounds else [(-2.0, 2.0)] * f.dimensions)
    w = np.random.default_rng(seed).uniform(box[:, 0], box[:, 1], (points, f.dimensions))
    flat = tuple(e for row in found.hessian for e in row)
    if not found.partials:
        return Check(0, None, None, tolerance)
    _, gradient, hessian = (local or Local(f)).many(w)
    n = f.dimensions
    trees = jax.jit(jax.vmap(_stacked((*found.partials, *flat), f)))
    with jax.enable_x64(True):
        written = np.asarray(trees(jnp.asarray(w)))
    first = _difference(gradient, written[:, :n])
    second: tuple[int, float | None] = (0, None)
    if flat:
        second = _difference(hessian.reshape(points, n * n), written[:, n:])
    return Check(max(first[0], second[0]), first[1], second[1], tolerance)


def _stacked(trees: tuple[Expression, ...], f: Function):
    parts = [to_jax(tree, f.variables) for tree in trees]
    return lambda v: jnp.stack([part(v) for part in parts])


def _difference(a, b) -> tuple[int, float | None]:
    """At how many points both are finite, and the largest relative difference there."""
    finite = np.isfinite(a).all(1) & np.isfinite(b).all(1)
    if not finite.any():
        return 0, None
    a, b = a[finite], b[finite]
    scale = np.maximum(np.abs(a).max(1, keepdims=True), 1.0)
    return int(finite.sum()), float((np.abs(a - b) / scale).max())
