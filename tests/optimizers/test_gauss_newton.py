import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize

from steepest.core.errors import UsageError
from steepest.core.types import Evaluation
from steepest.optimizers.gauss_newton import (
    GaussNewton,
    LevenbergMarquardt,
    ResidualObjective,
    Residuals,
)
from steepest.optimizers.quasi_newton import LBFGS


def powell_badly_scaled(x):
    return jnp.stack([1e4 * x[0] * x[1] - 1, jnp.exp(-x[0]) + jnp.exp(-x[1]) - 1.0001])


def kowalik_osborne(x):
    y = jnp.array([.1957, .1947, .1735, .16, .0844, .0627, .0456, .0342,
                   .0323, .0235, .0246])  # fmt: skip
    u = jnp.array([4, 2, 1, .5, .25, .167, .125, .1, .0833, .0714, .0625])  # fmt: skip
    return y - x[0] * (u**2 + u * x[1]) / (u**2 + u * x[2] + x[3])


def meyer(x):
    y = jnp.array([34780, 28610, 23650, 19630, 16370, 13720, 11540, 9744, 8261, 7030, 6005, 5147,
                   4427, 3820, 3307, 2872], float)  # fmt: skip
    return x[0] * jnp.exp(x[1] / (45 + 5 * jnp.arange(1.0, 17.0) + x[2])) - y


def misra1a(x):
    # NIST StRD, lower difficulty; certified 2.3894212918e2, 5.5015643181e-4, rss 1.2455138894e-1
    v = jnp.array([77.6, 114.9, 141.1, 190.8, 239.9, 289.0, 332.8, 378.4, 434.8, 477.3, 536.8,
                   593.1, 689.1, 760.0])  # fmt: skip
    y = jnp.array([10.07, 14.73, 17.94, 23.93, 29.61, 35.18, 40.02, 44.82, 50.76, 55.05, 61.01,
                   66.40, 75.47, 81.78])  # fmt: skip
    return x[0] * (1 - jnp.exp(-x[1] * v)) - y


def powell_singular(x):
    return jnp.stack([x[0] + 10 * x[1], jnp.sqrt(5.0) * (x[2] - x[3]), (x[1] - 2 * x[2]) ** 2,
                      jnp.sqrt(10.0) * (x[0] - x[3]) ** 2])  # fmt: skip


# residuals, start, |r|^2 at the minimum, relative gradient
PROBLEMS = {
    "powell_badly_scaled": (powell_badly_scaled, [0.0, 1.0], 0.0),
    "kowalik_osborne": (kowalik_osborne, [0.25, 0.39, 0.415, 0.39], 3.07505603849e-4),
    "meyer": (meyer, [0.02, 4000.0, 250.0], 87.94585517018),
    "misra1a": (misra1a, [500.0, 1e-4], 1.2455138894e-1),
    "powell_singular": (powell_singular, [3.0, -1.0, 0.0, 1.0], 0.0),
}


def descend(method, objective, x, steps):
    @jax.jit
    def scan(x):
        def body(carry, _):
            s = method.step(objective.evaluate, *carry)
            return (s.params, s.state), s

        return jax.lax.scan(body, (x, method.start(objective.evaluate, x)), None, length=steps)[1]

    return jax.tree.map(np.asarray, scan(x))


@pytest.mark.parametrize("name", PROBLEMS)
def test_levenberg_marquardt_against_scipy(name, x64):
    residuals, start, least = PROBLEMS[name]
    path = descend(LevenbergMarquardt(), ResidualObjective(residuals), jnp.asarray(start), 300)
    values = 2 * path.value
    np.testing.assert_allclose(values[-1], least, rtol=1e-9, atol=1e-20)
    jacobian = jax.jit(jax.jacfwd(residuals))
    theirs = scipy.optimize.least_squares(
        lambda x: np.asarray(residuals(jnp.asarray(x))), start, method="lm", xtol=1e-14, ftol=1e-14,
        gtol=1e-14, jac=lambda x: np.asarray(jacobian(jnp.asarray(x))), max_nfev=3000,
    )  # fmt: skip
    assert values[-1] <= 2 * theirs.cost * (1 + 1e-9) + 1e-20
    close = values <= least + 1e-8 * max(least, 1e-4)
    count = np.cumsum(path.evaluations)[np.argmax(close) - 1]
    assert close.any()
    # Powell's curved valley: the price is a matter of where in the valley a path begins.
    assert count <= (4 if name == "powell_badly_scaled" else 2) * theirs.nfev + 5


def test_certified_values_of_nist(x64):
    path = descend(LevenbergMarquardt(), ResidualObjective(misra1a), jnp.array([500.0, 1e-4]), 60)
    np.testing.assert_allclose(path.params[-1], [2.3894212918e2, 5.5015643181e-4], rtol=1e-8)


@pytest.mark.slow
def test_levenberg_marquardt_does_not_depend_on_units(x64):
    scale = jnp.array([1e6, 1e-3, 1.0, 1e2])
    start = jnp.array([0.25, 0.39, 0.415, 0.39])
    plain = descend(LevenbergMarquardt(), ResidualObjective(kowalik_osborne), start, 12)
    other = ResidualObjective(lambda z: kowalik_osborne(z / scale))
    scaled = descend(LevenbergMarquardt(), other, start * scale, 12)
    np.testing.assert_allclose(scaled.params / scale, plain.params, rtol=1e-6)


def test_gauss_newton_is_one_step_on_linear_residuals(x64):
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(9, 4)), rng.normal(size=9)
    solution = np.linalg.lstsq(a, b)[0]
    objective = ResidualObjective(lambda x: jnp.asarray(a) @ x - b)
    path = descend(GaussNewton(), objective, jnp.ones(4), 2)
    np.testing.assert_allclose(path.params[0], solution, rtol=1e-10)
    assert path.evaluations[0] == 2
    # With too few rows the shortest step is taken.
    few = ResidualObjective(lambda x: jnp.asarray(a[:2]) @ x - b[:2])
    path = descend(GaussNewton(), few, jnp.zeros(4), 1)
    np.testing.assert_allclose(path.params[0], np.linalg.lstsq(a[:2], b[:2])[0], rtol=1e-10)


def test_gauss_newton_fits(x64):
    path = descend(GaussNewton(), ResidualObjective(misra1a), jnp.array([250.0, 5e-4]), 20)
    np.testing.assert_allclose(path.params[-1], [2.3894212918e2, 5.5015643181e-4], rtol=1e-8)


@pytest.mark.parametrize("mode", ["auto", "forward", "reverse"])
def test_objective_gives_value_gradient_and_jacobian(mode, x64):
    def residuals(t, c):
        return {"u": t["a"] ** 2 - c, "v": jnp.outer(t["a"], t["b"])}

    tree = {"a": jnp.array([1.0, 2.0]), "b": jnp.array([3.0])}
    objective = ResidualObjective(residuals, (0.5,), mode=mode)
    e = objective.evaluate(tree)
    assert isinstance(e.aux, Residuals)
    assert e.aux.jacobian.shape == (4, 3)
    np.testing.assert_allclose(e.value, 0.5 * np.sum(np.square([0.5, 3.5, 3.0, 6.0])))
    slow = ResidualObjective(residuals, (0.5,), with_jacobian=False).evaluate(tree)
    assert slow.aux == ()
    np.testing.assert_allclose(e.gradient["a"], slow.gradient["a"])
    np.testing.assert_allclose(e.gradient["b"], slow.gradient["b"])
    sums = objective.measure(tree)
    assert objective.metrics(sums)["loss"] == e.value


def test_walls_shorten_the_step_and_lanes_are_apart(x64):
    def residuals(x):
        return jnp.log(x) - jnp.array([2.0, -3.0])

    method = LevenbergMarquardt()
    objective = ResidualObjective(residuals)
    starts = jnp.array([[50.0, 10.0], [jnp.nan, 1.0], [1.0, 1.0]])

    def last(x):
        def body(carry, _):
            s = method.step(objective.evaluate, *carry)
            return (s.params, s.state), s.failed

        (x, _), failed = jax.lax.scan(body, (x, method.start(objective.evaluate, x)), None, 30)
        return x, failed[0]

    x, failed = jax.jit(jax.vmap(last))(starts)
    assert failed.tolist() == [False, True, False]
    np.testing.assert_allclose(x[jnp.array([0, 2])], np.exp([[2.0, -3.0]] * 2), rtol=1e-8)
    # The full Gauss-Newton step from (50, 10) leads out of the domain.
    first = method.step(objective.evaluate, starts[0], method.start(objective.evaluate, starts[0]))
    assert first.evaluations > 2
    assert first.aux == ()


def test_refusals():
    def evaluate(x):
        return Evaluation(jnp.sum(x**2), 2 * x)

    for method in (LevenbergMarquardt(), GaussNewton()):
        with pytest.raises(UsageError, match="needs the residuals"):
            method.start(evaluate, jnp.ones(2))
    with pytest.raises(UsageError, match="got nothing"):
        ResidualObjective(lambda x: ()).evaluate(jnp.ones(2))


def test_any_method_takes_the_objective_without_jacobian(x64):
    objective = ResidualObjective(kowalik_osborne, with_jacobian=False)
    path = descend(LBFGS(), objective, jnp.array([0.25, 0.39, 0.415, 0.39]), 60)
    np.testing.assert_allclose(2 * path.value[-1], 3.07505603849e-4, rtol=1e-9)
