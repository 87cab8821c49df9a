import jax
import jax.numpy as jnp
import numpy as np
import pytest

from steepest.core.errors import UsageError
from steepest.models import layers

torch = pytest.importorskip("torch")

X = np.random.default_rng(0).normal(size=(7, 5)) * 3
TORCH = {
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "relu": torch.relu,
    "leaky_relu": torch.nn.functional.leaky_relu,
    "elu": torch.nn.functional.elu,
    "gelu": torch.nn.functional.gelu,
    "silu": torch.nn.functional.silu,
    "softplus": torch.nn.functional.softplus,
    "identity": lambda x: x,
}


@pytest.mark.parametrize("name", sorted(layers.ACTIVATIONS))
def test_activations_and_their_derivatives_are_torchs(name, x64):
    x = torch.tensor(X, requires_grad=True)
    y = TORCH[name](x)
    y.sum().backward()
    f = layers.activation(name)
    np.testing.assert_allclose(f(jnp.asarray(X)), y.detach(), rtol=1e-7, atol=1e-9)
    slope = jax.grad(lambda x: jnp.sum(f(x)))(jnp.asarray(X))
    np.testing.assert_allclose(slope, x.grad, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("name", sorted(layers.ACTIVATIONS))
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
def test_activations_keep_the_dtype(name, dtype, x64):
    assert layers.activation(name)(jnp.ones(3, dtype)).dtype == dtype


VARIANCE = {
    "glorot_uniform": 2 / 1000,
    "glorot_normal": 2 / 1000,
    "xavier": 2 / 1000,
    "xavier_uniform": 2 / 1000,
    "xavier_normal": 2 / 1000,
    "glorot": 2 / 1000,
    "he": 2 / 400,
    "he_uniform": 2 / 400,
    "he_normal": 2 / 400,
    "lecun": 1 / 400,
    "lecun_uniform": 1 / 400,
    "lecun_normal": 1 / 400,
    "orthogonal": 1 / 600,
    "normal": 1e-4,
    "zeros": 0.0,
}


@pytest.mark.parametrize("name", sorted(layers.INITIALIZERS))
def test_initial_variance(name):
    w = layers.initializer(name)(jax.random.key(1), (400, 600), jnp.float32)
    assert w.dtype == jnp.float32
    # 240,000 entries: the standard error of a variance is at most 0.3 %, that of a mean 0.2 % of
    # the deviation; bounds are five of them.
    np.testing.assert_allclose(np.var(w), VARIANCE[name], rtol=0.015)
    assert abs(np.mean(w)) <= 0.01 * np.sqrt(VARIANCE[name])


def test_orthogonal_rows():
    w = np.asarray(layers.initializer("orthogonal")(jax.random.key(0), (8, 20), jnp.float32))
    np.testing.assert_allclose(w @ w.T, np.eye(8), atol=1e-5)


@pytest.mark.parametrize("name", ["relu", "leaky_relu", "elu", "gelu", "silu", "softplus"])
def test_auto_is_he_before_the_relu_family(name):
    assert layers.initializer("auto", name) is layers.INITIALIZERS["he_uniform"]


@pytest.mark.parametrize("name", ["sigmoid", "tanh", "identity"])
def test_auto_is_glorot_before_the_others(name):
    assert layers.initializer("auto", name) is layers.INITIALIZERS["glorot_uniform"]


@pytest.mark.parametrize(
    "names", [("he", "he", "glorot"), ("he_normal", "glorot_normal"), ("he", "orthogonal", "zeros")]
)
def test_layers_drawn_together_are_as_each_would_be(names):
    shapes = [(300, 200), (200, 250), (250, 400)][: len(names)]
    kinds = [layers.initializer(name) for name in names]
    drawn = layers.draw(kinds, jax.random.key(3), shapes, np.dtype("float32"))
    for kind, shape, w in zip(kinds, shapes, drawn, strict=True):
        alone = kind(jax.random.key(4), shape, np.dtype("float32"))
        assert w.shape == shape
        assert w.dtype == alone.dtype
        np.testing.assert_allclose(w.std(), alone.std(), rtol=0.02, atol=1e-12)
        np.testing.assert_allclose(abs(w).max(), abs(alone).max(), rtol=0.15, atol=1e-12)
    first, second = np.asarray(drawn[0]).ravel(), np.asarray(drawn[1]).ravel()
    assert abs(np.corrcoef(first[:50_000], second[:50_000])[0, 1]) < 0.02


def test_unknown_names_are_refused_with_a_suggestion():
    with pytest.raises(UsageError, match=r"activation='rleu'.*did you mean 'relu'"):
        layers.activation("rleu")
    with pytest.raises(UsageError, match=r"initializer='hee'.*did you mean 'he'"):
        layers.initializer("hee")


def test_plain_zero_is_off_but_an_array_stays():
    assert layers.off_if_zero(0) is None
    assert layers.off_if_zero(0.0) is None
    assert layers.off_if_zero(0.1) == 0.1
    assert layers.off_if_zero(jnp.zeros(())) is not None


def test_dropout_keeps_the_expectation_and_drops_the_share():
    x = jnp.full((400, 500), 3.0)
    y = np.asarray(layers.dropout(0.3, jax.random.key(0), x))
    # 200,000 draws: five standard errors of the mean are 0.022, of the share 0.0051.
    assert abs(y.mean() - 3) < 0.022
    assert abs((y == 0).mean() - 0.3) < 0.0051
    np.testing.assert_allclose(y[y != 0], 3 / 0.7, rtol=1e-6)


def test_layer_norm_is_torchs(x64):
    rng = np.random.default_rng(1)
    scale, shift = rng.normal(size=5), rng.normal(size=5)
    ours = layers.layer_norm(
        {"scale": jnp.asarray(scale), "shift": jnp.asarray(shift)}, jnp.asarray(X)
    )
    theirs = torch.nn.functional.layer_norm(
        torch.tensor(X), (5,), torch.tensor(scale), torch.tensor(shift)
    )
    np.testing.assert_allclose(ours, theirs, rtol=1e-10)


def norm(features):
    rng = np.random.default_rng(2)
    params = {"scale": jnp.asarray(rng.normal(size=features)),
              "shift": jnp.asarray(rng.normal(size=features))}  # fmt: skip
    running = {"mean": jnp.asarray(rng.normal(size=features)),
               "variance": jnp.asarray(rng.uniform(1, 2, size=features))}  # fmt: skip
    return params, running


def test_batch_norm_is_torchs_in_training_and_at_rest(x64):
    params, running = norm(5)
    module = torch.nn.BatchNorm1d(5, dtype=torch.float64)
    with torch.no_grad():
        module.weight.copy_(torch.tensor(np.asarray(params["scale"])))
        module.bias.copy_(torch.tensor(np.asarray(params["shift"])))
        module.running_mean.copy_(torch.tensor(np.asarray(running["mean"])))
        module.running_var.copy_(torch.tensor(np.asarray(running["variance"])))
    rng = np.random.default_rng(3)
    for _ in range(3):
        x = rng.normal(2, 3, size=(6, 5))
        pull = rng.normal(size=(6, 5))
        tx = torch.tensor(x, requires_grad=True)
        theirs = module(tx)
        theirs.backward(torch.tensor(pull))

        def f(x):
            return layers.batch_norm(params, running, x, True)  # noqa: B023 - called at once

        ours, vjp, new = jax.vjp(f, jnp.asarray(x), has_aux=True)
        np.testing.assert_allclose(ours, theirs.detach(), rtol=1e-9)
        np.testing.assert_allclose(vjp(jnp.asarray(pull))[0], tx.grad, rtol=1e-6, atol=1e-10)
        running = new
        np.testing.assert_allclose(running["mean"], module.running_mean, rtol=1e-10)
        np.testing.assert_allclose(running["variance"], module.running_var, rtol=1e-10)
    module.eval()
    ours, same = layers.batch_norm(params, running, jnp.asarray(X), False)
    np.testing.assert_allclose(ours, module(torch.tensor(X)).detach(), rtol=1e-10)
    assert same is running


def test_padding_rows_do_not_touch_batch_norm(x64):
    params, running = norm(5)
    padded = jnp.concatenate([jnp.asarray(X), jnp.full((3, 5), 1e6)])
    weight = jnp.concatenate([jnp.full(7, 0.5), jnp.zeros(3)])
    y, new = layers.batch_norm(params, running, padded, True, weight)
    expected, expected_new = layers.batch_norm(params, running, jnp.asarray(X), True)
    np.testing.assert_allclose(y[:7], expected, rtol=1e-12)
    for name in running:
        np.testing.assert_allclose(new[name], expected_new[name], rtol=1e-12)


def test_batch_norm_weight_two_is_two_rows(x64):
    params, running = norm(5)
    weight = jnp.array([2.0, 1, 1, 1, 1, 1, 1])
    y, new = layers.batch_norm(params, running, jnp.asarray(X), True, weight)
    doubled = jnp.concatenate([jnp.asarray(X[:1]), jnp.asarray(X)])
    expected, expected_new = layers.batch_norm(params, running, doubled, True)
    np.testing.assert_allclose(y, expected[1:], rtol=1e-12)
    np.testing.assert_allclose(new["mean"], expected_new["mean"], rtol=1e-12)


@pytest.mark.parametrize("rows", [0, 1])
def test_batch_norm_of_no_row_or_one_row_is_finite(rows):
    params, running = jax.tree.map(lambda a: a.astype(jnp.float32), norm(5))
    weight = jnp.zeros(7).at[:rows].set(1)
    x = jnp.asarray(X, jnp.float32)
    slope = jax.grad(lambda x: jnp.sum(layers.batch_norm(params, running, x, True, weight)[0]))(x)
    y, new = layers.batch_norm(params, running, x, True, weight)
    assert np.all(np.isfinite(slope[:rows]))
    assert np.all(np.isfinite(y[:rows]))
    if rows == 0:
        for name in running:
            np.testing.assert_array_equal(new[name], running[name])
    else:
        np.testing.assert_allclose(new["variance"], 0.9 * running["variance"], rtol=1e-6)
