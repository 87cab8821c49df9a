"""The expression tree of a formula: frozen dataclasses, nothing of JAX or SymPy.

Sums and products are flat chains, so that `x1 + x2 + ... + x500` is one node and not a tower of
499; together with the parser's limit on nesting this keeps every recursive walk shallow.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction


@dataclass(frozen=True, slots=True)
class Number:
    """A literal, kept as written (`0.1`, `1e-3`) and exact."""

    text: str

    @property
    def value(self) -> Fraction:
        """The exact value; every literal is a terminating decimal."""
        return Fraction(self.text)


@dataclass(frozen=True, slots=True)
class Constant:
    """`pi` or `e`."""

    name: str


@dataclass(frozen=True, slots=True)
class Dimension:
    """`n`, the number of variables."""


@dataclass(frozen=True, slots=True)
class Index:
    """The running index of an enclosing sum or product, such as `i`."""

    name: str


@dataclass(frozen=True, slots=True)
class Variable:
    """A named variable: `x`, `theta`, `x1`."""

    name: str
    column: int = field(default=0, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Element:
    """`x[i+1]`: an entry of the vector of variables, counted from 1."""

    base: str
    index: Expression
    column: int = field(default=0, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Negate:
    """-a."""

    operand: Expression


@dataclass(frozen=True, slots=True)
class Chain:
    """`a + b - c` (kind `+`) or `a * b / c` (kind `*`), evaluated from left to right.

    `inverted[k]` says that term k is subtracted, or divided by.
    """

    kind: str
    inverted: tuple[bool, ...]
    terms: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Power:
    """a^b."""

    base: Expression
    exponent: Expression


@dataclass(frozen=True, slots=True)
class Call:
    """A function of the vocabulary applied to its arguments."""

    name: str
    arguments: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Reduction:
    """`sum(i=low..high, body)` or `prod(...)`, both ends included."""

    kind: str
    index: str
    low: Expression
    high: Expression
    body: Expression
    column: int = field(default=0, compare=False, repr=False)


Expression = (
    Number
    | Constant
    | Dimension
    | Index
    | Variable
    | Element
    | Negate
    | Chain
    | Power
    | Call
    | Reduction
)


def children(node: Expression) -> tuple[Expression, ...]:
    """The nodes directly below, in the order they are written."""
    match node:
        case Element(_, index):
            return (index,)
        case Negate(operand):
            return (operand,)
        case Chain(_, _, terms):
            return terms
        case Power(base, exponent):
            return (base, exponent)
        case Call(_, arguments):
            return arguments
        case Reduction(_, _, low, high, body):
            return (low, high, body)
    return ()


def walk(root: Expression) -> Iterator[Expression]:
    """Every node, parents first; iterative."""
    stack = [root]
    while stack:
        node = stack.pop()
        yield node
        stack.extend(reversed(children(node)))


def depth(root: Expression) -> int:
    """The number of nodes on the longest path down; iterative."""
    deepest, stack = 0, [(root, 1)]
    while stack:
        node, level = stack.pop()
        deepest = max(deepest, level)
        stack.extend((child, level + 1) for child in children(node))
    return deepest


def free_indices(node: Expression) -> frozenset[str]:
    """The indices of enclosing sums that the value of `node` depends on."""
    if isinstance(node, Index):
        return frozenset((node.name,))
    if isinstance(node, Reduction):
        ends = free_indices(node.low) | free_indices(node.high)
        return ends | (free_indices(node.body) - {node.index})
    below = children(node)
    return frozenset().union(*map(free_indices, below)) if below else frozenset()


def integer(node: Expression) -> int | None:
    """The value of a literal whole number, with signs; None for anything else."""
    sign = 1
    while isinstance(node, Negate):
        node, sign = node.operand, -sign
    if isinstance(node, Number) and (value := node.value).denominator == 1:
        return sign * int(value)
    return None


def degree(node: Expression) -> int | None:
    """An upper bound on the degree of the polynomial in the variables; None if it is not one.

    Decided from the structure alone: `x^3 - x^3 + x` counts as 3.
    """
    match node:
        case Variable() | Element():
            return 1
        case Negate(operand):
            return degree(operand)
        case Chain(kind, inverted, terms):
            parts = [degree(t) for t in terms]
            known = [p for p in parts if p is not None]
            if len(known) < len(parts):
                return None
            if kind == "+":
                return max(known)
            if any(p > 0 and under for p, under in zip(known, inverted, strict=True)):
                return None
            return sum(known)
        case Power(base, exponent):
            below, power = degree(base), integer(exponent)
            if below is not None and power is not None and power >= 0:
                return below * power
            return 0 if below == 0 and degree(exponent) == 0 else None
        case Call(_, arguments):
            return 0 if all(degree(a) == 0 for a in arguments) else None
        case Reduction(kind, _, _, _, body):
            below = degree(body)
            return below if kind == "sum" or below == 0 else None
    return 0


_MATH: dict[str, Callable[..., float]] = {
    "exp": math.exp, "expm1": math.expm1, "sinh": math.sinh, "cosh": math.cosh,
    "tanh": math.tanh, "ln": math.log, "log": math.log, "log10": math.log10, "log2": math.log2,
    "log1p": math.log1p, "sqrt": math.sqrt, "abs": abs, "sin": math.sin, "cos": math.cos,
    "atan": math.atan, "floor": math.floor, "ceil": math.ceil, "min": min, "max": max,
}  # fmt: skip


def constant(node: Expression, known: dict[int, float | None] | None = None) -> float | None:
    """The value of an expression without variables, indices or n, in float64; None for others.

    An overflow is infinite; a value outside the domain is NaN. `known` keeps values by the `id` of
    the node, for callers that ask about ever larger parts of one tree.
    """
    known = {} if known is None else known
    if id(node) not in known:
        known[id(node)] = _constant(node, known)
    return known[id(node)]


def _constant(node: Expression, known: dict[int, float | None]) -> float | None:
    if isinstance(node, (Variable, Element, Index, Dimension, Reduction)):
        return None
    values: list[float] = []
    for child in children(node):
        value = constant(child, known)
        if value is None:
            return None
        values.append(value)
    try:
        match node:
            case Number():
                return float(node.value)
            case Constant(name):
                return math.pi if name == "pi" else math.e
            case Negate():
                return -values[0]
            case Power():
                result = values[0] ** values[1]
                return math.nan if isinstance(result, complex) else result
            case Call(name, _):
                return float(_MATH[name](*values)) if name in _MATH else math.nan
            case Chain(kind, inverted, _):
                total = 0.0 if kind == "+" else 1.0
                for value, under in zip(values, inverted, strict=True):
                    if kind == "+":
                        total += -value if under else value
                    else:
                        total = total / value if under else total * value
                return total
    except OverflowError:
        return math.inf
    except (ValueError, ZeroDivisionError):
        return math.nan
    raise AssertionError(node)


def natural(name: str) -> tuple[str, int]:
    """A sorting key: x2 before x10, x before x1."""
    letters, digits = re.fullmatch(r"(\D*)(\d*)", name).groups()  # type: ignore[union-attr]
    return letters, int(digits) if digits else -1
