"""Illnesses of what is learned: too much of the noise, too little of the signal, one class only."""

from __future__ import annotations

import numpy as np

from steepest.core import tree
from steepest.diagnose.case import Case
from steepest.diagnose.finding import Finding

RISE = 0.3
"""By which share of its lowest value the validation loss must rise to count."""
LACK = 0.06
"""By how much the neighbours must do better than the model on its training rows, beside the error
of their score."""
SHRUNK = 1.5
"""By how much outputs have to be stretched to fit, from which on a penalty is too strong."""
GAP = 0.15
"""By how much the score of training must exceed that of validation, beside its error."""


def overfitting(case: Case, deep: bool) -> Finding | None:
    """Validation became worse while training went on improving."""
    turn = case.turn
    if turn is None or case.diverged or case.parts.get("validation") is None:
        return None
    rows = len(case.parts["validation"].x)
    # The mean of few rows is uncertain, so it must rise by more.
    rose = turn.rise >= RISE + 1.5 / np.sqrt(rows) and turn.train_now < 0.8 * turn.train_then
    if case.regression and turn.train_now < 0.25 * turn.final:
        # A squared error does not rise by overconfidence, so less of it tells.
        rose |= turn.rise >= RISE / 2 + 1 / np.sqrt(rows)
    accuracy = case.epochs.get("validation_accuracy")
    if rose and accuracy is not None:
        # A loss that rises at the same accuracy is overconfidence, and the best weights are kept.
        # exp(-log-loss) is the geometric mean of the probabilities of the true classes.
        end = float(np.nanmedian(accuracy[-max(1, len(accuracy) // 10) :]))
        rose = np.exp(-turn.train_now) - end > 0.05 + 0.8 / np.sqrt(rows)
    score = "r2" if case.regression else "accuracy"
    fitted, held = case.kept(score), case.reached("validation", score)
    gap = fitted - max(held, 0.0)
    apart = gap > GAP + 2 / np.sqrt(rows) and turn.train_now < 0.25 * turn.final
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
    changes = [
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
         "train_then": turn.train_then, "train_now": turn.train_now, "rows": rows, "gap": gap},
        tuple(changes),
        0.6,
    )  # fmt: skip


def underfitting(case: Case, deep: bool) -> Finding | None:
    """The model explains less of its own training rows than their neighbours would."""
    there = case.reference
    if case.diverged or there is None or not np.isfinite(case.score):
        return None
    strong, changes = _regularised(case)
    gap = there.score - case.score
    held_back = bool(strong) and case.regression and deep and _shrinkage(case) > SHRUNK
    if gap < LACK + 2.5 * there.error and not held_back:
        return None
    name = "R^2" if case.regression else "accuracy"
    said = (
        f"The model reaches {name} {case.score:.3g} on its own training rows, where the mean of 5 "
        f"nearest neighbours reaches {there.score:.3g}"
    )
    evidence = {"score": case.score, "neighbours": there.score, "error": there.error}
    if strong:
        if held_back:
            evidence["shrinkage"] = _shrinkage(case)
            said = f"The outputs would fit best {evidence['shrinkage']:.3g} times as large"
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


def _shrinkage(case: Case) -> float:
    """The factor about their mean by which the outputs fit the targets best: 1 without a penalty.

    It is cov(y, f)/var(f), the slope of the targets on the outputs; infinite where these are one
    value.
    """
    f = np.asarray(case.outputs, float).reshape(len(case.sample.y), -1)
    y = np.asarray(case.sample.y, float).reshape(len(f), -1)
    if f.shape != y.shape:
        return 1.0
    f, y = f - f.mean(axis=0), y - y.mean(axis=0)
    spread = float(np.sum(f**2))
    return float(np.sum(f * y)) / spread if spread > 1e-12 * float(np.sum(y**2)) else float("inf")


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
    if shares[rarest] * len(shares) > 0.3:
        return None
    evidence = {"class": str(case.encoder.classes[rarest]), "share": float(shares[rarest]),
                "largest_share": largest}  # fmt: skip
    if not deep:
        if case.score > largest + 0.02:
            return None
    else:
        loss = case.spec.objective.loss
        predicted = np.asarray(loss.predict(case.outputs))
        y = np.asarray(case.sample.y).astype(int)
        of_it = y == rarest
        if not of_it.any():
            return None
        recall = float(np.mean(predicted[of_it] == rarest))
        evidence["recall"] = recall
        if recall >= 0.5 or case.score < largest - 0.1:
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
