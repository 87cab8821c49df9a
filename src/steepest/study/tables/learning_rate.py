"""Table 1: learning rate -> iterations to a target training loss."""

from __future__ import annotations

import numpy as np

from steepest.study.tables import claims
from steepest.study.tables.bench import (
    BATCH,
    DROP,
    HIDDEN,
    Bench,
    first_losses,
    reached,
    spread,
    steps_per_epoch,
)
from steepest.study.tables.table import Chart, Series, Table

TITLE = "Learning rate"
QUESTION = "How many iterations does gradient descent need at each learning rate?"
PRINTED = {"0.001": "5000", "0.01": "1000", "0.1": "200"}
ASKED = (0.001, 0.01, 0.1)
GRID = tuple(float(f"{r:.3g}") for r in np.geomspace(0.001, 31.6, 10))
EPOCHS = 150


def measure(bench: Bench) -> Table:
    """Plain descent on mini-batches at a fine grid of rates."""
    rates = sorted({*ASKED, *GRID})
    cells = [{"learning_rate": r} for r in rates]
    result = bench.study(cells, epochs=EPOCHS, target_share=DROP)
    window = steps_per_epoch(result, 0)
    targets = DROP * first_losses(result, 0)
    counts = {r: reached(result, c, window, targets) for c, r in enumerate(rates)}
    most = bench.length(EPOCHS) * window
    diverged = {r: int(np.isnan(result.values("final_loss")[c]).sum()) for c, r in enumerate(rates)}
    rows = [
        [f"{r:g}", spread(counts[r]), int(np.isfinite(counts[r]).sum()), diverged[r]] for r in rates
    ]
    asked = [counts[r] for r in reversed(ASKED)]
    names = [f"rate {r:g}" for r in reversed(ASKED)]
    largest = rates[-1]
    return Table(
        1, TITLE, QUESTION,
        ("learning rate", "iterations", "runs that got there", "diverged"), rows,
        protocol=f"{bench.name}; one hidden layer of {HIDDEN[0]} ReLU units, plain SGD, mini-"
        f"batches of {BATCH}, {bench.seeds} seeds, at most {most} iterations. Counted until the "
        f"mean loss over the last epoch's mini-batches is at most {DROP:g} of that before "
        "training; a run that does not get there counts as the most iterations allowed.",
        claims=[
            claims.more("A smaller learning rate needs more iterations.", names, asked,
                        what="iterations", most=most),
            claims.happens("Too large a learning rate diverges.",
                           f"At rate {largest:g} the loss blew up or stopped being a number",
                           diverged[largest], bench.seeds,
                           _unlearned(result, len(rates) - 1)),
        ],
        charts=[
            Chart("Iterations to the target", "line", "learning rate", "iterations",
                  [_line(rates, [spread(counts[r]) for r in rates])], log_x=True, log_y=True,
                  note="Rates that did not get there in the median run are left out."),
        ],
        printed=PRINTED, printed_name="iterations",
    )  # fmt: skip


def _unlearned(result, cell: int) -> str:
    """How many runs kept finite numbers but learned nothing."""
    final = result.values("final_loss")[cell]
    stuck = int((final >= 0.9 * first_losses(result, cell)).sum())
    return f"{stuck} more ended finite but above 0.9 of the loss they began with" if stuck else ""


def _line(rates, intervals) -> Series:
    known = [(r, i) for r, i in zip(rates, intervals, strict=True) if np.isfinite(i.value)]
    return Series(
        "SGD", [r for r, _ in known], [i.value for _, i in known],
        [i.low for _, i in known], [min(i.high, 10 * i.value) for _, i in known],
    )  # fmt: skip
