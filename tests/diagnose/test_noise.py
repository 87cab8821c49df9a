"""What gradient noise costs, against descents whose noise is known."""

import numpy as np
import pytest

from steepest.diagnose.noise import excess_loss, first_order_fall
from steepest.engine.sharpness import Gradients


def test_the_excess_loss_is_where_noisy_descent_settles():
    rng = np.random.default_rng(4)
    eta, curvature, noise = 0.02, np.array([1.0, 3.0, 0.5]), np.array([0.5, 1.0, 2.0])
    w, heights = np.zeros(3), []
    for _ in range(60_000):
        w = w - eta * (curvature * w + noise * rng.standard_normal(3))
        heights.append(0.5 * curvature @ w**2)
    g = noise * rng.standard_normal((4000, 3))
    predicted = excess_loss(Gradients(g, 1), eta, 1.0, False)
    assert predicted == pytest.approx(np.mean(heights[2000:]), rel=0.1)


def test_the_first_order_fall_is_that_of_a_small_step():
    rng = np.random.default_rng(5)
    slope, eta = np.array([1.0, -2.0, 0.5]), 1e-3
    g = slope + 0.1 * rng.standard_normal((4000, 3))
    assert first_order_fall(Gradients(g, 1), eta, 1.0, False) == pytest.approx(
        eta * slope @ slope, rel=0.01
    )
    # With P the root of the mean squared gradient, each weight contributes about |g|.
    assert first_order_fall(Gradients(g, 1), eta, 1.0, True) == pytest.approx(
        eta * np.abs(slope).sum(), rel=0.02
    )
