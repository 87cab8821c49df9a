import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize

from steepest.core.errors import UsageError
from steepest.objectives import Penalty

W = {"a": np.array([[3.0, -0.2], [0.0, -2.0]]), "b": np.array([0.05, -4.0])}
MASK = {"a": True, "b": False}


def params(dtype=jnp.float32):
    return jax.tree.map(lambda w: jnp.asarray(w, dtype), W)


def test_value_is_the_formula_over_masked_leaves(x64):
    penalty = Penalty(l1=0.3, l2=0.5)
    p = params(jnp.float64)
    a = W["a"]
    np.testing.assert_allclose(penalty.smooth(p, MASK), 0.25 * np.sum(a**2), rtol=1e-12)
    np.testing.assert_allclose(penalty.rough(p, MASK), 0.3 * np.sum(np.abs(a)), rtol=1e-12)
    total = 0.25 * np.sum(a**2) + 0.3 * np.sum(np.abs(a))
    np.testing.assert_allclose(penalty.value(p, MASK), total, rtol=1e-12)
    gradient = jax.grad(lambda p: penalty.smooth(p, MASK))(p)
    np.testing.assert_allclose(gradient["a"], 0.5 * a, rtol=1e-12)
    assert not np.any(gradient["b"])


@pytest.mark.parametrize("metric", [0.1, 2.0])
def test_proximal_minimises_its_definition(metric, x64):
    l1 = 0.7
    moved = Penalty(l1=l1).proximal(params(jnp.float64), metric, MASK)
    for w, v in zip(W["a"].ravel(), np.ravel(moved["a"]), strict=True):
        best = scipy.optimize.minimize_scalar(
            lambda v, w=w: l1 * abs(v) + (v - w) ** 2 / (2 * metric), bounds=(-5, 5),
            method="bounded", options={"xatol": 1e-10},
        )  # fmt: skip
        np.testing.assert_allclose(v, best.x, atol=1e-6)
    np.testing.assert_array_equal(moved["b"], W["b"])


def test_proximal_makes_exact_zeros_and_takes_a_metric_for_each_entry():
    metric = {"a": jnp.array([[1.0, 10.0], [1.0, 0.0]]), "b": jnp.ones(2)}
    moved = Penalty(l1=0.1).proximal(params(), metric, MASK)
    np.testing.assert_allclose(moved["a"], [[2.9, 0.0], [0.0, -2.0]], rtol=1e-6)
    assert moved["a"][0, 1] == 0
    assert not np.signbit(moved["a"][0, 1])
    by_leaf = Penalty(l1=0.1).proximal(params(), {"a": 1.0, "b": 2.0}, MASK)
    np.testing.assert_allclose(by_leaf["a"], [[2.9, -0.1], [0.0, -1.9]], rtol=1e-6)
    assert by_leaf["a"].dtype == jnp.float32


def test_stacked_penalties_are_the_single_ones():
    values = [0.0, 0.1, 1.0]
    stacked = Penalty(l1=jnp.array(values), l2=jnp.array(values))
    p = params()
    moved = jax.vmap(lambda r: r.proximal(p, 0.5, MASK))(stacked)
    totals = jax.vmap(lambda r: r.value(p, MASK))(stacked)
    for i, value in enumerate(values):
        one = Penalty(l1=value, l2=value)
        np.testing.assert_allclose(moved["a"][i], one.proximal(p, 0.5, MASK)["a"], rtol=1e-6)
        np.testing.assert_allclose(totals[i], one.value(p, MASK), rtol=1e-6)


def test_zero_is_off_and_costs_nothing():
    assert jax.tree.leaves(Penalty(l1=0, l2=0.0)) == []
    assert not Penalty().sparse
    assert Penalty(l1=1e-3).sparse
    assert Penalty().value(params(), MASK) == 0
    p = params()
    assert Penalty(l2=1.0).proximal(p, 1.0, MASK) is p
    assert Penalty(l1=1.0, l2=1.0).value(p, {"a": False, "b": False}) == 0


def test_negative_penalties_are_refused():
    with pytest.raises(UsageError, match="l1 must be at least 0, got -1"):
        Penalty(l1=-1)
