"""The command `steepest`: its table of commands, and how every ending becomes an exit code.

A command `name` is the function `name` in `steepest/cli/name.py`, with Typer annotations. Only the
module of the command that is called is imported; the others are known by their line in `COMMANDS`,
because the help has to come at once and JAX takes a second to load.

Exit codes: 0 fine, 1 failure, 2 usage or bad input, 3 diverged, 130 interrupted, 141 the reader of
the output has gone.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence

from steepest.cli import help, output
from steepest.cli.help import Command
from steepest.core.errors import SteepestError, suggest

INTERRUPTED = 130
PIPE_CLOSED = 141

COMMANDS: dict[str, Command] = {
    "train": Command("Data", "Train a model on data by gradient descent, and keep the best one."),
    "predict": Command("Data", "Predict the target for each row of a file, with a trained model."),
    "evaluate": Command(
        "Data", "Measure a trained model on the rows of a file, whose target is known."
    ),
    "show": Command(
        "Data",
        "Show a trained model: layers, the data it expects, metrics, and how it was trained.",
    ),
    "diagnose": Command(
        "Data", "Say what is wrong with a trained run, with measurements, and what would cure it."
    ),
    "landscape": Command(
        "Data", "Draw the loss on a line or a plane through the weights of a trained run."
    ),
    "tune": Command(
        "Data", "Map the learning rates: how surely each succeeds, its loss, and the stable limit."
    ),
    "inspect": Command("Data", "Show what training would do with each column of a table."),
    "study": Command(
        "Research",
        "Compare settings over many seeds: what works best, how surely, and what each one does.",
    ),
    "tables": Command(
        "Research",
        "Measure the common tables of gradient descent, and which of the common claims hold.",
    ),
    "minimize": Command(
        "Functions", "Minimise a function by gradient descent: the path, where it ended, and why."
    ),
    "race": Command(
        "Functions", "Race optimizers down one function, each at its own learning rate with --tune."
    ),
    "explain": Command(
        "Functions",
        "Derivatives, curvature, critical points and stable learning rates of a function.",
    ),
    "functions": Command(
        "Functions", "List the test functions that are known by name, with their minima and bounds."
    ),
}

# Flags that may stand before or after the command; they are taken out before Typer parses.
ANYWHERE = {"--debug": "debug", "--quiet": "quiet", "-q": "quiet"}


def run(
    argv: Sequence[str],
    commands: Mapping[str, Command] = COMMANDS,
    package: str = "steepest.cli",
) -> int:
    """Run `steepest ARGV` and return the exit code; nothing but `SystemExit` gets out."""
    for stream in (sys.stdout, sys.stderr):
        # A character that the terminal's encoding lacks must not be the end of a long run.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    args = _take_flags(list(argv))
    try:
        code = _call(args, commands, package)
        sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        output.error("Interrupted.")
        return INTERRUPTED
    except BrokenPipeError:
        return _pipe_closed()
    except SteepestError as e:
        return _failed(e, str(e), e.exit_code)
    except MemoryError as e:
        return _failed(e, "The memory of this machine is used up: use a smaller batch or model.", 1)
    except OSError as e:
        named = f"{e.filename}: " if e.filename is not None else ""
        return _failed(e, f"{named}{e.strerror or e}.", 1)
    except Exception as e:
        said = " ".join(str(e).split())
        shown = f"{type(e).__name__}: {said[:300]}" if said else type(e).__name__
        return _failed(
            e, f"Unexpected failure: {shown}", 1, "Add --debug for the traceback, to report it."
        )


def _call(args: list[str], commands: Mapping[str, Command], package: str) -> int:
    name = next((a for a in args if not a.startswith("-")), None)
    completing = "_STEEPEST_COMPLETE" in os.environ
    if name is None and not completing:
        if not args or "--help" in args:
            help.show(commands)
            return 0
        if "--version" in args:
            from steepest import __version__

            print(f"steepest {__version__}")
            return 0
    elif name not in commands and not completing:
        output.error(f"There is no command {name!r}; {suggest(str(name), commands)}",
                     "Try `steepest --help`.")  # fmt: skip
        return 2
    from steepest.cli import parser

    try:
        return parser.invoke(name, args, commands, package)
    except parser.ParserError as e:
        return _failed(e, parser.what_was_wrong(e, args), 2, parser.where_help_is(e))


def _take_flags(args: list[str]) -> list[str]:
    """`args` without the flags that may stand anywhere, which are noted in `output.settings`."""
    output.settings.debug = output.settings.quiet = False
    end = args.index("--") if "--" in args else len(args)
    for a in args[:end]:
        if a in ANYWHERE:
            setattr(output.settings, ANYWHERE[a], True)
    return [a for a in args[:end] if a not in ANYWHERE] + args[end:]


def _failed(e: BaseException, message: str, code: int, hint: str = "") -> int:
    if output.settings.debug:
        import traceback

        traceback.print_exception(e)
    output.error(message, hint)
    return code


def _pipe_closed() -> int:
    """Leave quietly: Python would complain once more when it flushes stdout at exit."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, sys.stdout.fileno())
    return PIPE_CLOSED
