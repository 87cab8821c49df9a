import jax
import jax.flatten_util
import jax.numpy as jnp
import numpy as np
import pytest
import sklearn.linear_model

from steepest.core.errors import UsageError
from steepest.core.record import number, record, replace
from steepest.models import MLP
from steepest.objectives import (
    Batch,
    BinaryLogLoss,
    FunctionObjective,
    Huber,
    LogLoss,
    Objective,
    Penalty,
)

RNG = np.random.default_rng(0)
X = RNG.normal(size=(10, 4))
CLASSES = RNG.integers(0, 3, 10)
REAL = RNG.normal(size=10)
WEIGHT = RNG.uniform(0.5, 2, 10)


def batch(y=CLASSES, dtype=jnp.float64, weight=WEIGHT):
    y = jnp.asarray(y, jnp.int32 if y.dtype.kind == "i" else dtype)
    return Batch(jnp.asarray(X, dtype), y, jnp.asarray(weight, dtype))


def start(objective):
    """Parameters and buffers of the right shapes, none of them 0; cheaper than compiling `init`."""
    params, buffers = jax.eval_shape(objective.init, jax.random.key(0))
    rng = np.random.default_rng(2)
    params = jax.tree.map(lambda a: jnp.asarray(rng.normal(size=a.shape) / 2, a.dtype), params)
    buffers = jax.tree.map(lambda a: jnp.asarray(rng.uniform(0.5, 2, a.shape), a.dtype), buffers)
    return params, buffers


@pytest.mark.parametrize(("norm", "reduction", "dropout", "loss", "y", "size"), [
    (None, "mean", None, LogLoss(0.1), CLASSES, 3),
    (None, "sum", 0.3, Huber(0.5), REAL, 1),
    ("batch", "mean", 0.3, LogLoss(0.1), CLASSES, 3),
    ("batch", "sum", None, BinaryLogLoss(), CLASSES % 2, 2),
    ("layer", "mean", 0.3, BinaryLogLoss(0.1), CLASSES % 2, 2),
    ("layer", "sum", None, Huber(0.5), REAL, 1),
])  # fmt: skip
def test_gradient_is_the_finite_difference(norm, reduction, dropout, loss, y, size, x64):
    model = MLP((5, 4), "tanh", norm=norm, dropout=dropout)
    objective = Objective(model, loss, Penalty(l2=0.1), reduction).bind((4,), size)
    params, buffers = start(objective)
    flat, restore = jax.flatten_util.ravel_pytree(params)
    rows, key = batch(y), jax.random.key(1)

    @jax.jit
    def evaluate(flat):
        here = objective.evaluate(restore(flat), buffers, rows, key)
        return here.value, jax.flatten_util.ravel_pytree(here.gradient)[0]

    gradient = np.asarray(evaluate(flat)[1])
    h = 1e-6
    for d in np.random.default_rng(1).normal(size=(3, flat.size)):
        up, down = (float(evaluate(flat + sign * h * d)[0]) for sign in (1, -1))
        np.testing.assert_allclose(gradient @ d, (up - down) / (2 * h), rtol=2e-6)


def test_value_is_weighted_mean_plus_penalty(x64):
    penalty = Penalty(l1=0.2, l2=0.5)
    objective = Objective("linear", "squared", penalty).bind((4,), 1)
    w = RNG.normal(size=(4, 1))
    params = {"weight": jnp.asarray(w), "bias": jnp.array([0.3])}
    errors = (X @ w[:, 0] + 0.3 - REAL) ** 2
    rough = 0.2 * np.abs(w).sum()
    ridge = 0.25 * (w**2).sum()
    here = objective.evaluate(params, (), batch(REAL))
    expected = np.average(errors, weights=WEIGHT) + ridge + rough
    np.testing.assert_allclose(here.value, expected, rtol=1e-12)
    total = replace(objective, reduction="sum").evaluate(params, (), batch(REAL))
    np.testing.assert_allclose(total.value, WEIGHT @ errors + ridge + rough, rtol=1e-12)
    # The L1 part is in the value and not in the gradient.
    without = replace(objective, penalty=Penalty(l2=0.5)).evaluate(params, (), batch(REAL))
    np.testing.assert_array_equal(here.gradient["weight"], without.gradient["weight"])
    np.testing.assert_allclose(here.value - without.value, rough, rtol=1e-10)
    scores = objective.metrics(objective.measure(params, (), batch(REAL)))
    np.testing.assert_allclose(scores["loss"], np.average(errors, weights=WEIGHT), rtol=1e-12)
    np.testing.assert_allclose(objective.weight(batch(REAL)), WEIGHT.sum(), rtol=1e-12)


def test_no_weights_means_ones():
    objective = Objective(MLP((5,)), "log_loss").bind((4,), 3)
    params, buffers = start(objective)
    full = batch(dtype=jnp.float32, weight=np.ones(10))
    bare = full._replace(weight=None)
    np.testing.assert_allclose(
        objective.evaluate(params, buffers, bare).value,
        objective.evaluate(params, buffers, full).value, rtol=1e-6,
    )  # fmt: skip
    assert objective.weight(bare) == 10
    assert objective.measure(params, buffers, bare)["weight"] == 10


@pytest.mark.parametrize("norm", [None, "batch", "layer"])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_padding_rows_contribute_to_nothing(norm, reduction, x64):
    objective = Objective(MLP((5,), norm=norm), "log_loss", Penalty(l2=0.1), reduction)
    objective = objective.bind((4,), 3)
    params, buffers = start(objective)
    rows = batch()
    pad = Batch(jnp.full((3, 4), 1e3), jnp.array([0, 1, 2], jnp.int32), jnp.zeros(3))
    padded = Batch(*(jnp.concatenate(pair) for pair in zip(rows, pad, strict=True)))
    evaluate = jax.jit(objective.evaluate)
    got, expected = evaluate(params, buffers, padded), evaluate(params, buffers, rows)
    for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)
    measure = jax.jit(objective.measure)
    sums = (measure(params, buffers, r) for r in (padded, rows))
    for a, b in zip(*map(jax.tree.leaves, sums), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)


@pytest.mark.parametrize("norm", [None, "batch"])
def test_an_empty_batch_has_the_penalty_as_value(norm):
    penalty = Penalty(l1=0.1, l2=0.2)
    objective = Objective(MLP((5,), norm=norm), "log_loss", penalty).bind((4,), 3)
    params, buffers = start(objective)
    nothing = batch(dtype=jnp.float32, weight=np.zeros(10))
    here = jax.jit(objective.evaluate)(params, buffers, nothing)
    mask = objective.model.decay_mask(params)
    np.testing.assert_allclose(here.value, penalty.value(params, mask), rtol=1e-6)
    for g, w, on in zip(*map(jax.tree.leaves, (here.gradient, params, mask)), strict=True):
        np.testing.assert_allclose(g, 0.2 * w if on else 0 * w, rtol=1e-6)
    for a, b in zip(*map(jax.tree.leaves, (here.aux, buffers)), strict=True):
        np.testing.assert_array_equal(a, b)
    scores = objective.metrics(objective.measure(params, buffers, nothing))
    assert np.all(np.isfinite(list(scores.values())))


def test_stacked_settings_are_the_single_ones_and_share_one_program():
    values = [0.0, 0.1, 0.4]
    many = Objective(
        MLP((20,), dropout=jnp.array(values)),
        LogLoss(jnp.array(values)),
        Penalty(l1=jnp.array(values), l2=jnp.array(values)),
        centre=jnp.zeros(3),
    ).bind((4,), 3)
    params, buffers = start(many)
    rows, key = batch(dtype=jnp.float32), jax.random.key(1)
    traces = []

    def evaluate(objective):
        traces.append(1)
        return objective.evaluate(params, buffers, rows, key)

    program = jax.jit(jax.vmap(evaluate))
    got = program(many)
    program(jax.tree.map(lambda a: a / 2, many))
    assert len(traces) == 1
    for i in range(3):
        one = jax.tree.map(lambda a: a[i], many)  # noqa: B023 - called at once
        expected = jax.jit(one.evaluate)(params, buffers, rows, key)
        for a, b in zip(*map(jax.tree.leaves, (got, expected)), strict=True):
            np.testing.assert_allclose(a[i], b, rtol=1e-4, atol=1e-6)
    assert len(set(np.asarray(got.value).tolist())) == 3


def test_proximal_gradient_finds_scikit_learns_lasso(x64):
    y = X @ np.array([2.0, 0, 0, -1]) + 0.1 * REAL
    theirs = sklearn.linear_model.Lasso(alpha=0.2, tol=1e-12).fit(X, y)
    # Lasso minimises half the mean squared error.
    objective = Objective("linear", "squared", Penalty(l1=0.4)).bind((4,), 1)
    params, _ = objective.init(jax.random.key(0))
    rows = batch(y, weight=np.ones(10))

    def step(_, params):
        gradient = objective.evaluate(params, (), rows).gradient
        down = jax.tree.map(lambda w, g: w - 0.1 * g, params, gradient)
        return objective.proximal(down, 0.1)

    params = jax.lax.fori_loop(0, 3000, step, params)
    np.testing.assert_allclose(params["weight"][:, 0], theirs.coef_, atol=1e-8)
    np.testing.assert_allclose(params["bias"], [theirs.intercept_], atol=1e-8)
    np.testing.assert_array_equal(params["weight"][:, 0] == 0, theirs.coef_ == 0)
    assert np.any(theirs.coef_ == 0)


def test_what_the_loop_asks():
    plain = Objective("linear", "squared")
    assert plain.proximal is None
    assert not plain.uses_key
    assert Objective(MLP(dropout=0.1), "squared", Penalty(l1=0.1)).uses_key
    assert Objective("linear", "squared", Penalty(l1=0.1)).proximal is not None
    assert Objective("mlp", "hinge").bind((4,), 2).model.outputs == 1
    assert Objective("mlp", "log_loss").bind((4,), 2).model.outputs == 2


def test_bad_objectives_are_refused():
    class Bare:
        def init(self, key):
            return (), ()

        def forward(self, *args):
            return ()

    with pytest.raises(UsageError, match="is not a pytree; declare its class with @record"):
        Objective(Bare(), "squared")
    with pytest.raises(UsageError, match="loss='squard' is not known; did you mean 'squared'"):
        Objective("mlp", "squard")
    with pytest.raises(UsageError, match="reduction='max'"):
        Objective("mlp", "squared", reduction="max")


def rosenbrock(w, a, b):
    return (a - w["x"]) ** 2 + b * (w["y"] - w["x"] ** 2) ** 2


@pytest.mark.parametrize("double", [False, True])
def test_function_value_and_gradient(double):
    with jax.enable_x64(double):
        objective = FunctionObjective(rosenbrock, (1.0, 100.0))
        w = {"x": jnp.asarray(-1.2, float), "y": jnp.asarray(1.0, float)}
        value, gradient, aux = objective.evaluate(w, (), None, None)
        np.testing.assert_allclose(value, 24.2, rtol=1e-5)
        np.testing.assert_allclose(gradient["x"], -215.6, rtol=1e-5)
        np.testing.assert_allclose(gradient["y"], -88.0, rtol=1e-5)
        assert value.dtype == (jnp.float64 if double else jnp.float32)
        assert aux == ()
        assert objective.proximal is None
        assert objective.weight(None) == 1
        np.testing.assert_allclose(objective.metrics(objective.measure(w))["loss"], value)


def test_function_arguments_are_leaves():
    traces = []

    def fun(w, a):
        traces.append(1)
        return jnp.sum(a * w**2)

    program = jax.jit(lambda objective, w: objective.evaluate(w))
    w = jnp.array([1.0, 2.0])
    for a in (1.0, 2.0, 3.0):
        np.testing.assert_allclose(program(FunctionObjective(fun, (a,)), w).value, 5 * a)
    assert len(traces) == 1


@record
class Parabola:
    curvature: float = number(default=1.0)

    def __call__(self, w, shift=0.0):
        return jnp.sum(jnp.asarray(self.curvature, w.dtype) * (w - shift) ** 2)


@pytest.mark.parametrize("gradient", [None, lambda w, shift: 7 * (w - shift)])
def test_a_callable_record_keeps_its_numbers_as_leaves(gradient):
    w = jnp.array([1.0, 2.0])
    stacked = FunctionObjective(Parabola(jnp.array([1.0, 3.0])), (jnp.zeros(2),), gradient)
    got = jax.vmap(lambda objective: objective.evaluate(w))(stacked)
    np.testing.assert_allclose(got.value, [5, 15])
    slopes = [2, 6] if gradient is None else [7, 7]
    np.testing.assert_allclose(got.gradient, np.outer(slopes, w))
    one, two = (FunctionObjective(Parabola(c), gradient=gradient) for c in (1.0, 2.0))
    assert jax.tree.structure(one) == jax.tree.structure(two)


def test_the_users_gradient_is_used_and_checked():
    w = jnp.array([1.0, 2.0])
    own = FunctionObjective(lambda w: jnp.sum(w**2), gradient=lambda w: 5 * w)
    np.testing.assert_array_equal(own.evaluate(w).gradient, 5 * w)
    with pytest.raises(UsageError, match=r"shape of x0, \(2,\), got \(\)"):
        FunctionObjective(jnp.sum, gradient=lambda w: jnp.sum(w)).evaluate(w)
    with pytest.raises(UsageError, match="tree like x0"):
        FunctionObjective(jnp.sum, gradient=lambda w: {"w": w}).evaluate(w)
    with pytest.raises(UsageError, match=r"one number, got an array of shape \(2,\)"):
        FunctionObjective(lambda w: w).evaluate(w)
    with pytest.raises(UsageError, match="must be a function of the parameters, got 3"):
        FunctionObjective(3)
