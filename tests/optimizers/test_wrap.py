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
from steepest.optimizers.adam import Adam
from steepest.optimizers.gradient_descent import GradientDescent, Momentum
from steepest.optimizers.wrap import Averaged, ClipByNorm, ClipByValue, FromOptax, from_optax
from steepest.schedules import Exponential, ReduceOnPlateau, StepDecay

W = {"a": [[1.0, -2.0], [0.5, 3.0]], "b": [4.0, -1.0]}
WRAPPERS = [
    ClipByNorm(Momentum(0.1), 1.5),
    ClipByValue(Adam(0.1), 0.7),
    Averaged(ClipByNorm(Adam(0.1), 1.0), decay=0.9),
    Averaged(GradientDescent(0.1), decay=None, begin=3, unit="step"),
]
every_wrapper = pytest.mark.parametrize("method", WRAPPERS, ids=lambda m: type(m).__name__)


def weights(dtype=None):
    return {k: jnp.asarray(v, dtype) for k, v in W.items()}


def bowl(w):
    return jnp.sum(w["a"] ** 2) + jnp.sum(jnp.cosh(w["b"]))


def evaluate(w):
    return Evaluation(*jax.value_and_grad(bowl)(w), aux=w["b"][0])


@partial(jax.jit, static_argnames="steps")
def run(method, w, steps=20):
    def body(carry, _):
        s = method.step(evaluate, *carry)
        return (s.params, s.state), s

    (_, state), out = jax.lax.scan(body, (w, method.start(evaluate, w)), None, length=steps)
    return out, state


def run_optax(tx, w, steps=20):
    """The iterates of an optax transformation."""

    def body(carry, _):
        w, state = carry
        value, g = jax.value_and_grad(bowl)(w)
        updates, state = tx.update(g, state, w, value=value, grad=g, value_fn=bowl)
        w = optax.apply_updates(w, updates)
        return (w, state), w

    with jax.numpy_dtype_promotion("standard"):
        tx = optax.with_extra_args_support(tx)
        return jax.jit(lambda w: jax.lax.scan(body, (w, tx.init(w)), None, length=steps)[1])(w)


def close(a, b, rtol=1e-10):
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=rtol, atol=1e-12), a, b)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (
            ClipByNorm(Momentum(0.1), 1.5),
            lambda: optax.chain(optax.clip_by_global_norm(1.5), optax.sgd(0.1, 0.9)),
        ),
        (
            ClipByValue(Adam(0.1), 0.7),
            lambda: optax.chain(optax.clip(0.7), optax.adam(0.1)),
        ),
    ],
)
def test_clipping_is_that_of_optax(ours, theirs, x64):
    close(run(ours, weights())[0].params, run_optax(theirs(), weights()))


def test_clipping_reports_the_true_gradient_and_aux():
    w = weights()
    s, _ = run(ClipByNorm(GradientDescent(0.1), 1e-3), w, 1)
    s = jax.tree.map(lambda x: x[0], s)
    close(s.gradient, {"a": 2 * w["a"], "b": jnp.sinh(w["b"])}, rtol=1e-6)
    assert float(s.aux) == 4.0
    moved = np.concatenate([np.ravel(s.params[k] - w[k]) for k in w])
    assert np.linalg.norm(moved) == pytest.approx(1e-4, rel=1e-2)


def test_clipping_leaves_small_and_zero_gradients_alone():
    g = {"a": jnp.zeros((2, 2)), "b": jnp.asarray([1e-3, -2e-3])}
    zero = jax.tree.map(jnp.zeros_like, g)
    assert jax.tree.all(jax.tree.map(lambda x, y: (x == y).all(), ClipByNorm(Adam()).clip(g), g))
    assert jax.tree.all(
        jax.tree.map(lambda x, y: (x == y).all(), ClipByNorm(Adam()).clip(zero), zero)
    )


def test_ema_is_that_of_optax(x64):
    method = Averaged(Adam(0.1), decay=0.9)
    out, state = run(method, weights())
    ema = optax.ema(0.9, debias=True)
    with jax.numpy_dtype_promotion("standard"):
        e = ema.init(weights())
        for i in range(20):
            average, e = ema.update(jax.tree.map(lambda x: x[i], out.params), e)  # noqa: B023
    close(method.averaged(state), average)


def test_polyak_is_the_mean_of_the_iterates_after_begin(x64):
    method = Averaged(Adam(0.1), decay=None, begin=2).bind(Horizon(4, 20))
    out, state = run(method, weights())
    close(method.averaged(state), jax.tree.map(lambda x: x[8:].mean(0), out.params))
    close(out.params, run(Adam(0.1), weights())[0].params)


def test_before_begin_the_average_is_the_iterate():
    out, state = run(Averaged(Adam(0.1), begin=50, unit="step"), weights())
    close(state.average, jax.tree.map(lambda x: x[-1], out.params), rtol=1e-6)


@every_wrapper
def test_update_and_step_agree(method, x64):
    close(run(method, weights(), 5)[0].params, run_optax(method, weights(), 5))


@every_wrapper
def test_wrappers_are_optimizers(method):
    assert isinstance(method, Optimizer)
    assert from_dict(json.loads(json.dumps(to_dict(method)))) == method
    assert method.learning_rate.learning_rate == 0.1
    proximal = lambda p, metric: jax.tree.map(lambda x, m: x - m, p, metric)  # noqa: E731
    w = weights()
    free = run(method, w, 1)[0].params
    step = jax.jit(lambda m, w: m.step(evaluate, w, m.start(evaluate, w), proximal))
    pulled = step(method, w).params
    assert (free["a"] > pulled["a"]).all()


@every_wrapper
@pytest.mark.parametrize("dtype", ["bfloat16", "float32", "float64"])
def test_wrappers_keep_dtypes(method, dtype):
    with jax.enable_x64(dtype == "float64"):
        w = weights(dtype)
        state = method.init(w)
        s = jax.eval_shape(lambda w, t: method.step(evaluate, w, t), w, state)
        assert {str(x.dtype) for x in jax.tree.leaves(s.params)} == {dtype}
        before = [x.dtype for x in jax.tree.leaves(state)]
        assert [x.dtype for x in jax.tree.leaves(s.state)] == before


def test_vmap_over_limits_is_the_loop():
    limits = jnp.asarray([0.1, 1.0, 10.0])
    w = weights()
    many = jax.vmap(lambda c: run(ClipByNorm(Momentum(0.05), c), w)[0].params)(limits)
    for i, c in enumerate(limits):
        close(
            jax.tree.map(lambda x: x[i], many),  # noqa: B023
            run(ClipByNorm(Momentum(0.05), c), w)[0].params,
            rtol=1e-4,
        )


# Optax inside.


@pytest.mark.parametrize(
    "make",
    [
        lambda: optax.adam(0.1),
        lambda: optax.chain(optax.clip(1.0), optax.sgd(0.05, momentum=0.9, nesterov=True)),
        lambda: optax.adabelief(0.05),
        lambda: optax.chain(
            optax.sgd(0.1), optax.contrib.reduce_on_plateau(patience=1, factor=0.5)
        ),
        lambda: optax.chain(optax.sgd(1.0), optax.scale_by_backtracking_linesearch(10)),
    ],
    ids=["adam", "chain", "adabelief", "plateau", "line search"],
)
def test_any_transformation_of_optax_runs(make, x64):
    method = from_optax(make())
    out, _ = run(method, weights(), 8)
    close(out.params, run_optax(make(), weights(), 8))
    assert np.isnan(out.learning_rate).all()


def test_settings_by_name_are_leaves():
    traces = []
    w = weights()

    @jax.jit
    def go(method):
        traces.append(1)
        return run(method, w)[0].params

    def plain(lr, b1):
        return run_optax(optax.adam(lr, b1=b1), w)

    for lr, b1 in [(0.1, 0.9), (0.01, 0.5)]:
        close(go(from_optax(optax.adam, learning_rate=lr, b1=b1)), plain(lr, b1), rtol=1e-4)
    assert len(traces) == 1
    rates, b1s = jnp.asarray([0.1, 0.01]), jnp.asarray([0.9, 0.5])
    many = from_optax(optax.adam, learning_rate=rates, b1=b1s)
    together = jax.vmap(lambda m: run(m, w)[0].params)(many)
    close(jax.tree.map(lambda x: x[1], together), plain(0.01, 0.5), rtol=1e-4)


def test_our_schedules_drive_optax(x64):
    s = Exponential(0.1, decay=0.5).bind(Horizon(5, 20))
    method = from_optax(optax.sgd, learning_rate=Exponential(0.1, decay=0.5), momentum=0.9)
    out, _ = run(method.bind(Horizon(5, 20)), weights())
    close(out.params, run(Momentum(s), weights())[0].params)
    close(out.learning_rate, 0.1 * 0.5 ** (np.arange(20) / 5))


def test_a_schedule_that_listens_works_through_wrappers(x64):
    plateau = ReduceOnPlateau(5.0, patience=0, factor=0.1, every=1, unit="step")
    out, _ = run(ClipByValue(GradientDescent(plateau), 1.0), weights())
    assert out.learning_rate[0] == 5.0
    assert out.learning_rate[-1] <= 0.5
    assert float(out.value[-1]) < float(out.value[0])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ClipByNorm(Adam(), -1), "max_norm must be above 0, got -1"),
        (lambda: ClipByNorm("adam"), "is not an optimizer"),
        (lambda: ClipByNorm(Averaged(Adam())), "write Averaged\\(ClipByNorm"),
        (lambda: from_optax(3), "not an optax transformation"),
        (lambda: from_optax(optax.sgd(0.1), momentum=0.9), "momentum cannot be set"),
        (lambda: from_optax(optax.sgd, learning_rate=-1), "above 0, got -1"),
        (lambda: to_dict(from_optax(optax.sgd(0.1))), "Python code"),
        (
            lambda: run(
                from_optax(optax.sgd, learning_rate=ReduceOnPlateau(0.1, unit="step")), weights()
            ),
            "listens to the loss",
        ),
        (
            lambda: from_optax(optax.sgd(0.1)).step(
                evaluate, weights(), from_optax(optax.sgd(0.1)).init(weights()), lambda p, m: p
            ),
            "proximal step of an L1",
        ),
        (
            lambda: Averaged(Adam()).update(weights(), Averaged(Adam()).init(weights())),
            "needs the weights",
        ),
    ],
)
def test_refusals(call, message):
    with pytest.raises(UsageError, match=message):
        call()


def test_from_optax_is_an_optimizer():
    method = from_optax(optax.sgd, learning_rate=StepDecay(0.1))
    assert isinstance(method, FromOptax)
    assert isinstance(method, Optimizer)
