"""Table 13: random restarts: which minima are reached, on functions and on a network."""

from __future__ import annotations

import numpy as np

from steepest.engine.minimize import minimize
from steepest.functions import function
from steepest.functions.surfaces import SURFACES
from steepest.study.tables import claims
from steepest.study.tables.bench import BATCH, Bench, final_losses
from steepest.study.tables.table import Chart, Series, Table

TITLE = "Random restarts"
QUESTION = "How much does the random start decide?"
FUNCTIONS = ("himmelblau", "styblinski-tang", "rastrigin")
STARTS = 1000
HIDDEN = (8,)
NETS = 50
EPOCHS = 60


def measure(bench: Bench) -> Table:
    """A thousand descents on each function; fifty networks too small for the task."""
    rows, shares = [], {}
    for name in FUNCTIONS:
        surface = SURFACES[name]
        n = surface.check(None)
        f = function(name)
        found = minimize(
            f, bounds=[tuple(b) for b in surface.box(n)], starts=STARTS, optimizer="fista",
            max_steps=2000, tol=1e-6,
        )  # fmt: skip
        distinct = found.distinct(tolerance=1e-2)
        best = float(np.nanmin(found.fun))
        hits = int(np.sum(found.fun <= best + 1e-4 * max(1.0, abs(best))))
        shares[name] = (hits, STARTS)
        rows.append([
            name, len(distinct), best, float(np.nanmedian(found.fun)), f"{hits / STARTS:.1%}",
            _needed(hits / STARTS),
        ])  # fmt: skip
    result = bench.study(
        [{"learning_rate": 0.1}], epochs=EPOCHS, hidden=HIDDEN, seeds=NETS, every_step=False
    )
    final = np.sort(final_losses(result, 0))
    held = result.values("validation_loss")[0]
    known = final[np.isfinite(final)]
    best = float(known[0])
    near = int(np.sum(known <= 1.05 * best))
    rows.append([
        f"network, {HIDDEN[0]} hidden units", "-", best, float(np.median(known)),
        f"{near / NETS:.1%}", _needed(near / NETS),
    ])  # fmt: skip
    hits, of = shares["rastrigin"]
    tail = float(np.quantile(known, 0.9) / best)
    return Table(
        13, TITLE, QUESTION,
        ("problem", "different minima", "best value", "median value",
         "runs that reach the best", "restarts to reach it with 99 %"), rows,
        protocol=f"Functions of two variables: {STARTS} starts uniform in the customary box, "
        f"accelerated descent within it. Network: {bench.name}, {HIDDEN[0]} ReLU units, plain SGD "
        f"at 0.1, mini-batches of {BATCH}, {bench.length(EPOCHS)} epochs, {NETS} seeds; its value "
        "is the final training loss, and within 5 % of the best counts as reaching it.",
        claims=[
            claims.happens("A single start finds the global minimum of a many-valley function "
                           "(Rastrigin).", "The best valley was reached", hits, of),
            claims.happens("The minima that a network reaches from different starts are about "
                           "equally good (most within 10 % of the median).",
                           "The training loss ended within 10 % of the median",
                           int(np.sum(np.abs(known / np.median(known) - 1) <= 0.1)), NETS),
        ],
        charts=[
            Chart("Networks from different starts", "strip", "", "loss",
                  [Series("final training loss", ["training"] * len(known), known.tolist()),
                   Series("best validation loss", ["validation"] * len(held), held.tolist())],
                  note=f"The worst tenth lies above {tail:.2g} times the best."),
        ],
    )  # fmt: skip


def _needed(share: float) -> int:
    """Starts of which one reaches the best with 99 %: log 0.01 / log(1 - share)."""
    return max(1, int(np.ceil(np.log(0.01) / np.log1p(-min(share, 1 - 1e-9)))))
