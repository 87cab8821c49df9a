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
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, NamedTuple

import typer

from steepest.cli import output
from steepest.core.errors import SteepestError, suggest

INTERRUPTED = 130
PIPE_CLOSED = 141


class Command(NamedTuple):
    """A line of the help: the panel it stands in, and the first line of the command's docstring."""

    panel: str
    help: str


COMMANDS: dict[str, Command] = {
    "train": Command("Train", "Train a model on data by gradient descent, and keep the best one."),
}

# Flags that may stand before or after the command; they are taken out before Typer parses.
ANYWHERE = {"--debug": "debug", "--quiet": "quiet", "-q": "quiet"}

EPILOG = "Every command also takes --quiet (-q) and --debug. Exit codes: 0 fine, 1 failure, 2 usage or bad input, 3 diverged."  # noqa: E501

# Typer keeps its own copy of Click since 0.26, so the base class is reached through a public name.
_ParserError: Any = typer.BadParameter.__base__


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
    args = _take_flags(list(argv)) or ["--help"]
    try:
        code = _call(args, commands, package)
        sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        output.error("Interrupted.")
        return INTERRUPTED
    except BrokenPipeError:
        return _pipe_closed()
    except _ParserError as e:
        return _failed(e, _what_was_wrong(e, args), 2, _where_help_is(e))
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
    if name is not None and name not in commands:
        return _failed(
            None, f"There is no command {name!r}; {suggest(name, commands)}", 2, _HELP_HINT
        )
    wanted = {name} if name is not None else _words_to_complete()
    command = typer.main.get_command(build(commands, package, wanted))
    if "_STEEPEST_COMPLETE" in os.environ:
        return command.main(args=args, prog_name="steepest", standalone_mode=False) or 0
    # Not `command.main`: it would turn Ctrl-C and a closed pipe into exit codes of its own.
    try:
        with command.make_context("steepest", args) as context:
            value = command.invoke(context)
    except typer.Abort:
        raise KeyboardInterrupt from None
    except typer.Exit as e:
        return e.exit_code
    return value if isinstance(value, int) else 0


def build(commands: Mapping[str, Command], package: str, load: set[str]) -> typer.Typer:
    """The Typer app; the commands named in `load` are imported, of the others only the help is."""
    app = typer.Typer(
        help="Gradient descent, whole: minimise functions, train models, measure what works.",
        epilog=EPILOG,
        rich_markup_mode="rich",
        pretty_exceptions_enable=False,
    )
    app.callback()(_options)
    for name, (panel, help_) in commands.items():
        settings: dict[str, Any] = {"name": name, "rich_help_panel": panel}
        if name in load:
            app.command(**settings, epilog=EPILOG, no_args_is_help=False)(find(name, package))
        else:
            app.command(**settings, help=help_)(lambda: None)
    return app


def find(name: str, package: str = "steepest.cli") -> Callable[..., Any]:
    """The function of a command; this imports its module."""
    import importlib

    return getattr(importlib.import_module(f"{package}.{name}"), name)


def _show_version(value: bool) -> None:
    if value:
        from steepest import __version__  # type: ignore[attr-defined]

        print(f"steepest {__version__}")
        raise typer.Exit


def _options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="No progress and no hints on stderr.")
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show the traceback of a failure.")
    ] = False,
) -> None:
    """Declares the options of `steepest` itself for the help; `_take_flags` has acted on them."""


_HELP_HINT = "Try `steepest --help`."


def _take_flags(args: list[str]) -> list[str]:
    """`args` without the flags that may stand anywhere, which are noted in `output.settings`."""
    output.settings.debug = output.settings.quiet = False
    end = args.index("--") if "--" in args else len(args)
    for a in args[:end]:
        if a in ANYWHERE:
            setattr(output.settings, ANYWHERE[a], True)
    return [a for a in args[:end] if a not in ANYWHERE] + args[end:]


def _words_to_complete() -> set[str]:
    """The words a shell wants to have completed: their command's options must be known."""
    words = (os.environ.get(k, "") for k in ("COMP_WORDS", "_TYPER_COMPLETE_ARGS"))
    return {w for text in words for w in text.split()}


def _what_was_wrong(e: Any, args: list[str]) -> str:
    """The parser's sentence, with the value of the option that it complains about."""
    message = e.format_message()
    names = getattr(getattr(e, "param", None), "opts", ())
    for i, arg in enumerate(args):
        name, equals, value = arg.partition("=")
        if name not in names or not name.startswith("-") or not (equals or args[i + 1 : i + 2]):
            continue
        given = value if equals else args[i + 1]
        return message if repr(given) in message else f"{message.rstrip('.')}, got {given!r}."
    return message


def _where_help_is(e: Any) -> str:
    context = getattr(e, "ctx", None)
    return f"Try `{context.command_path} --help`." if context is not None else _HELP_HINT


def _failed(e: BaseException | None, message: str, code: int, hint: str = "") -> int:
    if output.settings.debug and e is not None:
        import traceback

        traceback.print_exception(e)
    output.error(message, hint)
    return code


def _pipe_closed() -> int:
    """Leave quietly: Python would complain once more when it flushes stdout at exit."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, sys.stdout.fileno())
    return PIPE_CLOSED
