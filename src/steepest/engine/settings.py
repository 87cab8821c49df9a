"""All settings of training, declared once: they feed Python, the command line, JSON and studies."""

from __future__ import annotations

import dataclasses
from typing import Any

from steepest.core.errors import UsageError
from steepest.core.record import number, part, record, static
from steepest.engine.spec import RunSpec
from steepest.engine.stop import StopRule
from steepest.models.embedding import Embedding, width_of
from steepest.models.registry import model as make_model
from steepest.models.tree import RATES
from steepest.objectives.losses import loss as make_loss
from steepest.objectives.objective import Objective
from steepest.objectives.regularizers import Penalty
from steepest.optimizers.groups import Groups
from steepest.optimizers.registry import optimizer as make_optimizer
from steepest.optimizers.wrap import Averaged, ClipByNorm, ClipByValue
from steepest.schedules import schedule as make_schedule

RECIPE: dict[str, Any] = {
    "loss": "smoothed",
    "learning_rate": 5e-3,
    "schedule": "cosine",
    "dropout": 0.4,
    "average": 0.99,
    "validation": None,
}
"""What trains well untuned; see `with_recipe`. Chosen by held-out scores on small real tables, the
five bundled ones among them."""
NARROW, NARROW_DROPOUT = 64, 0.2
"""With fewer units than this in a hidden layer, a smaller share of them can be missed."""
SMOOTHING = 0.1
"""The label smoothing of the loss `smoothed`."""
FEW = 500
"""Rows below which the recipe holds none out to validate."""
OWN_CHOICE = {
    *(set(RECIPE) - {"validation"}),
    "model",
    "optimizer",
    "momentum",
    "weight_decay",
    "l1",
    "l2",
    "batch_size",
    "warmup",
    "clip_norm",
    "clip_value",
    "norm",
    "tolerance",
    "dtype",
}
"""Settings that say that a person knows what to try: with one of them nothing is added."""


def with_recipe(given: dict[str, Any]) -> dict[str, Any]:
    """`given` with the `RECIPE`, if no choice about model or descent is among it.

    Whoever names an optimizer or a learning rate gets just that: no hidden dropout or schedule.

    A decision tree, chosen by name alone, has a recipe of its own: a rate for each kind of weights.

    >>> with_recipe({"epochs": 5})["schedule"], with_recipe({"optimizer": "sgd"})
    ('cosine', {'optimizer': 'sgd'})
    """
    chosen = OWN_CHOICE & set(given)
    if chosen == {"model"} and given["model"] == "tree":
        return tree_recipe() | given
    if chosen:
        return given
    hidden = given.get("hidden")
    widths = hidden if isinstance(hidden, (tuple, list)) else (hidden,)
    narrow = any(isinstance(n, int) and n < NARROW for n in widths)
    return RECIPE | ({"dropout": NARROW_DROPOUT} if narrow else {}) | given


def tree_recipe() -> dict[str, Any]:
    """How `TreeClassifier` trains one tree: Adam at the rates of `models.tree.RATES`.

    >>> tree_recipe()["epochs"]
    200
    """
    rules = {k: make_optimizer("adam", learning_rate=make_schedule("cosine", rate))
             for k, rate in RATES["axis"].items()}  # fmt: skip
    return {"optimizer": Groups(rules), "average": 0.99, "batch_size": 64, "epochs": 200,
            "validation": None}  # fmt: skip


@record
class Settings:
    """What `train` needs to know; the defaults are meant to give a good model as they are.

    A setting left at None is chosen by the optimizer, model or loss that it belongs to.
    """

    model: Any = part(default="mlp", help="mlp, linear, or a model object")
    hidden: tuple = static(default=(128,), help="units in each hidden layer")
    activation: Any = static(default="relu", help="activation, or one per hidden layer")
    initializer: str = static(default="auto", help="how weights are drawn at the start")
    norm: str | None = static(
        default=None, choices=(None, "batch", "layer"), help="normalisation layers"
    )
    dropout: float | None = number(
        default=None,
        optional=True,
        least=0,
        below=1,
        help="share of hidden units dropped in training",
    )
    loss: Any = part(
        default="auto",
        help="loss by name; auto: log-loss or squared error; smoothed: the same, with "
        "label_smoothing 0.1 where none is given",
    )
    l1: float = number(default=0.0, least=0, help="L1 penalty (proximal: exact zeros)")
    l2: float = number(default=0.0, least=0, help="L2 penalty, l2/2 |w|^2")
    label_smoothing: float | None = number(
        default=None,
        optional=True,
        least=0,
        below=1,
        help="probability spread over the other classes",
    )
    optimizer: Any = part(default="adam", help="update rule by name, or an optimizer object")
    learning_rate: float | None = number(default=None, optional=True, above=0, help="step size")
    momentum: float | None = number(
        default=None, optional=True, least=0, below=1, help="momentum of the rules that have one"
    )
    weight_decay: float | None = number(
        default=None, optional=True, least=0, help="decoupled weight decay"
    )
    optimizer_settings: tuple = static(
        default=(), help="further settings of the rule: (name, value), ..."
    )
    clip_norm: float | None = number(
        default=None, optional=True, above=0, help="largest norm of the gradient"
    )
    clip_value: float | None = number(
        default=None, optional=True, above=0, help="largest entry of the gradient"
    )
    average: float | None = number(
        default=None,
        optional=True,
        least=0,
        below=1,
        help="decay of the moving average of the weights",
    )
    schedule: Any = part(default="constant", help="how the learning rate changes")
    schedule_settings: tuple = static(
        default=(), help="settings of the schedule: (name, value), ..."
    )
    warmup: float | None = number(default=None, optional=True, least=0, help="epochs of warm-up")
    batch_size: Any = static(default=32, help="examples a step, or full")
    epochs: float = number(default=100, above=0, help="passes over the training data, at most")
    patience: float | None = number(
        default=None,
        optional=True,
        above=0,
        help="epochs without better validation before stopping",
    )
    min_delta: float = number(default=0.0, least=0, help="what counts as better")
    tolerance: float = number(
        default=0.0, least=0, help="gradient norm at which training has converged"
    )
    target: float | None = number(
        default=None, optional=True, help="training loss at which to stop"
    )
    target_share: float = number(
        default=0.0, least=0, help="stop when the loss of an epoch is this share of the first loss"
    )
    validation: float | None = number(
        default=0.1, least=0, optional=True, help="share (or count) of rows held out to validate"
    )
    test: float = number(default=0.2, least=0, help="share (or count) of rows held out to test")
    standardize: bool = static(default=True, help="scale inputs to mean 0 and deviation 1")
    dtype: str = static(default="float32", choices=("float32", "float64"), help="number type")
    seed: int = static(default=0, help="seed of the split, the weights and the order")
    probes: tuple = static(
        default=("loss", "gradient_norm", "learning_rate"), help="what each step records"
    )
    every: int | None = static(
        default=None, help="record each k-th step; None: at most 10,000 records"
    )

    def __post_init__(self):
        if self.batch_size != "full" and not (
            isinstance(self.batch_size, int) and self.batch_size >= 1
        ):
            raise UsageError(
                f"batch_size must be a whole number of at least 1, or 'full', got "
                f"{self.batch_size!r}."
            )
        if self.batch_size == "full" and self.epochs != int(self.epochs):
            raise UsageError(f"epochs={self.epochs} must be whole where batch_size is 'full'.")
        if self.every is not None and self.every < 1:
            raise UsageError(f"every must be at least 1, got {self.every}.")

    def held_out(self, rows: int | None = None) -> float:
        """The share of rows to validate on, or their count.

        Where it is left to the recipe (None) it is a tenth, but none of fewer than `FEW` rows,
        unless patience needs them: a dozen rows choose an epoch badly, and are missed in training.
        """
        if self.validation is not None:
            return self.validation
        few = rows is not None and rows < FEW and self.patience is None
        return 0.0 if few else 0.1

    def make_optimizer(self) -> Any:
        """The optimizer with its schedule, averaging and clipping."""
        if not isinstance(self.optimizer, str):
            return self._wrapped(make_optimizer(self.optimizer))
        cls: Any = type(make_optimizer(self.optimizer))
        names = {f.name for f in dataclasses.fields(cls)}
        settings = dict(self.optimizer_settings)
        for name in ("momentum", "weight_decay"):
            value = getattr(self, name)
            if value is None:
                continue
            if name not in names:
                raise UsageError(
                    f"{name}={value} has no effect on optimizer {self.optimizer!r}; "
                    f"choose one that has it, or leave it out."
                )
            settings[name] = value
        if "learning_rate" in names:
            settings["learning_rate"] = self._rate(cls)
        elif self.learning_rate is not None:
            raise UsageError(
                f"optimizer {self.optimizer!r} finds its own step length; leave out learning_rate."
            )
        return self._wrapped(make_optimizer(self.optimizer, **settings))

    def _rate(self, cls: Any) -> Any:
        base = self.learning_rate
        if base is None:
            base = cls().learning_rate.learning_rate
        return make_schedule(
            self.schedule, base, warm_up=self.warmup, **dict(self.schedule_settings)
        )

    def _wrapped(self, rule: Any) -> Any:
        if self.clip_value is not None:
            rule = ClipByValue(rule, self.clip_value)
        if self.clip_norm is not None:
            rule = ClipByNorm(rule, self.clip_norm)
        if self.average is not None:
            rule = Averaged(rule, self.average)
        return rule

    def make_model(
        self, inputs: tuple[int, ...], outputs: int, codes: tuple[tuple[int, int], ...] = ()
    ) -> Any:
        """The model, fitted to the shapes of the data; with tables where inputs are `codes`."""
        if codes:
            columns = tuple((place, n, width_of(n)) for place, n in codes)
            widened = inputs[0] + sum(width - 1 for _, _, width in columns)
            return Embedding(self.make_model((widened,), outputs), columns, inputs[0])
        if not isinstance(self.model, str):
            return self.model.bind(inputs, outputs) if hasattr(self.model, "bind") else self.model
        settings: dict[str, Any] = {}
        if self.model == "mlp":
            settings = {
                "hidden": self.hidden,
                "activation": self.activation,
                "initializer": self.initializer,
                "norm": self.norm,
                "dropout": self.dropout,
            }
        return make_model(self.model, **settings).bind(inputs, outputs)

    def make_loss(self, task: str, classes: int) -> Any:
        """The loss for the task."""
        name = self.loss
        settings: dict[str, Any] = {}
        if name == "smoothed" and task == "classification":
            settings["label_smoothing"] = SMOOTHING
        if name in ("auto", "smoothed"):
            name = "squared" if task == "regression" else "log_loss" if classes > 2 else "binary"
        if self.label_smoothing is not None:
            settings["label_smoothing"] = self.label_smoothing
        return make_loss(name, **settings)

    @property
    def embeds(self) -> bool:
        """Whether the model looks up codes of categories in learned tables."""
        return isinstance(self.model, str) and self.model == "mlp"

    def spec_for(self, encoder: Any) -> RunSpec:
        """The run on data of this encoder."""
        return self.spec(encoder.inputs, encoder.outputs, encoder.task, encoder.codes)

    def spec(
        self,
        inputs: tuple[int, ...],
        outputs: int,
        task: str,
        codes: tuple[tuple[int, int], ...] = (),
    ) -> RunSpec:
        """The run: model, loss, penalty, optimizer and stopping rule put together.

        `outputs`: number of classes, or of regression targets. `codes`: (place, number of codes) of
        inputs that are categories by number.
        """
        loss = self.make_loss(task, outputs)
        objective = Objective(
            model=self.make_model(inputs, loss.outputs_for(outputs), codes),
            loss=loss,
            penalty=Penalty(l1=self.l1, l2=self.l2),
        )
        infinity = float("inf")
        return RunSpec(
            objective=objective,
            optimizer=self.make_optimizer(),
            stop=StopRule(
                tolerance=self.tolerance,
                target=-infinity if self.target is None else self.target,
                target_share=self.target_share,
                patience=infinity if self.patience is None else self.patience,
                min_delta=self.min_delta,
            ),
            probes=self.probes,
            deterministic=self.batch_size == "full" and not objective.uses_key,
        )
