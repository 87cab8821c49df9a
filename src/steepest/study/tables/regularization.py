"""Table 8: regularization -> training and validation loss."""

from __future__ import annotations

import numpy as np
import polars as pl

from steepest.study.tables import claims
from steepest.study.tables.bench import BATCH, RATE, Bench, loss_chart, spread
from steepest.study.tables.table import Table

TITLE = "Regularization"
QUESTION = "Which regularization gives the lowest validation loss, each at its best strength?"
PRINTED = {"L1": "0.54", "L2": "0.42", "dropout": "0.38"}
HIDDEN = (64,)
STRENGTHS = {
    "L1": ("l1", (1e-5, 1e-4, 3e-4, 1e-3, 3e-3)),
    "L2": ("l2", (1e-4, 1e-3, 3e-3, 1e-2, 3e-2)),
    "dropout": ("dropout", (0.1, 0.2, 0.35, 0.5, 0.65)),
}
EPOCHS = 60
MOST_ROWS = 300


def measure(bench: Bench) -> Table:
    """Few rows and many epochs, so that there is something to regularize."""
    table = bench.few(3 * MOST_ROWS)
    cells: list[dict] = [{"l1": 0.0, "l2": 0.0, "dropout": None}]
    names = [("none", 0.0)]
    for name, (field, strengths) in STRENGTHS.items():
        for s in strengths:
            cells.append({"l1": 0.0, "l2": 0.0, "dropout": None} | {field: s})
            names.append((name, s))
    result = bench.study(
        cells, epochs=EPOCHS, data=table, every_step=False, hidden=HIDDEN, validation=0.33,
        test=0.33,
    )  # fmt: skip
    held = _last(result, "validation_loss")
    final = result.values("final_loss")
    best = {"none": 0}
    for name in STRENGTHS:
        mine = [i for i, (n, _) in enumerate(names) if n == name]
        best[name] = min(mine, key=lambda i: spread(held[i]).value)
    rows = [
        [name, "-" if name == "none" else f"{names[i][1]:g}", spread(final[i]), spread(held[i]),
         spread(result.values("test_loss")[i])]
        for name, i in best.items()
    ]  # fmt: skip
    worst = float(np.nanmax(held))
    found = []
    for a, b in (("L1", "L2"), ("L2", "dropout"), ("none", "L2"), ("none", "dropout")):
        what = f"{b} has a lower validation loss than {a if a != 'none' else 'no regularization'}."
        found.append(claims.lower(what[0].upper() + what[1:], [a, b],
                                  [held[best[a]], held[best[b]]], worst=worst,
                                  what="validation loss"))  # fmt: skip
    picked = list(best.values())
    return Table(
        8, TITLE, QUESTION,
        ("regularization", "its best strength", "final training loss",
         "validation loss after the last epoch", "test loss at the best epoch"), rows,
        protocol=f"{len(table)} rows of {bench.name}, a third each to train, validate and test; "
        f"one hidden layer of {HIDDEN[0]} ReLU units, plain SGD at {RATE}, mini-batches of "
        f"{BATCH}, {bench.length(EPOCHS)} epochs, {bench.seeds} seeds. Strengths, five for each, "
        "are chosen by the median validation loss after the last epoch, by which they are also "
        "compared; the training loss includes the penalty.",
        claims=found,
        charts=[loss_chart(result.only(picked), list(best), "Training loss"),
                loss_chart(result.only(picked), list(best), "Validation loss",
                           column="validation_loss")],
        printed=PRINTED, printed_name="loss",
    )  # fmt: skip


def _last(result, column: str) -> np.ndarray:
    """A record of the last epoch, (cells, runs); NaN for runs that diverged."""
    rows = result.trace.filter((pl.col("table") == "epochs") & pl.col(column).is_not_null())
    last = rows.group_by("cell", "stream").agg(pl.col(column).sort_by("epoch").last())
    out = np.full((len(result.cells), len(result.runs) // len(result.cells)), np.nan)
    out[last["cell"].to_numpy(), last["stream"].to_numpy()] = last[column].to_numpy()
    bad = (result.runs["outcome"] == "diverged").to_numpy().reshape(out.shape)
    out[bad] = np.nan
    return out
