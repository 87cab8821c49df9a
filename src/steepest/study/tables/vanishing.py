"""Table 11: depth, activation and initialisation -> how gradients vanish or explode."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from steepest.core import tree
from steepest.core.record import replace
from steepest.engine.compiling import precision
from steepest.engine.program import program
from steepest.engine.runs import batch_of, drawn, run_keys
from steepest.engine.settings import Settings
from steepest.engine.spec import stack
from steepest.study.tables import claims
from steepest.study.tables.bench import FIXED, Bench, spread
from steepest.study.tables.table import Chart, Series, Table

TITLE = "Vanishing and exploding gradients"
QUESTION = "How does the gradient of the first layer shrink or grow with depth?"
WIDTH = 32
DEPTHS = (2, 8, 24)
CASES = (
    ("sigmoid", "glorot_normal"),
    ("tanh", "glorot_normal"),
    ("relu", "glorot_normal"),
    ("relu", "he_normal"),
)
LARGE = 3.0
"""A scale of the weights at which gradients explode: He's, times this."""


def measure(bench: Bench) -> Table:
    """Gradients at random weights, before any training."""
    found = {}
    with precision("float32"):
        for depth in DEPTHS:
            for activation, start in CASES:
                found[activation, start, depth] = ratios(bench, depth, activation, start)
            found["relu", f"{LARGE:g} x he", depth] = ratios(
                bench, depth, "relu", "he_normal", LARGE
            )
    kinds = list(dict.fromkeys(k[:2] for k in found))
    rows = [
        [f"{a}, {s.replace('_', ' ')}", *(spread(found[a, s, d]) for d in DEPTHS)] for a, s in kinds
    ]
    deep, shallow = DEPTHS[-1], DEPTHS[0]
    pair = [f"depth {shallow}", f"depth {deep}"]

    def falls(activation, start, text):
        values = [found[activation, start, shallow], found[activation, start, deep]]
        return claims.lower(text, pair, values, what="gradient ratio")

    found_claims = [
        falls("sigmoid", "glorot_normal", "With sigmoid units gradients vanish with depth."),
        claims.lower(
            "They vanish less with ReLU and He's initialisation than with sigmoid units.",
            ["relu, he", "sigmoid"],
            [found["relu", "he_normal", deep], found["sigmoid", "glorot_normal", deep]],
            what=f"gradient ratio at depth {deep}",
        ),
        claims.more(
            "Weights three times too large make the gradient grow with depth.",
            pair, [gradients(bench, d) for d in (shallow, deep)],
            what="gradient of the first layer", most=np.inf,
        ),
    ]  # fmt: skip
    series = [
        Series(f"{a}, {s.replace('_', ' ')}", list(DEPTHS),
               [spread(found[a, s, d]).value for d in DEPTHS])
        for a, s in kinds
    ]  # fmt: skip
    return Table(
        11, TITLE, QUESTION, ("activation, initialisation", *(f"depth {d}" for d in DEPTHS)), rows,
        protocol=f"{bench.name}, all training rows; networks of {WIDTH} units in each of so many "
        f"hidden layers, {bench.seeds} seeds. Shown is |gradient of the first layer's weights| / "
        "|gradient of the last hidden layer's weights| at random weights, before training: 1 is "
        "healthy, less is vanishing towards the input, more exploding.",
        claims=found_claims,
        charts=[Chart("First layer's gradient against the last hidden one's", "line",
                      "hidden layers", "ratio", series, log_y=True)],
    )  # fmt: skip


def norms(bench: Bench, depth: int, activation: str, start: str, scale: float = 1.0) -> np.ndarray:
    """|gradient| of the weights of each layer, (seeds, layers)."""
    chosen = Settings(**(FIXED | {
        "hidden": (WIDTH,) * depth, "activation": activation, "initializer": start,
    }))  # fmt: skip
    objective = bench.folds.spec(chosen).objective
    batch = batch_of(bench.folds[0].train)
    # Weights do not depend on the activation, nor gradients on how weights were drawn: each is one
    # program for all cases.
    drawing, passing = (
        replace(objective, model=replace(objective.model, **{name: value}))
        for name, value in (("activation", "relu"), ("initializer", "auto"))
    )
    keys = run_keys(range(bench.seeds))
    points = jax.tree.map(lambda w: w[:, 0], drawn(stack([drawing], "float32"), keys, 1))
    return np.asarray(_norms(passing, points, np.float32(scale), batch), np.float64)


@program
def _norms(objective, points, scale, batch):
    def one(params, buffers):
        params = tree.map(lambda w: scale * w, params)
        gradient = objective.evaluate(params, buffers, batch, None).gradient
        return jnp.stack([tree.norm(layer["weight"]) for layer in gradient["layers"]])

    return jax.vmap(one)(*points)


def ratios(bench: Bench, depth: int, activation: str, start: str, scale: float = 1.0) -> np.ndarray:
    """First against last hidden layer, a number a seed."""
    found = norms(bench, depth, activation, start, scale)
    return found[:, 0] / np.maximum(found[:, -2], 1e-38)


def gradients(bench: Bench, depth: int) -> np.ndarray:
    """The norm of the first layer's gradient where weights are too large, a number a seed."""
    with precision("float32"):
        return norms(bench, depth, "relu", "he_normal", LARGE)[:, 0]
