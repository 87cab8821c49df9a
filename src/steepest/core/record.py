"""`@record`: a frozen dataclass whose numbers are pytree leaves and whose choices are static.

    @record
    class Adam(Rule):
        learning_rate: float = number(default=1e-3, above=0)
        nesterov: bool = static(default=False)

Numbers (`number`) and nested records (`part`) are children of the pytree: `jax.vmap` maps over a
thousand learning rates held in one record, and another value never recompiles. Choices that change
the compiled code (`static`) are part of the tree's structure, which is JAX's compile key.

The same declaration drives validation, `repr`, JSON (`to_dict`, `from_dict`), and the options of
the command line. Validation looks at concrete numbers only and never runs on unflattening, so
tracers, stacked arrays and placeholders pass through JAX freely.
"""

from __future__ import annotations

import dataclasses
import math
import numbers
from typing import Any, TypeVar, dataclass_transform

import jax
import numpy as np

from steepest.core.errors import UsageError, suggest

T = TypeVar("T")
_KINDS: dict[str, type] = {}


def number(
    *,
    default: Any = dataclasses.MISSING,
    above=None,
    least=None,
    below=None,
    most=None,
    optional: bool = False,
    help: str = "",
) -> Any:
    """A number, a leaf, within open (`above`, `below`) or closed (`least`, `most`) bounds."""
    bounds = {"above": above, "least": least, "below": below, "most": most}
    return dataclasses.field(
        default=default,
        metadata={"role": "number", "bounds": bounds, "optional": optional, "help": help},
    )


def static(*, default: Any = dataclasses.MISSING, choices=None, help: str = "") -> Any:
    """A field that changes shapes or code: hashable, part of the compile key."""
    return dataclasses.field(
        default=default,
        metadata={"role": "static", "choices": tuple(choices) if choices else None, "help": help},
    )


def part(
    *, default: Any = dataclasses.MISSING, factory: Any = dataclasses.MISSING, help: str = ""
) -> Any:
    """A nested record, array or pytree: its leaves are leaves."""
    kw: dict[str, Any] = {"metadata": {"role": "part", "help": help}}
    if factory is not dataclasses.MISSING:
        return dataclasses.field(default_factory=factory, **kw)
    return dataclasses.field(default=default, **kw)


@dataclass_transform(field_specifiers=(number, static, part), frozen_default=True)
def record(cls: type[T]) -> type[T]:
    """Make `cls` a frozen, validated dataclass and register it as a pytree with named children."""
    own = cls.__dict__.get("__post_init__")
    if own is not None or not hasattr(cls, "__post_init__"):

        def __post_init__(self):
            if own is not None:
                own(self)
            validate(self)

        cls.__post_init__ = __post_init__  # type: ignore[attr-defined]
    made: Any = dataclasses.dataclass(frozen=True, repr=False, eq=False)(cls)
    made.__repr__ = _repr
    made.__eq__ = _eq
    made.__hash__ = None
    fields = dataclasses.fields(made)
    static_names = tuple(f.name for f in fields if f.metadata.get("role") == "static")
    child_names = tuple(f.name for f in fields if f.metadata.get("role") != "static")
    keys = tuple(jax.tree_util.GetAttrKey(n) for n in child_names)

    def flatten(self):
        return (
            tuple(getattr(self, n) for n in child_names),
            tuple(getattr(self, n) for n in static_names),
        )

    def flatten_with_keys(self):
        children, meta = flatten(self)
        return tuple(zip(keys, children, strict=True)), meta

    def unflatten(meta, children):
        new = object.__new__(made)
        for name, value in zip(static_names, meta, strict=True):
            object.__setattr__(new, name, value)
        for name, value in zip(child_names, children, strict=True):
            object.__setattr__(new, name, value)
        return new

    jax.tree_util.register_pytree_with_keys(made, flatten_with_keys, unflatten, flatten)
    _KINDS[made.__name__] = made
    return made


def set_field(self: Any, name: str, value: Any) -> None:
    """Set a field of a frozen record; only for normalising arguments inside `__post_init__`."""
    object.__setattr__(self, name, value)


def replace(self: T, **changes: Any) -> T:
    """A copy with other values, validated; an unknown name is refused with a suggestion."""
    names = [f.name for f in dataclasses.fields(self)]  # type: ignore[arg-type]
    for name in changes:
        if name not in names:
            raise UsageError(
                f"{type(self).__name__} has no setting {name!r}; {suggest(name, names)}"
            )
    return dataclasses.replace(self, **changes)  # type: ignore[type-var]


def swap(self: T, **changes: Any) -> T:
    """A copy with other values, not validated: the one for use inside compiled code."""
    new = object.__new__(type(self))
    for f in dataclasses.fields(self):  # type: ignore[arg-type]
        object.__setattr__(new, f.name, changes.get(f.name, getattr(self, f.name)))
    return new


def validate(self: Any) -> None:
    """Check bounds and choices of concrete values; arrays that JAX traces are left alone."""
    for f in dataclasses.fields(self):
        role, value = f.metadata.get("role"), getattr(self, f.name)
        if role == "number":
            _check_number(type(self).__name__, f, value)
        elif role == "static":
            choices = f.metadata.get("choices")
            if choices is not None and value not in choices:
                raise UsageError(
                    f"{type(self).__name__}: {f.name}={value!r} is not known; "
                    f"{suggest(str(value), map(str, choices))}"
                )
            try:
                hash(value)
            except TypeError:
                raise UsageError(
                    f"{type(self).__name__}: {f.name}={value!r} must be hashable; give a tuple."
                ) from None


def _check_number(owner: str, f: dataclasses.Field, value: Any) -> None:
    if value is None:
        if f.metadata.get("optional"):
            return
        raise UsageError(f"{owner}: {f.name} must be a number, got None.")
    if isinstance(value, (jax.core.Tracer, jax.Array)):
        return
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (numbers.Real, np.ndarray)):
        if hasattr(value, "__dataclass_fields__") or type(value) is object:
            return
        raise UsageError(f"{owner}: {f.name} must be a number, got {value!r}.")
    for x in np.ravel(np.asarray(value)).tolist():
        b = f.metadata["bounds"]
        wrong = (
            math.isnan(x)
            or (b["above"] is not None and not x > b["above"])
            or (b["least"] is not None and not x >= b["least"])
            or (b["below"] is not None and not x < b["below"])
            or (b["most"] is not None and not x <= b["most"])
        )
        if wrong:
            raise UsageError(f"{owner}: {f.name} must be {_bounds_text(b)}, got {x!r}.")


def _bounds_text(b: dict) -> str:
    words = {"above": "above", "least": "at least", "below": "below", "most": "at most"}
    return " and ".join(f"{words[k]} {v}" for k, v in b.items() if v is not None) or "a number"


def _repr(self) -> str:
    shown = []
    for f in dataclasses.fields(self):
        value = getattr(self, f.name)
        try:
            same = f.default is not dataclasses.MISSING and bool(value == f.default)
        except (TypeError, ValueError):
            same = False
        if not same:
            shown.append(f"{f.name}={value!r}")
    return f"{type(self).__name__}({', '.join(shown)})"


def _eq(self, other) -> bool:
    if type(self) is not type(other):
        return NotImplemented
    a, ta = jax.tree_util.tree_flatten(self)
    b, tb = jax.tree_util.tree_flatten(other)
    return ta == tb and all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


def to_dict(self: Any) -> Any:
    """JSON-ready form: `{"kind": "Adam", "learning_rate": 0.001, ...}`; arrays become lists."""
    if dataclasses.is_dataclass(self) and not isinstance(self, type):
        out = {"kind": type(self).__name__}
        for f in dataclasses.fields(self):
            out[f.name] = to_dict(getattr(self, f.name))
        return out
    if isinstance(self, dict):
        return {str(k): to_dict(v) for k, v in self.items()}
    if isinstance(self, (list, tuple)):
        return [to_dict(v) for v in self]
    if isinstance(self, (np.generic, np.ndarray, jax.Array)):
        return np.asarray(self).tolist()
    if self is None or isinstance(self, (bool, int, float, str)):
        return self
    name = getattr(self, "__name__", type(self).__name__)
    raise UsageError(
        f"{name!r} is Python code and cannot be written to a file; "
        "use one of the named choices, or keep the object in Python."
    )


def from_dict(data: Any) -> Any:
    """The record that `to_dict` wrote; only registered kinds are built, nothing is executed."""
    if isinstance(data, dict) and "kind" in data:
        cls = _KINDS.get(data["kind"])
        if cls is None:
            raise UsageError(f"kind {data['kind']!r} is not known; {suggest(data['kind'], _KINDS)}")
        names = {f.name for f in dataclasses.fields(cls)}  # type: ignore[arg-type]
        values = {k: from_dict(v) for k, v in data.items() if k != "kind"}
        for k in values:
            if k not in names:
                raise UsageError(f"{cls.__name__} has no setting {k!r}; {suggest(k, names)}")
        return cls(**values)
    if isinstance(data, dict):
        return {k: from_dict(v) for k, v in data.items()}
    if isinstance(data, list):
        return tuple(from_dict(v) for v in data)
    return data
