"""Compiling: the persistent cache, the number type, and how often a program was built."""

from __future__ import annotations

import contextlib
import os
from functools import cache
from pathlib import Path

import jax
import jax.numpy as jnp

from steepest.core.errors import UsageError
from steepest.engine.mesh import prepare_devices

SMALL_LOOP = "xla_cpu_small_while_loop_byte_threshold=262144"
"""A loop whose step touches at most so many bytes is compiled as one function.

Otherwise XLA calls each of its kernels through a table, 0.1 us each, which for a small model is
most of a step: four times the time of logistic regression on one example.
"""


def prepare_loops() -> None:
    """Ask XLA's CPU compiler for `SMALL_LOOP`; nothing where the user has options of that kind."""
    flags = os.environ.get("XLA_FLAGS", "")
    if "xla_backend_extra_options" not in flags:
        os.environ["XLA_FLAGS"] = f"{flags} --xla_backend_extra_options={SMALL_LOOP}".strip()


def prepare() -> None:
    """Before the first program: devices, small loops, and the persistent compile cache.

    Programs are kept in the user's cache directory, so the second process does not compile. The
    environment variable STEEPEST_CACHE names another directory, or `off`; a cache that the user
    has configured in JAX is left alone.
    """
    cache_folder()


@cache
def cache_folder() -> Path | None:
    """Where programs are kept, everything being prepared; None where they are not, or JAX does."""
    prepare_devices()
    prepare_loops()
    where = os.environ.get("STEEPEST_CACHE", "")
    if where.lower() in ("off", "0", "no") or jax.config.jax_compilation_cache_dir:
        return None
    if not where:
        import platformdirs

        where = str(Path(platformdirs.user_cache_dir("steepest")) / "compiled")
    folder = Path(where)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return None
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
    return folder


@contextlib.contextmanager
def precision(dtype: str):
    """Compute in `float32` or `float64` inside the block; the user's configuration stays.

    >>> with precision("float64"):
    ...     print(jnp.asarray(1.0).dtype)
    float64
    """
    if str(dtype) not in ("float32", "float64"):
        raise UsageError(f"dtype must be 'float32' or 'float64', got {dtype!r}.")
    prepare()
    with jax.enable_x64(str(dtype) == "float64"):
        yield jnp.dtype(str(dtype))
