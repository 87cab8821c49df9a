"""The table of illnesses that a training run can have: one line each, with how it is looked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from steepest.diagnose import descent, fitting, network, sources
from steepest.diagnose.case import Case
from steepest.diagnose.finding import Finding


class Illness(NamedTuple):
    """What it is, in a line, and the function that looks for it in a case."""

    about: str
    look: Callable[[Case, bool], Finding | None]


ILLNESSES: dict[str, Illness] = {
    "not_finite_at_start": Illness(
        "the loss is no number before the first step", descent.not_finite_at_start
    ),
    "unscaled_data": Illness(
        "inputs or target far from size 1, or of very different sizes", sources.unscaled_data
    ),
    "symmetric_initialisation": Illness(
        "hidden units that start alike and stay alike", network.symmetric_initialisation
    ),
    "learning_rate_too_large": Illness(
        "diverged, thrown far off, or jumping without settling", descent.learning_rate_too_large
    ),
    "exploding_gradients": Illness(
        "signals that grow from layer to layer", network.exploding_gradients
    ),
    "vanishing_gradients": Illness(
        "signals that shrink from layer to layer", network.vanishing_gradients
    ),
    "saturated_units": Illness(
        "tanh or sigmoid units that start where they are flat", network.saturated_units
    ),
    "dead_units": Illness("relu units that are 0 on every row", network.dead_units),
    "learning_rate_too_small": Illness("steps too short to get anywhere", descent.slow),
    "too_few_epochs": Illness("ended while the loss was still falling", descent.slow),
    "copied_rows": Illness("training rows among those held out", sources.copied_rows),
    "leaked_target": Illness("a column that holds the target", sources.leaked_target),
    "rare_class": Illness("a class that is hardly there and never predicted", fitting.rare_class),
    "regularisation_too_strong": Illness(
        "penalty or dropout that hold the model back", fitting.underfitting
    ),
    "overfitting": Illness("validation got worse while training improved", fitting.overfitting),
    "underfitting": Illness("a model too small for the data", fitting.underfitting),
    "noise_floor": Illness("loss kept up by the noise of mini-batches", descent.noise_floor),
    "constant_columns": Illness("columns of one value", sources.constant_columns),
}

STUCK = ("learning_rate_too_small", "too_few_epochs", "underfitting", "noise_floor", "rare_class",
         "regularisation_too_strong")  # fmt: skip
THROWN = ("learning_rate_too_large", "dead_units", "overfitting", *STUCK)

CAUSES: dict[str, tuple[str, ...]] = {
    "not_finite_at_start": ("symmetric_initialisation", "exploding_gradients", *THROWN),
    "unscaled_data": (*THROWN, "saturated_units", "exploding_gradients", "vanishing_gradients"),
    "symmetric_initialisation": (*STUCK, "vanishing_gradients", "dead_units"),
    "exploding_gradients": THROWN,
    "saturated_units": ("vanishing_gradients", *THROWN),
    "vanishing_gradients": STUCK,
    "learning_rate_too_large": ("dead_units", "overfitting", *STUCK),
    "dead_units": ("vanishing_gradients", *STUCK),
    "overfitting": ("underfitting",),
    "noise_floor": ("overfitting",),
    "learning_rate_too_small": ("underfitting", "rare_class", "noise_floor"),
    "too_few_epochs": ("underfitting", "rare_class", "noise_floor"),
    "regularisation_too_strong": ("noise_floor", "overfitting", "rare_class"),
    "rare_class": ("underfitting", "noise_floor"),
}
"""What each illness explains: a symptom is not reported beside its cause."""


def found(case: Case, deep: bool) -> list[Finding]:
    """Every illness of the case, in the order of the table; each function is asked once."""
    out = []
    for look in dict.fromkeys(i.look for i in ILLNESSES.values()):
        finding = look(case, deep)
        if finding is not None:
            out.append(finding)
    return out
