"""Table 4: activation -> speed of convergence."""

from __future__ import annotations

import numpy as np

from steepest.study.tables import claims
from steepest.study.tables.bench import (
    BATCH,
    DROP,
    HIDDEN,
    RATE,
    Bench,
    first_losses,
    loss_chart,
    reached,
    spread,
    steps_per_epoch,
)
from steepest.study.tables.table import Table

TITLE = "Activation"
QUESTION = "Which activation converges fastest?"
PRINTED = {"sigmoid": "0.087", "relu": "0.036", "tanh": "0.057"}
ACTIVATIONS = ("sigmoid", "relu", "tanh")
RATES = (0.03, 0.1, 0.3, 1.0)
EPOCHS = 40


def measure(bench: Bench) -> Table:
    """Each activation at several rates; judged at the rate that serves it best."""
    cells = [{"activation": a, "learning_rate": r} for a in ACTIVATIONS for r in RATES]
    result = bench.study(cells, epochs=EPOCHS)
    window = steps_per_epoch(result, 0)
    most = bench.length(EPOCHS) * window
    targets = DROP * first_losses(result, ACTIVATIONS.index("relu") * len(RATES))
    counts = {
        (c["activation"], c["learning_rate"]): reached(result, i, window, targets)
        for i, c in enumerate(cells)
    }
    best = {
        a: RATES[int(np.argmin([spread(counts[a, r]).value for r in RATES]))] for a in ACTIVATIONS
    }
    rows = [
        [a, spread(counts[a, RATE]), f"{best[a]:g}", spread(counts[a, best[a]]),
         spread(result.values("final_loss")[cells.index(
             {"activation": a, "learning_rate": best[a]})])]
        for a in ACTIVATIONS
    ]  # fmt: skip
    tuned = {a: counts[a, best[a]] for a in ACTIVATIONS}
    shared = {a: counts[a, RATE] for a in ACTIVATIONS}
    text = "{} converges faster than {}."
    found = []
    for slow, fast in (("tanh", "relu"), ("sigmoid", "tanh")):
        claim = text.format("ReLU" if fast == "relu" else fast, slow)
        found.append(claims.lower(claim, [slow, fast], [tuned[slow], tuned[fast]],
                                  what="iterations", worst=most))  # fmt: skip
    found.append(
        claims.lower(f"At the one rate {RATE:g}: sigmoid, tanh, ReLU, each faster than the last.",
                     ["sigmoid", "tanh", "relu"], [shared[a] for a in ("sigmoid", "tanh", "relu")],
                     what="iterations", worst=most)
    )  # fmt: skip
    picked = [cells.index({"activation": a, "learning_rate": best[a]}) for a in ACTIVATIONS]
    chart = loss_chart(result.only(picked), ACTIVATIONS, "Training loss, each at its best rate")
    return Table(
        4, TITLE, QUESTION,
        ("activation", f"iterations at rate {RATE:g}", "its best rate", "iterations there",
         "final training loss there"), rows,
        protocol=f"{bench.name}; one hidden layer of {HIDDEN[0]} units, plain SGD, mini-batches of "
        f"{BATCH}, {bench.seeds} seeds. Speed of convergence: iterations until the mean loss over "
        f"the last epoch is at most {DROP:g} of that of the ReLU network before training, the "
        f"same number for all; {most} where it is not reached. The best of the rates "
        f"{', '.join(f'{r:g}' for r in RATES)} is the one with the fewest in the median.",
        claims=found, charts=[chart], printed=PRINTED, printed_name="never said of what",
    )  # fmt: skip
