"""Every reason has an outcome and a sentence that can be filled in."""

import pytest

from steepest.core.outcome import OUTCOME_OF, SENTENCES, Outcome, Reason

FACTS = {
    "step": 1234, "gradient_norm": 1.25e-7, "tolerance": 1e-6, "loss": 0.5, "first_loss": 2.0,
    "target": 0.5, "share": 0.2, "patience": 10, "min_delta": 0.0,
}  # fmt: skip


@pytest.mark.parametrize("reason", Reason)
def test_every_reason(reason):
    sentence = SENTENCES[reason].format(**FACTS)
    assert sentence.endswith(".")
    assert "{" not in sentence
    outcome = OUTCOME_OF[reason]
    if outcome in (Outcome.CONVERGED, Outcome.DIVERGED, Outcome.STALLED):
        assert sentence.lower().startswith(outcome.text)
        assert "at step 1234" in sentence


def test_running_is_the_only_state_that_is_zero():
    # The compiled loop tests for 0, and a zeroed carry must be one that runs.
    assert (int(Outcome.RUNNING), int(Reason.NONE)) == (0, 0)
    assert [r for r in Reason if OUTCOME_OF[r] is Outcome.RUNNING] == [Reason.NONE]


def test_text():
    assert {o.text for o in Outcome} == {
        "running", "converged", "diverged", "stalled", "budget", "stopped",
    }  # fmt: skip
