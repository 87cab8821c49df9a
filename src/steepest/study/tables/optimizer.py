"""Table 10: optimizer -> loss."""

from __future__ import annotations

import numpy as np

from steepest.study.tables import claims
from steepest.study.tables.bench import BATCH, HIDDEN, Bench, first_losses, loss_chart, spread
from steepest.study.tables.table import Chart, Series, Table

TITLE = "Optimizer"
QUESTION = "Which optimizer reaches the lowest loss, each at its own learning rate?"
PRINTED = {"adagrad": "0.31", "rmsprop": "0.25", "adam": "0.20"}
OPTIMIZERS = ("sgd", "momentum", "adagrad", "rmsprop", "adam")
RATES = tuple(float(f"{r:.3g}") for r in np.geomspace(1e-4, 1.0, 9))
SHARED = 0.01
EPOCHS = 20


def measure(bench: Bench) -> Table:
    """Nine rates for each; compared at the one that serves each best, and at one for all."""
    cells = [{"optimizer": o, "learning_rate": r} for o in OPTIMIZERS for r in RATES]
    result = bench.study(cells, epochs=EPOCHS)
    final = {
        (c["optimizer"], c["learning_rate"]): v
        for c, v in zip(cells, result.values("final_loss"), strict=True)
    }
    held = {
        (c["optimizer"], c["learning_rate"]): v
        for c, v in zip(cells, result.values("validation_loss"), strict=True)
    }
    medians = {o: [spread(final[o, r]).value for r in RATES] for o in OPTIMIZERS}
    best = {o: RATES[int(np.argmin(m))] for o, m in medians.items()}
    worst = float(np.max(first_losses(result, 0)))
    rows = [
        [o, spread(final[o, SHARED]), f"{best[o]:g}", spread(final[o, best[o]]),
         spread(held[o, best[o]])]
        for o in OPTIMIZERS
    ]  # fmt: skip
    found = []
    for where, rate in (("each at its best rate", best), (f"all at {SHARED:g}", None)):
        for a, b in (("rmsprop", "adam"), ("adagrad", "rmsprop")):
            shown = {"adam": "Adam", "rmsprop": "RMSProp", "adagrad": "AdaGrad"}
            values = [final[o, SHARED if rate is None else rate[o]] for o in (a, b)]
            found.append(claims.lower(f"{shown[b]} beats {shown[a]} in loss ({where}).",
                                      [shown[a], shown[b]], values, worst=worst))  # fmt: skip
    values = [final[o, best[o]] for o in ("momentum", "adam")]
    found.append(claims.lower("Adam beats momentum in loss (each at its best rate).",
                              ["momentum", "Adam"], values, worst=worst))  # fmt: skip
    picked = [cells.index({"optimizer": o, "learning_rate": best[o]}) for o in OPTIMIZERS]
    curve = []
    for o in OPTIMIZERS:
        known = [(r, m) for r, m in zip(RATES, medians[o], strict=True) if np.isfinite(m)]
        curve.append(Series(o, [r for r, _ in known], [m for _, m in known]))
    return Table(
        10, TITLE, QUESTION,
        ("optimizer", f"final training loss at {SHARED:g}", "its best rate",
         "final training loss there", "validation loss there"), rows,
        protocol=f"{bench.name}; one hidden layer of {HIDDEN[0]} ReLU units, mini-batches of "
        f"{BATCH}, {bench.length(EPOCHS)} epochs, {bench.seeds} seeds, other settings of each "
        f"optimizer at their defaults. Best of {len(RATES)} rates from {RATES[0]:g} to "
        f"{RATES[-1]:g} by the median final training loss (mean over the mini-batches of the last "
        "epoch); validation loss at the best epoch.",
        claims=found,
        charts=[loss_chart(result.only(picked), OPTIMIZERS, "Training loss, each at its best rate"),
                Chart("Final loss at each rate", "line", "learning rate", "final training loss",
                      curve, log_x=True, log_y=True, note="Medians; diverged ones left out.")],
        printed=PRINTED, printed_name="loss",
    )  # fmt: skip
