"""A penalty that is too strong, where it is known by how much it shrinks the outputs."""

import numpy as np
import pytest

from steepest.engine.train import train


def fitted(l2):
    """Least squares on orthogonal columns, whose weights a penalty shrinks by 1/(1 + l2/2)."""
    rng = np.random.default_rng(0)
    x = np.linalg.qr(rng.standard_normal((120, 3)))[0] * np.sqrt(120)
    y = x @ np.array([1.0, -2.0, 0.5]) + 0.1 * rng.standard_normal(120)
    return train("linear", (x, y), optimizer="gd", learning_rate=0.1, batch_size="full",
                 epochs=300, l2=l2, validation=0.0, test=0.0)  # fmt: skip


def test_a_penalty_tells_by_how_much_it_shrinks():
    found = fitted(4.0).diagnose()
    assert found.codes == ("regularisation_too_strong",)
    # L = mean (f - y)^2 + l2/2 |w|^2 is least at w/(1 + l2/2).
    assert found[0].evidence["shrinkage"] == pytest.approx(3.0, rel=0.1)
    assert found[0].changes[0] == {"l2": 0.04}


def test_a_weak_penalty_is_well():
    assert fitted(1e-3).diagnose().codes == ()


def test_a_penalty_that_leaves_nothing_is_told_though_neighbours_know_little():
    rng = np.random.default_rng(1)
    y = (rng.random(600) < 0.4).astype(int)
    x = rng.standard_normal((600, 8)) + 0.4 * y[:, None]
    settings = {"optimizer": "gd", "learning_rate": 0.1, "batch_size": "full", "validation": 0.0,
                "test": 0.0}  # fmt: skip
    found = train("linear", (x, y), l2=5.0, epochs=200, **settings).diagnose()
    assert found.codes == ("regularisation_too_strong",)
    assert found[0].evidence["shrinkage"] > 5
    assert found[0].evidence["reachable"] > 2 * found[0].evidence["explained"]
    assert train("linear", (x, y), l2=1e-3, epochs=200, **settings).diagnose().codes == ()
