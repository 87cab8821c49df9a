import jax
import jax.numpy as jnp
import numpy as np
import pytest

from steepest.core import tree
from steepest.core.errors import UsageError
from steepest.core.record import from_dict, replace, to_dict
from steepest.models import MLP

torch = pytest.importorskip("torch")
RNG = np.random.default_rng(0)
X = RNG.normal(size=(6, 4))


def to_torch(model, params):
    """The same network, with the same weights, in torch."""
    stack = []
    for i, layer in enumerate(params["layers"]):
        shape = layer["weight"].shape
        linear = torch.nn.Linear(*shape, dtype=torch.float64)
        with torch.no_grad():
            linear.weight.copy_(torch.tensor(np.asarray(layer["weight"]).T))
            linear.bias.copy_(torch.tensor(np.asarray(layer["bias"])))
        stack.append(linear)
        if i < len(model.hidden):
            if model.norm == "batch":
                stack.append(torch.nn.BatchNorm1d(shape[1], dtype=torch.float64))
            if model.norm == "layer":
                stack.append(torch.nn.LayerNorm(shape[1], dtype=torch.float64))
            stack.append({"tanh": torch.nn.Tanh(), "relu": torch.nn.ReLU()}[model.activations[i]])
    return torch.nn.Sequential(*stack)


@pytest.mark.parametrize("norm", [None, "batch", "layer"])
@pytest.mark.parametrize("hidden", [(), (5,), (7, 3)])
def test_outputs_and_gradients_are_torchs(norm, hidden, x64):
    activation = ("tanh", "relu")[: len(hidden)]
    model = MLP(hidden, activation, norm=norm).bind((4,), 3)
    params, buffers = model.init(jax.random.key(0))
    pull = RNG.normal(size=(6, 3))
    module = to_torch(model, params)
    theirs = module(torch.tensor(X))
    theirs.backward(torch.tensor(pull))

    def total(params):
        y, _ = model.forward(params, buffers, jnp.asarray(X), train=True)
        return jnp.sum(y * pull), y

    (_, ours), gradient = jax.jit(jax.value_and_grad(total, has_aux=True))(params)
    np.testing.assert_allclose(ours, theirs.detach(), rtol=1e-8, atol=1e-12)
    linears = [m for m in module if isinstance(m, torch.nn.Linear)]
    for layer, linear in zip(gradient["layers"], linears, strict=True):
        np.testing.assert_allclose(layer["weight"], linear.weight.grad.T, rtol=1e-6, atol=1e-9)
        np.testing.assert_allclose(layer["bias"], linear.bias.grad, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("double", [False, True])
@pytest.mark.parametrize("norm", [None, "batch", "layer"])
def test_dtype_is_that_of_the_run(norm, double):
    with jax.enable_x64(double):
        dtype = jnp.float64 if double else jnp.float32
        model = MLP((5,), norm=norm, dropout=0.2).bind((4,), 2)
        params, buffers = model.init(jax.random.key(0))
        y, new = model.forward(params, buffers, jnp.asarray(X, dtype), jax.random.key(1), True)
        for leaf in jax.tree.leaves((params, buffers, y, new)):
            assert leaf.dtype == dtype
        assert jax.tree.structure(new) == jax.tree.structure(buffers)


def test_images_are_flattened_and_integers_cast():
    model = MLP((5,)).bind((2, 2), 2)
    params, _ = model.init(jax.random.key(0))
    images = jnp.arange(12, dtype=jnp.uint8).reshape(3, 2, 2)
    y, _ = model.forward(params, (), images)
    flat, _ = model.forward(params, (), images.reshape(3, 4).astype(jnp.float32))
    np.testing.assert_array_equal(y, flat)


def test_names_of_the_parameters_and_the_mask():
    model = MLP((5,), norm="batch").bind((4,), 2)
    params, buffers = model.init(jax.random.key(0))
    assert model.decay_mask(params) == {
        "layers": (
            {"weight": True, "bias": False, "norm": {"scale": False, "shift": False}},
            {"weight": True, "bias": False},
        )
    }
    assert jax.tree.map(jnp.shape, buffers) == {"norms": ({"mean": (5,), "variance": (5,)},)}
    assert jax.tree.structure(model.decay_mask(params)) == jax.tree.structure(params)


def test_auto_initialisation_by_layer():
    model = MLP((300, 300), ("relu", "tanh")).bind((200,), 100)
    params, _ = model.init(jax.random.key(0))
    variances = [float(jnp.var(layer["weight"])) for layer in params["layers"]]
    np.testing.assert_allclose(variances, [2 / 200, 2 / 600, 2 / 400], rtol=0.03)
    assert all(not np.any(layer["bias"]) for layer in params["layers"])


def test_dropout_only_in_training_and_only_with_a_key():
    model = MLP((200,), dropout=0.5).bind((4,), 1)
    params, _ = model.init(jax.random.key(0))
    x = jnp.asarray(X, jnp.float32)
    rest, _ = model.forward(params, (), x, jax.random.key(1), train=False)
    np.testing.assert_array_equal(model.forward(params, (), x, None, train=True)[0], rest)
    keys = jax.random.split(jax.random.key(2), 4000)
    drawn = jax.vmap(lambda k: model.forward(params, (), x, k, train=True)[0])(keys)
    # The output layer is linear in what is dropped, so the mean over masks is the output at rest.
    error = np.std(drawn, axis=0) / np.sqrt(len(keys))
    assert np.all(error > 0)
    assert np.all(np.abs(np.mean(drawn, axis=0) - rest) < 5 * error)
    assert model.uses_key
    assert not MLP((200,)).uses_key
    assert not MLP((), dropout=0.5).uses_key


def test_dropout_is_a_leaf_and_a_plain_zero_is_off():
    assert jax.tree.leaves(MLP(dropout=0.3)) == [0.3]
    assert jax.tree.leaves(MLP(dropout=0.0)) == []
    rates = MLP((50,), dropout=jnp.array([0.0, 0.9]), inputs=4, outputs=1)
    params, _ = replace(rates, dropout=None).init(jax.random.key(0))
    x = jnp.asarray(X, jnp.float32)
    y = jax.vmap(lambda m: m.forward(params, (), x, jax.random.key(1), True)[0])(rates)
    rest, _ = rates.forward(params, (), x)
    np.testing.assert_allclose(y[0], rest, rtol=1e-6)
    assert np.max(np.abs(y[1] - rest)) > 0.1


def test_first_layer_of_many_runs_is_one_matrix_product():
    model = MLP((5,)).bind((4,), 2)
    params = jax.vmap(lambda k: model.init(k)[0])(jax.random.split(jax.random.key(0), 8))
    x = jnp.asarray(X, jnp.float32)
    program = jax.make_jaxpr(jax.vmap(lambda p: model.forward(p, (), x)[0]))(params)
    products = [e for e in program.jaxpr.eqns if e.primitive.name == "dot_general"]
    (_, batch_axes) = products[0].params["dimension_numbers"]
    assert batch_axes == ((), ())
    y = jax.vmap(lambda p: model.forward(p, (), x)[0])(params)
    one = model.forward(jax.tree.map(lambda a: a[3], params), (), x)[0]
    np.testing.assert_allclose(y[3], one, rtol=1e-5, atol=1e-6)


def test_depth_zero_is_linear():
    params, buffers = MLP((), norm="batch").bind((4,), 2).init(jax.random.key(0))
    assert buffers == ()
    assert tree.size(params) == 10


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"hidden": (0,)}, "hidden must be a positive whole number, got 0"),
        ({"hidden": None}, r"hidden must be widths such as \(64, 32\)"),
        ({"hidden": (3.5,)}, "hidden must be a positive whole number, got 3.5"),
        ({"activation": "rellu"}, "did you mean 'relu'"),
        ({"hidden": (3, 4), "activation": ("relu",)}, "has 1 names for 2 hidden layers"),
        ({"initializer": "best"}, "initializer='best' is not known"),
        ({"dropout": 1.0}, "dropout must be at least 0 and below 1, got 1.0"),
        ({"norm": "group"}, "norm='group' is not known"),
        ({"inputs": -1}, "inputs must be a positive whole number"),
    ],
)
def test_bad_settings_are_refused(settings, sentence):
    with pytest.raises(UsageError, match=sentence):
        MLP(**settings)


def test_bind_refuses_contradictions_and_init_needs_sizes():
    assert MLP(inputs=12).bind((3, 4), 2).inputs == 12
    with pytest.raises(UsageError, match=r"inputs=5, but the data have 4 features"):
        MLP(inputs=5).bind((4,), 2)
    with pytest.raises(UsageError, match=r"outputs=3, but the data and the loss need 2"):
        MLP(outputs=3).bind((4,), 2)
    with pytest.raises(UsageError, match="inputs is not known yet"):
        MLP().init(jax.random.key(0))
    model = MLP().bind((4,), 2)
    with pytest.raises(UsageError, match=r"x must have shape \(rows, features\)"):
        model.forward(model.init(jax.random.key(0))[0], (), jnp.ones(4))


def test_round_trip_through_json():
    model = MLP([8, 4], ["relu", "tanh"], dropout=0.1, norm="layer").bind((4,), 2)
    again = from_dict(to_dict(model))
    assert again == model
    assert again.hidden == (8, 4)
    assert again.activation == ("relu", "tanh")
