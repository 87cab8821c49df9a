"""Illnesses that come with the data: scales, constant columns, copies, leaks."""

from __future__ import annotations

from typing import Any

from steepest.diagnose import rows
from steepest.diagnose.case import Case
from steepest.diagnose.finding import Finding

LARGE, UNEVEN = 10.0, 100.0


def unscaled_data(case: Case, deep: bool) -> Finding | None:
    """Inputs or targets far from size 1, or of very different sizes."""
    if case.settings.standardize:
        return None
    scale = case.scale
    large, uneven, target = scale.largest > LARGE, scale.ratio > UNEVEN, scale.target > LARGE
    if not (large or uneven or target):
        return None
    if large or uneven:
        said = (
            f"Column {_name(case, scale.column)} has the size {scale.largest:.3g}, and columns "
            f"differ in spread by a factor of {scale.ratio:.3g}"
        )
    else:
        said = f"The target has the size {scale.target:.3g}"
    return Finding(
        "unscaled_data",
        f"{said}: no single learning rate suits all weights; standardise.",
        {"largest": scale.largest, "column": _name(case, scale.column), "ratio": scale.ratio,
         "target": scale.target},
        ({"standardize": True},),
        0.97,
    )  # fmt: skip


def constant_columns(case: Case, deep: bool) -> Finding | None:
    """Columns that say nothing, since they have one value."""
    if case.image:
        return None
    constant = [r.name for r in case.encoder.report if "constant" in r.action]
    if not constant or rows.sparse(case.train):
        return None
    return Finding(
        "constant_columns",
        f"{len(constant)} column{'s have' if len(constant) > 1 else ' has'} one value in all "
        f"training rows ({', '.join(constant[:5])}): nothing can be learned from "
        f"{'them' if len(constant) > 1 else 'it'}; leave out, or check how the data was made.",
        {"columns": constant},
        tuple({"drop": c} for c in constant[:5]),
        0.15,
    )


def copied_rows(case: Case, deep: bool) -> Finding | None:
    """Rows that stand both in training and among those held out: the score is too good."""
    worst: tuple[float, str, int] = (0.0, "", 0)
    for name in ("validation", "test"):
        held = case.parts.get(name)
        if held is not None and len(held.x) >= 10:
            worst = max(worst, (rows.copies(case.train, held), name, len(held.x)))
    share, name, count = worst
    if share <= 0.1:
        return None
    return Finding(
        "copied_rows",
        f"{100 * share:.0f} % of the {count} {name} rows are copies of training rows: the "
        f"{name} score is too good to be true; remove copies before splitting.",
        {"share": share, "part": name, "rows": count},
        (),
        0.75,
    )


def leaked_target(case: Case, deep: bool) -> Finding | None:
    """A column that alone tells the target."""
    found = rows.leak(case.train, case.regression)
    if found is None:
        return None
    column, told = found
    name = _name(case, column)
    return Finding(
        "leaked_target",
        f"Column {name} alone tells the target ({100 * told:.4g} %): if it is not known when "
        "predictions are made, leave it out.",
        {"column": name, "told": told},
        ({"drop": name},),
        0.72,
    )


def _name(case: Case, column: int) -> Any:
    """The name of an encoded column."""
    at = 0
    for line in case.encoder.report:
        width = int(getattr(line, "width", 1))
        if at <= column < at + width:
            return line.name if width == 1 else f"{line.name}[{column - at}]"
        at += width
    return str(column)
