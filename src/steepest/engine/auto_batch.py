"""`batch_size="auto"`: from the gradient noise scale and the measured time of a step."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from steepest.core.errors import UsageError
from steepest.core.record import replace
from steepest.data.dataset import Arrays
from steepest.engine.compiling import precision
from steepest.engine.noise_scale import NoiseScale, noise_scale
from steepest.engine.runs import run
from steepest.engine.settings import Settings
from steepest.engine.sharpness import gradients

SIZES = (32, 128)
"""Batch sizes at which a step is timed."""
REPEATS = 4
"""Short runs at each size; the first compiles, the fastest of the others counts."""
LEAST, SHARE = 64, 0.2
"""Steps of a short run at least, and the share of the run's steps that all may take together."""
SMALLEST, LARGEST = 8, 1024
STEPS = 1000
"""The run keeps so many steps where a batch of `SMALLEST` gives them."""


@dataclass(frozen=True)
class Batch:
    """A batch size and why.

    noise: the gradient noise scale after `steps` steps. overhead: how many examples could be
    computed in the time that a step costs beyond its examples. cap: the largest size that leaves
    the run enough steps. spent: steps of all short runs over those of the run.
    """

    size: int
    noise: NoiseScale
    overhead: float
    cap: int
    steps: int
    spent: float

    def __str__(self) -> str:
        why = f"the gradient noise scale is {self.noise.value:.3g} examples and a step costs as "
        why += f"much as {self.overhead:.3g} examples beside its own"
        if self.size == self.cap:
            why += f"; more than {self.cap} would leave the run too few steps"
        return f"Batch size {self.size}: {why}."

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "batch_size": self.size, "noise_scale": self.noise.to_dict(),
            "overhead": self.overhead, "cap": self.cap, "steps": self.steps, "spent": self.spent,
        }  # fmt: skip


def best_size(noise: float, overhead: float, cap: float) -> int:
    """The power of two nearest to sqrt(noise x overhead), from 8 to 1,024 and at most `cap`.

    With batches of B rows a loss is reached in a number of steps proportional to 1 + N/B, with N
    the noise scale (McCandlish et al. 2018, eq. 2.7), and a step takes a time proportional to
    o + B. The product is smallest at B = sqrt(N o).

    >>> best_size(400.0, 10.0, 1e9), best_size(400.0, 10.0, 40.0), best_size(1e9, 1e3, 1e9)
    (64, 32, 1024)
    """
    most = max(math.floor(math.log2(max(min(cap, LARGEST), SMALLEST))), int(math.log2(SMALLEST)))
    wanted = math.sqrt(noise * overhead)
    if not math.isfinite(wanted):
        return 2**most
    nearest = round(math.log2(max(wanted, 1.0)))
    return int(2 ** min(max(nearest, int(math.log2(SMALLEST))), most))


def tune_batch(ready: Any, settings: Settings, runs: int = 1) -> Batch:
    """The batch size for `settings` on the rows of `ready` (a `Prepared`).

    Short runs at batches of 32 and 128 give the time of a step as a line in the batch size, and the
    weights at which the noise scale is measured. They take at most a fifth of the run's steps (or
    64 steps each, where that is more). The noise is that of the seed; the time is measured, but
    enters under a square root, rounded to a power of two. At least 1,000 steps are left to the run
    where batches of 8 give as many. What is chosen is in the settings of the fit, by which it can
    be repeated exactly.

    Raises UsageError for rows that are streamed from disk.
    """
    if not isinstance(ready.train, Arrays):
        raise UsageError("batch_size='auto' needs the rows in memory; give a size.")
    n = len(ready.train.x)
    total = max(1, math.ceil(settings.epochs * -(-n // min(SIZES[0], n)))) * runs
    steps = max(LEAST, int(SHARE * total / (len(SIZES) * REPEATS)))
    small, large = (min(size, n) for size in SIZES)
    few, many = (
        [_short(ready, settings, size, steps) for _ in range(REPEATS)] for size in (small, large)
    )
    seconds = [min(r.seconds for r in short[1:]) / steps for short in (few, many)]
    params, buffers = few[-1].last()
    slope = max((seconds[1] - seconds[0]) / max(large - small, 1), 1e-2 * seconds[0] / small)
    overhead = max(seconds[0] - slope * small, 0.0) / slope
    with precision(settings.dtype):
        found = gradients(
            few[-1].specs[0].objective, params, ready.train, buffers,
            batch_size=min(SIZES[0], max(n // 4, 1)), seed=settings.seed,
        )  # fmt: skip
    noise = noise_scale(found, n)
    cap = 2 ** int(np.log2(max(min(settings.epochs * n / STEPS, n / 4, LARGEST), SMALLEST)))
    return Batch(
        best_size(noise.value, max(overhead, 1.0), cap), noise, overhead, cap, steps,
        steps * len(SIZES) * REPEATS / total,
    )  # fmt: skip


def _short(ready: Any, settings: Settings, size: int, steps: int) -> Any:
    spec = ready.spec(replace(settings, batch_size=size))
    return run(
        [spec], ready.train, None, seeds=(settings.seed + 1000,), batch_size=size, steps=steps,
        dtype=settings.dtype, every=steps,
    )  # fmt: skip
