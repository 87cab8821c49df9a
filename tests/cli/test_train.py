"""`steepest train` as a user meets it."""

import json

import pytest

from steepest.cli.app import run
from steepest.core.trace import Trace

QUICK = ["--hidden", "8", "--epochs", "4", "--learning-rate", "0.01"]


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_train_leaves_a_run_and_says_so(capsys, here):
    assert run(["train", "iris", *QUICK]) == 0
    said = capsys.readouterr()
    assert "accuracy" in said.out
    assert "runs/iris" in said.out
    assert "to train on" in said.err
    names = {p.name for p in (here / "runs" / "iris").iterdir()}
    assert names >= {"model", "trace.parquet", "metrics.json", "curves.png", "config.json"}
    assert (here / "runs/iris/curves.png").read_bytes().startswith(b"\x89PNG")
    assert run(["train", "iris", *QUICK, "-q"]) == 0
    assert (here / "runs" / "iris-2").is_dir()
    assert capsys.readouterr().err == ""


def test_json_is_one_object_on_stdout(capsys):
    assert run(["train", "diabetes", *QUICK, "--json", "-o", "out", "--seeds", "2"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert set(found) >= {"outcome", "message", "task", "epochs", "steps", "seconds", "train",
                          "validation", "test", "directory", "summary", "seeds"}  # fmt: skip
    assert found["directory"] == "out"
    assert found["task"] == "regression"
    assert set(found["test"]) >= {"loss", "r2", "rmse"}
    assert len(found["seeds"]) == 2
    assert found["summary"]["test"]["r2"].keys() == {"mean", "std"}


def test_a_diverged_run_exits_with_3(capsys):
    code = run(["train", "diabetes", "--model", "linear", "--optimizer", "momentum",
                "--learning-rate", "50", "--epochs", "20"])  # fmt: skip
    assert code == 3
    assert "Diverged at step" in capsys.readouterr().out


@pytest.mark.parametrize(("args", "words"), [
    (["nothing.csv"], "nothing.csv"),
    (["iris", "--learning-rate", "-1"], "learning_rate must be above 0"),
    (["iris", "--hidden", "8,x"], "--hidden"),
    (["iris", "--optimizer", "adm"], "did you mean 'adam'"),
    (["iris", "--optimizer-set", "beta9=1"], "beta9"),
    (["iris", "--batch-size", "0"], "batch_size"),
])  # fmt: skip
def test_bad_input_is_one_sentence_and_exit_2(args, words, capsys, here):
    assert run(["train", *args]) == 2
    said = capsys.readouterr()
    assert words in said.err
    assert said.out == ""
    assert "Traceback" not in said.err
    assert not (here / "runs").exists()


def test_a_taken_directory_is_refused_before_training(capsys):
    assert run(["train", "iris", *QUICK, "-o", "mine"]) == 0
    assert run(["train", "iris", *QUICK, "-o", "mine"]) == 2
    assert "already holds a run" in capsys.readouterr().err
    assert run(["train", "iris", *QUICK, "-o", "mine", "--overwrite"]) == 0


def test_every_setting_has_an_option(capsys):
    import dataclasses

    from steepest.cli.settings import FLAGS, HIDDEN, LISTS
    from steepest.engine.settings import Settings

    assert run(["train", "--help"]) == 0
    shown = capsys.readouterr().out
    for f in dataclasses.fields(Settings):
        if f.name not in HIDDEN:
            name = "--" + FLAGS.get(f.name, f.name).replace("_", "-")
            assert LISTS.get(f.name, name) in shown


def test_probes_are_recorded_by_name_and_a_wrong_one_is_refused_at_once(capsys, here):
    assert run(["train", "iris", *QUICK, "--probes", "loss,step_norm", "-o", "run"]) == 0
    steps = Trace.read(here / "run" / "trace.parquet").steps
    assert {"loss", "step_norm"} < set(steps)
    assert "gradient_norm" not in steps
    assert run(["train", "iris", "--probes", "los", "-o", "other"]) == 2
    assert "did you mean 'loss'" in capsys.readouterr().err
    assert not (here / "other").exists()


def test_a_table_in_another_encoding(here, capsys):
    rows = [f"{city};{i % 7};{i % 2}" for i, city in enumerate(["Zürich", "Genève"] * 40)]
    (here / "t.csv").write_bytes("\n".join(["Ort;n;jahr", *rows]).encode("cp1252"))
    command = ["train", "t.csv", "--target", "jahr", *QUICK]
    assert run(command) == 2
    assert "--encoding" in capsys.readouterr().err
    assert run([*command, "--encoding", "cp1252", "--json"]) == 0
    model = json.loads(capsys.readouterr().out)["directory"] + "/model/model.json"
    assert "Zürich" in str(json.loads((here / model).read_text()))
    assert run([*command, "--encoding", "cp1252", "--memory", "10MB"]) == 2
    assert "save it as UTF-8" in capsys.readouterr().err
