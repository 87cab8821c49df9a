"""The options of `Settings`, made from its declaration, and read back into it."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable
from typing import Annotated, Any

import typer

from steepest.cli import options
from steepest.core.errors import UsageError
from steepest.core.record import replace
from steepest.engine.auto import OTHERWISE, take_auto
from steepest.engine.probes import resolve
from steepest.engine.settings import Settings, with_recipe

PANELS = {
    "Model": ("model", "hidden", "activation", "initializer", "norm", "dropout"),
    "Loss": ("loss", "l1", "l2", "label_smoothing"),
    "Descent": ("optimizer", "learning_rate", "momentum", "weight_decay", "optimizer_settings",
                "clip_norm", "clip_value", "average", "schedule", "schedule_settings", "warmup",
                "batch_size", "epochs"),
    "Stopping": ("patience", "min_delta", "tolerance", "target_loss", "target_share"),
    "Data": ("validation", "test_share", "standardize", "dtype"),
    "Recording": ("probes", "every"),
}  # fmt: skip
FLAGS = {"target": "target_loss", "test": "test_share"}
"""Fields whose option has another name, because the short one says where the data is."""
LISTS = {"optimizer_settings": "--optimizer-set", "schedule_settings": "--schedule-set"}
HIDDEN = ("seed",)


def with_settings(command: Callable[..., Any]) -> Callable[..., Any]:
    """`command(..., settings)` as a Typer command that has an option for each field of `Settings`.

    The wrapped function gets the `Settings` made from the options that were given, and where it
    has an argument `given`, those options alone besides; with `auto`, the names of the settings
    that are to be found.
    """
    declared = inspect.signature(command, eval_str=True).parameters
    own = [p for p in declared.values() if p.name not in ("settings", "given", "auto")]
    fields = [f for f in dataclasses.fields(Settings) if f.name not in HIDDEN]
    taken = {p.name for p in own}
    made = [_parameter(f) for f in fields if FLAGS.get(f.name, f.name) not in taken]

    def run(**given: Any) -> Any:
        mine = {p.name: given.pop(p.name) for p in own}
        changes = {}
        for f in fields:
            value = given.get(FLAGS.get(f.name, f.name))
            if value is not None and value != []:
                changes[f.name] = read(f.name, value)
        if "given" in declared:
            mine["given"] = dict(changes)
        auto = take_auto(changes)
        if "auto" in declared:
            mine["auto"] = auto
        elif auto:
            raise UsageError(
                f"--{min(auto).replace('_', '-')} auto is for `steepest train`; give a value."
            )
        if "seed" in mine:
            changes["seed"] = mine["seed"]
        return command(**mine, settings=replace(Settings(), **with_recipe(changes)))

    run.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in [*own, *made]]
    )
    run.__annotations__ = {p.name: p.annotation for p in [*own, *made]}
    run.__doc__, run.__name__ = command.__doc__, command.__name__
    return run


def read(name: str, value: Any) -> Any:
    """The text of an option as the value of the field `name`."""
    option = "--" + name.replace("_", "-")
    if name == "hidden":
        return options.integers(value, option, least=1)
    if name == "probes":
        found = options.names(value)
        resolve(found)
        return found
    if name == "activation":
        found = options.names(value)
        return found[0] if len(found) == 1 else found
    if name == "batch_size":
        return value if value in ("full", "auto") else options.integers(value, option)[0]
    if name == "learning_rate":
        return value if value == "auto" else options.floats(value, option, length=1)[0]
    if name in LISTS:
        return tuple(options.pairs(value, LISTS[name]).items())
    return value


def _parameter(f: dataclasses.Field) -> inspect.Parameter:
    name = FLAGS.get(f.name, f.name)
    panel = next((p for p, names in PANELS.items() if name in names), "More")
    help_ = f.metadata.get("help", "")
    shown = _shown(f.default)
    help_ += ", or auto" if f.name in OTHERWISE else ""
    text = f"{help_} [dim]\\[{shown}][/dim]" if shown else help_
    option = "--" + name.replace("_", "-")
    kind: Any = str
    declared = (option,)
    if isinstance(f.default, bool):
        kind, declared = bool, (f"{option}/--no-{name.replace('_', '-')}",)
    elif f.metadata.get("role") == "number" and f.name not in OTHERWISE:
        kind = float
    elif f.name == "every":
        kind = int
    elif f.name in LISTS:
        kind, declared = list[str], (LISTS[f.name],)
        text = f"{help_.split(':')[0]}, as name=value; may be repeated"
    annotation = Annotated[
        kind | None, typer.Option(*declared, help=text, rich_help_panel=panel, show_default=False)
    ]
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation
    )


def _shown(default: Any) -> str:
    if default is None or default == ():
        return ""
    if isinstance(default, bool):
        return "yes" if default else "no"
    if isinstance(default, tuple):
        return ",".join(map(str, default))
    return str(default)
