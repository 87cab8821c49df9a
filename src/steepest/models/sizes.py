"""The sizes of a model: given by the user, or filled in from the data."""

from __future__ import annotations

import math
from typing import Any

from steepest.core.errors import UsageError
from steepest.core.record import replace


def normal_size(owner: str, name: str, value: Any) -> int | None:
    """A size as one positive int, the product of a shape; None stays None."""
    if value is None:
        return None
    shape = value if isinstance(value, (tuple, list)) else (value,)
    if not all(isinstance(n, int) and not isinstance(n, bool) and n > 0 for n in shape):
        raise UsageError(f"{owner}: {name} must be a positive whole number, got {value!r}.")
    return math.prod(shape)


def fill_sizes(model: Any, inputs: tuple[int, ...], outputs: int) -> Any:
    """`model` with `inputs` (features, flattened) and `outputs`; a contradiction is refused."""
    name = type(model).__name__
    features = math.prod(inputs)
    if model.inputs not in (None, features):
        raise UsageError(
            f"{name}: inputs={model.inputs}, but the data have {features} features "
            f"(shape {tuple(inputs)}); leave inputs out, or give {features}."
        )
    if model.outputs not in (None, outputs):
        raise UsageError(
            f"{name}: outputs={model.outputs}, but the data and the loss need {outputs}; "
            f"leave outputs out, or give {outputs}."
        )
    return replace(model, inputs=features, outputs=outputs)


def need_sizes(model: Any) -> tuple[int, int]:
    """(inputs, outputs), once both are known."""
    for field in ("inputs", "outputs"):
        if getattr(model, field) is None:
            raise UsageError(
                f"{type(model).__name__}: {field} is not known yet; give {field}=..., "
                "or call bind(inputs, outputs) with the shape of the data."
            )
    return model.inputs, model.outputs


def flatten_rows(x: Any, dtype: Any) -> Any:
    """x of shape (rows, ...) as (rows, features) in `dtype`; one vector is refused."""
    if x.ndim < 2:
        raise UsageError(
            f"x must have shape (rows, features), got {x.shape}; use x[:, None] for one feature."
        )
    return x.reshape(x.shape[0], math.prod(x.shape[1:])).astype(dtype)
