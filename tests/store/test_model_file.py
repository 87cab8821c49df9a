"""A model on disk: what goes in comes out, and any other byte is refused with a sentence."""

import json
import math
import os
import tempfile
from collections import namedtuple
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from steepest.core.errors import FileError, UsageError
from steepest.store import model_file
from steepest.store.model_file import load, save


def same(a, b):
    if isinstance(a, dict):
        return type(b) is dict and list(a) == list(b) and all(same(a[k], b[k]) for k in a)
    if isinstance(a, (tuple, list)):
        return type(a) is type(b) and len(a) == len(b) and all(map(same, a, b))
    if a is None:
        return b is None
    a = np.asarray(a)
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


leaf = hnp.arrays(
    st.sampled_from(["f4", "f8", "f2", "i4", "i8", "u1", "?"]),
    hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4),
) | st.none()  # fmt: skip
trees = st.recursive(
    leaf,
    lambda t: (
        st.lists(t, max_size=3)
        | st.lists(t, max_size=3).map(tuple)
        | st.dictionaries(st.text(max_size=4), t, max_size=3)
    ),
    max_leaves=8,
)
configs = st.dictionaries(
    st.text(max_size=5).filter(lambda k: k != "$number"),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda c: st.lists(c, max_size=3),
        max_leaves=5,
    ),
    max_size=4,
)


@settings(max_examples=60)
@given(trees, configs)
def test_round_trip(arrays, config):
    with tempfile.TemporaryDirectory() as folder:
        save(folder, arrays, config)
        loaded, found = load(folder)
    assert same(arrays, loaded)
    assert repr(found) == repr(config)


def example():
    rng = np.random.default_rng(0)
    arrays = {
        "layers": ({"w": rng.normal(size=(3, 2)).astype("f4"), "b": np.zeros(2, "f4")}, None),
        "a/b": [np.int64(3), rng.normal(size=4)],
    }
    return arrays, {"kind": "mlp", "hidden": [64, 64], "floor": -math.inf, "name": "größe"}


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    save(folder, *example())
    return {p.name: p.read_bytes() for p in folder.iterdir()}


def put(files):
    folder = Path(tempfile.mkdtemp())
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return folder


@settings(max_examples=300)
@given(st.data())
def test_altered_bytes_are_refused_or_change_nothing(saved, data):
    name = data.draw(st.sampled_from(sorted(saved)))
    content = bytearray(saved[name])
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    length = data.draw(st.just(len(content)) | st.integers(0, len(content)))
    tail = data.draw(st.binary(max_size=3))
    with tempfile.TemporaryDirectory() as folder:
        for other, whole in saved.items():
            altered = bytes(content[:length]) + tail if other == name else whole
            (Path(folder) / other).write_bytes(altered)
        try:
            arrays, config = load(folder)
        except FileError as e:
            said = str(e)
            arrays, config = example()
        else:
            said = "."
    assert "\n" not in said
    assert said.endswith(".")
    assert same(example()[0], arrays)
    assert config == example()[1]


def test_every_single_flipped_bit_of_the_arrays_is_noticed(saved):
    name = next(n for n in saved if n.endswith("safetensors"))
    folder = put(saved)
    for i in range(0, len(saved[name]), 7):
        bad = bytearray(saved[name])
        bad[i] ^= 1 << (i % 8)
        (folder / name).write_bytes(bad)
        with pytest.raises(FileError, match="altered or cut short"):
            load(folder)


def test_missing_pieces(saved, tmp_path):
    with pytest.raises(FileError, match=r"holds no model: there is no file .*model\.json"):
        load(tmp_path)
    with pytest.raises(FileError, match="holds no model"):
        load(tmp_path / "nowhere")
    folder = put({"model.json": saved["model.json"]})
    with pytest.raises(FileError, match=r"there is no file .*safetensors"):
        load(folder)


def resealed(saved, change):
    body = json.loads(saved["model.json"])
    del body["sha256"]
    change(body)
    body["sha256"] = model_file._sha256(model_file._canonical(body))
    return put({**saved, "model.json": json.dumps(body).encode()})


def test_a_newer_version_says_so(saved):
    folder = resealed(saved, lambda b: b.update(version=2))
    with pytest.raises(FileError, match=r"written by a newer steepest \(schema 2"):
        load(folder)


@pytest.mark.parametrize(
    "change",
    [
        lambda b: b["arrays"].update(structure={"set": []}),
        lambda b: b["arrays"].update(structure={"tuple": "array"}),
        lambda b: b["arrays"].update(structure={"dict": {"x": "array"}}),
        lambda b: b["arrays"].update(structure=None),
        lambda b: b["arrays"].update(structure=7),
        lambda b: b["arrays"].update(sha256="../" * 22),
        lambda b: b["arrays"].update(sha256=None),
        lambda b: b.update(arrays=[]),
        lambda b: b.update(format="pickle"),
        lambda b: b.update(version="1"),
        lambda b: b.update(version=True),
        lambda b: b.pop("config"),
        lambda b: b["config"].update(floor={"$number": "import os"}),
        lambda b: b["config"].update(floor={"$number": []}),
    ],
)
def test_a_forged_file_with_a_right_checksum_is_refused(saved, change):
    with pytest.raises(FileError):
        load(resealed(saved, change))


def test_deep_nesting_is_refused(saved):
    deep = b"[" * 200_000 + b"]" * 200_000
    with pytest.raises(FileError):
        load(put({**saved, "model.json": deep}))


def test_overwriting_is_one_event(tmp_path, monkeypatch):
    arrays, config = example()
    save(tmp_path, arrays, config)
    before = sorted(os.listdir(tmp_path))
    write = model_file.atomic.write_text

    def killed(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(model_file.atomic, "write_text", killed)
    with pytest.raises(KeyboardInterrupt):
        save(tmp_path, {"w": np.ones(3)}, {})
    assert same(arrays, load(tmp_path)[0])
    monkeypatch.setattr(model_file.atomic, "write_text", write)
    save(tmp_path, {"w": np.ones(3)}, {})
    assert same({"w": np.ones(3)}, load(tmp_path)[0])
    assert len(os.listdir(tmp_path)) == 2
    assert len(before) == 2


def test_jax_arrays_and_other_layouts():
    folder = tempfile.mkdtemp()
    base = np.arange(12.0).reshape(3, 4)
    half = jnp.ones(2, jnp.bfloat16)
    views = [base.T, base[:, ::2], base.astype(">f8")]
    save(folder, [jnp.ones(3), half, *views, 0.5], {"n": np.int32(3), "path": "a\udcff"})
    arrays, config = load(folder)
    assert same([np.ones(3, "f4"), half, base.T, base[:, ::2], base, np.float64(0.5)], arrays)
    assert config == {"n": 3, "path": "a\udcff"}


Point = namedtuple("Point", "x")


@pytest.mark.parametrize(
    ("arrays", "config", "said"),
    [
        ({1: np.ones(1)}, {}, "key 1 at / must be text"),
        ([Point(1.0)], {}, "A Point at /0 cannot be written"),
        ({"a": [np.array(["x"])]}, {}, "array of <U1 at /a/0"),
        ({"a": np.array([None])}, {}, "array of object at /a"),
        ({}, {"f": [len]}, r"config\.f\[0\] is a builtin_function_or_method"),
        ({}, {"$number": 1}, "cannot be written"),
        ({}, {1: 1}, "cannot be written"),
    ],
)
def test_what_cannot_be_written(tmp_path, arrays, config, said):
    with pytest.raises(UsageError, match=said):
        save(tmp_path / "new", arrays, config)
    assert not (tmp_path / "new").exists()
