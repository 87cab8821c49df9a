"""The protocols by which the layers see each other: arrays in, arrays out, all pytrees."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol, runtime_checkable

from steepest.core.record import part, record

Array = Any
Params = Any
State = Any


class Horizon(NamedTuple):
    """How long a run is, by which schedules turn epochs and fractions into steps."""

    steps_per_epoch: float
    total_steps: float


class Evaluation(NamedTuple):
    """An objective at one point: f(w), its gradient (a tree like w), and what comes with it."""

    value: Array
    gradient: Params
    aux: Any = ()


Evaluate = Callable[[Params], Evaluation]
Proximal = Callable[[Params, Any], Params]


@record
class Stepped:
    """What one step of an optimizer yields.

    `value`, `gradient` and `aux` belong to the point that the step started from; `params` and
    `state` are the new ones. `evaluations` counts calls of value-and-gradient in this step.
    `failed` says that no acceptable step exists (a line search that gave up): the run has stalled.
    """

    params: Params = part()
    state: State = part()
    value: Array = part()
    gradient: Params = part()
    aux: Any = part(default=())
    learning_rate: Array = part(default=0.0)
    evaluations: Array = part(default=1)
    failed: Array = part(default=False)


@runtime_checkable
class Optimizer(Protocol):
    """A method of descent: a frozen record whose numbers are leaves.

    `start(evaluate, params) -> state` and `step(evaluate, params, state, proximal) -> Stepped` are
    the engine's form. First-order rules also have optax's form, `init(params) -> state` and
    `update(gradient, state, params) -> (updates, state)`.
    """

    def bind(self, horizon: Horizon) -> Optimizer: ...

    def start(self, evaluate: Evaluate, params: Params) -> State: ...

    def step(
        self, evaluate: Evaluate, params: Params, state: State, proximal: Proximal | None = None
    ) -> Stepped: ...


class Model(Protocol):
    """f_w(x): `init(key) -> (params, buffers)` and `forward(...) -> (outputs, buffers)`.

    `buffers` are what changes without a gradient (running means of batch normalisation); `()` when
    there are none. `x` has shape (rows, ...), `outputs` too. `key` is None outside training;
    `weight` (rows,) marks padding by zeros.
    """

    def init(self, key: Array) -> tuple[Params, Any]: ...

    def forward(
        self,
        params: Params,
        buffers: Any,
        x: Array,
        key: Array | None = None,
        train: bool = False,
        weight: Array | None = None,
    ) -> tuple[Array, Any]: ...
