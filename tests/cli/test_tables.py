"""`steepest tables` as a user meets it; most of it with tables made by hand, which take no time."""

import json

import pytest

import steepest.study.tables as study_tables
from steepest.cli.app import run
from steepest.study.statistics import Interval
from steepest.study.tables.table import Claim, Table


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def measured(monkeypatch):
    """The numbers of the tables asked for; each is made at once."""
    asked = []

    def measure(number, bench):
        asked.append((number, bench.name, bench.seeds, bench.epochs))
        if number == 3:
            raise KeyboardInterrupt
        claim = Claim("it falls", "holds", Interval(0.5, 0.4, 0.6), "ratio", "it did fall.")
        rows = [("x", Interval(1.0, 0.5, 2.0)), ("y", 3)]
        return Table(
            number, f"Number {number}", "What?", ("a", "b"), rows, "so it was done", [claim]
        )

    monkeypatch.setattr(study_tables, "measure", measure)
    return asked


def test_each_table_and_its_claims_are_printed_and_kept(measured, capsys, here):
    assert run(["tables", "--data", "iris", "--seeds", "3", "--only", "7, 1"]) == 0
    assert measured == [(7, "iris", 3, 1.0), (1, "iris", 3, 1.0)]
    said = capsys.readouterr().out
    assert said.index("7. Number 7") < said.index("1. Number 1")
    assert "1 [0.5, 2]" in said
    assert "holds: it falls" in said
    assert "it did fall." in said
    assert "runs/tables/tables.html" in said
    page = (here / "runs/tables/tables.html").read_text()
    assert "Number 7" in page
    assert "so it was done" in page
    assert run(["tables", "--data", "iris", "--only", "1", "-q"]) == 0
    assert (here / "runs/tables-2/tables.html").exists()


def test_json_is_one_object_on_stdout(measured, capsys):
    assert run(["tables", "--data", "iris", "--only", "1", "--json", "-o", "out", "--quick"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["page"] == "out/tables.html"
    assert told["facts"]["rows"] == 150
    assert "not to be trusted" in told["facts"]["length"]
    assert told["tables"][0]["claims"][0]["verdict"] == "holds"
    assert measured[0][3] < 1


def test_all_tables_without_only(measured, monkeypatch):
    monkeypatch.setattr(study_tables, "TABLES", {1: "one", 2: "two"})
    assert run(["tables", "--data", "iris", "-q"]) == 0
    assert [m[0] for m in measured] == [1, 2]


def test_interrupting_keeps_what_is_done(measured, capsys, here):
    assert run(["tables", "--data", "iris", "--only", "1,3,4", "-o", "out"]) == 130
    said = capsys.readouterr()
    assert "--only 3,4" in said.err
    assert "Number 1" in (here / "out/tables.html").read_text()


@pytest.mark.parametrize(("args", "words"), [
    (["--only", "99"], "there is no table 99"),
    (["--only", "a"], "--only"),
    (["--only", ","], "names no table"),
    (["--data", "nothing.csv", "--only", "1"], "nothing.csv"),
    (["--seeds", "1"], "1"),
])  # fmt: skip
def test_bad_input_is_refused(args, words, capsys, here):
    assert run(["tables", *args]) == 2
    said = capsys.readouterr()
    assert words in said.err
    assert said.out == ""
    assert list(here.iterdir()) == []


def test_a_real_table_from_end_to_end(capsys, here):
    args = ["tables", "--data", "iris", "--seeds", "2", "--only", "7", "--quick", "-o", "out"]
    assert run(args) == 0
    said = capsys.readouterr().out
    assert "7. Momentum" in said
    page = (here / "out/tables.html").read_text()
    assert "unsourced" in page
    assert "<svg" in page
    told = json.loads((here / "out/tables.json").read_text())
    assert {c["verdict"] for c in told["tables"][0]["claims"]} <= {
        "holds", "does not hold", "cannot tell",
    }  # fmt: skip
