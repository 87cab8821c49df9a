"""The page of `steepest --help`, written without Typer: it has to be there at once."""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
from collections.abc import Iterable, Mapping
from typing import NamedTuple

SUMMARY = "Gradient descent, whole: minimise functions, train models, measure what works."
CODES = "Exit codes: 0 fine, 1 failure, 2 usage or bad input, 3 diverged."
ANYWHERE_HELP = {
    "quiet": "No progress and no hints on stderr.",
    "debug": "Show the traceback of a failure.",
}
OPTIONS = {
    "-q, --quiet": f"{ANYWHERE_HELP['quiet']} Before or after the command.",
    "--debug": f"{ANYWHERE_HELP['debug']} Before or after the command.",
    "--version": "Show the version.",
    "--install-completion": "Make the shell complete commands and options.",
    "--help": "Show this page, or that of a command: steepest COMMAND --help.",
}


class Command(NamedTuple):
    """A line of the help: the panel it stands in, and the first line of the command's docstring."""

    panel: str
    help: str


def show(commands: Mapping[str, Command]) -> None:
    """Print the page on stdout; headings are bold on a terminal, unless `NO_COLOR` is set."""
    plain = not sys.stdout.isatty() or bool(os.environ.get("NO_COLOR"))
    width = min(shutil.get_terminal_size().columns, 100)

    def heading(text: str) -> str:
        return text if plain else f"\033[1m{text}\033[0m"

    print(f"{heading('Usage:')} steepest COMMAND [ARGUMENTS] [OPTIONS]\n\n{SUMMARY}")
    column = max(map(len, commands), default=0) + 4
    for panel in dict.fromkeys(c.panel for c in commands.values()):
        print("\n" + heading(f"{panel}:"))
        print(_rows(((n, c.help) for n, c in commands.items() if c.panel == panel), column, width))
    print("\n" + heading("Options:"))
    print(_rows(OPTIONS.items(), max(map(len, OPTIONS)) + 4, width))
    print("\n" + textwrap.fill(CODES, width))


def _rows(rows: Iterable[tuple[str, str]], column: int, width: int) -> str:
    return "\n".join(
        textwrap.fill(
            help_,
            max(width, column + 20),
            initial_indent=f"  {name}".ljust(column),
            subsequent_indent=" " * column,
        )
        for name, help_ in rows
    )
