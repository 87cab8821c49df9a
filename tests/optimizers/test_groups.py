import json
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from steepest.core.errors import UsageError
from steepest.core.record import from_dict, to_dict
from steepest.core.types import Evaluation, Horizon, Optimizer
from steepest.objectives.regularizers import Penalty
from steepest.optimizers.adam import Adam
from steepest.optimizers.gradient_descent import GradientDescent, Momentum
from steepest.optimizers.groups import Groups
from steepest.optimizers.quasi_newton import LBFGS
from steepest.optimizers.wrap import Averaged, ClipByNorm, from_optax
from steepest.schedules import Exponential

W = {"layers": [{"weight": [[1.0, -2.0], [0.5, 3.0]], "bias": [4.0, -1.0]}, {"bias": [2.0]}]}


def weights():
    return jax.tree.map(jnp.asarray, W, is_leaf=lambda x: isinstance(x, list) and x[0] is not None
                        and not isinstance(x[0], dict))  # fmt: skip


def bowl(w):
    return sum(jnp.sum(jnp.cosh(x)) + jnp.sum(x) ** 2 for x in jax.tree.leaves(w))


def evaluate(w):
    return Evaluation(*jax.value_and_grad(bowl)(w))


@partial(jax.jit, static_argnames="steps")
def run(method, w, steps=20):
    def body(carry, _):
        s = method.step(evaluate, *carry)
        return (s.params, s.state), s

    return jax.lax.scan(body, (w, method.start(evaluate, w)), None, length=steps)[1]


def close(a, b, rtol=1e-10):
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=rtol, atol=1e-12), a, b)


def of_optax(tx, w, steps=20):
    def body(carry, _):
        w, state = carry
        updates, state = tx.update(jax.grad(bowl)(w), state, w)
        w = optax.apply_updates(w, updates)
        return (w, state), w

    with jax.numpy_dtype_promotion("standard"):
        return jax.jit(lambda w: jax.lax.scan(body, (w, tx.init(w)), None, length=steps)[1])(w)


def label(w):
    return jax.tree_util.tree_map_with_path(lambda path, _: path[-1].key, w)


RULES = {"bias": Adam(0.1), "weight": Momentum(0.02)}
THEIRS = {"bias": optax.adam(0.1), "weight": optax.sgd(0.02, 0.9)}


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (Groups(RULES), lambda: optax.multi_transform(THEIRS, label)),
        (Groups({"bias": Adam(0.1)}, rest=Momentum(0.02)),
         lambda: optax.multi_transform(THEIRS, label)),
        (ClipByNorm(Groups(RULES), 1.5),
         lambda: optax.chain(optax.clip_by_global_norm(1.5),
                             optax.multi_transform(THEIRS, label))),
        (Groups(RULES | {"bias": ClipByNorm(GradientDescent(0.1), 0.5)}),
         lambda: optax.multi_transform(THEIRS | {"bias": optax.chain(
             optax.clip_by_global_norm(0.5), optax.sgd(0.1))}, label)),
        (Groups({"bias": from_optax(optax.adam, learning_rate=0.1), "weight": Momentum(0.02)}),
         lambda: optax.multi_transform(THEIRS, label)),
    ],
    ids=["rules", "rest", "clip outside", "clip inside", "from optax"],
)  # fmt: skip
def test_the_path_is_that_of_multi_transform(ours, theirs, x64):
    close(run(ours, weights()).params, of_optax(theirs(), weights()))


def test_one_rule_for_all_groups_is_that_rule(x64):
    close(run(Groups({"bias": Adam(0.1)}, rest=Adam(0.1)), weights()).params,
          run(Adam(0.1), weights()).params)  # fmt: skip


def test_the_innermost_name_decides(x64):
    w = {"leaf": {"bias": jnp.ones(2)}, "bias": {"leaf": jnp.ones(3)}}
    updates, _ = (m := Groups({"leaf": GradientDescent(0.5), "bias": GradientDescent(0.1)})).update(
        w, m.init(w), w
    )
    close(updates, {"leaf": {"bias": jnp.full(2, -0.1)}, "bias": {"leaf": jnp.full(3, -0.5)}})


def test_averages_go_around(x64):
    method = Averaged(Groups(RULES), decay=None)
    out = run(method, weights())
    close(jax.tree.map(lambda x: x[-1], out.state.average),
          jax.tree.map(lambda x: x.mean(0), out.params), 1e-9)  # fmt: skip


def test_schedules_count_in_steps_and_the_first_rate_is_told(x64):
    falling = Exponential(0.1, decay=0.5)
    method = Groups({"bias": Adam(falling)}, rest=Momentum(0.02)).bind(Horizon(2, 8))
    alone = run(Adam(falling).bind(Horizon(2, 8)), {"bias": jnp.ones(1)}, 8).learning_rate
    close(run(method, weights(), 8).learning_rate, alone)


def test_rates_of_groups_are_leaves(x64):
    rates = jnp.asarray([0.05, 0.1])
    make = lambda r: Groups({"bias": Adam(r)}, rest=Momentum(0.02))  # noqa: E731
    together = jax.vmap(lambda r: run(make(r), weights()).params)(rates)
    for i in range(2):
        one = run(make(float(rates[i])), weights()).params
        close(jax.tree.map(lambda x, i=i: x[i], together), one)
    first = run._cache_size()
    run(make(0.3), weights())
    assert run._cache_size() == first


def test_an_l1_penalty_shrinks_each_group_at_its_own_rate(x64):
    w, mask = weights(), jax.tree.map(lambda _: True, weights())
    penalty = Penalty(l1=0.3)

    def proximal(w, metric):
        return penalty.proximal(w, metric, mask)

    method = Groups({"bias": GradientDescent(0.1)}, rest=GradientDescent(0.02))
    here = evaluate(w).gradient
    moved = method.step(evaluate, w, method.start(evaluate, w), proximal).params

    def one(path, w, g):
        rate = 0.1 if path[-1].key == "bias" else 0.02
        stepped = w - rate * g
        return jnp.sign(stepped) * jnp.maximum(jnp.abs(stepped) - rate * 0.3, 0)

    close(moved, jax.tree_util.tree_map_with_path(one, w, here))
    strange = Groups({"bias": from_optax(optax.sgd(0.1))}, rest=GradientDescent(0.02))
    with pytest.raises(UsageError, match="L1 penalty needs to know how FromOptax"):
        strange.step(evaluate, w, strange.start(evaluate, w), proximal)


def test_it_is_an_optimizer_and_survives_json():
    method = Groups({"bias": Adam(0.1)}, rest=Momentum(0.02))
    assert isinstance(method, Optimizer)
    assert from_dict(json.loads(json.dumps(to_dict(method)))) == method


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Groups({}), "must map names"),
        (lambda: Groups(Adam(0.1)), "must map names"),
        (lambda: Groups({"bias": LBFGS()}), "not a first-order optimizer"),
        (lambda: Groups({"bias": 0.1}), "not a first-order optimizer"),
        (lambda: Groups({"bias": Averaged(Adam(0.1))}), r"Averaged\(Groups"),
        (lambda: Groups({"bias": Adam(0.1)}).init(weights()), "in none of the groups bias"),
        (lambda: Groups({"leaf": Adam(0.1)}, rest=Adam(0.1)).init(weights()),
         "no weights are named 'leaf'"),
    ],
)  # fmt: skip
def test_what_cannot_work_is_refused(make, said):
    with pytest.raises(UsageError, match=said):
        make()
