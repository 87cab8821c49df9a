import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize

import steepest
from steepest import Outcome, Reason, UsageError
from steepest.engine import advance, descend
from steepest.engine.minimum import Minima

A = np.array([[2.0, 1.0], [1.0, 2.0]])
START = [3.0, -2.0]
HIMMELBLAU = [
    (-3.779310253377747, -3.283185991286170),
    (-2.805118086952745, 3.131312518250573),
    (3.0, 2.0),
    (3.584428340330492, -1.848126526964404),
]


def bowl(x):
    """x^2 + xy + y^2: eigenvalues 1 and 3."""
    return x[0] ** 2 + x[0] * x[1] + x[1] ** 2


def himmelblau(x):
    return (x[0] ** 2 + x[1] - 11) ** 2 + (x[0] + x[1] ** 2 - 7) ** 2


def rosenbrock(x):
    return jnp.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


def path(result):
    return np.asarray(result.trace.steps["params"])[:, 0, 0]


def test_gradient_descent_on_a_quadratic_follows_its_closed_form():
    result = steepest.minimize(bowl, START, learning_rate=0.1, probes=("params", "loss"))
    # w_k = (I - eta A)^k w_0
    values, vectors = np.linalg.eigh(A)
    k = np.arange(len(path(result)))[:, None]
    want = ((1 - 0.1 * values) ** k * (vectors.T @ START)) @ vectors.T
    np.testing.assert_allclose(path(result), want, rtol=1e-10, atol=1e-13)
    np.testing.assert_allclose(
        result.trace.steps["loss"][:, 0, 0], 0.5 * np.sum(want @ A * want, axis=1), atol=1e-12
    )
    first = int(np.argmax(np.linalg.norm(want @ A, axis=1) <= 1e-8))
    assert first > 0
    assert result.nit == first
    assert result.nfev == result.njev == result.nit + 1
    assert result.outcome is Outcome.CONVERGED
    assert result.status == Reason.GRADIENT
    assert result.x.dtype == np.float64


def test_scipys_names_and_values():
    x0 = [1.3, 0.7, 0.8, 1.9, 1.2]
    ours = steepest.minimize(rosenbrock, x0, optimizer="bfgs", tol=1e-5)
    theirs = scipy.optimize.minimize(
        scipy.optimize.rosen, x0, jac=scipy.optimize.rosen_der, method="BFGS"
    )
    for name in theirs:
        if name not in ("hess_inv",):
            assert type(getattr(ours, name)) in (type(theirs[name]), int, float, bool), name
    np.testing.assert_allclose(ours.x, theirs.x, atol=1e-5)
    np.testing.assert_allclose(ours.jac, scipy.optimize.rosen_der(ours.x), atol=1e-10)
    assert ours.fun == pytest.approx(scipy.optimize.rosen(ours.x), abs=1e-14)
    assert ours.success
    assert ours.nfev <= 1.5 * theirs.nfev


@pytest.mark.parametrize(
    "name",
    ["lbfgs", "bfgs", "cg", "newton", "backtracking", "barzilai-borwein", "fista", "L-BFGS"],
)
def test_every_method_by_name(name):
    result = steepest.minimize(himmelblau, [0.0, 0.0], optimizer=name)
    assert result.outcome is Outcome.CONVERGED
    assert min(np.linalg.norm(result.x - m) for m in np.array(HIMMELBLAU)) < 1e-6
    assert result.gradient_norm <= 1e-8
    assert result.gradient_norm == pytest.approx(np.linalg.norm(result.jac))


def test_polyak_where_the_least_value_is_known():
    result = steepest.minimize(bowl, START, optimizer="polyak", target=1e-20, tol=0)
    assert result.outcome is Outcome.CONVERGED
    assert result.fun <= 1e-20


def test_trees_keep_their_form():
    x0 = {"a": 1.0, "b": [np.ones((2, 2)), np.zeros(3)]}

    def f(w):
        return (
            (w["a"] - 2) ** 2 + jnp.sum((w["b"][0] - 3) ** 4) + jnp.sum((w["b"][1] + w["a"]) ** 2)
        )

    result = steepest.minimize(f, x0, max_steps=200)
    assert jax.tree.structure(result.x) == jax.tree.structure(x0)
    assert result.x["b"][0].shape == (2, 2)
    assert result.x["a"] == pytest.approx(2, abs=1e-6)
    np.testing.assert_allclose(result.x["b"][1], -2, atol=1e-6)
    assert jax.tree.structure(result.jac) == jax.tree.structure(x0)


def test_a_single_number_and_nested_lists():
    result = steepest.minimize(lambda x: (x - 3) ** 2, 0, learning_rate=0.4)
    assert np.shape(result.x) == ()
    assert result.x == pytest.approx(3)
    result = steepest.minimize(lambda x: jnp.sum((x - 3) ** 2), [[1, 2], [3, 4]], learning_rate=0.4)
    np.testing.assert_allclose(result.x, np.full((2, 2), 3.0))


def test_a_formula_as_text():
    result = steepest.minimize("(x - 1)^2 + (y + 2)^2", [0, 0])
    np.testing.assert_allclose(result.x, [1, -2], atol=1e-8)


def test_other_arguments_and_the_same_function_compile_and_trace_nothing():
    traced = 0

    def f(x, a, b):
        nonlocal traced
        traced += 1
        return jnp.sum((x - a) ** 2) + b["c"] * x[0]

    def solve(a, c):
        return steepest.minimize(f, [0.0, 0.0], args=(np.array(a), {"c": c}))

    np.testing.assert_allclose(solve([1.0, 2.0], 0.0).x, [1, 2], atol=1e-8)
    before = traced, advance.advance._cache_size(), advance.start._cache_size()
    np.testing.assert_allclose(solve([3.0, -2.0], 4.0).x, [1, -2], atol=1e-8)
    assert (traced, advance.advance._cache_size(), advance.start._cache_size()) == before


def test_other_starts_and_settings_compile_nothing():
    steepest.minimize(bowl, START, optimizer="momentum", learning_rate=0.1, momentum=0.5)
    before = advance.advance._cache_size()
    steepest.minimize(bowl, [1, 1], optimizer="momentum", learning_rate=0.2, momentum=0.7, tol=1e-6)
    assert advance.advance._cache_size() == before


def test_own_gradient_is_used():
    # Of half the length, so that the path is that of half the learning rate.
    half = steepest.minimize(
        bowl, START, jac=lambda x: jnp.asarray(A) @ x / 2, learning_rate=0.2, max_steps=20
    )
    whole = steepest.minimize(bowl, START, learning_rate=0.1, max_steps=20)
    np.testing.assert_allclose(half.last_x, whole.last_x, rtol=1e-12)
    np.testing.assert_allclose(half.jac, A @ half.x / 2)


def test_bounds_agree_with_scipy():
    bounds = [(1.5, 3), (None, 1.0)]
    ours = steepest.minimize(himmelblau, [2.0, 0.0], bounds=bounds)
    theirs = scipy.optimize.minimize(
        lambda x: float(himmelblau(x)), [2.0, 0.0], method="L-BFGS-B", bounds=bounds, tol=1e-12
    )
    assert ours.outcome is Outcome.CONVERGED
    np.testing.assert_allclose(ours.x, theirs.x, atol=1e-5)
    # Stationary on the box: the projected step vanishes although the gradient does not.
    low, high = np.array([1.5, -np.inf]), np.array([3, 1.0])
    residual = np.linalg.norm(ours.x - np.clip(ours.x - ours.jac, low, high))
    assert ours.gradient_norm == pytest.approx(residual)
    assert residual <= 1e-8
    assert np.linalg.norm(ours.jac) > 1
    same = steepest.minimize(himmelblau, [2.0, 0.0], bounds=scipy.optimize.Bounds(low, high))
    np.testing.assert_array_equal(same.x, ours.x)


def test_every_iterate_is_within_the_bounds():
    result = steepest.minimize(
        rosenbrock, [5.0, 5.0], bounds=(-0.5, 0.5), optimizer="gd", learning_rate=1e-3,
        probes=("params",),
    )  # fmt: skip
    assert np.abs(path(result)).max() <= 0.5
    np.testing.assert_allclose(result.x, [0.5, 0.25], atol=1e-6)


def test_bounds_are_refused_by_methods_that_cannot_keep_them():
    with pytest.raises(UsageError, match="BFGS works on smooth objectives only"):
        steepest.minimize(bowl, START, bounds=(-1, 1), optimizer="bfgs")


def test_callback_sees_the_run_and_may_end_it():
    seen = []

    def watch(moment):
        seen.append((moment.step, float(moment.carry.best_value[0, 0])))
        if len(seen) == 2:
            moment.stop()

    result = steepest.minimize(rosenbrock, [-1.2, 1.0], learning_rate=1e-4, callback=watch)
    assert seen[0][0] == 64
    assert len(seen) == 2
    assert seen[1][1] < seen[0][1] < 24.2
    assert result.outcome is Outcome.STOPPED
    assert result.nit == seen[1][0]
    assert result.message == f"Stopped by the callback after {result.nit} steps."


def test_target():
    result = steepest.minimize(rosenbrock, [-1.2, 1.0], target=1e-3)
    assert result.outcome is Outcome.CONVERGED
    assert result.status == Reason.TARGET
    assert 1e-10 < result.fun <= 1e-3


def test_budget_of_steps():
    result = steepest.minimize(rosenbrock, [-1.2, 1.0], learning_rate=1e-4, max_steps=100)
    assert result.outcome is Outcome.BUDGET
    assert result.nit == 100
    assert not result.success
    np.testing.assert_array_equal(result.x, result.last_x)


def test_the_best_point_of_a_diverging_run():
    result = steepest.minimize(bowl, START, learning_rate=0.7, probes=("loss", "params"))
    assert result.outcome is Outcome.DIVERGED
    assert result.status == Reason.BLOW_UP
    losses = result.trace.steps["loss"][:, 0, 0]
    best = int(np.nanargmin(losses))
    assert 0 < best < result.nit
    np.testing.assert_array_equal(result.x, path(result)[best])
    assert result.fun == losses[best]
    with pytest.raises(steepest.DivergedError, match=f"Diverged at step {result.nit}"):
        result.raise_if_diverged()


def test_the_best_point_of_an_oscillating_run():
    # |x|: a fixed step hops over the minimum for ever.
    result = steepest.minimize(
        lambda x: jnp.abs(x - 0.3), 1.0, learning_rate=0.25, max_steps=50, probes=("loss", "params")
    )
    losses = result.trace.steps["loss"][:, 0, 0]
    assert result.fun == losses.min() < abs(result.last_x - 0.3)


def test_the_last_point_counts_too():
    result = steepest.minimize(bowl, START, learning_rate=0.1, max_steps=1)
    np.testing.assert_allclose(result.x, np.array(START) - 0.1 * (A @ START))
    assert result.fun == pytest.approx(float(bowl(result.x)))


def test_where_f_is_not_finite():
    def f(x):
        return jnp.sqrt(x[0])

    result = steepest.minimize(f, [1.0], learning_rate=0.5)
    assert result.outcome is Outcome.DIVERGED
    assert result.status == Reason.NOT_FINITE
    assert math.isfinite(result.fun)
    assert np.isfinite(result.x).all()
    result = steepest.minimize(f, [-1.0])
    assert result.outcome is Outcome.DIVERGED
    assert math.isnan(result.fun)
    assert "at the very start" in result.message


def test_many_starts_equal_single_runs_and_find_the_four_minima():
    many = steepest.minimize(himmelblau, bounds=[(-5, 5)] * 2, starts=60, seed=3)
    assert isinstance(many, Minima)
    assert len(many) == 60
    assert many.success.all()
    assert np.abs(many.starts).max() <= 5
    found = many.distinct()
    np.testing.assert_allclose(sorted(tuple(d["x"]) for d in found), HIMMELBLAU, atol=1e-6)
    assert sum(d["count"] for d in found) == 60
    assert sum(d["share"] for d in found) == pytest.approx(1)
    assert many.best[1] == many.fun.min()
    for i in (0, 7, 59):
        one = steepest.minimize(himmelblau, many.starts[i], bounds=(-5, 5))
        assert one.nit == many.nit[i]
        assert one.nfev == many.nfev[i]
        np.testing.assert_allclose(one.x, many.x[i], rtol=1e-6)


def test_own_starts_and_one_that_diverges_spoils_nothing():
    def f(x):
        return jnp.sum(x**4)

    x0 = [[0.1, 0.2], [100.0, 0.0], [-0.3, 0.4]]
    many = steepest.minimize(f, x0, starts=3, learning_rate=0.05, max_steps=500, tol=1e-2)
    assert many.success.tolist() == [True, False, True]
    assert many.status[1] in (Reason.BLOW_UP, Reason.NOT_FINITE)
    one = steepest.minimize(f, x0[2], learning_rate=0.05, max_steps=500, tol=1e-2)
    np.testing.assert_allclose(many.x[2], one.x, rtol=1e-12)


def test_starts_of_a_tree():
    bounds = ({"a": -1.0, "b": np.zeros(2)}, {"a": 1.0, "b": np.array([1, 2])})
    many = steepest.minimize(lambda w: w["a"] ** 2 + jnp.sum(w["b"] ** 2), bounds=bounds, starts=4)
    assert many.starts["b"].shape == (4, 2)
    assert many.success.all()
    assert np.abs(many.x["a"]).max() < 1e-7


def test_the_records_of_many_starts_stay_small():
    many = steepest.minimize(himmelblau, bounds=(-5, 5), x0=np.ones((2000, 2)), starts=2000)
    assert many.trace.steps["loss"].size <= 2 * descend.RECORDS_OF_MANY


def test_the_automatic_rate_on_a_quadratic_is_the_best_fixed_one():
    result = steepest.minimize(bowl, START, learning_rate="auto")
    assert float(result.optimizer.learning_rate.learning_rate) == pytest.approx(0.5, rel=1e-9)
    assert result.outcome is Outcome.CONVERGED
    near = steepest.minimize(bowl, START, learning_rate=0.45)
    assert result.nit < near.nit


def test_the_automatic_rate_elsewhere_is_half_the_limit_at_the_start():
    result = steepest.minimize(
        lambda x: jnp.sum(x**4), [1.0, 0.5], learning_rate="auto", optimizer="momentum", max_steps=9
    )
    # The top eigenvalue there is 12; the limit of heavy ball 2 (1 + 0.9) / 12.
    assert float(result.optimizer.learning_rate.learning_rate) == pytest.approx(1.9 / 12)


def test_numpy_functions_by_finite_differences():
    calls = 0

    def f(x):
        nonlocal calls
        calls += 1
        return float(np.sum((x - 1) ** 2) + math.cos(x[0]))

    result = steepest.minimize(f, [3.0, -2.0], gradient="finite-difference", tol=1e-6)
    assert result.outcome is Outcome.CONVERGED
    want = scipy.optimize.brentq(lambda x: 2 * (x - 1) - math.sin(x), 0, 3)
    np.testing.assert_allclose(result.x, [want, 1], atol=1e-6)
    assert result.nfev == 5 * result.njev
    assert calls >= result.nfev


def test_single_precision():
    result = steepest.minimize(bowl, START, dtype="float32", tol=1e-4)
    assert result.x.dtype == np.float32
    assert result.outcome is Outcome.CONVERGED
    assert jnp.asarray(1.0).dtype == jnp.float32


def numpy_only(x):
    return math.sin(x[0])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: steepest.minimize(numpy_only, [1.0]),
         r"numpy_only cannot be differentiated by JAX .*jnp\.sin .*gradient='finite-difference'"),
        (lambda: steepest.minimize(bowl), "give x0"),
        (lambda: steepest.minimize(bowl, starts=5), "give x0"),
        (lambda: steepest.minimize(bowl, []), "holds no numbers"),
        (lambda: steepest.minimize(bowl, ["a"]), "must be numbers"),
        (lambda: steepest.minimize(bowl, [1.0, math.nan]), "not finite"),
        (lambda: steepest.minimize(bowl, START, tol=-1), "tol must be"),
        (lambda: steepest.minimize(bowl, START, max_steps=0), "max_steps must be"),
        (lambda: steepest.minimize(bowl, START, max_steps=1.5), "max_steps must be"),
        (lambda: steepest.minimize(bowl, starts=0, bounds=(-1, 1)), "starts must be"),
        (lambda: steepest.minimize(bowl, [START] * 2, starts=3), "leading axis of 3"),
        (lambda: steepest.minimize(bowl, starts=3, bounds=[(0, None)] * 2), "give finite ones"),
        (lambda: steepest.minimize(lambda x: x, START), "must give one number"),
        (lambda: steepest.minimize(bowl, START, learning_rate="big"), "a number or 'auto'"),
        (lambda: steepest.minimize(bowl, START, learning_rate=-1), "learning_rate must be above 0"),
        (lambda: steepest.minimize(bowl, START, optimizer="lbfgs", learning_rate=1),
         "has no setting 'learning_rate'"),
        (lambda: steepest.minimize(bowl, START, optimizer="adm"), "did you mean"),
        (lambda: steepest.minimize(bowl, START, optimizer="adam", learning_rate="auto"),
         "for gd, momentum and nesterov"),
        (lambda: steepest.minimize(bowl, START, gradient="numeric"), "'auto' or 'finite-diff"),
        (lambda: steepest.minimize(bowl, START, bounds=(1, -1)), "lies above"),
        (lambda: steepest.minimize(bowl, START, dtype="float16"), "dtype must be"),
        (lambda: steepest.minimize(lambda x: x / 0, [1.0], gradient="finite-difference", jac=bowl),
         "either jac or"),
        (lambda: steepest.minimize("sinn(x)", [1.0]), "sinn"),
        (lambda: steepest.minimize(bowl, START, probes=("los",)), "did you mean 'loss'"),
    ],
)  # fmt: skip
def test_refusals(call, message):
    with pytest.raises(UsageError, match=message):
        call()
