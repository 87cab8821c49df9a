import math

import hypothesis
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import strategies as st

from steepest.core.errors import FormulaError, UsageError
from steepest.functions import function, symbolic
from steepest.functions.numeric import FUNCTIONS, to_jax
from steepest.functions.parse import parse
from steepest.functions.vocabulary import FUNCTIONS as VOCABULARY

INDEPENDENT = {
    "asin": math.asin, "acos": math.acos, "atan": math.atan, "ln": math.log, "log": math.log,
    "abs": math.fabs, "sign": lambda x: math.copysign(1.0, x), "step": lambda x: float(x > 0),
    "min": min, "max": max, "cbrt": lambda x: math.copysign(abs(x) ** (1 / 3), x),
    "sigmoid": lambda x: 1 / (1 + math.exp(-x)), "relu": lambda x: max(0.0, x),
    "softplus": lambda x: math.log(1 + math.exp(x)),
}  # fmt: skip


def test_the_tables_name_the_same_functions():
    assert set(VOCABULARY) == set(FUNCTIONS) == set(symbolic.FUNCTIONS)


@pytest.mark.parametrize("name", sorted(VOCABULARY))
def test_each_function_against_the_standard_library(name, x64):
    oracle = INDEPENDENT.get(name) or getattr(math, name)
    two = VOCABULARY[name].least == 2
    f = function(f"{name}(x, y)" if two else f"{name}(x)")
    for x in (0.37, 0.81, 1.9) if name in ("acosh",) else (0.37, 0.81, -0.45, 0.05):
        if name == "acosh":
            x = 1 + x
        if name in ("ln", "log", "log2", "log10", "sqrt") and x < 0:
            continue
        arguments = (x, 0.6) if two else (x,)
        assert float(f(jnp.array(arguments))) == pytest.approx(oracle(*arguments), rel=1e-13)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
def test_the_dtype_is_that_of_the_vector(dtype, x64):
    f = function("sum(i=1..n, i*x[i]^2/3) + 0.1*pi*exp(x[1]) + x[1]^n + prod(i=1..n, x[i]^i)", 3)
    w = jnp.array([1.0, 2.0, 3.0], dtype)
    for of in (f, jax.grad(f), jax.hessian(f)):
        assert jax.eval_shape(of, w).dtype == jax.eval_shape(jax.vmap(of), w[None]).dtype == dtype


def test_a_literal_beyond_float32_is_infinite_without_a_warning():
    assert float(function("1e200*x")(jnp.array([1.0], jnp.float32))) == np.inf


def rosenbrock(x):
    return sum(100 * (x[i + 1] - x[i] ** 2) ** 2 + (1 - x[i]) ** 2 for i in range(len(x) - 1))


SUMS = {
    "sum(i=1..n-1, 100*(x[i+1]-x[i]^2)^2 + (1-x[i])^2)": rosenbrock,
    "sum(i=1..n, sum(j=1..i, x[j])^2)": lambda x: sum(sum(x[: i + 1]) ** 2 for i in range(len(x))),
    "sum(i=1..n, sum(j=1..n, x[j]*i - j)^2)": lambda x: sum(
        sum(x[j] * (i + 1) - (j + 1) for j in range(len(x))) ** 2 for i in range(len(x))
    ),
    "sum(i=1..n, prod(j=1..i, x[j] + i))": lambda x: sum(
        math.prod(x[j] + i + 1 for j in range(i + 1)) for i in range(len(x))
    ),
    "sum(i=1..n, prod(j=1..n, x[j] + i))": lambda x: sum(
        math.prod(x[j] + i + 1 for j in range(len(x))) for i in range(len(x))
    ),
    "prod(i=1..n, x[n+1-i]/i)": lambda x: math.prod(
        x[len(x) - 1 - i] / (i + 1) for i in range(len(x))
    ),
    "sum(i=1..n/2, x[2*i]*x[2i-1])": lambda x: sum(
        x[2 * i + 1] * x[2 * i] for i in range(len(x) // 2)
    ),
    "sum(i=1..n, x[1])": lambda x: len(x) * x[0],
    "sum(i=1..n, 3) + x[1]": lambda x: 3 * len(x) + x[0],
    "sum(i=5..4, x[i]) + x[2]": lambda x: x[1],
    "prod(i=5..4, x[i]) + x[2]": lambda x: 1 + x[1],
    "sum(i=1..n, sum(j=i+1..n, x[i]*x[j]))": lambda x: sum(
        x[i] * x[j] for i in range(len(x)) for j in range(i + 1, len(x))
    ),
    "x1*x[2] + x[n]": lambda x: x[0] * x[1] + x[-1],
    "sum(i=1..n, |x[i]|^i)": lambda x: sum(abs(v) ** (i + 1) for i, v in enumerate(x)),
    "sum(i=0..n-1, cos(i*x[n-i]))": lambda x: sum(
        math.cos(i * x[len(x) - 1 - i]) for i in range(len(x))
    ),
    "sum(i=1..2, sum(j=1..2, sum(k=1..j, x[i+j-k]*k)))": lambda x: sum(
        x[i + j - k - 1] * k for i in (1, 2) for j in (1, 2) for k in range(1, j + 1)
    ),
}


@pytest.mark.parametrize("text", SUMS)
def test_sums_against_loops(text, x64):
    x = np.random.default_rng(0).normal(size=6)
    f, oracle = function(text, 6), SUMS[text]
    w = jnp.asarray(x)
    values, gradients = jax.jit(jax.vmap(jax.value_and_grad(f)))(jnp.stack([w, -w]))
    assert float(values[0]) == pytest.approx(oracle(list(x)), rel=1e-12)
    assert float(values[1]) == pytest.approx(oracle(list(-x)), rel=1e-12)
    eps = 1e-6
    slope = [(oracle(list(x + eps * e)) - oracle(list(x - eps * e))) / (2 * eps) for e in np.eye(6)]
    np.testing.assert_allclose(gradients[0], slope, rtol=1e-6, atol=1e-6)


def test_sums_are_array_code_whatever_their_length():
    sizes = []
    for n in (10, 1000):
        f = function("sum(i=1..n-1, 100*(x[i+1]-x[i]^2)^2 + (1-x[i])^2)", n)
        jaxpr = jax.make_jaxpr(f)(jnp.ones(n))
        sizes.append(len(jaxpr.eqns))
        assert "gather" not in str(jaxpr)
    assert sizes[0] == sizes[1] < 20


def test_kinks_have_derivative_zero(x64):
    for text in ("|x|", "relu(x)", "sqrt(x^2 + y^2)", "(x^2+y^2)^0.5", "sqrt(sum(i=1..2, x[i]^2))"):
        f = function(text)
        gradient = jax.grad(f)(jnp.zeros(f.dimensions))
        assert np.array_equal(gradient, np.zeros(f.dimensions)), text


def test_powers_at_zero_and_of_negative_numbers(x64):
    assert float(jax.grad(function("x^2"))(jnp.array([0.0]))[0]) == 0
    assert float(jax.grad(function("x^3"))(jnp.array([-2.0]))[0]) == 12
    assert float(function("(-x)^3")(jnp.array([2.0]))) == -8
    assert float(function("x^-2")(jnp.array([-2.0]))) == 0.25
    assert np.isnan(float(function("x^0.5")(jnp.array([-1.0]))))


PIECES = [
    "x", "y", "x^2", "1/x", "ln(y)", "exp(x)", "sqrt(x)", "0", "2", "pi", "e", "x^y", "|y|", "0^0",
    "1/0", "ln(0)", "max(x,y)", "sum(i=1..3, i*x)", "floor(x)", "atan2(y,x)", "x^-3", "1e200",
]  # fmt: skip


@hypothesis.settings(max_examples=30, deadline=None, derandomize=True)
@hypothesis.given(
    st.lists(st.sampled_from(PIECES), min_size=1, max_size=4),
    st.lists(st.sampled_from(["+", "-", "*", "/", "^"]), min_size=3, max_size=3),
    st.lists(st.sampled_from([0.0, -1.0, 2.5, 1e30, np.inf, np.nan]), min_size=2, max_size=2),
)
def test_whatever_is_read_evaluates_without_an_exception(pieces, operators, point):
    text = pieces[0] + "".join(o + p for o, p in zip(operators, pieces[1:], strict=False))
    try:
        f = function(text)
    except FormulaError:
        return
    w = jnp.asarray(point[: f.dimensions], jnp.float32)
    value, gradient = jax.jit(jax.value_and_grad(f))(w)
    assert value.shape == ()
    assert gradient.shape == w.shape


def test_the_vector_must_fit():
    f = function("x + y")
    with pytest.raises(UsageError, match=r"w must have shape \(2,\).* x, y, got \(3,\)"):
        f(jnp.zeros(3))
    with pytest.raises(UsageError, match=r"jax\.vmap"):
        f(jnp.zeros((4, 2)))
    assert float(f([1, 2])) == 3.0
    assert f(np.array([1, 2])).dtype == jnp.float32


def test_to_jax_takes_the_order_of_the_names():
    tree = parse("x - y")
    assert float(to_jax(tree, ("y", "x"))(jnp.array([1.0, 5.0]))) == 4.0
