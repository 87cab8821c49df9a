"""Losses by name."""

from __future__ import annotations

from typing import Any

from steepest.core.errors import UsageError, suggest
from steepest.core.record import replace
from steepest.objectives.classification import BinaryLogLoss, Hinge, LogLoss, SquaredHinge
from steepest.objectives.loss import Custom, Loss
from steepest.objectives.regression import (
    Absolute,
    EpsilonInsensitive,
    Huber,
    Poisson,
    Quantile,
    Squared,
)

LOSSES: dict[str, type[Loss]] = {
    "squared": Squared,
    "absolute": Absolute,
    "huber": Huber,
    "quantile": Quantile,
    "epsilon_insensitive": EpsilonInsensitive,
    "poisson": Poisson,
    "log_loss": LogLoss,
    "binary_log_loss": BinaryLogLoss,
    "binary": BinaryLogLoss,
    "hinge": Hinge,
    "squared_hinge": SquaredHinge,
}


def loss(name: Any, **settings: Any) -> Loss:
    """The loss of that name with these settings; a function becomes a `Custom` loss.

    >>> loss("huber", delta=2.0)
    Huber(delta=2.0)
    """
    if isinstance(name, Loss):
        return replace(name, **settings) if settings else name
    if callable(name):
        return Custom(name, **settings)
    if name not in LOSSES:
        raise UsageError(f"loss={name!r} is not known; {suggest(name, LOSSES)}")
    return replace(LOSSES[name](), **settings)
