"""Losses that only stochastic gradient descent has, and how strongly each of its losses bends."""

from __future__ import annotations

import jax.numpy as jnp

from steepest.core.record import number, record
from steepest.objectives.classification import Hinge, Margin, SquaredHinge
from steepest.objectives.regression import Residual


@record
class MarginLog(Margin):
    """log(1 + exp(-m)): logistic regression, for k classes each against the rest."""

    def of_margin(self, m):
        """log(1 + exp(-m))."""
        return jnp.logaddexp(jnp.zeros_like(m), -m)


@record
class ModifiedHuber(Margin):
    """max(0, 1 - m)^2, from m = -1 down the tangent -4 m (Zhang 2004, eq. 14)."""

    def of_margin(self, m):
        """The square, or its tangent."""
        return jnp.where(m >= -1, jnp.square(jnp.maximum(1 - m, 0)), -4 * m)


@record
class HalfSquared(Residual):
    """r^2 / 2, whose curvature by the output is 1."""

    unit: float = number(default=1.0, above=0)

    def of_residual(self, r):
        """r^2 / 2."""
        return jnp.asarray(self.unit, r.dtype) * jnp.square(r) / 2


CLASS_LOSSES = {
    "hinge": Hinge,
    "squared_hinge": SquaredHinge,
    "log_loss": MarginLog,
    "modified_huber": ModifiedHuber,
}
BENDS = {"squared_hinge": 2.0, "modified_huber": 2.0, "log_loss": 0.25, "squared_error": 1.0}
"""The largest second derivative by the output."""
REAL_LOSSES = ("squared_error", "huber", "epsilon_insensitive")
