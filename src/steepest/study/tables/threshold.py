"""Table 12: too large a learning rate: where divergence begins, against 2 / lambda_max."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from steepest.core.record import replace
from steepest.data.dataset import Arrays
from steepest.engine.compiling import precision
from steepest.engine.runs import batch_of, drawn, run, run_keys
from steepest.engine.settings import Settings
from steepest.engine.spec import stack
from steepest.models.linear import Linear
from steepest.objectives.curvature import spectrum
from steepest.study.execute import DIVERGED
from steepest.study.folds import Folds
from steepest.study.tables import claims
from steepest.study.tables.bench import Bench, spread
from steepest.study.tables.table import Chart, Series, Table

TITLE = "Too large a learning rate"
QUESTION = "At which learning rate does full-batch descent begin to diverge?"
FACTORS = (0.5, 0.9, 0.95, 0.98, 1.02, 1.05, 1.1, 1.5, 3.0, 10.0)
STEPS = 300
MOST_ROWS = 400
EDGE = 0.5
EDGE_STEPS = 1000


def measure(bench: Bench) -> Table:
    """A quadratic, a convex loss and a network, each at rates around its predicted limit."""
    rows, series, ratios = [], [], {}
    for name, folds, settings in _problems(bench):
        train = folds[0].train
        sharp = _sharpness(folds, settings, bench.seeds)
        predicted = 2 / sharp
        rates = [float(f * np.median(predicted)) for f in FACTORS]
        bad = _diverged(folds, settings, train, rates, bench)
        first = np.where(bad.any(axis=1), np.argmax(bad, axis=1), -1)
        # A run that never failed is known to have its threshold beyond the last rate.
        threshold = np.array([_between(rates, int(i)) if i >= 0 else rates[-1] for i in first])
        ratios[name] = threshold / predicted
        rows.append([
            name, spread(sharp), spread(predicted), spread(threshold), spread(ratios[name]),
            int((first < 0).sum()),
        ])  # fmt: skip
        series.append(Series(name, list(FACTORS), bad.mean(axis=0).tolist()))
    edge, reached = _edge(bench)
    return Table(
        12, TITLE, QUESTION,
        ("problem", "sharpness λ at the start", "predicted limit 2/λ", "measured threshold",
         "measured / predicted", "runs that never failed"), rows,
        protocol=f"{bench.name} (of more than {MOST_ROWS} rows, that many; six in ten to train), "
        "all training rows in each step, plain gradient descent, "
        f"{bench.seeds} seeds, {bench.length(STEPS)} steps at {len(FACTORS)} rates from "
        f"{FACTORS[0]:g} to {FACTORS[-1]:g} times the median of 2/λ; the threshold of a run is the "
        "geometric mean of the last rate that worked and the first that failed, that is, ended "
        "without finite numbers or with a loss above the one before training (the last rate, where "
        "none failed). λ is the "
        "largest eigenvalue of the Hessian at the initial weights, by Lanczos. Linear models start "
        "at small random weights." + reached,
        claims=[
            claims.within("Descent on a quadratic diverges above 2/λ and not below.",
                          ratios["linear regression"], 0.95, 1.05,
                          what="ratio of measured to predicted limit"),
            claims.within("For a network, too, divergence begins at 2/λ of the initial weights.",
                          ratios["network"], 0.8, 1.25,
                          what="ratio of measured to predicted limit"),
            claims.within("Full-batch training ends at the edge of stability: λ rises to 2/rate.",
                          edge, 0.8, 1.25, what="ratio of λ after training to 2/rate"),
        ],
        charts=[Chart("Share of runs that fail", "line", "rate / (2/λ)", "share", series,
                      log_x=True)],
    )  # fmt: skip


def _problems(bench: Bench) -> list[tuple[str, Folds, Settings]]:
    common: dict[str, Any] = {"optimizer": "sgd", "batch_size": "full", "validation": 0.2,
                              "test": 0.2, "probes": ("loss",)}  # fmt: skip
    linear = Settings(model=Linear(initializer="lecun_normal"), **common)
    rows = bench.few(MOST_ROWS)
    numbers, folds = Folds(bench.as_numbers(rows), linear), Folds(rows, linear)
    return [
        ("linear regression", numbers, linear),
        ("linear model, the task's loss", folds, linear),
        ("network", folds, Settings(hidden=(32,), activation="tanh", **common)),
    ]


def _points(folds: Folds, settings: Settings, seeds: int) -> tuple[Any, Any]:
    """Initial (params, buffers) of every seed, as the engine draws them."""
    objective = stack([folds.spec(settings).objective], settings.dtype)
    points = drawn(objective, run_keys(range(seeds)), 1)
    return jax.tree.map(lambda a: a[:, 0], points)


def _sharpness(folds: Folds, settings: Settings, seeds: int, points: Any = None) -> np.ndarray:
    """The largest Hessian eigenvalue of each seed's weights."""
    with precision("float32"):
        objective = folds.spec(settings).objective
        params, buffers = _points(folds, settings, seeds) if points is None else points
        batch = jax.device_put(batch_of(folds[0].train))
        return np.array([
            spectrum(objective, *_nth(i, params, batch, buffers), steps=40).high
            for i in range(seeds)
        ])  # fmt: skip


def _nth(i: int, params: Any, batch: Any, buffers: Any) -> tuple[Any, Any, Any]:
    return jax.tree.map(lambda a: a[i], params), batch, jax.tree.map(lambda a: a[i], buffers)


def _diverged(
    folds: Folds, settings: Settings, train: Arrays, rates: Sequence[float], bench: Bench
) -> np.ndarray:
    """(seeds, rates): whether the run ended worse than it began."""
    specs = [folds.spec(replace(settings, learning_rate=r)) for r in rates]
    runs = run(specs, train, seeds=range(bench.seeds), batch_size="full",
               steps=bench.length(STEPS), every=10**9)  # fmt: skip
    carry = runs.carry
    diverged = np.isin(carry.reason, DIVERGED)
    return diverged | ~(carry.value <= carry.first_value)


def _between(rates: Sequence[float], first: int) -> float:
    """The threshold, between the rate `first` and the one before it."""
    return float(np.sqrt(rates[first] * rates[first - 1])) if first else rates[0]


def _edge(bench: Bench) -> tuple[np.ndarray, str]:
    """lambda rate / 2 after training a network on squares; and a sentence on it."""
    settings = _problems(bench)[2][2]
    folds = Folds(bench.as_numbers(bench.few(MOST_ROWS)), settings)
    start = float(np.median(_sharpness(folds, settings, bench.seeds)))
    rate = EDGE * 2 / start
    spec = folds.spec(replace(settings, learning_rate=rate))
    steps = bench.length(EDGE_STEPS)
    runs = run([spec], folds[0].train, seeds=range(bench.seeds), batch_size="full", steps=steps,
               every=10**9)  # fmt: skip
    here = jax.tree.map(lambda a: a[:, 0], runs.points("last"))
    sharp = _sharpness(folds, settings, bench.seeds, here)
    text = (
        f" Edge of stability (Cohen et al. 2021): the network on squared errors at rate "
        f"{rate:.3g}, half its limit at the start; λ {start:.3g} before and "
        f"{np.median(sharp):.3g} after {steps} steps, 2/rate = {2 / rate:.3g}."
    )
    return sharp * rate / 2, text
