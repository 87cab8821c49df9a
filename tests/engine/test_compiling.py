import os
import subprocess
import sys

import pytest

from steepest.core.errors import UsageError
from steepest.engine.compiling import SMALL_LOOP, precision, prepare_loops


def test_small_loops_are_asked_for_and_other_flags_are_kept(monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", "--xla_dump_to=/nowhere")
    prepare_loops()
    expected = f"--xla_dump_to=/nowhere --xla_backend_extra_options={SMALL_LOOP}"
    assert os.environ["XLA_FLAGS"] == expected
    prepare_loops()
    assert os.environ["XLA_FLAGS"] == expected


def test_options_of_the_user_are_left_alone(monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", "--xla_backend_extra_options=a=b")
    prepare_loops()
    assert os.environ["XLA_FLAGS"] == "--xla_backend_extra_options=a=b"


def test_a_small_loop_becomes_one_function():
    # A name in the compiled program that XLA gives to a loop which it took out as a whole.
    code = """
import jax, jax.numpy as jnp
from steepest.engine.compiling import prepare
prepare()
def f(x):
    return jax.lax.while_loop(lambda c: c[0] < 9, lambda c: (c[0] + 1, jnp.sin(c[1]) * 2), (0, x))
print(jax.jit(f).lower(jnp.ones(1000)).compile().as_text())
"""
    env = os.environ | {"STEEPEST_CACHE": "off"}
    texts = []
    for flags in ("", "--xla_backend_extra_options=xla_cpu_other=1"):
        done = subprocess.run(
            [sys.executable, "-c", code], env=env | {"XLA_FLAGS": flags}, capture_output=True,
            text=True, check=True,
        )  # fmt: skip
        texts.append(done.stdout)
    ours, plain = ("xla_cpu_small_call" in t for t in texts)
    assert ours
    assert not plain


def test_an_unknown_precision_is_refused():
    with (
        pytest.raises(UsageError, match="'float32' or 'float64', got 'float16'"),
        precision("float16"),
    ):
        pass
