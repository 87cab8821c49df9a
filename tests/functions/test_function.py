import pickle
import subprocess
import sys

import jax
import jax.numpy as jnp
import pytest

from steepest.core.errors import FormulaError, UsageError
from steepest.functions import SURFACES, Function, function


@pytest.mark.parametrize(
    ("text", "dimensions", "names"),
    [
        ("y + x", None, ("x", "y")),
        ("x10 + x2 + x", None, ("x", "x2", "x10")),
        ("x1^2 + x3", None, ("x1", "x3")),
        ("x1^2 + x3", 4, ("x1", "x2", "x3", "x4")),
        ("x0 + x1", None, ("x0", "x1")),
        ("x[1] + x[3]", None, ("x1", "x2", "x3")),
        ("x[1] + x2", 2, ("x1", "x2")),
        ("sum(i=1..n, w[i]^2)", 3, ("w1", "w2", "w3")),
        ("sum(i=1..4, x[i])", None, ("x1", "x2", "x3", "x4")),
        ("theta + B + a", None, ("B", "a", "theta")),
        ("x + y", 2, ("x", "y")),
        ("x1^n", 2, ("x1", "x2")),
    ],
)
def test_variables_in_order(text, dimensions, names):
    f = function(text, dimensions)
    assert f.variables == names
    assert f.dimensions == len(names)


@pytest.mark.parametrize(
    ("text", "dimensions", "words"),
    [
        ("sum(i=1..n, x[i])", None, "--dimensions"),
        ("x^n", None, "--dimensions"),
        ("5", None, "no variable"),
        ("x + y", 3, "dimensions=3"),
        ("x1 + x5", 3, "x1, x5"),
        ("x[i]", None, "not the index of an enclosing sum"),
        ("x[0]", None, "There is no x[0]"),
        ("sum(i=1..n, x[i+1])", 3, "reaches x[4]"),
        ("sum(i=0..n, x[i])", 3, "reaches x[0]"),
        ("x[1] + y", None, "both x[...] and y"),
        ("x[1] + y[1]", None, "both x[...] and y[...]"),
        ("x[1] + x5", 3, "outside x1 ... x3"),
        ("x[1/2]", 2, "whole number"),
        ("sum(i=1..n/4, x[i])", 6, "whole number"),
        ("x[sin(1)]", 2, "cannot be part of an index"),
        ("x[1/(n-2)]", 2, "divides by 0"),
        ("x[2^(n-9)]", 2, "from 0 to 64"),
        ("x[1] + sum(i=1..x[1], 1)", 2, "cannot be part of an index"),
        ("x", 0, "from 1 to"),
        ("x1", 10**9, "from 1 to"),
        ("rosenbrok", None, "`rosenbrock`"),
        ("gold stein price", None, "`goldstein-price`"),
    ],
)
def test_what_cannot_be_bound(text, dimensions, words):
    with pytest.raises(FormulaError) as caught:
        function(text, dimensions)
    assert words in str(caught.value)


def test_arguments_of_the_wrong_kind():
    with pytest.raises(UsageError, match=r"dimensions must be a whole number, got 2\.5"):
        function("x", 2.5)
    with pytest.raises(UsageError, match="must be text, got int"):
        function(5)


def test_a_function_is_a_static_argument_and_survives_pickle():
    f, g = function("x^2 + 2x"), function("x² + 2·x")
    assert f == g
    assert hash(f) == hash(g)
    assert f != function("x^2")
    traces = 0

    def value(h, w):
        nonlocal traces
        traces += 1
        return h(w)

    compiled = jax.jit(value, static_argnums=0)
    assert float(compiled(f, jnp.ones(1))) == float(compiled(g, jnp.ones(1))) == 3.0
    assert traces == 1
    again = pickle.loads(pickle.dumps(function("rosenbrock", 3)))
    assert isinstance(again, Function)
    assert (again.variables, again.name) == (("x1", "x2", "x3"), "rosenbrock")


def test_text_latex_and_repr():
    f = function("sum(i=1..n-1, (x[i+1] - x[i])^2) + |x1|/2", 3)
    assert f.text == "sum(i=1..n-1, (x[i+1] - x[i])^2) + abs(x1)/2"
    assert f.latex == (
        r"\sum_{i=1}^{n - 1} \left(x_{i + 1} - x_{i}\right)^{2} + \frac{\left|x_{1}\right|}{2}"
    )
    assert repr(f) == "<Function sum(i=1..n-1, (x[i+1] - x[i])^2) + abs(x1)/2 of x1, x2, x3>"
    assert repr(function("sphere", 9)) == "<Function sphere of x1 ... x9>"
    assert function("sin²(theta1) - 2e5*x^-y").latex == (
        r"\sin^{2}\left(\theta_{1}\right) - 2 \cdot 10^{5} x^{-y}"
    )


def test_a_typed_formula_has_no_bounds_and_minima():
    f = function("x^2")
    assert (f.name, f.minima, f.bounds, f.start) == ("", (), None, None)


def test_parsing_loads_neither_jax_nor_sympy():
    code = (
        "import sys; from steepest.functions import function; function('rosenbrock', 5);"
        "print(sorted({'jax', 'sympy', 'scipy'} & set(sys.modules)))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def test_names_are_found_however_they_are_written():
    for name in ("Rosenbrock", "ROSEN", " banana "):
        assert function(name).name == "rosenbrock"
    assert function("three_hump camel").name == "three-hump-camel"
    assert all(function(name).name == name for name in SURFACES)
