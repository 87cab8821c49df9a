import jax
import jax.numpy as jnp
import numpy as np
import pytest

from steepest.core.errors import UsageError
from steepest.objectives.curvature import (
    DENSE,
    hessian_product,
    lanczos,
    limit,
    spectrum,
    stable_rate,
)
from steepest.objectives.objective import FunctionObjective
from steepest.optimizers.gradient_descent import GradientDescent


def quadratic(eigenvalues, seed=0):
    """x^T Q diag(l) Q^T x / 2 as an objective, with a random rotation Q."""
    n = len(eigenvalues)
    q, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(n, n)))
    a = (q * eigenvalues) @ q.T
    return FunctionObjective(lambda x, a: 0.5 * x @ a @ x, (jnp.asarray(a),)), a


def test_hessian_product(x64):
    def f(x):
        return jnp.sum(jnp.exp(x[1:] * x[:-1])) + x[0] ** 4

    x, v = jnp.asarray(np.random.default_rng(0).normal(size=(2, 6)))
    np.testing.assert_allclose(hessian_product(f, x)(v), jax.hessian(f)(x) @ v, rtol=1e-12)


def test_lanczos_is_a_tridiagonal_form_of_the_matrix(x64):
    _, a = quadratic(np.linspace(-1, 4, 20))
    start = jnp.asarray(np.random.default_rng(1).normal(size=20))
    alpha, beta, q = (np.asarray(t) for t in lanczos(lambda v: jnp.asarray(a) @ v, start, 20))
    t = np.diag(alpha) + np.diag(beta[:-1], 1) + np.diag(beta[:-1], -1)
    np.testing.assert_allclose(q @ q.T, np.eye(20), atol=1e-12)
    np.testing.assert_allclose(q @ a @ q.T, t, atol=1e-12)
    np.testing.assert_allclose(np.linalg.eigvalsh(t), np.linspace(-1, 4, 20), atol=1e-10)


def test_small_spectra_are_exact(x64):
    objective, _ = quadratic(np.array([-2.0, 0.5, 3.0, 7.0]))
    here = spectrum(objective, {"x": jnp.ones(4)}["x"])
    np.testing.assert_allclose([here.low, here.high, here.residual], [-2, 7, 0], atol=1e-12)
    assert here.sharpness == pytest.approx(7)


@pytest.mark.parametrize("ends", [(1e-3, 50.0), (-80.0, 5.0)])
def test_large_spectra_at_their_ends(x64, ends):
    n = 3 * DENSE
    objective, _ = quadratic(np.concatenate([[ends[0]], np.linspace(0.1, 4, n - 2), [ends[1]]]))
    here = spectrum(objective, jnp.ones(n))
    assert here.sharpness == pytest.approx(max(map(abs, ends)), rel=1e-6)
    assert here.low == pytest.approx(ends[0], abs=0.1)
    assert here.high == pytest.approx(ends[1], rel=0.05)
    assert here.residual < 1e-3


def test_an_exhausted_krylov_space(x64):
    # Two different eigenvalues: Lanczos ends after two steps, with the exact ends.
    objective, _ = quadratic(np.array([1.0] * 50 + [5.0] * 50))
    here = spectrum(objective, jnp.ones(100))
    assert (here.low, here.high) == pytest.approx((1, 5), abs=1e-9)


def test_not_finite():
    objective = FunctionObjective(lambda x: jnp.sum(jnp.sqrt(x)))
    for n in (2, 2 * DENSE):
        assert np.isnan(spectrum(objective, -jnp.ones(n)).low)


@pytest.mark.parametrize(
    ("name", "momentum", "want"),
    [
        ("gd", 0.9, 2 / 3),
        ("momentum", 0.9, 2 * 1.9 / 3),
        ("nesterov", 0.9, 2 * 1.9 / 2.8 / 3),
        ("momentum", 0.5, 1.0),
    ],
)
def test_limits_divide_what_converges_from_what_diverges(name, momentum, want, x64):
    assert limit(name, 3.0, momentum) == pytest.approx(want)
    # The eigenvalue of largest size of the recursion on f = 3 x^2 / 2.
    for factor, stable in ((0.999, True), (1.001, False)):
        h = 3.0 * factor * want
        matrix = {
            "gd": [[1 - h]],
            "momentum": [[1 + momentum - h, -momentum], [1, 0]],
            "nesterov": [[(1 + momentum) * (1 - h), -momentum * (1 - h)], [1, 0]],
        }[name]
        assert (max(abs(np.linalg.eigvals(np.array(matrix)))) < 1) == stable


def test_no_limit():
    assert limit("adam", 3.0) is None


def test_rates(x64):
    objective, _ = quadratic(np.array([1.0, 3.0]))
    x = jnp.ones(2)
    assert stable_rate(objective, x, "gd") == pytest.approx(0.5)
    assert stable_rate(objective, x, GradientDescent()) == pytest.approx(0.5)
    assert stable_rate(objective, x, "momentum", momentum=0.5) == pytest.approx(0.5)
    valley = FunctionObjective(lambda x: jnp.sum(x**4))
    assert stable_rate(valley, x, "gd") == pytest.approx(1 / 12)
    saddle, _ = quadratic(np.array([-4.0, 1.0]))
    assert stable_rate(saddle, x, "gd") == pytest.approx(1 / 4)


@pytest.mark.parametrize("start", [0.5, 3.0, 8.0])
def test_a_convex_function_that_is_flat_at_the_start(x64, start):
    # The curvature of log cosh is 1/cosh^2, at most 1: beyond the rate 2 it is unstable.
    cosh = FunctionObjective(lambda x: jnp.sum(jnp.log(jnp.cosh(x))))
    assert 0.4 < stable_rate(cosh, jnp.array([start, 0.3]), "gd") < 2


@pytest.mark.parametrize(
    ("fun", "name", "message"),
    [
        (lambda x: jnp.sum(x), "gd", "the Hessian at x0 is zero"),
        (lambda x: jnp.sum(jnp.sqrt(-x)), "gd", "the Hessian at x0 is not finite"),
        (lambda x: jnp.sum(x**2), "adam", "for 'adam' give a number"),
    ],
)
def test_refusals(fun, name, message):
    with pytest.raises(UsageError, match=message):
        stable_rate(FunctionObjective(fun), jnp.ones(2), name)
