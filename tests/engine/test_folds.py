"""Seeds with data of their own: the folds of a cross-validation as one program."""

import jax
import numpy as np
import pytest

from steepest.core.errors import UsageError
from steepest.core.outcome import Reason
from steepest.core.trace import Trace
from steepest.data.dataset import Arrays
from steepest.engine.resume import Resume
from steepest.engine.runs import measure, run
from steepest.engine.settings import Settings


def arrays(rows, seed):
    random = np.random.default_rng(seed)
    x = random.normal(size=(rows, 4)).astype(np.float32)
    return Arrays(x, (x.sum(1) > 0).astype(np.int32))


def spec(**changes):
    settings = Settings(hidden=(5,), optimizer="momentum", learning_rate=0.1, **changes)
    return settings.spec((4,), 2, "classification")


def close(a, b):
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        np.testing.assert_allclose(x, y, rtol=2e-4, atol=2e-5)


TRAIN = [arrays(42, 1), arrays(41, 2), arrays(33, 3)]
HELD = [arrays(9, 4), arrays(7, 5), arrays(20, 6)]


@pytest.mark.parametrize("batch_size", [pytest.param("full", marks=pytest.mark.slow), 8])
def test_each_stream_runs_as_it_would_alone_on_its_data(batch_size):
    specs = [spec(l2=1e-3), spec(l2=1e-2)]
    how = {"batch_size": batch_size, "epochs": 4, "sharded": False}
    together = run(specs, TRAIN, HELD, seeds=(7, 7, 3), **how)
    for i, seed in enumerate((7, 7, 3)):
        if batch_size == 8 and i == 2:
            continue  # 33 rows are 5 steps an epoch, and here a sixth without rows is added
        alone = run(specs, TRAIN[i], HELD[i], seeds=(seed,), **how)
        for c in range(2):
            close(together.last(i, c), alone.last(0, c))
        for name in ("train_loss", "validation_loss"):
            np.testing.assert_allclose(
                together.trace.epochs[name][:, i], alone.trace.epochs[name][:, 0], rtol=2e-4
            )
        found = measure(together, HELD)["loss"][i]
        np.testing.assert_allclose(found, measure(alone, HELD[i])["loss"][0], rtol=2e-4)


def test_a_step_without_rows_leaves_the_weights_of_plain_descent_alone():
    short = [TRAIN[2], TRAIN[1]]
    plain = Settings(hidden=(5,), optimizer="sgd", learning_rate=0.1)
    specs = [plain.spec((4,), 2, "classification")]
    together = run(specs, short, seeds=(3, 4), batch_size=8, epochs=3)
    alone = run(specs, short[0], seeds=(3,), batch_size=8, epochs=3)
    close(together.last(0, 0), alone.last(0, 0))


def test_the_number_of_data_sets_must_be_that_of_seeds():
    with pytest.raises(UsageError, match="train has 3 data sets for 2 seeds"):
        run([spec()], TRAIN, seeds=(0, 1), batch_size=8, epochs=1)


def test_a_run_left_before_a_step_goes_on_from_there():
    how = {"seeds": (0, 1), "batch_size": 8, "epochs": 4}
    whole = run([spec()], TRAIN[0], HELD[0], **how)
    part = run([spec()], TRAIN[0], HELD[0], until=7, **how)
    assert (part.carry.reason == Reason.NONE).all()
    assert (part.carry.step == 7).all()
    leaves = {
        jax.tree_util.keystr(p): np.asarray(x)
        for p, x in jax.tree_util.tree_leaves_with_path(part.carry)
    }
    rest = run([spec()], TRAIN[0], HELD[0], resume=Resume(leaves, Trace((0, 1)), 7, 0.0), **how)
    for a, b in zip(jax.tree.leaves(whole.carry), jax.tree.leaves(rest.carry), strict=True):
        np.testing.assert_array_equal(a, b)
