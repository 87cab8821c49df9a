"""Descents on functions: limits exact on quadratics, saddles with a way out, good runs clear."""

import numpy as np
import pytest

from steepest.core.errors import UsageError
from steepest.engine.minimize import minimize

BOWL = "x^2 + x*y + y^2"


def test_a_rate_above_the_limit_names_the_limit():
    found = minimize(BOWL, [3, -2], learning_rate=0.7).diagnose()
    assert found.codes == ("learning_rate_too_large",)
    assert found[0].evidence["stable_limit"] == pytest.approx(2 / 3, rel=1e-6)
    better = minimize(BOWL, [3, -2], optimizer="gd", **found[0].changes[0])
    assert better.success
    assert better.diagnose().codes == ()


def test_bouncing_without_diverging():
    found = minimize("x^2", [1.0], learning_rate=1.0, max_steps=200).diagnose()
    assert found.codes == () or found.codes == ("too_few_steps",)
    bouncing = minimize("sqrt(x^2 + 0.01)", [1.0], learning_rate=0.5, max_steps=400).diagnose()
    assert bouncing.codes == ("learning_rate_too_large",)
    assert bouncing[0].evidence["period"] == 2
    assert bouncing[0].evidence["amplitude"] > 0.1


def test_a_rate_far_below_the_limit():
    found = minimize(BOWL, [3, -2], learning_rate=1e-4, max_steps=500).diagnose()
    assert found.codes == ("learning_rate_too_small",)
    better = minimize(BOWL, [3, -2], optimizer="gd", max_steps=500, **found[0].changes[0])
    assert better.success


def test_a_saddle_tells_the_way_out():
    found = minimize("x^2 - y^2 + y^4", [1.0, 0.0], optimizer="gd").diagnose()
    assert found.codes == ("saddle",)
    direction = found[0].evidence["direction"]
    assert abs(direction[1]) == pytest.approx(1, abs=1e-6)
    assert found[0].evidence["curvature"] == pytest.approx(-2, rel=1e-6)
    out = minimize("x^2 - y^2 + y^4", list(found[0].changes[0]["start"]), optimizer="gd")
    assert out.fun == pytest.approx(-0.25)
    assert out.diagnose().codes == ()


def test_a_maximum_and_no_lower_bound():
    assert minimize("cos(x)", [0.0], optimizer="gd").diagnose().codes == ("maximum",)
    assert minimize("-x^4", [1.0], optimizer="gd", learning_rate=0.1).diagnose().codes[0] in (
        "unbounded", "learning_rate_too_large",
    )  # fmt: skip


def test_an_ill_conditioned_bowl():
    f = "x^2 + 100000*y^2"
    found = minimize(f, [1.0, 1.0], learning_rate="auto", max_steps=300).diagnose()
    assert found.codes == ("ill_conditioned",)
    assert found[0].evidence["condition"] == pytest.approx(1e5, rel=1e-4)
    assert minimize(f, [1.0, 1.0]).diagnose().codes == ()


@pytest.mark.parametrize("formula", [BOWL, "rosenbrock", "booth"])
def test_descents_that_ended_well_are_clear(formula):
    from steepest.functions.function import function

    f = function(formula)
    found = minimize(f, [0.5, -0.5])
    assert found.success
    assert found.diagnose().codes == ()


@pytest.mark.parametrize("high", [3.0, 40.0])
def test_what_the_best_fixed_rate_would_need(high):
    found = minimize(f"x^2/2 + {high / 2}*y^2", [1.0, 1.0], learning_rate=0.1 / high, max_steps=5)
    measured = found.diagnose().measured
    assert measured["condition"] == pytest.approx(high)
    assert measured["best_rate"] == pytest.approx(2 / (1 + high))
    best = minimize(f"x^2/2 + {high / 2}*y^2", [1.0, 1.0], optimizer="gd",
                    learning_rate=measured["best_rate"], tol=1e-8)  # fmt: skip
    # From a gradient of about `high` to 1e-8 it takes so many digits.
    digits = np.log10(np.hypot(1, high) / 1e-8)
    assert best.nit == pytest.approx(digits * measured["steps_a_digit"], rel=0.25)
    automatic = minimize(f"x^2/2 + {high / 2}*y^2", [1.0, 1.0], learning_rate="auto", tol=1e-8)
    assert automatic.nit == best.nit


def test_many_variables_by_lanczos():
    import jax.numpy as jnp

    scale = np.arange(1, 501) / 500.0
    found = minimize(lambda x: jnp.sum(scale * x**2), np.ones(500), learning_rate=1.5).diagnose()
    assert found.codes == ("learning_rate_too_large",)
    assert found[0].evidence["stable_limit"] == pytest.approx(1.0, rel=0.02)


def test_a_result_without_its_function_says_so():
    found = minimize(BOWL, [3, -2])
    found.objective = None
    with pytest.raises(UsageError, match="does not hold its function"):
        found.diagnose()


def test_level_ground_with_lower_ground_further_on():
    found = minimize("1 - exp(-x^2)", [5.5], optimizer="gd").diagnose()
    assert found.codes == ("plateau",)
    assert found[0].evidence["value_there"] < 0.9999
    near = minimize("1 - exp(-x^2)", [2.0], optimizer="gd", learning_rate="auto")
    assert near.diagnose().codes == ()
    # At the other end of a step it is level, and as low as it gets.
    assert minimize("tanh(x - 20)", [3.0], optimizer="gd").diagnose().codes == ()
