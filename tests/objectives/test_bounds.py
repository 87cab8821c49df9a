import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize

from steepest.core.errors import UsageError
from steepest.objectives.bounds import Bounded, Box
from steepest.objectives.objective import FunctionObjective

TWO, THREE = np.zeros(2), np.zeros(3)


@pytest.mark.parametrize(
    ("bounds", "like", "lower", "upper"),
    [
        ((0, 1), THREE, [0, 0, 0], [1, 1, 1]),
        ((None, 1), TWO, [-np.inf] * 2, [1, 1]),
        (([0, 1], 2), TWO, [0, 1], [2, 2]),
        (([0, 1], [2, 3]), TWO, [0, 1], [2, 3]),
        ([(0, 1), (2, 3)], TWO, [0, 2], [1, 3]),
        (((0, 1), (2, 3)), TWO, [0, 2], [1, 3]),
        (((0, 1), (2, None)), None, [0, 2], [1, np.inf]),
        ([(0, 1)] * 3, THREE, [0] * 3, [1] * 3),
        (((0, 0, 0), (1, 2, 3)), THREE, [0] * 3, [1, 2, 3]),
        (np.array([[0, 1], [2, 3]]), TWO, [0, 2], [1, 3]),
        (scipy.optimize.Bounds([0, 1], [2, 3]), TWO, [0, 1], [2, 3]),
        ([(-1, 1)], np.zeros(()), -1, 1),
    ],
)
def test_ways_to_write_them(bounds, like, lower, upper):
    box = Box.of(bounds, like)
    np.testing.assert_array_equal(box.lower, lower)
    np.testing.assert_array_equal(box.upper, upper)


def test_lists_of_numbers_in_trees_may_be_arrays_or_trees():
    bounds = ({"b": [0, None]}, {"b": (1, 2)})
    assert Box.of(bounds, {"b": np.zeros(2)}).lower["b"].tolist() == [0, -np.inf]
    assert Box.of(bounds, None).upper["b"].tolist() == [1, 2]


def test_trees():
    like = {"a": np.zeros(()), "b": np.zeros(2)}
    box = Box.of(({"a": -1, "b": [0, 1]}, 5.0), like)
    assert box.lower["a"] == -1
    assert box.lower["b"].tolist() == [0, 1]
    assert box.upper["a"] == 5
    assert box.upper["b"].tolist() == [5, 5]


@pytest.mark.parametrize(
    ("bounds", "like", "message"),
    [
        (3, TWO, "must be"),
        ([], TWO, "must be"),
        ("01", TWO, "must be"),
        ([0, 1], TWO, "must be"),
        ([(0, 1, 2)], TWO, "must be"),
        ((1, 0), TWO, "lies above"),
        ((0, np.nan), TWO, "lies above"),
        ([(0, 1)] * 3, TWO, r"lower side, \[0, 0, 0\], does not fit x0"),
        (({"a": 0.0}, {"b": 1.0}), {"a": TWO}, "upper side, .*, does not fit x0"),
        (({"a": 0.0}, {"b": 1.0}), None, "same structure"),
    ],
)
def test_refusals(bounds, like, message):
    with pytest.raises(UsageError, match=message):
        Box.of(bounds, like)


def test_infinite_sides_cannot_be_drawn_from():
    with pytest.raises(UsageError, match="give finite ones"):
        Box.of((0, None), TWO).finite()


def test_projection_is_the_nearest_point_of_the_box():
    box = Box.of([(-1, 1), (0, 2)], TWO)
    rng = np.random.default_rng(0)
    inside = np.stack([rng.uniform(-1, 1, 5000), rng.uniform(0, 2, 5000)], axis=1)
    for x in rng.normal(size=(20, 2)) * 3:
        reached = np.asarray(box.clip(jnp.asarray(x)))
        assert np.all(reached >= box.lower)
        assert np.all(reached <= box.upper)
        assert np.linalg.norm(inside - x, axis=1).min() >= np.linalg.norm(reached - x) - 1e-6
        np.testing.assert_array_equal(box.clip(jnp.asarray(reached)), reached)


def test_a_bounded_objective_is_the_objective_inside():
    inner = FunctionObjective(lambda x: jnp.sum(x**3))
    objective, x = Bounded(inner, Box(0.0, 1.0)), jnp.array([1.0, 2.0])
    value, gradient, aux = objective.evaluate(x)
    assert (float(value), gradient.tolist(), aux) == (9.0, [3.0, 12.0], ())
    assert float(objective.weight(None)) == 1
    assert not objective.uses_key
    sums = objective.measure(x)
    assert float(objective.metrics(sums)["loss"]) == 9
