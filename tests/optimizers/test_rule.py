"""What `Rule` does for every rule: schedules, decay, dtypes, proximal steps, refusals."""

from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from steepest.core.errors import UsageError
from steepest.core.record import number, record
from steepest.core.types import Evaluation, Horizon
from steepest.optimizers.adam import Adam, AdamW
from steepest.optimizers.adaptive import AdaGrad, RMSProp
from steepest.optimizers.gradient_descent import GradientDescent, Momentum, Nesterov
from steepest.optimizers.rule import Rule
from steepest.schedules import Cosine, ReduceOnPlateau, WarmUp


@record
class ThreePoint(Rule):
    """A rule as a user would write one: the mean of the last two gradients."""

    share: float = number(default=0.5, least=0, most=1, help="weight of the newest gradient")
    slots: ClassVar[int] = 1

    def direction(self, g, w, t, before):
        return self.share * g + (1 - self.share) * before, g


def quadratic(w):
    return Evaluation(jnp.sum(w**2) / 2, w)


def test_a_rule_of_ten_lines_is_an_optimizer():
    rule = ThreePoint(0.1, share=0.25)
    w = jnp.asarray([1.0, -2.0])
    s = rule.step(quadratic, w, rule.start(quadratic, w))
    np.testing.assert_allclose(s.params, 0.975 * w, rtol=1e-6)
    t = rule.step(quadratic, s.params, s.state)
    np.testing.assert_allclose(t.params, (0.975 * (1 - 0.025) - 0.075) * w, rtol=1e-6)


def test_stepped_belongs_to_the_point_that_the_step_started_from():
    rule = GradientDescent(WarmUp(0.1, duration=4, unit="step"))
    w = jnp.asarray([3.0])
    s = rule.step(quadratic, w, rule.init(w))
    assert float(s.value) == 4.5
    assert float(s.gradient[0]) == 3.0
    assert float(s.learning_rate) == pytest.approx(0.025)
    assert int(s.evaluations) == 1
    assert not s.failed
    assert int(s.state.count) == 1


def test_bind_turns_epochs_into_steps():
    rule = Adam(Cosine(0.1)).bind(Horizon(10, 40))
    assert rule.learning_rate.cycle == 40
    assert float(rule.step(quadratic, jnp.ones(2), rule.init(jnp.ones(2))).learning_rate) == (
        pytest.approx(0.1)
    )


def soft(w, threshold):
    return jnp.sign(w) * jnp.maximum(jnp.abs(w) - threshold, 0)


@pytest.mark.parametrize(
    "rule",
    [
        GradientDescent(0.05),
        Momentum(0.01),
        Nesterov(0.01),
        AdaGrad(0.5),
        RMSProp(Cosine(0.02, cycle=6000, unit="step")),
        RMSProp(Cosine(0.01, cycle=6000, unit="step"), momentum=0.5),
        Adam(Cosine(0.02, cycle=6000, unit="step")),
    ],
    ids=repr,
)
def test_proximal_steps_reach_the_lasso_solution(rule, x64):
    """min |Aw - y|^2 / 2n + lambda |w|_1, against scikit-learn's coordinate descent."""
    from sklearn.linear_model import Lasso

    rng = np.random.default_rng(0)
    A = rng.normal(size=(60, 6)) * np.array([1, 2, 0.5, 1, 1, 3])
    y = A @ np.array([1.0, 0, -2, 0, 0.05, 0.5]) + 0.1 * rng.normal(size=60)
    expected = Lasso(alpha=0.2, fit_intercept=False, tol=1e-12, max_iter=100_000).fit(A, y).coef_
    A, y = jnp.asarray(A), jnp.asarray(y)

    def evaluate(w):
        r = A @ w - y
        return Evaluation(r @ r / 120, A.T @ r / 60)

    def body(carry, _):
        s = rule.step(evaluate, *carry, lambda w, m: soft(w, 0.2 * m))
        return (s.params, s.state), None

    w = jnp.zeros(6)
    (w, _), _ = jax.jit(lambda c: jax.lax.scan(body, c, None, length=6000))((w, rule.init(w)))
    np.testing.assert_allclose(w, expected, rtol=2e-3, atol=2e-3)
    assert (expected == 0).sum() >= 2
    np.testing.assert_array_equal(np.asarray(w) == 0, expected == 0)


def test_bfloat16_weights_train_with_float32_state():
    rule = Adam(0.01)  # 1 - 0.999 is zero in bfloat16
    w = jnp.ones(3, jnp.bfloat16)
    s = rule.step(quadratic, w, rule.init(w))
    np.testing.assert_allclose(s.params.astype(jnp.float32), 0.99, atol=4e-3)


def test_trees_may_be_anything():
    rule = Momentum(0.1)
    w = (jnp.ones(()), [jnp.ones(2), {"x": jnp.ones((1, 2))}], None)
    updates, state = rule.update(w, rule.init(w), w)
    assert jax.tree.structure(updates) == jax.tree.structure(w)
    assert jax.tree.structure(state.slots[0]) == jax.tree.structure(w)
    assert rule.update((), rule.init(()))[0] == ()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Adam(-1e-3), "learning_rate must be above 0, got -0.001"),
        (lambda: Adam("cosine"), "name without a rate"),
        (lambda: Momentum(0.1, momentum=1), "momentum must be at least 0 and below 1, got 1"),
        (lambda: Adam(Cosine(0.1)).init(jnp.ones(2)), "Cosine is not bound"),
        (
            lambda: AdamW().update(jnp.ones(2), AdamW().init(jnp.ones(2))),
            "weight_decay=0.01 needs the weights",
        ),
        (
            lambda: Adam(ReduceOnPlateau(unit="step")).update(
                jnp.ones(2), Adam(ReduceOnPlateau(unit="step")).init(jnp.ones(2))
            ),
            "ReduceOnPlateau needs the loss",
        ),
    ],
)
def test_refusals(call, message):
    with pytest.raises(UsageError, match=message):
        call()
