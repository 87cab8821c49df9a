import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.linear_model import Lasso

from steepest.core.types import Evaluation
from steepest.optimizers.proximal import FISTA


def trajectory(method, evaluate, x, steps, proximal=None):
    @jax.jit
    def scan(x):
        def body(carry, _):
            s = method.step(evaluate, *carry, proximal)
            return (s.params, s.state), s

        return jax.lax.scan(body, (x, method.start(evaluate, x)), None, length=steps)[1]

    return jax.tree.map(np.asarray, scan(x))


def least_squares(rows, n, condition, seed=0):
    rng = np.random.default_rng(seed)
    a = rng.normal(size=(rows, n)) * np.logspace(0, np.log10(condition) / 2, n)
    w = np.where(rng.random(n) < 0.4, rng.normal(size=n), 0)
    return a, a @ w + 0.1 * rng.normal(size=rows)


def test_lasso_against_scikit_learn(x64):
    a, b = least_squares(60, 20, 100)
    alpha = 0.5

    def smooth(x):
        return jnp.mean((jnp.asarray(a) @ x - b) ** 2) / 2

    def evaluate(x):
        value, gradient = jax.value_and_grad(smooth)(x)
        return Evaluation(value + alpha * jnp.sum(jnp.abs(x)), gradient)

    def shrink(x, t):
        return jnp.sign(x) * jnp.maximum(jnp.abs(x) - alpha * t, 0)

    path = trajectory(FISTA(), evaluate, jnp.zeros(20), 400, shrink)
    theirs = Lasso(alpha, fit_intercept=False, tol=1e-14, max_iter=100_000).fit(a, b)
    np.testing.assert_allclose(path.params[-1], theirs.coef_, atol=1e-9)
    assert ((path.params[-1] == 0) == (theirs.coef_ == 0)).all()
    assert 0 < (theirs.coef_ == 0).sum() < 20


def test_accelerated_and_linear_after_restarts(x64):
    a = jnp.logspace(0, 2, 30)

    def evaluate(x):
        return Evaluation(0.5 * jnp.sum(a * x**2), a * x)

    path = trajectory(FISTA(), evaluate, jnp.ones(30), 400)
    # Gradient descent with its best step multiplies f by (99/101)^2 a step: e^-16 in 400.
    assert path.value[-1] < 1e-12
    bound = 2 * 1e2 * 30 / (np.arange(1, 400) + 1) ** 2
    assert (path.value[1:] <= 4 * bound).all()  # steps may be shorter than 1/L by two halvings
    assert not path.failed.any()


def test_box(x64):
    a, b = least_squares(30, 8, 10, seed=1)

    def smooth(x):
        return jnp.sum((jnp.asarray(a) @ x - b) ** 2) / 2

    def evaluate(x):
        return Evaluation(*jax.value_and_grad(smooth)(x))

    path = trajectory(FISTA(), evaluate, jnp.zeros(8), 500, lambda x, t: jnp.clip(x, -0.1, 0.2))
    x, g = path.params[-1], np.asarray(jax.grad(smooth)(path.params[-1]))
    assert (g[x == -0.1] >= 0).all()
    assert (g[x == 0.2] <= 0).all()
    inside = (x > -0.1) & (x < 0.2)
    assert 0 < inside.sum() < 8
    np.testing.assert_allclose(g[inside], 0, atol=1e-7)


@pytest.mark.parametrize("name", ["parabola", "overflow", "wall"])
def test_without_a_proximal_term(name, planes, x64):
    end = planes(FISTA(), name, 1e-7, 2000)
    p = planes.all[planes.kind(name)]
    assert end.gradient_norm <= 1e-7
    assert abs(end.value - p.least) < 1e-10 * max(1, abs(p.least))


def test_lanes_of_a_batch_are_as_if_alone(planes, x64):
    kinds = jnp.asarray([0, planes.kind("wall"), 0])
    xs = jnp.stack([planes.start("parabola"), planes.start("wall"), jnp.array([jnp.nan, 1.0])])
    batch = jax.vmap(planes.program, (None, 0, 0, None, None))(FISTA(), kinds, xs, 1e-7, 2000)
    assert batch.failed.tolist() == [False, False, True]
    for i, n in enumerate(("parabola", "wall")):
        np.testing.assert_allclose(batch.x[i], planes(FISTA(), n, 1e-7, 2000).x, atol=1e-6)
