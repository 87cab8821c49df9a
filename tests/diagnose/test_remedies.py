"""Remedies tried: what cures is found, by the same seeds, and said as a command line."""

import numpy as np
import pytest

from steepest.core.errors import UsageError
from steepest.diagnose.case import Case
from steepest.diagnose.diagnose import diagnose_case
from steepest.diagnose.finding import Finding, as_options
from steepest.diagnose.remedies import candidates, command, cure
from steepest.engine.settings import Settings
from steepest.engine.train import train


@pytest.fixture(scope="module")
def slow():
    """A case at a rate that is far too small."""
    fit = train("mlp", "iris", hidden=(8,), optimizer="sgd", learning_rate=1e-4, epochs=15)
    return Case.of_fit(fit)


@pytest.mark.slow
def test_a_larger_rate_cures_a_small_one(slow):
    changes = [{"learning_rate": 0.1}, {"learning_rate": 2e-4}, {"l2": 1e-3},
               {"optimizer": "adam", "learning_rate": 0.02}]  # fmt: skip
    found = cure(slow, changes=changes, seeds=3)
    assert found.metric == "accuracy"
    assert found.before.gain == 0
    assert len(found.before.score) == 3
    by = {t.options: t for t in found.trials}
    assert by["--learning-rate 0.1"].cured
    assert by["--optimizer adam --learning-rate 0.02"].cured
    assert not by["--l2 0.001"].cured
    assert found.best.gain > 0.1
    assert found.trials[0] is found.best
    scores = [round(float(t.score.mean()), 3) for t in found.trials]
    assert scores == sorted(scores, reverse=True)


def test_a_trial_is_the_same_run_as_training_with_that_change(slow):
    found = cure(slow, changes=[{"learning_rate": 0.1}], seeds=1)
    alone = train("mlp", "iris", hidden=(8,), optimizer="sgd", learning_rate=0.1, epochs=15)
    assert found.trials[0].score[0] == pytest.approx(alone.validation["accuracy"])


def test_about_sixteen_candidates_the_suggested_ones_first(slow):
    findings = diagnose_case(slow).findings
    tried = candidates(slow, findings)
    assert 12 <= len(tried) <= 24
    assert tried[0] == {"learning_rate": 0.001}
    assert len({as_options(c) for c in tried}) == len(tried)
    assert {"initializer": "auto"} not in tried


def test_the_command_line_holds_what_differs_from_the_defaults():
    settings = Settings(optimizer="momentum", momentum=0.8, standardize=False, target=0.1,
                        optimizer_settings=(("weight_decay", 0.1),), epochs=20)  # fmt: skip
    assert command("d.csv", {"target": "y", "drop": ("a", "b")}, settings) == (
        "steepest train d.csv --target y --drop a --drop b --optimizer momentum --momentum 0.8 "
        "--optimizer-set weight_decay=0.1 --epochs 20 --target-loss 0.1 --no-standardize"
    )


def test_options_of_changes():
    one = Finding("x", "y", changes=({"hidden": (8, 4)}, {"standardize": True}, {"l2": 1e-3}))
    assert one.options == ("--hidden 8,4", "--standardize", "--l2 0.001")
    assert one.to_dict()["changes"][0] == {"hidden": [8, 4]}


def test_no_seeds_are_refused(slow):
    with pytest.raises(UsageError, match="seeds must be at least 1"):
        cure(slow, seeds=0)
    assert np.isfinite(slow.score)
