"""The commands as a Typer app, of which only the command that is called is imported."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from steepest.cli.help import ANYWHERE_HELP, CODES, SUMMARY, Command

# Typer keeps its own copy of Click since 0.26, so the base class is reached through a public name.
ParserError: Any = typer.BadParameter.__base__
FORMULA = "EXPR"


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
            add = app.command(name, cls=Signed, epilog=f"Also: --quiet (-q), --debug. {CODES}")
            add(find(name, package))
        else:
            app.command(name, help=line)(lambda: None)
    return app


class Signed(TyperCommand):
    """A command whose formula (an argument shown as EXPR) may begin with a minus sign."""

    def parse_args(self, ctx: Any, args: list[str]) -> Any:
        """Parse `args`, a signed formula put behind `--`, where it cannot be taken for options."""
        if any(FORMULA in (getattr(p, "metavar", None) or "") for p in self.params):
            args = with_formula_apart(args, self.params)
        return super().parse_args(ctx, args)


def with_formula_apart(args: Sequence[str], params: Sequence[Any]) -> list[str]:
    """`args`, the first argument moved behind `--` if it begins with one minus sign.

    What follows an option is its value, with whatever it begins; so `--start -1,2` needs no help.
    """
    flags = {o for p in params for o in (*p.opts, *p.secondary_opts) if getattr(p, "is_flag", 0)}
    options = {o for p in params for o in (*p.opts, *p.secondary_opts) if o.startswith("-")}
    out: list[str] = []
    rest = list(args)
    while rest:
        arg = rest.pop(0)
        if arg == "--" or not arg.startswith("-"):
            return [*out, arg, *rest]
        if not arg.startswith("--") and arg[:2] not in options and len(arg) > 1:
            return [*out, *rest, "--", arg]
        out.append(arg)
        if arg in options - flags and rest:
            out.append(rest.pop(0))
    return out


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
