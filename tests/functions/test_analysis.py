import json
import math

import numpy as np
import pytest

from steepest.core.errors import UsageError
from steepest.functions import analyse, function
from steepest.functions.critical import kind_of


def test_the_bowl():
    a = analyse("x^2 + x*y + y^2")
    assert a.quadratic
    assert a.derivatives.texts() == ("2*x + y", "x + 2*y")
    np.testing.assert_allclose(a.eigenvalues, [1, 3], rtol=1e-14)
    assert a.point == (0, 0)
    assert a.kind == "minimum"
    assert a.condition == pytest.approx(3)
    assert a.rates.stable == pytest.approx(2 / 3)
    assert a.rates.best == pytest.approx(1 / 2)
    assert a.rates.heavy_ball == pytest.approx(1.2667, abs=1e-4)
    assert a.rates.nesterov == pytest.approx(0.4524, abs=1e-4)
    assert a.critical.complete
    assert len(a.critical.points) == 1


def gradient_descent(matrix, rate, heavy=0.0, nesterov=0.0, steps=4000):
    w = np.ones(len(matrix))
    v = np.zeros_like(w)
    for _ in range(steps):
        v = (heavy + nesterov) * v - rate * matrix @ (w + nesterov * v)
        w = w + v
        if np.linalg.norm(w) > 1e6:
            return math.inf
    return float(np.linalg.norm(w))


@pytest.mark.parametrize("momentum", [0.0, 0.5, 0.9])
def test_the_limits_are_those_of_descent_itself(momentum):
    rates = analyse("2x^2 + x*y + y^2 + 0.5z^2", momentum=momentum).rates
    matrix = np.array([[4.0, 1, 0], [1, 2, 0], [0, 0, 1]])
    for limit, options in (
        (rates.stable, {}),
        (rates.heavy_ball, {"heavy": momentum}),
        (rates.nesterov, {"nesterov": momentum}),
    ):
        assert gradient_descent(matrix, 0.995 * limit, **options) < 1e-3
        assert gradient_descent(matrix, 1.005 * limit, **options) == math.inf
    speeds = {
        scale: gradient_descent(matrix, scale * rates.best, steps=60) for scale in (0.9, 1, 1.1)
    }
    assert min(speeds, key=speeds.get) == 1


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("x^2 - y^2 + 3x", {(-1.5, 0): "saddle"}),
        ("-x^2 - 2y^2 + y", {(0, 0.25): "maximum"}),
        ("(x + y)^2", {(0, 0): "degenerate"}),
        ("x + y", {}),
        ("x^3 - 3x + y^2", {(1, 0): "minimum", (-1, 0): "saddle"}),
        ("x^4 + y^4", {(0, 0): "degenerate"}),
        ("x^3 - 3x*y^2", {(0, 0): "degenerate"}),
        ("x*exp(x)", {(-1,): "minimum"}),
        ("x^2*exp(-x)", {(0,): "minimum", (2,): "maximum"}),
        ("exp(-x^2-y^2)", {(0, 0): "maximum"}),
        ("ln(x) + 1/x", {(1,): "minimum"}),
        ("|x| + |y|", {(0, 0): "minimum"}),
        ("sqrt(x^2 + y^2)", {(0, 0): "minimum"}),
        ("-|x|", {}),
        ("ln(1 + exp(x))", {}),
        ("(exp(x) - 2)^4", {(math.log(2),): "degenerate"}),
        ("1e6*(x-1)^2 + 1e-6*(y-1)^2 + z^2", {(1, 1, 0): "minimum"}),
    ],
)
def test_critical_points_and_their_kinds(text, kinds):
    points = analyse(text).critical.points
    assert len(points) == len(kinds)
    for place, kind in kinds.items():
        near = 2e-3 if kind == "degenerate" else 1e-7
        match = [p for p in points if np.allclose(p.point, place, atol=near)]
        assert [p.kind for p in match] == [kind]


@pytest.mark.parametrize(
    ("name", "minima", "saddles", "maxima"),
    [
        ("himmelblau", 4, 4, 1),
        ("three-hump-camel", 3, 2, 0),
        ("six-hump-camel", 6, 7, 2),
        ("styblinski-tang", 4, 4, 1),
        ("freudenstein-roth", 2, 1, 0),
        ("beale", 1, 2, 0),
    ],
)
def test_all_critical_points_of_the_known_surfaces(name, minima, saddles, maxima):
    a = analyse(name)
    kinds = [p.kind for p in a.critical.points]
    assert kinds.count("minimum") == minima
    assert kinds.count("saddle") == saddles
    assert kinds.count("maximum") == maxima
    lowest = a.critical.points[0]
    assert any(np.allclose(lowest.point, m.point, atol=1e-6) for m in function(name).minima)
    assert a.point == lowest.point
    if a.critical.complete and name != "styblinski-tang":
        assert any(p.exact for p in a.critical.points)


def test_exact_coordinates_are_the_numbers():
    points = analyse("freudenstein-roth").critical.points
    for p in points:
        for text, value in zip(p.exact, p.point, strict=True):
            assert float(function(f"x*0 + {text}")([0.0])) == pytest.approx(value, rel=1e-6)


def test_at_a_point():
    a = analyse("rosenbrock", at=(-1.2, 1))
    assert a.value == pytest.approx(24.2)
    np.testing.assert_allclose(a.gradient, [-215.6, -88], rtol=1e-12)
    np.testing.assert_allclose(a.hessian, [[1330, 480], [480, 200]], rtol=1e-12)
    np.testing.assert_allclose(a.eigenvalues, np.linalg.eigvalsh(a.hessian), rtol=1e-10)
    assert a.kind == ""
    assert a.rates.stable == pytest.approx(2 / a.eigenvalues[-1])


def test_where_there_is_no_limit():
    for text in ("x^2 - y^2", "x + y", "-x^2", "|x|"):
        a = analyse(text)
        assert a.rates is None
        assert len(a.notes) == 1


def test_a_flat_direction_leaves_the_limit():
    a = analyse("(x + y)^2")
    assert a.rates.stable == pytest.approx(0.5)
    assert a.condition is None
    assert "whole line of minima" in a.critical.points[0].note


def test_curves_of_critical_points_are_not_listed_one_by_one():
    a = analyse("(x^2 + y^2 - 1)^2")
    assert 1 <= sum(p.kind == "degenerate" for p in a.critical.points) <= 3
    assert "curves" in a.critical.note
    assert not a.critical.complete


def test_many_variables():
    a = analyse(function("rosenbrock", 40))
    assert a.derivatives.partials == ()
    assert a.kind == "minimum"
    np.testing.assert_allclose(a.point, 1)
    assert len(a.eigenvalues) == 40
    quadratic = analyse(function("trid", 30))
    assert quadratic.quadratic
    np.testing.assert_allclose(quadratic.point, function("trid", 30).minima[0].point, rtol=1e-9)


@pytest.mark.parametrize(
    ("text", "options", "words"),
    [
        ("x + y", {"at": (1,)}, "at must have 2 numbers, one for each of x, y, got 1"),
        ("x", {"at": (math.nan,)}, "finite"),
        ("x", {"at": ("one",)}, "must be numbers"),
        ("ln(x)", {"at": (-1,)}, "not finite at x = -1"),
        ("x", {"momentum": 1}, "below 1, got 1"),
    ],
)
def test_what_cannot_be_analysed(text, options, words):
    with pytest.raises(UsageError, match=words):
        analyse(text, **options)
    with pytest.raises(UsageError, match="takes a Function"):
        analyse(lambda w: w)


def test_json():
    for text in ("x^2 + x*y + y^2", "-x^2", "|x|", "x^3 - x"):
        data = json.loads(json.dumps(analyse(text).to_dict(), allow_nan=False))
        assert data["variables"] == list(data["point"])
    data = analyse("x^2 + x*y + y^2").to_dict()
    assert data["partial_derivatives"] == {"x": "2*x + y", "y": "x + 2*y"}
    assert data["hessian"] == [["2", "1"], ["1", "2"]]
    assert data["stable_learning_rate"] == pytest.approx(2 / 3)
    assert data["best_learning_rate"] == pytest.approx(1 / 2)
    assert data["critical_points"][0]["kind"] == "minimum"


def test_kinds_by_eigenvalues():
    assert kind_of(np.array([1.0, 2.0])) == "minimum"
    assert kind_of(np.array([-2.0, -1.0])) == "maximum"
    assert kind_of(np.array([-2.0, 0.0, 1.0])) == "saddle"
    assert kind_of(np.array([0.0, 1.0])) == "degenerate"
    assert kind_of(np.array([1e-9, 1.0]), zero=1e-8) == "degenerate"
