"""Options that commands share, and the reading of lists such as `64,64` or `b1=0.9`.

What cannot be read becomes a `UsageError` that names the option and the text.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Annotated

import typer

from steepest.core.errors import UsageError

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Seed of everything that is random.")]
Target = Annotated[str | None, typer.Option(
    help="The column to predict.", rich_help_panel="Data")]  # fmt: skip
Test = Annotated[str | None, typer.Option(
    help="A file of rows to test on.", rich_help_panel="Data")]  # fmt: skip
Weights = Annotated[str | None, typer.Option(
    help="The column of row weights.", rich_help_panel="Data")]  # fmt: skip
Drop = Annotated[list[str] | None, typer.Option(
    help="A column to leave out; may be repeated.", rich_help_panel="Data")]  # fmt: skip
Encoding = Annotated[str | None, typer.Option(
    help="The encoding of a text table that is not UTF-8, such as cp1252.",
    rich_help_panel="Data")]  # fmt: skip
Task = Annotated[str | None, typer.Option(
    help="classification or regression, if guessed wrong.", rich_help_panel="Data")]  # fmt: skip


def names(text: str) -> tuple[str, ...]:
    """`'relu,tanh'` as `('relu', 'tanh')`; blanks around the commas do not matter."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


def integers(text: str, option: str, *, least: int | None = None) -> tuple[int, ...]:
    """`'64,64'` as `(64, 64)`.

    >>> integers("64, 32", "--hidden", least=1)
    (64, 32)
    """
    out = tuple(_integer(part, text, option) for part in names(text))
    for value in out:
        if least is not None and value < least:
            raise UsageError(f"{option}: {value} in {text!r} must be at least {least}.")
    return out


def floats(text: str, option: str, *, length: int | None = None) -> tuple[float, ...]:
    """`'3,-2'` as `(3.0, -2.0)`; NaN and infinity are refused.

    >>> floats("3,-2e-1", "--start", length=2)
    (3.0, -0.2)
    """
    out = tuple(_float(part, text, option) for part in names(text))
    if length is not None and len(out) != length:
        raise UsageError(
            f"{option}: {text!r} holds {len(out)} numbers, but {length} are needed; "
            f"write them like {','.join(['1'] * length)}."
        )
    if not out:
        raise UsageError(f"{option}: {text!r} holds no number; write numbers like 3,-2.")
    return out


def bounds(text: str, option: str) -> tuple[tuple[float, float], ...]:
    """`'-2:2,-1:3'` as `((-2.0, 2.0), (-1.0, 3.0))`: one interval a variable.

    >>> bounds("-2:2,-1:3", "--bounds")
    ((-2.0, 2.0), (-1.0, 3.0))
    """
    out = []
    for part in names(text):
        ends = part.split(":")
        if len(ends) != 2:
            raise UsageError(f"{option}: {part!r} is not an interval; write it like -2:2.")
        low, high = (_float(end, text, option) for end in ends)
        if not low < high:
            raise UsageError(f"{option}: {part!r} is empty; the lower end must come first.")
        out.append((low, high))
    if not out:
        raise UsageError(f"{option}: {text!r} holds no interval; write intervals like -2:2,-1:3.")
    return tuple(out)


def pairs(items: Iterable[str], option: str) -> dict[str, bool | int | float | str]:
    """`['b1=0.9', 'nesterov=true']` as a dict; numbers and true/false are read as such.

    >>> pairs(["b1=0.9", "nesterov=true", "steps=3,loss=huber"], "--set")
    {'b1': 0.9, 'nesterov': True, 'steps': 3, 'loss': 'huber'}
    """
    out: dict[str, bool | int | float | str] = {}
    for part in (p for item in items for p in names(item)):
        key, equals, value = part.partition("=")
        key, value = key.strip(), value.strip()
        if not equals or not key or not value:
            raise UsageError(f"{option}: {part!r} is not a setting; write it like name=value.")
        if key in out:
            raise UsageError(f"{option}: {key!r} is set twice, to {out[key]!r} and to {value!r}.")
        out[key] = scalar(value)
    return out


def scalar(text: str) -> bool | int | float | str:
    """A value as it was meant: `true`, `3`, `1e-3`, else the text itself."""
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    for read in (int, float):
        try:
            return read(text)
        except ValueError:
            continue
    return text


def _integer(part: str, text: str, option: str) -> int:
    try:
        return int(part)
    except ValueError:
        raise UsageError(
            f"{option}: {part!r} in {text!r} is not a whole number; write them like 64,64."
        ) from None


def _float(part: str, text: str, option: str) -> float:
    try:
        value = float(part)
    except ValueError:
        raise UsageError(
            f"{option}: {part!r} in {text!r} is not a number; write numbers like 3,-2."
        ) from None
    if not math.isfinite(value):
        raise UsageError(f"{option}: {part!r} in {text!r} is not a finite number.")
    return value
