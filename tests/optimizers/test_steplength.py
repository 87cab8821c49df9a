import jax
import jax.numpy as jnp
import numpy as np
import pytest

from steepest.core.types import Evaluation
from steepest.optimizers.deterministic import Point
from steepest.optimizers.steplength import (
    Backtracking,
    BacktrackingGD,
    BarzilaiBorwein,
    PolyakStep,
)


def parabola(x):
    a = jnp.asarray([1.0, 10.0, 3.0], x.dtype)[: x.size]
    return Evaluation(0.5 * jnp.sum(a * x**2), a * x)


def trajectory(method, evaluate, x, steps, proximal=None):
    @jax.jit
    def scan(x):
        def body(carry, _):
            s = method.step(evaluate, *carry, proximal)
            return (s.params, s.state), s

        return jax.lax.scan(body, (x, method.start(evaluate, x)), None, length=steps)[1]

    return scan(x)


def test_armijo_holds_at_each_step_and_the_longer_step_breaks_it(x64):
    method = BacktrackingGD(search=Backtracking(decrease=0.3))
    path = trajectory(method, parabola, jnp.array([3.0, 1.0, -2.0]), 30)
    xs = jnp.concatenate([jnp.array([[3.0, 1.0, -2.0]]), path.params])
    values = jax.vmap(lambda x: parabola(x).value)(xs)
    square = jnp.sum(path.gradient**2, axis=1)
    t = path.learning_rate
    np.testing.assert_allclose(xs[1:], xs[:-1] - t[:, None] * path.gradient, atol=1e-15)
    assert (values[1:] <= values[:-1] - 0.3 * t * square).all()
    shortened = path.evaluations[1:] > 1
    assert shortened.sum() >= 3
    before = xs[1:-1] - 2 * t[1:, None] * path.gradient[1:]
    longer = jax.vmap(lambda x: parabola(x).value)(before)
    broken = longer > values[1:-1] - 0.3 * 2 * t[1:] * square[1:]
    assert broken[shortened].all()
    assert values[-1] < 1e-4 * values[0]


@pytest.mark.parametrize("variant", ["long", "short"])
def test_barzilai_borwein_steps_are_those_of_the_formula(variant, x64):
    x0 = jnp.array([3.0, 1.0, -2.0])
    path = trajectory(BarzilaiBorwein(variant=variant), parabola, x0, 15)
    a = np.array([1.0, 10.0, 3.0])
    x, old = np.asarray(path.params[0]), np.asarray(x0)
    for k in range(1, 15):
        s, y = x - old, a * (x - old)
        t = s @ s / (s @ y) if variant == "long" else s @ y / (y @ y)
        if path.evaluations[k] == 1:
            np.testing.assert_allclose(path.learning_rate[k], t, rtol=1e-6)
        old, x = x, np.asarray(path.params[k])
    assert (path.evaluations[1:] == 1).sum() > 10


def test_barzilai_borwein_beats_armijo_in_a_valley(planes, x64):
    quick = planes(BarzilaiBorwein(), "rosenbrock", 1e-8, 5000)
    slow = planes(BacktrackingGD(), "rosenbrock", 1e-8, 5000)
    assert quick.gradient_norm <= 1e-8
    np.testing.assert_allclose(quick.x, 1, atol=1e-7)
    assert quick.evaluations < 200
    assert slow.value < 1e-3  # on its way, at a hundred times the price
    assert slow.evaluations > 5000


@pytest.mark.parametrize("method", [BacktrackingGD(), BarzilaiBorwein()], ids=["gd", "bb"])
@pytest.mark.parametrize("name", ["parabola", "himmelblau", "overflow", "wall"])
def test_minima_with_overflow_and_walls(method, name, planes, x64):
    end = planes(method, name, 1e-6, 3000)
    p = planes.all[planes.kind(name)]
    assert end.gradient_norm <= 1e-6
    assert abs(end.value - p.least) < 1e-10 * max(1, abs(p.least))


def test_polyak_step_is_the_formula_and_never_moves_away(x64):
    x0 = jnp.array([3.0, 1.0, -2.0])
    path = trajectory(PolyakStep(), parabola, x0, 40)
    expected = path.value / jnp.sum(path.gradient**2, axis=1)
    np.testing.assert_allclose(path.learning_rate, expected, rtol=1e-12)
    distance = jnp.linalg.norm(path.params, axis=1)
    assert (jnp.diff(distance) <= 0).all()
    assert distance[-1] < 1e-3
    assert path.evaluations.tolist() == [2] + [1] * 39
    capped = trajectory(PolyakStep(max_step=0.01, target=-1.0), parabola, x0, 5)
    assert (capped.learning_rate == 0.01).all()
    there = trajectory(PolyakStep(target=100.0), parabola, x0, 2)
    assert (there.params == x0).all()
    assert not there.failed.any()


def test_bounds_and_l1_by_proximal_steps(x64):
    """The solution of 1/2 |Ax - b|^2 + |x|_1 meets its optimality conditions; so do bounds."""
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(20, 6)), 3 * rng.normal(size=20)

    def smooth(x):
        return 0.5 * jnp.sum((jnp.asarray(a) @ x - b) ** 2)

    def lasso(x):
        value, gradient = jax.value_and_grad(smooth)(x)
        return Evaluation(value + 4 * jnp.sum(jnp.abs(x)), gradient)

    def shrink(x, t):
        return jnp.sign(x) * jnp.maximum(jnp.abs(x) - 4 * t, 0)

    for method in (BacktrackingGD(), BarzilaiBorwein()):
        x = trajectory(method, lasso, jnp.zeros(6), 300, shrink).params[-1]
        g = np.asarray(jax.grad(smooth)(x))
        zero = np.asarray(x == 0)
        assert zero.any() and not zero.all()  # noqa: PT018
        np.testing.assert_allclose(g[~zero], -4 * np.sign(x[~zero]), atol=1e-6)
        assert (abs(g[zero]) <= 4).all()

    def box(x, t):
        return jnp.clip(x, 0, 0.5)

    def plain(x):
        return Evaluation(*jax.value_and_grad(smooth)(x))

    x = trajectory(BarzilaiBorwein(), plain, jnp.full(6, 0.2), 300, box).params[-1]
    g = np.asarray(jax.grad(smooth)(x))
    assert (g[x == 0] >= -1e-7).all()
    assert (g[x == 0.5] <= 1e-7).all()
    np.testing.assert_allclose(g[(x > 0) & (x < 0.5)], 0, atol=1e-6)


def test_backtracking_gives_up_where_no_step_will_do():
    def at(x):
        return Point(x, jnp.sum(x**2), -2 * x)

    start = at(jnp.ones(2))
    found = Backtracking(max_trials=9)(at, start, lambda t: start.x - t * start.gradient, 1.0)
    assert found.failed
    assert found.evaluations == 9
    assert (found.point.x == start.x).all()


def test_lanes_of_a_batch_are_as_if_alone(planes, x64):
    method = BarzilaiBorwein()
    names = ("parabola", "himmelblau", "wall")
    kinds = jnp.asarray([planes.kind(n) for n in names] + [0])
    xs = jnp.stack([planes.start(n) for n in names] + [jnp.array([jnp.nan, 1.0])])
    batch = jax.vmap(planes.program, (None, 0, 0, None, None))(method, kinds, xs, 1e-6, 300)
    assert batch.failed.tolist() == [False, False, False, True]
    for i, n in enumerate(names):
        np.testing.assert_allclose(batch.x[i], planes(method, n, 1e-6, 300).x, atol=1e-6)
