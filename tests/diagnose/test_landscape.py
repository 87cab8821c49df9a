"""Slices through losses that are known, and the normalisation that makes networks comparable."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from steepest.core.errors import UsageError
from steepest.data.dataset import Arrays
from steepest.diagnose.landscape import filter_normalised, landscape
from steepest.models.mlp import MLP
from steepest.objectives.objective import Batch, FunctionObjective, Objective

BOWL = FunctionObjective(lambda x: x[0] ** 2 + 3 * x[1] ** 2 + 0.5 * x[2] ** 2)


def test_the_sharpest_directions_of_a_bowl():
    found = landscape(BOWL, np.zeros(3), directions="hessian", points=5, dtype="float64")
    np.testing.assert_allclose(np.abs(found.directions[0]), [0, 1, 0], atol=1e-6)
    np.testing.assert_allclose(found.loss, found.a**2 * 3 + found.b[:, None] ** 2, atol=1e-9)


def test_a_line():
    found = landscape(
        BOWL, np.zeros(3), directions="hessian", dimensions=1, points=7, reach=2.0, dtype="float64"
    )
    assert found.b is None
    np.testing.assert_allclose(found.loss, 3 * np.linspace(-2, 2, 7) ** 2, atol=1e-9)


def test_the_plane_of_a_path_holds_it():
    t = np.linspace(1, 0, 20)
    path = np.stack([t, t**2, np.zeros(20)], axis=1)
    found = landscape(BOWL, np.zeros(3), directions="path", points=9, path=path, dtype="float64")
    assert found.explained == pytest.approx(1, abs=1e-9)
    np.testing.assert_allclose(found.path @ found.directions, path, atol=1e-9)
    assert found.a.min() <= found.path[:, 0].min()
    assert found.a.max() >= found.path[:, 0].max()
    off = np.concatenate([path, [[0, 0, 1.0]]])
    share = landscape(BOWL, np.zeros(3), directions="path", points=3, path=off, dtype="float64")
    assert share.explained < 1


def test_each_filter_keeps_its_own_size():
    rng = np.random.default_rng(0)
    params = {"weight": rng.standard_normal((5, 3)) * [1, 10, 0.1], "bias": np.ones(3)}
    moved = filter_normalised(jax.tree.map(lambda w: rng.standard_normal(w.shape), params), params)
    np.testing.assert_allclose(
        np.linalg.norm(moved["weight"], axis=0), np.linalg.norm(params["weight"], axis=0)
    )
    assert (moved["bias"] == 0).all()


def test_rescaled_networks_look_alike():
    # relu(c z) = c relu(z): layers scaled by c and 1/c compute the same, and must look the same.
    rng = np.random.default_rng(1)
    x = rng.standard_normal((50, 4)).astype(np.float32)
    arrays = Arrays(x, (x[:, 0] > 0).astype(np.float32))
    objective = Objective(MLP((8,)), "binary").bind((4,), 2)
    params, _ = objective.init(jax.random.key(0))
    first, last = params["layers"]
    scaled = {"layers": (
        {"weight": 7 * first["weight"], "bias": first["bias"]},
        {"weight": last["weight"] / 7, "bias": last["bias"]},
    )}  # fmt: skip
    one = landscape(objective, params, arrays, points=5, seed=3)
    other = landscape(objective, scaled, arrays, points=5, seed=3)
    np.testing.assert_allclose(one.loss, other.loss, rtol=1e-3)
    centre = objective.smooth(params, (), Batch(jnp.asarray(x), jnp.asarray(arrays.y)))[0]
    assert one.loss[2, 2] == pytest.approx(float(centre), rel=1e-5)


@pytest.mark.parametrize(("how", "words"), [
    ({"directions": "pca"}, "directions='pca' is not known"),
    ({"dimensions": 3}, "dimensions must be 1 or 2"),
    ({"directions": "path"}, "needs path="),
    ({"points": 2}, "must be at least 3"),
])  # fmt: skip
def test_what_cannot_be_drawn_is_refused(how, words):
    with pytest.raises(UsageError, match=words):
        landscape(BOWL, np.zeros(3), **how)
