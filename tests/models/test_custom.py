import jax
import jax.numpy as jnp
import numpy as np
import pytest

from steepest.core.errors import UsageError
from steepest.models import Custom, from_equinox, from_flax, from_nnx, layers
from steepest.objectives import Batch, Objective

linen = pytest.importorskip("flax.linen")
nnx = pytest.importorskip("flax.nnx")
eqx = pytest.importorskip("equinox")

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 4))
Y = (X[:, 0] + X[:, 1] / 2 > 0).astype(np.int32)


class LinenNet(linen.Module):
    @linen.compact
    def __call__(self, x, train: bool = False):
        x = linen.Dense(16)(x)
        x = linen.BatchNorm(use_running_average=not train)(x)
        x = linen.Dropout(0.1, deterministic=not train)(linen.tanh(x))
        return linen.Dense(2)(x)


class MaskedNorm(linen.Module):
    @linen.compact
    def __call__(self, x, train: bool = False, mask=None):
        mask = None if mask is None else mask[:, None]
        return linen.BatchNorm(use_running_average=not train)(x, mask=mask)


class NnxNet(nnx.Module):
    def __init__(self, rngs):
        self.a = nnx.Linear(4, 16, rngs=rngs)
        self.norm = nnx.BatchNorm(16, rngs=rngs)
        self.drop = nnx.Dropout(0.1, rngs=rngs)
        self.b = nnx.Linear(16, 2, rngs=rngs)

    def __call__(self, x):
        return self.b(self.drop(nnx.tanh(self.norm(self.a(x)))))


class EqxNet(eqx.Module):
    a: eqx.nn.Linear
    drop: eqx.nn.Dropout
    b: eqx.nn.Linear

    def __init__(self, key):
        ka, kb = jax.random.split(key)
        self.a, self.b = eqx.nn.Linear(4, 16, key=ka), eqx.nn.Linear(16, 2, key=kb)
        self.drop = eqx.nn.Dropout(0.1)

    def __call__(self, x, key=None):
        return self.b(self.drop(jnp.tanh(self.a(x)), key=key))


def pair():
    def initial(key):
        a, b = jax.random.split(key)
        return {"a": jax.random.normal(a, (4, 16)) / 2, "b": jax.random.normal(b, (16, 2)) / 4}

    return Custom(initial, lambda w, x: jnp.tanh(x @ w["a"]) @ w["b"])


MAKE = {
    "pair": pair,
    "linen": lambda: from_flax(LinenNet(), jnp.ones((1, 4))),
    "nnx": lambda: from_nnx(NnxNet),
    "equinox": lambda: from_equinox(EqxNet),
    "equinox MLP": lambda: from_equinox(lambda key: eqx.nn.MLP(4, 2, 16, 1, key=key)),
}


@pytest.mark.parametrize(("name", "double"), [
    ("pair", False), pytest.param("linen", True, marks=pytest.mark.slow), ("nnx", True),
    ("equinox", False),
])  # fmt: skip
def test_trains(name, double):
    with jax.enable_x64(double):
        dtype = jnp.float64 if double else jnp.float32
        objective = Objective(MAKE[name](), "log_loss").bind((4,), 2)
        batch = Batch(jnp.asarray(X, dtype), jnp.asarray(Y))

        def fit(key):
            params, buffers = objective.init(key)

            def step(carry, k):
                params, buffers = carry
                value, gradient, buffers = objective.evaluate(params, buffers, batch, k)
                moved = jax.tree.map(lambda w, g: w - jnp.asarray(0.5, dtype) * g, params, gradient)
                return (moved, buffers), value

            (params, buffers), values = jax.lax.scan(
                step, (params, buffers), jax.random.split(key, 60)
            )
            return values, objective.metrics(objective.measure(params, buffers, batch))

        keys = jax.random.split(jax.random.key(0), 2)
        values, scores = jax.jit(jax.vmap(fit))(keys)
        assert values.dtype == dtype
        assert np.all(values[:, -1] < 0.5 * values[:, 0])
        assert np.all(scores["accuracy"] > 0.9)
        assert values[0, 0] != values[1, 0]  # each seed has a start of its own


@pytest.mark.parametrize("name", ["linen", "nnx", "equinox"])
def test_dropout_draws_in_training_only(name):
    model = MAKE[name]()
    assert model.uses_key
    params, buffers = model.init(jax.random.key(0))
    x = jnp.asarray(X, jnp.float32)

    def forward(key, train):
        return np.asarray(model.forward(params, buffers, x, key, train)[0])

    one, two = forward(jax.random.key(1), True), forward(jax.random.key(2), True)
    assert np.any(one != two)
    np.testing.assert_array_equal(one, forward(jax.random.key(1), True))
    np.testing.assert_array_equal(forward(jax.random.key(1), False), forward(None, False))


@pytest.mark.parametrize("name", ["linen", "nnx"])
def test_batch_statistics_are_buffers(name):
    model = MAKE[name]()
    params, buffers = model.init(jax.random.key(0))
    x = jnp.asarray(X, jnp.float32)
    _, new = model.forward(params, buffers, x, jax.random.key(1), True)
    assert jax.tree.structure(new) == jax.tree.structure(buffers)
    old, moved = jax.tree.leaves(buffers), jax.tree.leaves(new)
    assert len(old) == 2
    assert all(np.any(a != b) for a, b in zip(old, moved, strict=True))
    _, same = model.forward(params, buffers, x)
    for a, b in zip(old, jax.tree.leaves(same), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_mask_argument_hides_padding():
    model = from_flax(MaskedNorm(), jnp.ones((1, 4)))
    params, buffers = model.init(jax.random.key(0))
    x = jnp.asarray(X, jnp.float32)
    padded = jnp.concatenate([x, jnp.full((3, 4), 1e3)])
    weight = jnp.concatenate([jnp.ones(40), jnp.zeros(3)])
    y, new = model.forward(params, buffers, padded, train=True, weight=weight)
    expected, expected_new = model.forward(params, buffers, x, train=True)
    np.testing.assert_allclose(y[:40], expected, rtol=1e-4, atol=1e-5)
    for a, b in zip(*map(jax.tree.leaves, (new, expected_new)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5)


@pytest.mark.parametrize(("name", "weights", "others"), [
    ("linen", 2, 4), ("nnx", 2, 4), ("equinox", 2, 2), ("pair", 2, 0),
])  # fmt: skip
def test_penalties_apply_to_weights_only(name, weights, others):
    model = MAKE[name]()
    params, _ = model.init(jax.random.key(0))
    mask = jax.tree.leaves(model.decay_mask(params))
    assert (sum(mask), len(mask) - sum(mask)) == (weights, others)
    own = Custom(model.initial, model.apply, True, decay=lambda p: jax.tree.map(lambda _: True, p))
    assert all(jax.tree.leaves(own.decay_mask(params)))


def test_an_equinox_object_starts_every_seed_from_its_arrays():
    module = EqxNet(jax.random.key(5))
    model = from_equinox(module)
    one, two = model.init(jax.random.key(0))[0], model.init(jax.random.key(1))[0]
    np.testing.assert_array_equal(one.a.weight, two.a.weight)
    expected = jax.vmap(eqx.nn.inference_mode(module))(jnp.asarray(X, jnp.float32))
    ours, _ = model.forward(one, (), jnp.asarray(X, jnp.float32))
    np.testing.assert_allclose(ours, expected, rtol=1e-6)


def test_bad_models_are_refused():
    with pytest.raises(UsageError, match=r"outputs of shape \(2, 2\).*need \(2, 3\)"):
        pair().bind((4,), 3)
    with pytest.raises(UsageError, match="apply must be a function, got 3"):
        Custom(pair().initial, 3)
    with pytest.raises(UsageError, match="use from_nnx"):
        from_flax(NnxNet(nnx.Rngs(0)), X)
    with pytest.raises(UsageError, match="needs a module or make"):
        from_equinox(3)
    with pytest.raises(UsageError, match="must give one callable module"):
        from_equinox(lambda key: (EqxNet(key), None))


def test_one_output_may_come_as_a_vector():
    model = Custom(lambda key: jnp.ones(4), lambda w, x: layers.identity(x @ w)).bind((4,), 1)
    params, _ = model.init(jax.random.key(0))
    assert model.forward(params, (), jnp.ones((3, 4)))[0].shape == (3, 1)
