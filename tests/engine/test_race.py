import jax.numpy as jnp
import numpy as np
import pytest

import steepest
from steepest import Outcome, UsageError
from steepest.engine.race import RATES, Lane, best_rate, race

START = [3.0, -2.0]


def bowl(x):
    """x^2 + xy + y^2: eigenvalues 1 and 3; from (1, 1) only the larger one counts."""
    return x[0] ** 2 + x[0] * x[1] + x[1] ** 2


@pytest.mark.slow
def test_the_order_is_by_gradients_to_the_tolerance():
    lanes = race(bowl, START, ["gd", "bfgs", "adam"], learning_rate=0.1, max_steps=2000)
    assert [lane.result.njev for lane in lanes] == sorted(lane.result.njev for lane in lanes)
    assert lanes[0].optimizer == "bfgs"
    rates = {lane.optimizer: lane.learning_rate for lane in lanes}
    assert rates == {"gd": 0.1, "bfgs": None, "adam": 0.1}
    for lane in lanes:
        alone = steepest.minimize(
            bowl, START, optimizer=lane.optimizer, learning_rate=lane.learning_rate, max_steps=2000
        )
        assert (alone.nit, alone.fun) == (lane.result.nit, lane.result.fun)


def test_those_that_did_not_converge_come_by_value_and_the_diverged_last():
    lanes = race(bowl, START, ["gd", "nesterov"], learning_rate=0.6, max_steps=8)
    values = {lane.optimizer: lane.result.fun for lane in lanes}
    outcomes = [lane.result.outcome for lane in lanes]
    assert outcomes == [Outcome.BUDGET] * 2
    assert list(values.values()) == sorted(values.values())
    lanes = race(bowl, START, ["gd", "nesterov"], learning_rate=0.6, max_steps=200)
    # 0.6 is below the limit 0.667 of gradient descent, above 0.452 of Nesterov's.
    assert [(lane.optimizer, lane.result.outcome) for lane in lanes] == [
        ("gd", Outcome.CONVERGED),
        ("nesterov", Outcome.DIVERGED),
    ]


def test_a_value_that_is_no_number_ranks_last():
    lanes = race(lambda x: jnp.sqrt(x[0]), [-1.0], ["gd", "adam"])
    assert [lane.rank_key for lane in lanes] == [(2, np.inf)] * 2


def test_the_sweep_finds_the_best_of_its_rates():
    rate = best_rate(bowl, START, "gd", max_steps=500, tol=1e-8)
    assert rate == min(RATES, key=lambda r: abs(r - 0.5))
    steps = {}
    for r in RATES[-25:]:
        result = steepest.minimize(bowl, START, learning_rate=r, max_steps=500)
        if result.success:
            steps[r] = result.nit
    assert rate in steps
    assert steps[rate] == min(steps.values())


def test_where_none_converges_the_lowest_value_counts():
    def valley(x):
        return 100 * (x[1] - x[0] ** 2) ** 2 + (1 - x[0]) ** 2

    rate = best_rate(valley, [-1.2, 1.0], "gd", max_steps=50, tol=1e-8)
    best = steepest.minimize(valley, [-1.2, 1.0], learning_rate=rate, max_steps=50).fun
    for factor in (0.1, 0.5, 2.0):
        other = steepest.minimize(valley, [-1.2, 1.0], learning_rate=factor * rate, max_steps=50)
        assert not other.success
        assert other.outcome is Outcome.DIVERGED or best <= other.fun


@pytest.mark.slow
def test_tuned_and_default_rates():
    tuned = race(bowl, START, ["gd", "lbfgs"], tune=True, max_steps=300)
    assert {lane.optimizer: lane.tuned for lane in tuned} == {"gd": True, "lbfgs": False}
    own = race(bowl, START, ["gd", "momentum"], max_steps=50)
    assert all(lane.learning_rate > 0 and not lane.tuned for lane in own)
    assert isinstance(own[0], Lane)


def test_any_tree_can_be_the_start():
    def f(w):
        return w["a"] ** 2 + jnp.sum(w["b"] ** 2)

    lanes = race(f, {"a": 1.0, "b": np.ones(2)}, ["gd"], tune=True, max_steps=100)
    # All eigenvalues are 2: a rate near 1/2 ends it at once.
    assert lanes[0].learning_rate == pytest.approx(0.5, rel=0.1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"optimizers": []}, "list of names"),
        ({"optimizers": "gd"}, "list of names"),
        ({"optimizers": ["gd", "gd"]}, "names one twice"),
        ({"optimizers": ["gd", "adm"]}, "did you mean"),
        ({"optimizers": ["gd"], "learning_rate": -1}, "learning_rate must be above 0"),
        ({"optimizers": ["gd"], "learning_rate": 0.1, "tune": True}, "not both"),
        ({"optimizers": ["gd"], "max_steps": 0}, "max_steps must be"),
    ],
)
def test_refusals(arguments, message):
    with pytest.raises(UsageError, match=message):
        race(bowl, START, **arguments)
