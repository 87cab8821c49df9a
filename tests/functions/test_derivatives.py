import threading
import time

import pytest

from steepest.core.errors import UsageError
from steepest.functions import SURFACES, check, differentiate, function, parse
from steepest.functions.derivatives import Derivatives
from steepest.functions.notation import to_text

WRITTEN = {
    "x^2 + x*y + y^2": ["2x + y", "x + 2y"],
    "0.26(x^2 + y^2) - 0.48 x y": ["0.52x - 0.48y", "-0.48x + 0.52y"],
    "x^3/3 - x": ["x^2 - 1"],
    "1/2 x^2 y": ["x*y", "x^2/2"],
    "-x^2/(2y)": ["-x/y", "x^2/(2y^2)"],
    "ln(x)": ["1/x"],
    "e^(2x)": ["2e^(2x)"],
    "exp(2x)": ["2exp(2x)"],
    "log(x)*x": ["log(x) + 1"],
    "ln(x)*x": ["ln(x) + 1"],
    "|x|": ["sign(x)"],
    "relu(x)": ["step(x)"],
    "softplus(x)": ["sigmoid(x)"],
    "sigmoid(x)": ["(1 - sigmoid(x))*sigmoid(x)"],
    "max(x, y)": ["step(x - y)", "step(-x + y)"],
    "sqrt(x)": ["1/(2sqrt(x))"],
    "floor(x)*x": ["floor(x)"],
    "atan(x)": ["1/(x^2 + 1)"],
    "pi*x": ["pi"],
    "sum(i=1..3, i*x[i]^2)": ["2x1", "4x2", "6x3"],
    "prod(i=1..3, x[i])": ["x2*x3", "x1*x3", "x1*x2"],
}


@pytest.mark.parametrize("text", WRITTEN)
def test_partial_derivatives_in_the_notation_of_the_formula(text):
    found = differentiate(text, time_limit=60)
    assert [to_text(p, implicit=True) for p in found.partials] == WRITTEN[text]
    assert [parse(t) for t in found.texts()] == [parse(t) for t in WRITTEN[text]]
    assert found.note == ""


MORE = [
    "x^y", "atan2(y, x)", "cbrt(x)*y", "tanh(x)*erf(y)", "sinh(x)/cosh(y)", "asin(x/3)*acos(y/3)",
    "asinh(x) + acosh(y + 4) + atanh(x/3)", "log10(x+3) + log2(y+3) + log1p(x+2) + expm1(y)",
    "min(x, y, x*y)", "max(x^2, y, 1)*|x - y|", "sign(x)*ceil(y)*x*y", "step(x)*y^2", "tan(x/3)",
    "1/(1 + e^(-x*y))", "x^2.5 + 0.1^x",
]  # fmt: skip


# Of the catalogue each fourth by default; all of it among the long tests.
SAMPLED = [
    t if i % 4 == 0 else pytest.param(t, marks=pytest.mark.slow) for i, t in enumerate(SURFACES)
]


@pytest.mark.parametrize("text", [*WRITTEN, *MORE, *SAMPLED])
def test_symbolic_derivatives_agree_with_jax(text):
    result = check(text, differentiate(text, time_limit=0.5))
    assert result.points >= 3
    assert result.agrees, result


def test_a_wrong_derivative_does_not_agree():
    f = function("x^2*y")
    right = differentiate(f)
    wrong = Derivatives(f.variables, (parse("2x*y"), parse("x^2 + 0.001y")), right.hessian)
    assert check(f, right).agrees
    assert not check(f, wrong).agrees
    hessian = ((parse("2y"), parse("2x")), (parse("2x"), parse("x")))
    wrong = Derivatives(f.variables, right.partials, hessian)
    assert not check(f, wrong).agrees
    assert not check(f, Derivatives(f.variables)).agrees


def test_too_many_variables_are_not_written_out():
    found = differentiate(function("rosenbrock", 1000))
    assert found.partials == ()
    assert "1000 variables" in found.note
    assert "too many terms" in differentiate("sum(i=1..1000, sin(i*x))").note


# Their simplification takes SymPy minutes.
ENDLESS = (
    "prod(i=1..10, sin(x^i + cos(i*x*y))^i + exp(x/(1 + y^i)))"
    " + prod(i=1..10, ln(2 + x^2 + sqrt(1 + y^2 + i)))"
)


@pytest.mark.parametrize("thread", [False, True], ids=["main thread", "another thread"])
def test_work_that_takes_too_long_is_given_up(thread):
    differentiate("x")  # imports
    found = []

    def work():
        start = time.perf_counter()
        found.append(differentiate(ENDLESS, time_limit=0.3))
        found.append(time.perf_counter() - start)

    if thread:
        other = threading.Thread(target=work)
        other.start()
        other.join(30)
    else:
        work()
    assert "given up after 0.3 s" in found[0].note
    assert found[1] < 3
    deadline = time.time() + 10
    while time.time() < deadline and _workers():
        time.sleep(0.05)
    assert not _workers()


def _workers():
    return [t for t in threading.enumerate() if t.name == "steepest-symbolic"]


def test_what_was_found_in_time_is_kept():
    found = differentiate(ENDLESS, time_limit=0.5)
    if found.partials:  # as far as it got, it is right
        assert check(ENDLESS, found, tolerance=1e-6).agrees
    with pytest.raises(UsageError, match="time_limit must be above 0"):
        differentiate("x", time_limit=0)
