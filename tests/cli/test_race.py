import json

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


def race(steepest, *arguments):
    code, out, err = steepest("race", BOWL, "--start", "3,-2", "--json", *arguments)
    assert code == 0, err
    return {row["optimizer"]: row for row in json.loads(out)["ranking"]}


def test_tuned_each_has_its_own_rate(steepest):
    rows = race(steepest, "--optimizers", "gd,lbfgs", "--tune", "--max-steps", "500")
    assert rows["gd"]["learning_rate"] == pytest.approx(0.5, rel=0.06)
    assert rows["gd"]["tuned"]
    assert rows["lbfgs"]["learning_rate"] is None
    assert [r["rank"] for r in rows.values()] == [1, 2]
    assert next(iter(rows)) == "lbfgs"
    assert all(r["outcome"] == "converged" for r in rows.values())


def test_one_rate_for_all_is_said_to_be_unfair(steepest):
    code, out, err = steepest(
        "race", BOWL, "--start", "3,-2", "--optimizers", "gd, nesterov", "--learning-rate", "0.6",
        "--max-steps", "200",
    )  # fmt: skip
    assert code == 0
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert any(line.startswith("1 gd 0.6 converged") for line in lines)
    assert any(line.startswith("2 nesterov 0.6 diverged") for line in lines)
    assert "--tune gives each its own best" in " ".join((out + err).split())


@pytest.mark.parametrize(("option", "name"), [("--plot", "r.png"), ("--animate", "r.gif")])
def test_pictures(steepest, tmp_path, option, name):
    file = tmp_path / name
    race(steepest, "--optimizers", "gd,lbfgs", "--max-steps", "5", option, file.as_posix())
    assert file.stat().st_size > 1000


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--optimizers", ""), "names nobody"),
        (("--optimizers", "gd,gdd"), "did you mean"),
        (("--tune", "--learning-rate", "1"), "exclude each other"),
    ],
)
def test_refusals(steepest, arguments, message):
    code, _, err = steepest("race", BOWL, *arguments)
    assert code == 2
    assert message in " ".join(err.split())


def test_pictures_need_two_variables(steepest):
    code, _, err = steepest("race", "x^2 + y^2 + z^2", "--plot", "a.png")
    assert code == 2
    assert "two variables" in err
