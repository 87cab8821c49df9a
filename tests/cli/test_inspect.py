"""`steepest inspect`: every column has a line, and bad files end with code 2."""

import json

import pytest

from steepest.cli.app import Command, run

COMMANDS = {"inspect": Command("Data", "Show what training would do with each column.")}


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "shop.csv"
    lines = ["size,colour,one,label"]
    lines += [f"{i * i % 13},{['red', 'blue'][i % 2]},7,{'yn'[i % 3 == 0]}" for i in range(30)]
    path.write_text("\n".join(lines))
    return str(path)


def test_lines(file, capsys):
    assert run(["inspect", file], COMMANDS) == 0
    said = capsys.readouterr()
    assert "30 rows, classification, 3 inputs" in said.out
    for words in ("size", "one input each for 2 categories (blue, red)", "dropped: the same value"):
        assert words in said.out
    assert "2 classes with their rows: n 10, y 20" in said.out
    assert "The target is the column 'label'" in said.err


def test_json(file, capsys):
    assert run(["inspect", file, "--json", "--drop", "one", "--target", "size"], COMMANDS) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["target"] == "size"
    assert found["task"] == "classification"
    assert [c["name"] for c in found["columns"]] == ["colour", "label"]
    assert sum(c["width"] for c in found["columns"]) == found["inputs"][0] == 4
    assert sum(found["classes"].values()) == 30


def test_regression_and_named_sets(capsys):
    assert run(["inspect", "diabetes"], COMMANDS) == 0
    assert "target 'progression': (y - 152.13" in capsys.readouterr().out


def test_bad_files(tmp_path, capsys):
    path = tmp_path / "bad.csv"
    path.write_text("a,b\n1,2\n3\n")
    assert run(["inspect", str(path)], COMMANDS) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert f"{path}: line 3 has 1 field, the header has 2" in said.err
    assert run(["inspect", str(tmp_path / "none.csv")], COMMANDS) == 2
