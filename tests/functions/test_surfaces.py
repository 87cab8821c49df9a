import jax
import jax.numpy as jnp
import numpy as np
import pytest

from steepest.core.errors import UsageError
from steepest.functions import SURFACES, function

pi, sin, cos, exp, sqrt = np.pi, np.sin, np.cos, np.exp, np.sqrt


def levy(x):
    w = 1 + (x - 1) / 4
    middle = ((w[:-1] - 1) ** 2 * (1 + 10 * sin(pi * w[:-1] + 1) ** 2)).sum()
    return sin(pi * w[0]) ** 2 + middle + (w[-1] - 1) ** 2 * (1 + sin(2 * pi * w[-1]) ** 2)


def powell(x):
    a, b, c, d = x.reshape(-1, 4).T
    return ((a + 10 * b) ** 2 + 5 * (c - d) ** 2 + (b - 2 * c) ** 4 + 10 * (a - d) ** 4).sum()


def i(x):
    return np.arange(1, len(x) + 1)


# Independent of the grammar: written down from the sources in NumPy.
ORACLES = {
    "bowl": lambda w: w @ np.array([[1, 0.5], [0.5, 1]]) @ w,
    "ravine": lambda w: w[0] ** 2 / 2 + 50 * w[1] ** 2,
    "sphere": lambda w: w @ w,
    "ellipsoid": lambda w: i(w) @ w**2,
    "double-sum": lambda w: (np.cumsum(w) ** 2).sum(),
    "trid": lambda w: ((w - 1) ** 2).sum() - (w[1:] * w[:-1]).sum(),
    "booth": lambda w: (w[0] + 2 * w[1] - 7) ** 2 + (2 * w[0] + w[1] - 5) ** 2,
    "matyas": lambda w: 0.26 * (w @ w) - 0.48 * w[0] * w[1],
    "saddle": lambda w: w[0] ** 2 - w[1] ** 2,
    "monkey-saddle": lambda w: ((w[0] + 1j * w[1]) ** 3).real,
    "rosenbrock": lambda w: (100 * (w[1:] - w[:-1] ** 2) ** 2 + (1 - w[:-1]) ** 2).sum(),
    "dixon-price": lambda w: (w[0] - 1) ** 2 + (i(w)[1:] * (2 * w[1:] ** 2 - w[:-1]) ** 2).sum(),
    "zakharov": lambda w: w @ w + (i(w) @ w / 2) ** 2 + (i(w) @ w / 2) ** 4,
    "powell": powell,
    "wood": lambda w: (
        100 * (w[0] ** 2 - w[1]) ** 2 + (w[0] - 1) ** 2 + (w[2] - 1) ** 2
        + 90 * (w[2] ** 2 - w[3]) ** 2 + 10.1 * ((w[1] - 1) ** 2 + (w[3] - 1) ** 2)
        + 19.8 * (w[1] - 1) * (w[3] - 1)
    ),
    "beale": lambda w: sum(
        (c - w[0] * (1 - w[1] ** k)) ** 2 for k, c in ((1, 1.5), (2, 2.25), (3, 2.625))
    ),
    "brown": lambda w: (w[0] - 10**6) ** 2 + (w[1] - 2e-6) ** 2 + (w[0] * w[1] - 2) ** 2,
    "freudenstein-roth": lambda w: (
        (-13 + w[0] + ((5 - w[1]) * w[1] - 2) * w[1]) ** 2
        + (-29 + w[0] + ((w[1] + 1) * w[1] - 14) * w[1]) ** 2
    ),
    "goldstein-price": lambda w: (
        (1 + (w[0] + w[1] + 1) ** 2
         * (19 - 14 * w[0] + 3 * w[0] ** 2 - 14 * w[1] + 6 * w[0] * w[1] + 3 * w[1] ** 2))
        * (30 + (2 * w[0] - 3 * w[1]) ** 2
           * (18 - 32 * w[0] + 12 * w[0] ** 2 + 48 * w[1] - 36 * w[0] * w[1] + 27 * w[1] ** 2))
    ),
    "himmelblau": lambda w: (w[0] ** 2 + w[1] - 11) ** 2 + (w[0] + w[1] ** 2 - 7) ** 2,
    "three-hump-camel": lambda w: (
        2 * w[0] ** 2 - 1.05 * w[0] ** 4 + w[0] ** 6 / 6 + w[0] * w[1] + w[1] ** 2
    ),
    "six-hump-camel": lambda w: (
        4 * w[0] ** 2 - 2.1 * w[0] ** 4 + w[0] ** 6 / 3
        + w[0] * w[1] - 4 * w[1] ** 2 + 4 * w[1] ** 4
    ),
    "styblinski-tang": lambda w: (w**4 - 16 * w**2 + 5 * w).sum() / 2,
    "branin": lambda w: (
        (w[1] - 5.1 / (4 * pi**2) * w[0] ** 2 + 5 / pi * w[0] - 6) ** 2
        + 10 * (1 - 1 / (8 * pi)) * cos(w[0]) + 10
    ),
    "mccormick": lambda w: sin(w.sum()) + (w[0] - w[1]) ** 2 - 1.5 * w[0] + 2.5 * w[1] + 1,
    "bohachevsky": lambda w: (
        w[0] ** 2 + 2 * w[1] ** 2 - 0.3 * cos(3 * pi * w[0]) - 0.4 * cos(4 * pi * w[1]) + 0.7
    ),
    "rastrigin": lambda w: 10 * len(w) + (w**2 - 10 * cos(2 * pi * w)).sum(),
    "ackley": lambda w: (
        -20 * exp(-0.2 * sqrt((w**2).mean())) - exp(cos(2 * pi * w).mean()) + 20 + np.e
    ),
    "griewank": lambda w: (w**2).sum() / 4000 - cos(w / sqrt(i(w))).prod() + 1,
    "levy": levy,
    "schwefel": lambda w: 418.9828872724339 * len(w) - (w * sin(sqrt(abs(w)))).sum(),
    "michalewicz": lambda w: -(sin(w) * sin(i(w) * w**2 / pi) ** 20).sum(),
    "easom": lambda w: -cos(w[0]) * cos(w[1]) * exp(-((w - pi) ** 2).sum()),
    "drop-wave": lambda w: -(1 + cos(12 * np.linalg.norm(w))) / (0.5 * w @ w + 2),
    "schaffer-2": lambda w: (
        0.5 + (sin(w[0] ** 2 - w[1] ** 2) ** 2 - 0.5) / (1 + 0.001 * w @ w) ** 2
    ),
    "cross-in-tray": lambda w: (
        -0.0001 * (abs(sin(w[0]) * sin(w[1]) * exp(abs(100 - np.linalg.norm(w) / pi))) + 1) ** 0.1
    ),
    "holder-table": lambda w: -abs(
        sin(w[0]) * cos(w[1]) * exp(abs(1 - np.linalg.norm(w) / pi))
    ),
    "eggholder": lambda w: (
        -(w[1] + 47) * sin(sqrt(abs(w[1] + w[0] / 2 + 47)))
        - w[0] * sin(sqrt(abs(w[0] - (w[1] + 47))))
    ),
    "bukin": lambda w: 100 * sqrt(abs(w[1] - 0.01 * w[0] ** 2)) + 0.01 * abs(w[0] + 10),
}  # fmt: skip

NOT_SMOOTH = {"ackley", "bukin"}
ON_BOUNDS = {"eggholder"}


def sizes(name):
    surface = SURFACES[name]
    return (surface.fixed,) if surface.fixed else (surface.check(None), 8)


CASES = [(name, n) for name in SURFACES for n in sizes(name)]


def test_every_function_has_an_oracle():
    assert set(ORACLES) == set(SURFACES)


@pytest.mark.parametrize(("name", "n"), CASES)
def test_values_and_minima(name, n, x64):
    f = function(name, n)
    box, start = np.array(f.bounds), np.array(f.start)
    assert box.shape == (n, 2)
    random = np.random.default_rng(1)
    inside = random.uniform(box[:, 0], box[:, 1], (500, n))
    minima = np.array([m.point for m in f.minima], float).reshape(-1, n)
    steps = 1e-3 * random.normal(size=(200, 1, n)) * (1 + abs(minima))
    near = np.clip(minima + steps, *box.T).reshape(-1, n)
    points = np.concatenate([inside, minima, near, start[None]])
    values, gradients = jax.jit(jax.vmap(jax.value_and_grad(f)))(jnp.asarray(points))
    expected = np.array([ORACLES[name](w) for w in points])
    # near its minimum Bukin 6 is 100 times the square root of a rounding error
    rounding = 1e-6 if name == "bukin" else 1e-11
    np.testing.assert_allclose(values, expected, rtol=1e-9, atol=rounding)
    for w in (start, *minima):
        assert (w >= box[:, 0]).all()
        assert (w <= box[:, 1]).all()
    m = len(minima)
    assert m or name in ("saddle", "monkey-saddle")
    for k, (point, value) in enumerate(f.minima):
        assert ORACLES[name](np.array(point)) == pytest.approx(value, rel=1e-9, abs=1e-11)
        assert float(np.min(values)) >= value - 1e-9 * (1 + abs(value))
        if name not in NOT_SMOOTH | ON_BOUNDS:
            typical = np.linalg.norm(gradients[500 + m :], axis=1).max()
            assert np.linalg.norm(gradients[500 + k]) <= 1e-6 * typical


def test_published_values():
    # S. Surjanovic, D. Bingham, Virtual library of simulation experiments
    assert function("michalewicz", 5).minima[0].value == pytest.approx(-4.687658, abs=1e-6)
    assert function("michalewicz", 10).minima[0].value == pytest.approx(-9.66015, abs=1e-5)
    assert function("michalewicz", 11).minima == ()
    assert function("trid", 6).minima[0].value == -50
    assert function("trid", 10).minima[0].value == -210
    assert function("six-hump-camel").minima[0].value == pytest.approx(-1.0316, abs=5e-5)
    assert function("mccormick").minima[0].value == pytest.approx(-1.9133, abs=1e-4)


@pytest.mark.parametrize(
    ("name", "n", "words"),
    [
        ("himmelblau", 3, "himmelblau has 2 variables, got dimensions=3"),
        ("powell", 6, "a multiple of 4, got 6"),
        ("rosenbrock", 1, "at least 2, got 1"),
        ("sphere", 0, "at least 1, got 0"),
    ],
)
def test_dimensions_that_a_function_does_not_have(name, n, words):
    with pytest.raises(UsageError, match=words):
        function(name, n)


def test_any_number_of_variables():
    assert function("rosenbrock").dimensions == 2
    assert function("powell").dimensions == 4
    assert function("rosenbrock", 1000).start == (-1.2, 1) * 500
    assert float(function("rosenbrock", 1000)(jnp.ones(1000))) == 0
