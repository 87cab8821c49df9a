"""Expressions as text that the parser reads again, and as LaTeX."""

from __future__ import annotations

from steepest.functions.expression import (
    Call,
    Chain,
    Constant,
    Dimension,
    Element,
    Expression,
    Index,
    Negate,
    Number,
    Power,
    Reduction,
    Variable,
)
from steepest.functions.vocabulary import CONSTANTS, FUNCTIONS, GREEK, REDUCTIONS

SUM, PRODUCT, POWER, ATOM = range(4)


def strength(node: Expression) -> int:
    """How tightly the outermost operation binds: SUM < PRODUCT < POWER < ATOM."""
    match node:
        case Negate():
            return SUM
        case Chain(kind, _, _):
            return SUM if kind == "+" else PRODUCT
        case Power():
            return POWER
    return ATOM


def to_text(node: Expression, implicit: bool = False) -> str:
    """The formula in plain notation: `x^2 + 2*x*y`; with `implicit`, `x^2 + 2x*y`.

    The parser reads the same tree back from either form.

    >>> from steepest.functions import parse
    >>> to_text(parse("2x²+x·y"))
    '2*x^2 + x*y'
    """

    def show(child: Expression, least: int) -> str:
        text = to_text(child, implicit)
        return text if strength(child) >= least else f"({text})"

    match node:
        case Number(text):
            return text
        case Constant(name) | Index(name) | Variable(name):
            return name
        case Dimension():
            return "n"
        case Element(base, index):
            return f"{base}[{_tight(index)}]"
        case Negate(operand):
            return "-" + show(operand, PRODUCT)
        case Chain("+", inverted, terms):
            text = ("-" if inverted[0] else "") + show(terms[0], PRODUCT)
            for under, term in zip(inverted[1:], terms[1:], strict=True):
                text += (" - " if under else " + ") + show(term, PRODUCT)
            return text
        case Chain(_, inverted, terms):
            text = show(terms[0], POWER)
            for k, (under, term) in enumerate(zip(inverted[1:], terms[1:], strict=True)):
                factor = show(term, POWER)
                tight = (
                    implicit
                    and k == 0
                    and not under
                    and isinstance(terms[0], Number)
                    and (factor[0] == "(" or factor[0].isalpha())
                    and not (factor[0] in "eE" and factor[1:2].isdigit())  # 2*e1 is not 2e1
                )
                text += ("/" if under else "" if tight else "*") + factor
            return text
        case Power(base, exponent):
            return f"{show(base, ATOM)}^{show(exponent, ATOM)}"
        case Call(name, arguments):
            return f"{name}({', '.join(to_text(a, implicit) for a in arguments)})"
        case Reduction(kind, index, low, high, body):
            ends = f"{index}={_tight(low)}..{_tight(high)}"
            return f"{kind}({ends}, {to_text(body, implicit)})"
    raise AssertionError(node)


def to_latex(node: Expression) -> str:
    r"""The formula in LaTeX, without dollar signs.

    >>> from steepest.functions import parse
    >>> print(to_latex(parse("x^2/(1 + |y|)")))
    \frac{x^{2}}{1 + \left|y\right|}
    """

    def show(child: Expression, least: int) -> str:
        text = to_latex(child)
        return text if strength(child) >= least else rf"\left({text}\right)"

    match node:
        case Number(text):
            mantissa, _, power = text.lower().partition("e")
            return rf"{mantissa} \cdot 10^{{{int(power)}}}" if power else mantissa
        case Constant(name):
            return CONSTANTS[name]
        case Index(name) | Variable(name):
            return _name(name)
        case Dimension():
            return "n"
        case Element(base, index):
            return f"{_name(base)}_{{{to_latex(index)}}}"
        case Negate(operand):
            return "-" + show(operand, PRODUCT)
        case Chain("+", inverted, terms):
            text = ("-" if inverted[0] else "") + show(terms[0], PRODUCT)
            for under, term in zip(inverted[1:], terms[1:], strict=True):
                text += (" - " if under else " + ") + show(term, PRODUCT)
            return text
        case Chain(_, inverted, terms):
            over = [t for t, under in zip(terms, inverted, strict=True) if not under]
            below = [t for t, under in zip(terms, inverted, strict=True) if under]
            if below and len(over) > 1:
                over = [t for t in over if t != Number("1")] or over[:1]
            top = _product(over) if over else "1"
            return rf"\frac{{{top}}}{{{_product(below)}}}" if below else top
        case Power(base, exponent):
            shown = show(base, ATOM)
            if isinstance(base, Call) and base.name not in ("abs", "floor", "ceil", "sqrt", "cbrt"):
                inside = ", ".join(to_latex(a) for a in base.arguments)
                raised = f"^{{{to_latex(exponent)}}}"
                return rf"{FUNCTIONS[base.name].latex}{raised}\left({inside}\right)"
            if isinstance(base, Number) and "e" in base.text.lower():
                shown = rf"\left({shown}\right)"
            return f"{shown}^{{{to_latex(exponent)}}}"
        case Call("abs", (argument,)):
            return rf"\left|{to_latex(argument)}\right|"
        case Call("floor" | "ceil" as name, (argument,)):
            return rf"\left\l{name} {to_latex(argument)} \right\r{name}"
        case Call("sqrt" | "cbrt" as name, (argument,)):
            return f"{FUNCTIONS[name].latex}{{{to_latex(argument)}}}"
        case Call(name, arguments):
            inside = ", ".join(to_latex(a) for a in arguments)
            return rf"{FUNCTIONS[name].latex}\left({inside}\right)"
        case Reduction(kind, index, low, high, body):
            ends = f"_{{{index}={to_latex(low)}}}^{{{to_latex(high)}}}"
            return f"{REDUCTIONS[kind]}{ends} {show(body, PRODUCT)}"
    raise AssertionError(node)


def _tight(node: Expression) -> str:
    return to_text(node).replace(" ", "")


def _product(factors: list[Expression]) -> str:
    """Factors side by side; a dot only where two numbers would run together."""
    if len(factors) == 1:
        return to_latex(factors[0])
    text = ""
    for k, factor in enumerate(factors):
        shown = to_latex(factor)
        loose = strength(factor) < POWER and not (
            isinstance(factor, Chain) and factor.kind == "*" and any(factor.inverted)
        )
        shown = rf"\left({shown}\right)" if loose else shown
        if k:
            text += r" \cdot " if shown[0].isdigit() else " "
        text += shown
    return text


def _name(name: str) -> str:
    letters = name.rstrip("0123456789")
    digits = name[len(letters) :]
    shown = "\\" + letters if letters in GREEK else letters
    return f"{shown}_{{{digits}}}" if digits else shown
