"""`Function`: a formula bound to its variables, callable with a vector."""

from __future__ import annotations

import difflib
import functools
import operator
from typing import TYPE_CHECKING, Any

from steepest.core.errors import FormulaError, UsageError
from steepest.functions import surfaces
from steepest.functions.expression import Expression
from steepest.functions.indices import bind
from steepest.functions.notation import to_latex, to_text
from steepest.functions.parse import parse

if TYPE_CHECKING:
    from collections.abc import Callable

    from steepest.functions.surfaces import Minimum, Surface


class Function:
    """f(w), w a vector of shape (n,): what `function` returns.

    Attributes:
        text: the formula in plain notation, as the parser reads it.
        expression: the tree.
        variables: names in the order of w: alphabetical, numbers by value (x, y; x1 ... x10).
        surface: the entry of the catalogue if it was asked for by name, else None.

    Two functions are equal if their formulas and variables are; a `Function` can be a static
    argument of `jax.jit`, and `jax.grad`, `jax.vmap` and `jax.jit` take it as any callable.
    """

    def __init__(
        self, expression: Expression, variables: tuple[str, ...], surface: Surface | None = None
    ):
        self.expression = expression
        self.variables = variables
        self.surface = surface
        self.text = to_text(expression)

    @property
    def name(self) -> str:
        """The name in the catalogue; empty for a typed formula."""
        return self.surface.name if self.surface else ""

    @property
    def dimensions(self) -> int:
        """n, the number of variables."""
        return len(self.variables)

    @property
    def latex(self) -> str:
        """The formula in LaTeX, without dollar signs."""
        return to_latex(self.expression)

    @property
    def minima(self) -> tuple[Minimum, ...]:
        """The known global minima, each with `point` and `value`; empty where none is on record."""
        return self.surface.minima(self.dimensions) if self.surface else ()

    @property
    def bounds(self) -> tuple[tuple[float, float], ...] | None:
        """The customary (low, high) of each variable; None for a typed formula."""
        return self.surface.box(self.dimensions) if self.surface else None

    @property
    def start(self) -> tuple[float, ...] | None:
        """The customary starting point; None for a typed formula."""
        return self.surface.start(self.dimensions) if self.surface else None

    @functools.cached_property
    def _compiled(self) -> Callable:
        from steepest.functions.numeric import to_jax  # JAX loads when a value is asked for

        return to_jax(self.expression, self.variables)

    def __call__(self, w: Any) -> Any:
        """f(w) of shape (), in the dtype of w; whole numbers become floats.

        Raises:
            UsageError: w is not of shape (n,).
        """
        import jax.numpy as jnp

        w = jnp.asarray(w)
        if w.shape != (self.dimensions,):
            raise UsageError(
                f"w must have shape ({self.dimensions},), one value for each of "
                f"{self._names()}, got {w.shape}; for many points use jax.vmap."
            )
        if not jnp.issubdtype(w.dtype, jnp.floating):
            w = w.astype(jnp.result_type(float))
        return self._compiled(w)

    def _names(self) -> str:
        names = self.variables
        return ", ".join(names) if len(names) <= 6 else f"{names[0]} ... {names[-1]}"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Function):
            return NotImplemented
        return (self.text, self.variables) == (other.text, other.variables)

    def __hash__(self) -> int:
        return hash((self.text, self.variables))

    def stable_key(self) -> tuple:
        """What it is, the same in every process: for the files of compiled programs."""
        return (self.text, self.variables)

    def __repr__(self) -> str:
        shown = self.name or self.text
        return f"<Function {shown} of {self._names()}>"

    def __reduce__(self):
        return function, (self.name or self.text, self.dimensions)


def function(text: str, dimensions: int | None = None) -> Function:
    """The function of a formula, or of a name in the catalogue (`surfaces.SURFACES`).

    Args:
        text: a formula such as `x^2 + x*y`, or a name such as `rosenbrock`.
        dimensions: n, for formulas with x[i] and sums up to n, and for names that have any n
            (2 if not given).

    Raises:
        FormulaError: the text cannot be read; the message shows where.

    >>> f = function("x^2 + x*y + y^2")
    >>> f.variables
    ('x', 'y')
    >>> float(f([3.0, -2.0]))
    7.0
    >>> function("rosenbrock", dimensions=4).variables
    ('x1', 'x2', 'x3', 'x4')
    """
    if dimensions is not None:
        try:
            dimensions = operator.index(dimensions)
        except TypeError:
            raise UsageError(f"dimensions must be a whole number, got {dimensions!r}.") from None
    if not isinstance(text, str):
        raise UsageError(f"A formula must be text, got {type(text).__name__}: write 'x^2 + y^2'.")
    surface = surfaces.find(text)
    if surface is not None:
        n = surface.check(dimensions)
        tree = parse(surface.formula)
        return Function(tree, bind(tree, n, surface.formula), surface)
    try:
        tree = parse(text)
    except FormulaError as error:
        raise _perhaps_a_name(text, error) from None
    return Function(tree, bind(tree, dimensions, text))


def _perhaps_a_name(text: str, error: FormulaError) -> FormulaError:
    """A lone word that is near a name of the catalogue is meant as one."""
    word = text.strip().lower()
    if len(word) > 3 and all(c.isalpha() or c in " -_" for c in word):
        near = difflib.get_close_matches(word.replace("_", "-"), surfaces.names(), n=1, cutoff=0.7)
        if near:
            return FormulaError(
                f"There is no function named `{text.strip()}`.", text, 0,
                f"Did you mean `{near[0]}`?",
            )  # fmt: skip
    return error
