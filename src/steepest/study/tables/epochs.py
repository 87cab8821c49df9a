"""Table 2: epoch -> mean squared error."""

from __future__ import annotations

import numpy as np

from steepest.study.tables import claims
from steepest.study.tables.bench import BATCH, HIDDEN, RATE, Bench, loss_chart, spread
from steepest.study.tables.table import Table

TITLE = "Epochs"
QUESTION = "How far does the mean squared error fall with each epoch?"
PRINTED = {"1": "0.78", "2": "0.56", "3": "0.41"}
EPOCHS = 30
SHOWN = (1, 2, 3, 5, 10, 20, 30)


def measure(bench: Bench) -> Table:
    """Plain descent on the squared error of the same rows, their targets as numbers."""
    result = bench.study(
        [{"learning_rate": RATE}],
        epochs=EPOCHS,
        data=bench.as_numbers(bench.table),
        every_step=False,
    )
    epochs, curves = result.curves("train_loss")
    errors = curves[0]
    at = {int(e): errors[:, i] for i, e in enumerate(epochs)}
    shown = [e for e in SHOWN if e in at]
    rows = []
    for e in shown:
        before = at[shown[shown.index(e) - 1]] if e != shown[0] else None
        fall = spread(1 - at[e] / before) if before is not None else "-"
        rows.append([str(e), spread(at[e]), fall])
    first = [at[e] for e in (1, 2, 3) if e in at]
    found = []
    if len(first) == 3:
        names = ["epoch 1", "epoch 2", "epoch 3"]
        found.append(claims.lower("The error falls from each of the first epochs to the next.",
                                  names, first, what="squared error"))  # fmt: skip
    gain = {e: np.nanmedian(1 - at[e] / at[e - 1]) for e in (2, 10) if e in at and e - 1 in at}
    note = ""
    if len(gain) == 2:
        note = f" Epoch 2 took off {gain[2]:.0%} of what was left, epoch 10 {gain[10]:.1%}."
    chart = loss_chart(result, ["SGD"], "Squared error by epochs")
    return Table(
        2, TITLE, QUESTION, ("epoch", "mean squared error", "fall since the row before"), rows,
        protocol=f"{bench.name}, targets as numbers (classes one-hot, scaled to deviation 1, "
        f"mean over columns); one hidden layer of {HIDDEN[0]} ReLU units, plain SGD at {RATE}, "
        f"mini-batches of {BATCH}, {bench.seeds} seeds. The error of an epoch is the mean over its "
        f"mini-batches, as each was met.{note}",
        claims=found, charts=[chart], printed=PRINTED, printed_name="loss",
    )  # fmt: skip
