"""Table 6: mini-batch size -> iterations; batch, mini-batch and one-example descent compared."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from steepest.core import tree
from steepest.engine.compiling import precision
from steepest.engine.program import program
from steepest.engine.runs import batch_of, run_keys
from steepest.engine.settings import Settings
from steepest.study.tables import claims
from steepest.study.tables.bench import (
    DROP,
    FIXED,
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

TITLE = "Mini-batch size"
QUESTION = "Batch, mini-batch or one example: how exact, how dear, how good?"
PRINTED = {"10": "2000", "50": "500", "100": "250"}
SIZES = (10, 50, 100)
RATES = (0.01, 0.1, 1.0)
EPOCHS = 20
FULL_EPOCHS = 200
DRAWS = 200
REPEATS = 5


def measure(bench: Bench) -> Table:
    """Three mini-batch sizes, and the two ends: one example and all of them."""
    sizes: list = [1, *[n for n in SIZES if n < bench.folds.rows], "full"]
    accuracy = gradient_accuracy(bench, sizes)
    epochs = bench.length(EPOCHS)
    steps = {n: epochs * bench.folds.steps_per_epoch(n) for n in sizes}
    seconds = alone(bench, sizes, epochs, REPEATS)
    dear = {n: float(np.median(seconds[n])) / steps[n] for n in sizes}
    rows, counts, held = [], {}, {}
    for n in sizes:
        epochs = FULL_EPOCHS if n == "full" else EPOCHS
        rates = (0.001, 0.01, 0.1) if n == 1 else RATES
        result = bench.study(
            [{"learning_rate": r} for r in rates], epochs=epochs, batch_size=n,
            every_step=n != 1, **({"every": 16} if n == 1 else {}),
        )  # fmt: skip
        per = steps_per_epoch(result, 0)
        if n != 1:
            at = rates.index(RATE)
            counts[n] = reached(result, at, per, DROP * first_losses(result, at))
        final = result.values("final_loss")
        best = int(np.argmin([spread(v).value for v in final]))
        held[n] = result.values("validation_loss")[best]
        cosine, error = accuracy[n]
        rows.append([
            _name(n), spread(counts[n]) if n in counts else "-", spread(cosine),
            spread(error), dear[n] * 1e6, f"{rates[best]:g}", spread(final[best]), spread(held[n]),
        ])  # fmt: skip
    mini = [n for n in sizes if n in SIZES]
    most = {n: bench.length(EPOCHS) * bench.folds.steps_per_epoch(n) for n in mini}
    found = [
        claims.lower("Larger mini-batches need fewer iterations.", [f"batch {n}" for n in mini],
                     [counts[n] for n in mini], what="iterations", worst=max(most.values())),
        claims.lower("One-example steps reach better minima than full-batch steps.",
                     ["full batch", "one example"], [held["full"], held[1]],
                     what="validation loss"),
    ]  # fmt: skip
    names = [_name(n) for n in sizes]
    charts = [
        Chart("Error of the gradient", "bars", "examples a step", "|g - full| / |full|",
              [Series("error", names, [float(np.median(accuracy[n][1])) for n in sizes])],
              note="At the initial weights; median over seeds."),
        Chart("Cost of a step", "bars", "examples a step", "µs",
              [Series("cost", names, [dear[n] * 1e6 for n in sizes])], log_y=True),
    ]  # fmt: skip
    return Table(
        6, TITLE, QUESTION,
        ("examples a step", f"iterations at rate {RATE:g}", "cosine with the full gradient",
         "relative error of the gradient", "µs a step, alone", "its best rate",
         "final training loss there", "validation loss there"), rows,
        protocol=f"{bench.name}; one hidden layer of {HIDDEN[0]} ReLU units, plain SGD, "
        f"{bench.seeds} seeds, {bench.length(EPOCHS)} epochs ({bench.length(FULL_EPOCHS)} for the "
        f"full batch, whose epoch is one step). Iterations until the mean loss over an epoch is at "
        f"most {DROP:g} of that before training. Gradients: {DRAWS} mini-batches against the full "
        "gradient, at the initial weights. Best rate of "
        f"{', '.join(f'{r:g}' for r in RATES)} (a tenth of each for one example), by final "
        "training loss; validation loss at the best epoch.",
        claims=found, charts=charts, printed=PRINTED, printed_name="iterations",
    )  # fmt: skip


def gradient_accuracy(bench: Bench, sizes: list) -> dict:
    """Size -> (cosine, relative error) of mini-batch gradients, a median over draws a seed."""
    fold = bench.folds[0]
    settings = Settings(**FIXED)
    with precision("float32"):
        objective = bench.folds.spec(settings).objective
        batch = jax.device_put(batch_of(fold.train))
        rows = len(fold.train)
        out: dict = {n: ([], []) for n in sizes}
        for seed, key in enumerate(run_keys(range(bench.seeds))):
            full = np.asarray(
                _gradients(objective, batch, key, np.arange(rows)[None])[0], np.float64
            )
            random = np.random.default_rng(seed)
            for n in sizes:
                if n == "full":
                    out[n][0].append(1.0), out[n][1].append(0.0)
                    continue
                drawn = [random.choice(rows, n, replace=False) for _ in range(DRAWS)]
                g = np.asarray(_gradients(objective, batch, key, np.stack(drawn)), np.float64)
                length = np.linalg.norm(g, axis=1) * np.linalg.norm(full)
                out[n][0].append(float(np.median(g @ full / np.maximum(length, 1e-30))))
                error = np.linalg.norm(g - full, axis=1) / np.linalg.norm(full)
                out[n][1].append(float(np.median(error)))
    return {n: (np.asarray(c), np.asarray(e)) for n, (c, e) in out.items()}


@program
def _gradients(objective, batch, key, rows):
    """The gradient on each mini-batch, (draws, n), at the initial weights of the seed."""
    params, buffers = objective.init(jax.random.fold_in(key, 0))

    def one(rows):
        some = jax.tree.map(lambda a: a[rows], batch)
        g = objective.evaluate(params, buffers, some, None).gradient
        return jnp.concatenate([x.ravel() for x in tree.leaves(g)])

    return jax.vmap(one)(rows)


def _name(n) -> str:
    return "all" if n == "full" else str(n)
