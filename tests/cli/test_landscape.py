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


@pytest.mark.parametrize(("more", "words"), [
    (["-o", "x.txt"], "x.txt"),
    (["-o", "x.png", "--directions", "path"], "needs the iterates"),
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
