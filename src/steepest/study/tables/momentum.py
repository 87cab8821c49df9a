"""Table 7: momentum -> loss."""

from __future__ import annotations

import numpy as np

from steepest.study.tables import claims
from steepest.study.tables.bench import BATCH, HIDDEN, Bench, first_losses, loss_chart, spread
from steepest.study.tables.table import Table

TITLE = "Momentum"
QUESTION = "Does more momentum lower the loss?"
PRINTED = {"0.5": "0.23", "0.9": "0.19", "0.99": "0.15"}
ASKED = (0.5, 0.9, 0.99)
RATES = (0.01, 0.1)
EPOCHS = 20


def measure(bench: Bench) -> Table:
    """Heavy-ball momentum at two rates: one small, one that suits plain descent."""
    values = (0.0, *ASKED)
    cells = [
        {"optimizer": "momentum", "momentum": m, "learning_rate": r} for r in RATES for m in values
    ]
    cells += [{"optimizer": "nesterov", "momentum": 0.9, "learning_rate": r} for r in RATES]
    result = bench.study(cells, epochs=EPOCHS)
    names = [
        (f"{c['momentum']:g}" if c["optimizer"] == "momentum" else "Nesterov 0.9",
         c["learning_rate"]) for c in cells
    ]  # fmt: skip
    final = dict(zip(names, result.values("final_loss"), strict=True))
    held = dict(zip(names, result.values("validation_loss"), strict=True))
    order = [*(f"{m:g}" for m in values), "Nesterov 0.9"]
    rows = [[n, *(spread(final[n, r]) for r in RATES), *(spread(held[n, r]) for r in RATES)]
            for n in order]  # fmt: skip
    worst = float(np.max(first_losses(result, 0)))
    found = []
    for r in RATES:
        found.append(
            claims.lower(f"The loss falls with momentum from 0.5 to 0.9 to 0.99 (rate {r:g}).",
                         [f"momentum {m:g}" for m in ASKED],
                         [final[f"{m:g}", r] for m in ASKED], worst=worst)
        )  # fmt: skip
        found.append(
            claims.lower(f"Momentum 0.9 has a lower loss than none (rate {r:g}).",
                         ["none", "0.9"], [final["0", r], final["0.9", r]], worst=worst)
        )  # fmt: skip
    picked = [names.index((n, RATES[0])) for n in order]
    return Table(
        7, TITLE, QUESTION,
        ("momentum", *(f"final training loss at {r:g}" for r in RATES),
         *(f"validation loss at {r:g}" for r in RATES)), rows,
        protocol=f"{bench.name}; one hidden layer of {HIDDEN[0]} ReLU units, heavy ball, mini-"
        f"batches of {BATCH}, {bench.length(EPOCHS)} epochs, {bench.seeds} seeds. Final: mean over "
        "the mini-batches of the last epoch; a run that diverged counts as the loss before "
        "training. Momentum b multiplies the steady step by 1/(1 - b), so one rate for all is a "
        "different step for each: hence two rates.",
        claims=found,
        charts=[loss_chart(result.only(picked), order, f"Training loss at rate {RATES[0]:g}")],
        printed=PRINTED, printed_name="loss",
    )  # fmt: skip
