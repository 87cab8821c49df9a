import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize

from steepest.core.errors import UsageError
from steepest.core.types import Evaluation
from steepest.optimizers.conjugate_gradient import ConjugateGradient
from steepest.optimizers.line_search import StrongWolfe

FORMULAS = ("hager-zhang", "polak-ribiere", "fletcher-reeves")


@pytest.mark.parametrize("beta", FORMULAS)
def test_a_quadratic_in_n_variables_ends_in_n_steps(beta, planes, x64):
    rng = np.random.default_rng(0)
    q = np.linalg.qr(rng.normal(size=(7, 7)))[0]
    a = (q * np.linspace(1, 30, 7)) @ q.T
    x0 = rng.normal(size=7)

    def evaluate(x):
        return Evaluation(0.5 * x @ jnp.asarray(a) @ x, a @ x)

    exact = StrongWolfe(curvature=1e-8, decrease=1e-9, max_trials=40)
    end = planes.run(ConjugateGradient(beta=beta, search=exact), evaluate, jnp.asarray(x0), 1e-7, 7)
    assert end.gradient_norm <= 1e-6
    assert np.linalg.norm(a @ x0) > 10  # and not before
    early = planes.run(
        ConjugateGradient(beta=beta, search=exact), evaluate, jnp.asarray(x0), 1e-7, 5
    )
    assert early.gradient_norm > 1e-3


@pytest.mark.parametrize("name", ["parabola", "rosenbrock", "himmelblau", "overflow", "wall"])
def test_minima_at_a_price_like_scipys(name, planes, x64):
    end = planes(ConjugateGradient(), name, 1e-8)
    p = planes.all[planes.kind(name)]
    assert end.gradient_norm <= 1e-8
    assert abs(end.value - p.least) < 1e-12 * max(1, abs(p.least))

    def numpy(x):
        e = planes.evaluate(planes.kind(name), jnp.asarray(x))
        return float(e.value), np.asarray(e.gradient)

    with np.errstate(all="ignore"):
        theirs = scipy.optimize.minimize(
            numpy, p.start, jac=True, method="CG", options={"gtol": 1e-8}
        )
    assert end.evaluations <= 1.5 * theirs.nfev + 10


def test_directions_are_those_of_the_formula(x64):
    g = jnp.array([1.0, -2.0, 0.5])
    new = jnp.array([0.3, 0.4, -0.1])
    d = jnp.array([-1.0, 1.0, 0.0])
    y = np.asarray(new - g)
    betas = {b: float(ConjugateGradient(beta=b)._beta(g, new, d)) for b in FORMULAS}
    dy = float(d @ y)
    np.testing.assert_allclose(betas["fletcher-reeves"], 0.26 / 5.25)
    np.testing.assert_allclose(betas["polak-ribiere"], float(new @ y) / 5.25)
    np.testing.assert_allclose(betas["hager-zhang"], (y - 2 * d * (y @ y) / dy) @ new / dy)
    # Where the formula is very negative, eta bounds it.
    hz = ConjugateGradient(floor=0.5)
    overshot = (jnp.array([1.0, 0.0]), jnp.array([-3.0, 0.0]), jnp.array([-1.0, 0.0]))
    np.testing.assert_allclose(ConjugateGradient()._beta(*overshot), -3)
    np.testing.assert_allclose(hz._beta(*overshot), -1 / 0.5)


def test_refusals():
    with pytest.raises(UsageError, match="did you mean 'polak-ribiere'"):
        ConjugateGradient(beta="polak-ribier")
