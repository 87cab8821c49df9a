import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from steepest.core.types import Evaluation
from steepest.optimizers.newton import Newton

METHODS = {g: Newton(globalization=g) for g in ("trust-region", "line-search")}


@pytest.mark.parametrize("globalization", METHODS)
@pytest.mark.parametrize(
    "name", ["parabola", "rosenbrock", "himmelblau", "singular", "overflow", "wall", "scales"]
)
def test_minima_in_few_steps(globalization, name, planes, x64):
    end = planes(METHODS[globalization], name, 1e-9, 100)
    p = planes.all[planes.kind(name)]
    assert end.gradient_norm <= 1e-9
    assert abs(end.value - p.least) < 1e-12 * max(1, abs(p.least))
    assert end.steps <= 50


def test_one_step_on_a_quadratic(planes, x64):
    end = planes(Newton(radius=100.0), "parabola", 1e-12, 5)
    assert (end.steps, end.evaluations) == (1, 2)


def test_leaves_a_saddle(planes, x64):
    def evaluate(x):
        return Evaluation(*jax.value_and_grad(lambda x: x[0] ** 2 - x[1] ** 2 + x[1] ** 4)(x))

    end = planes.run(Newton(), evaluate, jnp.array([1.0, 0.0]), 1e-8, 50)
    np.testing.assert_allclose(end.value, -0.25, atol=1e-12)
    np.testing.assert_allclose(abs(end.x[1]), np.sqrt(0.5), rtol=1e-6)


def test_quadratic_convergence(planes, x64):
    norms = [
        float(planes(METHODS["trust-region"], "himmelblau", 0.0, k).gradient_norm)
        for k in range(1, 9)
    ]
    late = [n for n in norms if 1e-14 < n < 1]
    assert all(b < 10 * a**2 + 1e-13 for a, b in itertools.pairwise(late))
    assert norms[-1] < 1e-9


def test_lanes_of_a_batch_are_as_if_alone(planes, x64):
    names = ("rosenbrock", "wall")
    kinds = jnp.asarray([1, planes.kind("wall"), 0])
    xs = jnp.stack([planes.start(n) for n in names] + [jnp.array([jnp.inf, 1.0])])
    program = jax.vmap(planes.program, (None, 0, 0, None, None))
    batch = program(METHODS["trust-region"], kinds, xs, 1e-9, 100)
    assert batch.failed.tolist() == [False, False, True]
    for i, n in enumerate(names):
        alone = planes(METHODS["trust-region"], n, 1e-9, 100)
        np.testing.assert_allclose(batch.x[i], alone.x, rtol=1e-8)
