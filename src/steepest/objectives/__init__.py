"""Layer 2: what is minimised: losses, penalties, and the objective made of them."""

from steepest.objectives.classification import BinaryLogLoss, Hinge, LogLoss, SquaredHinge
from steepest.objectives.loss import Custom, Loss
from steepest.objectives.losses import LOSSES, loss
from steepest.objectives.objective import Batch, FunctionObjective, Objective
from steepest.objectives.regression import (
    Absolute,
    EpsilonInsensitive,
    Huber,
    Poisson,
    Quantile,
    Squared,
)
from steepest.objectives.regularizers import Penalty

__all__ = [
    "LOSSES",
    "Absolute",
    "Batch",
    "BinaryLogLoss",
    "Custom",
    "EpsilonInsensitive",
    "FunctionObjective",
    "Hinge",
    "Huber",
    "LogLoss",
    "Loss",
    "Objective",
    "Penalty",
    "Poisson",
    "Quantile",
    "Squared",
    "SquaredHinge",
    "loss",
]
