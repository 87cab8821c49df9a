"""Remedies, tried: the run again with one change each, from the same seeds, and what it gained."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from steepest.core.errors import UsageError
from steepest.core.outcome import OUTCOME_OF, Outcome, Reason
from steepest.core.record import replace
from steepest.diagnose.case import Case
from steepest.diagnose.finding import Finding, as_options
from steepest.engine.runs import measure, run
from steepest.engine.settings import Settings
from steepest.engine.train import Prepared

GAIN = 0.02
"""How much accuracy or R^2 a remedy must add to count as a cure."""


@dataclass(frozen=True)
class Trial:
    """One change, and what came of it over the seeds.

    score: accuracy or R^2 on the validation rows (training rows where there are none), a seed each.
    gain:  mean difference to the run as it was, seed by seed; error: its standard error.
    diverged: how many seeds diverged. cured: whether none diverged and the gain is above 0.02 and
    above two standard errors.
    """

    changes: dict[str, Any]
    score: np.ndarray
    gain: float
    error: float
    diverged: int
    loss: float

    @property
    def options(self) -> str:
        """The change as options of `steepest train`."""
        return as_options(self.changes)

    @property
    def cured(self) -> bool:
        """See above."""
        return self.diverged == 0 and self.gain > max(GAIN, 2 * self.error)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "changes": self.changes, "options": self.options, "score": float(np.mean(self.score)),
            "gain": self.gain, "error": self.error, "diverged": self.diverged,
            "cured": self.cured,
        }  # fmt: skip


@dataclass(frozen=True)
class Cure:
    """The run as it was (`before`), and every trial, the best first."""

    before: Trial
    trials: tuple[Trial, ...]
    metric: str
    seeds: tuple[int, ...]

    @property
    def best(self) -> Trial | None:
        """The best trial that cured; None where nothing did."""
        return next((t for t in self.trials if t.cured), None)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "metric": self.metric, "seeds": list(self.seeds), "before": self.before.to_dict(),
            "trials": [t.to_dict() for t in self.trials],
        }  # fmt: skip


def candidates(case: Case, findings: Sequence[Finding] = ()) -> list[dict[str, Any]]:
    """About 16 single changes: those that the findings suggest first, then the usual ones."""
    settings, rate = case.settings, case.rate
    out = [c for f in findings for c in f.changes if "drop" not in c]
    if rate is not None:
        limit = case.sharpness_at_start.limit
        if limit and math.isfinite(limit):
            out.append({"learning_rate": limit / 2})
        out += [{"learning_rate": rate * k} for k in (0.1, 0.5, 3.0, 10.0)]
        if settings.warmup is None:
            out.append({"warmup": min(2.0, settings.epochs / 4)})
        if settings.schedule == "constant":
            out.append({"schedule": "cosine"})
    if settings.clip_norm is None:
        out.append({"clip_norm": 1.0})
    if not settings.standardize:
        out.append({"standardize": True})
    if settings.model == "mlp":
        out += [
            {"initializer": "auto"}, {"activation": "relu"}, {"activation": "tanh"},
            {"norm": "batch"}, {"dropout": 0.2},
        ]  # fmt: skip
    out += [{"optimizer": "adam", "learning_rate": 1e-3}, {"l2": 1e-3}]
    if case.full_batch:
        out.append({"batch_size": 32})
    else:
        out.append({"batch_size": 4 * case.batch_size})
    out.append({"epochs": 2 * settings.epochs})
    return _worth(settings, out)


def _worth(settings: Settings, changes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The changes that can be made and change something, each once; rates to two digits."""
    kept: list[dict[str, Any]] = []
    for change in changes:
        change = {k: _two_digits(v) if k == "learning_rate" else v for k, v in change.items()}
        if all(_same(getattr(settings, k), v) for k, v in change.items()) or change in kept:
            continue
        try:
            replace(settings, **change).make_optimizer()
        except UsageError:
            continue
        kept.append(change)
    return kept


def cure(
    case: Case,
    findings: Sequence[Finding] = (),
    *,
    table: Any = None,
    changes: Sequence[dict[str, Any]] | None = None,
    seeds: int = 3,
) -> Cure:
    """Run again with one change each, and tell which cured the run and by how much.

    All trials share initial weights and the order of mini-batches seed by seed, and those that
    differ in numbers alone are one program. `table`: the data, needed where a change concerns how
    they are encoded. `changes`: other candidates than `candidates(case, findings)`.

    Raises UsageError for fewer than one seed.
    """
    if seeds < 1:
        raise UsageError(f"seeds must be at least 1, got {seeds}.")
    tried = candidates(case, findings) if changes is None else _worth(case.settings, list(changes))
    if table is None:
        tried = [c for c in tried if "standardize" not in c]
    chosen = tuple(range(case.seed, case.seed + seeds))
    results = _run_all(case, [{}, *tried], table, chosen)
    before = results[0]
    base = before["score"]
    made = []
    for change, found in zip([{}, *tried], results, strict=True):
        gap = found["score"] - base
        error = float(np.std(gap, ddof=1) / np.sqrt(len(gap))) if len(gap) > 1 else 0.0
        made.append(
            Trial(change, found["score"], float(gap.mean()), error, found["diverged"],
                  found["loss"])
        )  # fmt: skip
    first, *others = made
    others.sort(key=lambda t: (-round(float(np.mean(t.score)), 3), t.diverged, t.loss))
    return Cure(first, tuple(others), "r2" if case.regression else "accuracy", chosen)


def _run_all(case: Case, changes: list[dict], table: Any, seeds: tuple[int, ...]) -> list[dict]:
    """Scores, losses and divergences of each change, in order; like programs run together."""
    made: dict[bool, Any] = {case.settings.standardize: case}
    jobs: dict[Any, list[tuple[int, Any]]] = {}
    plans: dict[Any, tuple[Settings, Any]] = {}
    for i, change in enumerate(changes):
        settings = replace(case.settings, **change)
        if settings.standardize not in made:
            made[settings.standardize] = Prepared(table, settings)
        ready = made[settings.standardize]
        spec = settings.spec_for(ready.encoder)
        key = (jax.tree.structure(spec), settings.batch_size, settings.epochs, settings.standardize)
        jobs.setdefault(key, []).append((i, spec))
        plans[key] = settings, ready
    out: list[dict] = [{} for _ in changes]
    for key, cells in jobs.items():
        settings, ready = plans[key]
        held = ready.parts.get("validation")
        train = ready.parts["train"]
        runs = run(
            [spec for _, spec in cells], train, held, seeds=seeds,
            batch_size=settings.batch_size, epochs=settings.epochs, dtype=settings.dtype,
            every=1_000_000,
        )  # fmt: skip
        found = measure(runs, train if held is None else held)
        score = found["r2" if case.regression else "accuracy"]
        for c, (i, _) in enumerate(cells):
            ended = [OUTCOME_OF[Reason(int(r))] for r in runs.carry.reason[:, c]]
            out[i] = {
                "score": np.nan_to_num(np.asarray(score[:, c], float), nan=0.0, neginf=-1e3),
                "loss": float(np.nan_to_num(found["loss"][:, c], nan=np.inf).mean()),
                "diverged": sum(e is Outcome.DIVERGED for e in ended),
            }
    return out


def command(data: str, where: dict[str, Any], settings: Settings) -> str:
    """The line of `steepest train` that trains with these settings.

    >>> command("iris", {}, Settings(optimizer="sgd", learning_rate=0.1, hidden=(8, 8)))
    'steepest train iris --hidden 8,8 --optimizer sgd --learning-rate 0.1'
    """
    flags = {"target": "target_loss", "test": "test_share"}
    lists = {"optimizer_settings": "optimizer-set", "schedule_settings": "schedule-set"}
    words = [as_options({k: v}) for k, v in where.items() if k != "drop" and v]
    words += [f"--drop {name}" for name in where.get("drop", ())]
    for f in dataclasses.fields(Settings):
        value = getattr(settings, f.name)
        if f.name in ("probes", "every") or _same(value, f.default):
            continue
        if f.name in lists:
            words += [f"--{lists[f.name]} {k}={v}" for k, v in value]
            continue
        words.append(as_options({flags.get(f.name, f.name): value}))
    return " ".join(["steepest train", data, *words])


def _same(a: Any, b: Any) -> bool:
    return type(a) is type(b) and bool(np.all(a == b)) if isinstance(a, tuple) else bool(a == b)


def _two_digits(x: Any) -> Any:
    return float(f"{x:.2g}") if isinstance(x, float) else x
