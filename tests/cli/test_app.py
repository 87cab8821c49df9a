"""The manners of the command line, seen from outside: exit codes, streams, and what is imported."""

import importlib.util
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from steepest.cli.app import ANYWHERE, COMMANDS
from steepest.cli.parser import find

HEAVY = {"jax", "numpy", "polars", "sklearn", "matplotlib", "sympy", "pandas", "scipy"}

MODULE = '''
"""A command for the tests."""
import os, sys, time
from typing import Annotated
import typer
from steepest.cli import output
from steepest.core.errors import DataError, DivergedError, SteepestError

def act(what: str, rate: Annotated[float, typer.Option("--learning-rate")] = 0.1):
    """Do what is asked."""
    if what == "fine":
        output.say("the result"); output.hint("some advice")
    elif what == "code":
        return 3
    elif what == "quit":
        raise typer.Exit(4)
    elif what == "data":
        raise DataError("file.csv: row 3 has 4 cells, but the header has 5; mend the row.")
    elif what == "diverged":
        raise DivergedError("Diverged at step 7.")
    elif what == "failure":
        raise SteepestError("It failed.")
    elif what == "bug":
        raise ZeroDivisionError("division\\nby zero")
    elif what == "missing":
        open("/no/such/file")
    elif what == "memory":
        raise MemoryError
    elif what == "many":
        for _ in range(100_000): print("a line of output")
    elif what == "wait":
        print("ready", flush=True); time.sleep(60)
    elif what == "glyph":
        output.say("\\u03b1 \\u00b1 \\u2713")
'''
MEMORY = "error: The memory of this machine is used up: use a smaller batch or model.\n"
SCRIPT = (
    "import sys; from steepest.cli.app import Command, run;"
    "sys.exit(run(sys.argv[1:], {'act': Command('Tests', 'Do what is asked.')}, 'manners'))"
)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("commands")
    package = folder / "manners"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "act.py").write_text(MODULE)
    return folder


@pytest.fixture(scope="module")
def env(place):
    return {**os.environ, "PYTHONPATH": str(place), "NO_COLOR": "1", "COLUMNS": "80"}


@pytest.fixture(scope="module")
def act(env):
    def call(*args, **more):
        return subprocess.run(
            [sys.executable, "-c", SCRIPT, *args],
            env={**env, **more}, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip

    return call


def steepest(*args):
    return subprocess.run(
        [sys.executable, "-m", "steepest", *args],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("args", [["--help"], ["--version"], ["no-such-command"], ["--no-such"]])
def test_nothing_heavy_is_imported(args):
    code = (
        "import sys; from steepest.cli.app import run; run(sys.argv[1:]);"
        "print('\\n'.join({m.partition('.')[0] for m in sys.modules}), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *args], capture_output=True, text=True, check=True
    )
    assert HEAVY.isdisjoint(done.stderr.split())


def test_minimising_imports_what_it_needs_only():
    code = (
        "import sys, steepest.cli.app, steepest.cli.minimize, steepest.engine.minimize;"
        "print('\\n'.join({m.partition('.')[0] for m in sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "jax" in loaded
    assert loaded.isdisjoint({"polars", "sklearn", "matplotlib", "sympy", "pandas", "rich"})


def test_help_lists_every_command_with_its_line():
    done = steepest("--help")
    assert (done.returncode, done.stderr) == (0, "")
    words = " ".join(done.stdout.split())
    for name, (panel, line) in COMMANDS.items():
        assert f"{name} {line}" in words
        assert f"{panel}:" in words
    assert max(map(len, done.stdout.splitlines())) <= 80


@pytest.mark.parametrize("args", [["--help"], ["--version"], []])
def test_help_and_version_do_without_typer_and_rich(args):
    code = (
        "import sys; from steepest.cli.app import run; run(sys.argv[1:]);"
        "sys.exit(bool({'typer', 'rich'} & set(sys.modules)))"
    )
    subprocess.run([sys.executable, "-c", code, *args], capture_output=True, check=True)


def test_completion_knows_commands_and_their_options(act):
    more = {"_STEEPEST_COMPLETE": "complete_bash"}
    done = act(**more, COMP_WORDS="steepest ", COMP_CWORD="1")
    assert done.stdout.split() == ["act"]
    done = act(**more, COMP_WORDS="steepest act --le", COMP_CWORD="2")
    assert done.stdout.split() == ["--learning-rate"]


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_the_listed_line_is_the_first_of_the_docstring(name):
    assert importlib.util.find_spec(f"steepest.cli.{name}") is not None
    assert COMMANDS[name].help == (find(name).__doc__ or "").strip().splitlines()[0]


def test_every_command_file_is_listed():
    # A file that defines a function of its own name is a command; the others are shared parts.
    import steepest.cli

    files = Path(steepest.cli.__file__).parent.glob("*.py")
    found = {p.stem for p in files if re.search(rf"^def {p.stem}\(", p.read_text(), re.MULTILINE)}
    assert found == set(COMMANDS)


def test_version():
    from importlib.metadata import version

    done = steepest("--version")
    assert (done.returncode, done.stdout) == (0, f"steepest {version('steepest')}\n")


def test_no_arguments_show_the_help():
    done = steepest()
    assert done.returncode == 0
    assert "Usage" in done.stdout


def test_data_goes_to_stdout_and_hints_to_stderr(act):
    done = act("act", "fine")
    assert (done.returncode, done.stdout, done.stderr) == (0, "the result\n", "some advice\n")


@pytest.mark.parametrize(
    "args", [["--quiet", "act", "fine"], ["act", "fine", "-q"], ["act", "--quiet", "fine"]]
)
def test_quiet_silences_the_hints_wherever_it_stands(act, args):
    done = act(*args)
    assert (done.returncode, done.stdout, done.stderr) == (0, "the result\n", "")


@pytest.mark.parametrize(
    ("what", "code", "said"),
    [
        ("code", 3, ""),
        ("quit", 4, ""),
        ("data", 2, "error: file.csv: row 3 has 4 cells, but the header has 5; mend the row.\n"),
        ("diverged", 3, "error: Diverged at step 7.\n"),
        ("failure", 1, "error: It failed.\n"),
        ("missing", 1, "error: /no/such/file: No such file or directory.\n"),
        ("memory", 1, MEMORY),
        (
            "bug",
            1,
            "error: Unexpected failure: ZeroDivisionError: division by zero\n"
            "Add --debug for the traceback, to report it.\n",
        ),
    ],
)  # fmt: skip
def test_every_ending_has_its_code_and_its_sentence(act, what, code, said):
    done = act("act", what)
    assert (done.returncode, done.stdout, done.stderr) == (code, "", said)


@pytest.mark.parametrize("args", [["--debug", "act", "bug"], ["act", "bug", "--debug"]])
def test_debug_shows_the_traceback_wherever_it_stands(act, args):
    done = act(*args)
    assert done.returncode == 1
    assert "Traceback (most recent call last)" in done.stderr
    assert "ZeroDivisionError" in done.stderr


def test_a_flag_after_two_dashes_is_an_argument(act):
    done = act("act", "--", "--debug")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["atc"], "did you mean 'act'?"),
        (["act", "fine", "--learning-rte", "1"], "--learning-rate"),
        (["act", "fine", "--learning-rate", "fast"], "got 'fast'"),
        (["act", "fine", "--learning-rate=fast"], "got 'fast'"),
        (["act"], "Missing argument"),
        (["--nothing"], "--nothing"),
    ],
)
def test_wrong_usage_is_code_2_with_a_suggestion(act, args, said):
    done = act(*args)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("error: ")
    assert said in done.stderr
    assert "--help`" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_help_of_a_command(act):
    done = act("act", "--help")
    assert done.returncode == 0
    assert "Do what is asked." in done.stdout
    assert "--learning-rate" in done.stdout
    assert "--debug" in done.stdout


def test_no_colour_codes_when_not_wanted(act):
    for args in (["--help"], ["act", "data"], ["act", "fine"]):
        done = act(*args, FORCE_COLOR="")
        assert "\x1b" not in done.stdout + done.stderr


def test_a_closed_pipe_is_quiet(env):
    child = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, "act", "many"],
        env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    child.stdout.readline()
    child.stdout.close()
    said = child.stderr.read()
    child.stderr.close()
    assert child.wait(timeout=60) == 141
    assert said == b""


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_disk_under_stdout_is_a_failure(env):
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT, "act", "fine"],
            env=env, stdout=full, stderr=subprocess.PIPE, text=True, check=False,
        )  # fmt: skip
    assert done.returncode == 1
    assert "No space left on device" in done.stderr
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr


def test_ctrl_c_is_130(env):
    child = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, "act", "wait"],
        env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert child.stdout.readline() == "ready\n"
    time.sleep(0.1)
    child.send_signal(signal.SIGINT)
    _, said = child.communicate(timeout=60)
    assert child.returncode == 130
    assert said == "error: Interrupted.\n"


def test_a_terminal_without_the_characters_gets_others(act):
    done = act("act", "glyph", PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.strip() == "? ? ?"


def test_flags_anywhere_are_declared_in_the_help():
    shown = steepest("--help").stdout
    assert all(flag in shown for flag in ANYWHERE)
