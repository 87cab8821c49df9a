"""How a run ends: a code inside the compiled program, a sentence outside it."""

from __future__ import annotations

import enum


class Outcome(enum.IntEnum):
    """The state of a run. `RUNNING` is 0; every other value is final and freezes the run."""

    RUNNING = 0
    CONVERGED = 1
    DIVERGED = 2
    STALLED = 3
    BUDGET = 4
    STOPPED = 5

    @property
    def text(self) -> str:
        """The name as users see it: `converged`, `diverged`, ..."""
        return self.name.lower()


class Reason(enum.IntEnum):
    """Why a run ended; each has a sentence in `SENTENCES`, with numbers put in by the engine."""

    NONE = 0
    GRADIENT = 1
    STEP = 2
    TARGET = 3
    NOT_FINITE = 4
    BLOW_UP = 5
    UNBOUNDED = 6
    LINE_SEARCH = 7
    NO_PROGRESS = 8
    PATIENCE = 9
    MAX_STEPS = 10
    MAX_TIME = 11
    INTERRUPTED = 12
    CALLBACK = 13
    HALVED = 14
    SHARE = 15


OUTCOME_OF = {
    Reason.NONE: Outcome.RUNNING,
    Reason.GRADIENT: Outcome.CONVERGED,
    Reason.STEP: Outcome.CONVERGED,
    Reason.TARGET: Outcome.CONVERGED,
    Reason.SHARE: Outcome.CONVERGED,
    Reason.NOT_FINITE: Outcome.DIVERGED,
    Reason.BLOW_UP: Outcome.DIVERGED,
    Reason.UNBOUNDED: Outcome.DIVERGED,
    Reason.LINE_SEARCH: Outcome.STALLED,
    Reason.NO_PROGRESS: Outcome.STALLED,
    Reason.PATIENCE: Outcome.STOPPED,
    Reason.MAX_STEPS: Outcome.BUDGET,
    Reason.MAX_TIME: Outcome.BUDGET,
    Reason.INTERRUPTED: Outcome.STOPPED,
    Reason.CALLBACK: Outcome.STOPPED,
    Reason.HALVED: Outcome.STOPPED,
}

SENTENCES = {
    Reason.NONE: "The run has not ended.",
    Reason.GRADIENT: "Converged at step {step}: the gradient norm {gradient_norm:.3g} is at most "
    "the tolerance {tolerance:.3g}.",
    Reason.STEP: "Converged at step {step}: the steps became smaller than rounding.",
    Reason.TARGET: "Converged at step {step}: the loss {loss:.6g} reached the target {target:.6g}.",
    Reason.SHARE: "Converged at step {step}: the mean training loss of an epoch is at most "
    "{share:.3g} of the first loss, {first_loss:.4g}.",
    Reason.NOT_FINITE: "Diverged at step {step}: the loss or its gradient is no longer a finite "
    "number; the run was frozen at its last finite point. Lower the learning rate.",
    Reason.BLOW_UP: "Diverged at step {step}: the loss grew from {first_loss:.4g} to {loss:.4g}; "
    "the run was frozen there. Lower the learning rate.",
    Reason.UNBOUNDED: "Diverged at step {step}: the loss fell to {loss:.4g}; it seems to have no "
    "lower bound. Check the function, or give bounds.",
    Reason.LINE_SEARCH: "Stalled at step {step}: no step along the search direction lowers the "
    "loss by more than rounding; the gradient norm is {gradient_norm:.3g}.",
    Reason.NO_PROGRESS: "Stalled at step {step}: the training loss {loss:.6g} has not improved by "
    "more than {min_delta:.3g} in {patience} epochs.",
    Reason.PATIENCE: "Stopped early at step {step}: validation has not improved for {patience} "
    "epochs; the weights of the best epoch are kept.",
    Reason.MAX_STEPS: "The budget of {step} steps is used up.",
    Reason.MAX_TIME: "The time budget is used up, after {step} steps.",
    Reason.INTERRUPTED: "Interrupted by the user after {step} steps; the best so far is kept.",
    Reason.CALLBACK: "Stopped by the callback after {step} steps.",
    Reason.HALVED: "Given up after {step} steps, since other cells did better (halving).",
}
