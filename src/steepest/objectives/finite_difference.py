"""Functions that JAX cannot trace: called back on the host, differentiated by differences."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax.flatten_util import ravel_pytree

from steepest.core.errors import UsageError
from steepest.core.record import part, record, static
from steepest.core.types import Evaluation
from steepest.objectives.objective import FunctionObjective


@record
class FiniteDifferenceObjective(FunctionObjective):
    """f(x) computed by plain Python and NumPy; its gradient by central differences.

    df/dx_i = (f(x + h e_i) - f(x - h e_i)) / 2h with h = eps^(1/3) max(1, |x_i|): an error of about
    eps^(2/3), 4e-11 in float64, for 2 n + 1 calls of f a gradient. (Nocedal and Wright 2006, 8.1.)
    """

    fun: Callable = static()
    args: tuple = part(default=())
    gradient: Callable | None = static(default=None)

    def check(self, x0: Any) -> None:
        """Call `fun` once at x0 (NumPy arrays); UsageError where it fails or gives no number."""
        leaves, structure = jax.tree.flatten(jax.tree.map(np.asarray, x0))
        try:
            out = self.fun(structure.unflatten([a.copy() for a in leaves]), *self.args)
            _number(out)
        except UsageError:
            raise
        except Exception as error:
            raise UsageError(
                f"fun failed at x0: {type(error).__name__}: {error}; check it with fun(x0)."
            ) from error

    def smooth(self, params: Any, buffers: Any = (), batch: Any = None,
               key: Any = None, train: bool = True) -> tuple[Any, Any]:  # fmt: skip
        """Refused: there is nothing that JAX could differentiate again."""
        raise UsageError(
            "a function differentiated by finite differences has no curvature to look at; give "
            "learning_rate as a number, or write the function with jax.numpy."
        )

    def evaluate(self, params: Any, buffers: Any = (), batch: Any = None,
                 key: Any = None) -> Evaluation:  # fmt: skip
        """f(x) and the difference quotients, in one call back to the host."""
        flat, unravel = ravel_pytree(params)
        leaves, structure = jax.tree.flatten(params)
        shapes = [leaf.shape for leaf in leaves]

        def host(x, args):
            # NumPy alone: JAX must not be called from inside its own callback.
            x, args = jax.tree.map(_from_words, (x, args), dtypes)
            found = _differences(self.fun, x, args, shapes, structure)
            return found.view(np.uint32) if found.dtype.itemsize == 8 else found

        sent = (flat, jax.tree.map(jax.numpy.asarray, self.args))
        dtypes = jax.tree.map(lambda a: a.dtype, sent)
        size = flat.size + 1
        double = flat.dtype.itemsize == 8
        answer = jax.ShapeDtypeStruct(
            (2 * size if double else size,), np.uint32 if double else flat.dtype
        )
        found = jax.pure_callback(
            host, answer, *jax.tree.map(_to_words, sent), vmap_method="sequential"
        )
        if double:
            found = jax.lax.bitcast_convert_type(found.reshape(size, 2), flat.dtype)
        value, slope = found[0], found[1:]
        return Evaluation(value, unravel(slope), ())


def _to_words(a):
    """Doubles as pairs of 32-bit words: the callback's thread has a narrower number type."""
    return jax.lax.bitcast_convert_type(a, np.uint32) if a.dtype.itemsize == 8 else a


def _from_words(a, dtype):
    a = np.asarray(a)
    return a.view(dtype).reshape(a.shape[:-1]) if dtype.itemsize == 8 else a


def _number(out: Any) -> float:
    out = np.asarray(out, float)
    if out.size != 1:
        raise UsageError(f"fun must give one number, got an array of shape {out.shape}.")
    return float(out.reshape(()))


def _differences(fun, x, args, shapes, structure):
    """f and its n difference quotients, as one array of 1 + n numbers."""
    ends = np.cumsum([int(np.prod(s)) for s in shapes])[:-1]

    def f(v):
        point = structure.unflatten(
            [part.reshape(s) for part, s in zip(np.split(v, ends), shapes, strict=True)]
        )
        return _number(fun(point, *args))

    h = np.cbrt(np.finfo(x.dtype).eps) * np.maximum(1.0, np.abs(x))
    slope = np.empty_like(x)
    for i in range(len(x)):
        step = np.zeros_like(x)
        step[i] = h[i]
        slope[i] = (f(x + step) - f(x - step)) / (2 * h[i])
    return np.concatenate([[f(x)], slope]).astype(x.dtype)
