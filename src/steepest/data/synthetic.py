"""Two-dimensional classes to learn and teach with: moons, circles, spirals, blobs."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from steepest.core.errors import UsageError, suggest
from steepest.data.dataset import Source, Table


def moons(rng: np.random.Generator, n: int, noise: float = 0.1):
    """Two interleaving half circles of radius 1; Gaussian noise of this standard deviation."""
    y = _labels(n, 2)
    t = math.pi * rng.random(n)
    x = np.column_stack([np.cos(t), np.sin(t)])
    x[y == 1] = np.array([1.0, 0.5]) - x[y == 1]
    return x + noise * rng.standard_normal(x.shape), y


def circles(rng: np.random.Generator, n: int, noise: float = 0.1, factor: float = 0.5):
    """A circle of radius 1 around one of radius `factor`."""
    y = _labels(n, 2)
    t = 2 * math.pi * rng.random(n)
    x = np.column_stack([np.cos(t), np.sin(t)]) * np.where(y == 1, factor, 1.0)[:, None]
    return x + noise * rng.standard_normal(x.shape), y


def spirals(
    rng: np.random.Generator, n: int, noise: float = 0.02, classes: int = 2, turns: float = 1.5
):
    """`classes` arms, each winding `turns` times from the centre out to radius 1."""
    y = _labels(n, classes)
    radius = np.sqrt(rng.random(n))
    t = 2 * math.pi * (turns * radius + y / classes)
    x = np.column_stack([radius * np.cos(t), radius * np.sin(t)])
    return x + noise * rng.standard_normal(x.shape), y


def blobs(
    rng: np.random.Generator, n: int, noise: float = 1.0, classes: int = 3, features: int = 2
):
    """One Gaussian cloud a class, its centre drawn uniformly from the cube [-5, 5]^features."""
    y = _labels(n, classes)
    centres = rng.uniform(-5, 5, (classes, features))
    return centres[y] + noise * rng.standard_normal((n, features)), y


SYNTHETIC: dict[str, Callable] = {
    "moons": moons,
    "circles": circles,
    "spirals": spirals,
    "blobs": blobs,
}


def _labels(n: int, classes: int) -> np.ndarray:
    return np.arange(n) % classes


def synthetic(text: str) -> Table:
    """A synthetic set by name and options: `moons`, `moons:n=2000,noise=0.2,seed=3`.

    All take `n` (rows, 1000), `noise` (standard deviation) and `seed` (0); circles also `factor`,
    spirals `classes` and `turns`, blobs `classes` and `features`.

    >>> synthetic("spirals:n=300,classes=3")
    Table('spirals', 300 rows, 2 features, target='class', task='classification')
    """
    name, _, rest = text.partition(":")
    make = SYNTHETIC[name]
    options: dict[str, Any] = {"n": 1000, "seed": 0}
    options |= dict(zip(_arguments(make), make.__defaults__ or (), strict=True))
    for item in filter(None, rest.split(",")):
        key, equals, value = item.partition("=")
        key = key.strip()
        if key not in options or not equals:
            raise UsageError(
                f"{text!r}: {item!r} is not an option of {name}; {suggest(key, options)}"
            )
        options[key] = _number(text, key, value, type(options[key]))
    n, seed = options.pop("n"), options.pop("seed")
    classes = options.get("classes", 2)
    if n < classes:
        raise UsageError(f"{text!r}: n={n} must be at least the number of classes, {classes}.")
    x, y = make(np.random.default_rng(seed), n, **options)
    return Table(
        x=x,
        y=y,
        name=name,
        target="class",
        task="classification",
        source=Source(text, held=(x, y)),
    )


def _arguments(make: Callable) -> tuple[str, ...]:
    code = make.__code__
    return code.co_varnames[2 : code.co_argcount]


_LEAST = {"n": 2, "classes": 2, "features": 1, "seed": 0, "noise": 0.0}


def _number(text: str, key: str, value: str, kind: type) -> float:
    try:
        number = kind(value)
    except ValueError:
        number = math.nan
    least = _LEAST.get(key, -math.inf)
    if not (math.isfinite(number) and number >= least):
        bound = f" of at least {least}" if least > -math.inf else ""
        what = "a whole number" if kind is int else "a number"
        raise UsageError(f"{text!r}: {key}={value.strip()!r} must be {what}{bound}.")
    return number
