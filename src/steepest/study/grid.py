"""What a study varies: factors with their levels, and the cells that a design makes of them.

A cell is a dict of settings, `{"learning_rate": 0.1, "optimizer": "sgd"}`; the order of cells is
that of an odometer, the last factor turning fastest.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from steepest.core.errors import UsageError, suggest
from steepest.engine.settings import Settings

Cell = dict[str, Any]

FIELDS = {f.name: f for f in dataclasses.fields(Settings)}
FIXED = {"seed", "probes", "every"}
"""Settings that a study has its own words for."""
WITHIN = {"optimizer.": "optimizer_settings", "schedule.": "schedule_settings"}
"""`optimizer.b2` is the setting b2 of the rule, `schedule.rate` that of the schedule."""
SPACED = re.compile(r"(?P<low>[^:]+):(?P<high>[^:]+):(?P<kind>log|lin)?(?P<count>\d+)")
MOST_LEVELS = 100_000


def levels(name: str, text: str) -> tuple[Any, ...]:
    """The levels that a text names: `1e-4:1:log9`, `0:0.5:lin6`, or a list such as `sgd,adam`.

    Hidden layers are joined by x: `32,64x64` is one network of 32 units and one of 64 and 64.

    >>> levels("learning_rate", "0.01:1:log3")
    (0.01, 0.1, 1.0)
    >>> levels("hidden", "32,64x64"), levels("norm", "none,layer")
    (((32,), (64, 64)), (None, 'layer'))
    """
    known(name)
    spaced = SPACED.fullmatch(text.strip())
    if spaced and not _textual(name):
        return _spaced(name, text, **spaced.groupdict())
    parts = [part.strip() for part in text.split(",")]
    if not all(parts):
        raise UsageError(f"{name}={text!r} has an empty level; write values with commas between.")
    return tuple(_level(name, part) for part in parts)


def known(name: str) -> None:
    """UsageError where a study cannot vary `name`."""
    if name in FIXED:
        raise UsageError(f"{name} is not varied by name; give the number of seeds with seeds=.")
    if name in FIELDS or any(name.startswith(p) and len(name) > len(p) for p in WITHIN):
        return
    names = [n for n in FIELDS if n not in FIXED]
    raise UsageError(f"there is no setting {name!r} to vary; {suggest(name, names)}")


def _textual(name: str) -> bool:
    return name in FIELDS and FIELDS[name].metadata.get("role") == "part"


def _spaced(name: str, text: str, low: str, high: str, kind: str | None, count: str) -> tuple:
    a, b, n = _number(name, low), _number(name, high), int(count)
    if not 1 <= n <= MOST_LEVELS:
        raise UsageError(f"{name}={text!r}: give between 1 and {MOST_LEVELS} levels.")
    if kind == "log":
        if a <= 0 or b <= 0:
            raise UsageError(f"{name}={text!r}: a logarithmic range needs ends above 0.")
        values = np.geomspace(a, b, n)
    else:
        values = np.linspace(a, b, n)
    # 15 digits: 0.1 and not 0.09999999999999999, in tables and on axes.
    rounded = [float(f"{v:.15g}") for v in values]
    if FIELDS.get(name) is not None and _counts(name):
        whole = dict.fromkeys(round(v) for v in rounded)
        return tuple((n,) for n in whole) if name == "hidden" else tuple(whole)
    return tuple(rounded)


def _counts(name: str) -> bool:
    return name in ("batch_size", "hidden")


def _number(name: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise UsageError(f"{name}: {text.strip()!r} is not a number.") from None
    if not math.isfinite(value):
        raise UsageError(f"{name}: {text.strip()!r} must be finite.")
    return value


def _level(name: str, text: str) -> Any:
    f = FIELDS.get(name)
    if text.lower() in ("none", "null") and (f is None or f.default is None):
        return None
    if f is None:
        return _guess(text)
    if name == "hidden":
        return tuple(_whole(name, part) for part in text.split("x"))
    if name == "batch_size":
        return text if text == "full" else _whole(name, text)
    if isinstance(f.default, bool):
        if text.lower() not in ("yes", "no", "true", "false"):
            raise UsageError(f"{name}: {text!r} must be yes or no.")
        return text.lower() in ("yes", "true")
    if f.metadata.get("role") == "number":
        return _number(name, text)
    return text


def _guess(text: str) -> Any:
    if text.lower() in ("yes", "true", "no", "false"):
        return text.lower() in ("yes", "true")
    try:
        return int(text)
    except ValueError:
        pass
    try:
        return float(text)
    except ValueError:
        return text


def _whole(name: str, text: str) -> int:
    try:
        value = int(text)
    except ValueError:
        raise UsageError(f"{name}: {text.strip()!r} is not a whole number.") from None
    if value < 1:
        raise UsageError(f"{name}: {value} must be at least 1.")
    return value


def factors(vary: Mapping[str, Any]) -> dict[str, tuple[Any, ...]]:
    """`vary` with each text read and each list a tuple; UsageError for what cannot be varied."""
    out: dict[str, tuple[Any, ...]] = {}
    for name, given in vary.items():
        known(name)
        if isinstance(given, str):
            out[name] = levels(name, given)
            continue
        if not isinstance(given, Iterable):
            raise UsageError(f"vary: {name}={given!r} must be a list of levels, or a text.")
        values = tuple(given.tolist() if isinstance(given, np.ndarray) else given)
        out[name] = tuple(tuple(v) if isinstance(v, list) else v for v in values)
    for name, values in out.items():
        if not values:
            raise UsageError(f"vary: {name} has no levels; give at least one.")
        shown = [repr(v) for v in values]
        if len(set(shown)) < len(shown):
            raise UsageError(f"vary: {name} has a level twice: {', '.join(shown)}.")
    return out


def grid(of: Mapping[str, Sequence[Any]]) -> list[Cell]:
    """Every combination of levels.

    >>> grid({"optimizer": ["sgd", "adam"], "learning_rate": [0.1, 1.0]})[1]
    {'optimizer': 'sgd', 'learning_rate': 1.0}
    """
    return [dict(zip(of, values, strict=True)) for values in itertools.product(*of.values())]


def sample(of: Mapping[str, Sequence[Any]], count: int, seed: int = 0) -> list[Cell]:
    """`count` different combinations, drawn at random without replacement; all, if fewer exist."""
    if count < 1:
        raise UsageError(f"a random design needs at least 1 cell, got {count}.")
    sizes = [len(v) for v in of.values()]
    total = math.prod(sizes)
    if count >= total:
        return grid(of)
    random = np.random.default_rng(seed)
    if total <= 10 * MOST_LEVELS:
        chosen = np.sort(random.choice(total, count, replace=False)).tolist()
    else:
        found: set[int] = set()
        while len(found) < count:
            found.add(int(random.integers(total)))
        chosen = sorted(found)
    names, lists = list(of), list(of.values())
    cells = []
    for number in chosen:
        indices = []
        for size in reversed(sizes):
            number, index = divmod(number, size)
            indices.append(index)
        cells.append({n: v[i] for n, v, i in zip(names, lists, reversed(indices), strict=True)})
    return cells


def design(kind: str, of: Mapping[str, Sequence[Any]], seed: int = 0) -> list[Cell]:
    """The cells of the design `grid`, or `random:N`."""
    if kind == "grid":
        return grid(of)
    name, _, count = kind.partition(":")
    if name == "random" and count.isdigit():
        return sample(of, int(count), seed)
    raise UsageError(f"design={kind!r} is not known; write grid, or random:50 for 50 cells.")


def changes(cell: Cell) -> dict[str, Any]:
    """A cell as changes of `Settings`: what is set within a rule or schedule comes together."""
    out: dict[str, Any] = {}
    for name, value in cell.items():
        prefix = next((p for p in WITHIN if name.startswith(p)), None)
        if prefix is None:
            out[name] = value
        elif value is not None:
            field = WITHIN[prefix]
            out[field] = (*out.get(field, ()), (name[len(prefix) :], value))
    return out


def label(cell: Cell) -> str:
    """A cell for a person: `optimizer=sgd learning_rate=0.1`."""
    return " ".join(f"{name}={text(value)}" for name, value in cell.items()) or "all defaults"


def text(value: Any) -> str:
    """A level as a person would write it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, tuple):
        return "x".join(map(text, value))
    return "none" if value is None else str(value)
