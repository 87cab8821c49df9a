"""`Resume`: a run between two chunks, taken off the device so that it can go on another time."""

from __future__ import annotations

from dataclasses import dataclass

import jax
import numpy as np

from steepest.core.errors import FileError
from steepest.core.trace import Trace
from steepest.engine.drive import Moment
from steepest.engine.spec import Carry


@dataclass(frozen=True)
class Resume:
    """Where a run goes on: `run(..., resume=...)` ends equal to the bit to the undisturbed run.

    leaves: the arrays of the `Carry` by their paths in it; its structure is that of a fresh start,
    so it need not be kept. trace: what was recorded. step: the next one. seconds: spent so far.
    """

    leaves: dict[str, np.ndarray]
    trace: Trace
    step: int
    seconds: float

    @classmethod
    def of(cls, moment: Moment) -> Resume:
        """The state of all runs at this moment, on the host; it is valid until the next chunk."""
        leaves = jax.tree_util.tree_leaves_with_path(jax.device_get(moment.carry))
        named = {jax.tree_util.keystr(path): np.asarray(x) for path, x in leaves}
        return cls(named, moment.trace, moment.step, moment.seconds)

    def carry(self, like: Carry) -> Carry:
        """The carry in the structure of `like`; FileError where it is that of another run."""
        wanted, structure = jax.tree_util.tree_flatten_with_path(like)
        names = [jax.tree_util.keystr(path) for path, _ in wanted]
        fits = set(names) == set(self.leaves) and all(
            (self.leaves[n].shape, self.leaves[n].dtype) == (x.shape, x.dtype)
            for n, (_, x) in zip(names, wanted, strict=True)
        )
        if not fits:
            raise FileError(
                "The checkpoint belongs to a run of another structure; "
                "resume it with the version of steepest that wrote it."
            )
        return jax.tree.unflatten(structure, [self.leaves[n] for n in names])
