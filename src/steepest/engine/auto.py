"""Settings given as `auto`: batch size, optimizer and learning rate are found by measurement."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from steepest.core.errors import UsageError
from steepest.core.record import replace
from steepest.engine.auto_batch import Batch, tune_batch
from steepest.engine.auto_optimizer import Race, tune_optimizer
from steepest.engine.auto_rate import Tuned, tune_rate
from steepest.engine.settings import Settings

OTHERWISE = {
    "learning_rate": "a number",
    "batch_size": "a whole number, 'full'",
    "optimizer": "the name of an optimizer",
}
"""The settings that may be `auto`, and what else they may be."""


def take_auto(changes: dict[str, Any]) -> frozenset[str]:
    """Take the settings that are `"auto"` out of `changes`; their names.

    They count as no choice of one's own: the rest of the recipe stays.

    >>> given = {"learning_rate": "auto", "epochs": 5}
    >>> sorted(take_auto(given)), given
    (['learning_rate'], {'epochs': 5})
    """
    names = {
        n for n in OTHERWISE if isinstance(changes.get(n), str) and changes[n] == "auto"
    }  # fmt: skip
    rate = changes.get("learning_rate")
    if isinstance(rate, str) and rate != "auto":
        raise UsageError(f"learning_rate={rate!r} must be a number or 'auto'.")
    if "optimizer" in names and not {"learning_rate"} & names and rate is not None:
        raise UsageError(
            f"optimizer='auto' finds the learning rate of each optimizer; leave out "
            f"learning_rate={rate}."
        )
    for name in names:
        del changes[name]
    return frozenset(names)


@dataclass(frozen=True)
class Chosen:
    """What was chosen, each part with its reasons; a part that was not asked for is None."""

    batch: Batch | None = None
    race: Race | None = None
    sweep: Tuned | None = None

    @property
    def rate(self) -> float | None:
        """The learning rate."""
        found = self.sweep or self.race
        return None if found is None else found.rate

    @property
    def optimizer(self) -> str | None:
        """The name of the optimizer."""
        return None if self.race is None else self.race.optimizer

    @property
    def batch_size(self) -> int | None:
        """The rows of a step."""
        return None if self.batch is None else self.batch.size

    def __str__(self) -> str:
        return "\n".join(str(p) for p in (self.batch, self.race, self.sweep) if p is not None)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        parts = {"batch_size": self.batch, "optimizer": self.race, "learning_rate": self.sweep}
        return {k: p.to_dict() for k, p in parts.items() if p is not None}


def choose(
    ready: Any, settings: Settings, names: frozenset[str], runs: int = 1
) -> tuple[Settings, Chosen | None]:
    """`settings` with the settings `names` chosen for the rows of `ready`; and why.

    The batch size comes first, then the optimizer, which has its rate from the race, or else the
    learning rate. `runs`: how many seeds the run has. None where nothing was to be chosen.
    """
    if not names:
        return settings, None
    batch = race = sweep = None
    if "batch_size" in names:
        batch = tune_batch(ready, settings, runs)
        settings = replace(settings, batch_size=batch.size)
    if "optimizer" in names:
        race = tune_optimizer(ready, settings, runs)
        settings = replace(settings, optimizer=race.optimizer, learning_rate=race.rate)
    elif "learning_rate" in names:
        sweep = tune_rate(ready, settings, runs=runs)
        settings = replace(settings, learning_rate=sweep.rate)
    return settings, Chosen(batch, race, sweep)
