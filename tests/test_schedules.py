"""Every schedule against optax, torch.optim.lr_scheduler, or its closed form."""

import json
import math
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steepest.core.errors import UsageError
from steepest.core.record import from_dict, to_dict
from steepest.core.types import Horizon
from steepest.schedules import (
    SCHEDULES,
    Constant,
    Cosine,
    Exponential,
    InverseTime,
    OneCycle,
    Polynomial,
    ReduceOnPlateau,
    StepDecay,
    WarmUp,
    as_schedule,
    schedule,
)

RUN = Horizon(steps_per_epoch=7, total_steps=70)
STEPS = np.arange(70)
ALL = {
    "constant": Constant(0.3),
    "step": StepDecay(0.3, factor=0.4, every=2),
    "exponential": Exponential(0.3, decay=0.8),
    "inverse-time": InverseTime(0.3, decay=0.5, power=0.5),
    "polynomial": Polynomial(0.3, power=2.0, final=0.1),
    "cosine": Cosine(0.3, cycle=2, multiplier=2.0, final=0.1),
    "one-cycle": OneCycle(0.3),
    "plateau": ReduceOnPlateau(0.3, patience=1),
    "warm-up": WarmUp(Polynomial(0.3), duration=2),
}
every_schedule = pytest.mark.parametrize("name", SCHEDULES)


@jax.jit
def along(s, steps):
    return jax.vmap(lambda t: s.rate(t, s.init()))(steps)


def rates(s, steps=STEPS):
    return np.asarray(along(s, jnp.asarray(steps, jnp.int32)))


def optax_rates(f, steps=STEPS):
    with jax.numpy_dtype_promotion("standard"):
        return np.asarray(jax.jit(jax.vmap(f))(jnp.asarray(steps, float)))


def torch_rates(make, lr=0.3, steps=70):
    torch = pytest.importorskip("torch")
    opt = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=lr)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scheduler = make(torch.optim.lr_scheduler, opt)
        out = []
        for _ in range(steps):
            out.append(opt.param_groups[0]["lr"])
            opt.step()
            scheduler.step()
    return np.asarray(out)


def close(a, b):
    np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-15)


def test_the_table_here_is_complete():
    assert set(ALL) == set(SCHEDULES)
    assert all(type(ALL[name]) is SCHEDULES[name] for name in ALL)


# Against optax.


def test_exponential_is_that_of_optax(x64):
    s = Exponential(0.3, decay=0.8, every=2).bind(RUN)
    close(rates(s), optax_rates(optax.exponential_decay(0.3, 14, 0.8)))


def test_step_is_the_staircase_of_optax(x64):
    s = StepDecay(0.3, factor=0.4, every=2).bind(RUN)
    close(rates(s), optax_rates(optax.exponential_decay(0.3, 14, 0.4, staircase=True)))


def test_polynomial_is_that_of_optax(x64):
    s = Polynomial(0.3, duration=5, power=1.7, final=0.1).bind(RUN)
    close(rates(s), optax_rates(optax.polynomial_schedule(0.3, 0.03, 1.7, 35)))


def test_cosine_is_that_of_optax(x64):
    s = Cosine(0.3, final=0.1).bind(RUN)
    close(rates(s), optax_rates(optax.cosine_decay_schedule(0.3, 70, alpha=0.1)))


def test_one_cycle_is_that_of_optax(x64):
    s = OneCycle(0.3, rise=0.3, start=0.04, final=1e-3).bind(RUN)
    theirs = optax.cosine_onecycle_schedule(70, 0.3, 0.3, div_factor=25, final_div_factor=40)
    close(rates(s), optax_rates(theirs))


def test_warm_up_and_cosine_is_that_of_optax(x64):
    s = WarmUp(Cosine(0.3, final=0.1), duration=2, start=0.2).bind(RUN)
    theirs = optax.warmup_cosine_decay_schedule(0.06, 0.3, 14, 70, 0.03)
    after = STEPS[14:]
    close(rates(s)[14:], optax_rates(theirs, after))
    # The rise ends on its last step here, one step before optax's.
    close(rates(s)[:14], optax_rates(theirs, STEPS[1:15]))


# Against torch.


def test_step_is_that_of_torch(x64):
    s = StepDecay(0.3, factor=0.4, every=2).bind(RUN)
    close(rates(s), torch_rates(lambda m, o: m.StepLR(o, 14, 0.4)))


@pytest.mark.parametrize(("cycle", "multiplier"), [(10, 1), (3, 2), (1, 2), (2, 3), (70, 1)])
def test_cosine_restarts_are_those_of_torch(cycle, multiplier, x64):
    s = Cosine(0.3, cycle=cycle, multiplier=float(multiplier), final=0.1, unit="step")
    theirs = torch_rates(
        lambda m, o: m.CosineAnnealingWarmRestarts(o, cycle, multiplier, eta_min=0.03)
    )
    close(rates(s), theirs)


def test_one_cycle_is_that_of_torch(x64):
    theirs = torch_rates(lambda m, o: m.OneCycleLR(o, 0.3, total_steps=71, pct_start=0.3))
    # torch counts its phases from the first step to the last, 70 steps apart.
    s = OneCycle(0.3, duration=70, rise=(0.3 * 71 - 1) / 70, start=1 / 25, final=4e-6, unit="step")
    close(rates(s), theirs)


def test_inverse_time_is_the_closed_form(x64):
    s = InverseTime(0.3, decay=0.5, power=0.75).bind(RUN)
    close(rates(s), 0.3 / (1 + 0.5 * STEPS / 7) ** 0.75)


@pytest.mark.parametrize("cooldown", [0, 2])
def test_plateau_is_that_of_torch(cooldown, x64):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    epochs = np.concatenate(
        [np.linspace(3, 1, 6), rng.normal(1, 0.1, size=25), np.linspace(1, -1, 9), np.full(20, -1)]
    )
    losses = epochs[:, None] + np.array([-0.2, 0.0, 0.3, -0.1])  # four steps an epoch, mean as is
    opt = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.3)
    theirs = torch.optim.lr_scheduler.ReduceLROnPlateau(
        opt, factor=0.5, patience=3, cooldown=cooldown, min_lr=0.01, threshold=1e-3, eps=0
    )
    expected = []
    for loss in losses.mean(axis=1):
        expected.append(opt.param_groups[0]["lr"])
        # Below zero torch's relative threshold has the other sign; ours asks for less there.
        theirs.step(float(loss) + 10)
    s = ReduceOnPlateau(
        0.3, factor=0.5, patience=3, cooldown=cooldown, minimum=0.01, threshold=1e-3
    ).bind(Horizon(4, 4 * len(epochs)))

    def body(state, value):
        return s.observe(state, value), s.rate(0, state)

    _, ours = jax.lax.scan(body, s.init(), jnp.asarray(losses.ravel() + 10))
    close(ours[::4], expected)
    assert len(set(expected)) > 3


def test_plateau_keeps_its_state_in_warm_up():
    s = WarmUp(ReduceOnPlateau(1.0, factor=0.5, patience=0), duration=1).bind(Horizon(2, 20))
    state = s.init()
    for _ in range(4):
        state = s.observe(state, 1.0)
    assert float(s.rate(10, state)) == 0.5


# What all have in common.


@every_schedule
def test_bound_schedules_have_no_none_and_one_structure(name):
    cls = SCHEDULES[name]
    short = cls(Polynomial(0.1) if name == "warm-up" else 0.1).bind(Horizon(3, 9))
    assert all(x is not None for x in jax.tree.leaves(short, is_leaf=lambda x: x is None))
    assert jax.tree.structure(short) == jax.tree.structure(ALL[name].bind(RUN))
    assert jax.tree.structure(short.bind(RUN)) == jax.tree.structure(short)


@every_schedule
def test_epochs_and_steps_agree(name):
    in_epochs = ALL[name]
    if not in_epochs.durations:
        pytest.skip("no durations")
    in_steps = {k: getattr(in_epochs, k) and getattr(in_epochs, k) * 7 for k in in_epochs.durations}
    again = from_dict(to_dict(in_epochs) | in_steps | {"unit": "step"})
    np.testing.assert_array_equal(rates(again.bind(RUN)), rates(in_epochs.bind(RUN)))


@every_schedule
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_rates_have_the_dtype_of_the_learning_rate(name, dtype):
    with jax.enable_x64(dtype == "float64"):
        s = ALL[name].bind(RUN)
        assert s.rate(jnp.int32(3), s.init()).dtype == dtype
        state = s.init()
        after = s.observe(state, jnp.asarray(1.0, "float32"))
        dtypes = [x.dtype for x in jax.tree.leaves(state)]
        assert [x.dtype for x in jax.tree.leaves(after)] == dtypes


@every_schedule
def test_array_rates_are_not_cast_up(name, x64):
    s = SCHEDULES[name](jnp.asarray(0.1, "float32")).bind(RUN)
    assert s.rate(jnp.int32(3), s.init()).dtype == "float32"


@every_schedule
def test_vmap_over_every_number_is_the_loop_and_never_recompiles(name):
    s = ALL[name].bind(RUN)
    factors = [1.0, 0.9, 0.8] if name != "cosine" else [1.0, 1.25, 1.5]
    traces = []

    @jax.jit
    def run(s):
        traces.append(1)
        return jax.vmap(lambda t: s.rate(t, s.init()))(jnp.arange(70))

    many = jax.tree.map(lambda x: jnp.asarray([f * x for f in factors], "float32"), s)
    together = jax.jit(jax.vmap(lambda s: along(s, jnp.arange(70))))(many)
    for i in range(3):
        alone = run(jax.tree.map(lambda x: x[i], many))  # noqa: B023
        np.testing.assert_allclose(together[i], alone, rtol=1e-5, atol=1e-8)
    assert len(traces) == 1
    assert abs(together[0] - together[2]).max() > 1e-3


@every_schedule
def test_survives_json(name):
    s = ALL[name]
    again = from_dict(json.loads(json.dumps(to_dict(s))))
    assert again == s


@every_schedule
def test_unbound_schedules_are_refused(name):
    s = SCHEDULES[name](0.1)
    if not s.durations:
        pytest.skip("nothing to bind")
    with pytest.raises(UsageError, match="not bound"):
        s.rate(0, s.init() if name != "warm-up" else ())


@settings(max_examples=40, deadline=None)
@given(
    cycle=st.integers(1, 200),
    multiplier=st.sampled_from([1.0, 1.5, 2.0, 3.0]),
    k=st.integers(0, 5),
)
def test_restarts_fall_on_their_step(cycle, multiplier, k):
    begin = cycle * sum(multiplier**i for i in range(k))
    s = Cosine(1.0, cycle=cycle, multiplier=multiplier, unit="step")
    here = float(along(s, jnp.asarray([math.ceil(begin)]))[0])
    length = cycle * multiplier**k
    u = (math.ceil(begin) - begin) / length
    assert here == pytest.approx((1 + math.cos(math.pi * u)) / 2, abs=1e-4)


@every_schedule
def test_rates_stay_between_zero_and_the_peak(name):
    out = rates(ALL[name].bind(RUN), np.arange(200))
    assert np.isfinite(out).all()
    assert (out >= 0).all()
    assert (out <= 0.3 * (1 + 1e-6)).all()


# Names and refusals.


def test_names():
    assert schedule("one_cycle", 0.1) == OneCycle(0.1)
    assert schedule("Cosine", 0.1, warm_up=3, unit="step") == WarmUp(
        Cosine(0.1, unit="step"), duration=3, unit="step"
    )
    assert schedule("constant", 0.1, warm_up=3, unit="step") == WarmUp(0.1, 3, unit="step")
    s = Cosine(0.1)
    assert schedule(s) is s
    assert as_schedule(s) is s
    assert as_schedule(0.1) == Constant(0.1)
    assert as_schedule(np.array([0.1, 0.2])).learning_rate.shape == (2,)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: schedule("cosin", 0.1), "did you mean 'cosine'"),
        (lambda: schedule("cosine", 0.1, cylce=3), "did you mean 'cycle'"),
        (lambda: as_schedule("cosine"), "schedule\\('cosine', learning_rate\\)"),
        (lambda: Constant(-1), "learning_rate must be above 0, got -1"),
        (lambda: Constant([0.1]), "must be a number"),
        (lambda: StepDecay(0.1, every=0), "every must be above 0"),
        (lambda: Cosine(0.1, unit="batch"), "unit='batch' is not known"),
        (lambda: OneCycle(0.1, rise=1), "rise must be above 0 and below 1"),
        (lambda: WarmUp(-0.1, 3), "learning_rate must be above 0"),
    ],
)
def test_refusals(call, message):
    with pytest.raises(UsageError, match=message):
        call()
