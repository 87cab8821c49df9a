"""The function that a command is given: a formula, a name of the catalogue, or module:function."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from steepest.cli import options, output
from steepest.core.errors import UsageError
from steepest.engine.compiling import precision


@dataclass
class Given:
    """A function of a vector with names for its variables, and how to draw it.

    `by_jax`: whether JAX can compute it; what only NumPy can has differences, and no curvature.
    """

    function: Callable[[Any], Any]
    title: str
    names: tuple[str, ...]
    bounds: Any = None
    start: tuple[float, ...] | None = None
    minima: tuple = ()
    by_jax: bool = True

    @property
    def size(self) -> int:
        """The number of variables."""
        return len(self.names)

    def start_at(self, text: str | None) -> list[float]:
        """The point of `--start`, else the customary one, else all ones."""
        if text is not None:
            values = list(options.floats(text, "--start"))
            self.name_variables(len(values))
            return list(options.floats(text, "--start", length=self.size))
        if not self.names:
            raise UsageError("--start is missing: a Python function does not say where to start.")
        if self.start is not None:
            return list(self.start)
        output.hint(
            f"No --start given: starting at {', '.join(f'{n} = 1' for n in self.names[:6])}."
        )
        return [1.0] * self.size

    def name_variables(self, count: int) -> None:
        """x1 ... xn for a Python function, whose number of variables only its point tells."""
        if not self.names:
            self.names = tuple(f"x{i + 1}" for i in range(count))

    def slope(self, x: Any) -> np.ndarray:
        """The gradient in float64."""
        import jax

        with precision("float64"):
            x = jax.numpy.asarray(x, float)
            if not self.by_jax:
                from steepest.objectives.finite_difference import FiniteDifferenceObjective

                return np.asarray(FiniteDifferenceObjective(self.function).evaluate(x).gradient)
            return np.asarray(jax.jit(jax.grad(self.function))(x))

    def value(self, x: Any) -> float:
        """f(x) in float64."""
        with precision("float64"):
            return float(self.function(np.asarray(x, float)))

    def values(self, points: Any) -> np.ndarray:
        """f at the rows of `points`, for drawing."""
        if not self.by_jax:
            return np.array([self.value(point) for point in np.asarray(points, float)])
        import jax

        with precision("float64"):
            return np.asarray(jax.jit(jax.vmap(self.function))(np.asarray(points, float)))

    def spectrum(self, spectrum: Callable, x: Any) -> Any:
        """The ends of the Hessian's spectrum at x."""
        import jax.numpy as jnp

        from steepest.objectives.objective import FunctionObjective

        with precision("float64"):
            return spectrum(FunctionObjective(self.function), jnp.asarray(x, float))

    def draw(self, paths: dict[str, np.ndarray], plot: Any, surface: Any, animate: Any) -> None:
        """The pictures that were asked for; `paths`: label -> points (steps, variables)."""
        if not (plot or surface or animate):
            return
        from steepest.report import plots

        box = self.window(list(paths.values()))
        common: dict[str, Any] = {
            "names": self.names,
            "title": self.title if len(self.title) < 60 else "",
        }
        inside = (
            [m for m in np.atleast_2d(np.asarray(self.minima, float)) if len(m) == self.size]
            if len(self.minima)
            else []
        )
        if plot and self.size == 1:
            plots.profile(self.values, box, paths, plot, **common)
        elif plot:
            plots.contour(self.values, box, paths, plot, minima=inside, **common)
        if surface:
            plots.surface(self.values, box, paths, surface, **common)
        if animate:
            plots.animate(self.values, box, paths, animate, minima=inside, **common)

    def window(self, paths: list[np.ndarray]) -> tuple[tuple[float, float], ...]:
        """What to draw: the paths with a margin, a diverging one only where it set out."""
        kept = []
        for points in paths:
            points = points[np.isfinite(points).all(axis=1)]
            away = np.max(np.abs(points - points[:1]), axis=1)
            early = float(away[:8].max())
            runs_off = away[-1] > 5 * early and self.value(points[-1]) > self.value(points[0])
            kept.append(points[away <= 2 * early] if runs_off else points)
        cloud = np.concatenate(kept)
        if len(self.minima):
            near = [m for m in np.atleast_2d(np.asarray(self.minima, float)) if len(m) == self.size]
            if near:
                d = [float(np.min(np.linalg.norm(cloud - m, axis=1))) for m in near]
                cloud = np.vstack([cloud, near[int(np.argmin(d))][None]])
        low, high = cloud.min(axis=0), cloud.max(axis=0)
        width = max(float((high - low).max()), 1e-3)
        middle = (low + high) / 2
        half = np.maximum((high - low) / 2, 0.3 * width) + 0.15 * width
        return tuple((float(m - h), float(m + h)) for m, h in zip(middle, half, strict=True))


def given(text: str, dimensions: int | None) -> Given:
    """Read EXPR; raises FormulaError or UsageError with what to write instead."""
    module, colon, name = text.partition(":")
    if colon and module.replace(".", "").replace("_", "").isalnum() and name.isidentifier():
        return _imported(module, name, dimensions)
    from steepest.functions.function import function

    f = function(text, dimensions)
    shown = ", ".join(f.variables) if f.dimensions <= 4 else f"{f.variables[0]}, ..."
    return Given(
        f, f"f({shown}) = {f.text}" if len(f.text) < 200 else f.name or "f", f.variables,
        f.bounds, f.start, tuple(m.point for m in f.minima),
    )  # fmt: skip


def _imported(module: str, name: str, dimensions: int | None) -> Given:
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        found = getattr(importlib.import_module(module), name)
    except ModuleNotFoundError as error:
        raise UsageError(
            f"there is no module {error.name!r} here; run the command in the folder of {module}.py."
        ) from error
    except AttributeError as error:
        raise UsageError(f"module {module!r} has no function {name!r}.") from error
    if not callable(found):
        raise UsageError(f"{module}:{name} is not a function.")
    names = tuple(f"x{i + 1}" for i in range(dimensions or 0))
    return Given(found, f"{module}:{name}", names)
