"""Kept executables: found again by another process, never for other code, no harm if spoiled."""

import functools
import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from steepest.core.record import number, record, static
from steepest.engine import program as kept
from steepest.engine.program import Program, program, stable
from steepest.engine.settings import Settings
from steepest.functions.function import function
from steepest.objectives.regularizers import Penalty


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(kept, "cache_folder", lambda: tmp_path)
    return tmp_path


def counted(monkeypatch):
    """The functions that are compiled from here on."""
    names = []
    real = kept._compile

    def compiling(lowered):
        names.append(1)
        return real(lowered)

    monkeypatch.setattr(kept, "_compile", compiling)
    return names


def scaled(penalty, x, times):
    return x * jnp.asarray(penalty.l2, x.dtype) * times, {"sum": jnp.sum(x)}


def make():
    made = Program(scaled, static=("times",), donate=())
    # As if it were of this package: code of a test may change without the package changing.
    made.__module__ = "steepest.engine.test"
    return made


def test_another_process_finds_it_and_gets_the_same(folder, monkeypatch):
    compiled = counted(monkeypatch)
    x = np.linspace(0, 1, 7, dtype=np.float32)
    first = make()(Penalty(l2=0.1), x, 3)
    again = make()
    second = again(Penalty(l2=0.1), x, 3)
    third = again(Penalty(l2=0.2), x, 3)
    assert len(compiled) == 1
    assert len(list(folder.rglob("*.executable"))) == 1
    np.testing.assert_array_equal(first[0], second[0])
    np.testing.assert_array_equal(first[0], x * np.float32(0.1) * 3)
    np.testing.assert_array_equal(third[0], x * np.float32(0.2) * 3)
    assert float(third[1]["sum"]) == pytest.approx(3.5)


@pytest.mark.parametrize(
    "other",
    [
        (Penalty(l2=0.1), np.ones(8, np.float32), 3),
        (Penalty(l2=0.1), np.ones(7, np.float32), 4),
        (Penalty(l2=0.1), np.ones(7, np.int32).astype(np.float16), 3),
        (Penalty(l1=0.1, l2=0.1), np.ones(7, np.float32), 3),
        (Penalty(l2=jnp.float32(0.1)), np.ones(7, np.float32), 3),
    ],
    ids=["shape", "static argument", "dtype", "structure", "array for number"],
)
def test_what_differs_is_another_program(folder, monkeypatch, other):
    compiled = counted(monkeypatch)
    one = make()
    one(Penalty(l2=0.1), np.ones(7, np.float32), 3)
    one(*other)
    assert len(compiled) == 2 == len(list(folder.rglob("*.executable")))


def test_settings_of_jax_and_source_are_part_of_the_key(folder, monkeypatch):
    compiled = counted(monkeypatch)
    args = (Penalty(l2=0.1), np.ones(7, np.float32), 3)
    make()(*args)
    with jax.default_matmul_precision("highest"):
        make()(*args)
    assert len(compiled) == 2
    monkeypatch.setattr(kept, "_source", lambda folders: "another")
    make()(*args)
    assert len(compiled) == 3
    with jax.disable_jit():
        assert float(make()(*args)[0][0]) == pytest.approx(0.3)
    assert len(compiled) == 3


@pytest.mark.parametrize("spoil", [b"", b"x" * 100, None], ids=["empty", "other", "cut"])
def test_a_spoiled_file_is_compiled_again(folder, monkeypatch, spoil):
    compiled = counted(monkeypatch)
    args = (Penalty(l2=0.1), np.ones(7, np.float32), 3)
    make()(*args)
    (file,) = folder.rglob("*.executable")
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2] if spoil is None else spoil)
    make()(*args)
    assert len(compiled) == 2
    make()(*args)
    assert len(compiled) == 2


@pytest.mark.skipif(os.name != "posix", reason="permissions are those of POSIX")
def test_a_file_that_others_may_write_is_not_executed(folder, monkeypatch):
    compiled = counted(monkeypatch)
    args = (Penalty(l2=0.1), np.ones(7, np.float32), 3)
    make()(*args)
    (file,) = folder.rglob("*.executable")
    file.chmod(0o666)
    make()(*args)
    assert len(compiled) == 2
    make()(*args)  # written anew, by this user alone
    assert len(compiled) == 2


def test_a_cache_that_cannot_be_written_costs_nothing_but_time(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(kept, "cache_folder", lambda: tmp_path / "file")
    found = make()(Penalty(l2=0.1), np.ones(7, np.float32), 3)
    np.testing.assert_allclose(found[0], 0.3, rtol=1e-6)


def test_inside_other_transformations_it_is_a_function(folder):
    one = make()
    penalty, x = Penalty(l2=0.5), jnp.arange(3.0)
    mapped = jax.vmap(lambda x: one(penalty, x, 2)[0])(jnp.stack([x, x + 1]))
    np.testing.assert_allclose(mapped, [x, x + 1])
    slope = jax.grad(lambda x: one(penalty, x, 2)[0].sum())(x)
    np.testing.assert_allclose(slope, 1.0)
    assert one.eval_shape(penalty, x, 2)[0].shape == (3,)
    assert not list(folder.rglob("*.executable"))


@record
class Foreign:
    """A record that is not of the package: its code may change while its name stays."""

    size: float = number(default=1.0)
    kind: str = static(default="a")


def test_code_of_others_is_only_jitted(folder, monkeypatch):
    compiled = counted(monkeypatch)
    one = Program(lambda f, x: x * jnp.asarray(f.size, x.dtype), static=(), donate=())
    one.__module__ = "steepest.engine.test"
    assert float(one(Foreign(), jnp.float32(2))) == 2
    assert not compiled
    assert not list(folder.rglob("*.executable"))
    assert one._cache_size() == 1


def test_stable_texts():
    assert stable(np.dtype("float32")) == "dtype('float32')"
    assert stable(function("x^2")) != stable(function("x^3"))
    assert stable(function("x^2")) == stable(function("x^2"))
    assert stable(jax.tree.structure(Settings())) is not None
    assert stable(Settings) == "steepest.engine.settings.Settings"
    for foreign in (lambda x: x, functools.partial(max), object(), len, np.sum, Foreign):
        assert stable(foreign) is None
        assert stable((1, foreign)) is None
    assert stable(jax.tree.structure(Foreign())) is None
    assert stable(jax.tree.structure({"a": (1, None)})) == stable(
        jax.tree.structure({"a": (2, None)})
    )
    assert stable(jax.tree.structure({"a": 1})) != stable(jax.tree.structure({"b": 1}))
    assert stable(jax.tree.structure((1,))) != stable(jax.tree.structure([1]))


def test_donated_and_sharded_arguments(folder):
    from jax.sharding import NamedSharding, PartitionSpec

    from steepest.engine.mesh import mesh

    where = NamedSharding(mesh(2), PartitionSpec("runs"))
    for _ in range(2):
        one = Program(lambda x: x + 1, static=(), donate=("x",))
        one.__module__, one.__qualname__ = "steepest.engine.test", "added"
        x = jax.device_put(jnp.arange(4.0), where)
        found = one(x)
        assert found.sharding.is_equivalent_to(where, 1)
        np.testing.assert_array_equal(found, [1, 2, 3, 4])
        assert x.is_deleted()
    assert len(list(folder.rglob("*.executable"))) == 1


def test_a_second_process_traces_no_step(tmp_path):
    code = (
        "import steepest.engine.advance as a, steepest\n"
        "traced = []\n"
        "real = a._chunk_alone\n"
        "a._chunk_alone = lambda *x: traced.append(1) or real(*x)\n"
        "fit = steepest.train('linear', 'iris', optimizer='sgd', learning_rate=0.1, epochs=2)\n"
        "print(len(traced), repr(fit).replace(' ', ''))\n"
    )
    env = os.environ | {"STEEPEST_CACHE": str(tmp_path)}
    said = [
        subprocess.run([sys.executable, "-c", code], env=env, text=True, check=True,
                       capture_output=True).stdout.split()
        for _ in range(2)
    ]  # fmt: skip
    assert said[0][0] == "1"
    assert said[1][0] == "0"
    assert said[0][1] == said[1][1]


def test_decorator_with_and_without_names():
    @program
    def plain(x):
        """Adds one."""
        return x + 1

    assert plain.__doc__ == "Adds one."
    assert float(plain(jnp.float32(1))) == 2
