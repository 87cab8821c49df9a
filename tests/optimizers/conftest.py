"""Functions of two variables and a compiled descent, shared by the tests of line-search methods."""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from steepest.core.types import Evaluation


class Plane(NamedTuple):
    """A function of two variables, where to start, and its least value."""

    name: str
    fun: Any
    start: tuple
    least: float


PLANES = (
    Plane("parabola", lambda x: x[0] ** 2 + x[0] * x[1] + x[1] ** 2, (3, -2), 0),
    Plane("rosenbrock", lambda x: 100 * (x[1] - x[0] ** 2) ** 2 + (1 - x[0]) ** 2, (-1.2, 1), 0),
    Plane(
        "himmelblau",
        lambda x: (x[0] ** 2 + x[1] - 11) ** 2 + (x[0] + x[1] ** 2 - 7) ** 2,
        (0, 0),
        0,
    ),
    Plane("singular", lambda x: (x[0] + x[1]) ** 4 + (x[0] - x[1]) ** 2, (2, -1), 0),
    Plane("overflow", lambda x: jnp.sum(jnp.exp(jnp.exp(x**2))), (1.3, 1), 2 * np.e),
    Plane("wall", lambda x: jnp.sum(x - jnp.log(x)) + x[0] * x[1], (1e-3, 4), None),
    Plane("lifted", lambda x: 1e4 + 10 * (x[1] - x[0] ** 2) ** 2 + (1 - x[0]) ** 2, (-1.2, 1), 1e4),
    Plane("scales", lambda x: 1e-4 * (x[0] - 1e3) ** 2 + 1e2 * (x[1] - 1e-3) ** 2, (0, 0), 0),
)
PLANES = tuple(
    p._replace(least=2 * (np.sqrt(5) - 1) / 2 - 2 * np.log((np.sqrt(5) - 1) / 2)
               + ((np.sqrt(5) - 1) / 2) ** 2) if p.least is None else p
    for p in PLANES
)  # fmt: skip


class Descent(NamedTuple):
    """How a descent ended, at the last point."""

    x: Any
    value: Any
    gradient_norm: Any
    steps: Any
    evaluations: Any
    failed: Any
    state: Any


@jax.jit
def evaluate_plane(kind, x):
    return Evaluation(
        *jax.value_and_grad(lambda x: jax.lax.switch(kind, [p.fun for p in PLANES], x))(x)
    )


def run(method, evaluate, x, tolerance, max_steps):
    """Steps until the gradient norm at the new point is at most `tolerance`."""

    def body(d):
        s = method.step(evaluate, d.x, d.state)
        new = s.state.held.point
        return Descent(s.params, new.value, jnp.linalg.norm(new.gradient), d.steps + 1,
                       d.evaluations + s.evaluations, s.failed, s.state)  # fmt: skip

    state = method.start(evaluate, x)
    point = state.held.point
    zero = jnp.zeros((), jnp.int32)
    first = Descent(x, point.value, jnp.linalg.norm(point.gradient), zero, zero, False, state)
    going = lambda d: ~(d.gradient_norm <= tolerance) & ~d.failed & (d.steps < max_steps)  # noqa: E731
    return jax.lax.while_loop(going, body, first)


# Each program runs for milliseconds: it is the compiler that has to be quick.
QUICK = {"xla_backend_optimization_level": 0}


@partial(jax.jit, compiler_options=QUICK)
def run_plane(method, kind, x, tolerance, max_steps):
    return run(method, lambda x: evaluate_plane(kind, x), x, tolerance, max_steps)


class Planes:
    """`planes(method, name, ...)` descends; one program for each method serves all functions."""

    all = PLANES
    names = tuple(p.name for p in PLANES)
    evaluate = staticmethod(evaluate_plane)
    program = staticmethod(run_plane)

    def run(self, *arguments):
        """Of `run`: the same for any function, compiled for it."""
        method, evaluate, *rest = arguments
        program = jax.jit(lambda *a: run(method, evaluate, *a), compiler_options=QUICK)
        return jax.tree.map(np.asarray, program(*rest))

    def kind(self, name):
        return self.names.index(name)

    def start(self, name, dtype=float):
        return jnp.asarray(PLANES[self.kind(name)].start, dtype)

    def __call__(self, method, name, tolerance=1e-8, max_steps=1000, dtype=float):
        x = self.start(name, dtype)
        return jax.tree.map(np.asarray, run_plane(method, self.kind(name), x, tolerance, max_steps))


@pytest.fixture
def planes():
    return Planes()
