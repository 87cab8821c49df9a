"""The exceptions that leave steepest, drawn as a tree.

    SteepestError                 exit code 1
    ├── UsageError (ValueError)   exit code 2   a setting or an argument that cannot work
    │   ├── FormulaError                        a formula that cannot be read; shows the column
    │   └── DataError                           data that cannot be used: file, row or column named
    ├── FileError                 exit code 1   a file of ours: altered, truncated, or too new
    ├── DivergedError             exit code 3   a run that diverged where a result was demanded
    └── MissingExtraError (ImportError)         an optional dependency that is not installed

Every message is one sentence that names the thing, its value, and what to do about it.
"""

from __future__ import annotations


class SteepestError(Exception):
    """Base of all errors that steepest raises on purpose."""

    exit_code = 1


class UsageError(SteepestError, ValueError):
    """A setting or an argument that cannot work; raised before anything is compiled."""

    exit_code = 2


class FormulaError(UsageError):
    """A formula that cannot be read; `text` and `column` (from 0) say where."""

    def __init__(self, message: str, text: str = "", column: int = 0, hint: str = ""):
        self.message, self.text, self.column, self.hint = message, text, column, hint
        super().__init__(self.pretty())

    def pretty(self) -> str:
        """The sentence, then the formula with a caret under the column, then the hint."""
        lines = [self.message]
        if self.text:
            start = max(0, self.column - 60)
            shown = self.text[start : self.column + 20].replace("\n", " ")
            lines += ["  " + shown, "  " + " " * (self.column - start) + "^"]
        if self.hint:
            lines.append(self.hint)
        return "\n".join(lines)


class DataError(UsageError):
    """Data that cannot be used, with the file, row or column and what to do."""


class FileError(SteepestError):
    """A model, checkpoint or study file that is altered, truncated, or of a newer version."""


class DivergedError(SteepestError):
    """A run diverged where the caller asked for a result or an exception."""

    exit_code = 3


class MissingExtraError(SteepestError, ImportError):
    """An optional dependency is missing; the sentence gives the `pip install` line."""

    def __init__(self, package: str, extra: str, purpose: str):
        super().__init__(
            f"{purpose} needs the package {package!r}, which is not installed: "
            f"run `pip install 'steepest[{extra}]'`."
        )


def suggest(name: str, known) -> str:
    """`did you mean 'adam'?` for a near miss, else the list of what is known."""
    import difflib

    known = sorted(known)
    near = difflib.get_close_matches(str(name).lower(), known, n=1, cutoff=0.6)
    if near:
        return f"did you mean {near[0]!r}?"
    return "known: " + ", ".join(known) + "."
