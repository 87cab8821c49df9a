"""The gradient noise scale: how large a mini-batch has to be before more rows gain nothing."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from steepest.core.errors import UsageError
from steepest.engine.sharpness import Gradients


@dataclass(frozen=True)
class NoiseScale:
    """B = tr(S) / |G|^2, with G the gradient and S the covariance of that of one example.

    Up to about B examples a step, twice the batch takes nearly half the steps; far beyond it a
    larger batch gains nothing (McCandlish et al. 2018, "An empirical model of large-batch
    training", eq. 2.9). `low` and `high` bound it with 95 % confidence, `high` may be infinite:
    near a minimum the gradient vanishes and the noise does not.
    """

    value: float
    low: float
    high: float
    trace: float
    gradient_squared: float

    def to_dict(self) -> dict[str, float]:
        """JSON-ready."""
        return dict(vars(self))


def noise_scale(found: Gradients, rows: int | None = None) -> NoiseScale:
    """The gradient noise scale from the gradients of several mini-batches.

    With m batches of b examples, S2 = sum_k |g_k - mean|^2 / (m - 1) estimates tr(S)/b and
    |mean|^2 - S2/m estimates |G|^2, both without bias. The interval is Fieller's, with jackknife
    errors over the batches. `rows`: of the data set from which batches were drawn without
    replacement; their gradients then vary less by the factor (1 - b/rows), which is undone.

    Raises UsageError for fewer than 3 batches.
    """
    m, b = len(found.g), found.batch_size
    if m < 3:
        raise UsageError(f"the noise scale needs at least 3 mini-batches, got {m}.")
    g = np.asarray(found.g, np.float64)
    gram = g @ g.T
    share = 1.0 if rows is None else max(1 - b / rows, 1e-12)

    def parts(keep: np.ndarray) -> tuple[float, float]:
        inner = gram[np.ix_(keep, keep)]
        k = len(keep)
        mean_squared = inner.sum() / k**2
        spread = max((np.trace(inner) - k * mean_squared) / (k - 1), 0.0)
        return b * spread / share, mean_squared - spread / k

    trace, squared = parts(np.arange(m))
    left_out = np.array([parts(np.delete(np.arange(m), k)) for k in range(m)])
    error = np.sqrt((m - 1) / m * np.sum((left_out - left_out.mean(axis=0)) ** 2, axis=0))
    z = 1.96
    top, bottom = trace + z * error[0], squared - z * error[1]
    low = max(trace - z * error[0], 0.0) / max(squared + z * error[1], 1e-300)
    return NoiseScale(
        value=trace / squared if squared > 0 else math.inf,
        low=low,
        high=top / bottom if bottom > 0 else math.inf,
        trace=trace,
        gradient_squared=max(squared, 0.0),
    )
