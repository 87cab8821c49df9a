"""`Finding`: one thing that is wrong with a run; `Diagnosis`: all of them, and the measurements."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Finding:
    """One illness of a run.

    code:     its name, such as `learning_rate_too_large`; see `illness.ILLNESSES`.
    sentence: what is wrong and what to do, for a newcomer.
    evidence: the numbers that say so, by name (with step, epoch, layer or columns where known).
    changes:  settings that should cure it, most promising first: `({"learning_rate": 0.01}, ...)`.
    weight:   how bad it is, from 0 to 1; findings are ranked by it.

    >>> one = Finding("too_few_epochs", "The loss was still falling.", {"share": 0.2},
    ...               ({"epochs": 200},), 0.4)
    >>> one.options
    ('--epochs 200',)
    """

    code: str
    sentence: str
    evidence: dict[str, Any] = field(default_factory=dict)
    changes: tuple[dict[str, Any], ...] = ()
    weight: float = 0.5

    @property
    def options(self) -> tuple[str, ...]:
        """Each suggested change as options of `steepest train` (or `minimize`)."""
        return tuple(as_options(c) for c in self.changes)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "code": self.code,
            "sentence": self.sentence,
            "evidence": {k: _plain(v) for k, v in self.evidence.items()},
            "changes": [{k: _plain(v) for k, v in c.items()} for c in self.changes],
            "options": list(self.options),
            "weight": self.weight,
        }


@dataclass(frozen=True)
class Diagnosis:
    """What was found, worst first, and what was measured on the way.

    An empty diagnosis is that of a healthy run: it is false in a condition.

    >>> bool(Diagnosis((), {})), str(Diagnosis((), {}))
    (False, 'Nothing is wrong with this run, as far as was measured.')
    """

    findings: tuple[Finding, ...]
    measured: dict[str, Any] = field(default_factory=dict)

    @property
    def codes(self) -> tuple[str, ...]:
        """The codes of the findings, worst first."""
        return tuple(f.code for f in self.findings)

    def __iter__(self) -> Iterator[Finding]:
        return iter(self.findings)

    def __len__(self) -> int:
        return len(self.findings)

    def __getitem__(self, i: int) -> Finding:
        return self.findings[i]

    def __str__(self) -> str:
        if not self.findings:
            return "Nothing is wrong with this run, as far as was measured."
        lines = []
        for f in self.findings:
            lines.append(f"{f.code}: {f.sentence}")
            if f.options:
                lines.append("  try: " + "   or: ".join(f.options))
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "findings": [f.to_dict() for f in self.findings],
            "measured": {k: _plain(v) for k, v in self.measured.items()},
        }


def ranked(findings: list[Finding], causes: dict[str, tuple[str, ...]]) -> tuple[Finding, ...]:
    """Worst first; a finding that another one explains (`causes[cause]` lists what) is left out."""
    codes = {f.code for f in findings}
    explained = {symptom for cause in codes for symptom in causes.get(cause, ())}
    left = [f for f in findings if f.code not in explained]
    return tuple(sorted(left, key=lambda f: -f.weight))


def as_options(changes: dict[str, Any]) -> str:
    """Settings as options of the command line: `{"clip_norm": 1.0}` is `--clip-norm 1`."""
    out = []
    for name, value in changes.items():
        flag = "--" + name.replace("_", "-")
        if isinstance(value, bool):
            out.append(flag if value else f"--no-{flag[2:]}")
        elif isinstance(value, (tuple, list)):
            out.append(f"{flag} {','.join(map(str, value))}")
        elif isinstance(value, float):
            out.append(f"{flag} {value:.3g}")
        else:
            out.append(f"{flag} {value}")
    return " ".join(out)


def _plain(value: Any) -> Any:
    if hasattr(value, "to_dict"):
        return value.to_dict()
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    if isinstance(value, (np.generic, np.ndarray)):
        return np.asarray(value).tolist()
    return value
