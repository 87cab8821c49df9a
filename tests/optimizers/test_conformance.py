"""One table of all first-order optimizers; every test here runs over all of it.

Each row holds a rule with settings off their defaults, and the same rule from independent sources:
optax, and torch.optim where torch is installed.
"""

import dataclasses
import json
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from steepest.core.record import from_dict, to_dict
from steepest.core.types import Evaluation, Horizon
from steepest.optimizers.adam import Adam, AdaMax, AdamW, AMSGrad, NAdam
from steepest.optimizers.adaptive import AdaDelta, AdaGrad, RMSProp
from steepest.optimizers.gradient_descent import GradientDescent, Momentum, Nesterov
from steepest.optimizers.registry import OPTIMIZERS, optimizer
from steepest.optimizers.rule import Rule
from steepest.optimizers.sign import Lion, SignSGD
from steepest.schedules import Cosine, Exponential


@dataclasses.dataclass(frozen=True)
class Case:
    name: str
    rule: Rule
    optax: Callable[[], Any] | None
    torch: tuple[str, dict] | None = None


def matrices_only(params):
    return jax.tree.map(lambda w: w.ndim > 1, params)


# Settings under which 50 steps are stable: where a rule circles a minimum it amplifies rounding,
# and no two programs agree to ten digits.
CASES = [
    Case("gd", GradientDescent(0.02), lambda: optax.sgd(0.02), ("SGD", {"lr": 0.02})),
    Case(
        "momentum",
        Momentum(0.01, momentum=0.8),
        lambda: optax.sgd(0.01, momentum=0.8),
        ("SGD", {"lr": 0.01, "momentum": 0.8}),
    ),
    Case(
        "momentum, scheduled",
        Momentum(Exponential(0.02, decay=0.5, every=10, unit="step"), momentum=0.8),
        # optax's own exponential_decay would count in float32.
        lambda: optax.sgd(lambda t: 0.02 * 0.5 ** (t.astype(float) / 10), momentum=0.8),
    ),
    Case(
        "nesterov",
        Nesterov(0.01, momentum=0.8),
        lambda: optax.sgd(0.01, momentum=0.8, nesterov=True),
        ("SGD", {"lr": 0.01, "momentum": 0.8, "nesterov": True}),
    ),
    Case(
        "adagrad",
        AdaGrad(0.1, initial=0.1, epsilon=0.0),
        lambda: optax.adagrad(0.1, initial_accumulator_value=0.1, eps=0.0),
        ("Adagrad", {"lr": 0.1, "initial_accumulator_value": 0.1, "eps": 0.0}),
    ),
    Case(
        "adagrad, epsilon",
        AdaGrad(0.1, epsilon=0.01),
        None,
        ("Adagrad", {"lr": 0.1, "eps": 0.01}),
    ),
    Case(
        "rmsprop",
        RMSProp(0.01, decay=0.8, epsilon=1e-2),
        lambda: optax.rmsprop(0.01, decay=0.8, eps=1e-2, eps_in_sqrt=False),
        ("RMSprop", {"lr": 0.01, "alpha": 0.8, "eps": 1e-2}),
    ),
    Case(
        "rmsprop, momentum",
        RMSProp(0.01, decay=0.8, momentum=0.7, epsilon=1e-3),
        lambda: optax.rmsprop(0.01, decay=0.8, eps=1e-3, eps_in_sqrt=False, momentum=0.7),
        ("RMSprop", {"lr": 0.01, "alpha": 0.8, "eps": 1e-3, "momentum": 0.7}),
    ),
    Case(
        "rmsprop, centered",
        RMSProp(0.01, decay=0.8, epsilon=1e-2, centered=True),
        lambda: optax.rmsprop(0.01, decay=0.8, eps=1e-2, eps_in_sqrt=False, centered=True),
        ("RMSprop", {"lr": 0.01, "alpha": 0.8, "eps": 1e-2, "centered": True}),
    ),
    Case(
        "rmsprop, centered, momentum",
        RMSProp(0.01, decay=0.8, momentum=0.7, epsilon=1e-2, centered=True),
        lambda: optax.rmsprop(
            0.01, decay=0.8, eps=1e-2, eps_in_sqrt=False, centered=True, momentum=0.7
        ),
        ("RMSprop", {"lr": 0.01, "alpha": 0.8, "eps": 1e-2, "centered": True, "momentum": 0.7}),
    ),
    Case(
        "adadelta",
        AdaDelta(0.9, decay=0.85, epsilon=1e-4),
        lambda: optax.adadelta(0.9, rho=0.85, eps=1e-4),
        ("Adadelta", {"lr": 0.9, "rho": 0.85, "eps": 1e-4}),
    ),
    Case(
        "adam",
        Adam(0.05, beta1=0.8, beta2=0.95, epsilon=1e-3),
        lambda: optax.adam(0.05, b1=0.8, b2=0.95, eps=1e-3),
        ("Adam", {"lr": 0.05, "betas": (0.8, 0.95), "eps": 1e-3}),
    ),
    Case(
        "adamw",
        AdamW(0.05, beta1=0.8, beta2=0.95, epsilon=1e-3, weight_decay=0.2),
        lambda: optax.adamw(0.05, b1=0.8, b2=0.95, eps=1e-3, weight_decay=0.2),
        ("AdamW", {"lr": 0.05, "betas": (0.8, 0.95), "eps": 1e-3, "weight_decay": 0.2}),
    ),
    Case(
        "adamw, matrices only",
        AdamW(0.05, weight_decay=0.2, decay_biases=False),
        lambda: optax.adamw(0.05, weight_decay=0.2, mask=matrices_only),
    ),
    Case(
        "momentum, weight decay",
        Momentum(0.01, momentum=0.8, weight_decay=0.3),
        lambda: optax.chain(
            optax.trace(0.8), optax.add_decayed_weights(0.3), optax.scale_by_learning_rate(0.01)
        ),
    ),
    Case(
        "amsgrad",
        AMSGrad(0.05, beta1=0.8, beta2=0.9, epsilon=1e-3),
        lambda: optax.amsgrad(0.05, b1=0.8, b2=0.9, eps=1e-3),
    ),
    Case(
        "amsgrad, raw",
        AMSGrad(0.05, beta1=0.8, beta2=0.9, epsilon=1e-3, maximum="raw"),
        None,
        ("Adam", {"lr": 0.05, "betas": (0.8, 0.9), "eps": 1e-3, "amsgrad": True}),
    ),
    Case(
        "nadam",
        NAdam(0.05, beta1=0.8, beta2=0.95, epsilon=1e-3),
        lambda: optax.nadam(0.05, b1=0.8, b2=0.95, eps=1e-3),
        # 0.96^(t psi) = 0: torch's rising momentum is constant for a large psi.
        ("NAdam", {"lr": 0.05, "betas": (0.8, 0.95), "eps": 1e-3, "momentum_decay": 1e6}),
    ),
    Case(
        "adamax",
        AdaMax(0.05, beta1=0.8, beta2=0.95, epsilon=1e-3),
        lambda: optax.adamax(0.05, b1=0.8, b2=0.95, eps=1e-3),
        ("Adamax", {"lr": 0.05, "betas": (0.8, 0.95), "eps": 1e-3}),
    ),
    Case(
        "lion",
        Lion(0.01, beta1=0.8, beta2=0.95, weight_decay=0.1),
        lambda: optax.lion(0.01, b1=0.8, b2=0.95, weight_decay=0.1),
    ),
    Case("signsgd", SignSGD(0.01), lambda: optax.sign_sgd(0.01)),
    Case(
        "signum",
        SignSGD(0.01, momentum=0.8),
        lambda: optax.chain(
            optax.ema(0.8, debias=False), optax.scale_by_sign(), optax.scale_by_learning_rate(0.01)
        ),
    ),
]
every_case = pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)


def valley(params):
    """A smooth function of a pytree, not convex, with weights of very different curvature."""
    a, b = params["a"], params["b"][:, None]
    return jnp.sum((1 - b) ** 2 / 4 + 3 * (a - b**2) ** 2 + jnp.cos(3 * a) / 5)


def beginning(dtype=None):
    return {
        "a": jnp.asarray([[-0.3, 0.4], [0.9, -1.1], [0.2, 1.3]], dtype),
        "b": jnp.asarray([0.7, -0.2, 1.5], dtype),
    }


def evaluate(params):
    return Evaluation(*jax.value_and_grad(valley)(params))


def path_of(rule, params, steps=50, evaluate=evaluate):
    """The iterates of the engine's form of a rule, stacked."""

    def body(carry, _):
        s = rule.step(evaluate, *carry)
        return (s.params, s.state), s.params

    return jax.lax.scan(body, (params, rule.start(evaluate, params)), None, length=steps)[1]


def path_of_optax(tx, params, steps=50):
    def body(carry, _):
        w, state = carry
        updates, state = tx.update(jax.grad(valley)(w), state, w)
        w = optax.apply_updates(w, updates)
        return (w, state), w

    with jax.numpy_dtype_promotion("standard"):  # optax does not hold to the strict rules
        return jax.lax.scan(body, (params, tx.init(params)), None, length=steps)[1]


def assert_close(a, b, **tolerance):
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, **tolerance), a, b)


def stacked(rule, factors):
    """One rule whose every number is an array: the rule's own, drawn towards zero by a factor."""
    return jax.tree.map(lambda x: jnp.asarray([f * x for f in factors], jnp.float32), rule)


def test_the_table_has_every_first_order_optimizer():
    rules = {cls for cls in OPTIMIZERS.values() if issubclass(cls, Rule)}
    assert rules == {type(case.rule) for case in CASES}


@every_case
def test_trajectory_is_that_of_optax(case, x64):
    if case.optax is None:
        pytest.skip("optax has no such rule; torch has")
    w = beginning()
    ours = jax.jit(path_of)(case.rule, w)
    theirs = jax.jit(lambda w: path_of_optax(case.optax(), w))(w)
    assert_close(ours, theirs, rtol=1e-10, atol=1e-12)
    assert abs(ours["b"][-1] - w["b"]).max() > 0.05


@pytest.fixture
def torch():
    torch = pytest.importorskip("torch")
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)  # NAdam keeps its running product in the default
    yield torch
    torch.set_default_dtype(before)


@every_case
def test_trajectory_is_that_of_torch(case, x64, torch):
    if case.torch is None:
        pytest.skip("torch has no such rule; optax has")
    name, settings = case.torch
    w = beginning()
    ours = jax.jit(path_of)(case.rule, w)
    gradient = jax.jit(jax.grad(valley))
    tensors = {k: torch.tensor(np.asarray(v), requires_grad=True) for k, v in w.items()}
    theirs = getattr(torch.optim, name)(tensors.values(), **settings)
    for step in range(50):
        for k, g in gradient({k: v.detach().numpy() for k, v in tensors.items()}).items():
            tensors[k].grad = torch.tensor(np.asarray(g))
        theirs.step()
        for k, v in tensors.items():
            np.testing.assert_allclose(ours[k][step], v.detach(), rtol=1e-10, atol=1e-12)


def decaying(rate):
    return Cosine(rate).bind(Horizon(1, 10_000))


# Rates from optax's own alias tests where it has them.
CONVERGENT = {
    "gd": GradientDescent(1e-3),
    "momentum": Momentum(1e-3, momentum=0.9),
    "nesterov": Nesterov(1e-3, momentum=0.9),
    "adagrad": AdaGrad(1.0),
    "rmsprop": RMSProp(5e-3),
    "rmsprop, centered, momentum": RMSProp(5e-4, centered=True, momentum=0.9),
    "adadelta": AdaDelta(decaying(1.0)),
    "adam": Adam(0.1),
    "adamw": AdamW(0.1, weight_decay=1e-4),
    "amsgrad": AMSGrad(0.1),
    "nadam": NAdam(0.01),
    "adamax": AdaMax(0.1),
    "lion": Lion(decaying(0.01)),
    "signsgd": SignSGD(decaying(0.01), momentum=0.9),
}
PROBLEMS = {
    "parabola": (lambda w: jnp.sum((w - jnp.array([1, -1, 1], w.dtype)) ** 2), [-1, 10, 1]),
    "rosenbrock": (lambda w: (1 - w[0]) ** 2 + 100 * (w[1] - w[0] ** 2) ** 2, [0, 0]),
}
MINIMA = {"parabola": [1, -1, 1], "rosenbrock": [1, 1]}


@pytest.mark.parametrize("problem", PROBLEMS)
@pytest.mark.parametrize("name", CONVERGENT)
def test_converges(name, problem):
    f, w = PROBLEMS[problem]
    rule, w = CONVERGENT[name], jnp.asarray(w, jnp.float32)

    @jax.jit
    def run(rule, w):
        def body(carry, _):
            s = rule.step(lambda w: Evaluation(*jax.value_and_grad(f)(w)), *carry)
            return (s.params, s.state), None

        return jax.lax.scan(body, (w, rule.init(w)), None, length=10_000)[0][0]

    np.testing.assert_allclose(run(rule, w), MINIMA[problem], rtol=0.03, atol=0.03)


@pytest.mark.parametrize("dtype", ["bfloat16", "float32", "float64"])
@every_case
def test_dtypes_are_kept(case, dtype):
    with jax.enable_x64(dtype == "float64"):
        w = beginning(dtype)
        state = case.rule.init(w)
        s = jax.eval_shape(lambda w, s: case.rule.step(evaluate, w, s), w, state)
        slots = "float64" if dtype == "float64" else "float32"
        assert {str(x.dtype) for x in jax.tree.leaves(s.params)} == {dtype}
        assert {str(x.dtype) for x in jax.tree.leaves(s.state.slots)} <= {slots}
        assert jax.tree.structure(s.state) == jax.tree.structure(state)
        assert s.value.dtype == dtype
        metric = case.rule.metric(jnp.asarray(0.1), state, w)
        assert {str(x.dtype) for x in jax.tree.leaves(metric)} == {dtype}


@every_case
def test_vmap_over_every_number_is_the_loop(case):
    factors = [1.0, 0.9, 0.5]
    many = stacked(case.rule, factors)
    w = beginning()
    together = jax.jit(jax.vmap(lambda rule: path_of(rule, w, 20)))(many)
    alone = jax.jit(lambda rule: path_of(rule, w, 20))
    for i in range(len(factors)):
        one = jax.tree.map(lambda x: x[i], many)  # noqa: B023
        assert_close(jax.tree.map(lambda x: x[i], together), alone(one), rtol=2e-4, atol=2e-5)  # noqa: B023
    assert abs(together["b"][0] - together["b"][2]).max() > 1e-3


@every_case
def test_other_values_do_not_recompile(case):
    traces = []

    @jax.jit
    def run(rule, w, state):
        traces.append(1)
        return rule.step(evaluate, w, state).params

    w = beginning()
    for factor in (1.0, 0.9, 0.3):
        rule = jax.tree.map(lambda x: x * factor, case.rule)  # noqa: B023
        run(rule, w, rule.init(w))
    assert len(traces) == 1


@every_case
def test_survives_json(case):
    text = json.dumps(to_dict(case.rule))
    again = from_dict(json.loads(text))
    assert again == case.rule
    assert jax.tree.structure(again) == jax.tree.structure(case.rule)


@every_case
def test_has_the_form_that_optax_chain_expects(case):
    w = beginning()
    tx = optax.chain(optax.clip_by_global_norm(1.0), case.rule)
    updates, state = jax.eval_shape(lambda w: tx.update(w, tx.init(w), w), w)
    assert jax.tree.map(lambda u: u.shape, updates) == jax.tree.map(lambda u: u.shape, w)
    assert jax.tree.structure(state) == jax.tree.structure(tx.init(w))


@pytest.mark.parametrize("name", ["gd", "momentum, scheduled", "rmsprop, momentum", "adamw"])
def test_trajectory_inside_optax_chain(name, x64):
    (case,) = [case for case in CASES if case.name == name]
    w = beginning()
    ours = optax.chain(optax.clip_by_global_norm(1.0), case.rule)
    theirs = optax.chain(optax.clip_by_global_norm(1.0), case.optax())
    assert_close(
        jax.jit(lambda w: path_of_optax(ours, w))(w),
        jax.jit(lambda w: path_of_optax(theirs, w))(w),
        rtol=1e-10,
        atol=1e-12,
    )


@every_case
def test_gain_is_what_a_constant_gradient_is_multiplied_by(case, x64):
    w = beginning()
    g = jax.tree.map(lambda x: jnp.full_like(x, 0.7), w)
    rule = dataclasses.replace(case.rule, learning_rate=0.1, weight_decay=None)

    @jax.jit
    def run(rule):
        def body(carry, _):
            updates, state = rule.update(g, carry[0], w)
            return (state, updates), None

        zero = jax.tree.map(jnp.zeros_like, w)
        # 600 steps: the running means have settled.
        (state, updates), _ = jax.lax.scan(body, (rule.init(w), zero), None, length=600)
        metric = rule.metric(jnp.asarray(0.1), state, w)
        return updates, jax.tree.map(lambda m, u: jnp.broadcast_to(m, u.shape), metric, updates)

    updates, metric = run(rule)
    size = 1.0 if isinstance(rule, (Lion, SignSGD)) else 0.7
    # AdaDelta's factor still grows: the one after a step is a little above that of the step.
    rtol = 0.01 if isinstance(rule, AdaDelta) else 1e-6
    assert_close(jax.tree.map(lambda u: -u / size, updates), metric, rtol=rtol)


@every_case
def test_zero_gradient_leaves_the_weights(case):
    rule = dataclasses.replace(case.rule, weight_decay=None)
    w = beginning()
    zero = jax.tree.map(jnp.zeros_like, w)
    if isinstance(rule, AdaGrad) and rule.epsilon == 0:
        rule = dataclasses.replace(rule, initial=0.1)
    updates, _ = jax.jit(lambda r: r.update(zero, r.init(w), w))(rule)
    assert_close(updates, zero, atol=0)


@pytest.mark.parametrize("name", [n for n in OPTIMIZERS if issubclass(OPTIMIZERS[n], Rule)])
def test_defaults_descend(name):
    method = optimizer(name).bind(Horizon(10, 100))
    w = beginning()
    path = jax.jit(lambda m: path_of(m, w, 100))(method)
    last = jax.tree.map(lambda x: x[-1], path)
    assert valley(last) < valley(w)
