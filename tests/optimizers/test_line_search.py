import jax
import jax.numpy as jnp
import numpy as np
import pytest

from steepest.core.errors import UsageError
from steepest.core.record import replace
from steepest.optimizers.deterministic import Point
from steepest.optimizers.line_search import StrongWolfe

# One variable, by number, so that one program serves them all.
CURVES = (
    lambda x: (x - 3) ** 2,
    lambda x: x**4 - 3 * x**2 + x,
    lambda x: jnp.exp(x) - 5 * x,
    lambda x: jnp.log1p(x**2) - 0.5 * jnp.sin(3 * x),
    lambda x: 1e6 * (x - 1) ** 2 + x,
    lambda x: jnp.where(x < 2, -jnp.log(jnp.where(x < 2, 2 - x, 1)) - 3 * x, jnp.nan),
    lambda x: jnp.exp(jnp.exp(x)) - 40 * x,
    lambda x: jnp.sqrt(1 + x**2) + 1e-3 * x,
    # Moré and Thuente's functions 5.1 and 5.2.
    lambda x: -x / (x**2 + 2),
    lambda x: (x + 0.004) ** 5 - 2 * (x + 0.004) ** 4,
)


@jax.jit  # else every call would compile the branches anew
def point(kind, x):
    def f(x):
        return jax.lax.switch(kind, CURVES, x[0])

    return Point(x, *jax.value_and_grad(f)(x))


@jax.jit
def search(method, kind, x, direction, step):
    start = point(kind, x)
    return start, method(lambda x: point(kind, x), start, direction, step)


def conditions(method, start, found, direction, noise=0.0):
    """(sufficient decrease, curvature) of the step taken."""
    slope0 = float(jnp.vdot(start.gradient, direction))
    slope = float(jnp.vdot(found.point.gradient, direction))
    bound = float(start.value) + method.decrease * float(found.step) * slope0
    return found.point.value <= bound + noise, abs(slope) <= -method.curvature * slope0


@pytest.mark.parametrize("kind", range(len(CURVES)))
def test_accepted_steps_meet_the_strong_wolfe_conditions(kind, x64):
    rng = np.random.default_rng(kind)
    for _ in range(40):
        method = StrongWolfe(
            decrease=10 ** rng.uniform(-4, -1), curvature=rng.uniform(0.15, 0.9), max_trials=60
        )
        x = jnp.asarray(rng.uniform(0.01, 1.5, 1))
        direction = -jnp.sign(point(kind, x).gradient) * 10 ** rng.uniform(-1, 1)
        if kind == 8:
            direction = jnp.ones(1)  # downhill to the minimum at sqrt(2), for x below it
            x = jnp.minimum(x, 1.0)
        start, found = search(method, kind, x, direction, 10.0 ** rng.uniform(-4, 4))
        assert not found.failed
        assert conditions(method, start, found, direction) == (True, True)
        np.testing.assert_allclose(
            found.point.x, x + found.step * direction, rtol=1e-14, atol=1e-15
        )
        assert found.evaluations <= 40


def test_a_good_first_trial_costs_one_evaluation(x64):
    start, found = search(StrongWolfe(), 0, jnp.array([0.0]), jnp.array([6.0]), 0.5)
    assert (found.evaluations, found.step, found.point.value) == (1, 0.5, 0.0)
    assert found.slope == -36
    assert start.value == 9


def test_a_parabola_ends_at_its_minimum(x64):
    # From 0.1 an extrapolation may go on by at most four times the last span: 0.5, 2.1, then by
    # at least 1.1 of it: 3.86, and back.
    for step, evaluations in ((1.0, 2), (10.0, 2), (0.1, 5)):
        _, found = search(StrongWolfe(curvature=1e-3), 0, jnp.array([0.0]), jnp.ones(1), step)
        np.testing.assert_allclose(found.point.x, 3, rtol=1e-3)
        assert found.evaluations == evaluations


def test_trials_beyond_the_domain_are_shortened(x64):
    _, found = search(StrongWolfe(), 5, jnp.array([0.0]), jnp.ones(1), 1e12)
    assert not found.failed
    assert 0 < found.point.x[0] < 2
    assert found.evaluations < 20


def test_overflow_is_shortened_quickly(x64):
    start, found = search(StrongWolfe(), 6, jnp.array([0.0]), jnp.ones(1), 1e4)
    assert not found.failed
    assert found.point.value < start.value
    assert found.evaluations < 14


def test_a_decrease_below_rounding_of_the_value_is_found_by_slopes(x64):
    def at(x):
        return Point(x, 1e8 + jnp.sum((x - 1) ** 2), 2 * (x - 1))

    x = jnp.array([1 + 1e-6])
    start = at(x)
    found = StrongWolfe()(at, start, -start.gradient, 0.5)
    assert start.value == found.point.value == 1e8  # the decrease, 1e-12, does not show
    assert not found.failed
    assert abs(found.point.gradient[0]) < 1e-14
    strict = StrongWolfe(rounding=0.0)(at, start, -start.gradient, 0.5)
    assert strict.failed or abs(strict.point.gradient[0]) < 1e-6


def test_an_equal_value_beyond_a_hill_is_no_decrease(x64):
    def at(x):
        return Point(x, jnp.sum(x**4 - x**2), 4 * x**3 - 2 * x)

    # f(-1) = f(0) = 0, and the slope at 0 vanishes, since there is a maximum.
    found = StrongWolfe()(at, at(jnp.array([-1.0])), jnp.ones(1), 1.0)
    assert not found.failed
    assert found.point.value < -0.1


@jax.jit
def both(method, kind, x, first, second):
    start = point(kind, x)
    return start, method(lambda x: point(kind, x), start, first, 1.0, second, 0.1)


def test_an_ascent_direction_gives_way_to_the_second(x64):
    x = jnp.array([0.0])
    start, found = both(StrongWolfe(), 0, x, jnp.array([-6.0]), jnp.array([6.0]))
    assert found.second
    assert not found.failed
    assert found.point.value < start.value
    assert found.slope == -36


def test_a_search_that_fails_begins_again_along_the_second(x64):
    def at(x):
        # The gradient is wrong in the first coordinate: no step along it decreases f.
        return Point(x, jnp.sum(x**2), 2 * x * jnp.array([-1.0, 1.0]))

    start = at(jnp.array([1.0, 1.0]))
    first, second = jnp.array([1.0, 0.0]), jnp.array([0.0, -1.0])
    found = StrongWolfe()(at, start, first, 1.0, second, 1.0)
    assert found.second
    assert not found.failed
    np.testing.assert_allclose(found.point.x, [1, 0], atol=1e-12)
    alone = StrongWolfe(max_trials=7)(at, start, first, 1.0)
    assert alone.failed
    assert alone.evaluations == 7
    assert (alone.point.x == start.x).all()
    assert alone.step == 0
    both_wrong = StrongWolfe(max_trials=7)(at, start, first, 1.0, 2 * first, 1.0)
    assert both_wrong.failed
    assert both_wrong.evaluations == 14
    assert both_wrong.point.value == start.value


def test_out_of_trials_the_best_step_is_taken(x64):
    # A slope that never flattens enough: the longest step so far is the best.
    def at(x):
        return Point(x, -jnp.sum(x), -jnp.ones_like(x))

    start = at(jnp.zeros(1))
    found = StrongWolfe(max_trials=5)(at, start, jnp.ones(1), 1.0)
    assert not found.failed
    assert found.evaluations == 5
    assert found.point.x[0] == found.step == -found.point.value == 1 + 4 + 16 + 64 + 256

    # The best step may be an earlier one, to which the search returns.
    def kinked(x):
        far = x[0] > 2
        return Point(x, jnp.where(far, 9.0, -x[0]), jnp.where(far, 9.0, -1.0) * jnp.ones(1))

    start = kinked(jnp.zeros(1))
    found = StrongWolfe(max_trials=4)(kinked, start, jnp.ones(1), 1.5)
    assert not found.failed
    assert 1.5 <= found.step <= 2
    assert found.point.value == -found.step


@pytest.mark.parametrize("bad", [jnp.nan, jnp.inf])
def test_lanes_of_a_batch_are_as_if_alone(bad, x64):
    rng = np.random.default_rng(0)
    kinds = jnp.asarray(rng.integers(0, 5, 16))
    xs = jnp.asarray(rng.uniform(0.1, 1, (16, 1))).at[3].set(bad)
    steps = jnp.asarray(10.0 ** rng.uniform(-3, 3, 16))
    directions = jnp.where(kinds[:, None] == 2, 1.0, -1.0) * jnp.ones((16, 1))
    method = StrongWolfe(*(jnp.full(16, c) for c in (1e-4, 0.9, 20.0, 1e-14)))
    method = replace(method, curvature=jnp.linspace(0.1, 0.9, 16))
    _, batch = jax.vmap(search)(method, kinds, xs, directions, steps)
    for i in range(16):
        one = StrongWolfe(curvature=float(method.curvature[i]), rounding=1e-14)
        _, alone = search(one, kinds[i], xs[i], directions[i], steps[i])
        for a, b in zip(jax.tree.leaves(batch), jax.tree.leaves(alone), strict=True):
            np.testing.assert_allclose(a[i], b, rtol=1e-10)
    assert batch.failed[3]
    assert batch.evaluations[3] == 0


def test_skip_makes_no_trial():
    start = point(0, jnp.zeros(1))
    found = StrongWolfe()(lambda x: point(0, x), start, jnp.ones(1), 1.0, skip=True)
    assert found.evaluations == 0
    assert found.failed
    assert (found.point.x == 0).all()


def test_single_precision():
    start, found = search(StrongWolfe(), 1, jnp.array([1.0]), jnp.array([1.0]), 1.0)
    assert found.point.x.dtype == found.step.dtype == jnp.float32
    assert conditions(StrongWolfe(), start, found, jnp.array([1.0])) == (True, True)


def test_another_setting_does_not_compile_again():
    search(StrongWolfe(0.1, 0.5, 10), 0, jnp.zeros(1), jnp.ones(1), 1.0)
    before = search._cache_size()
    search(StrongWolfe(0.2, 0.6, 20), 0, jnp.ones(1), jnp.ones(1), 2.0)
    assert search._cache_size() == before


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"decrease": 0.5}, "decrease must be above 0 and below 0.5, got 0.5"),
        ({"curvature": 1.0}, "curvature must be above 0 and below 1, got 1.0"),
        ({"max_trials": 0}, "max_trials must be at least 1, got 0"),
        ({"rounding": -1.0}, "rounding must be at least 0, got -1.0"),
    ],
)
def test_refusals(settings, message):
    with pytest.raises(UsageError, match=message):
        StrongWolfe(**settings)
