import json

import pytest

from steepest.cli import app

COMMANDS = {
    **app.COMMANDS,
    "explain": app.Command("Functions", "Explain a function."),
    "functions": app.Command("Functions", "List the test functions."),
}


@pytest.fixture
def steepest(capsys):
    def call(*arguments):
        code = app.run(arguments, COMMANDS)
        out = capsys.readouterr()
        return code, out.out, out.err

    return call


def test_the_bowl(steepest):
    code, out, _ = steepest("explain", "x^2 + x*y + y^2")
    assert code == 0
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert "f(x, y) = x^2 + x*y + y^2" in lines
    assert "∂f/∂x 2x + y" in lines
    assert "∂f/∂y x + 2y" in lines
    assert "eigenvalues of the Hessian 1, 3 (everywhere)" in lines
    assert "0 0 0 minimum" in lines
    assert "gradient descent, largest stable 2 / l_max 0.6667 (2/3)" in lines
    assert "gradient descent, best fixed 2 / (l_min + l_max) 0.5" in lines
    assert "heavy ball 0.9, largest stable 2 (1 + b) / l_max 1.267 (19/15)" in lines


def test_one_json_object(steepest):
    code, out, _ = steepest("explain", "x^2 + x*y + y^2", "--at", "1,2", "--json")
    assert code == 0
    data = json.loads(out)
    assert data["partial_derivatives"] == {"x": "2*x + y", "y": "x + 2*y"}
    assert data["point"] == {"x": 1, "y": 2}
    assert data["gradient"] == {"x": 4, "y": 5}
    assert data["eigenvalues"] == pytest.approx([1, 3])


def test_latex_and_exact_coordinates(steepest):
    code, out, err = steepest("explain", "x^4/4 - x^2", "--latex")
    assert code == 0
    assert r"\frac{x^{4}}{4} - x^{2}" in out
    assert "1.414 = sqrt(2)" in out
    assert "Checked against JAX's derivatives" in err


def test_where_there_is_no_critical_point(steepest):
    _, out, err = steepest("explain", "x + y")
    assert "Critical points: none." in out
    assert "the gradient vanishes nowhere" in err
    _, out, err = steepest("explain", "1/x")
    assert "No critical point found." in out
    assert "there may be others" in err


def test_many_variables(steepest):
    code, out, err = steepest("explain", "trid", "--dimensions", "12")
    assert code == 0
    assert "12 variables are too many to write the derivatives out." in err
    assert "(12 values)" in out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["explain", "x + sinn(x)"], "Did you mean `sin`?"),
        (["explain", "x^2", "--at", "1,2"], "--at"),
        (["explain", "sum(i=1..n, x[i])"], "--dimensions 10"),
        (["explain", "ln(x)", "--at", "-1"], "not finite at x = -1"),
        (["explain", "x", "--momentum", "2"], "momentum must be"),
        (["functions", "rosenbrok"], "did you mean 'rosenbrock'?"),
        (["functions", "--dimensions", "3"], "goes with NAME"),
    ],
)
def test_what_cannot_be_explained(steepest, arguments, words):
    code, out, err = steepest(*arguments)
    assert code == 2
    assert out == ""
    assert words in err


def test_the_caret_stands_under_the_column(steepest):
    _, _, err = steepest("explain", "x + sinn(x)")
    shown, caret = err.splitlines()[1:3]
    assert shown[caret.index("^") :].startswith("sinn")


def test_functions_are_listed(steepest):
    from steepest.functions import SURFACES

    code, out, _ = steepest("functions")
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()[1:]] == list(SURFACES)
    code, out, _ = steepest("functions", "--json")
    listed = json.loads(out)["functions"]
    assert [f["name"] for f in listed] == list(SURFACES)
    assert all({"formula", "bounds", "minima", "reference", "variables"} <= set(f) for f in listed)


def test_one_function(steepest):
    code, out, _ = steepest("functions", "rosenbrock", "--dimensions", "3")
    assert code == 0
    assert "sum(i=1..n-1, 100*(x[i+1] - x[i]^2)^2 + (1 - x[i])^2)" in out
    assert "0 at (1, 1, 1)" in out
    assert "Moré" in out
    code, out, _ = steepest("functions", "Himmelblau", "--json")
    assert len(json.loads(out)["minima"]) == 4
