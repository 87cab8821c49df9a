"""How a text table is written: separator, header, decimal comma, found from its first lines."""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass

SEPARATORS = (",", "\t", ";", "|", " ")
#: What stands for a missing value.
MISSING = ("", "NA", "N/A", "n/a", "NaN", "nan", "NULL", "null", "None", "?")
_NUMBER = re.compile(r"\s*[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?\s*")
_COMMA_NUMBER = re.compile(r"\s*[-+]?\d+,\d+\s*")


@dataclass(frozen=True)
class Dialect:
    """`names` are those of the header, or `column_1`, ... where there is none."""

    separator: str
    header: bool
    decimal_comma: bool
    names: tuple[str, ...]


def sniff(lines: list[str]) -> Dialect:
    """The dialect of these first lines, of which blank ones are left out.

    >>> sniff(["a;b", "1,5;2"])
    Dialect(separator=';', header=True, decimal_comma=True, names=('a', 'b'))
    >>> sniff(["1 2", "3 4"]).names
    ('column_1', 'column_2')
    """
    separator = max(SEPARATORS, key=lambda s: _fitness(lines, s))
    rows = _rows(lines, separator)
    first, body = rows[0], rows[1:]
    header = _has_header(first, body)
    cells = [c for row in (body if header else rows) for c in row]
    commas = separator == ";" and any(_COMMA_NUMBER.fullmatch(c) for c in cells)
    points = any("." in c and _NUMBER.fullmatch(c) for c in cells)
    names = [c.strip() for c in first] if header else [""] * len(first)
    named = tuple(name or f"column_{i + 1}" for i, name in enumerate(names))
    return Dialect(separator, header, commas and not points, named)


def _rows(lines: list[str], separator: str) -> list[list[str]]:
    try:
        return [row for row in csv.reader(lines, delimiter=separator) if row]
    except csv.Error:
        return [line.split(separator) for line in lines]


def _fitness(lines: list[str], separator: str) -> tuple[float, int, int]:
    """How well a separator fits: share of lines with the first line's fields, then their number."""
    rows = _rows(lines, separator)
    count = len(rows[0]) if rows else 0
    if count < 2:
        return 0.0, 0, 0
    agree = sum(len(row) == count for row in rows) / len(rows)
    # One line too short or too long must not turn a table of commas into one of spaces.
    return round(agree, 1), -SEPARATORS.index(separator) if agree == 1 else 0, count


def _has_header(first: list[str], body: list[list[str]]) -> bool:
    numeric = [c for c in first if _is_number(c)]
    if numeric:
        # Numbers are data, unless they count the columns, as pandas writes columns without names.
        counting = [str(i) for i in range(len(numeric))]
        return len(numeric) >= 3 and [c.strip() for c in numeric] == counting and bool(body)
    if not body:
        return True
    votes = 0
    for place, cell in enumerate(first):
        below = [row[place] for row in body if place < len(row)]
        if any(_is_number(c) for c in below):
            votes += 1
        else:
            votes += 1 if cell not in below else -1
    return votes >= 0


def _is_number(cell: str) -> bool:
    return bool(_NUMBER.fullmatch(cell) or _COMMA_NUMBER.fullmatch(cell))
