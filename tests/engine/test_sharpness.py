"""Eigenvalues against dense Hessians, and limits against descents that do or do not diverge."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from steepest.data.dataset import Arrays
from steepest.engine.sharpness import eigenpairs, gradients, sample_rows, sharpness, stability
from steepest.models.mlp import MLP
from steepest.objectives.objective import FunctionObjective, Objective
from steepest.optimizers.adam import Adam, AdaMax, NAdam
from steepest.optimizers.adaptive import AdaGrad, RMSProp
from steepest.optimizers.gradient_descent import GradientDescent, Momentum, Nesterov
from steepest.optimizers.wrap import Averaged, ClipByNorm


@pytest.fixture(scope="module")
def network():
    """(objective, params, arrays) of a small network, 83 weights."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((60, 5)).astype(np.float32)
    y = (x @ rng.standard_normal(5) + 0.1 * rng.standard_normal(60)).astype(np.float32)
    objective = Objective(MLP((8, 3), "tanh"), "squared").bind((5,), 1)
    params, _ = objective.init(jax.random.key(1))
    return objective, params, Arrays(x, y)


def dense(objective, params, batch):
    flat, unravel = ravel_pytree(params)
    f = jax.jit(jax.hessian(lambda v: objective.smooth(unravel(v), (), batch)[0]))
    return np.asarray(f(flat), np.float64)


def test_both_ends_of_the_spectrum_agree_with_the_dense_hessian(network):
    objective, params, arrays = network
    batch = sample_rows(arrays)
    h = dense(objective, params, batch)
    values = np.linalg.eigvalsh(h)
    top = eigenpairs(objective, params, batch, count=3, steps=60)
    np.testing.assert_allclose(top.values, values[::-1][:3], rtol=1e-3)
    bottom = eigenpairs(objective, params, batch, steps=60, smallest=True)
    np.testing.assert_allclose(bottom.values, values[:1], rtol=1e-2)
    v = top.vectors[0]
    assert np.linalg.norm(v) == pytest.approx(1, abs=1e-5)
    assert np.linalg.norm(h @ v - top.values[0] * v) < 2e-3 * top.values[0]


def test_few_steps_find_the_largest_within_five_percent(network):
    objective, params, arrays = network
    batch = sample_rows(arrays)
    exact = np.linalg.eigvalsh(dense(objective, params, batch))[-1]
    found = eigenpairs(objective, params, batch, steps=12)
    assert found.values[0] == pytest.approx(exact, rel=0.05)
    assert abs(found.values[0] - exact) <= found.residuals[0] + 1e-4


def test_the_preconditioned_hessian(network):
    objective, params, arrays = network
    batch = sample_rows(arrays)
    found = gradients(objective, params, arrays, batch_size=10, count=16)
    p = np.sqrt(found.second_moment) + 1e-8
    exact = np.max(np.linalg.eigvals(dense(objective, params, batch) / p[:, None]).real)
    at = sharpness(objective, params, batch, (), Adam(0.01), 0.01, found.second_moment, steps=60)
    assert at.preconditioned
    assert at.value == pytest.approx(exact, rel=1e-2)
    assert at.limit == pytest.approx(38 / exact, rel=1e-2)
    assert at.ratio == pytest.approx(0.01 * exact / 38, rel=1e-2)


def test_gradients_of_the_whole_data_are_the_gradient(network):
    objective, params, arrays = network
    found = gradients(objective, params, arrays, batch_size=60, count=4)
    whole = ravel_pytree(objective.evaluate(params, (), sample_rows(arrays)).gradient)[0]
    np.testing.assert_allclose(found.g, np.tile(whole, (4, 1)), atol=2e-6)
    some = gradients(objective, params, arrays, batch_size=7, count=5, seed=3)
    again = gradients(objective, params, arrays, batch_size=7, count=5, seed=3)
    np.testing.assert_array_equal(some.g, again.g)
    assert np.ptp(some.g, axis=0).max() > 0


QUADRATIC = np.array([0.3, 1.0, 4.0])


@pytest.mark.parametrize(
    "rule",
    [GradientDescent(0.1), Momentum(0.1, momentum=0.8), Nesterov(0.1, momentum=0.9)],
    ids=lambda r: type(r).__name__,
)
def test_the_limit_is_exact_on_a_quadratic(rule, x64):
    objective = FunctionObjective(lambda w: 0.5 * jnp.sum(jnp.asarray(QUADRATIC) * w**2))
    at = sharpness(objective, jnp.ones(3), None, (), rule, 0.1)
    assert at.value == pytest.approx(4.0)

    def end(rate):
        me = type(rule)(rate, **({} if isinstance(rule, GradientDescent) else
                                 {"momentum": rule.momentum}))  # fmt: skip
        me = me.bind((1.0, 1.0))

        def step(carry, _):
            w, state = carry
            u, state = me.update(jnp.asarray(QUADRATIC) * w, state, w)
            return (w + u, state), None

        w = jnp.ones(3)
        (w, _), _ = jax.lax.scan(step, (w, me.init(w)), None, 4000)
        return float(jnp.linalg.norm(w))

    assert end(0.99 * at.limit) < 1e-3
    assert end(1.01 * at.limit) > 1e3


def test_the_limit_of_adam_is_that_of_its_preconditioned_quadratic():
    # With P fixed, Adam is the heavy ball times 1 - b1 on P^-1 H.
    b, l = 0.9, 2.5
    c, preconditioned = stability(Adam(1e-3, beta1=b))
    assert preconditioned

    def end(rate):
        w, m = 1.0, 0.0
        for _ in range(4000):
            m = b * m + (1 - b) * l * w
            w = w - rate * m
        return abs(w)

    assert end(0.99 * c / l) < 1e-3
    assert end(1.01 * c / l) > 1e3
    c, _ = stability(NAdam(1e-3))

    def end_nesterov(rate):
        w, m = 1.0, 0.0
        for _ in range(4000):
            g = l * w
            m = b * m + (1 - b) * g
            w = w - rate * (b * m + (1 - b) * g)
        return abs(w)

    assert end_nesterov(0.99 * c / l) < 1e-3
    assert end_nesterov(1.01 * c / l) > 1e3


@pytest.mark.slow
@pytest.mark.parametrize("rate", [0.05, 0.1])
def test_full_batch_descent_on_a_network_comes_to_the_edge_of_stability(rate):
    """Cohen et al. 2021: the sharpness rises until it is 2/rate, and stays about there."""
    from steepest.diagnose.case import Case
    from steepest.engine.train import train

    rng = np.random.default_rng(0)
    x = rng.uniform(-2, 2, (40, 1))
    y = np.sin(3 * x[:, 0]) + 0.3 * rng.standard_normal(40)
    fit = train("mlp", (x, y), hidden=(32,), activation="tanh", optimizer="gd", learning_rate=rate,
                batch_size="full", epochs=6000, validation=0.0, test=0.1)  # fmt: skip
    case = Case.of_fit(fit)
    assert case.sharpness_at_start.ratio < 0.7
    assert not case.sharpness_at_start.at_edge
    assert case.sharpness_at_end.ratio == pytest.approx(1, abs=0.2)
    assert case.sharpness_at_end.at_edge


def test_wrappers_do_not_hide_the_rule_and_others_have_no_limit():
    assert stability(Averaged(ClipByNorm(Momentum(0.1, momentum=0.5)))) == (3.0, False)
    assert stability(RMSProp(0.1)) == (2.0, True)
    assert stability(AdaGrad(0.1)) is None
    assert stability(AdaMax(0.1)) is None


def test_a_hessian_that_is_not_finite_says_so():
    bad = FunctionObjective(lambda w: jnp.sum(jnp.sqrt(w)))
    found = eigenpairs(bad, jnp.array([0.0, 1.0]), count=2)
    assert np.isnan(found.values).all()
    assert sharpness(bad, jnp.array([0.0, 1.0]), None, (), GradientDescent(0.1), 0.1).limit is None
    hill = FunctionObjective(lambda w: -jnp.sum(w**2))
    assert sharpness(hill, jnp.ones(2), None, (), GradientDescent(0.1), 0.1).limit == np.inf
