"""Runs with one known illness each, to learn from, and by which the diagnosis is judged.

`SICK[code](table, rng) -> (table, settings)` makes data and settings of training from a healthy
table such that the run has that illness; `WELL` lists settings under which a run should be well.

    table, settings = SICK["dead_units"](load("wine"), np.random.default_rng(0))
    train("mlp", table, **settings).diagnose()
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from steepest.data.dataset import Table

Made = tuple[Table, dict[str, Any]]

NETWORK = {"hidden": (32,), "epochs": 60}
STOPPED = {**NETWORK, "patience": 8}
WELL: dict[str, dict[str, Any]] = {
    "recipe": {"epochs": 60},
    "adam": {"optimizer": "adam", "learning_rate": 3e-3, **STOPPED},
    "sgd": {
        "optimizer": "sgd", "learning_rate": 0.03, "schedule": "cosine", "batch_size": 8, **STOPPED,
    },
    "momentum": {"optimizer": "momentum", "learning_rate": 0.02, **STOPPED, "l2": 1e-3},
    "tanh": {"optimizer": "adam", "learning_rate": 5e-3, "activation": "tanh", **STOPPED},
    "deep": {
        "optimizer": "adam", "learning_rate": 2e-3, "hidden": (32, 32, 32), "epochs": 60,
        "patience": 8,
    },
}  # fmt: skip


def small_rate(table: Table, rng: np.random.Generator) -> Made:
    """Steps a thousand times too short."""
    how = rng.integers(3)
    if how == 0:
        return table, {"optimizer": "sgd", "learning_rate": 1e-4, **NETWORK}
    if how == 1:
        return table, {"optimizer": "adam", "learning_rate": 3e-6, **NETWORK}
    return table, {"optimizer": "momentum", "learning_rate": 1e-5, **NETWORK}


def large_rate(table: Table, rng: np.random.Generator) -> Made:
    """Steps far beyond the stable limit."""
    how = rng.integers(3)
    if how == 0:
        return table, {"optimizer": "sgd", "learning_rate": float(rng.uniform(10, 100)), **NETWORK}
    if how == 1:
        return table, {"optimizer": "adam", "learning_rate": float(rng.uniform(1, 5)), **NETWORK}
    return table, {"optimizer": "momentum", "learning_rate": float(rng.uniform(2, 20)), **NETWORK}


def few_epochs(table: Table, rng: np.random.Generator) -> Made:
    """A dozen steps at a good rate."""
    steps = 12  # of mini-batches of 32
    epochs = max(1, round(steps * 32 / table.rows))
    return table, {"optimizer": "sgd", "learning_rate": 0.02, **NETWORK, "epochs": epochs}


def unscaled(table: Table, rng: np.random.Generator) -> Made:
    """Columns whose scales span five decades, as they are."""
    x = np.array(table.x, float)
    x = x / np.where(x.std(axis=0) > 0, x.std(axis=0), 1)
    x = x * 10.0 ** rng.permutation(np.linspace(-2, 3, x.shape[1]))
    return _with(table, x), {
        "optimizer": "sgd", "learning_rate": 0.01, "standardize": False, **NETWORK,
    }  # fmt: skip


def zeros(table: Table, rng: np.random.Generator) -> Made:
    """Hidden layers that start at zero."""
    return table, {"initializer": "zeros", "optimizer": "sgd", "learning_rate": 0.1, **NETWORK}


def _scaled(scale: float) -> Callable:
    def draw(key, shape, dtype):
        return scale * jax.random.normal(key, shape, dtype) * (2 / shape[0]) ** 0.5

    return draw


LARGE, HUGE = _scaled(5.0), _scaled(12.0)


def negative(key, shape, dtype):
    """He initialisation, all signs turned negative."""
    return -jnp.abs(jax.random.normal(key, shape, dtype)) * (2 / shape[0]) ** 0.5


def explode(table: Table, rng: np.random.Generator) -> Made:
    """Six relu layers with weights five times too large."""
    return table, {"hidden": (32,) * 6, "initializer": LARGE, "optimizer": "sgd",
                   "learning_rate": 0.01, "epochs": 40}  # fmt: skip


def vanish(table: Table, rng: np.random.Generator) -> Made:
    """Six sigmoid layers."""
    return table, {"hidden": (32,) * 6, "activation": "sigmoid", "optimizer": "sgd",
                   "learning_rate": 0.1, "epochs": 40}  # fmt: skip


def saturate(table: Table, rng: np.random.Generator) -> Made:
    """tanh layers with weights twelve times too large."""
    return table, {"hidden": (32, 32), "activation": "tanh", "initializer": HUGE,
                   "optimizer": "sgd", "learning_rate": 1e-3, "epochs": 40}  # fmt: skip


def dead(table: Table, rng: np.random.Generator) -> Made:
    """Relu layers whose weights all start negative."""
    return table, {"hidden": (32, 32), "initializer": negative, "optimizer": "sgd",
                   "learning_rate": 0.05, "epochs": 40}  # fmt: skip


def copied(table: Table, rng: np.random.Generator) -> Made:
    """Half of the rows are there twice."""
    rows = np.concatenate([np.arange(table.rows), rng.permutation(table.rows)[: table.rows // 2]])
    return table.take(rows), WELL["adam"]


def leaked(table: Table, rng: np.random.Generator) -> Made:
    """The target, with a little noise, as a further column."""
    y = np.asarray(table.y)
    if table.task == "classification":
        y = rng.permutation(len(np.unique(y)))[np.unique(y, return_inverse=True)[1]].astype(float)
        y = y + 0.01 * rng.standard_normal(len(y))
    return _with(table, np.column_stack([np.asarray(table.x), y])), WELL["adam"]


def rare(table: Table, rng: np.random.Generator) -> Made:
    """One row in 25 has a label that nothing tells."""
    y = np.asarray(table.y).astype("U12").copy()
    y[rng.permutation(len(y))[: max(5, len(y) // 25)]] = "rare"
    return dataclasses.replace(table, y=y), {**WELL["momentum"], "l2": 1e-2, "epochs": 40}


def penalised(table: Table, rng: np.random.Generator) -> Made:
    """A penalty that leaves nearly no weights."""
    return table, {"optimizer": "adam", "learning_rate": 3e-3, "l2": float(rng.uniform(1, 5)),
                   **NETWORK}  # fmt: skip


def overfit(table: Table, rng: np.random.Generator) -> Made:
    """A third of the targets shuffled, 20 columns of noise, a large network for 200 epochs."""
    y = np.asarray(table.y).copy()
    wrong = rng.permutation(len(y))[: len(y) // 3]
    y[wrong] = rng.permutation(y[wrong])
    x = np.reshape(np.asarray(table.x, float), (table.rows, -1))
    x = np.column_stack([x, x.std() * rng.standard_normal((table.rows, 20))])
    return dataclasses.replace(_with(table, x), y=y), {
        "optimizer": "adam", "learning_rate": 5e-3, "hidden": (128,), "epochs": 200,
        "validation": 0.2,
    }  # fmt: skip


def underfit(table: Table, rng: np.random.Generator) -> Made:
    """A checkerboard for a linear model."""
    x = np.asarray(table.x, float)
    above = x > np.median(x, axis=0)
    # Of some pairs of columns that whose fields hold most nearly the same number of rows: where a
    # column has one value nearly always, a line tells the classes, and nothing is wrong.
    pairs = [rng.permutation(np.flatnonzero(x.std(axis=0) > 0))[:2] for _ in range(20)]

    def uneven(pair: np.ndarray) -> float:
        field = 2 * above[:, pair[0]] + above[:, pair[1]]
        return float(np.bincount(field, minlength=4).max())

    i, j = min(pairs, key=uneven)
    few = _with(table, np.column_stack([x[:, i], x[:, j]]))
    y = np.where(above[:, i] == above[:, j], "same", "other")
    return dataclasses.replace(few, y=y, task="classification"), {
        "model": "linear", "optimizer": "sgd", "learning_rate": 0.1, "epochs": 60,
    }  # fmt: skip


def noisy(table: Table, rng: np.random.Generator) -> Made:
    """Noisy targets, two rows a step, a constant rate."""
    x = rng.standard_normal((600, 10))
    y = x @ rng.standard_normal(10) + 1.0 * rng.standard_normal(600)
    made = Table(x=x, y=y, name=table.name, task="regression", target="y")
    return made, {"model": "linear", "optimizer": "sgd", "learning_rate": 0.12, "batch_size": 2,
                  "epochs": 60}  # fmt: skip


def constant(table: Table, rng: np.random.Generator) -> Made:
    """A column of sevens."""
    return _with(table, np.column_stack([np.asarray(table.x), np.full(table.rows, 7.0)])), WELL[
        "adam"
    ]


SICK: dict[str, Callable[[Table, np.random.Generator], Made]] = {
    "learning_rate_too_small": small_rate,
    "learning_rate_too_large": large_rate,
    "too_few_epochs": few_epochs,
    "unscaled_data": unscaled,
    "symmetric_initialisation": zeros,
    "exploding_gradients": explode,
    "vanishing_gradients": vanish,
    "saturated_units": saturate,
    "dead_units": dead,
    "copied_rows": copied,
    "leaked_target": leaked,
    "rare_class": rare,
    "regularisation_too_strong": penalised,
    "overfitting": overfit,
    "underfitting": underfit,
    "noise_floor": noisy,
    "constant_columns": constant,
}
CLASSES_ONLY = ("rare_class",)


def _with(table: Table, x: np.ndarray) -> Table:
    names = (*table.features[: x.shape[1]],)
    names += tuple(f"added{i}" for i in range(x.shape[1] - len(names)))
    return dataclasses.replace(table, x=x, features=names, image_shape=None)
