"""Learned embeddings: inputs that are codes of categories become rows of tables."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from steepest.core.errors import UsageError
from steepest.core.record import part, record, set_field, static
from steepest.models import layers
from steepest.models.sizes import flatten_rows


def width_of(codes: int) -> int:
    """How many numbers stand for one of so many codes: 1.6 n^0.56, at most 50.

    Source: a rule of thumb of fastai (Howard and Gugger, "Deep learning for coders", 2020, ch. 9).

    >>> [width_of(n) for n in (65, 1000, 10_000)]
    [17, 50, 50]
    """
    return min(50, round(1.6 * codes**0.56))


@record
class Embedding:
    """f_w(x) = g_w(x', E_1[x_j1], E_2[x_j2], ...): a model g on x with some inputs looked up.

    `columns` holds (place j, number of codes n, width k) of each input that is a code, a whole
    number from 0 to n - 1; x' are the other inputs, and E is a table (n, k) for each, drawn from a
    normal distribution of deviation 0.1 (of g's inputs, which are about 1, the tables are small at
    first). Codes beyond the table count as 0, which stands for all that training did not know.

    Parameters are `{"tables": ({"weight": (n, k)}, ...), "model": those of g}`.

    >>> import jax
    >>> from steepest.models.linear import Linear
    >>> model = Embedding(Linear(inputs=1 + 3, outputs=2), columns=((0, 5, 3),), inputs=2)
    >>> params, buffers = model.init(jax.random.key(0))
    >>> x = jax.numpy.array([[4.0, 0.5], [0.0, 0.5]])
    >>> model.forward(params, buffers, x)[0].shape
    (2, 2)
    """

    model: Any = part()
    columns: tuple = static(default=(), help="(place, codes, width) of each input that is a code")
    inputs: int = static(default=1, help="inputs, the codes among them")

    def __post_init__(self):
        set_field(self, "columns", tuple(tuple(int(v) for v in c) for c in self.columns))
        for place, codes, width in self.columns:
            if not 0 <= place < self.inputs or codes < 1 or width < 1:
                raise UsageError(
                    f"Embedding: columns has ({place}, {codes}, {width}); give a place below "
                    f"{self.inputs}, and a number of codes and a width of at least 1."
                )

    @property
    def widened(self) -> int:
        """Inputs of the inner model."""
        return self.inputs - len(self.columns) + sum(width for _, _, width in self.columns)

    @property
    def uses_key(self) -> bool:
        """Whether training draws random numbers: where the inner model does."""
        return self.model.uses_key

    def init(self, key: jax.Array) -> tuple[Any, Any]:
        """(params, buffers) of tables and inner model; the model's are those it has alone."""
        params, buffers = self.model.init(key)
        dtype, draw = layers.float_dtype(), jax.random.fold_in(key, 1 << 20)
        tables = tuple(
            {"weight": 0.1 * jax.random.normal(jax.random.fold_in(draw, i), (n, k), dtype)}
            for i, (_, n, k) in enumerate(self.columns)
        )
        return {"tables": tables, "model": params}, buffers

    def forward(self, params, buffers, x, key=None, train=False, weight=None):
        """(outputs, buffers)."""
        tables = [t["weight"] for t in params["tables"]]
        x = flatten_rows(x, tables[0].dtype) if tables else x
        places = [place for place, _, _ in self.columns]
        others = np.setdiff1d(np.arange(self.inputs), places)
        parts = [x[:, others]]
        for (place, codes, _), table in zip(self.columns, tables, strict=True):
            code = x[:, place].astype(jnp.int32)
            code = jnp.where((code >= 0) & (code < codes), code, 0)
            parts.append(jnp.take(table, code, axis=0, mode="clip"))
        inner = jnp.concatenate(parts, axis=1)
        return self.model.forward(params["model"], buffers, inner, key, train, weight)

    def decay_mask(self, params) -> Any:
        """Penalties apply to what they apply to in the inner model, and to the tables."""
        tables = tuple({"weight": True} for _ in params["tables"])
        return {"tables": tables, "model": self.model.decay_mask(params["model"])}
