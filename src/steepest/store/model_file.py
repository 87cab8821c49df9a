"""A model on disk: a folder with the arrays as safetensors and all else as JSON.

    model.json                          schema version, structure, configuration, checksums
    model-0123456789abcdef.safetensors  the arrays, in a file named by their checksum

The JSON is renamed into place last, so that overwriting a model is a single event: before it the
folder holds the old model, after it the new one. Loading reads numbers and JSON, executes nothing.
Every byte that matters is under a SHA-256 checksum.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
from pathlib import Path
from typing import Any

import numpy as np

from steepest.core import atomic
from steepest.core.errors import FileError, UsageError

FORMAT = "steepest model"
VERSION = 1
"""Raised when older versions of steepest could not read what is written."""
JSON_NAME = "model.json"

Tree = Any


def save(path: str | os.PathLike[str], arrays: Tree, config: dict[str, Any]) -> None:
    """Write a model into the folder `path`, which is made where it does not exist.

    `arrays` is a nest of dicts (with text keys), tuples, lists and None with NumPy or JAX arrays at
    its leaves; `config` is JSON: dicts, lists, text, numbers, booleans and None (NaN and infinities
    too, tuples come back as lists). `UsageError` where either holds anything else; `FileError`
    where the folder cannot be written, and a model that was there before is then as it was.

    >>> import tempfile
    >>> folder = tempfile.mkdtemp()
    >>> save(folder, {"w": np.ones((2, 3))}, {"task": "regression"})
    >>> arrays, config = load(folder)
    >>> arrays["w"].shape, config
    ((2, 3), {'task': 'regression'})
    """
    from safetensors.numpy import save as pack

    leaves: dict[str, np.ndarray] = {}
    structure = _describe(arrays, "", leaves)
    packed = pack(leaves)
    checksum = _sha256(packed)
    body = {
        "format": FORMAT,
        "version": VERSION,
        "arrays": {"sha256": checksum, "bytes": len(packed), "structure": structure},
        "config": _to_json(config, "config"),
    }
    body["sha256"] = _sha256(_canonical(body))
    text = json.dumps(body, indent=1, allow_nan=False)
    folder = atomic.make_folder(path)
    kept = _arrays_name(checksum)
    atomic.write_bytes(folder / kept, packed)
    atomic.write_text(folder / JSON_NAME, text + "\n")
    for old in folder.glob("model-*.safetensors"):
        if old.name != kept:
            with contextlib.suppress(OSError):
                old.unlink()


def load(path: str | os.PathLike[str]) -> tuple[Tree, dict[str, Any]]:
    """`(arrays, config)` as they were given to `save`, the leaves as NumPy arrays.

    `FileError` where the model is missing, altered, truncated, or of a newer version.
    """
    folder = Path(path)
    text = _read(folder / JSON_NAME, path)
    altered = FileError(
        f"{folder / JSON_NAME} is not a model of steepest, or it was altered or cut short; "
        "restore it from a copy, or train again."
    )
    try:
        body = json.loads(text.decode(), parse_constant=_refuse)
        if body["format"] != FORMAT or not _is_count(body["version"]):
            raise altered
        newer = body["version"] > VERSION
        claimed = body.pop("sha256")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise altered from None
    if newer:
        raise FileError(
            f"{folder / JSON_NAME} was written by a newer steepest (schema {body['version']}, this "
            f"one reads up to {VERSION}); run `pip install --upgrade steepest`."
        )
    try:
        if claimed != _sha256(_canonical(body)):
            raise altered
        checksum, size = body["arrays"]["sha256"], body["arrays"]["bytes"]
        if not (isinstance(checksum, str) and len(checksum) == 64 and checksum.isalnum()):
            raise altered
        structure, config = body["arrays"]["structure"], _from_json(body["config"])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise altered from None
    return _load_arrays(folder / _arrays_name(checksum), path, checksum, size, structure), config


def _load_arrays(
    file: Path, path: str | os.PathLike[str], checksum: str, size: int, structure: Any
) -> Tree:
    from safetensors import SafetensorError
    from safetensors.numpy import load as unpack

    packed = _read(file, path)
    if len(packed) != size or _sha256(packed) != checksum:
        raise FileError(
            f"{file} was altered or cut short: its checksum is not the one in {JSON_NAME}; "
            "restore it from a copy, or train again."
        )
    try:
        leaves = unpack(packed)
        arrays = _rebuild(structure, "", leaves)
        if leaves:
            raise ValueError("arrays that the structure does not name")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, SafetensorError) as e:
        raise FileError(f"{file} does not hold the arrays that {JSON_NAME} names.") from e
    return arrays


def _arrays_name(checksum: str) -> str:
    return f"model-{checksum[:16]}.safetensors"


def _read(file: Path, path: str | os.PathLike[str]) -> bytes:
    try:
        return file.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        raise FileError(f"{os.fspath(path)} holds no model: there is no file {file}.") from None
    except OSError as e:
        raise FileError(f"{file} cannot be read: {e.strerror}.") from e


def _describe(tree: Tree, path: str, leaves: dict[str, np.ndarray]) -> Any:
    """The structure of `tree` as JSON; adds its leaves under their JSON pointers (RFC 6901)."""
    if tree is None:
        return None
    if type(tree) is dict:
        for key in tree:
            if not isinstance(key, str):
                raise UsageError(f"The key {key!r} at {path or '/'} must be text to be written.")
        return {
            "dict": {
                k: _describe(v, f"{path}/{k.replace('~', '~0').replace('/', '~1')}", leaves)
                for k, v in tree.items()
            }
        }
    if type(tree) in (tuple, list):
        nodes = [_describe(v, f"{path}/{i}", leaves) for i, v in enumerate(tree)]
        return {type(tree).__name__: nodes}
    if not hasattr(tree, "dtype") and not isinstance(tree, (bool, int, float)):
        raise UsageError(
            f"A {type(tree).__name__} at {path or '/'} cannot be written to a model file; "
            "use dicts, tuples, lists and arrays."
        )
    array = np.asarray(tree)
    if array.dtype.kind not in "biuf" and array.dtype.name != "bfloat16":
        raise UsageError(
            f"An array of {array.dtype} at {path or '/'} cannot be written to a model file; "
            "use numbers or booleans."
        )
    if array.dtype.name == "bfloat16":
        # NumPy has no such type of its own, so the reader of safetensors does not know it.
        leaves[path] = np.array(array, order="C").view(np.uint16)
        return "bfloat16"
    leaves[path] = np.array(array, dtype=array.dtype.newbyteorder("="), order="C")
    return "array"


def _rebuild(node: Any, path: str, leaves: dict[str, np.ndarray]) -> Tree:
    """The tree that `_describe` described; takes its arrays out of `leaves`."""
    if node is None:
        return None
    if node == "array":
        return leaves.pop(path)
    if node == "bfloat16":
        import ml_dtypes

        return leaves.pop(path).view(ml_dtypes.bfloat16)
    ((kind, children),) = node.items()
    if kind == "dict":
        return {
            k: _rebuild(v, f"{path}/{k.replace('~', '~0').replace('/', '~1')}", leaves)
            for k, v in children.items()
        }
    if kind not in ("tuple", "list") or not isinstance(children, list):
        raise ValueError(f"no such structure: {kind}")
    rebuilt = [_rebuild(v, f"{path}/{i}", leaves) for i, v in enumerate(children)]
    return tuple(rebuilt) if kind == "tuple" else rebuilt


_SPECIAL = "$number"


def _to_json(value: Any, where: str) -> Any:
    """`value` as strict JSON: NaN and infinities, which JSON lacks, as `{"$number": "inf"}`."""
    if isinstance(value, float) and not math.isfinite(value):
        return {_SPECIAL: str(float(value))}
    if value is None or type(value) in (bool, int, float, str):
        return value
    if isinstance(value, (list, tuple)):
        return [_to_json(v, f"{where}[{i}]") for i, v in enumerate(value)]
    if isinstance(value, dict):
        for key in value:
            if not isinstance(key, str) or key == _SPECIAL:
                raise UsageError(f"The key {key!r} in {where} cannot be written to a model file.")
        return {k: _to_json(v, f"{where}.{k}") for k, v in value.items()}
    if isinstance(value, np.generic) and value.dtype.kind in "biuf":
        return _to_json(value.item(), where)
    raise UsageError(
        f"{where} is a {type(value).__name__}, which cannot be written to a model file as JSON."
    )


def _from_json(value: Any) -> Any:
    if isinstance(value, list):
        return [_from_json(v) for v in value]
    if isinstance(value, dict):
        if set(value) == {_SPECIAL}:
            return float(value[_SPECIAL])
        return {k: _from_json(v) for k, v in value.items()}
    return value


def _canonical(body: Any) -> bytes:
    """One spelling of a JSON value, so that the checksum is of its content, not its layout."""
    text = json.dumps(body, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return text.encode()


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _is_count(x: Any) -> bool:
    return type(x) is int and x > 0


def _refuse(text: str) -> Any:
    raise ValueError(f"{text} is not JSON")
