"""The characters of a formula to tokens."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from steepest.core.errors import FormulaError


class Token(NamedTuple):
    """`kind` is number, name, superscript, end, or the operator itself; `column` counts from 0."""

    kind: str
    text: str
    column: int


MOST_DIGITS = 40
LARGEST_EXPONENT = 300

_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹ⁿ⁻", "0123456789n-")
_SUBSCRIPTS = str.maketrans("₀₁₂₃₄₅₆₇₈₉", "0123456789")
_OPERATORS = {
    "**": "^", "^": "^", "..": "..", "…": "..", "*": "*", "·": "*", "⋅": "*", "×": "*", "∗": "*",
    "/": "/", "÷": "/", "+": "+", "-": "-", "−": "-", "–": "-", "(": "(", ")": ")", "[": "[",
    "]": "]", "|": "|", ",": ",", "=": "=", "√": "√", ".": ".",
}  # fmt: skip
_PATTERN = re.compile(
    r"""(?P<space>\s+)
    | (?P<number>(?:[0-9]+(?:\.[0-9]+|\.(?![.0-9A-Za-z_]))?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)
    | (?P<name>[A-Za-z\u0370-\u03ff](?:[A-Za-z\u0370-\u03ff0-9₀-₉]|_(?=[0-9]))*)
    | (?P<superscript>⁻?(?:ⁿ|[⁰¹²³⁴⁵⁶⁷⁸⁹]+))
    | (?P<operator>\*\*|\.\.|[\^*/+\-()\[\]|,=.…·⋅×∗÷−–√])
    """,
    re.VERBOSE,
)
_HINTS = {
    "{": "Group with ( and ).",
    "}": "Group with ( and ).",
    "'": "A formula has no text in quotes.",
    '"': "A formula has no text in quotes.",
    "!": "There is no factorial.",
    "%": "There is no percent sign; write 0.01*x.",
    "<": "A formula has no comparisons; min, max and step may serve.",
    ">": "A formula has no comparisons; min, max and step may serve.",
    ":": "A range is written 1..n.",
    ";": "Give one formula only.",
    "_": "A variable is one letter, with digits if you like: x, y, x1.",
    "∞": "Infinity is no number.",
    "Σ": "Write sum(i=1..n, x[i]^2).",
    "∑": "Write sum(i=1..n, x[i]^2).",
}


def tokenize(text: str) -> Iterator[Token]:
    """The tokens one by one, the last of kind `end`; spaces only separate."""
    position = 0
    while position < len(text):
        match = _PATTERN.match(text, position)
        if match is None or text[position] in "Σ":
            char = text[position]
            shown = char if char.isprintable() else f"U+{ord(char):04X}"
            raise FormulaError(
                f"The character `{shown}` is not part of a formula.",
                text,
                position,
                _HINTS.get(char, ""),
            )
        kind, found = str(match.lastgroup), match.group()
        if kind == "number":
            _limit(found, text, position)
        if kind == "operator":
            yield Token(_OPERATORS[found], found, position)
        elif kind == "superscript":
            shown = found.translate(_SUPERSCRIPTS)
            _limit(shown, text, position)
            yield Token(kind, shown, position)
        elif kind == "name":
            yield Token(kind, _plain(found), position)
        elif kind == "number":
            yield Token(kind, found, position)
        position = match.end()
    yield Token("end", "", len(text))


def _plain(name: str) -> str:
    """`x_1` and `x₁` as `x1`, `x01` as `x1`, `π` as `pi`."""
    name = name.translate(_SUBSCRIPTS).replace("_", "")
    if name == "π":
        return "pi"
    letters = name.rstrip("0123456789")
    digits = name[len(letters) :]
    return letters + (digits.lstrip("0") or "0") if digits else letters


def _limit(number: str, text: str, column: int) -> None:
    mantissa, _, exponent = number.lower().partition("e")
    if len(mantissa) > MOST_DIGITS:
        raise FormulaError(
            f"A number may have at most {MOST_DIGITS} digits.", text, column, "Write it as 1.5e20."
        )
    if exponent and (len(exponent) > 8 or abs(int(exponent)) > LARGEST_EXPONENT - MOST_DIGITS):
        raise FormulaError(
            "This number is too large or too small for a computer's numbers.", text, column
        )
