"""Standard problems for smooth minimisers, with their starting points and known least values.

Least squares problems are written by their residuals r(x), f(x) = sum r_i(x)^2, as in Moré, Garbow
and Hillstrom, "Testing unconstrained optimization software", ACM TOMS 7 (1981), 17-41; `least` are
the values of f at the known minima (of 1/2 f nowhere). The others are from the CUTE collection, or
made to hurt: wide scales, singular Hessians, steep valleys, plateaus, domains with walls, and
exponentials that overflow at a long step. All in float64.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np


class Problem(NamedTuple):
    """A function to minimise from `start`; `least` are the known local minima, the lowest first."""

    name: str
    fun: Callable
    start: np.ndarray
    least: tuple[float, ...]
    residuals: Callable | None = None


PROBLEMS: dict[str, Problem] = {}


def smooth(name, start, *least):
    """Register a function."""

    def add(fun):
        PROBLEMS[name] = Problem(name, fun, np.asarray(start, float), least)
        return fun

    return add


def squares(name, start, *least):
    """Register a sum of squares by its residuals."""

    def add(residuals):
        def fun(x):
            return jnp.sum(residuals(x) ** 2)

        PROBLEMS[name] = Problem(name, fun, np.asarray(start, float), least, residuals)
        return residuals

    return add


def _index(n):
    return jnp.arange(1, n + 1, dtype=jnp.float64)


# --- Moré, Garbow, Hillstrom, in their order --------------------------------------------------


@squares("rosenbrock", [-1.2, 1], 0)
def _(x):
    return jnp.stack([10 * (x[1] - x[0] ** 2), 1 - x[0]])


@squares("freudenstein_roth", [0.5, -2], 0, 48.98425367924)
def _(x):
    a = -13 + x[0] + ((5 - x[1]) * x[1] - 2) * x[1]
    return jnp.stack([a, -29 + x[0] + ((x[1] + 1) * x[1] - 14) * x[1]])


@squares("powell_badly_scaled", [0, 1], 0)
def _(x):
    return jnp.stack([1e4 * x[0] * x[1] - 1, jnp.exp(-x[0]) + jnp.exp(-x[1]) - 1.0001])


@squares("brown_badly_scaled", [1, 1], 0)
def _(x):
    return jnp.stack([x[0] - 1e6, x[1] - 2e-6, x[0] * x[1] - 2])


@squares("beale", [1, 1], 0)
def _(x):
    y = jnp.array([1.5, 2.25, 2.625])
    return y - x[0] * (1 - x[1] ** _index(3))


@squares("jennrich_sampson", [0.3, 0.4], 124.3621823556, 259.58019078047)
def _(x):
    i = _index(10)
    return 2 + 2 * i - (jnp.exp(i * x[0]) + jnp.exp(i * x[1]))


@squares("helical_valley", [-1, 0, 0], 0)
def _(x):
    theta = jnp.arctan2(x[1], x[0]) / (2 * jnp.pi)
    theta = jnp.where(theta < -0.25, theta + 1, theta)
    return jnp.stack([10 * (x[2] - 10 * theta), 10 * (jnp.hypot(x[0], x[1]) - 1), x[2]])


@squares("bard", [1, 1, 1], 8.214877306579e-3, 17.4286933)
def _(x):
    y = jnp.array([.14, .18, .22, .25, .29, .32, .35, .39, .37, .58, .73, .96, 1.34, 2.1, 4.39])  # fmt: skip
    u = _index(15)
    v = 16 - u
    return y - (x[0] + u / (v * x[1] + jnp.minimum(u, v) * x[2]))


@squares("gaussian", [0.4, 1, 0], 1.127932769619e-8)
def _(x):
    y = np.array([9, 44, 175, 540, 1295, 2420, 3521]) * 1e-4
    y = jnp.array([*y, 0.3989, *y[::-1]])
    t = (8 - _index(15)) / 2
    return x[0] * jnp.exp(-x[1] * (t - x[2]) ** 2 / 2) - y


@squares("meyer", [0.02, 4000, 250], 87.94585517018)
def _(x):
    y = jnp.array([34780, 28610, 23650, 19630, 16370, 13720, 11540, 9744, 8261, 7030, 6005, 5147,
                   4427, 3820, 3307, 2872], jnp.float64)  # fmt: skip
    return x[0] * jnp.exp(x[1] / (45 + 5 * _index(16) + x[2])) - y


@squares("gulf", [5, 2.5, 0.15], 0, 0.038)
def _(x):
    t = _index(99) / 100
    y = 25 + (-50 * jnp.log(t)) ** (2 / 3)
    return jnp.exp(-(jnp.abs(y - x[1]) ** x[2]) / x[0]) - t


@squares("box_3d", [0, 10, 20], 0)
def _(x):
    t = _index(10) / 10
    return jnp.exp(-t * x[0]) - jnp.exp(-t * x[1]) - x[2] * (jnp.exp(-t) - jnp.exp(-10 * t))


def _powell(x):
    a, b, c, d = x.reshape(-1, 4).T
    parts = [a + 10 * b, jnp.sqrt(5.0) * (c - d), (b - 2 * c) ** 2, jnp.sqrt(10.0) * (a - d) ** 2]
    return jnp.concatenate(parts)


squares("powell_singular", [3, -1, 0, 1], 0)(_powell)
squares("extended_powell_40", [3, -1, 0, 1] * 10, 0)(_powell)


@squares("wood", [-3, -1, -3, -1], 0)
def _(x):
    a, b, c, d = x
    return jnp.stack([10 * (b - a**2), 1 - a, jnp.sqrt(90.0) * (d - c**2), 1 - c,
                      jnp.sqrt(10.0) * (b + d - 2), (b - d) / jnp.sqrt(10.0)])  # fmt: skip


@squares("kowalik_osborne", [0.25, 0.39, 0.415, 0.39], 3.07505603849e-4, 1.02734e-3)
def _(x):
    y = jnp.array([.1957, .1947, .1735, .16, .0844, .0627, .0456, .0342, .0323, .0235, .0246])  # fmt: skip
    u = jnp.array([4, 2, 1, .5, .25, .167, .125, .1, .0833, .0714, .0625])  # fmt: skip
    return y - x[0] * (u**2 + u * x[1]) / (u**2 + u * x[2] + x[3])


@squares("brown_dennis", [25, 5, -5, -1], 85822.20162635628)
def _(x):
    t = _index(20) / 5
    return (x[0] + t * x[1] - jnp.exp(t)) ** 2 + (x[2] + x[3] * jnp.sin(t) - jnp.cos(t)) ** 2


@squares("osborne_1", [0.5, 1.5, -1, 0.01, 0.02], 5.46489469748e-5)
def _(x):
    y = jnp.array([.844, .908, .932, .936, .925, .908, .881, .85, .818, .784, .751, .718, .685,
                   .658, .628, .603, .58, .558, .538, .522, .506, .49, .478, .467, .457, .448,
                   .438, .431, .424, .42, .414, .411, .406])  # fmt: skip
    t = 10 * (_index(33) - 1)
    return y - (x[0] + x[1] * jnp.exp(-t * x[3]) + x[2] * jnp.exp(-t * x[4]))


@squares("biggs_exp6", [1, 2, 1, 1, 1, 1], 0, 5.655649925e-3, 0.30636677262479)
def _(x):
    t = _index(13) / 10
    y = jnp.exp(-t) - 5 * jnp.exp(-10 * t) + 3 * jnp.exp(-4 * t)
    model = x[2] * jnp.exp(-t * x[0]) - x[3] * jnp.exp(-t * x[1]) + x[5] * jnp.exp(-t * x[4])
    return model - y


@squares("osborne_2", [1.3, .65, .65, .7, .6, 3, 5, 7, 2, 4.5, 5.5], 4.01377362935e-2, 1.789813)  # fmt: skip
def _(x):
    y = jnp.array([1.366, 1.191, 1.112, 1.013, .991, .885, .831, .847, .786, .725, .746, .679,
                   .608, .655, .616, .606, .602, .626, .651, .724, .649, .649, .694, .644, .624,
                   .661, .612, .558, .533, .495, .5, .423, .395, .375, .372, .391, .396, .405,
                   .428, .429, .523, .562, .607, .653, .672, .708, .633, .668, .645, .632, .591,
                   .559, .597, .625, .739, .71, .729, .72, .636, .581, .428, .292, .162, .098,
                   .054])  # fmt: skip
    t = (_index(65) - 1) / 10
    bumps = [jnp.exp(-((t - x[8 + k]) ** 2) * x[5 + k]) * x[1 + k] for k in range(3)]
    return y - (x[0] * jnp.exp(-t * x[4]) + bumps[0] + bumps[1] + bumps[2])


def _watson(x):
    n = x.size
    t = _index(29)[:, None] / 29
    j = _index(n)
    slope = jnp.sum((j[1:] - 1) * x[1:] * t ** (j[1:] - 2), axis=1)
    level = jnp.sum(x * t ** (j - 1), axis=1)
    return jnp.concatenate([slope - level**2 - 1, jnp.stack([x[0], x[1] - x[0] ** 2 - 1])])


squares("watson_6", [0] * 6, 2.287670053552e-3)(_watson)
squares("watson_9", [0] * 9, 1.399760138e-6)(_watson)
squares("watson_12", [0] * 12, 4.72238110623e-10)(_watson)


def _rosenbrock(x):
    a, b = x.reshape(-1, 2).T
    return jnp.concatenate([10 * (b - a**2), 1 - a])


squares("extended_rosenbrock_50", [-1.2, 1] * 25, 0)(_rosenbrock)


def _penalty_1(x):
    return jnp.append(jnp.sqrt(1e-5) * (x - 1), jnp.sum(x**2) - 0.25)


squares("penalty_1_4", np.arange(1, 5.0), 2.2499775008999e-5)(_penalty_1)
squares("penalty_1_10", np.arange(1, 11.0), 7.08765146709e-5)(_penalty_1)


def _penalty_2(x):
    n = x.size
    y = jnp.exp(_index(2 * n)[1:n] / 10) + jnp.exp(_index(n)[: n - 1] / 10)
    a = jnp.sqrt(1e-5) * (jnp.exp(x[1:] / 10) + jnp.exp(x[:-1] / 10) - y)
    b = jnp.sqrt(1e-5) * (jnp.exp(x[1:] / 10) - jnp.exp(-0.1))
    c = jnp.sum((n - jnp.arange(n, dtype=x.dtype)) * x**2) - 1
    return jnp.concatenate([x[:1] - 0.2, a, b, c[None]])


squares("penalty_2_4", [0.5] * 4, 9.376293007355e-6)(_penalty_2)
squares("penalty_2_10", [0.5] * 10, 2.93660537457e-4)(_penalty_2)


def _variably_dimensioned(x):
    s = jnp.sum(_index(x.size) * (x - 1))
    return jnp.append(x - 1, jnp.stack([s, s**2]))


squares("variably_dimensioned_10", 1 - np.arange(1, 11) / 10, 0)(_variably_dimensioned)
squares("variably_dimensioned_50", 1 - np.arange(1, 51) / 50, 0)(_variably_dimensioned)


@squares("trigonometric_10", [0.1] * 10, 0, 2.7950561218803e-5)
def _(x):
    n = x.size
    return n - jnp.sum(jnp.cos(x)) + _index(n) * (1 - jnp.cos(x)) - jnp.sin(x)


@squares("brown_almost_linear_10", [0.5] * 10, 0, 1)
def _(x):
    return jnp.append(x[:-1] + jnp.sum(x) - (x.size + 1), jnp.prod(x) - 1)


_T20 = np.arange(1, 21) / 21


@squares("discrete_boundary_value_20", _T20 * (_T20 - 1), 0)
def _(x):
    h = 1 / (x.size + 1)
    z = jnp.pad(x, 1)
    return 2 * x - z[:-2] - z[2:] + h**2 * (x + _index(x.size) * h + 1) ** 3 / 2


@squares("discrete_integral_20", _T20 * (_T20 - 1), 0)
def _(x):
    h = 1 / (x.size + 1)
    t = _index(x.size) * h
    kernel = jnp.minimum(t[:, None], t) * (1 - jnp.maximum(t[:, None], t))
    return x + h / 2 * kernel @ (x + t + 1) ** 3


@squares("broyden_tridiagonal_30", [-1] * 30, 0)
def _(x):
    z = jnp.pad(x, 1)
    return (3 - 2 * x) * x - z[:-2] - 2 * z[2:] + 1


@squares("broyden_banded_30", [-1] * 30, 0)
def _(x):
    q = x * (1 + x)
    z = jnp.pad(q, (5, 1))
    near = sum(z[k : k + x.size] for k in (0, 1, 2, 3, 4, 6))
    return x * (2 + 5 * x**2) + 1 - near


@squares("linear_full_rank", [1] * 5, 5)
def _(x):
    m = 10
    r = -2 * jnp.sum(x) / m - jnp.ones(m)
    return r.at[: x.size].add(x)


@squares("linear_rank_1", [1] * 5, 10 * 9 / (2 * 21))
def _(x):
    return _index(10) * jnp.sum(_index(x.size) * x) - 1


def _chebyquad(x):
    n = x.size
    z = 2 * x - 1
    a, b, means = jnp.ones_like(z), z, []
    for i in range(1, n + 1):
        means.append(jnp.mean(b) + (1 / (i * i - 1) if i % 2 == 0 else 0.0))
        a, b = b, 2 * z * b - a
    return jnp.stack(means)


squares("chebyquad_8", np.arange(1, 9) / 9, 3.516873725677e-3)(_chebyquad)
squares("chebyquad_10", np.arange(1, 11) / 11, 4.772713e-3, 6.503954800882e-3)(_chebyquad)

# --- CUTE and other classics -----------------------------------------------------------------


@smooth("chained_rosenbrock_100", [-1.2, 1] * 50, 0, 3.986623854)
def _(x):
    return jnp.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


@smooth("himmelblau", [0, 0], 0)
def _(x):
    return (x[0] ** 2 + x[1] - 11) ** 2 + (x[0] + x[1] ** 2 - 7) ** 2


@smooth("dixon_price_20", [1] * 20, 0, 2 / 3)
def _(x):
    return (x[0] - 1) ** 2 + jnp.sum(_index(x.size)[1:] * (2 * x[1:] ** 2 - x[:-1]) ** 2)


@smooth("zakharov_10", [5] * 10, 0)
def _(x):
    s = jnp.sum(0.5 * _index(x.size) * x)
    return jnp.sum(x**2) + s**2 + s**4


@smooth("cube", [-1.2, 1], 0)
def _(x):
    return (x[0] - 1) ** 2 + 100 * (x[1] - x[0] ** 3) ** 2


@smooth("engval_50", [2] * 50, 53.58221488520762)
def _(x):
    q = x[:-1] ** 2 + x[1:] ** 2
    return jnp.sum(q**2) + jnp.sum(-4 * x[:-1] + 3)


@smooth("tridia_50", [1] * 50, 0)
def _(x):
    return (x[0] - 1) ** 2 + jnp.sum(_index(x.size)[1:] * (2 * x[1:] - x[:-1]) ** 2)


@smooth("nondia_50", [-1] * 50, 0)
def _(x):
    return (x[0] - 1) ** 2 + 100 * jnp.sum((x[0] - x[:-1] ** 2) ** 2)


@smooth("power_50", [1] * 50, 0)
def _(x):
    return jnp.sum(_index(x.size) * x**2) ** 2


@smooth("raydan_50", [1] * 50, 127.5)
def _(x):
    return jnp.sum(_index(x.size) / 10 * (jnp.exp(x) - x))


# --- Wide scales, singular Hessians, plateaus -------------------------------------------------


def _quadratic(condition, n=50):
    rng = np.random.default_rng(n)
    q = np.linalg.qr(rng.normal(size=(n, n)))[0]
    a = (q * np.logspace(0, np.log10(condition), n)) @ q.T

    def fun(x):
        return 0.5 * jnp.vdot(x, jnp.asarray((a + a.T) / 2) @ x)

    smooth(f"quadratic_{condition:.0e}", rng.normal(size=n), 0)(fun)


for _c in (1e2, 1e4, 1e6, 1e8):
    _quadratic(_c)


@smooth("diagonal_1e8", [1] * 20, 0)
def _(x):
    return 0.5 * jnp.sum(jnp.logspace(-4, 4, x.size) * x**2)


@smooth("rosenbrock_wide_scales", [-1.2e4, 1e-4], 0)
def _(x):
    a, b = x[0] * 1e-4, x[1] * 1e4
    return 100 * (b - a**2) ** 2 + (1 - a) ** 2


@smooth("rosenbrock_steep", [-1.2, 1], 0)
def _(x):
    return 1e6 * (x[1] - x[0] ** 2) ** 2 + (1 - x[0]) ** 2


@smooth("rosenbrock_tiny", [-1.2, 1], 0)
def _(x):
    return 1e-9 * (100 * (x[1] - x[0] ** 2) ** 2 + (1 - x[0]) ** 2)


@smooth("rosenbrock_lifted", [-1.2, 1], 1e4)
def _(x):
    return 1e4 + 100 * (x[1] - x[0] ** 2) ** 2 + (1 - x[0]) ** 2


@smooth("quartic_20", [1] * 20, 0)
def _(x):
    return jnp.sum(_index(x.size) * x**4)


@smooth("singular_sixth_power", [2, -1, 3], 0)
def _(x):
    return (x[0] + x[1] + x[2]) ** 2 + (x[0] - x[1]) ** 6 + (x[1] - x[2]) ** 4


@smooth("plateau_tanh", [4, 4], -2)
def _(x):
    return -jnp.sum(1 / jnp.cosh(x) ** 2) + 1e-4 * jnp.sum(x**2)


@smooth("plateau_gaussian", [2.5, 1.5, 2], -1)
def _(x):
    return -jnp.exp(-jnp.sum(x**2))


@smooth("pseudo_huber", [1e4, -1e3, 1e2], 0)
def _(x):
    return jnp.sum(jnp.sqrt(1 + x**2) - 1)


# --- Overflow and walls -----------------------------------------------------------------------


@smooth("exponential_steep", [10, 8, 5], 3)
def _(x):
    return jnp.sum(jnp.exp(x) - x)


@smooth("exponential_50x", [0, 0], 2 * (1 + np.log(50)) / 50)
def _(x):
    return jnp.sum(jnp.exp(50 * x) / 1.0 - x)


@smooth("exponential_overflow", [1, 1], 2 * np.e)
def _(x):
    return jnp.sum(jnp.exp(jnp.exp(x**2)))


@smooth("exponential_mixed", [-8, 3, 0.5], 3.5)
def _(x):
    k = jnp.array([1.0, 10.0, 100.0])
    return jnp.sum(jnp.cosh(k * (x - 1) / 4)) + 0.5 * jnp.sum(jnp.tanh(x[:1] - 1) ** 2 + 1)


@smooth("poisson_regression", [0] * 5, -61.1338450836618)
def _(x):
    rng = np.random.default_rng(0)
    a = rng.normal(size=(60, 5)) * np.array([1, 3, 10, 1, 30])
    y = rng.poisson(np.exp(np.clip(a @ np.array([0.5, -0.2, 0.05, 1, 0.02]), -5, 3)))
    z = jnp.asarray(a) @ x
    return jnp.sum(jnp.exp(z) - jnp.asarray(y, x.dtype) * z)


@smooth("logistic_wide", [0] * 6, 17.21182548623355)
def _(x):
    rng = np.random.default_rng(1)
    a = rng.normal(size=(80, 6)) * np.logspace(-2, 2, 6)
    y = np.sign(a @ (rng.normal(size=6) / np.logspace(-2, 2, 6)) + 0.5 * rng.normal(size=80))
    return jnp.sum(jnp.logaddexp(0.0, -jnp.asarray(y) * (jnp.asarray(a) @ x))) + 1e-3 * jnp.sum(
        x**2
    )


@smooth("log_barrier", [0.1] * 10, -144.89129188779)
def _(x):
    rng = np.random.default_rng(2)
    a = jnp.asarray(rng.normal(size=(30, 10)))
    return 10 * jnp.sum(x * jnp.asarray(rng.normal(size=10))) - jnp.sum(jnp.log(3 - a @ x))


@smooth("entropy", [1e-6] * 10, -10 * np.exp(-1))
def _(x):
    return jnp.sum(x * jnp.log(x))


@smooth("log_likelihood_normal", [0, 0], 53.67461783335275)
def _(x):
    y = jnp.asarray(np.random.default_rng(3).normal(50, 2, size=40))
    return jnp.sum(0.5 * ((y - x[0]) * jnp.exp(-x[1])) ** 2 + x[1])


@smooth("reciprocal_wall", [1e-3, 5], 4)
def _(x):
    return jnp.sum(jnp.where(x > 0, x + 1 / jnp.where(x > 0, x, 1), jnp.nan))


def evaluations(problem: Problem) -> Callable:
    """A compiled `x -> (value, gradient)`."""
    return jax.jit(jax.value_and_grad(problem.fun))
