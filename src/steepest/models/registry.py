"""Models by name."""

from __future__ import annotations

from typing import Any

from steepest.core.errors import UsageError, suggest
from steepest.core.record import replace
from steepest.models.linear import Linear
from steepest.models.mlp import MLP
from steepest.models.tree import Tree, TreeEnsemble

MODELS: dict[str, Any] = {
    "linear": Linear,
    "mlp": MLP,
    "tree": Tree,
    "tree_ensemble": TreeEnsemble,
}


def model(name: Any, **settings: Any) -> Any:
    """The model of that name with these settings; a model is returned with the settings replaced.

    >>> model("mlp", hidden=(8,))
    MLP(hidden=(8,))
    """
    if not isinstance(name, str):
        if not hasattr(name, "init") or not hasattr(name, "forward"):
            raise UsageError(
                f"model={name!r} is not a model; give a name ({', '.join(MODELS)}), an object with "
                "init and forward, or models.Custom(initial, apply)."
            )
        return replace(name, **settings) if settings else name
    if name not in MODELS:
        raise UsageError(f"model={name!r} is not known; {suggest(name, MODELS)}")
    return replace(MODELS[name](), **settings)
