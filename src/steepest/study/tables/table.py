"""What a table of gradient descent is made of: rows, claims with verdicts, charts.

A table is a file of this folder with `TITLE`, `QUESTION` and `measure(bench) -> Table`. Nothing in
it decides a verdict: `claims.py` does, from the runs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from steepest.study.statistics import Interval

HOLDS, FAILS, OPEN = "holds", "does not hold", "cannot tell"


@dataclass(frozen=True)
class Claim:
    """A common claim and what the runs say of it.

    verdict: `holds`, `does not hold`, or `cannot tell`. effect: the measured size with its 95 %
    interval; unit: of what (`times as many iterations`, `difference of the loss`). sentence: what
    was found, in plain words.
    """

    text: str
    verdict: str
    effect: Interval
    unit: str
    sentence: str


@dataclass(frozen=True)
class Series:
    """One line, or one set of bars: y over x, with an interval at each where it is known."""

    name: str
    x: Sequence[Any]
    y: Sequence[float]
    low: Sequence[float] | None = None
    high: Sequence[float] | None = None


@dataclass(frozen=True)
class Chart:
    """kind: `line`, `bars` (x are names) or `strip` (y of single runs over names)."""

    title: str
    kind: str
    x: str
    y: str
    series: Sequence[Series]
    log_x: bool = False
    log_y: bool = False
    note: str = ""


@dataclass(frozen=True)
class Table:
    """A measured table.

    columns, rows: cells are texts, numbers, or `Interval`. printed: the figures that are commonly
    printed, by the text of the row's first cell (unsourced). protocol: what was done, so that
    anyone can do it again.
    """

    number: int
    title: str
    question: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]
    protocol: str
    claims: Sequence[Claim] = ()
    charts: Sequence[Chart] = ()
    printed: dict[str, str] = field(default_factory=dict)
    printed_name: str = ""
    seconds: float = math.nan

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return _plain(asdict(self))


def _plain(x: Any) -> Any:
    if isinstance(x, dict):
        return {str(k): _plain(v) for k, v in x.items()}
    if isinstance(x, (list, tuple)):
        return [_plain(v) for v in x]
    if hasattr(x, "item"):
        x = x.item()
    if isinstance(x, float) and not math.isfinite(x):
        return None
    return x
