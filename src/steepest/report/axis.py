"""`Axis`: where values stand between the ends of an axis, its ticks, and the bin at its end."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

MARGIN = 0.04
SMALLEST = 1e-30
"""A logarithmic axis shows at most so small a part of its highest value; less stands at its end."""


@dataclass(frozen=True)
class Axis:
    """An axis from `low` to `high`, or over `names`.

    Infinite values stand in a bin of their own beyond the end (`bin`), so that a run that diverged
    is seen and does not stretch the axis. NaN stands nowhere.
    """

    low: float = 0.0
    high: float = 1.0
    log: bool = False
    names: tuple[str, ...] = ()
    bin: bool = False

    def at(self, value: Any) -> float:
        """The place of a value, 0 at the low end and 1 at the high one; NaN if it has none."""
        if self.names:
            return (self.names.index(level(value)) + 0.5) / len(self.names)
        value = float(value)
        if self.log:
            if value <= self.low:
                return 0.0
            span = math.log(self.high / self.low) or 1.0
            return max(0.0, math.log(value / self.low) / span) if math.isfinite(value) else value
        return (value - self.low) / ((self.high - self.low) or 1.0)

    def ticks(self, most: int = 6) -> list[tuple[float, str]]:
        """(place, text) of each tick, at round numbers within the axis."""
        if self.names:
            return [(self.at(n), n) for n in self.names]
        values = _decades(self.low, self.high, most) if self.log else []
        if len(values) < 2:
            values = _round(self.low, self.high, most)
        return list(zip(map(self.at, values), distinct(values), strict=True))


def axis_of(values: Iterable[Any], log: bool = False, zero: bool = False) -> Axis:
    """An axis that shows these values; `zero`: from zero on, as bars need it.

    A logarithmic one if wanted and all values are above 0. Values that are texts are its names.

    >>> axis_of([1.0, 100.0, float("inf")], log=True).bin
    True
    >>> axis_of(["sgd", "adam", "sgd"]).names
    ('sgd', 'adam')
    """
    values = list(values)
    if any(isinstance(v, str) for v in values):
        return Axis(names=tuple(dict.fromkeys(level(v) for v in values)))
    numbers = [number(v) for v in values]
    finite = [v for v in numbers if math.isfinite(v)]
    beyond = any(math.isinf(v) for v in numbers)
    if not finite:
        return Axis(bin=beyond)
    low, high = min(finite), max(finite)
    if log and low > 0:
        low = max(low, high * SMALLEST)
        pad = (high / low) ** MARGIN if high > low else 2.0
        return Axis(low / pad, min(high * pad, sys.float_info.max), True, bin=beyond)
    if zero:
        low, high = min(low, 0.0), max(high, 0.0)
        high = 1.0 if high == low else high
    pad = MARGIN * (high - low) or abs(high) * 0.1 or 1.0
    down = 0.0 if zero and low == 0 else pad
    return Axis(low - down, high + (0.0 if zero and high == 0 else pad), bin=beyond)


def number(value: Any) -> float:
    """A value as a number, NaN for None."""
    return math.nan if value is None else float(value)


def level(value: Any) -> str:
    """A level as the name under which it stands on an axis."""
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return value if isinstance(value, str) else {True: "yes", False: "no", None: "none"}[value]
    return short(float(value))


def short(value: float, digits: int = 3) -> str:
    """A number in few characters.

    >>> [short(v) for v in (0.05, 1200.0, 1234567.0, 1e-05, float("inf"))]
    ['0.05', '1200', '1.23e6', '1e-5', '∞']
    """
    if math.isnan(value):
        return "–"
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    if value != 0 and not 1e-3 <= abs(value) < 1e5:
        mantissa, _, exponent = f"{value:.{digits - 1}e}".partition("e")
        mantissa = mantissa.rstrip("0").rstrip(".") if "." in mantissa else mantissa
        return f"{mantissa}e{int(exponent)}"
    text = f"{value:.{digits}g}"
    return f"{value:.0f}" if "e" in text else text


def distinct(values: Sequence[float]) -> list[str]:
    """The numbers of ticks in as few digits, from three on, as say where they stand.

    >>> distinct([0.98, 0.98025, 0.9805])
    ['0.98', '0.98025', '0.9805']
    """
    gap = min((abs(b - a) for a, b in pairwise(sorted(values))), default=math.inf)
    for digits in range(3, 16):
        texts = [short(v, digits) for v in values]
        if all(abs(float(t) - v) <= 0.01 * gap for t, v in zip(texts, values, strict=True)):
            break
    return texts


def _round(low: float, high: float, most: int) -> list[float]:
    raw = (high - low) / max(most - 1, 1)
    if not raw > 0:
        return [low]
    unit = 10.0 ** math.floor(math.log10(raw))
    step = next(unit * m for m in (1, 2, 2.5, 5, 10) if unit * m >= raw * 0.999)
    first = math.ceil(low / step - 1e-9)
    count = math.floor(high / step + 1e-9) - first
    return [float(f"{(first + i) * step:.12g}") for i in range(count + 1)]


def _decades(low: float, high: float, most: int) -> list[float]:
    first, last = math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high) + 1e-9)
    if last - first + 1 > most:
        every = math.ceil((last - first + 1) / most)
        return [10.0**k for k in range(first, last + 1, every)]
    for parts in ((1, 2, 5), (1, 3), (1,)):
        found = _within(parts, first, last, low, high)
        if len(found) <= most:
            return found
    return _within((1,), first, last, low, high)


def _within(parts: Sequence[int], first: int, last: int, low: float, high: float) -> list[float]:
    every = [float(f"{m}e{k}") for k in range(first - 1, last + 1) for m in parts]
    return [v for v in every if low <= v * (1 + 1e-9) and v <= high * (1 + 1e-9)]
