import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize

import steepest
from steepest import Outcome, UsageError

T = np.linspace(0, 3, 25)
Y = 2.5 * np.exp(-1.3 * T) + 0.5 + 0.05 * np.random.default_rng(0).normal(size=25)
START = [1.0, 1.0, 0.0]


def residuals(p, t=T, y=Y):
    return p[0] * jnp.exp(-p[1] * t) + p[2] - y


def scipy_fit(x0=START, **settings):
    return scipy.optimize.least_squares(
        lambda p: p[0] * np.exp(-p[1] * T) + p[2] - Y, x0, xtol=1e-15, ftol=1e-15, gtol=1e-12,
        **settings,
    )  # fmt: skip


@pytest.mark.parametrize("method", ["levenberg-marquardt", "gauss-newton", "lbfgs", "bfgs"])
def test_the_fit_and_the_names_are_those_of_scipy(method):
    ours, theirs = steepest.least_squares(residuals, START, optimizer=method), scipy_fit()
    assert ours.outcome is Outcome.CONVERGED
    assert ours.success
    np.testing.assert_allclose(ours.x, theirs.x, rtol=1e-5)
    assert ours.cost == pytest.approx(theirs.cost, rel=1e-10)
    np.testing.assert_allclose(ours.fun, theirs.fun, atol=1e-6)
    np.testing.assert_allclose(ours.jac, theirs.jac, atol=1e-5)
    np.testing.assert_allclose(ours.grad, ours.fun @ ours.jac, atol=1e-12)
    assert ours.optimality == pytest.approx(np.abs(ours.grad).max())
    assert ours.gradient_norm <= 1e-8
    assert set(theirs) - {"active_mask"} <= set(vars(ours))


def test_covariance_is_that_of_curve_fit():
    ours = steepest.least_squares(residuals, START)
    _, want = scipy.optimize.curve_fit(lambda t, a, b, c: a * np.exp(-b * t) + c, T, Y, p0=START)
    np.testing.assert_allclose(ours.covariance(), want, rtol=1e-4)
    flat = steepest.least_squares(lambda p: (p[0] + p[1]) * jnp.ones(5) - 1, [0.0, 0.0])
    assert np.isinf(flat.covariance()).all()


def test_bounds():
    bounds = ([0, 0, 0.6], [2.0, np.inf, 1.0])
    ours = steepest.least_squares(residuals, [1.0, 1.0, 0.7], bounds=bounds, max_steps=5000)
    theirs = scipy_fit([1.0, 1.0, 0.7], bounds=bounds)
    assert ours.outcome is Outcome.CONVERGED
    np.testing.assert_allclose(ours.x, theirs.x, atol=1e-4)
    assert ours.optimality <= 1e-8 < np.abs(ours.grad).max()


def test_rosenbrock_as_residuals_in_a_few_steps():
    result = steepest.least_squares(
        lambda x: jnp.stack([10 * (x[1] - x[0] ** 2), 1 - x[0]]), [-1.2, 1.0]
    )
    np.testing.assert_allclose(result.x, [1, 1], atol=1e-8)
    assert result.nit < 40


def test_trees_args_and_own_jacobian():
    calls = []

    def r(w, t, y):
        return {"a": w["k"] * t - y, "b": 0.1 * w["c"]}

    def jacobian(w, t, y):
        calls.append(1)
        # Columns in the order of the leaves, c before k.
        top = jnp.stack([jnp.zeros_like(t), t], axis=1)
        return jnp.concatenate([top, jnp.array([[0.1, 0.0]])])

    t, y = np.arange(4.0), 3 * np.arange(4.0)
    for jac in (None, jacobian):
        result = steepest.least_squares(r, {"k": 0.0, "c": 1.0}, args=(t, y), jac=jac)
        assert result.x["k"] == pytest.approx(3)
        assert result.x["c"] == pytest.approx(0, abs=1e-6)
        assert result.jac.shape == (5, 2)
    assert calls


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: steepest.least_squares(3, START), "must be a function"),
        (lambda: steepest.least_squares(residuals, None), "x0"),
        (lambda: steepest.least_squares(lambda p: np.sin(p), START), "cannot be differentiated"),
        (lambda: steepest.least_squares(residuals, START, jac=lambda p: jnp.ones(3)),
         r"shape \(residuals, variables\) = \(25, 3\), got \(3,\)"),
        (lambda: steepest.least_squares(residuals, START, bounds=(0, 9),
                                        optimizer="levenbergmarquardt"), "cannot take bounds"),
        (lambda: steepest.minimize(lambda p: p @ p, START, optimizer="gauss-newton"),
         r"steepest\.least_squares\(residuals, x0\)"),
    ],
)  # fmt: skip
def test_refusals(call, message):
    with pytest.raises(UsageError, match=message):
        call()
