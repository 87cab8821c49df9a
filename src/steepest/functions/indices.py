"""Which variables a formula has, and which points its sums run over.

The range of an index may depend on `n` and on outer indices, as in `sum(i=1..n, sum(j=1..i, ...))`.
A scope holds, for each index in force, the array of its values over all points of the enclosing
ranges, flattened; an inner sum refines the scope. Everything here is NumPy on whole numbers, done
once when the formula is bound to its dimensions.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from steepest.core.errors import FormulaError
from steepest.functions.expression import (
    Chain,
    Dimension,
    Element,
    Expression,
    Index,
    Negate,
    Number,
    Power,
    Reduction,
    Variable,
    children,
    free_indices,
    natural,
    walk,
)
from steepest.functions.notation import to_text

MOST_VARIABLES = 100_000
MOST_POINTS = 1_000_000
MOST_PRODUCT_ROWS = 1_000
MOST_INDICES = 5_000_000
_LARGEST = 1e7

Scope = dict[str, np.ndarray]


class Domain(NamedTuple):
    """The points of a sum within its scope: `counts[k]` inner points for outer point k.

    `counts` has length 1 where there is no outer index. `scope` holds the refined index arrays.
    """

    scope: Scope
    parent: np.ndarray
    counts: np.ndarray


def integers(node: Expression, scope: Scope, n: int | None, text: str = "", column: int = 0):
    """The whole-number values of an index expression over the points of `scope`."""

    def refuse(message: str, hint: str = "") -> FormulaError:
        return FormulaError(message, text, column, hint)

    def value(node: Expression):
        match node:
            case Number():
                result = float(node.value)
            case Dimension():
                assert n is not None  # bind asks for the dimensions first
                result = float(n)
            case Index(name):
                return scope[name].astype(float)
            case Negate(operand):
                result = -value(operand)
            case Chain(kind, inverted, terms):
                result = 0.0 if kind == "+" else 1.0
                for under, term in zip(inverted, terms, strict=True):
                    v = value(term)
                    if kind == "+":
                        result = result - v if under else result + v
                    elif under:
                        if np.any(v == 0):
                            raise refuse(f"The index expression `{to_text(node)}` divides by 0.")
                        result = result / v
                    else:
                        result = result * v
            case Power(base, exponent):
                b, e = np.broadcast_arrays(value(base), value(exponent))
                if np.any(e < 0) or np.any(e > 64):
                    raise refuse("A power within an index must be from 0 to 64.")
                with np.errstate(over="ignore"):
                    result = np.power(b, e)
            case Variable(name):
                raise refuse(
                    f"`{name}` is not the index of an enclosing sum.",
                    "Write for example sum(i=1..n, x[i]^2).",
                )
            case _:
                raise refuse(
                    f"`{to_text(node)}` cannot be part of an index or of the ends of a sum.",
                    "Use whole numbers, n, and the indices of enclosing sums.",
                )
        if np.any(np.abs(result) > _LARGEST):
            raise refuse(f"The index expression `{to_text(node)}` exceeds {_LARGEST:.0f}.")
        return result

    result = np.asarray(value(node))
    whole = np.rint(result)
    if np.any(np.abs(result - whole) > 1e-9):
        shown = np.ravel(result)[np.argmax(np.ravel(np.abs(result - whole)))]
        given = f" for n = {n}" if n is not None else ""
        raise refuse(
            f"`{to_text(node)}` is {shown:g}{given}, but an index must be a whole number.",
            "Choose another number of dimensions." if given else "",
        )
    return whole.astype(np.int64)


NEEDS_DIMENSIONS = (
    "The formula depends on n, the number of variables, which is not given.",
    "",
    0,
    "Give it: --dimensions 10 on the command line, function(text, dimensions=10) in Python.",
)


def too_many(text: str, column: int) -> FormulaError:
    """The error for sums that are too long."""
    return FormulaError(
        f"The sums of this formula run over too many terms, more than {MOST_POINTS:,}.",
        text,
        column,
        "Write the function in Python with jax.numpy instead.",
    )


def domain(node: Reduction, scope: Scope, n: int | None, text: str = "", budget=MOST_POINTS):
    """The points that `node` sums over, within `scope`; refused before they exceed `budget`."""
    outer = {
        name: scope[name]
        for name in free_indices(node.low)
        | free_indices(node.high)
        | (free_indices(node.body) - {node.index})
    }
    points = len(next(iter(outer.values()))) if outer else 1
    low = np.broadcast_to(integers(node.low, outer, n, text, node.column), (points,))
    high = np.broadcast_to(integers(node.high, outer, n, text, node.column), (points,))
    counts = np.maximum(high - low + 1, 0)
    total = int(counts.sum())
    if total > budget:
        raise too_many(text, node.column)
    parent = np.repeat(np.arange(points), counts)
    starts = np.cumsum(counts) - counts
    index = low[parent] + np.arange(total) - starts[parent]
    inner = {name: values[parent] for name, values in outer.items()}
    return Domain({**inner, node.index: index}, parent, counts)


def bind(root: Expression, dimensions: int | None, text: str = "") -> tuple[str, ...]:
    """The names of the variables, in the order of the vector: alphabetical, numbers by value.

    Checks every index and every sum for the given number of dimensions.

    Raises:
        FormulaError: no variable, dimensions missing or contradicting, an index out of range, or
            sums of too many terms.
    """
    columns = {v.name: v.column for v in walk(root) if isinstance(v, Variable)}
    elements = [e for e in walk(root) if isinstance(e, Element)]
    if dimensions is not None and not 1 <= dimensions <= MOST_VARIABLES:
        raise FormulaError(
            f"dimensions must be from 1 to {MOST_VARIABLES:,}, got {dimensions}.", text
        )
    if dimensions is None and any(isinstance(v, Dimension) for v in walk(root)):
        raise FormulaError(*NEEDS_DIMENSIONS)
    if elements:
        n = dimensions or _check(root, None, text) or 0
        names = _family(elements, columns, n, text)
    else:
        names = _named(columns, dimensions, text)
    _check(root, len(names), text)
    return names


def _family(elements, columns: dict[str, int], n: int, text: str) -> tuple[str, ...]:
    base = elements[0].base
    for e in elements:
        if e.base != base:
            raise FormulaError(
                f"The formula indexes both {base}[...] and {e.base}[...].", text, e.column,
                f"Number all variables in one row: {base}[1], {base}[2], ...",
            )  # fmt: skip
    for name, column in columns.items():
        letters, number = natural(name)
        if letters != base or number < 0:
            raise FormulaError(
                f"The formula has both {base}[...] and {name}.", text, column,
                f"Number all variables in one row: {base}[1], {base}[2], ...",
            )  # fmt: skip
        if not 1 <= number <= n:
            raise FormulaError(
                f"{name} lies outside {base}1 ... {base}{n}.", text, column,
                "Give more dimensions.",
            )  # fmt: skip
    return tuple(f"{base}{k}" for k in range(1, n + 1))


def _named(columns: dict[str, int], dimensions: int | None, text: str) -> tuple[str, ...]:
    if not columns:
        raise FormulaError("The formula has no variable.", text, 0, "Write for example x^2.")
    names = sorted(columns, key=natural)
    keys = [natural(name) for name in names]
    if dimensions is None or dimensions == len(names):
        return tuple(names)
    base = keys[0][0]
    row = all(letters == base and number >= 1 for letters, number in keys)
    if row and keys[-1][1] <= dimensions:
        return tuple(f"{base}{k}" for k in range(1, dimensions + 1))
    raise FormulaError(
        f"The formula has the variables {', '.join(names)}, which are {len(names)}, "
        f"but dimensions={dimensions} was given.",
        text,
        columns[names[-1]],
        "Leave dimensions out, or write the formula with x[i], n and sum(i=1..n, ...).",
    )


def _check(root: Expression, n: int | None, text: str) -> int | None:
    """Walk through all sums; the largest index met. Refuses what lies outside 1 ... n."""
    largest, budget, indices = None, MOST_POINTS, 0

    def visit(node: Expression, scope: Scope) -> None:
        nonlocal largest, budget, indices
        if isinstance(node, Reduction):
            points = domain(node, scope, n, text, budget)
            budget -= len(points.parent)
            if node.kind == "prod" and len(points.counts) > MOST_PRODUCT_ROWS:
                raise FormulaError(
                    f"A product within a sum of more than {MOST_PRODUCT_ROWS:,} terms.",
                    text, node.column,
                    "Write the function in Python with jax.numpy instead.",
                )  # fmt: skip
            visit(node.body, points.scope)
        elif isinstance(node, Element):
            names = free_indices(node)
            indices += sum(len(scope[name]) for name in names) * sum(1 for _ in walk(node))
            if indices > MOST_INDICES:
                raise too_many(text, node.column)
            where = integers(node.index, scope, n, text, node.column)
            if not where.size:
                return
            low, high = int(where.min()), int(where.max())
            largest = high if largest is None else max(largest, high)
            if low < 1 or high > (n if n is not None else MOST_VARIABLES):
                shown, wrong = to_text(node), f"{node.base}[{low if low < 1 else high}]"
                raise FormulaError(
                    (f"{shown} reaches {wrong}" if shown != wrong else f"There is no {wrong}")
                    + f"; the first is {node.base}[1]"
                    + (f", the last {node.base}[{n}]." if n is not None else "."),
                    text,
                    node.column,
                    "Change the ends of the sum, or the dimensions.",
                )
        else:
            for child in children(node):
                visit(child, scope)

    visit(root, {})
    return largest
