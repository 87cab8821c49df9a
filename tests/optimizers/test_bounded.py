"""L-BFGS within bounds, against SciPy's L-BFGS-B and the conditions of optimality."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize

import steepest
from steepest.core.errors import UsageError
from steepest.core.outcome import Outcome, Reason
from steepest.core.types import Evaluation
from steepest.optimizers.quasi_newton import LBFGS

N = 12


def rosenbrock(x):
    return jnp.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


def optimal(x, gradient, lower, upper, tolerance=1e-7):
    """The Karush-Kuhn-Tucker conditions: no feasible direction descends."""
    free = (x > lower) & (x < upper)
    return (
        (np.abs(gradient[free]) <= tolerance).all()
        and (gradient[(x == lower) & (x < upper)] >= -tolerance).all()
        and (gradient[(x == upper) & (x > lower)] <= tolerance).all()
        and (x >= lower).all()
        and (x <= upper).all()
    )


def test_quadratics_within_random_boxes_are_those_of_scipys_least_squares():
    rng = np.random.default_rng(0)
    for _ in range(5):
        a, b = rng.normal(size=(20, N)) * np.logspace(0, 2, N), rng.normal(size=20)
        lower = rng.uniform(-0.2, 0.05, N)
        upper = lower + rng.uniform(0, 0.2, N) * (rng.random(N) < 0.9)  # some are fixed

        def f(x, a, b):
            return 0.5 * jnp.sum((a @ x - b) ** 2)

        low = steepest.minimize(f, np.zeros(N), args=(a, b), bounds=(lower, upper), tol=1e-8)
        room = np.maximum(upper, lower + 1e-13)  # SciPy wants some
        known = scipy.optimize.lsq_linear(a, b, (lower, room), tol=1e-14)
        assert low.success
        assert low.fun <= known.cost * (1 + 1e-9)
        assert optimal(low.x, low.jac, lower, upper)
        assert ((low.x == lower) | (low.x == upper)).sum() >= 3


@pytest.mark.slow
@pytest.mark.parametrize(("low", "high"), [(-1.5, 0.7), (-2.0, 2.0), (1.2, 3.0)])
def test_rosenbrock_takes_about_as_many_evaluations_as_scipy(low, high):
    x0 = np.resize([-1.2, 1.0], N)
    ours = steepest.minimize(rosenbrock, x0, bounds=(low, high))
    theirs = scipy.optimize.minimize(
        scipy.optimize.rosen, np.clip(x0, low, high), jac=scipy.optimize.rosen_der,
        method="L-BFGS-B", bounds=[(low, high)] * N, options={"gtol": 1e-8, "ftol": 0},
    )  # fmt: skip
    assert ours.success
    assert ours.fun <= theirs.fun + 1e-10
    assert ours.nfev <= 2 * theirs.nfev + 20


@pytest.mark.slow
def test_one_sided_and_missing_bounds():
    bounds = [(None, 0.5), (2, None)] + [(None, None)] * (N - 2)
    low = steepest.minimize(rosenbrock, np.zeros(N), bounds=bounds)
    lower = np.array([-np.inf if a is None else a for a, _ in bounds])
    upper = np.array([np.inf if b is None else b for _, b in bounds])
    assert low.success
    assert optimal(low.x, low.jac, lower, upper)
    free = steepest.minimize(rosenbrock, np.zeros(N), bounds=(None, None))
    np.testing.assert_allclose(free.x, 1, atol=1e-6)


def test_trees_with_a_bound_each():
    def f(t):
        return (t["a"] - 3.0) ** 2 + jnp.sum((t["b"] + 1.0) ** 2)

    box = ({"a": -1.0, "b": 0.0}, {"a": 2.0, "b": 5.0})
    low = steepest.minimize(f, {"a": 0.0, "b": np.ones((2, 2))}, bounds=box)
    assert low.outcome is Outcome.CONVERGED
    assert low.x["a"] == 2.0
    np.testing.assert_array_equal(low.x["b"], np.zeros((2, 2)))
    # At a corner every gradient step is cut off, and the norm is zero.
    assert low.status == Reason.GRADIENT
    assert low.gradient_norm == 0


@pytest.mark.slow
def test_many_starts_at_once_reach_what_each_reaches_alone():
    points = np.random.default_rng(1).uniform(-2, 2, (6, N))
    many = steepest.minimize(rosenbrock, points, starts=6, bounds=(-2.0, 0.9))
    assert many.success.all()
    for x, end in zip(points, many.fun, strict=True):
        alone = steepest.minimize(rosenbrock, x, bounds=(-2.0, 0.9))
        assert end == pytest.approx(alone.fun, rel=1e-8)


@pytest.mark.slow
def test_overflow_outside_shortens_the_step_and_walls_hold():
    low = steepest.minimize(
        lambda x: jnp.sum(jnp.exp(jnp.exp(x)) - 50 * x), [-8.0, 1.0], bounds=(-9.0, np.inf)
    )
    assert low.success
    inside = steepest.minimize(lambda x: jnp.sum(jnp.sqrt(x) - x), [0.3, 0.9], bounds=(0.25, 1.0))
    np.testing.assert_array_equal(inside.x, [1.0, 1.0])


@pytest.mark.slow
def test_least_squares_within_bounds():
    t = np.linspace(0, 4, 20)
    y = 2.5 * np.exp(-1.3 * t) + 0.5

    def residuals(p):
        return p[0] * jnp.exp(-p[1] * t) + p[2] - y

    fit = steepest.least_squares(residuals, [1.0, 1.0, 0.0], bounds=([0, 0, 0], [2.0, 5.0, 1.0]))
    known = scipy.optimize.least_squares(
        lambda p: p[0] * np.exp(-p[1] * t) + p[2] - y, [1.0, 1.0, 0.1],
        bounds=([0, 0, 0], [2.0, 5.0, 1.0]), xtol=1e-12, ftol=1e-14, gtol=1e-12,
    )  # fmt: skip
    assert fit.cost == pytest.approx(known.cost, rel=1e-6)
    np.testing.assert_allclose(fit.x, known.x, atol=1e-5)


def test_a_penalty_is_refused():
    def evaluate(x):
        return Evaluation(jnp.sum(x**2), 2 * x)

    method = LBFGS()
    state = method.start(evaluate, jnp.ones(2))
    with pytest.raises(UsageError, match=r"takes bounds, but no L1 penalty: use FISTA"):
        method.step(evaluate, jnp.ones(2), state, lambda x, t: x)
    with pytest.raises(UsageError, match=r"LBFGS for bounds"):
        steepest.minimize(rosenbrock, np.zeros(2), optimizer="bfgs", bounds=(-1, 1))


@pytest.mark.slow
def test_in_single_precision():
    low = steepest.minimize(
        lambda x: jnp.sum((x - 2) ** 4), np.zeros(3), bounds=(-1, 1.5), dtype="float32"
    )
    assert low.success
    assert low.x.dtype == np.float32
    np.testing.assert_array_equal(low.x, np.full(3, 1.5, np.float32))
    assert jax.tree.leaves(low.jac)[0].dtype == np.float32
