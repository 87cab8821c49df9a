"""How gradients flow through the layers of a network: what vanishes, explodes, is dead or stuck."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from steepest.core import tree
from steepest.engine.program import program
from steepest.models import layers
from steepest.models.mlp import MLP
from steepest.models.sizes import flatten_rows

FLAT = {"tanh": (-0.97, 0.97), "sigmoid": (0.03, 0.97)}
"""Beyond these values an activation's slope is below a tenth of the largest."""


@dataclass(frozen=True)
class Layer:
    """A layer at one point of a run.

    gradient, weight: norms over all its parameters. signal: root mean square over rows and units of
    the gradient with respect to its pre-activation (times the number of rows), by which vanishing
    is judged, since it does not depend on the layer's size. dead: share of units that are 0 on all
    rows. saturated: share of activations where tanh or sigmoid is flat. identical: whether all its
    units have the same weights. What a model does not tell is None.
    """

    name: str
    gradient: float
    weight: float
    signal: float | None = None
    dead: float | None = None
    saturated: float | None = None
    identical: bool = False

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return dict(vars(self))


def forward(model: MLP, params: Any, buffers: Any, x: Any, nudges: tuple, weight: Any) -> tuple:
    """(outputs, activations of each hidden layer) in training mode, without dropout.

    `nudges`: what is added to the pre-activations of each layer, the last included.
    """
    *hidden, last = params["layers"]
    h = flatten_rows(x, last["weight"].dtype)
    seen = []
    for i, (layer, name) in enumerate(zip(hidden, model.activations, strict=True)):
        h = layers.dense(layer, h) + nudges[i]
        if model.norm == "batch":
            h, _ = layers.batch_norm(layer["norm"], buffers["norms"][i], h, True, weight)
        elif model.norm == "layer":
            h = layers.layer_norm(layer["norm"], h)
        h = layers.activation(name)(h)
        seen.append(h)
    return layers.dense(last, h) + nudges[-1], tuple(seen)


@program
def _backward(objective, params, buffers, batch):
    rows = batch.weight.shape[0]
    dtype = params["layers"][-1]["weight"].dtype
    nudges = tuple(jnp.zeros((rows, layer["weight"].shape[1]), dtype) for layer in params["layers"])

    def loss(params, nudges):
        outputs, seen = forward(objective.model, params, buffers, batch.x, nudges, batch.weight)
        return jnp.mean(objective.loss(outputs, batch.y)), seen

    (gradient, signals), seen = jax.grad(loss, argnums=(0, 1), has_aux=True)(params, nudges)
    return gradient, tuple(jnp.sqrt(jnp.mean(jnp.square(s))) * rows for s in signals), seen


@program
def _gradient(objective, params, buffers, batch):
    return objective.evaluate(params, buffers, batch, None).gradient


def flow(objective: Any, params: Any, batch: Any, buffers: Any = ()) -> list[Layer]:
    """The layers of the model at `params`, from the input on; the last is the output layer.

    For a multilayer perceptron all is measured; for any other model a `Layer` is a top-level entry
    of its parameters, with norms alone.

    >>> from steepest.objectives.objective import Batch, Objective
    >>> objective = Objective(MLP((4, 4), "tanh"), "squared").bind((2,), 1)
    >>> params, buffers = objective.init(jax.random.key(0))
    >>> rows = Batch(jnp.ones((8, 2)), jnp.zeros(8), jnp.ones(8))
    >>> [layer.name for layer in flow(objective, params, rows)]
    ['hidden layer 1', 'hidden layer 2', 'output layer']
    """
    if not isinstance(objective.model, MLP):
        return _entries(params, _gradient(objective, params, buffers, batch))
    gradient, signals, seen = jax.device_get(_backward(objective, params, buffers, batch))
    out = []
    for i, layer in enumerate(params["layers"]):
        hidden = i < len(seen)
        name = f"hidden layer {i + 1}" if hidden else "output layer"
        dead = saturated = None
        if hidden:
            kind, h = objective.model.activations[i], np.asarray(seen[i])
            if kind == "relu":
                dead = float(np.mean(np.max(h, axis=0) <= 0))
            if kind in FLAT:
                low, high = FLAT[kind]
                saturated = float(np.mean((h < low) | (h > high)))
        w = np.asarray(layer["weight"])
        out.append(
            Layer(
                name=name,
                gradient=float(tree.norm(gradient["layers"][i])),
                weight=float(tree.norm(layer)),
                signal=float(signals[i]),
                dead=dead,
                saturated=saturated,
                identical=hidden and w.shape[1] > 1 and bool(np.all(w == w[:, :1])),
            )
        )
    return out


def _entries(params: Any, gradient: Any) -> list[Layer]:
    """One `Layer` an entry of the top level of the parameters."""
    found = jax.tree_util.tree_flatten_with_path(params, is_leaf=lambda t: t is not params)[0]
    parts = jax.tree.leaves(gradient, is_leaf=lambda t: t is not gradient)
    out = []
    for (path, w), g in zip(found, parts, strict=True):
        name = jax.tree_util.keystr(path, simple=True) if path else "weights"
        out.append(Layer(name, float(tree.norm(g)), float(tree.norm(w))))
    return out
