"""`Encoder`: from rows as read to the arrays that training sees, and predictions back to labels."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from steepest.core.errors import DataError, FileError
from steepest.data.array_features import ArrayFeatures
from steepest.data.dataset import Arrays, Table, Task
from steepest.data.report import ColumnReport
from steepest.data.table_features import TableFeatures
from steepest.data.target import ClassTarget, NumberTarget, guess_task, target_from_dict

SCHEMA = 1


@dataclass(eq=False)
class Encoder:
    """How inputs and target become numbers, fitted on the training rows only.

    `warnings` collects, once each, sentences on what later tables had that training did not.

    >>> from steepest.data import load
    >>> train, _, test = load("iris").split(seed=0)
    >>> encoder = Encoder.fit(train)
    >>> arrays = encoder.transform(test)
    >>> arrays.x.shape, arrays.x.dtype, encoder.outputs
    ((30, 4), dtype('float32'), 3)
    >>> encoder.decode(np.array([0, 2])).tolist()
    ['setosa', 'virginica']
    """

    task: Task
    features: Any
    to: ClassTarget | NumberTarget | None
    image_shape: tuple[int, int, int] | None = None
    warnings: list[str] = field(default_factory=list)
    _told: set[str] = field(default_factory=set, repr=False)

    @classmethod
    def fit(cls, table: Table, standardize: bool = True, embed: bool = False) -> Encoder:
        """An encoder for tables like this one; raises DataError where nothing can be learned.

        `standardize=False` leaves numbers in their units, inputs and targets alike. With `embed`,
        columns of many categories become codes, which the model has to look up (`codes`).
        """
        if not len(table):
            raise DataError(f"{table.where}: there are no rows; give at least two.")
        counted = table
        if table.weight is not None and not np.all(table.weight > 0):
            counted = table.take(np.flatnonzero(table.weight > 0))
            if not len(counted):
                raise DataError(f"{table.where}: all weights are 0; give some rows weight.")
        to: ClassTarget | NumberTarget | None = None
        task: Task = table.task or "classification"
        if table.y is not None:
            task = table.task or guess_task(table.y)[0]
            if task == "classification":
                name = table.target if isinstance(table.target, str) else ", ".join(table.target)
                to = ClassTarget.fit(table.y, name, table.where)
            else:
                to = NumberTarget.fit(
                    counted.y,  # type: ignore[arg-type]
                    table.target,
                    table.where,
                    standardize,
                    counted.weight,
                )
        kind = ArrayFeatures if table.x is not None else TableFeatures
        return cls(task, kind.fit(counted, standardize, embed), to, table.image_shape)

    def transform(self, table: Table, dtype: Any = np.float32) -> Arrays:
        """The rows of `table` as arrays of `dtype`; the target too where the table has one."""
        x = self.features.transform(table, dtype, self._warn)
        y = None
        if table.y is not None and self.to is not None:
            y = self.to.transform(table.y, dtype, table.where, table.first)
        weight = None if table.weight is None else np.asarray(table.weight, dtype)
        return Arrays(x, y, weight)

    def _warn(self, sentence: str, key: str) -> None:
        if key not in self._told:
            self._told.add(key)
            self.warnings.append(sentence)

    @property
    def inputs(self) -> tuple[int, ...]:
        """The shape of one row of x."""
        return self.features.inputs

    @property
    def codes(self) -> tuple[tuple[int, int], ...]:
        """(place, number of codes) of each input that is a code of a category."""
        return self.features.codes

    @property
    def outputs(self) -> int:
        """The number of classes, or of target columns; 0 without a target."""
        return self.to.width if self.to is not None else 0

    @property
    def classes(self) -> tuple[Any, ...] | None:
        """The labels, in the order of their indices; None for regression."""
        return self.to.classes if isinstance(self.to, ClassTarget) else None

    @property
    def target(self) -> str | tuple[str, ...] | None:
        """The name of the target column, or names of several."""
        return self.to.name if self.to is not None else None

    @property
    def target_mean(self) -> Any:
        """What was subtracted from the target: a float, an array (k,), or None for classes."""
        if not isinstance(self.to, NumberTarget):
            return None
        return self.to.mean[0] if self.to.scalar else np.array(self.to.mean)

    @property
    def target_scale(self) -> Any:
        """What the target was divided by: a float, an array (k,), or None for classes."""
        if not isinstance(self.to, NumberTarget):
            return None
        return self.to.scale[0] if self.to.scalar else np.array(self.to.scale)

    def decode(self, prediction: Any) -> np.ndarray:
        """Labels of class indices (integers), or scaled predictions in the target's own units."""
        if self.to is None:
            raise DataError("The encoder was fitted without a target, so it decodes nothing.")
        return self.to.decode(prediction)

    @property
    def report(self) -> list[ColumnReport]:
        """What is done with each column, in order."""
        return self.features.report

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready; Python's JSON writes and reads each float64 exactly."""
        return {
            "schema": SCHEMA,
            "task": self.task,
            "features": self.features.to_dict(),
            "target": None if self.to is None else self.to.to_dict(),
            "image_shape": None if self.image_shape is None else list(self.image_shape),
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Encoder:
        """The encoder that `to_dict` wrote; raises FileError for anything else."""
        schema = data.get("schema") if isinstance(data, dict) else None
        if schema != SCHEMA:
            raise FileError(
                f"The encoder has schema {schema!r}, this version reads {SCHEMA}; "
                "use the version of steepest that wrote it, or train again."
            )
        try:
            kinds: dict[str, Any] = {"array": ArrayFeatures, "table": TableFeatures}
            features = kinds[data["features"]["kind"]].from_dict(data["features"])
            to = None if data["target"] is None else target_from_dict(data["target"])
            shape = data["image_shape"]
            return cls(data["task"], features, to, None if shape is None else tuple(shape))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise FileError(
                f"The encoder's description is altered ({type(error).__name__}: {error}); "
                "take an unaltered copy of the model, or train again."
            ) from None
