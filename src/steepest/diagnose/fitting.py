"""Illnesses of what is learned: too much of the noise, too little of the signal, one class only."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from steepest.core import tree
from steepest.core.errors import UsageError
from steepest.diagnose import rows
from steepest.diagnose.case import Case
from steepest.diagnose.finding import Finding

RISE = 0.3
"""By which share of its lowest value the validation loss must rise to count."""
LACK = 0.05
"""By how much its neighbours' errors must improve the score of the model on its training rows,
beside the error of that."""
ERRORS = 2.5
SHRUNK, SHRUNK_LOSS = 1.5, 0.15
"""By how much outputs have to be stretched to fit, from which on a penalty is too strong; which
share of the loss that has to gain."""
FACTORS = tuple(1.2**k for k in range(1, 46))
RARE, RARE_SHARE = 0.6, 0.15
"""A class is rare that has less than so much of the rows of the other classes on average, and less
than this share of all."""
GAP = 0.15
"""By how much the score of training must exceed that of validation, beside its error."""


def overfitting(case: Case, deep: bool) -> Finding | None:
    """Validation became worse while training went on improving."""
    turn = case.turn
    if turn is None or case.diverged or case.parts.get("validation") is None:
        return None
    count = len(case.parts["validation"].x)
    # The mean of few rows is uncertain, so it must rise by more.
    rose = turn.rise >= RISE + 1.5 / np.sqrt(count) and turn.train_now < 0.8 * turn.train_then
    if case.regression and turn.train_now < 0.25 * turn.final:
        # A squared error does not rise by overconfidence, so less of it tells.
        rose |= turn.rise >= RISE / 2 + 1 / np.sqrt(count)
    accuracy = case.epochs.get("validation_accuracy")
    if rose and accuracy is not None:
        # A loss that rises at the same accuracy is overconfidence, and the best weights are kept.
        # exp(-log-loss) is the geometric mean of the probabilities of the true classes.
        end = float(np.nanmedian(accuracy[-max(1, len(accuracy) // 10) :]))
        rose = np.exp(-turn.train_now) - end > 0.05 + 0.8 / np.sqrt(count)
    score = "r2" if case.regression else "accuracy"
    fitted, held = case.kept(score), case.reached("validation", score)
    gap = fitted - max(held, 0.0)
    apart = gap > GAP + 2 / np.sqrt(count) and turn.train_now < 0.25 * turn.final
    if not (rose or apart):
        return None
    if rose:
        said = (
            f"From epoch {turn.epoch:g} on the validation loss rose from {turn.lowest:.3g} to "
            f"{turn.final:.3g} while the training loss fell from {turn.train_then:.3g} to "
            f"{turn.train_now:.3g}"
        )
    else:
        said = (
            f"The model reaches {'R^2' if case.regression else 'accuracy'} {fitted:.3g} on its "
            f"training rows and {held:.3g} on the validation rows"
        )
    settings = case.settings
    changes: list[dict[str, Any]] = [
        {"patience": 10},
        {"l2": max(1e-3, 10 * float(settings.l2))},
    ]
    if settings.model == "mlp":
        changes.insert(1, {"dropout": min(0.8, (settings.dropout or 0.0) + 0.3)})
        changes.append({"hidden": tuple(max(4, n // 4) for n in settings.hidden)})
    return Finding(
        "overfitting",
        f"{said}: the model learns the noise; stop early, regularise, or get more data. (The "
        "weights of the best epoch are kept.)",
        {"epoch": turn.epoch, "lowest": turn.lowest, "final": turn.final, "rise": turn.rise,
         "train_then": turn.train_then, "train_now": turn.train_now, "rows": count, "gap": gap},
        tuple(changes),
        0.6,
    )  # fmt: skip


def underfitting(case: Case, deep: bool) -> Finding | None:
    """The model leaves something in its own training rows that their neighbours tell."""
    if case.diverged or not np.isfinite(case.score):
        return None
    found = _left(case) if deep else None
    there = case.reference
    if found is None:
        if there is None:
            return None
        found = rows.Left(case.score, there.score, there.error)
    strong, changes = _regularised(case)
    stretch = _stretch(case) if strong and deep else None
    held_back = stretch is not None and stretch.tells(case.regression)
    if found.gain < LACK + ERRORS * found.error and not held_back:
        return None
    name = "R^2" if case.regression else "accuracy"
    said = (
        f"The model reaches {name} {found.score:.3g} on its own training rows, and what 5 nearest "
        f"neighbours know of its errors makes that {found.corrected:.3g}"
        if deep
        else f"The model reaches {name} {found.score:.3g} on its own training rows, where the mean "
        f"of 5 nearest neighbours reaches {found.corrected:.3g}"
    )
    evidence = {"score": found.score, "corrected": found.corrected, "error": found.error}
    if strong:
        if stretch is not None and held_back:
            evidence |= {"shrinkage": stretch.factor, "explained": stretch.explained,
                         "reachable": stretch.reachable}  # fmt: skip
            said = f"The outputs would fit best {stretch.factor:.3g} times as large"
            if not np.isfinite(stretch.factor):
                said = "The outputs are the same on all rows"
        return Finding(
            "regularisation_too_strong",
            f"{said}: {strong} holds it back; lower it.",
            evidence | {"because": strong},
            changes,
            0.65,
        )
    settings = case.settings
    wider: tuple = ({"hidden": (128,)},)
    if settings.model == "linear":
        wider = ({"model": "mlp"},)
    elif settings.model == "mlp":
        wider = (
            {"hidden": tuple(4 * n for n in settings.hidden) or (128,)},
            {"hidden": (*settings.hidden, *settings.hidden[-1:])},
        )
    return Finding("underfitting", f"{said}: it is too small for these data.", evidence, wider, 0.5)


def _left(case: Case) -> rows.Left | None:
    """What the model leaves in its training rows; None where its outputs do not tell."""
    loss = case.spec.objective.loss
    if case.regression:
        predicted = np.asarray(loss.predict(case.outputs))
    else:
        try:
            predicted = np.asarray(loss.probabilities(case.outputs))
        except UsageError:
            predicted = np.eye(case.encoder.outputs)[np.asarray(loss.predict(case.outputs), int)]
    return rows.left(np.asarray(case.sample.x), case.sample.y, predicted, case.regression)


class Stretch(NamedTuple):
    """How many times as large, about their mean, the outputs would fit best.

    explained, reachable: by which share the loss of one output for all rows falls by the outputs
    as they are, and by the stretched ones. sure: how many standard errors the difference is.
    """

    factor: float
    explained: float
    reachable: float
    sure: float

    def tells(self, regression: bool) -> bool:
        """Whether the outputs are shrunk, as a penalty that is too strong leaves them.

        The probabilities of classes that can be told apart fit the better the larger the outputs,
        so for classes it counts what the loss would gain.
        """
        if regression and self.factor > SHRUNK:
            return True
        gain = self.reachable - self.explained
        return gain > SHRUNK_LOSS or (gain > self.explained and self.sure > 2)


def _stretch(case: Case) -> Stretch:
    """What the outputs on the training rows lack in size; infinity where they are one value."""
    loss, y = case.spec.objective.loss, case.sample.y
    f = np.asarray(case.outputs)
    middle = f.mean(axis=0)
    spread = f - middle
    if float(np.max(np.abs(spread), initial=0.0)) < 1e-6 * max(1.0, float(np.max(np.abs(middle)))):
        return Stretch(float("inf"), 0.0, 1.0, float("inf"))

    def costs(factor: float) -> np.ndarray:
        return np.asarray(loss(jnp.asarray(middle + factor * spread, f.dtype), y), float)

    nothing, now = max(float(costs(0.0).mean()), 1e-300), costs(1.0)
    best = min((1.0, *FACTORS), key=lambda factor: float(costs(factor).mean()))
    then = costs(best)
    error = max(float(np.std(now - then)), 1e-300) / len(now) ** 0.5
    return Stretch(
        best,
        1 - float(now.mean()) / nothing,
        1 - float(then.mean()) / nothing,
        float((now - then).mean()) / error,
    )


def _regularised(case: Case) -> tuple[str, tuple]:
    """Which regularisation is strong enough to be the reason, and what to change."""
    settings = case.settings
    if (settings.dropout or 0) >= 0.6:
        return f"dropout {settings.dropout:g}", ({"dropout": 0.2}, {"dropout": 0.0})
    loss = max(case.kept("loss"), 1e-300)
    for name in ("l2", "l1"):
        c = float(getattr(settings, name))
        if c <= 0:
            continue
        leaves = [np.asarray(w, float) for w in tree.leaves(case.params)]
        size = sum(float(np.sum(w**2 if name == "l2" else np.abs(w))) for w in leaves)
        cost = c * size / (2 if name == "l2" else 1)
        # A penalty so strong that the weights are nearly zero costs little itself.
        if cost > 0.1 * loss or c >= 0.3:
            return f"the penalty {name}={c:g}", ({name: c / 100}, {name: 0.0})
    decay = settings.weight_decay or 0.0
    if decay >= 1:
        return f"weight_decay={decay:g}", ({"weight_decay": 0.01},)
    return "", ()


def rare_class(case: Case, deep: bool) -> Finding | None:
    """A class so rare that the model does not predict it."""
    if case.regression or case.diverged or np.ndim(case.train.y) != 1:
        return None
    y = np.asarray(case.train.y).astype(int)
    counts = np.bincount(y, minlength=case.encoder.outputs)
    shares = counts / counts.sum()
    rarest, largest = int(np.argmin(shares)), float(shares.max())
    share = float(shares[rarest])
    others = (1 - share) / max(len(shares) - 1, 1)
    if share > RARE_SHARE or share > RARE * others:
        return None
    evidence = {"class": str(case.encoder.classes[rarest]), "share": share,
                "largest_share": largest}  # fmt: skip
    if not deep:
        if case.score > largest + 0.02:
            return None
    else:
        predicted = np.asarray(case.spec.objective.loss.predict(case.outputs))
        y = np.asarray(case.sample.y).astype(int)
        of_it, said = y == rarest, predicted == rarest
        if not of_it.any():
            return None
        recall = float(np.mean(said[of_it]))
        evidence |= {"recall": recall, "predicted_share": float(np.mean(said))}
        if recall >= 0.5 or said.sum() > 0.5 * of_it.sum() or case.score < largest - 0.1:
            return None
    return Finding(
        "rare_class",
        f"Class {evidence['class']} is {100 * shares[rarest]:.2g} % of the training rows and is "
        "hardly ever predicted: give its rows more weight (--weights), or get more of them; "
        "accuracy says little here.",
        evidence,
        (),
        0.7,
    )
