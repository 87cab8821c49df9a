import csv
import json

import numpy as np
import pytest

from steepest.cli import app

BOWL = "x^2 + x*y + y^2"


@pytest.fixture
def steepest(capsys):
    def call(*arguments):
        code = app.run(arguments)
        out = capsys.readouterr()
        return code, out.out, out.err

    return call


def words(text):
    return [" ".join(line.split()) for line in text.splitlines()]


def test_the_path_the_end_and_the_reason(steepest):
    code, out, _ = steepest("minimize", BOWL, "--start", "3,-2", "--learning-rate", "0.1")
    lines = words(out)
    assert code == 0
    assert lines[0] == "f(x, y) = x^2 + x*y + y^2"
    assert "0 3 -2 7 4.1231" in lines
    # One step by hand: x - 0.1 (2x + y), y - 0.1 (x + 2y).
    assert any(line.startswith("1 2.6 -1.9 5.43 ") for line in lines)
    assert "..." in lines
    assert any(line.startswith("Ended at x = ") and line.endswith(": a minimum.") for line in lines)
    assert any(line.startswith("Converged at step 187: the gradient norm") for line in lines)


def test_json_has_all_keys(steepest):
    code, out, _ = steepest("minimize", BOWL, "--start", "3,-2", "--json")
    data = json.loads(out)
    assert code == 0
    assert set(data) >= {
        "outcome", "message", "x", "fun", "steps", "gradient_norm", "evaluations",
    }  # fmt: skip
    assert data["outcome"] == "converged"
    assert data["kind"] == "minimum"
    assert set(data["x"]) == {"x", "y"}
    assert abs(data["x"]["x"]) < 1e-8
    assert data["evaluations"] >= data["steps"] > 0


def test_a_rate_above_the_limit_ends_with_3_and_says_so(steepest):
    code, out, _ = steepest("minimize", BOWL, "--start", "3,-2", "--learning-rate", "0.7")
    assert code == 3
    assert "Diverged at step 109" in out
    assert "0.7 exceeds the stable limit 0.667" in out
    code, out, _ = steepest("minimize", BOWL, "--start", "3,-2", "--learning-rate", "0.7", "--json")
    data = json.loads(out)
    assert code == 3
    assert data["outcome"] == "diverged"
    assert "0.667" in data["message"]
    assert data["stable_limit"] == pytest.approx(2 / 3)
    assert data["fun"] < 7


def test_automatic_rate_and_settings(steepest):
    code, out, _ = steepest(
        "minimize", BOWL, "--start", "3,-2", "--optimizer", "momentum", "--learning-rate", "auto",
        "--momentum", "0.5", "--set", "nesterov=1", "--json",
    )  # fmt: skip
    assert code == 2
    code, out, _ = steepest(
        "minimize", BOWL, "--start", "3,-2", "--learning-rate", "auto", "--json"
    )
    assert "0.5" in json.loads(out)["optimizer"]


def test_bounds_and_the_kind_of_point_there(steepest):
    code, out, _ = steepest(
        "minimize", BOWL, "--start", "3,2", "--bounds", "1:4,-3:4", "--json"
    )  # fmt: skip
    data = json.loads(out)
    assert code == 0
    assert data["x"] == pytest.approx({"x": 1, "y": -0.5})
    assert data["fun"] == pytest.approx(0.75)
    assert data["kind"] == "minimum on the bounds"


def test_a_saddle_is_called_one(steepest):
    code, out, _ = steepest(
        "minimize", "x^2 - y^2", "--start", "1,0", "--learning-rate", "0.1", "--json"
    )
    assert code == 0
    assert json.loads(out)["kind"] == "saddle"


@pytest.mark.parametrize(("arguments", "words"), [
    (["x^2 - y^2 + y^4", "--start", "1,0", "--optimizer", "gd"], "ended at a saddle"),
    ([BOWL, "--start", "3,-2", "--learning-rate", "1e-4", "--max-steps", "100"],
     "Try --learning-rate 0.33"),
    ([BOWL, "--start", "3,-2", "--learning-rate", "0.7"], "since this is a quadratic). Try"),
])  # fmt: skip
def test_a_line_of_diagnosis_where_something_is_wrong(steepest, arguments, words):
    _, out, _ = steepest("minimize", *arguments)
    assert words in out
    _, out, _ = steepest("minimize", *arguments, "--json")
    assert json.loads(out)["findings"][0]["sentence"]


def test_a_good_descent_is_not_diagnosed(steepest):
    _, out, _ = steepest("minimize", BOWL, "--start", "3,-2", "--json")
    assert json.loads(out)["findings"] == []


def test_many_starts(steepest):
    code, out, _ = steepest("minimize", "himmelblau", "--starts", "40", "--json")
    data = json.loads(out)
    assert code == 0
    assert data["starts"] == data["converged"] == 40
    assert [m["fun"] for m in data["minima"]] == pytest.approx([0] * 4, abs=1e-12)
    assert sum(m["count"] for m in data["minima"]) == 40
    code, out, _ = steepest("minimize", "himmelblau", "--starts", "40")
    assert "4 distinct minima from 40 starts" in out


def test_csv_is_the_path(steepest, tmp_path):
    file = tmp_path / "path.csv"
    code, _, _ = steepest(
        "minimize", BOWL, "--start", "3,-2", "--learning-rate", "0.1", "--max-steps", "5",
        "--csv", file.as_posix(),
    )  # fmt: skip
    assert code == 0
    rows = list(csv.DictReader(file.read_text().splitlines()))
    assert [row["step"] for row in rows] == ["0", "1", "2", "3", "4", "5"]
    a = np.array([[2.0, 1.0], [1.0, 2.0]])
    w = np.array([3.0, -2.0])
    for row in rows:
        assert [float(row["x"]), float(row["y"])] == pytest.approx(w.tolist())
        assert float(row["f"]) == pytest.approx(0.5 * w @ a @ w)
        assert float(row["gradient_norm"]) == pytest.approx(np.linalg.norm(a @ w))
        w = w - 0.1 * a @ w


@pytest.mark.parametrize(
    ("option", "name", "begins"),
    [
        ("--plot", "a.png", b"\x89PNG"),
        ("--plot", "a.svg", b"<?xml"),
        ("--surface", "b.png", b"\x89PNG"),
        ("--animate", "c.gif", b"GIF8"),
    ],
)
def test_pictures_are_made(steepest, tmp_path, option, name, begins):
    file = tmp_path / name
    code, _, err = steepest(
        "minimize", BOWL, "--start", "3,-2", "--learning-rate", "0.3", "--max-steps", "6",
        option, file.as_posix(),
    )  # fmt: skip
    assert code == 0, err
    assert file.read_bytes().startswith(begins)


def test_a_picture_of_one_variable_and_of_a_diverging_run(steepest, tmp_path):
    file = tmp_path / "a.png"
    code, _, _ = steepest("minimize", "x^4 - x^2", "--start", "2", "--plot", file.as_posix())
    assert code == 0
    assert file.stat().st_size > 1000
    file = tmp_path / "b.png"
    code, _, _ = steepest(
        "minimize", BOWL, "--start", "3,-2", "--learning-rate", "0.7", "--plot", file.as_posix()
    )
    assert code == 3
    assert file.stat().st_size > 1000


def test_a_python_function(steepest, tmp_path, monkeypatch):
    (tmp_path / "my_functions_here.py").write_text(
        "import jax.numpy as jnp\ndef f(x):\n    return jnp.sum((x - 1) ** 2)\nn = 3\n"
    )
    monkeypatch.chdir(tmp_path)
    code, out, _ = steepest("minimize", "my_functions_here:f", "--start", "0,0,0", "--json")
    assert code == 0
    assert json.loads(out)["x"] == pytest.approx({"x1": 1, "x2": 1, "x3": 1})
    code, _, err = steepest("minimize", "my_functions_here:f")
    assert code == 2
    assert "--start is missing" in err
    code, _, err = steepest("minimize", "my_functions_here:n", "--start", "1")
    assert code == 2
    assert "is not a function" in err
    code, _, err = steepest("minimize", "my_functions_here:g", "--start", "1")
    assert code == 2
    assert "has no function 'g'" in err
    code, _, err = steepest("minimize", "no_such_module_here:g", "--start", "1")
    assert code == 2
    assert "no module 'no_such_module_here'" in err


def test_many_variables(steepest):
    code, out, _ = steepest("minimize", "rosenbrock", "--dimensions", "60", "--json")
    data = json.loads(out)
    assert code == 0
    assert len(data["x"]) == 60
    assert data["outcome"] == "converged"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("sinn(x)",), "did you mean"),
        ((BOWL, "--start", "1"), "--start"),
        ((BOWL, "--optimizer", "adm"), "did you mean 'adam'"),
        ((BOWL, "--learning-rate", "fast"), "--learning-rate"),
        ((BOWL, "--learning-rate", "-1"), "learning_rate must be above 0"),
        ((BOWL, "--starts", "5"), "--starts draws from --bounds"),
        ((BOWL, "--bounds", "0:1,0:1,0:1"), "holds 3 intervals"),
        (("x^2 + y^2 + z^2", "--plot", "a.png"), "one or two variables"),
        (("x^2", "--surface", "a.png"), "--surface draws two variables"),
        (("himmelblau", "--starts", "3", "--plot", "a.png"), "leave out --starts"),
        (("sphere", "--dimensions", "60", "--csv", "a.csv"), "up to 50 variables"),
    ],
)
def test_refusals(steepest, arguments, message):
    code, out, err = steepest("minimize", *arguments)
    assert code == 2
    assert message.lower() in " ".join(err.split()).lower()
    assert out == ""


def test_a_function_that_only_numpy_can_compute(steepest, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "plain_numpy.py").write_text(
        "import numpy as np\ndef f(x):\n    return float(np.sum(np.cosh(np.asarray(x) - 1)))\n"
    )
    ask = ["minimize", "plain_numpy:f", "--start", "2,0.5", "--learning-rate", "0.5", "--json"]
    code, _, err = steepest(*ask)
    assert code == 2
    assert "--gradient finite-difference" in " ".join(err.split())
    code, out, _ = steepest(
        *ask, "--gradient", "finite-difference", "--tolerance", "1e-6", "--plot", "values.png"
    )
    found = json.loads(out)
    assert code == 0
    np.testing.assert_allclose(list(found["x"].values()), 1, atol=1e-5)
    assert found["kind"] is None  # differences of differences tell no curvature
    assert (tmp_path / "values.png").stat().st_size > 10_000
