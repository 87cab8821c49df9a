"""The commands as a Typer app, of which only the command that is called is imported."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Annotated, Any

import typer

from steepest.cli.help import ANYWHERE_HELP, CODES, SUMMARY, Command

# Typer keeps its own copy of Click since 0.26, so the base class is reached through a public name.
ParserError: Any = typer.BadParameter.__base__


def invoke(name: str | None, args: list[str], commands: Mapping[str, Command], package: str) -> int:
    """Parse `args` and call the command `name`; returns its exit code.

    Raises `ParserError` for wrong usage, and whatever the command raises.
    """
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
    """The Typer app; the commands named in `load` are imported, the others are names only."""
    app = typer.Typer(help=SUMMARY, rich_markup_mode="rich", pretty_exceptions_enable=False)
    app.callback()(_options)
    for name, (_, line) in commands.items():
        if name in load:
            app.command(name, epilog=f"Also: --quiet (-q), --debug. {CODES}")(find(name, package))
        else:
            app.command(name, help=line)(lambda: None)
    return app


def find(name: str, package: str = "steepest.cli") -> Callable[..., Any]:
    """The function of a command; this imports its module."""
    import importlib

    return getattr(importlib.import_module(f"{package}.{name}"), name)


def where_help_is(e: Any) -> str:
    """What to type for the help that belongs to a `ParserError`."""
    context = getattr(e, "ctx", None)
    return f"Try `{context.command_path if context is not None else 'steepest'} --help`."


def what_was_wrong(e: Any, args: list[str]) -> str:
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


def _options(
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help=ANYWHERE_HELP["quiet"])] = False,
    debug: Annotated[bool, typer.Option("--debug", help=ANYWHERE_HELP["debug"])] = False,
    version: Annotated[bool, typer.Option("--version")] = False,
) -> None:
    """Declares the options of `steepest` itself; `steepest.cli.app` has acted on them already."""


def _words_to_complete() -> set[str]:
    """The words a shell wants to have completed: their command's options must be known."""
    words = (os.environ.get(k, "") for k in ("COMP_WORDS", "_TYPER_COMPLETE_ARGS"))
    return {w for text in words for w in text.split()}
