"""Runs over devices: one mesh axis, `runs`, over which seeds or cells are split."""

from __future__ import annotations

import os
from functools import cache
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

AXIS = "runs"


def prepare_devices() -> None:
    """Ask for one CPU device a core, so that runs can be sharded; nothing once JAX has started.

    A single run still uses all cores: XLA shares its thread pool between the devices.
    """
    if jax.config.jax_num_cpu_devices > 0 or "xla_force_host_platform_device_count" in (
        os.environ.get("XLA_FLAGS", "")
    ):
        return
    try:
        jax.config.update("jax_num_cpu_devices", len(os.sched_getaffinity(0)))
    except (RuntimeError, AttributeError):
        return


@cache
def mesh(devices: int) -> Mesh:
    """The first `devices` devices on the axis `runs`."""
    return Mesh(np.asarray(jax.devices()[:devices]), (AXIS,))


def split(seeds: int, cells: int) -> tuple[int, str]:
    """`(groups, axis)`: a group a device, of cells if they divide evenly, else of seeds."""
    for n in range(min(len(jax.devices()), seeds * cells), 1, -1):
        if cells % n == 0:
            return n, "cells"
        if seeds % n == 0:
            return n, "seeds"
    return 1, "cells"


def place(t: Any, groups: int, axis: int) -> Any:
    """`t` cut along `axis` over the first `groups` devices: as the program will hand it on."""
    if groups == 1:
        return t
    sharding = NamedSharding(mesh(groups), PartitionSpec(*(None,) * axis, AXIS))
    if jax.default_backend() != "cpu":
        return jax.device_put(t, sharding)

    def cut(x):
        # On the host, since cutting an array on a device is a program to compile for each shape.
        # The pieces are copies: the loop donates them, and writes where they lie.
        whole = np.asarray(x)
        return jax.make_array_from_callback(whole.shape, sharding, lambda at: whole[at].copy())

    return jax.tree.map(cut, t)
