"""Formulas that begin with a minus sign are arguments, not options."""

import json

import pytest
import typer

from steepest.cli import app, parser


@pytest.fixture(scope="module")
def params():
    command = typer.main.get_command(parser.build(app.COMMANDS, "steepest.cli", {"minimize"}))
    return command.commands["minimize"].params


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("-x^2 --start -1,2", "--start -1,2 -- -x^2"),
        ("--start -1,2 -x^2+x^4 --json", "--start -1,2 --json -- -x^2+x^4"),
        ("--json -x", "--json -- -x"),
        ("--start=-1 -(x+1)^2", "--start=-1 -- -(x+1)^2"),
        ("-2x", "-- -2x"),
        ("-.5x^2 --max-steps 3", "--max-steps 3 -- -.5x^2"),
        ("--set a=-1 -|x|", "--set a=-1 -- -|x|"),
        # What is clear already, and what is a mistake to be told by the parser, stays as it was.
        ("x^2 --start -1", "x^2 --start -1"),
        ("x^2 -start 3", "x^2 -start 3"),
        ("-- -x^2 --json", "-- -x^2 --json"),
        ("--strat 3,-2 -x", "--strat 3,-2 -x"),
        ("--start", "--start"),
        ("--help", "--help"),
        ("-", "-"),
    ],
)
def test_a_signed_formula_is_set_apart(params, given, meant):
    assert parser.with_formula_apart(given.split(), params) == meant.split()


@pytest.fixture
def steepest(capsys):
    def call(*arguments):
        code = app.run(arguments)
        out = capsys.readouterr()
        return code, out.out, out.err

    return call


def test_minimize_takes_signs_in_formula_and_start(steepest):
    code, out, err = steepest("minimize", "-x^2+x^4+y^2", "--start", "-1,2", "--json")
    assert code == 0, err
    found = json.loads(out)
    assert found["x"]["x"] == pytest.approx(-(0.5**0.5))
    assert found["fun"] == pytest.approx(-0.25)


def test_explain_and_race_take_them_too(steepest):
    code, out, err = steepest("explain", "-x^2", "--at", "-3", "--json")
    assert code == 0, err
    assert json.loads(out)["gradient"] == {"x": 6}
    code, out, err = steepest(
        "race", "-x^2+x^4", "--start", "-1", "--optimizers", "lbfgs", "--max-steps", "50", "--json"
    )
    assert code == 0, err
    assert json.loads(out)["ranking"][0]["fun"] == pytest.approx(-0.25)


def test_an_unknown_option_of_another_command_is_still_told(steepest):
    code, _, err = steepest("inspect", "-x", "iris")
    assert code == 2
    assert "No such option" in err
