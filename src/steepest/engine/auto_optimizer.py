"""`optimizer="auto"`: a race of a few rules, each at its own rate, by halving."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from steepest.core.errors import UsageError
from steepest.core.record import replace
from steepest.data.dataset import Arrays
from steepest.engine.auto_rate import (
    LEAST,
    RATES,
    SEEDS,
    SHARE,
    coarse_rates,
    fine_rates,
    for_length,
    limit_at_start,
    reliability,
    steps_of,
    sweep,
)
from steepest.engine.settings import Settings

ENTRANTS = ("adam", "nesterov", "rmsprop", "lion")


@dataclass(frozen=True)
class Heat:
    """One optimizer in one round: the rates tried, and the training loss of each seed, (r, s)."""

    optimizer: str
    rates: np.ndarray
    losses: np.ndarray

    @property
    def score(self) -> float:
        """The lowest mean logarithm of the loss plus its spread over seeds."""
        return float(np.min(reliability(self.losses)))

    @property
    def rate(self) -> float:
        """The rate that reached it."""
        return float(f"{self.rates[int(np.argmin(reliability(self.losses)))]:.2g}")

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {"optimizer": self.optimizer, "rates": self.rates.tolist(),
                "losses": self.losses.tolist()}  # fmt: skip


@dataclass(frozen=True)
class Race:
    """The optimizer that won, the learning rate for the run, and every round: (steps, heats), best
    first, with the rate that did best in its steps.

    spent: steps of all runs over those of the run.
    """

    optimizer: str
    rate: float
    rounds: tuple[tuple[int, tuple[Heat, ...]], ...]
    spent: float

    def __str__(self) -> str:
        ranked = ", then ".join(
            f"{', '.join(f'{h.optimizer} at {h.rate:.2g}' for h in heats)} ({steps} steps)"
            for steps, heats in self.rounds
        )
        return f"Optimizer {self.optimizer} at learning rate {self.rate:.3g}; best first: {ranked}."

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "optimizer": self.optimizer, "learning_rate": self.rate,
            "rounds": [{"steps": s, "heats": [h.to_dict() for h in heats]}
                       for s, heats in self.rounds],
            "spent": self.spent,
        }  # fmt: skip


def tune_optimizer(
    ready: Any, settings: Settings, runs: int = 1, entrants: Sequence[str] = ENTRANTS
) -> Race:
    """The optimizer for `settings` on the rows of `ready` (a `Prepared`), and its learning rate.

    Each entrant runs at eight rates a factor sqrt(10) apart from two seeds; the better half of the
    entrants runs twice as long at eight rates around its best; and so on until one is left. All
    runs of an entrant in a round are one program, and all start from the same weights and see the
    same mini-batches. Judged by the training loss and its reliability, as `tune_rate` does. All
    rounds together take at most a fifth of the run's steps, or 24 steps a run in the first round
    where that is more. The same seed gives the same answer.

    Entrants that do not take the settings given (a momentum, say) are left out.

    Raises UsageError for rows that are streamed, where no entrant takes the settings, and where
    every run diverged.
    """
    if not isinstance(ready.train, Arrays):
        raise UsageError("optimizer='auto' needs the rows in memory; name an optimizer.")
    left = {name: s for name in entrants if (s := _with(settings, name)) is not None}
    if not left:
        raise UsageError(
            f"optimizer='auto' races {', '.join(entrants)}, and none of them takes these settings; "
            "name an optimizer."
        )
    total = steps_of(ready, settings) * runs
    seeds = tuple(range(settings.seed + 1000, settings.seed + 1000 + SEEDS))
    rounds_to_come = max(1, math.ceil(math.log2(len(left))))
    a_step = len(left) * RATES * SEEDS  # of a round: halved entrants run twice as long
    steps = max(LEAST, int(SHARE * total / (rounds_to_come * a_step)))
    rates = {
        name: coarse_rates(ready, s, limit_at_start(ready, s, s.seed)) for name, s in left.items()
    }
    rounds: list[tuple[int, tuple[Heat, ...]]] = []
    spent = 0
    while True:
        heats = [Heat(n, rates[n], sweep(ready, s, rates[n], seeds, steps))
                 for n, s in left.items()]  # fmt: skip
        spent += len(heats) * RATES * SEEDS * steps
        heats.sort(key=lambda heat: heat.score)
        rounds.append((steps, tuple(heats)))
        if not math.isfinite(heats[0].score):
            raise UsageError(
                "optimizer='auto': every run diverged; look at the data with `steepest inspect`, "
                "or name an optimizer and a learning rate."
            )
        if len(rounds) >= rounds_to_come:
            break
        kept = [h for h in heats[: -(-len(heats) // 2)] if math.isfinite(h.score)]
        left = {h.optimizer: left[h.optimizer] for h in kept}
        rates = {h.optimizer: fine_rates(h.rate) for h in kept}
        steps *= 2
    best = heats[0]
    rate = best.rate * for_length(ready, settings, rounds[-1][0])
    return Race(best.optimizer, float(f"{rate:.2g}"), tuple(rounds), spent / total)


def _with(settings: Settings, name: str) -> Settings | None:
    """`settings` with this optimizer at its own rate; None where it does not take them."""
    found = replace(settings, optimizer=name, learning_rate=None)
    try:
        found.make_optimizer()
    except UsageError:
        return None
    return found
