"""Table 5: learning-rate decay -> loss."""

from __future__ import annotations

import numpy as np

from steepest.study.tables import claims
from steepest.study.tables.bench import (
    BATCH,
    HIDDEN,
    RATE,
    Bench,
    first_losses,
    loss_chart,
    spread,
)
from steepest.study.tables.table import Table

TITLE = "Learning-rate decay"
QUESTION = "Does lowering the learning rate on the way lower the final loss?"
PRINTED = {"epoch 1": "0.1", "epoch 2": "0.05", "epoch 3": "0.025"}
EPOCHS = 30
HALVE = 5


def measure(bench: Bench) -> Table:
    """One starting rate, four ways down, and the same at a rate that suits plain descent less."""
    epochs = bench.length(EPOCHS)
    every = max(1, round(HALVE * epochs / EPOCHS))
    ways = {
        "constant": {},
        f"halved every {every} epochs": {"schedule": "step", "schedule.factor": 0.5,
                                         "schedule.every": every},
        "exponential": {"schedule": "exponential", "schedule.decay": 0.5 ** (1 / every)},
        "cosine": {"schedule": "cosine"},
    }  # fmt: skip
    rates = (RATE, 10 * RATE)
    cells, names = [], []
    for rate in rates:
        for name, way in ways.items():
            cells.append({"schedule": "constant", **way, "learning_rate": rate})
            names.append((name, rate))
    result = bench.study(cells, epochs=EPOCHS)
    final = dict(zip(names, result.values("final_loss"), strict=True))
    held = dict(zip(names, result.values("validation_loss"), strict=True))
    worst = float(np.max(first_losses(result, 0)))
    rows = [
        [name, f"{rate:g}", spread(final[name, rate]), spread(held[name, rate])]
        for name, rate in names
    ]
    halved = f"halved every {every} epochs"
    found = []
    for rate in rates:
        found += [
            claims.lower(f"Decay ({name}) from {rate:g} lowers the final training loss.",
                         ["constant", name], [final["constant", rate], final[name, rate]],
                         worst=worst)
            for name in (halved, "cosine")
        ]  # fmt: skip
    picked = [i for i, (_, r) in enumerate(names) if r == rates[1]]
    chart = loss_chart(
        result.only(picked), [names[i][0] for i in picked], f"Training loss from {rates[1]:g}"
    )
    return Table(
        5, TITLE, QUESTION,
        ("schedule", "first rate", "final training loss", "best validation loss"), rows,
        protocol=f"{bench.name}; one hidden layer of {HIDDEN[0]} ReLU units, plain SGD, mini-"
        f"batches of {BATCH}, {epochs} epochs, {bench.seeds} seeds. Final: mean over the mini-"
        "batches of the last epoch. Exponential falls as fast as the halving; cosine to 0.",
        claims=found, charts=[chart], printed=PRINTED,
        printed_name="learning rate, 0.1 halved each epoch",
    )  # fmt: skip
