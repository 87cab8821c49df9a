"""`steepest landscape` and `steepest tune` as a user meets them."""

import json

import numpy as np
import pytest

from steepest.cli.app import run

QUICK = ["--hidden", "8", "--optimizer", "sgd"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The directory of a short run."""
    place = tmp_path_factory.mktemp("trained") / "run"
    assert run(["train", "iris", *QUICK, "--learning-rate", "0.1", "--epochs", "3", "-q",
                "-o", str(place)]) == 0  # fmt: skip
    return place


@pytest.mark.parametrize("dimensions", ["1", "2"])
def test_landscape_draws_what_it_measured(capsys, tmp_path, trained, dimensions):
    out = tmp_path / "loss.png"
    args = ["landscape", str(trained), "-o", str(out), "--points", "5", "--json"]
    assert run([*args, "--dimensions", dimensions]) == 0
    found = json.loads(capsys.readouterr().out)
    loss = np.array(found["loss"])
    assert loss.shape == (5,) * int(dimensions)
    assert out.read_bytes().startswith(b"\x89PNG")
    kept = json.loads((trained / "metrics.json").read_text())["train"]["loss"]
    assert loss[(2,) * int(dimensions)] == pytest.approx(kept, rel=1e-4)


def test_the_plane_of_the_way_of_the_run(capsys, tmp_path, trained):
    out = tmp_path / "way.png"
    args = ["landscape", str(trained), "-o", str(out), "--points", "5", "--directions", "path"]
    assert run([*args, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    way = np.array(found["path"])
    # 3 epochs of 4 steps; the kept weights are at the centre, and the way comes nearer to it.
    assert way.shape == (12, 2)
    assert np.linalg.norm(way[-1]) < 0.3 * np.linalg.norm(way[0])
    assert 0.9 < found["explained"] <= 1 + 1e-6
    assert run(args) == 0
    assert "% of the way of the run" in capsys.readouterr().out


@pytest.mark.parametrize(("more", "words"), [
    (["-o", "x.txt"], "x.txt"),
    (["-o", "x.png", "--directions", "wild"], "directions='wild'"),
])  # fmt: skip
def test_landscape_refuses_in_a_sentence(capsys, trained, more, words):
    assert run(["landscape", str(trained), *more]) == 2
    assert words in capsys.readouterr().err


def test_tune_maps_the_learning_rates(capsys, tmp_path):
    out = tmp_path / "map.png"
    args = ["tune", "iris", *QUICK, "--epochs", "5", "--rates", "12", "--seeds", "3"]
    assert run([*args, "--plot", str(out), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    rates = np.array(found["rates"])
    np.testing.assert_allclose(rates[1:] / rates[:-1], 2)
    assert rates[-1] <= 8 * found["stable_limit"] < 2 * rates[-1]
    success = np.array(found["success"])
    # Tiny rates get nowhere in five epochs, and the best one works.
    assert success[0] == 0
    assert success[rates.tolist().index(found["best"])] >= 0.5
    assert (np.array(found["low"]) <= success).all()
    assert (success <= np.array(found["high"])).all()
    assert out.read_bytes().startswith(b"\x89PNG")
    assert run(args) == 0
    assert "95 % interval" in capsys.readouterr().out
