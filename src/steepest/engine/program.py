"""`program`: a jitted function whose executables are kept on disk, so that no process traces twice.

JAX's own cache saves the compiling of a program, but to find it there the Python code has to be
traced and lowered first, which takes longer than a small training itself. Here the executable
itself is found, by what decides it: the structure and shapes of the arguments, the source of this
package, and the versions and settings of the compiler. Where any of it is not certain (a user's
function, a class of another package), or there is no cache, this is `jax.jit` and nothing else.

The files are machine code, as those of JAX's cache beside which they lie: only those are read that
nobody but this user can have written.
"""

from __future__ import annotations

import enum
import hashlib
import inspect
import os
import pickle
import platform
import re
import tempfile
from collections.abc import Iterable
from functools import cache, update_wrapper
from pathlib import Path
from typing import Any

import jax
import jax.experimental.serialize_executable as executables
import numpy as np

from steepest.engine.compiling import cache_folder

PACKAGE = __name__.partition(".")[0]
CONTEXT = (
    "jax_enable_x64",
    "jax_default_matmul_precision",
    "jax_numpy_dtype_promotion",
    "jax_numpy_rank_promotion",
    "jax_default_device",
    "jax_default_prng_impl",
    "jax_threefry_partitionable",
    "jax_random_seed_offset",
    "jax_softmax_custom_jvp",
)
"""JAX's settings that decide a program, and that a user may change while Python runs."""
PLAIN = ("jax_disable_jit", "jax_debug_nans", "jax_debug_infs", "jax_check_tracer_leaks")
"""Settings under which JAX shall do what it does then: the function is only jitted."""
BELOW = frozenset(
    ("core", "schedules", "functions", "data", "models", "optimizers", "objectives", "engine")
)
"""The parts of the package of which every program may contain code; of others, what it names."""


class Program:
    """`f` compiled once for each structure and shape of its arguments; see `program`.

    Arguments are positional. `static` ones (by name) are part of the structure.
    """

    def __init__(self, f: Any, static: tuple[str, ...], donate: tuple[str, ...]):
        update_wrapper(self, f)
        self.jitted = jax.jit(f, static_argnames=static, donate_argnames=donate)
        names = list(inspect.signature(f).parameters)
        self._static = tuple(names.index(name) for name in static)
        self._known: dict[Any, Any] = {}
        _PROGRAMS.append(self)

    def __call__(self, *args: Any) -> Any:
        folder = cache_folder()
        if folder is None or any(getattr(jax.config, name) for name in PLAIN):
            return self.jitted(*args)
        chosen = tuple(args[i] for i in self._static)
        given = tuple(a for i, a in enumerate(args) if i not in self._static)
        leaves, structure = jax.tree.flatten(given)
        kinds = tuple(map(_kind, leaves))
        if None in kinds:
            return self.jitted(*args)
        key = (chosen, structure, kinds, tuple(getattr(jax.config, n, None) for n in CONTEXT))
        call = self._known.get(key)
        if call is None:
            call = self._known[key] = self._find(folder, key, given, args)
        return self.jitted(*args) if call is self.jitted else call(*given)

    def eval_shape(self, *args: Any) -> Any:
        """Shapes and dtypes of what it returns; nothing is computed."""
        return self.jitted.eval_shape(*args)

    def _cache_size(self) -> int:
        """How many programs this process has, as of a jitted function."""
        own = sum(call is not self.jitted for call in self._known.values())
        return own + self.jitted._cache_size()

    def clear(self) -> None:
        """Let go of the programs."""
        self._known.clear()

    def _find(self, folder: Path, key: Any, given: tuple, args: tuple) -> Any:
        """The executable from its file, or compiled and written there; or the jitted function."""
        chosen, structure, kinds, context = key
        text = stable(structure), stable(chosen)
        if None in text:
            return self.jitted
        home = f"{self.__module__}.{vars(self)['__qualname__']}"
        folders = frozenset(re.findall(rf"{PACKAGE}\.(\w+)", f"{home} {text}")) | BELOW
        parts = (home, *text, kinds, context, _compiler(), _source(folders))
        name = hashlib.sha256(repr(parts).encode()).hexdigest()
        path = folder / name[:2] / f"{name}.executable"
        found = _read(path, jax.tree.structure((given, {})))
        if found is None:
            found, whole = _compile(self.jitted.lower(*args))
            if whole:
                _write(path, found)
        return found


_PROGRAMS: list[Program] = []


def program(f: Any = None, *, static: tuple[str, ...] = (), donate: tuple[str, ...] = ()) -> Any:
    """Decorator: `jax.jit` with `static` and `donate` argument names, and the files.

    >>> import jax.numpy as jnp
    >>> @program(static=("n",))
    ... def power(x, n):
    ...     return x**n
    >>> power(jnp.arange(3.0), 2).tolist()
    [0.0, 1.0, 4.0]
    """
    if f is None:
        return lambda f: Program(f, static, donate)
    return Program(f, static, donate)


def clear_programs() -> None:
    """Let go of all compiled programs of this process, JAX's with them; the files stay."""
    for one in _PROGRAMS:
        one.clear()
    jax.clear_caches()


def _kind(leaf: Any) -> Any:
    """What of a leaf decides the program; None where it is being traced."""
    if isinstance(leaf, jax.core.Tracer):
        return None
    if isinstance(leaf, jax.Array):
        where = leaf.sharding
        single = isinstance(where, jax.sharding.SingleDeviceSharding)
        place = next(iter(where.device_set)).id if single else str(where)
        return leaf.shape, str(leaf.dtype), leaf.weak_type, place, leaf.committed
    if isinstance(leaf, (np.ndarray, np.generic)):
        return leaf.shape, str(leaf.dtype)
    return type(leaf).__name__ if isinstance(leaf, (bool, int, float, complex)) else None


def stable(value: Any) -> str | None:
    """A text that is the same in every process, and another for another value; None if none is.

    For tree structures of this package's records, and what they hold as static values: numbers,
    texts, enumerations, dtypes, named functions and classes of this package, and whatever says of
    itself by `stable_key` what it is.

    >>> stable((1, "a", None))
    "(1,'a',None)"
    >>> stable(lambda x: x) is None
    True
    """
    if value is None or isinstance(value, (bool, int, float, str, bytes, np.dtype)):
        return repr(value)
    if isinstance(value, enum.Enum):
        return _named(type(value), f"{type(value).__qualname__}.{value.name}")
    if isinstance(value, jax.tree_util.PyTreeDef):
        return _structure(value)
    if type(value) is tuple or (isinstance(value, tuple) and _ours(type(value))):
        name = "" if type(value) is tuple else _named(type(value), type(value).__qualname__)
        inner = _joined(stable(v) for v in value)
        return None if name is None or inner is None else f"{name}({inner})"
    if isinstance(value, type) or inspect.isfunction(value):
        return _named(value, value.__qualname__)
    key = getattr(value, "stable_key", None)
    if key is not None and _ours(type(value)):
        within = stable(key())
        named = type(value).__qualname__
        return None if within is None else _named(type(value), f"{named}{within}")
    return None


def _joined(texts: Iterable[str | None]) -> str | None:
    known = list(texts)
    return None if None in known else ",".join(map(str, known))


def _structure(t: Any) -> str | None:
    node = t.node_data()
    if node is None:
        return "*" if t.num_leaves else "()"
    kind, chosen = node
    head: str | None = None
    if kind in (tuple, list, dict, type(None)):
        head = f"{kind.__name__}{chosen!r}"
        if kind is dict and not all(isinstance(k, (str, int)) for k in chosen):
            return None
    elif _ours(kind):
        # The auxiliary data of a named tuple is the class again.
        within = "" if chosen is kind else stable(chosen)
        head = None if within is None else _named(kind, f"{kind.__qualname__}{within}")
    inner = _joined(map(_structure, t.children()))
    return None if head is None or inner is None else f"{head}[{inner}]"


def _ours(kind: Any) -> bool:
    return getattr(kind, "__module__", "").partition(".")[0] == PACKAGE


def _named(of: Any, name: str) -> str | None:
    if not _ours(of) or "<" in of.__qualname__:
        return None
    return f"{of.__module__}.{name}"


@cache
def _source(folders: frozenset[str]) -> str:
    """A hash of the Python code of these parts of the package."""
    found = hashlib.sha256()
    for path in sorted(Path(__file__).parents[1].rglob("*.py")):
        if path.relative_to(Path(__file__).parents[1]).parts[0].removesuffix(".py") in folders:
            found.update(path.read_bytes())
    return found.hexdigest()


@cache
def _compiler() -> tuple:
    """All else that decides an executable: versions, settings, and the machine."""
    import jaxlib

    first = jax.devices()[0]
    settings = {
        name: value
        for name, value in jax.config.values.items()
        if not any(word in name for word in ("cache", "log", "dump", "traceback"))
        and name not in CONTEXT
    }
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    flags = next((line for line in lines if line.startswith("flags")), platform.processor())
    return (
        jax.__version__, jaxlib.__version__, platform.python_version(),
        platform.machine(), hashlib.sha256(flags.encode()).hexdigest(), first.device_kind,
        first.client.platform_version, len(jax.devices()), os.environ.get("XLA_FLAGS", ""),
        repr(sorted(settings.items())),
    )  # fmt: skip


_hits = 0


@cache
def _count_hits() -> None:
    def listener(name: str, **_: Any) -> None:
        global _hits
        _hits += name == "/jax/compilation_cache/cache_hits"

    jax.monitoring.register_event_listener(listener)


def _compile(lowered: Any) -> tuple[Any, bool]:
    """The executable, and whether it can be written: what JAX's cache gives cannot be.

    So JAX's cache does not keep these programs, by its own setting.
    """
    _count_hits()
    before, least = _hits, jax.config.jax_persistent_cache_min_compile_time_secs
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 1e9)
    try:
        compiled = lowered.compile()
    finally:
        jax.config.update("jax_persistent_cache_min_compile_time_secs", least)
    return compiled, _hits == before


def _read(path: Path, arguments: Any) -> Any:
    """The executable of the file; None where there is none that can be used."""
    try:
        with path.open("rb") as file:
            if not _own(os.fstat(file.fileno())):
                return None
            data = file.read()
    except OSError:
        return None
    if hashlib.sha256(data[32:]).digest() != data[:32]:
        return None
    try:
        devices, returned, content = pickle.loads(data[32:])
        by_id = {d.id: d for d in jax.devices()}
        return executables.deserialize_and_load(
            content, arguments, returned, execution_devices=[by_id[i] for i in devices]
        )
    except Exception:
        # Whatever is wrong with a file of a cache, compiling again is the answer.
        return None


def _own(found: os.stat_result) -> bool:
    """Whether only this user can have written the file, since what it holds will be executed."""
    if os.name != "posix":
        return True
    return found.st_uid == os.geteuid() and not found.st_mode & 0o022


def _write(path: Path, compiled: Any) -> None:
    """Keep the executable if it can be kept: not with arrays inside, and not on a full disk."""
    try:
        content, _, returned = executables.serialize(compiled)
        devices = [d.id for d in compiled.runtime_executable().local_devices()]
        data = pickle.dumps((devices, returned, content))
    except Exception:
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(".tmp", dir=path.parent)
        with open(handle, "wb") as file:
            file.write(hashlib.sha256(data).digest() + data)
        os.replace(name, path)
    except OSError:
        return
