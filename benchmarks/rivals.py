"""One task, a perceptron of one hidden layer trained by Adam, in the loops that people write.

Every rival gets the same rows, the same initial weights (scikit-learn draws its own, from the same
distribution), the same rate and number of epochs, shuffles before each epoch, trains on the short
last batch of an epoch too, and reports the mean loss of each epoch. All are written for speed: data
are converted before the clock starts, no loss is fetched in the middle of an epoch.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np


class Task(NamedTuple):
    """What is trained: rows x (n, inputs) of float32, classes y (n,), and how."""

    x: np.ndarray
    y: np.ndarray
    hidden: int
    outputs: int
    batch: int
    epochs: int
    rate: float

    @property
    def sizes(self) -> tuple[int, int, int]:
        return self.x.shape[1], self.hidden, self.outputs

    @property
    def samples(self) -> int:
        return len(self.x) * self.epochs

    def initial(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """(weight, bias) of both layers, uniform within sqrt(6 / (in + out)): scikit-learn's."""
        rng = np.random.default_rng(0)
        out = []
        for a, b in pairwise(self.sizes):
            bound = np.sqrt(6 / (a + b))
            draw = rng.uniform(-bound, bound, (a + 1, b)).astype(np.float32)
            out.append((draw[:-1], draw[-1]))
        return out


@dataclass
class Trained:
    """Seconds of the training loop, the mean loss of each epoch, and the layers at the end."""

    seconds: float
    losses: list[float]
    layers: list[tuple[np.ndarray, np.ndarray]]
    call_seconds: float | None = None

    def final_loss(self, x: np.ndarray, y: np.ndarray) -> float:
        """The log-loss over all rows, by the same code for every rival."""
        (w1, b1), (w2, b2) = ([np.asarray(a, np.float64) for a in layer] for layer in self.layers)
        f = np.maximum(x @ w1 + b1, 0) @ w2 + b2
        f -= f.max(1, keepdims=True)
        return float(np.mean(np.log(np.exp(f).sum(1)) - f[np.arange(len(y)), y]))


Rival = Callable[[], Trained]


def ours(task: Task) -> Rival:
    """steepest, by `engine.runs.run` on arrays that are ready."""
    from steepest.data.dataset import Arrays
    from steepest.engine.runs import run
    from steepest.engine.settings import Settings

    settings = Settings(
        hidden=(task.hidden,),
        optimizer="adam",
        learning_rate=task.rate,
        batch_size=task.batch,
        epochs=task.epochs,
    )
    spec = settings.spec((task.x.shape[1],), task.outputs, "classification")
    layers = tuple({"weight": w[None, None], "bias": b[None, None]} for w, b in task.initial())
    arrays = Arrays(task.x, task.y.astype(np.int32))

    def fit() -> Trained:
        began = time.perf_counter()
        runs = run(
            [spec],
            arrays,
            batch_size=task.batch,
            epochs=task.epochs,
            initial=({"layers": layers}, ()),
        )
        call = time.perf_counter() - began
        params, _ = runs.last()
        losses = np.ravel(runs.trace.epochs["train_loss"]).tolist()
        ended = [(p["weight"], p["bias"]) for p in params["layers"]]
        return Trained(runs.seconds, losses, ended, call)

    return fit


def torch_eager(task: Task) -> Rival:
    """torch in eager mode with the fused Adam."""
    import torch

    x, y = torch.from_numpy(task.x), torch.from_numpy(task.y.astype(np.int64))
    inputs, hidden, outputs = task.sizes

    def fit() -> Trained:
        torch.manual_seed(0)
        model = torch.nn.Sequential(
            torch.nn.Linear(inputs, hidden), torch.nn.ReLU(), torch.nn.Linear(hidden, outputs)
        )
        dense = (model[0], model[2])
        with torch.no_grad():
            for layer, (w, b) in zip(dense, task.initial(), strict=True):
                layer.weight.copy_(torch.from_numpy(np.ascontiguousarray(w.T)))
                layer.bias.copy_(torch.from_numpy(b))
        optimizer = torch.optim.Adam(model.parameters(), lr=task.rate, fused=True)
        criterion = torch.nn.CrossEntropyLoss()
        losses = []
        began = time.perf_counter()
        for _ in range(task.epochs):
            order = torch.randperm(len(x))
            total = torch.zeros(())
            # The rows of an epoch are gathered at once: slices of them are views.
            batches = zip(x[order].split(task.batch), y[order].split(task.batch), strict=True)
            for xb, yb in batches:
                optimizer.zero_grad()
                loss = criterion(model(xb), yb)
                loss.backward()
                optimizer.step()
                total += loss.detach() * len(xb)
            losses.append(total.item() / len(x))
        seconds = time.perf_counter() - began
        ended = [(d.weight.detach().numpy().T, d.bias.detach().numpy()) for d in dense]
        return Trained(seconds, losses, ended)

    return fit


def sklearn_mlp(task: Task) -> Rival:
    """scikit-learn's MLPClassifier; its checks of the input are in its time."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPClassifier

    def fit() -> Trained:
        model = MLPClassifier(
            hidden_layer_sizes=(task.hidden,),
            solver="adam",
            alpha=0.0,
            batch_size=task.batch,
            learning_rate_init=task.rate,
            max_iter=task.epochs,
            n_iter_no_change=10**9,
            early_stopping=False,
            random_state=0,
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            began = time.perf_counter()
            model.fit(task.x, task.y)
            seconds = time.perf_counter() - began
        ended = list(zip(model.coefs_, model.intercepts_, strict=True))
        return Trained(seconds, [float(v) for v in model.loss_curve_], ended)

    return fit


def _plain_jax(task: Task):
    """`(step, fresh)` of plain JAX with optax; `weight` 0 marks rows that fill up a short batch."""
    import optax

    adam = optax.adam(task.rate)

    def loss(params, x, y, weight):
        (w1, b1), (w2, b2) = params
        outputs = jax.nn.relu(x @ w1 + b1) @ w2 + b2
        losses = optax.softmax_cross_entropy_with_integer_labels(outputs, y)
        return jnp.mean(losses) if weight is None else jnp.sum(weight * losses) / jnp.sum(weight)

    def step(params, state, x, y, weight=None):
        value, gradient = jax.value_and_grad(loss)(params, x, y, weight)
        updates, state = adam.update(gradient, state, params)
        return optax.apply_updates(params, updates), state, value

    def fresh():
        params = jax.tree.map(jnp.asarray, task.initial())
        return params, adam.init(params)

    return step, fresh


def optax_loop(task: Task) -> Rival:
    """optax and JAX, written plainly: a jitted step, called from a Python loop."""
    plain, fresh = _plain_jax(task)
    x, y = jax.device_put(task.x), jax.device_put(task.y.astype(np.int32))
    n = len(task.x)

    @partial(jax.jit, donate_argnums=(0, 1, 2))
    def step(params, state, total, x, y, rows):
        params, state, value = plain(params, state, x[rows], y[rows])
        return params, state, total + value * len(rows)

    def fit() -> Trained:
        rng = np.random.default_rng(0)
        params, state = fresh()
        losses = []
        began = time.perf_counter()
        for _ in range(task.epochs):
            order = rng.permutation(n).astype(np.int32)
            total = jnp.zeros(())
            for i in range(0, n, task.batch):
                params, state, total = step(params, state, total, x, y, order[i : i + task.batch])
            losses.append(float(total) / n)
        jax.block_until_ready(params)
        seconds = time.perf_counter() - began
        return Trained(seconds, losses, jax.device_get(params))

    return fit


def optax_scan(task: Task) -> Rival:
    """optax and JAX, written plainly: an epoch is one `lax.scan`, an order comes from the host."""
    plain, fresh = _plain_jax(task)
    x, y = jax.device_put(task.x), jax.device_put(task.y.astype(np.int32))
    n = len(task.x)
    steps = -(-n // task.batch)
    weight = None
    if n % task.batch:
        weight = (np.arange(steps * task.batch) < n).astype(np.float32).reshape(steps, task.batch)
        weight = jax.device_put(weight)

    @partial(jax.jit, donate_argnums=(0, 1))
    def epoch(params, state, x, y, weight, order):
        def body(carry, batch):
            params, state, value = plain(*carry, *batch)
            return (params, state), value

        (params, state), values = jax.lax.scan(body, (params, state), (x[order], y[order], weight))
        sizes = task.batch if weight is None else weight.sum(1)
        return params, state, jnp.sum(values * sizes) / n

    def fit() -> Trained:
        rng = np.random.default_rng(0)
        params, state = fresh()
        losses = []
        began = time.perf_counter()
        for _ in range(task.epochs):
            order = np.resize(rng.permutation(n).astype(np.int32), (steps, task.batch))
            params, state, value = epoch(params, state, x, y, weight, order)
            losses.append(value)
        losses = [float(v) for v in losses]
        jax.block_until_ready(params)
        seconds = time.perf_counter() - began
        return Trained(seconds, losses, jax.device_get(params))

    return fit


RIVALS: dict[str, Callable[[Task], Rival]] = {
    "steepest": ours,
    "torch": torch_eager,
    "sklearn": sklearn_mlp,
    "optax_loop": optax_loop,
    "optax_scan": optax_scan,
}
