"""Conducting a study: its parts run, kept in its directory as they complete, and put together."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from steepest.study import directory as place
from steepest.study.execute import Interrupted, Part
from steepest.study.result import StudyResult, assemble


def conduct(
    study: Any,
    execute: Callable[[frozenset[int]], Iterator[Part]],
    directory: str | os.PathLike[str] | None,
    *,
    resume: bool,
    overwrite: bool,
) -> StudyResult:
    """The result of `study`, which has `cells`, `metric`, `describe()` and `facts()`.

    `execute(skip)` yields the parts that are not in `skip`. With a directory each is kept as it
    completes, and `resume` goes on with what is there. KeyboardInterrupt where the user ended it.
    """
    began = time.perf_counter()
    path = None if directory is None else Path(directory)
    parts: dict[int, Part] = {}
    if path is not None:
        place.claim(path, study.describe(), overwrite=overwrite, resume=resume)
        if resume and place.finished(path):
            runs, trace = place.tables(path)
            return StudyResult(study.cells, runs, trace, study.metric, facts=study.facts())
        parts = place.kept(path) if resume else {}
    try:
        for part in execute(frozenset(parts)):
            parts[part.number] = part
            if path is not None:
                place.keep(path, part)
    except Interrupted:
        raise KeyboardInterrupt from None
    ordered = [parts[i] for i in sorted(parts)]
    runs, trace = assemble(study.cells, [p.runs for p in ordered], [p.trace for p in ordered])
    if path is not None:
        place.finish(path, runs, trace)
    seconds = time.perf_counter() - began
    return StudyResult(study.cells, runs, trace, study.metric, seconds, study.facts())
