"""What gradient noise costs and what the gradient promises, at a point of a run."""

from __future__ import annotations

import numpy as np

from steepest.engine.noise_scale import NoiseScale, noise_scale
from steepest.engine.sharpness import Gradients

__all__ = ["NoiseScale", "excess_loss", "first_order_fall", "noise_scale"]


def excess_loss(found: Gradients, rate: float, gain: float, preconditioned: bool) -> float:
    """How far above the minimum mini-batch noise keeps the loss: about eta tr(P^-1 S_b) / 4.

    On a quadratic with small eta, descent with noise of covariance S_b settles at that height
    (Mandt, Hoffman and Blei 2017, eq. 13). `gain` is 1/(1 - b) for momentum; P is 1, or for Adam
    and RMSProp the root of the mean squared gradient.
    """
    spread = np.var(found.g, axis=0, ddof=1, dtype=np.float64)
    if preconditioned:
        spread = spread / (np.sqrt(found.second_moment) + 1e-8)
    return float(rate * gain * spread.sum() / 4)


def first_order_fall(found: Gradients, rate: float, gain: float, preconditioned: bool) -> float:
    """By how much a small step lowers the loss: eta G^T P^-1 G, with the noise of G taken off."""
    mean = found.g.mean(axis=0, dtype=np.float64)
    squared = mean**2 - np.var(found.g, axis=0, ddof=1, dtype=np.float64) / len(found.g)
    if preconditioned:
        squared = squared / (np.sqrt(found.second_moment) + 1e-8)
    return max(float(rate * gain * squared.sum()), 0.0)
