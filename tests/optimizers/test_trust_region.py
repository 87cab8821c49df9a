import jax
import jax.numpy as jnp
import numpy as np
import pytest

from steepest.optimizers.deterministic import Point
from steepest.optimizers.trust_region import TrustRegion, in_ball


@pytest.mark.parametrize("seed", range(6))
def test_in_ball_is_the_least_value_of_the_model(seed, x64):
    """Against the optimality conditions of Moré and Sorensen, which are sufficient."""
    rng = np.random.default_rng(seed)
    values = np.sort(rng.normal(size=5)) * 10.0 ** rng.integers(-2, 3)
    g = rng.normal(size=5)
    if seed == 1:
        values = abs(values) + 0.1  # convex
    if seed >= 4:
        g[0] = 0.0  # the hard case
        values[0] = -abs(values[0]) - 5
        values.sort()
    for radius in (1e-3, 1.0, 1e3):
        p = np.asarray(jax.jit(in_ball)(jnp.asarray(g), jnp.asarray(values), radius))
        assert np.linalg.norm(p) <= radius * (1 + 1e-6)
        big = np.argmax(abs(p))
        multiplier = -g[big] / p[big] - values[big] if g[big] else -values[0]
        assert multiplier >= max(0, -values[0]) - 1e-6 * abs(values).max()
        np.testing.assert_allclose((values + multiplier) * p, -g, atol=2e-5 * np.linalg.norm(g))
        if multiplier > 1e-5 * abs(values).max():
            np.testing.assert_allclose(np.linalg.norm(p), radius, rtol=1e-6)


def test_a_singular_model_has_a_finite_step(x64):
    g, values = jnp.array([0.0, 1e-6, 2.0]), jnp.array([0.0, 1e-12, 4.0])
    np.testing.assert_allclose(in_ball(g, values, 1e9), [0, -1e6, -0.5], rtol=1e-9)


def test_radius_follows_the_ratio(x64):
    def take(f, x, radius):
        at = lambda x: Point(x, *jax.value_and_grad(f)(x))  # noqa: E731
        start = at(x)
        b = jax.hessian(f)(x)[0]
        return TrustRegion()(at, start, start.gradient, b, lambda p: p, radius, True)

    x = jnp.array([3.0])
    found, radius = take(lambda x: jnp.sum(x**2), x, 1.0)
    assert (found.point.x[0], radius) == (2.0, 2.0)  # an exact model, at the edge: twice
    found, radius = take(lambda x: jnp.sum(x**2), x, 8.0)
    assert (found.point.x[0], radius) == (0.0, 8.0)  # within: kept
    # The log's model is poor at long steps; the wall at 0 gives no finite value beyond.
    found, radius = take(lambda x: jnp.sum(-jnp.log(x) + 50 * x), x, 1e6)
    assert found.evaluations > 1
    assert 0 < found.point.x[0] < 3
    assert radius < 1e3
