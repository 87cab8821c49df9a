"""Signals through layers, against finite differences and closed forms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from steepest.diagnose.flow import flow, forward
from steepest.models.custom import Custom
from steepest.models.mlp import MLP
from steepest.objectives.objective import Batch, Objective

ROWS = np.random.default_rng(0).standard_normal((40, 6)).astype(np.float32)
BATCH = Batch(ROWS, (ROWS[:, 0] > 0).astype(np.float32), np.ones(40, np.float32))


def network(hidden=(16, 12), activation="tanh", initializer="auto", norm=None):
    model = MLP(hidden, activation, initializer=initializer, norm=norm)
    objective = Objective(model, "binary").bind((6,), 2)
    return objective, *objective.init(jax.random.key(0))


@pytest.mark.parametrize("norm", [None, "batch", "layer"])
@pytest.mark.parametrize("activation", ["relu", "sigmoid"])
def test_the_walk_through_the_layers_is_the_models_own(norm, activation):
    objective, params, buffers = network(activation=activation, norm=norm)
    nudges = tuple(jnp.zeros((40, n)) for n in (16, 12, 1))
    outputs, seen = forward(objective.model, params, buffers, BATCH.x, nudges, BATCH.weight)
    own, _ = objective.model.forward(params, buffers, BATCH.x, train=True, weight=BATCH.weight)
    np.testing.assert_allclose(outputs, own, atol=1e-6)
    assert [h.shape for h in seen] == [(40, 16), (40, 12)]


def test_norms_and_signals():
    objective, params, _ = network()
    layers = flow(objective, params, BATCH)
    gradient = objective.evaluate(params, (), BATCH).gradient
    for layer, g, w in zip(layers, gradient["layers"], params["layers"], strict=True):
        norm = np.sqrt(sum(float(np.sum(np.square(v))) for v in g.values()))
        assert layer.gradient == pytest.approx(norm, rel=1e-4)
        assert layer.weight == pytest.approx(float(np.linalg.norm(w["weight"])), rel=1e-5)
    # At the output of the log-loss the gradient of a row is p - y.
    outputs, _ = objective.model.forward(params, (), BATCH.x)
    error = jax.nn.sigmoid(outputs[:, 0]) - BATCH.y
    assert layers[-1].signal == pytest.approx(float(jnp.sqrt(jnp.mean(error**2))), rel=1e-4)


def test_deep_sigmoids_vanish_and_large_weights_explode():
    deep = network((16,) * 6, "sigmoid")
    layers = flow(deep[0], deep[1], BATCH)
    assert layers[0].signal < 1e-3 * layers[-1].signal

    def large(key, shape, dtype):
        return 4 * jax.random.normal(key, shape, dtype) * (2 / shape[0]) ** 0.5

    wide = network((16,) * 5, "relu", large)
    layers = flow(wide[0], wide[1], BATCH)
    assert layers[0].signal > 100 * layers[-1].signal
    usual = network((16,) * 5, "relu")
    layers = flow(usual[0], usual[1], BATCH)
    assert 0.05 < layers[0].signal / layers[-1].signal < 20


def test_dead_saturated_and_identical_units():
    objective, params, _ = network(activation="relu")
    params["layers"][0]["bias"] = params["layers"][0]["bias"].at[:4].set(-100.0)
    layers = flow(objective, params, BATCH)
    assert layers[0].dead == pytest.approx(4 / 16, abs=0.07)
    assert layers[0].saturated is None
    assert not any(layer.identical for layer in layers)
    objective, params, _ = network(activation="tanh")
    calm = flow(objective, params, BATCH)[0].saturated
    params["layers"][0]["weight"] = params["layers"][0]["weight"] * 100
    stiff = flow(objective, params, BATCH)[0].saturated
    assert calm < 0.2 < 0.8 < stiff
    objective, params, _ = network(initializer="zeros")
    assert [layer.identical for layer in flow(objective, params, BATCH)] == [True, True, False]


def test_a_model_of_ones_own_has_norms_by_name():
    model = Custom(
        lambda key: {"a": jnp.ones((6, 1)), "b": jnp.zeros(1)},
        lambda w, x: jnp.tanh(x @ w["a"]) + w["b"],
    )
    objective = Objective(model, "binary")
    layers = flow(objective, {"a": jnp.ones((6, 1)), "b": jnp.zeros(1)}, BATCH)
    assert [layer.name for layer in layers] == ["a", "b"]
    assert layers[0].weight == pytest.approx(6**0.5)
    assert layers[0].signal is None
