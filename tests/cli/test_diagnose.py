"""`steepest diagnose` as a user meets it, and the line that `steepest train` adds."""

import json

import pytest

from steepest.cli.app import run

SLOW = ["--hidden", "8", "--epochs", "10", "--optimizer", "sgd", "--learning-rate", "1e-4"]


@pytest.fixture(scope="module")
def slow(tmp_path_factory):
    """The directory of a run at a rate that is far too small."""
    place = tmp_path_factory.mktemp("slow") / "run"
    assert run(["train", "iris", *SLOW, "-o", str(place), "-q"]) == 0
    return place


def test_train_says_in_a_line_what_is_wrong(capsys, tmp_path):
    assert run(["train", "iris", *SLOW, "-o", str(tmp_path / "a")]) == 0
    said = capsys.readouterr().out
    assert "takes only small steps" in said
    assert "`steepest diagnose" in said
    assert run(["train", "iris", *SLOW, "-o", str(tmp_path / "b"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [f["code"] for f in found["findings"]] == ["learning_rate_too_small"]


def test_diagnose_shows_measurements_and_what_to_try(capsys, slow):
    assert run(["diagnose", str(slow)]) == 0
    said = capsys.readouterr().out
    assert "1. learning_rate_too_small" in said
    assert "try --learning-rate 0.001" in said
    assert "stable up to about" in said
    assert "noise scale" in said


def test_quick_as_json(capsys, slow):
    assert run(["diagnose", str(slow), "--quick", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["findings"][0]["code"] == "learning_rate_too_small"
    assert found["findings"][0]["options"] == ["--learning-rate 0.001", "--learning-rate 0.01"]
    assert "curvature" not in found["measured"]


def test_both_ends_of_the_spectrum(capsys, tmp_path):
    """Of least squares the eigenvalues are known: those of 2 X^T X / n, with a column of ones."""
    import numpy as np

    from steepest.diagnose.directory import case_in

    place = str(tmp_path / "a")
    flags = ["--model", "linear", "--optimizer", "gd", "--batch-size", "full", "--epochs", "3"]
    assert run(["train", "diabetes", *flags, "-o", place, "-q"]) == 0
    capsys.readouterr()
    assert run(["diagnose", place, "--quick", "--eigenvalues", "2"]) == 0
    said = capsys.readouterr().out
    assert "condition number" in said
    assert run(["diagnose", place, "--quick", "--eigenvalues", "2", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["eigenvalues"]
    x = np.asarray(case_in(place).train.x, float)
    x = np.column_stack([x, np.ones(len(x))])
    exact = np.linalg.eigvalsh(2 * x.T @ x / len(x))
    np.testing.assert_allclose(found["largest"], exact[::-1][:2], rtol=1e-3)
    np.testing.assert_allclose(found["smallest"], exact[:2], rtol=1e-2)


def test_what_is_no_run_is_refused(capsys, tmp_path):
    assert run(["diagnose", str(tmp_path)]) == 1
    assert "Traceback" not in capsys.readouterr().err


def test_changed_data_is_refused(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = "\n".join(f"{i % 7},{i % 5},{i % 2}" for i in range(60))
    (tmp_path / "d.csv").write_text(f"a,b,c\n{rows}\n")
    assert run(["train", "d.csv", "--hidden", "4", "--epochs", "2", "-o", "r", "-q"]) == 0
    (tmp_path / "d.csv").write_text(f"a,b,c\n{rows}\n1,2,1\n")
    assert run(["diagnose", "r"]) == 2
    assert "has changed since the run" in capsys.readouterr().err
