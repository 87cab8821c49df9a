"""A single column's product: the value of a matrix product, and its derivatives of all orders."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from steepest.estimators.affine import Affine, column


@pytest.fixture
def rows(x64):
    random = np.random.default_rng(0)
    return random.normal(size=(40, 5)), random.normal(size=(5, 1)), random.normal(size=(40, 1))


def test_column_is_a_product_with_its_gradients(rows):
    x, w, r = map(jnp.asarray, rows)
    np.testing.assert_allclose(column(x, w), x @ w, rtol=1e-14)
    _, back = jax.vjp(column, x, w)
    dx, dw = back(r)
    np.testing.assert_allclose(dw, x.T @ r, rtol=1e-12)
    np.testing.assert_allclose(dx, r @ w.T, rtol=1e-12)


def test_second_derivatives_and_vmap(rows):
    x, w, _ = map(jnp.asarray, rows)

    def f(product, w):
        return jnp.sum(jnp.logaddexp(0.0, product(x, w)))

    v = jnp.ones_like(w)
    ours, plain = (
        jax.jvp(jax.grad(lambda w, p=p: f(p, w)), (w,), (v,))[1] for p in (column, jnp.matmul)
    )
    np.testing.assert_allclose(ours, plain, rtol=1e-12)
    many = jnp.stack([w, 2 * w, -w])
    np.testing.assert_allclose(jax.vmap(column, (None, 0))(x, many), x @ many, rtol=1e-14)


@pytest.mark.parametrize("outputs", [1, 3])
def test_single_is_the_same_function(rows, outputs):
    x = jnp.asarray(rows[0])
    scale = jnp.asarray([1.0, 2.0, 0.5, 1.0, 3.0])
    plain = Affine(5, outputs, shift=scale / 2, scale=scale)
    single = Affine(5, outputs, shift=scale / 2, scale=scale, single=True)
    params = {"weight": jnp.ones((5, outputs)) * 0.3, "bias": jnp.ones(outputs)}

    def loss(model, params):
        return jnp.sum(jnp.square(model.forward(params, (), x)[0]))

    a, b = (jax.value_and_grad(lambda p, m=m: loss(m, p))(params) for m in (plain, single))
    np.testing.assert_allclose(a[0], b[0], rtol=1e-13)
    jax.tree.map(lambda u, v: np.testing.assert_allclose(u, v, rtol=1e-12), a[1], b[1])
