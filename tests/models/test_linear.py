import jax
import jax.numpy as jnp
import numpy as np
import pytest

from steepest.core.errors import UsageError
from steepest.models import MODELS, Linear, model


@pytest.mark.parametrize("double", [False, True])
def test_is_x_w_plus_b(double):
    with jax.enable_x64(double):
        dtype = jnp.float64 if double else jnp.float32
        linear = Linear().bind((3,), 2)
        params, buffers = linear.init(jax.random.key(0))
        assert not np.any(params["weight"])
        assert params["weight"].dtype == dtype
        rng = np.random.default_rng(0)
        x, w, b = rng.normal(size=(5, 3)), rng.normal(size=(3, 2)), rng.normal(size=2)
        params = {"weight": jnp.asarray(w, dtype), "bias": jnp.asarray(b, dtype)}
        y, same = linear.forward(params, buffers, jnp.asarray(x, dtype))
        np.testing.assert_allclose(y, x @ w + b, rtol=1e-12 if double else 1e-5)
        assert same == ()
        assert y.dtype == dtype
        assert linear.decay_mask(params) == {"weight": True, "bias": False}


def test_without_intercept_zero_goes_to_zero():
    linear = Linear(intercept=False, initializer="normal").bind((3,), 2)
    params, _ = linear.init(jax.random.key(0))
    assert list(params) == ["weight"]
    assert np.any(params["weight"])
    assert not np.any(linear.forward(params, (), jnp.zeros((2, 3)))[0])


def test_models_by_name():
    assert isinstance(model("linear", intercept=False), MODELS["linear"])
    assert model("mlp", hidden=(3,)).hidden == (3,)
    assert model(Linear(), inputs=4).inputs == 4
    with pytest.raises(UsageError, match="did you mean 'mlp'"):
        model("mpl")
    with pytest.raises(UsageError, match="is not a model"):
        model(3)
    with pytest.raises(UsageError, match="has no setting 'depth'"):
        model("mlp", depth=2)
