"""Formatting, JSON and tables, against values written by hand."""

import json
import math
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

from steepest.cli import output
from steepest.core.outcome import Outcome


@pytest.fixture(autouse=True)
def fresh_consoles():
    # A Rich console keeps the stream that it was made with; each test has its own.
    output._console.cache_clear()
    yield
    output._console.cache_clear()
    output.settings.quiet = output.settings.debug = False


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.97312, "0.9731"), (1.0, "1"), (0.0, "0"), (12345.678, "12346"), (1e-5, "1.000e-05"),
        (-0.25, "-0.25"), (1797, "1,797"), (np.float32(0.5), "0.5"), (jnp.float32(2.5), "2.5"),
        (np.int64(1200), "1,200"), (math.inf, "inf"), (None, "–"), (True, "True"), ("a", "a"),
    ],
)  # fmt: skip
def test_number(value, text):
    assert output.number(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0312, "0.031 s"), (3.21, "3.2 s"), (42, "42 s"), (59.97, "1 min 00 s"), (65, "1 min 05 s"),
     (7620, "2 h 07 min")],
)  # fmt: skip
def test_duration(seconds, text):
    assert output.duration(seconds) == text


def test_rate_and_spread():
    assert [output.rate(x) for x in (12.0, 290_400, 1.5e6)] == ["12", "290k", "1.5M"]
    assert output.spread(0.97312, 0.00412) == "0.9731 ± 0.0041"
    assert output.spread(0.97312, math.nan) == "0.9731"


def test_emit_is_strict_json(capsys):
    output.emit({
        "outcome": Outcome.DIVERGED, "loss": math.nan, "steps": np.int32(3), "path": Path("a/b"),
        "w": jnp.asarray([1.0, math.inf]), "nested": ({"x": np.float64(0.1)}, [True, None]),
    })  # fmt: skip
    out = capsys.readouterr()
    assert out.err == ""
    assert out.out.count("\n") == 1
    assert json.loads(out.out, parse_constant=pytest.fail) == {
        "outcome": "diverged", "loss": None, "steps": 3, "path": "a/b", "w": [1.0, None],
        "nested": [{"x": 0.1}, [True, None]],
    }  # fmt: skip


def test_emit_refuses_what_has_no_json_form():
    with pytest.raises(TypeError, match="function has no JSON form"):
        output.emit({"f": test_rate_and_spread})


def test_markup_and_length_of_the_users_text_are_left_alone(capsys):
    text = "[red]x[/red] [link " + "word " * 60 + "end"
    output.say(text)
    output.hint(text)
    output.error(text)
    out = capsys.readouterr()
    assert out.out == text + "\n"
    assert out.err == text + "\nerror: " + text + "\n"


def test_quiet_keeps_warnings_and_errors(capsys):
    output.settings.quiet = True
    output.hint("advice")
    output.warn("careful")
    output.error("wrong", "try this")
    assert capsys.readouterr().err == "warning: careful\nerror: wrong\n"


def test_a_piped_table_is_aligned_and_whole(capsys):
    output.table(["name", "accuracy", "steps"], [["adam" * 40, 0.97312, 1200], ["gd", 0.9, 30]])
    assert capsys.readouterr().out.splitlines() == [
        "name" + " " * 156 + "  accuracy  steps",
        "adam" * 40 + "    0.9731  1,200",
        "gd" + " " * 158 + "       0.9     30",
    ]


def test_an_empty_table_has_its_header(capsys):
    output.table(["name", "accuracy"], [], title="Runs")
    assert capsys.readouterr().out == "Runs\nname  accuracy\n"
