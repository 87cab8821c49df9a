import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from steepest.core.errors import UsageError
from steepest.objectives.finite_difference import FiniteDifferenceObjective


def plain(x, a):
    """Plain Python: no tracer passes through math."""
    return math.exp(float(x["u"])) * float(np.sin(x["v"]).sum()) + a * float(x["v"][0]) ** 3


def traced(x, a):
    return jnp.exp(x["u"]) * jnp.sum(jnp.sin(x["v"])) + a * x["v"][0] ** 3


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_gradients_agree_with_those_of_jax(dtype):
    with jax.enable_x64(dtype == "float64"):
        x = {"u": jnp.asarray(0.5, dtype), "v": jnp.asarray([1.0, -20.0, 3.0], dtype)}
        a = jnp.asarray(2.0, dtype)
        objective = FiniteDifferenceObjective(plain, (a,))
        value, gradient, aux = jax.jit(lambda x: objective.evaluate(x))(x)
        want_value, want = jax.value_and_grad(traced)(x, a)
        tolerance = {"float32": 1e-3, "float64": 1e-8}[dtype]
        assert value.dtype == dtype
        assert aux == ()
        np.testing.assert_allclose(value, want_value, rtol=1e-6)
        jax.tree.map(
            lambda g, w: np.testing.assert_allclose(g, w, rtol=tolerance, atol=tolerance),
            gradient,
            want,
        )


def test_many_points_at_once(x64):
    objective = FiniteDifferenceObjective(lambda x: float(np.sum(x**2)))
    points = jnp.arange(6.0).reshape(3, 2)
    value, gradient, _ = jax.jit(jax.vmap(lambda x: objective.evaluate(x)))(points)
    np.testing.assert_allclose(value, np.sum(np.square(points), axis=1))
    np.testing.assert_allclose(gradient, 2 * points, atol=1e-8)


def test_errors_of_the_function_are_said_before_anything_compiles():
    check = FiniteDifferenceObjective(lambda x: x["a"]).check
    with pytest.raises(UsageError, match="fun failed at x0: IndexError"):
        check(np.zeros(2))
    with pytest.raises(UsageError, match=r"one number, got an array of shape \(2,\)"):
        FiniteDifferenceObjective(lambda x: x).check(np.zeros(2))


def test_the_function_may_not_spoil_the_starting_point():
    def f(x):
        x += 1
        return float(x.sum())

    x0 = np.zeros(2)
    FiniteDifferenceObjective(f).check(x0)
    assert x0.tolist() == [0, 0]


def test_no_curvature():
    with pytest.raises(UsageError, match="no curvature"):
        FiniteDifferenceObjective(lambda x: 0.0).smooth(np.zeros(2))
