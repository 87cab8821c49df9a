"""Table 3: batch size -> seconds for a number of epochs, and seconds to a target loss."""

from __future__ import annotations

import numpy as np

from steepest.study.tables import claims
from steepest.study.tables.bench import (
    DROP,
    HIDDEN,
    RATE,
    Bench,
    alone,
    first_losses,
    reached,
    spread,
    steps_per_epoch,
)
from steepest.study.tables.table import Chart, Series, Table

TITLE = "Batch size and time"
QUESTION = "How long does training take at each batch size?"
PRINTED = {"10": "132.34 s", "100": "63.21 s", "1000": "30.76 s"}
SIZES = (10, 100, 1000)
EPOCHS = 20
REPEATS = 7


def measure(bench: Bench) -> Table:
    """Each size alone on the machine, in turns; then iterations from a study of many seeds."""
    sizes = [min(n, bench.folds.rows) for n in SIZES]
    sizes = list(dict.fromkeys(sizes))
    epochs = bench.length(EPOCHS)
    seconds = alone(bench, sizes, epochs, REPEATS)
    result = bench.study([{"batch_size": n} for n in sizes], epochs=2 * EPOCHS)
    rows, to_target = [], {}
    for c, n in enumerate(sizes):
        per = steps_per_epoch(result, c)
        counts = reached(result, c, per, DROP * first_losses(result, c))
        step = float(np.median(seconds[n])) / (epochs * per)
        to_target[n] = counts * step
        rows.append([
            str(n), spread(seconds[n]), float(np.median(seconds[n])) / epochs * 1e3, step * 1e6,
            spread(to_target[n]),
        ])  # fmt: skip
    names = [f"batch {n}" for n in sizes]
    series = Series(f"{epochs} epochs", [str(n) for n in sizes],
                    [float(np.median(seconds[n])) for n in sizes],
                    [float(seconds[n].min()) for n in sizes],
                    [float(seconds[n].max()) for n in sizes])  # fmt: skip
    most = 2 * epochs * max(float(np.median(seconds[n])) / epochs for n in sizes)
    return Table(
        3, TITLE, QUESTION,
        ("batch size", f"seconds for {epochs} epochs", "ms an epoch", "µs a step",
         "seconds to the target loss"), rows,
        protocol=f"{bench.name}; one hidden layer of {HIDDEN[0]} ReLU units, plain SGD at {RATE}. "
        f"Timed alone, one run at a time, compiled before, {REPEATS} repeats in turns. The target "
        f"is {DROP:g} of the loss before training (mean over an epoch); iterations to it from "
        f"{bench.seeds} seeds, each at the measured time a step.",
        claims=[
            claims.lower("Larger batches take less time an epoch.", names,
                         [seconds[n] for n in sizes], what="time"),
            claims.lower("Larger batches reach the target loss in less time.", names,
                         [to_target[n] for n in sizes], what="time", worst=most),
        ],
        charts=[Chart("Time of training", "bars", "batch size", "seconds", [series], log_y=True,
                      note="Median and range of the repeats.")],
        printed=PRINTED, printed_name="seconds",
    )  # fmt: skip
