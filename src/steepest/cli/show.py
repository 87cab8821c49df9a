"""`steepest show MODEL`: what a trained model is, what it expects, and how it came about."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from steepest.cli import model_given, options, output

if TYPE_CHECKING:
    from steepest.engine.trained import Trained

_MOST_CLASSES = 10
PARTS = ("train", "validation", "test")


def show(model: model_given.Model, json: options.Json = False) -> int:
    """Show a trained model: layers, the data it expects, metrics, and how it was trained."""
    from steepest.store import run_directory

    trained, about = run_directory.read(model)
    facts = _facts(model, trained, about)
    if json:
        output.emit(facts)
    else:
        _show(trained, facts)
    return 0


def _facts(path: str, trained: Trained, about: dict[str, Any]) -> dict[str, Any]:
    encoder, metrics = trained.encoder, about.get("metrics", {})
    known = ("outcome", "message", "seed", "epochs", "best_epoch", "steps", "seconds", "rows")
    return {
        "path": path,
        "model": repr(trained.model),
        "loss": repr(trained.loss),
        "dtype": trained.dtype,
        "parameters": sum(layer["parameters"] for layer in _layers(trained.params)),
        "layers": _layers(trained.params),
        "expects": {
            "inputs": encoder.inputs,
            "columns": [c.to_dict() for c in encoder.report],
        },
        "predicts": {
            "task": encoder.task,
            "target": encoder.target,
            "classes": encoder.classes,
            "mean": encoder.target_mean,
            "scale": encoder.target_scale,
        },
        "metrics": {p: metrics.get(p) for p in PARTS},
        "training": {k: metrics[k] for k in known if k in metrics}
        | {"settings": about.get("settings", {}), "data": about.get("data")},
        # A model whose checksums do not hold is not loaded at all.
        "checksum": "ok",
    }


def _layers(params: Any) -> list[dict[str, Any]]:
    """The arrays of the model, those of one layer together, in the order of the model."""
    from jax.tree_util import tree_leaves_with_path

    layers: dict[str, dict[str, Any]] = {}
    for path, leaf in tree_leaves_with_path(params):
        words = [str(getattr(k, "key", getattr(k, "idx", getattr(k, "name", k)))) for k in path]
        name = ".".join(words[:-1]) or "model"
        layer = layers.setdefault(name, {"name": name, "parameters": 0, "arrays": {}})
        layer["arrays"][words[-1] if words else "w"] = leaf.shape
        layer["parameters"] += math.prod(leaf.shape)
    return list(layers.values())


def _show(trained: Trained, facts: dict[str, Any]) -> None:
    output.say(facts["model"])
    output.table(
        ["layer", "arrays", "parameters"],
        [[x["name"], _shapes(x["arrays"]), x["parameters"]] for x in facts["layers"]],
    )
    output.say(f"{output.count(facts['parameters'])} parameters, {facts['dtype']}.")
    output.say()
    output.table(
        ["column", "kind", "inputs", "what is done"],
        [[c.name, c.kind, c.width, c.action] for c in trained.encoder.report],
    )
    output.say(_target(facts["predicts"]))
    output.say()
    _show_metrics(facts)
    for line in _training(facts["training"]):
        output.say(line)
    output.say("Checksums: ok.")


def _shapes(arrays: dict[str, tuple[int, ...]]) -> str:
    return ", ".join(f"{n} {' x '.join(map(str, s)) or 'scalar'}" for n, s in arrays.items())


def _target(predicts: dict[str, Any]) -> str:
    target = predicts["target"]
    names = (target,) if isinstance(target, str) else tuple(target or ())
    classes = predicts["classes"]
    if classes is None:
        scales, means = np.ravel(predicts["scale"]), np.ravel(predicts["mean"])
        numbers = (
            f"{n!r} = {s:.6g} f + {m:.6g}" for n, s, m in zip(names, scales, means, strict=True)
        )
        return f"It predicts {', '.join(numbers)}, from the output f."
    shown = ", ".join(map(str, classes[:_MOST_CLASSES]))
    more = ", ..." if len(classes) > _MOST_CLASSES else ""
    return f"It predicts {names[0]!r}, one of {len(classes)} classes: {shown}{more}."


def _show_metrics(facts: dict[str, Any]) -> None:
    parts = {p: m for p, m in facts["metrics"].items() if m}
    if not parts:
        return
    names = ["loss", *(n for n in next(iter(parts.values())) if n != "loss")]
    rows = facts["training"].get("rows", {})
    output.table(
        ["", "rows", *names],
        [[p, rows.get(p), *(m.get(n) for n in names)] for p, m in parts.items()],
    )


def _training(training: dict[str, Any]) -> list[str]:
    lines = [training["message"]] if "message" in training else []
    data = training["data"] or {}
    if "name" in data:
        # The checksum tells which version of a file it was.
        checksum = data.get("fingerprint", {}).get("sha256", "")[:16]
        lines.append(f"Trained on {data['name']}" + (f" ({checksum})." if checksum else "."))
    if "best_epoch" in training:
        lines.append(
            f"Seed {training['seed']}; the weights of epoch {training['best_epoch']:g} of "
            f"{training['epochs']:g}, after {output.duration(training['seconds'])}."
        )
    settings = _chosen(training["settings"])
    if settings:
        lines.append("Settings: " + ", ".join(f"{k}={v}" for k, v in settings.items()) + ".")
    return lines


def _chosen(settings: dict[str, Any]) -> dict[str, Any]:
    """The settings that are not left at their defaults."""
    from steepest.core.record import to_dict
    from steepest.engine.settings import Settings

    usual = Settings()
    return {
        k: v
        for k, v in settings.items()
        if not hasattr(usual, k) or v != to_dict(getattr(usual, k))
    }
