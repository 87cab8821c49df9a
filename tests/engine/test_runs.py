"""The promises of the one loop: bits, neighbours, weights, outcomes, compile counts."""

import jax
import numpy as np
import pytest

from steepest.core.errors import UsageError
from steepest.core.outcome import Outcome, Reason
from steepest.core.record import swap
from steepest.data.dataset import Arrays
from steepest.engine import advance as program
from steepest.engine.runs import blocks_of, bucket, measure, run, run_keys
from steepest.engine.spec import RunSpec
from steepest.engine.stop import StopRule
from steepest.objectives.objective import FunctionObjective
from steepest.optimizers.quasi_newton import LBFGS
from steepest.optimizers.registry import optimizer


def same_bits(a, b):
    for x, y in zip(jax.tree.leaves(a.carry), jax.tree.leaves(b.carry), strict=True):
        np.testing.assert_array_equal(x, y)
    for table in ("steps", "epochs"):
        x, y = getattr(a.trace, table), getattr(b.trace, table)
        for name in x:
            if name != "seconds":
                np.testing.assert_array_equal(x[name], y[name])


def close(a, b, rtol):
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        np.testing.assert_allclose(x, y, rtol=rtol, atol=rtol)


def fit(iris, specs, **how):
    how = {"seeds": (0,), "batch_size": 16, "epochs": 3} | how
    return run(specs, iris.train, iris.validation, **how)


@pytest.mark.parametrize(
    "chunk_steps", [5, *(pytest.param(n, marks=pytest.mark.slow) for n in (1, 64))]
)
def test_chunked_equals_unchunked_to_the_bit(iris, cells, chunk_steps):
    specs = cells(1e-3, 1e-2, dropout=0.2)
    whole = fit(iris, specs, seeds=(0, 3))
    same_bits(whole, fit(iris, specs, seeds=(0, 3), chunk_steps=chunk_steps))


@pytest.mark.parametrize(("seeds", "count"), [
    (1, 4), (4, 1), pytest.param(2, 3, marks=pytest.mark.slow),
    pytest.param(3, 3, marks=pytest.mark.slow),
])  # fmt: skip
def test_sharded_equals_unsharded_to_the_bit(iris, cells, seeds, count):
    assert len(jax.devices()) == 2
    specs = cells(*np.geomspace(1e-3, 1e-1, count))
    a = fit(iris, specs, seeds=range(seeds), sharded=True)
    b = fit(iris, specs, seeds=range(seeds), sharded=False)
    same_bits(a, b)


def test_a_run_in_company_is_the_run_alone(iris, cells):
    specs = cells(1e-3, 1e-2, 1e-1)
    together = fit(iris, specs, seeds=(4, 5))
    for s, seed in enumerate((4, 5)):
        for c in range(3):
            alone = fit(iris, [specs[c]], seeds=(seed,))
            close(alone.best(), together.best(s, c), 1e-4)
            close(alone.trace.steps["loss"][:, 0, 0], together.trace.steps["loss"][:, s, c], 1e-4)


def test_cells_share_weights_and_order_within_a_seed(iris, cells):
    runs = fit(iris, cells(1e-3, 1e-2), seeds=(0, 1))
    first = runs.trace.steps["loss"][0]
    np.testing.assert_array_equal(first[:, 0], first[:, 1])
    assert first[0, 0] != first[1, 0]


def test_same_seed_same_bits(iris, cells):
    same_bits(fit(iris, cells(1e-2)), fit(iris, cells(1e-2)))


def test_a_diverged_run_freezes_and_leaves_its_neighbours_alone(iris, cells):
    # Momentum with a rate far above the limit; cells beside it must not notice.
    how = {"optimizer": "momentum"}
    mixed = fit(iris, cells(1e-2, 1e6, **how), epochs=10)
    calm = fit(iris, cells(1e-2, 1e-2, **how), epochs=10)
    assert mixed.outcome(0, 1) is Outcome.DIVERGED
    assert mixed.outcome(0, 0) is Outcome.BUDGET
    np.testing.assert_array_equal(
        mixed.trace.steps["loss"][:, 0, 0], calm.trace.steps["loss"][:, 0, 0]
    )
    ended = int(mixed.carry.step[0, 1])
    loss = mixed.trace.steps["loss"][:, 0, 1]
    assert np.all(np.isnan(loss[ended + 1 :]))
    assert ended < len(loss) - 1
    for leaf in jax.tree.leaves(mixed.best(0, 1)):
        assert np.all(np.isfinite(leaf))
    assert f"step {ended}" in mixed.message(0, 1)


def test_another_number_never_recompiles(iris, cells):
    fit(iris, cells(1e-3, l2=1e-3, schedule="cosine"))
    before = program.advance._cache_size(), program.start._cache_size()
    fit(iris, cells(0.5, l2=0.1, schedule="cosine"), seeds=(7,), epochs=4)
    assert (program.advance._cache_size(), program.start._cache_size()) == before


@pytest.mark.slow
def test_batch_sizes_are_one_plan(iris, cells):
    rows = len(iris.train.x)
    for size, steps in ((1, rows), (rows, 1), ("full", 1), (16, -(-rows // 16))):
        runs = fit(iris, cells(1e-2), batch_size=size, epochs=1)
        assert int(runs.carry.step[0, 0]) == steps


def test_full_batch_equals_one_mini_batch_of_all_rows(iris, cells):
    a = fit(iris, cells(1e-2, optimizer="gd"), batch_size="full", epochs=5)
    b = fit(iris, cells(1e-2, optimizer="gd"), batch_size=len(iris.train.x), epochs=5)
    close(a.last(), b.last(), 1e-5)


def test_stochastic_descent_by_hand():
    """One-example steps on a linear model against the recursion written out in NumPy."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(7, 2)).astype(np.float32), rng.normal(size=7).astype(np.float32)
    from steepest.engine.settings import Settings

    spec = Settings(model="linear", optimizer="sgd", learning_rate=0.05, loss="squared").spec(
        (2,), 1, "regression"
    )
    zero = {"weight": np.zeros((1, 1, 2, 1)), "bias": np.zeros((1, 1, 1))}
    runs = run([spec], Arrays(x, y), batch_size=1, epochs=2, initial=(zero, ()), seeds=(3,))
    from steepest.data.batches import Order

    w, b = np.zeros(2), 0.0
    for (i,) in Order(7, 1, 3).steps(0, 14):
        error = x[i] @ w + b - y[i]
        w, b = w - 0.05 * 2 * error * x[i], b - 0.05 * 2 * error
    found = runs.last()[0]
    np.testing.assert_allclose(found["weight"][:, 0], w, rtol=1e-5)
    np.testing.assert_allclose(found["bias"][0], b, rtol=1e-5)


def test_the_short_last_batch_counts_by_its_weight(iris, cells):
    """At rate ~0 the epoch's loss is the mean over rows, whatever the batch size."""
    losses = [
        fit(iris, cells(1e-12, optimizer="gd"), batch_size=b, epochs=1).trace.epochs["train_loss"]
        for b in (1, 16, 97, "full")
    ]
    for loss in losses[1:]:
        np.testing.assert_allclose(loss, losses[0], rtol=1e-5)


def test_row_weights_act_as_copies(cells):
    rng = np.random.default_rng(1)
    x = rng.normal(size=(6, 4)).astype(np.float32)
    y = np.array([0, 1, 2, 0, 1, 2], np.int32)
    counts = np.array([1, 2, 3, 1, 0, 2])
    twice = Arrays(np.repeat(x, counts, 0), np.repeat(y, counts))
    weighted = Arrays(x, y, counts.astype(np.float32))
    specs = cells(0.1, optimizer="gd")
    a = run(specs, twice, batch_size="full", epochs=20)
    b = run(specs, weighted, batch_size="full", epochs=20)
    close(a.last(), b.last(), 1e-5)


def test_the_best_epoch_by_validation_is_kept(iris, cells):
    runs = fit(iris, cells(0.5), epochs=30)
    losses = runs.trace.epochs["validation_loss"][:, 0, 0]
    best = int(np.nanargmin(losses))
    assert best < len(losses) - 1
    assert int(runs.carry.best_step[0, 0]) == runs.trace.epochs["step"][best]
    np.testing.assert_allclose(measure(runs, iris.validation)["loss"][0, 0], losses[best], 1e-5)


def test_early_stopping_waits_for_its_patience(iris, cells):
    runs = fit(iris, cells(0.5, patience=4), epochs=200)
    losses = runs.trace.epochs["validation_loss"][:, 0, 0]
    assert runs.outcome() is Outcome.STOPPED
    assert runs.reason() is Reason.PATIENCE
    assert len(losses) == np.argmin(losses) + 1 + 4
    assert "4 epochs" in runs.message()


def test_a_run_ends_with_the_epoch_whose_loss_is_the_share_of_the_first(iris, cells):
    whole = fit(iris, cells(0.01), seeds=(0, 1), epochs=8)
    losses = whole.trace.epochs["train_loss"][:, :, 0]
    first = np.asarray(whole.carry.first_value)[:, 0]
    share = float(losses[3, 0] / first[0]) * 1.0001
    specs = [swap(s, stop=swap(s.stop, target_share=share)) for s in cells(0.01)]
    runs = fit(iris, specs, seeds=(0, 1), epochs=8)
    per = runs.steps_per_epoch
    for seed in (0, 1):
        reached = np.flatnonzero(losses[:, seed] <= share * first[seed])
        assert runs.reason(seed) is Reason.SHARE
        assert int(runs.carry.step[seed, 0]) == (reached[0] + 1) * per
    assert f"at most {share:.3g} of the first loss" in runs.message(0)


def test_measurement_in_blocks_equals_measurement_at_once(iris, cells, monkeypatch):
    runs = fit(iris, cells(1e-2))
    whole = measure(runs, iris.train)
    monkeypatch.setattr("steepest.engine.runs.BLOCK_ROWS", 7)
    assert blocks_of(iris.train).x.shape[:2] == (-(-len(iris.train.x) // 7), 7)
    close(measure(runs, iris.train), whole, 1e-5)


def test_hooks_see_the_run_and_may_stop_it(iris, cells):
    seen = []

    def hook(moment):
        seen.append(moment.step)
        if moment.epoch >= 2:
            moment.stop()

    runs = fit(iris, cells(1e-2), epochs=50, hooks=(hook,), chunk_steps=7)
    assert seen == [7, 14]
    assert runs.reason() is Reason.CALLBACK
    assert int(runs.carry.step[0, 0]) == 14


def test_the_time_budget_ends_a_run(iris, cells):
    runs = fit(iris, cells(1e-2), epochs=1000, max_seconds=0.0, chunk_steps=7)
    assert runs.reason() is Reason.MAX_TIME
    assert int(runs.carry.step[0, 0]) == 7


def test_ctrl_c_ends_cleanly_with_the_best_model(iris, cells):
    import os
    import signal

    sent = []

    def hook(moment):
        if moment.step >= 14 and not sent:
            sent.append(moment.step)
            os.kill(os.getpid(), signal.SIGINT)

    before = signal.getsignal(signal.SIGINT)
    runs = fit(iris, cells(1e-2), epochs=50, hooks=(hook,), chunk_steps=14)
    assert runs.reason() is Reason.INTERRUPTED
    assert int(runs.carry.step[0, 0]) < 50 * 7
    assert np.isfinite(runs.carry.best_value[0, 0])
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.parametrize("every", [1, 3, 10])
def test_records_every_k_steps(iris, cells, every):
    runs = fit(iris, cells(1e-2), every=every, chunk_steps=5)
    full = fit(iris, cells(1e-2), every=1)
    np.testing.assert_array_equal(runs.trace.steps["step"], full.trace.steps["step"][::every])
    np.testing.assert_array_equal(runs.trace.steps["loss"], full.trace.steps["loss"][::every])


def test_cells_of_other_structure_are_refused(cells):
    with pytest.raises(UsageError, match="numbers alone"):
        run([*cells(1e-2), *cells(1e-2, hidden=(3,))], steps=1)


def test_line_searches_refuse_mini_batches(iris, cells):
    with pytest.raises(UsageError, match="batch_size='full'"):
        fit(iris, cells(None, optimizer=LBFGS()))


def quadratic(rate, stop, **more):
    return RunSpec(
        objective=FunctionObjective(lambda w: (w**2).sum()),
        optimizer=optimizer("gd", learning_rate=rate),
        stop=stop, track="step", deterministic=True, **more,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("rate", "stop", "reason"),
    [
        (0.1, StopRule(tolerance=1e-6), Reason.GRADIENT),
        (0.1, StopRule(target=1e-3), Reason.TARGET),
        (1.5, StopRule(), Reason.BLOW_UP),
        (0.1, StopRule(tolerance=1e-300), Reason.MAX_STEPS),
        (0.5, StopRule(), Reason.STEP),
    ],
)
def test_every_ending_of_a_quadratic(rate, stop, reason):
    initial = (np.full((1, 1, 2), 3.0), ())
    runs = run([quadratic(rate, stop)], steps=100, dtype="float64", initial=initial)
    assert runs.reason() is reason
    message, step = runs.message(), int(runs.carry.step[0, 0])
    assert f" {step}" in message or reason is Reason.MAX_STEPS
    # The closed form: w_k = (1 - 2 rate)^k w_0, frozen where the outcome was decided.
    np.testing.assert_allclose(
        runs.last()[0], (1 - 2 * rate) ** step * 3.0, rtol=1e-10, atol=1e-300
    )


def test_unbounded_below_is_a_divergence():
    spec = RunSpec(
        objective=FunctionObjective(lambda w: -(w**2).sum()), optimizer=optimizer("gd"),
        track="step", deterministic=True,
    )  # fmt: skip
    runs = run([spec], steps=10_000, dtype="float64", initial=(np.ones((1, 1, 1)), ()))
    assert runs.reason() is Reason.UNBOUNDED


def test_keys_are_those_of_jax():
    for seed in (0, 1, 12345, 2**31):
        np.testing.assert_array_equal(run_keys([seed])[0], jax.random.PRNGKey(seed))


def test_buckets_grow_by_an_eighth_at_most():
    sizes = [bucket(n) for n in range(1, 5000)]
    assert all(s >= n and s <= n * 1.25 for n, s in enumerate(sizes, 1))
    assert all(s <= n * 1.126 for n, s in enumerate(sizes, 1) if n > 64)
    assert len(set(sizes)) < 90
