"""`steepest show`: what a model is can be read without any Python."""

import json
import re

from steepest.cli.app import run


def test_lines(shop, capfd):
    assert run(["show", str(shop[0])]) == 0
    said = capfd.readouterr().out
    for words in (
        "MLP(hidden=(8,)",
        "bias 8, weight 4 x 8",
        "one input each for 2 categories (blue, red)",
        "It predicts 'sold', one of 2 classes: no, yes.",
        "The budget of 6 steps is used up.",
        "Trained on shop.csv (abababababababab).",
        "hidden=[8]",
        "Checksums: ok.",
    ):
        assert words in said


def test_json(shop, capfd):
    assert run(["show", str(shop[0] / "model"), "--json"]) == 0
    found = json.loads(capfd.readouterr().out)
    assert found["parameters"] == sum(x["parameters"] for x in found["layers"]) == 4 * 8 + 8 + 9
    assert [x["name"] for x in found["layers"]] == ["layers.0", "layers.1"]
    assert found["layers"][0]["arrays"] == {"bias": [8], "weight": [4, 8]}
    assert [c["name"] for c in found["expects"]["columns"]] == ["size", "price", "colour"]
    assert found["predicts"]["classes"] == ["no", "yes"]
    assert set(found["metrics"]) == {"train", "validation", "test"}
    assert found["training"]["settings"]["learning_rate"] == 0.01
    assert found["checksum"] == "ok"


def test_several_numbers(slope, capfd):
    assert run(["show", str(slope[0])]) == 0
    said = capfd.readouterr().out
    assert re.search(r"It predicts 'up' = 1.7\d+ f \+ [\d.]+, 'down' = [\d.]+ f", said)
    assert "Trained on slope.csv." in said
    assert "Linear(inputs=1, outputs=2)" in said


def test_no_model(tmp_path, capfd):
    assert run(["show", str(tmp_path)]) == 1
    assert "holds no model" in capfd.readouterr().err
