"""`Fit`: what training gives back; `Fits`: the same from several seeds, with mean and spread."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from steepest.core.errors import DivergedError
from steepest.core.outcome import Outcome
from steepest.core.trace import Trace
from steepest.data.dataset import Arrays
from steepest.data.encode import Encoder
from steepest.engine.runs import Runs, measure
from steepest.engine.settings import Settings
from steepest.engine.trained import Trained, in_units

Metrics = dict[str, float]


@dataclass(kw_only=True)
class Fit(Trained):
    """A trained model and how it came about.

    params, buffers:  the best weights, a pytree as the model made it, and its running statistics.
    w:                the same weights as one vector.
    last_params:      the weights after the last step.
    outcome, message: how the run ended, and a sentence that says why.
    steps, epochs:    taken. seconds: of the training loop.
    train, validation, test: `{"loss": ..., "accuracy" | "r2" ...}` at the best weights; None where
                      there are no such rows. Regression metrics are in the units of the target.
    trace:            what was recorded.
    parts:            the training, validation and test rows, encoded.
    tuned:            how settings given as `auto` were chosen (`auto.Chosen`), else None.
    """

    settings: Settings
    last_params: Any
    outcome: Outcome
    message: str
    seed: int
    steps: int
    epochs: float
    best_epoch: float
    seconds: float
    trace: Trace
    train: Metrics
    validation: Metrics | None = None
    test: Metrics | None = None
    sizes: dict[str, int] = field(default_factory=dict)
    parts: dict[str, Arrays | None] = field(default_factory=dict)
    tuned: Any = None

    @property
    def success(self) -> bool:
        """Whether the run gave a model, that is, did not diverge."""
        return self.outcome is not Outcome.DIVERGED

    def raise_if_diverged(self) -> Fit:
        """The fit itself; DivergedError if the run diverged."""
        if not self.success:
            raise DivergedError(self.message)
        return self

    def diagnose(self, data: Any = None, *, deep: bool = True) -> Any:
        """What is wrong with this run, measured, and what would cure it: a `Diagnosis`.

        `data` is needed only where the rows are not at hand any more; `deep=False` looks at what
        was recorded, without measuring gradients, layers and curvature.
        """
        from steepest.diagnose.diagnose import diagnose_fit

        return diagnose_fit(self, data, deep=deep)

    def to_dict(self) -> dict[str, Any]:
        """The numbers as JSON: outcome, message, task, sizes and metrics."""
        return {
            "outcome": self.outcome.text,
            "message": self.message,
            "task": self.task,
            "seed": self.seed,
            "epochs": self.epochs,
            "best_epoch": self.best_epoch,
            "steps": self.steps,
            "seconds": round(self.seconds, 4),
            "rows": self.sizes,
            "parameters": int(self.w.size),
            "train": self.train,
            "validation": self.validation,
            "test": self.test,
            **({} if self.tuned is None else {"chosen": self.tuned.to_dict()}),
        }

    def __repr__(self) -> str:
        shown = {k: f"{v:.4g}" for k, v in (self.test or self.validation or self.train).items()}
        return f"Fit({self.outcome.text}, {self.epochs:g} epochs, held out: {shown})"


@dataclass
class Fits:
    """The same training from several seeds."""

    fits: list[Fit]
    seconds: float

    def __iter__(self) -> Iterator[Fit]:
        return iter(self.fits)

    def __len__(self) -> int:
        return len(self.fits)

    def __getitem__(self, i: int) -> Fit:
        return self.fits[i]

    @property
    def best(self) -> Fit:
        """The fit with the lowest validation loss (training loss where none was held out)."""

        def key(fit: Fit) -> float:
            loss = (fit.validation or fit.train)["loss"]
            return loss if fit.success and math.isfinite(loss) else math.inf

        return min(self.fits, key=key)

    @property
    def trace(self) -> Trace:
        """The trace of all seeds."""
        return self.fits[0].trace

    def summary(self) -> dict[str, Any]:
        """Mean and standard deviation (ddof 1) of each metric over seeds that did not diverge."""
        out: dict[str, Any] = {}
        good = [f for f in self.fits if f.success]
        for part in ("train", "validation", "test"):
            rows = [getattr(f, part) for f in good]
            if not rows or rows[0] is None:
                out[part] = None
                continue
            out[part] = {}
            for name in rows[0]:
                values = np.array([r[name] for r in rows])
                spread = float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
                out[part][name] = {"mean": float(np.mean(values)), "std": spread}
        out["diverged"] = len(self.fits) - len(good)
        return out

    def to_dict(self) -> dict[str, Any]:
        """The best fit's numbers, the mean and spread over seeds, and each seed's numbers."""
        best = self.best.to_dict()
        return best | {
            "seconds": round(self.seconds, 4),
            "summary": self.summary(),
            "seeds": [f.to_dict() for f in self.fits],
        }


def fits_of(
    runs: Runs,
    settings: Settings,
    encoder: Encoder,
    parts: dict[str, Arrays | None],
    cell: int = 0,
) -> list[Fit]:
    """A `Fit` for each seed of a cell."""
    found = {k: None if a is None else measure(runs, a) for k, a in parts.items()}
    objective = runs.specs[cell].objective
    per = max(runs.steps_per_epoch, 1)
    out = []
    for s, seed in enumerate(runs.seeds):
        params, buffers = runs.best(s, cell)

        def metrics(part, s=s):
            values = found.get(part)
            if values is None:
                return None
            return in_units(encoder, {k: float(v[s, cell]) for k, v in values.items()})

        train = metrics("train")
        assert train is not None
        out.append(
            Fit(
                settings=settings,
                dtype=settings.dtype,
                encoder=encoder,
                model=objective.model,
                loss=objective.loss,
                params=params,
                buffers=buffers,
                last_params=runs.last(s, cell)[0],
                outcome=runs.outcome(s, cell),
                message=runs.message(s, cell),
                seed=seed,
                steps=int(runs.carry.step[s, cell]),
                epochs=float(runs.carry.step[s, cell]) / per,
                best_epoch=float(runs.carry.best_step[s, cell]) / per,
                seconds=runs.seconds,
                trace=runs.trace,
                train=train,
                validation=metrics("validation"),
                test=metrics("test"),
                sizes={k: 0 if a is None else len(a) for k, a in parts.items()},
                parts=parts,
            )
        )
    return out
