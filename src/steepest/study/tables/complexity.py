"""Table 9: complexity of the problem -> iterations."""

from __future__ import annotations

import itertools

import numpy as np

from steepest.study.tables import claims
from steepest.study.tables.bench import (
    BATCH,
    DROP,
    RATE,
    Bench,
    first_losses,
    reached,
    spread,
    steps_per_epoch,
)
from steepest.study.tables.table import Chart, Series, Table

TITLE = "Complexity of the problem"
QUESTION = "Do more complex problems need more iterations?"
PRINTED = {"simple": "1000", "moderate": "5000", "complex": "10000"}
TASKS = {
    "simple": ("iris", (8,)),
    "moderate": ("breast_cancer", (32, 32)),
    "complex": ("digits", (64, 64, 64)),
}
RATES = (0.03, 0.1, 0.3)
MOST_STEPS = 4000


def measure(bench: Bench) -> Table:
    """Three real tasks, each with a network of its size; one rate for all, and the best of each."""
    from steepest.data.sources import load

    counts, best, sizes = {}, {}, {}
    for name, (data, hidden) in TASKS.items():
        table = load(data)
        per = -(-round(len(table) * 0.6) // BATCH)
        epochs = MOST_STEPS / per
        result = bench.study(
            [{"learning_rate": r} for r in RATES], epochs=epochs, data=table, hidden=hidden,
            target_share=DROP,
        )  # fmt: skip
        per = steps_per_epoch(result, 0)
        # The mean over as many rows as the smallest task has, where an epoch is longer.
        found = [
            reached(result, c, min(per, 20), DROP * first_losses(result, c))
            for c in range(len(RATES))
        ]
        counts[name] = found[RATES.index(RATE)]
        at = int(np.argmin([spread(v).value for v in found]))
        best[name] = (RATES[at], found[at])
        widths = (_inputs(table), *hidden, _classes(table))
        sizes[name] = sum(a * b + b for a, b in itertools.pairwise(widths))
    rows = [
        [name, f"{TASKS[name][0]}, {'-'.join(map(str, TASKS[name][1]))}", sizes[name],
         spread(counts[name]), f"{best[name][0]:g}", spread(best[name][1])]
        for name in TASKS
    ]  # fmt: skip
    names = list(TASKS)
    most = bench.length(MOST_STEPS)
    held = [
        claims.more("More complex problems need more iterations (one rate for all).", names,
                    [counts[n] for n in names], what="iterations", most=most),
        claims.more("More complex problems need more iterations (each at its best rate).", names,
                    [best[n][1] for n in names], what="iterations", most=most),
    ]  # fmt: skip
    chart = Chart(
        "Iterations to the target", "bars", "problem", "iterations",
        [Series(f"rate {RATE:g}", names, [spread(counts[n]).value for n in names]),
         Series("best rate", names, [spread(best[n][1]).value for n in names])],
    )  # fmt: skip
    return Table(
        9, TITLE, QUESTION,
        ("problem", "data and hidden units", "weights", f"iterations at rate {RATE:g}",
         "its best rate", "iterations there"), rows,
        protocol=f"ReLU networks, plain SGD, mini-batches of {BATCH}, {bench.seeds} seeds, about "
        f"{most} iterations at most. Iterations until the mean loss of the last 20 mini-batches "
        f"(or of an epoch, where that is shorter) is at most {DROP:g} of that before training. "
        "These three tasks are the same whatever data the other tables are measured on.",
        claims=held, charts=[chart], printed=PRINTED, printed_name="iterations",
    )  # fmt: skip


def _inputs(table) -> int:
    return int(np.prod(table.x.shape[1:])) if table.x is not None else len(table.features)


def _classes(table) -> int:
    return len(np.unique(np.asarray(table.y)))
