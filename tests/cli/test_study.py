"""`steepest study` as a user meets it."""

import json

import polars as pl
import pytest

from steepest.cli import study as command
from steepest.cli.app import run
from steepest.study import Study

QUICK = ["--hidden", "4", "--epochs", "2", "--seeds", "2"]
VARY = ["--vary", "learning-rate=0.01:1:log3", "--optimizer", "sgd"]
BOWL = "x^2 + 10*y^2"
DESCENTS = ["--vary", "optimizer=gd", "--vary", "learning_rate=0.01,0.05,0.2", "--starts", "3"]


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_study_leaves_its_report_and_says_what_it_found(capsys, here):
    assert run(["study", "iris", *VARY, *QUICK, "-o", "out"]) == 0
    said = capsys.readouterr()
    assert "3 cells x 2 seeds = 6 runs; 1 program" in said.err
    assert "median validation loss" in said.out
    assert "Best by median validation loss: learning_rate=" in said.out
    assert "out/report.html" in said.out
    names = {p.name for p in (here / "out").iterdir()}
    assert names == {"study.json", "runs.parquet", "trace.parquet", "report.html", "figures",
                     "summary.csv", "compare.csv"}  # fmt: skip
    kept = json.loads((here / "out/study.json").read_text())
    assert kept["settings"]["optimizer"] == "sgd"
    assert kept["settings"]["hidden"] == [4]
    assert kept["settings"]["epochs"] == 2
    runs = pl.read_parquet(here / "out/runs.parquet")
    assert runs["learning_rate"].unique().sort().to_list() == [0.01, 0.1, 1.0]
    # A finished study is read again, and a taken directory is refused before any run.
    assert run(["study", "--resume", "out"]) == 0
    assert capsys.readouterr().out == said.out
    assert run(["study", "iris", *VARY, *QUICK, "-o", "out"]) == 2
    assert "already holds a study" in capsys.readouterr().err


@pytest.mark.slow
def test_json_cells_folds_and_metric(capsys, here):
    cells = [{"optimizer": "sgd", "learning_rate": 0.1}, {"optimizer": "adam", "hidden": [8]}]
    (here / "cells.json").write_text(json.dumps(cells))
    args = ["--cells", "cells.json", "--folds", "2", "--metric", "train_accuracy", "--json"]
    assert run(["study", "iris", *args, "--epochs", "2", "--seeds", "2", "--seed", "5"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["metric"] == "train_accuracy"
    assert told["runs"] == 8
    assert told["facts"]["seeds"] == [5, 6]
    assert told["directory"] == "runs/study-iris"
    assert len(told["summary"]) == 2
    assert len(told["compare"]) == 1


def test_the_plan_alone(capsys, here):
    args = ["study", "digits", "--vary", "batch_size=32,64", "--vary", "optimizer=sgd,adam"]
    assert run([*args, "--dry-run"]) == 0
    assert "4 cells x 10 seeds = 40 runs; 4 programs" in capsys.readouterr().out
    assert run([*args, "--dry-run", "--json", "--design", "random:3"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["cells"], told["runs"]) == (3, 30)
    assert list(here.iterdir()) == []


def test_interrupted_it_says_how_to_resume(capsys, monkeypatch, here):
    real = Study.run

    def interrupted(self, *args, **more):
        def stop(progress):
            raise KeyboardInterrupt

        return real(self, *args, **(more | {"show": stop}))

    monkeypatch.setattr(Study, "run", interrupted)
    args = ["study", "iris", "--vary", "optimizer=sgd,adam", *QUICK, "-o", "out"]
    assert run(args) == 130
    assert "steepest study --resume out" in capsys.readouterr().err
    monkeypatch.undo()
    monkeypatch.chdir(here)
    assert run(["study", "--resume", "out", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["runs"] == 4


def test_a_study_of_a_function(capsys, here):
    assert run(["study", BOWL, *DESCENTS, "--bounds", "-1:1", "-o", "f", "--metric", "steps"]) == 0
    said = capsys.readouterr()
    assert "3 cells x 3 starts = 9 runs" in said.err
    assert "Best by median steps: optimizer=gd learning_rate=0.05" in said.out
    assert "3 of 9 runs diverged" in said.out
    page = (here / "f/report.html").read_text()
    assert "[-1, 1] x [-1, 1]" in page
    assert run(["study", "--resume", "f", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["facts"]["formula"] == BOWL
    assert told["diverged"] == 3


def test_all_diverged_exits_with_3(capsys):
    args = ["--vary", "optimizer=gd", "--learning-rate", "5", "--starts", "2", "--start", "3,-2"]
    assert run(["study", BOWL, *args]) == 3
    assert "2 of 2 runs diverged" in capsys.readouterr().out


@pytest.mark.parametrize(("text", "function"), [
    ("iris", False), ("moons:n=50", False), ("data.csv", False), ("folder/data.csv.gz", False),
    ("sql:sqlite:///x.db", False), ("there.txt", False), ("unknown", False),
    ("x^2", True), ("rosenbrock", True), ("x^^2", True), ("sin(x", True), ("mine:loss", True),
    ("0.5*x^2 + y^2", True), ("x-y*there", True),
])  # fmt: skip
def test_data_and_functions_are_told_apart(text, function, here):
    (here / "there.txt").write_text("a,b\n1,2\n")
    assert command.is_function(text) is function


@pytest.mark.parametrize(("args", "words"), [
    ([], "DATA is missing"),
    (["iris"], "nothing is varied"),
    (["iris", "--vary", "learning_rate"], "no levels"),
    (["iris", "--vary", "learnin_rate=1"], "did you mean 'learning_rate'"),
    (["iris", "--vary", "l1=0", "--vary", "l1=1"], "names l1 twice"),
    (["iris", "--vary", "l1=0,1", "--l1", "0.1"], "both varied and fixed"),
    (["iris", "--vary", "learning_rate=-1"], "learning_rate must be above 0"),
    (["iris", *VARY, "--metric", "acuracy"], "acuracy"),
    (["iris", *VARY, "--starts", "3"], "--starts has no meaning here"),
    (["nothing.csv", *VARY], "nothing.csv"),
    (["iris", "--cells", "none.json"], "none.json"),
    (["x^^2"], "no value on its left"),
    ([BOWL, "--folds", "3"], "--folds has no meaning here"),
    ([BOWL, "--vary", "hidden=3"], "hidden means nothing"),
    ([BOWL, "--hidden", "3"], "hidden means nothing"),
    (["--resume", "nowhere"], "holds no study"),
    (["iris", "--resume", "out"], "give DIR alone"),
])  # fmt: skip
def test_bad_input_is_one_sentence(args, words, capsys, here):
    assert run(["study", *args]) in (1, 2)
    said = capsys.readouterr()
    assert words in said.err
    assert said.out == ""
    assert "Traceback" not in said.err
    assert list(here.iterdir()) == []


def test_cells_that_are_no_list(capsys, here):
    (here / "c.json").write_text('{"optimizer": "sgd"}')
    assert run(["study", "iris", "--cells", "c.json"]) == 2
    assert "list of settings" in capsys.readouterr().err
    (here / "c.json").write_text("[{")
    assert run(["study", "iris", "--cells", "c.json"]) == 2
    assert "not JSON" in capsys.readouterr().err
