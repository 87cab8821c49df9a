"""Further problems for smooth minimisers: CUTE and NIST, likelihoods, barriers, particles.

Sources: Bongartz, Conn, Gould and Toint, "CUTE", ACM TOMS 21 (1995), 123-160, under the names given
there; NIST's "Statistical Reference Datasets" for nonlinear regression, from the first, farther
start. The rest is made: exponentials, walls, saddles at the start, wide scales. Where `least` is
empty, the lowest value that any contender finds counts.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.problems import _index, smooth, squares

# --- CUTE -------------------------------------------------------------------------------------


@smooth("arwhead_100", [1] * 100, 0)
def _(x):
    return jnp.sum((x[:-1] ** 2 + x[-1] ** 2) ** 2 - 4 * x[:-1] + 3)


@smooth("bdqrtic_50", [1] * 50)
def _(x):
    n = x.size - 4
    q = x**2
    tail = q[:n] + 2 * q[1 : n + 1] + 3 * q[2 : n + 2] + 4 * q[3 : n + 3] + 5 * q[-1]
    return jnp.sum((-4 * x[:n] + 3) ** 2 + tail**2)


@smooth("cosine_50", [1] * 50)
def _(x):
    return jnp.sum(jnp.cos(x[:-1] ** 2 - 0.5 * x[1:]))


@smooth("cragglvy_20", [1] + [2] * 19)
def _(x):
    a, b, c, d = x[:-3:2], x[1:-2:2], x[2:-1:2], x[3::2]
    first = (jnp.exp(a) - b) ** 4 + 100 * (b - c) ** 6
    return jnp.sum(first + (jnp.tan(c - d) + c - d) ** 4 + a**8 + (d - 1) ** 2)


@smooth("denschna", [1, 1], 0)
def _(x):
    return x[0] ** 4 + (x[0] + x[1]) ** 2 + jnp.expm1(x[1]) ** 2


@smooth("denschnc", [2, 3], 0)
def _(x):
    a = -2 + x[0] ** 2 + x[1] ** 2
    return a**2 + (-2 + jnp.exp(x[0] - 1) + x[1] ** 3) ** 2


@smooth("denschnd", [10, 10, 10], 0)
def _(x):
    a, b, c = x
    return (a**2 + b**3 - c**4) ** 2 + (2 * a * b * c) ** 2 + (2 * a * b - 3 * b * c + a * c) ** 2


@smooth("denschne", [2, 3, -8])
def _(x):
    return x[0] ** 2 + (x[1] + x[1] ** 2) ** 2 + jnp.expm1(x[2]) ** 2


@smooth("denschnf", [2, 0], 0)
def _(x):
    a = 2 * (x[0] + x[1]) ** 2 + (x[0] - x[1]) ** 2 - 8
    return a**2 + (5 * x[0] ** 2 + (x[1] - 3) ** 2 - 9) ** 2


@smooth("dixmaanl_60", [2] * 60, 1)
def _(x):
    n, m = x.size, x.size // 3
    i = _index(n) / n
    f = 1 + jnp.sum(x**2 * i**2)
    f = f + 0.26 * jnp.sum(i[:-1] ** 2 * x[:-1] ** 2 * (x[1:] + x[1:] ** 2) ** 2)
    f = f + 0.26 * jnp.sum(x[: 2 * m] ** 2 * x[m:] ** 4)
    return f + 0.26 * jnp.sum(i[:m] ** 2 * x[:m] * x[2 * m :])


@smooth("dqrtic_50", [2] * 50, 0)
def _(x):
    return jnp.sum((x - _index(x.size)) ** 4)


@squares("engval2", [1, 2, 0], 0)
def _(x):
    a, b, c = x
    return jnp.stack([
        a**2 + b**2 + c**2 - 1, a**2 + b**2 + (c - 2) ** 2 - 1, a + b + c - 1, a + b - c + 1,
        3 * b**2 + a**3 + (5 * c - a + 1) ** 2 - 36,
    ])  # fmt: skip


@squares("expfit", [0, 0])
def _(x):
    t = 0.25 * _index(10)
    return x[0] * jnp.exp(x[1] * t) - t


@smooth("fletchcr_50", [0] * 50, 0)
def _(x):
    return jnp.sum(100 * (x[1:] - x[:-1] + 1 - x[:-1] ** 2) ** 2)


@smooth("genrose_50", np.arange(1, 51) / 51, 1)
def _(x):
    return 1 + jnp.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (x[1:] - 1) ** 2)


@smooth("hilbert_10", [1] * 10, 0)
def _(x):
    i = _index(x.size)
    return x @ (1 / (i[:, None] + i - 1)) @ x


@smooth("himmelbg", [0.5, 0.5], 0)
def _(x):
    return jnp.exp(-x[0] - x[1]) * (2 * x[0] ** 2 + 3 * x[1] ** 2)


@smooth("liarwhd_50", [4] * 50, 0)
def _(x):
    return jnp.sum(4 * (x**2 - x[0]) ** 2 + (x - 1) ** 2)


@smooth("logros", [-1.2, 1], 0)
def _(x):
    return jnp.log1p(1e4 * (x[1] - x[0] ** 2) ** 2 + (1 - x[0]) ** 2)


@smooth("maratosb", [1.1, 0.1])
def _(x):
    return x[0] + 1e6 * (x[0] ** 2 + x[1] ** 2 - 1) ** 2


@smooth("mexhat", [0.86, 0.72])
def _(x):
    a = (x[1] - x[0] ** 2) ** 2 / 1e4 + (x[0] - 1) ** 2 - 0.02
    return -2 * (x[0] - 1) ** 2 + 1e4 * a**2


@smooth("nondquar_50", [1, -1] * 25, 0)
def _(x):
    ends = (x[0] - x[1]) ** 2 + (x[-2] + x[-1]) ** 2
    return ends + jnp.sum((x[:-2] + x[1:-1] + x[-1]) ** 4)


@smooth("scosine_10", np.exp(-np.linspace(0, 6, 10)))
def _(x):
    z = x * jnp.exp(jnp.linspace(0.0, 6.0, x.size))
    return jnp.sum(jnp.cos(z[:-1] ** 2 - z[1:] / 2))


@smooth("sinquad_50", [0.1] * 50)
def _(x):
    middle = jnp.sin(x[1:-1] - x[-1]) - x[0] ** 2 + x[1:-1] ** 2
    return (x[0] - 1) ** 4 + jnp.sum(middle**2) + (x[-1] ** 2 - x[0] ** 2) ** 2


@smooth("sisser", [1, 0.1], 0)
def _(x):
    return 3 * x[0] ** 4 - 2 * x[0] ** 2 * x[1] ** 2 + 3 * x[1] ** 4


@smooth("tointgss_50", [3] * 50)
def _(x):
    a, b, c = x[:-2], x[1:-1], x[2:]
    return jnp.sum((10 / x.size + c**2) * (2 - jnp.exp(-((a - b) ** 2) / (0.1 + c**2))))


@smooth("tquartic_50", [0.1] * 50, 0)
def _(x):
    return (x[0] - 1) ** 2 + jnp.sum((x[0] ** 2 - x[1:] ** 2) ** 2)


@smooth("woods_40", [-3, -1, -3, -1] * 10, 0)
def _(x):
    a, b, c, d = x.reshape(-1, 4).T
    f = 100 * (b - a**2) ** 2 + (1 - a) ** 2 + 90 * (d - c**2) ** 2 + (1 - c) ** 2
    return jnp.sum(f + 10 * (b + d - 2) ** 2 + (b - d) ** 2 / 10)


# --- NIST ------------------------------------------------------------------------------------


@squares("nist_misra1a", [500, 1e-4])
def _(x):
    y = jnp.array([10.07, 14.73, 17.94, 23.93, 29.61, 35.18, 40.02, 44.82, 50.76, 55.05, 61.01,
                   66.4, 75.47, 81.78])  # fmt: skip
    t = jnp.array([77.6, 114.9, 141.1, 190.8, 239.9, 289, 332.8, 378.4, 434.8, 477.3, 536.8, 593.1,
                   689.1, 760])  # fmt: skip
    return x[0] * -jnp.expm1(-x[1] * t) - y


@squares("nist_boxbod", [100, 0.75])
def _(x):
    y, t = jnp.array([109.0, 149, 149, 191, 213, 224]), jnp.array([1.0, 2, 3, 5, 7, 10])
    return x[0] * -jnp.expm1(-x[1] * t) - y


@squares("nist_rat42", [100, 1, 0.1])
def _(x):
    y = jnp.array([8.93, 10.8, 18.59, 22.33, 39.35, 56.11, 61.73, 64.62, 67.08])
    t = jnp.array([9.0, 14, 21, 28, 42, 57, 63, 70, 79])
    return x[0] / (1 + jnp.exp(x[1] - x[2] * t)) - y


@squares("nist_rat43", [100, 10, 1, 1])
def _(x):
    y = jnp.array([16.08, 33.83, 65.8, 97.2, 191.55, 326.2, 386.87, 520.53, 590.03, 651.92, 724.93,
                   699.56, 689.96, 637.56, 717.41])  # fmt: skip
    return x[0] / (1 + jnp.exp(x[1] - x[2] * _index(15))) ** (1 / x[3]) - y


@squares("nist_mgh09", [25, 39, 41.5, 39])
def _(x):
    y = jnp.array([.1957, .1947, .1735, .16, .0844, .0627, .0456, .0342, .0323, .0235,
                   .0246])  # fmt: skip
    u = jnp.array([4, 2, 1, 0.5, 0.25, 0.167, 0.125, 0.1, 0.0833, 0.0714, 0.0625])
    return y - x[0] * (u**2 + u * x[1]) / (u**2 + u * x[2] + x[3])


# --- Likelihoods, barriers, particles ---------------------------------------------------------


@smooth("poisson_far", [3, -2, 4, 1])
def _(x):
    rng = np.random.default_rng(10)
    a = rng.normal(size=(50, 4)) * [1, 10, 0.1, 3]
    y = jnp.asarray(rng.poisson(2, 50) * 1.0)
    z = jnp.asarray(a) @ x
    return jnp.sum(jnp.exp(z) - y * z)


@smooth("gamma_regression", [0, 0, 0])
def _(x):
    rng = np.random.default_rng(11)
    a = np.c_[np.ones(40), rng.normal(size=(40, 2)) * [1, 20]]
    y = jnp.asarray(rng.gamma(2, np.exp(np.clip(a @ [1, 0.5, -0.05], -4, 4))))
    z = jnp.asarray(a) @ x
    return jnp.sum(y * jnp.exp(-z) + z)


@smooth("weibull", [0, 0])
def _(x):
    t = jnp.asarray(np.random.default_rng(12).weibull(3.0, 60) * 50)
    k, scale = jnp.exp(x[0]), jnp.exp(x[1])
    z = jnp.log(t / scale)
    return -jnp.sum(x[0] - x[1] + (k - 1) * z - jnp.exp(k * z))


@smooth("student_location", [40, 3])
def _(x):
    y = jnp.asarray(np.random.default_rng(13).standard_t(1.5, 30) * 0.3 - 2)
    return jnp.sum(2 * jnp.log1p(((y - x[0]) * jnp.exp(-x[1])) ** 2 / 3) + x[1])


@smooth("mixture", [-1, 1, 0, 0, 0])
def _(x):
    rng = np.random.default_rng(14)
    y = jnp.asarray(np.r_[rng.normal(-3, 0.5, 30), rng.normal(4, 2, 50)])
    share = jnp.stack([jax.nn.log_sigmoid(x[4]), jax.nn.log_sigmoid(-x[4])])
    z = (y[:, None] - x[:2]) * jnp.exp(-x[2:4])
    return -jnp.sum(jax.nn.logsumexp(share - 0.5 * z**2 - x[2:4], axis=1))


@smooth("softmax_regression", [0] * 12)
def _(x):
    rng = np.random.default_rng(15)
    a = rng.normal(size=(60, 4)) * [1, 5, 25, 0.2]
    z = jnp.asarray(a) @ x.reshape(4, 3)
    y = jnp.asarray(np.eye(3)[rng.integers(0, 3, 60)])
    return jnp.sum(jax.nn.logsumexp(z, axis=1) - jnp.sum(y * z, axis=1)) + 1e-4 * jnp.sum(x**2)


@smooth("geometric_program", [1] * 8)
def _(x):
    rng = np.random.default_rng(16)
    a = rng.normal(size=(40, 8)) * 3
    return jnp.sum(jnp.exp(jnp.asarray(np.r_[a, -a]) @ x))


@smooth("log_sum_exp_sharp", [2] * 10)
def _(x):
    rng = np.random.default_rng(17)
    a, b = rng.normal(size=(60, 10)), rng.normal(size=60)
    return jax.nn.logsumexp(100 * (jnp.asarray(a) @ x + jnp.asarray(b))) / 100 + 1e-3 * jnp.sum(
        x**2
    )


@smooth("analytic_centre", [0] * 20)
def _(x):
    a = np.random.default_rng(18).normal(size=(60, 20)) * np.logspace(-2, 2, 20)
    return -jnp.sum(jnp.log(1 - jnp.asarray(a) @ x)) - jnp.sum(jnp.log(100 - x**2))


@smooth("barrier_thin", [0.5, 0.5, 0.5])
def _(x):
    wall = jnp.log(x) + jnp.log(1 - x)
    return jnp.sum(jnp.array([1.0, -1e3, 1e-3]) * x) - 1e-3 * jnp.sum(wall)


@smooth("determinant", [1, 0, 0, 1, 0, 1])
def _(x):
    rng = np.random.default_rng(19)
    c = np.cov(rng.normal(size=(3, 30)) * np.array([[0.1], [1], [30]]))
    rows = jnp.zeros((3, 3)).at[jnp.tril_indices(3)].set(x)
    p = rows @ rows.T
    return jnp.sum(p * jnp.asarray(c)) - jnp.linalg.slogdet(p)[1]


@smooth("lennard_jones_5", np.random.default_rng(20).normal(size=15))
def _(x):
    p = x.reshape(-1, 3)
    i, j = np.triu_indices(5, 1)
    square = jnp.sum((p[i] - p[j]) ** 2, axis=1)
    return jnp.sum(square**-6 - 2 * square**-3) + 0.01 * jnp.sum(p**2)


@smooth("factorization", np.random.default_rng(21).normal(size=40) * 0.1)
def _(x):
    rng = np.random.default_rng(22)
    m = rng.normal(size=(10, 2)) @ rng.normal(size=(2, 10)) * 5
    return jnp.sum((x[:20].reshape(10, 2) @ x[20:].reshape(2, 10) - jnp.asarray(m)) ** 2)


@smooth("phase_retrieval", np.random.default_rng(23).normal(size=10))
def _(x):
    rng = np.random.default_rng(24)
    a, truth = rng.normal(size=(60, 10)), rng.normal(size=10)
    return jnp.mean(((jnp.asarray(a) @ x) ** 2 - jnp.asarray((a @ truth) ** 2)) ** 2)


@smooth("network", np.random.default_rng(25).normal(size=37))
def _(x):
    rng = np.random.default_rng(26)
    a = rng.normal(size=(40, 2)) * 2
    y = jnp.asarray(np.sin(a[:, 0]) * a[:, 1])
    hidden = jnp.tanh(jnp.asarray(a) @ x[:18].reshape(2, 9) + x[18:27])
    return jnp.mean((hidden @ x[27:36] + x[36] - y) ** 2) + 1e-6 * jnp.sum(x**2)


@smooth("exponential_scales", [0] * 6)
def _(x):
    k = jnp.logspace(-2, 3, 6)
    return jnp.sum(jnp.exp(k * (x - 0.3)) / k - x)


@smooth("double_exponential", [3, 1])
def _(x):
    return jnp.exp(jnp.exp(x[0] - x[1])) + (x[0] + x[1] - 5) ** 2 + jnp.exp(-4 * x[1])


@smooth("power_tower", [5, 0.5, 2])
def _(x):
    return jnp.sum(jnp.abs(x - 1) ** 6) + jnp.prod(jnp.cosh(x)) * 1e-3


@smooth("valley_curved", [4, -4], 0)
def _(x):
    return 1e4 * (x[1] - jnp.sin(2 * x[0])) ** 2 + 0.01 * x[0] ** 2


@smooth("valley_helix", [3, 0, 4])
def _(x):
    r = jnp.stack([x[0] - 3 * jnp.cos(x[2]), x[1] - 3 * jnp.sin(x[2])])
    return 1e3 * jnp.sum(r**2) + 0.1 * x[2] ** 2


@smooth("cosh_chain_30", [3] * 30)
def _(x):
    return jnp.sum(jnp.cosh(x[1:] - x[:-1])) + 1e-3 * jnp.sum((x - 1) ** 2)


@smooth("singular_cubic", [1, 2, 3, 4], 0)
def _(x):
    s = jnp.sum(x)
    return s**2 + jnp.sum(jnp.abs(x) ** 3)


@smooth("scaled_quartic", [1] * 10, 0)
def _(x):
    d = jnp.logspace(-3, 3, 10)
    return jnp.sum((d * x) ** 2) + 0.25 * jnp.sum(d * x) ** 4
