"""The optimizers by name; a new one is usable everywhere once its class is in this table."""

from __future__ import annotations

import dataclasses
from typing import Any

from steepest.core.errors import UsageError, suggest
from steepest.core.record import replace
from steepest.core.types import Optimizer
from steepest.optimizers.adam import Adam, AdaMax, AdamW, AMSGrad, NAdam
from steepest.optimizers.adaptive import AdaDelta, AdaGrad, RMSProp
from steepest.optimizers.gradient_descent import GradientDescent, Momentum, Nesterov
from steepest.optimizers.searching import SEARCH_OPTIMIZERS
from steepest.optimizers.sign import Lion, SignSGD
from steepest.optimizers.wrap import from_optax

OPTIMIZERS: dict[str, type] = {
    "gd": GradientDescent,
    "sgd": GradientDescent,
    "momentum": Momentum,
    "nesterov": Nesterov,
    "adagrad": AdaGrad,
    "rmsprop": RMSProp,
    "adadelta": AdaDelta,
    "adam": Adam,
    "adamw": AdamW,
    "amsgrad": AMSGrad,
    "nadam": NAdam,
    "adamax": AdaMax,
    "lion": Lion,
    "signsgd": SignSGD,
    **SEARCH_OPTIMIZERS,
}


def optimizer(method: str | Any, **settings: Any) -> Optimizer:
    """The optimizer of that name (see `OPTIMIZERS`), with these settings.

    An optimizer is given back as it is, or as a copy with the settings; an optax
    transformation (or the function that makes it, with its settings) is wrapped by `from_optax`.

        >>> optimizer("momentum", learning_rate=0.1).momentum
        0.9

    Raises UsageError for an unknown name or setting, with a suggestion.
    """
    if isinstance(method, str):
        name = method.lower().replace("-", "").replace("_", "")
        cls = OPTIMIZERS.get(name) or OPTIMIZERS.get(method.lower())
        if cls is None:
            raise UsageError(f"optimizer {method!r} is not known; {suggest(method, OPTIMIZERS)}")
        known = [f.name for f in dataclasses.fields(cls)]
        for key in settings:
            if key not in known:
                raise UsageError(
                    f"optimizer {method!r} has no setting {key!r}; {suggest(key, known)}"
                )
        return cls(**settings)
    if isinstance(method, Optimizer) and not isinstance(method, type):
        return replace(method, **settings) if settings else method
    if not isinstance(method, type) and (hasattr(method, "update") or callable(method)):
        return from_optax(method, **settings)  # type: ignore[return-value]
    raise UsageError(
        f"optimizer={method!r} is neither a name, nor an optimizer; "
        f"names are {', '.join(OPTIMIZERS)}."
    )
