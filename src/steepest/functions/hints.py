"""What to suggest for a formula that cannot be read."""

from __future__ import annotations

import difflib
import re

from steepest.functions.vocabulary import ALIASES, CONSTANTS, FUNCTIONS, GREEK, REDUCTIONS

PYTHON = frozenset(
    ("lambda", "import", "def", "return", "for", "if", "else", "eval", "exec", "math", "numpy")
)
WORDS = (*FUNCTIONS, *ALIASES, *REDUCTIONS, *CONSTANTS, *GREEK)

STRAY = {
    ")": ("This closing bracket has no opening one.", "Remove it, or add a `(`."),
    "=": ("A formula has no `=`.", "Give the right-hand side only: x^2 instead of y = x^2."),
    ",": ("A comma separates the arguments of a function.", "Decimals have a point: 3.5."),
    "..": ("`..` belongs into a sum.", "Write sum(i=1..n, x[i]^2)."),
    "[": (
        "A square bracket gives the index of a variable, as in x[1].",
        "Group with ( and ).",
    ),
    "]": ("This square bracket has no opening one.", "Remove it, or add a `[`."),
    ".": ("A formula has no attributes.", "Write sin(x), not math.sin(x); multiply with *."),
}
"""For a token that cannot stand where it stands: the sentence and the suggestion."""


def for_name(name: str, called: bool) -> str:
    """The suggestion for an unknown name; `called` if a bracket follows it.

    >>> for_name("sinn", called=True)
    'Did you mean `sin`?'
    >>> for_name("xy", called=False)
    'To multiply write `x*y`.'
    """
    factors = _factors(name)
    product = "*".join(factors)
    if called and len(factors) > 1 and factors[-1] in FUNCTIONS:
        return f"To multiply write `{product}( ... )`."
    near = difflib.get_close_matches(name[:20].lower(), WORDS, n=1, cutoff=0.7)
    if near and (len(name) > 2 or called):
        return f"Did you mean `{near[0]}`?"
    if len(name) <= 6 and not called:
        return f"To multiply write `{product}`."
    return "A variable is one letter, with digits if you like: x, y, x1."


def _factors(name: str) -> list[str]:
    """`xy` as x, y; `x1y` as x1, y; `xsin` as x, sin."""
    for word in sorted(FUNCTIONS, key=len, reverse=True):
        if len(word) > 2 and name.endswith(word) and name != word:
            return [*_factors(name[: -len(word)]), word]
    return re.findall(r"\D\d*|\d+", name)
