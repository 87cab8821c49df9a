import jax
import jax.numpy as jnp
import numpy as np
import pytest

from steepest.core.errors import UsageError
from steepest.core.record import from_dict, to_dict
from steepest.models.embedding import Embedding
from steepest.models.linear import Linear
from steepest.models.mlp import MLP


def made(inner=None):
    inner = inner or Linear(inputs=2 + 3 + 1, outputs=2, initializer="auto")
    model = Embedding(inner, columns=((1, 5, 3), (3, 2, 1)), inputs=4)
    return model, *model.init(jax.random.PRNGKey(0))


def test_it_is_the_inner_model_on_looked_up_rows():
    model, params, buffers = made()
    x = np.array([[0.5, 4, -1.0, 1], [2.0, 0, 3.0, 0]], np.float32)
    out, _ = model.forward(params, buffers, jnp.asarray(x))
    first, second = (np.asarray(t["weight"]) for t in params["tables"])
    wide = np.column_stack([x[:, [0, 2]], first[[4, 0]], second[[1, 0]]])
    inner = params["model"]
    np.testing.assert_allclose(out, wide @ inner["weight"] + inner["bias"], rtol=1e-6)
    assert model.widened == 6


@pytest.mark.parametrize("strange", [-1.0, 5.0, 1e9])
def test_codes_beyond_the_table_count_as_unknown(strange):
    model, params, buffers = made()
    known = jnp.array([[0.5, 0.0, 1.0, 1.0]])
    out, _ = model.forward(params, buffers, known.at[0, 1].set(strange))
    np.testing.assert_array_equal(out, model.forward(params, buffers, known)[0])


def test_gradients_reach_the_rows_that_were_used_only():
    model, params, buffers = made(MLP(hidden=(4,), inputs=6, outputs=2))
    x = jnp.array([[0.5, 4.0, 1.0, 1.0], [0.5, 2.0, 1.0, 1.0]])
    grad = jax.grad(lambda p: jnp.sum(model.forward(p, buffers, x)[0] ** 2))(params)
    used = np.abs(grad["tables"][0]["weight"]).sum(axis=1) > 0
    assert used.tolist() == [False, False, True, False, True]


def test_the_inner_model_begins_as_it_would_alone():
    model, params, _ = made()
    alone, _ = model.model.init(jax.random.PRNGKey(0))
    assert jax.tree.all(jax.tree.map(jnp.array_equal, params["model"], alone))


def test_round_trip_and_decay():
    model, params, _ = made()
    assert from_dict(to_dict(model)) == model
    mask = model.decay_mask(params)
    assert mask["tables"] == ({"weight": True}, {"weight": True})
    assert mask["model"] == {"weight": True, "bias": False}
    assert jax.tree.structure(mask) == jax.tree.structure(params)


def test_another_precision(x64):
    model, params, buffers = made()
    assert params["tables"][0]["weight"].dtype == jnp.float64
    assert model.forward(params, buffers, jnp.ones((2, 4)))[0].dtype == jnp.float64


@pytest.mark.parametrize("columns", [((4, 3, 2),), ((0, 0, 2),), ((0, 3, 0),)])
def test_refusals(columns):
    with pytest.raises(UsageError, match="give a place below 4"):
        Embedding(Linear(), columns=columns, inputs=4)
