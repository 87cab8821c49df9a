"""Arithmetic on trees against the same arithmetic on one flat vector."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from steepest.core import tree


def example(seed=0, dtype=jnp.float32):
    rng = np.random.default_rng(seed)
    return {
        "w": jnp.asarray(rng.normal(size=(3, 2)), dtype),
        "b": (jnp.asarray(rng.normal(size=2), dtype), jnp.asarray(rng.normal(), dtype)),
    }


A, B = example(0), example(1)
FLAT_A, FLAT_B = (np.asarray(ravel_pytree(t)[0], np.float64) for t in (A, B))


@pytest.mark.parametrize(
    ("got", "want"),
    [
        (lambda: tree.add(A, B), FLAT_A + FLAT_B),
        (lambda: tree.subtract(A, B), FLAT_A - FLAT_B),
        (lambda: tree.scale(0.3, A), 0.3 * FLAT_A),
        (lambda: tree.axpy(0.3, A, B), 0.3 * FLAT_A + FLAT_B),
        (lambda: tree.zeros(A), 0 * FLAT_A),
        (lambda: tree.where(jnp.asarray(True), A, B), FLAT_A),
        (lambda: tree.where(jnp.asarray(False), A, B), FLAT_B),
    ],
)
def test_elementwise(got, want):
    result = got()
    assert jax.tree.structure(result) == jax.tree.structure(A)
    assert all(x.dtype == jnp.float32 for x in jax.tree.leaves(result))
    np.testing.assert_allclose(ravel_pytree(result)[0], want, rtol=1e-6, atol=1e-7)


def test_reductions():
    np.testing.assert_allclose(tree.dot(A, B), FLAT_A @ FLAT_B, rtol=1e-6)
    np.testing.assert_allclose(tree.norm(A), np.linalg.norm(FLAT_A), rtol=1e-6)
    assert tree.max_abs(A) == jnp.float32(np.abs(FLAT_A).max())
    assert tree.size(A) == 9


def test_nothing_at_all():
    for f in (tree.norm, tree.max_abs):
        assert f(()) == 0
    assert tree.dot({}, {}) == 0
    assert bool(tree.all_finite([]))
    assert tree.size(()) == 0
    assert tree.max_abs((jnp.zeros((0, 3)),)) == 0


@pytest.mark.parametrize("bad", [jnp.nan, jnp.inf, -jnp.inf])
def test_all_finite(bad):
    assert bool(tree.all_finite(A))
    assert not bool(tree.all_finite({**A, "w": A["w"].at[1, 1].set(bad)}))


def test_cast():
    out = tree.cast({"x": 0.1, "n": 3, "flag": True, "a": jnp.ones(2)}, jnp.float16)
    kinds = {k: str(v.dtype) for k, v in out.items()}
    assert kinds == {"x": "float16", "n": "int32", "flag": "bool", "a": "float16"}


def test_double_precision_is_kept(x64):
    a = example(dtype=jnp.float64)
    for result in (tree.scale(0.1, a), tree.axpy(jnp.float32(0.5), a, a), tree.zeros(a)):
        assert all(x.dtype == jnp.float64 for x in jax.tree.leaves(result))
    np.testing.assert_allclose(tree.norm(a), np.linalg.norm(ravel_pytree(a)[0]), rtol=1e-15)


def test_the_norm_under_vmap_and_grad():
    stacked = jax.tree.map(lambda x, y: jnp.stack([x, y]), A, B)
    got = jax.vmap(tree.norm)(stacked)
    np.testing.assert_allclose(got, [tree.norm(A), tree.norm(B)], rtol=1e-6)
    gradient = jax.grad(lambda t: tree.norm(t) ** 2)(A)
    np.testing.assert_allclose(ravel_pytree(gradient)[0], 2 * FLAT_A, rtol=1e-5)


@pytest.mark.parametrize("shape", [(1023,), (1024,), (1025,), (3, 700), (0,), ()])
def test_the_norm_of_long_arrays(shape):
    x = np.random.default_rng(2).normal(size=shape).astype(np.float32)
    np.testing.assert_allclose(tree.norm([jnp.asarray(x)]), np.linalg.norm(x), rtol=2e-6)
