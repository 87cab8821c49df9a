"""What commands say and where: data on stdout; progress, hints and errors on stderr.

Rich is loaded when something is shown in colour or in a table, not before.
"""

from __future__ import annotations

import functools
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass
class Settings:
    """What the flags that may stand anywhere have set for this process."""

    quiet: bool = False
    debug: bool = False


settings = Settings()


@functools.cache
def _console(stderr: bool) -> Any:
    from rich.console import Console

    return Console(stderr=stderr, highlight=False, soft_wrap=True)


def stdout() -> Any:
    """The Rich console of stdout, for data."""
    return _console(False)


def stderr() -> Any:
    """The Rich console of stderr, for progress and hints."""
    return _console(True)


def say(text: str = "", style: str | None = None) -> None:
    """A line of the result, on stdout; never wrapped, never read as markup."""
    stdout().print(text, style=style, markup=False)


def hint(text: str, style: str | None = "dim") -> None:
    """A line of advice or progress, on stderr; silent with `--quiet`."""
    if not settings.quiet:
        stderr().print(text, style=style, markup=False)


def warn(text: str) -> None:
    """A line that must be seen even with `--quiet`, on stderr."""
    _labelled("warning", "bold yellow", text)


def error(text: str, advice: str = "") -> None:
    """Why the command failed, on stderr, and what to try (left out with `--quiet`)."""
    _labelled("error", "bold red", text)
    if advice and not settings.quiet:
        stderr().print(advice, style="dim", markup=False)


def _labelled(label: str, style: str, text: str) -> None:
    from rich.text import Text

    stderr().print(Text.assemble((f"{label}: ", style), text))


def emit(value: Any) -> None:
    """The one JSON object of `--json`, on stdout: strict JSON, where NaN and infinity are null."""
    import json

    indent = 2 if sys.stdout.isatty() else None
    print(json.dumps(plain(value), indent=indent, ensure_ascii=False, allow_nan=False))


def plain(value: Any) -> Any:
    """`value` as JSON knows it: NumPy and JAX arrays as lists, outcomes and paths as text."""
    import enum
    import os

    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, enum.Enum):
        return getattr(value, "text", value.name.lower())
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(v) for v in value]
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    raise TypeError(f"{type(value).__name__} has no JSON form")


def number(x: Any, digits: int = 4) -> str:
    """`digits` significant digits, as a person would write them.

    >>> [number(v) for v in (0.97312, 1.234567e-05, 1234567.0, 3, float("nan"), None)]
    ['0.9731', '1.235e-05', '1.235e+06', '3', 'nan', '–']
    """
    if x is None:
        return "–"
    if isinstance(x, bool) or not hasattr(x, "__float__"):
        return str(x)
    x = x.item() if hasattr(x, "item") else x
    if isinstance(x, int):
        return count(x)
    x = float(x)
    if not math.isfinite(x):
        return str(x)
    if x != 0 and not 1e-4 <= abs(x) < 1e6:
        return f"{x:.{digits - 1}e}"
    return f"{x:.{digits}g}" if abs(x) < 10**digits else f"{x:.0f}"


def count(n: Any) -> str:
    """A whole number with separators: `count(1797)` is `'1,797'`."""
    return f"{int(n):,}"


def spread(mean: Any, deviation: Any, digits: int = 4) -> str:
    """A mean and its standard deviation over seeds: `'0.9731 ± 0.0041'`."""
    if deviation is None or not math.isfinite(float(deviation)):
        return number(mean, digits)
    return f"{number(float(mean), digits)} ± {number(float(deviation), 2)}"


def rate(per_second: float) -> str:
    """A speed in short: `rate(290_400)` is `'290k'`."""
    for unit, name in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if per_second >= unit:
            return f"{per_second / unit:.3g}{name}"
    return f"{per_second:.3g}"


def duration(seconds: float) -> str:
    """A time in words: `'0.031 s'`, `'3.2 s'`, `'1 min 05 s'`, `'2 h 07 min'`."""
    if seconds < 59.95:
        return f"{seconds:.2g} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, s = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {s:02d} s"
    hours, m = divmod(minutes, 60)
    return f"{hours} h {m:02d} min"


def table(
    columns: Sequence[str],
    rows: Sequence[Sequence[Any]],
    *,
    title: str = "",
    best: int | None = None,
) -> None:
    """A table on stdout; numbers are formatted and right-aligned; row `best` stands out.

    On a terminal it is drawn by Rich; in a pipe it is plain aligned text that is never cut, since
    the next program counts on whole cells.
    """
    cells = [[v if isinstance(v, str) else number(v) for v in row] for row in rows]
    right = [
        bool(rows) and all(v is None or not isinstance(v, str) for v in column)
        for column in zip(*rows, strict=True)
    ] or [False] * len(columns)
    if stdout().is_terminal:
        from rich.box import SIMPLE_HEAD
        from rich.table import Table
        from rich.text import Text

        drawn = Table(box=SIMPLE_HEAD, title=title or None, title_justify="left", pad_edge=False)
        for name, r in zip(columns, right, strict=True):
            drawn.add_column(Text(name), justify="right" if r else "left", overflow="fold")
        for i, row in enumerate(cells):
            drawn.add_row(*map(Text, row), style="bold green" if i == best else None)
        stdout().print(drawn, soft_wrap=False)
        return
    if title:
        print(title)
    grid = [list(columns), *cells]
    widths = [max(map(len, column)) for column in zip(*grid, strict=True)]
    for row in grid:
        aligned = (
            c.rjust(w) if r else c.ljust(w) for c, w, r in zip(row, widths, right, strict=True)
        )
        print("  ".join(aligned).rstrip())
