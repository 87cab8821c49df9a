import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize

from steepest.core.errors import UsageError
from steepest.core.record import from_dict, to_dict
from steepest.core.types import Evaluation
from steepest.optimizers.line_search import StrongWolfe
from steepest.optimizers.quasi_newton import BFGS, LBFGS

METHODS = {"bfgs": BFGS(), "lbfgs": LBFGS()}
both = pytest.mark.parametrize("name", METHODS)


def quadratic(n, condition, seed=0):
    rng = np.random.default_rng(seed)
    q = np.linalg.qr(rng.normal(size=(n, n)))[0]
    a = (q * np.logspace(0, np.log10(condition), n)) @ q.T
    return (a + a.T) / 2, rng.normal(size=n)


@both
@pytest.mark.parametrize("plane", range(8))
def test_reaches_the_minimum_to_the_last_digits(name, plane, planes, x64):
    p = planes.all[plane]
    tolerance = 1e-6 if p.name == "lifted" else 1e-8
    end = planes(METHODS[name], p.name, tolerance)
    assert end.gradient_norm <= tolerance
    assert abs(end.value - p.least) <= 1e-10 * max(1, abs(p.least))
    assert not end.failed

    def numpy(x):
        e = planes.evaluate(plane, jnp.asarray(x))
        return float(e.value), np.asarray(e.gradient)

    with np.errstate(all="ignore"):
        theirs = scipy.optimize.minimize(
            numpy, p.start, jac=True, method="L-BFGS-B", options={"gtol": 1e-8, "ftol": 0}
        )
    assert end.evaluations <= 1.3 * theirs.nfev + 5


@both
def test_gradient_vanishes_where_the_value_is_flat_to_rounding(name, planes, x64):
    # f = 1e4 + ...: values differ by rounding, 2e-12, from gradients of 1e-6 on.
    end = planes(METHODS[name], "lifted", 1e-9)
    assert end.gradient_norm <= 1e-9


@both
def test_rosenbrock_of_scipys_tutorial(name, planes, x64):
    x0 = np.array([1.3, 0.7, 0.8, 1.9, 1.2])

    def rosenbrock(x):
        return jnp.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)

    def evaluate(x):
        return Evaluation(*jax.value_and_grad(rosenbrock)(x))

    end = planes.run(METHODS[name], evaluate, jnp.asarray(x0), 1e-8 * 20, 100)
    np.testing.assert_allclose(end.x, 1, rtol=1e-6)
    theirs = scipy.optimize.minimize(
        scipy.optimize.rosen, x0, jac=scipy.optimize.rosen_der, method="BFGS"
    )
    assert end.evaluations <= 1.35 * theirs.nfev
    assert end.steps <= 1.35 * theirs.nit


def test_lbfgs_direction_is_that_of_the_two_loops(x64):
    """The ring has gone round three times, and a pair in between was left out."""
    a, x = quadratic(12, 1e3)
    method = LBFGS(memory=4)

    def evaluate(x):
        ripple = jnp.sum(jnp.cos(3 * x))
        return Evaluation(0.5 * x @ jnp.asarray(a) @ x + ripple, a @ x - 3 * jnp.sin(3 * x))

    state = method.start(evaluate, jnp.asarray(x))
    step = jax.jit(lambda x, state: method.step(evaluate, x, state))
    pairs, x = [], jnp.asarray(x)
    for k in range(14):
        before = state.held.point
        s = step(x, state)
        x, state = s.params, s.state
        after = state.held.point
        if k < 13:
            pairs.append(
                (np.asarray(after.x - before.x), np.asarray(after.gradient - before.gradient))
            )
    g = np.asarray(before.gradient)
    q, alphas = g.copy(), []
    for s_, y in reversed(pairs[-4:]):
        alphas.append(s_ @ q / (s_ @ y))
        q -= alphas[-1] * y
    s_, y = pairs[-1]
    r = q * (s_ @ y) / (y @ y)
    for (s_, y), alpha in zip(pairs[-4:], reversed(alphas), strict=True):
        r += s_ * (alpha - y @ r / (s_ @ y))
    taken = np.asarray(after.x - before.x)
    np.testing.assert_allclose(taken, -float(s.learning_rate) * r, rtol=1e-7, atol=1e-12)


def test_bfgs_learns_the_inverse_hessian_of_a_quadratic(planes, x64):
    a, x = quadratic(6, 50)

    def evaluate(x):
        return Evaluation(0.5 * x @ jnp.asarray(a) @ x, a @ x)

    exact = BFGS(search=StrongWolfe(curvature=1e-6, decrease=1e-7, max_trials=40))
    end = planes.run(exact, evaluate, jnp.asarray(x), 1e-12, 30)
    assert end.steps <= 8  # n, but for the search, which is exact to 1e-6 only
    np.testing.assert_allclose(end.state.inverse @ a, np.eye(6), atol=1e-3)
    np.testing.assert_allclose(end.state.inverse, end.state.inverse.T, atol=1e-14)


@both
def test_lanes_of_a_batch_are_as_if_alone(name, planes, x64):
    method = METHODS[name]
    kinds = jnp.arange(8)
    xs = jnp.stack([planes.start(n) for n in planes.names]).at[2].set(jnp.nan)
    batch = jax.vmap(planes.program, (None, 0, 0, None, None))(method, kinds, xs, 1e-7, 200)
    for i, n in enumerate(planes.names):
        if i == 2:
            assert batch.failed[i]
            continue
        alone = planes(method, n, 1e-7, 200)
        assert batch.gradient_norm[i] <= 1e-7
        # Rounding may differ, so a long path ends elsewhere within the tolerance.
        assert abs(batch.steps[i] - alone.steps) <= 2
        np.testing.assert_allclose(batch.x[i], alone.x, rtol=1e-5, atol=1e-5)


def test_every_evaluation_is_counted(x64):
    calls = []

    def evaluate(x):
        jax.debug.callback(lambda: calls.append(1))
        value, gradient = jax.value_and_grad(lambda x: jnp.sum(x**4 - x))(x)
        return Evaluation(value, gradient)

    method, x = LBFGS(memory=3), jnp.array([3.0, -40.0])
    state = method.start(evaluate, x)
    step, counted = jax.jit(lambda x, s: method.step(evaluate, x, s)), 0
    for _ in range(8):
        s = step(x, state)
        x, state, counted = s.params, s.state, counted + int(s.evaluations)
    jax.effects_barrier()
    assert counted == len(calls) > 9


@both
def test_any_tree_in_single_precision(name):
    method = METHODS[name]

    def evaluate(t):
        def f(t):
            return jnp.sum((t["a"] - 2.0) ** 2) + 3 * jnp.sum((t["b"][0] + 1.0) ** 2)

        value, gradient = jax.value_and_grad(f)(t)
        return Evaluation(value, gradient, {"extra": value})

    tree = {"a": jnp.zeros((2, 3)), "b": (jnp.ones(()),)}
    state = method.start(evaluate, tree)
    step = jax.jit(lambda t, s: method.step(evaluate, t, s))
    first = step(tree, state)
    assert first.value == 36 and first.aux["extra"] == 36  # of where the step began  # noqa: PT018
    assert first.gradient["b"][0] == 12
    for _ in range(8):
        s = step(tree, state)
        tree, state = s.params, s.state
    np.testing.assert_allclose(tree["a"], 2, rtol=1e-5)
    np.testing.assert_allclose(tree["b"][0], -1, rtol=1e-5)
    assert tree["a"].shape == (2, 3)
    assert all(x.dtype == jnp.float32 for x in jax.tree.leaves((s.params, s.gradient, s.value)))


@both
def test_a_wrong_gradient_fails_and_stays(name):
    method = METHODS[name]

    def evaluate(x):
        return Evaluation(jnp.sum(x**2), -2 * x)

    x = jnp.array([1.0, 2.0])
    step = jax.jit(lambda x, s: method.step(evaluate, x, s))
    s = step(x, method.start(evaluate, x))
    assert s.failed
    assert (s.params == x).all()
    again = step(s.params, s.state)
    assert again.failed
    assert again.evaluations == 0  # a run that has failed costs nothing more
    at_rest = step(jnp.zeros(2), method.start(evaluate, jnp.zeros(2)))
    assert not at_rest.failed  # a stationary point is no failure
    assert at_rest.evaluations == 1


def test_settings_are_leaves_and_survive_a_file(planes, x64):
    planes(LBFGS(), "parabola")
    before = planes.program._cache_size()
    planes(LBFGS(search=StrongWolfe(1e-3, 0.5, 30)), "parabola")
    assert planes.program._cache_size() == before
    method = LBFGS(memory=7, search=StrongWolfe(curvature=0.5))
    assert from_dict(to_dict(method)) == method


@both
def test_refusals(name):
    def evaluate(x):
        return Evaluation(jnp.sum(x), jnp.ones_like(x))

    method = METHODS[name]
    state = method.start(evaluate, jnp.ones(2))
    with pytest.raises(UsageError, match=r"no L1 penalty: use FISTA|bounds or an L1 penalty: use"):
        method.step(evaluate, jnp.ones(2), state, lambda x, t: x)
    with pytest.raises(UsageError, match=r"one floating type, got float32, int32"):
        method.start(evaluate, (jnp.ones(2), jnp.ones(2, jnp.int32)))
