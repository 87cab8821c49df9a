"""Learning from a stream: each row counts before it is learned from, as in a plain loop."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from steepest.core.errors import UsageError
from steepest.data.dataset import Table
from steepest.engine.online import Online
from steepest.engine.settings import Settings

SETTINGS = Settings(model="linear", optimizer="sgd", learning_rate=0.1, batch_size=1)


def rows(n, seed=0, classes=("a", "b")):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 3))
    y = np.array(classes)[(x @ [1.0, -2.0, 0.5] > 0).astype(int)]
    return Table(x=x, y=y, task="classification")


def test_row_by_row_as_a_plain_loop():
    table = rows(60)
    online = Online(table, SETTINGS)
    arrays = online.encoder.transform(table)
    w, b, right, loss = jnp.zeros(3), jnp.zeros(()), 0, 0.0

    def value(w, b, x, y):
        z = x @ w + b
        return jnp.logaddexp(0.0, z) - y * z

    for x, y in zip(arrays.x, arrays.y.astype(np.float32), strict=True):
        right += int((x @ w + b > 0) == (y > 0))
        loss += float(value(w, b, x, y))
        gw, gb = jax.grad(value, (0, 1))(w, b, x, y)
        w, b = w - 0.1 * gw, b - 0.1 * gb
    online.learn(table)
    assert online.rows == online.step == 60
    assert online.running["accuracy"] == pytest.approx(right / 60, abs=1e-6)
    assert online.running["loss"] == pytest.approx(loss / 60, rel=1e-4)
    fit = online.fit(1.0)
    np.testing.assert_allclose(np.ravel(fit.params["weight"]), w, rtol=1e-4)
    assert fit.train == online.running
    assert fit.sizes["train"] == 60


def test_pieces_of_any_size_give_the_same_model():
    table = rows(100)
    first, second = Online(table, SETTINGS), Online(table, SETTINGS)
    first.learn(table)
    for a, b in ((0, 7), (7, 8), (8, 60), (60, 100)):
        second.learn(table.take(np.arange(a, b)))
    np.testing.assert_array_equal(first.fit(0.0).w, second.fit(0.0).w)
    assert first.running == second.running


def test_the_recent_rows_are_those_after_a_change():
    table = rows(1500)
    flipped = Table(x=table.x, y=np.where(np.asarray(table.y) == "a", "b", "a"), task=table.task)
    online = Online(table, SETTINGS)
    online.learn(table)
    before = online.recent["accuracy"]
    online.learn(flipped.take(np.arange(100)))
    assert before > 0.95
    assert online.recent["accuracy"] < before - 0.03
    online.learn(flipped)
    assert online.recent["accuracy"] > 0.95
    assert online.recent["accuracy"] > online.running["accuracy"]


def test_a_class_that_the_first_rows_had_not_counts_as_an_error():
    table = rows(400)
    online = Online(table, SETTINGS)
    online.learn(table)
    whole = online.running["accuracy"]
    online.learn(rows(100, 1, classes=("new", "newer")))
    assert (online.rows, online.unknown) == (400, 100)
    assert online.running["accuracy"] == pytest.approx(whole * 0.8)


def test_a_number_as_target():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(3000, 2))
    table = Table(x=x, y=5 * x[:, 0] - x[:, 1] + 100, task="regression")
    online = Online(table, Settings(model="linear", learning_rate=0.05, batch_size=8))
    online.learn(table)
    assert online.recent["rmse"] < online.running["rmse"]
    assert abs(online.fit(0.0).predict(np.array([[1.0, 0.0]]))[0] - 105) < 1


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"schedule": "cosine"}, "a stream has no end"),
        ({"batch_size": "full"}, "a stream has no end"),
        ({"optimizer": "lbfgs", "learning_rate": None}, "needs a first-order rule"),
    ],
)
def test_refusals(changes, said):
    settings = {"model": "linear", "optimizer": "adam", "learning_rate": 0.1} | changes
    with pytest.raises(UsageError, match=said):
        Online(rows(20), Settings(**settings))
