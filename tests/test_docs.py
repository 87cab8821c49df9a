"""The documentation is run: doctests of the package, and the blocks of README.md and docs/.

- ```python blocks run in order, in one namespace a page, in an empty folder. Lines that end in
  `# -> value` are checked: the expression before it must print as that value.
- ```console blocks: each line `$ steepest ...` is run in the same folder and must exit 0; a line
  that ends in `# exit 2` must exit with that code.
- `<!-- not run -->` on the line before a block skips it: for what takes minutes or needs extras.
"""

import contextlib
import doctest
import importlib
import io
import os
import pkgutil
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import steepest

ROOT = Path(__file__).parent.parent
PAGES = sorted(p for p in [ROOT / "README.md", *(ROOT / "docs").glob("**/*.md")] if p.exists())
MODULES = sorted(
    m.name
    for m in pkgutil.walk_packages(steepest.__path__, "steepest.")
    if not m.name.endswith("__main__")
)
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE

BLOCK = re.compile(
    r"(?P<skip><!-- not run -->\s*\n)?^```(?P<kind>python|console)[^\n]*\n(?P<body>.*?)^```",
    re.MULTILINE | re.DOTALL,
)


# Modules whose examples take ten seconds or more are among the long tests.
FITTING = {f"steepest.{name}" for name in (
    "estimators.linear", "estimators.mlp", "estimators.robust", "estimators.search",
    "estimators.svm", "estimators.tree", "estimators.tree_ensemble", "models.tree", "study.study",
)}  # fmt: skip
FITTED = [pytest.param(m, marks=pytest.mark.slow) if m in FITTING else m for m in MODULES]


@pytest.mark.parametrize("name", FITTED, ids=str)
def test_doctests(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    module = importlib.import_module(name)
    result = doctest.testmod(module, optionflags=FLAGS)
    assert result.failed == 0


# Pages whose examples take more than half a minute are among the long tests.
LONG = ("diagnose.md", "train.md", "study.md", "estimators.md", "trees.md")
MARKED = [pytest.param(p, marks=pytest.mark.slow) if p.name in LONG else p for p in PAGES]


@pytest.mark.parametrize("page", MARKED, ids=lambda p: p.name)
def test_page(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = page.read_text()
    space = {"__name__": "__main__"}
    for block in BLOCK.finditer(text):
        if block["skip"]:
            continue
        line = text.count("\n", 0, block.start("body")) + 1
        if block["kind"] == "python":
            run_python(block["body"], space, f"{page.name}:{line}")
        else:
            run_console(block["body"], tmp_path, f"{page.name}:{line}")


def run_python(body, space, where):
    """Run a block; it is cut at the lines that promise a value."""
    pending = []
    for line in body.splitlines():
        code, arrow, promised = line.partition("# -> ")
        if not arrow:
            pending.append(line)
            continue
        exec(compile("\n".join(pending), where, "exec"), space)
        pending = []
        try:
            shown = repr(eval(compile(code.strip(), where, "eval"), space))
        except SyntaxError:
            # Not an expression (`print(...)` is one; an assignment is not).
            pytest.fail(f"{where}: only an expression can promise a value: {line}")
        said = promised.strip()
        if shown == "None":
            pytest.fail(f"{where}: {code.strip()} has no value; promise values of expressions")
        assert doctest.OutputChecker().check_output(said + "\n", shown + "\n", FLAGS), (
            f"{where}: {code.strip()} gives {shown}, the page says {said}"
        )
    with contextlib.redirect_stdout(io.StringIO()):
        exec(compile("\n".join(pending), where, "exec"), space)


def run_console(body, folder, where):
    for line in body.replace("\\\n", " ").splitlines():
        command = re.match(r"\$ steepest (.*)", line)
        if not command:
            continue
        words = shlex.split(command[1], comments=True)
        expected = re.search(r"# exit (\d+)", command[1])
        for shell in ("|", ">", "<", "&&"):
            assert shell not in words, f"{where}: the shell's {shell!r} is not run here; mark it"
        done = subprocess.run(
            [sys.executable, "-m", "steepest", *words],
            cwd=folder, capture_output=True, text=True, timeout=300, check=False,
            env={**os.environ, "NO_COLOR": "1"},
        )  # fmt: skip
        code = int(expected[1]) if expected else 0
        assert done.returncode == code, f"{where}: {line}\n{done.stdout}\n{done.stderr}"


def test_the_runner_notices_what_is_wrong(tmp_path):
    run_python("x = 2\nx + 1  # -> 3\nx / 3  # -> 0.666...", {}, "here")
    with pytest.raises(AssertionError, match="gives 3, the page says 4"):
        run_python("x = 2\nx + 1  # -> 4", {}, "here")
    with pytest.raises(NameError):
        run_python("unknown", {}, "here")
    run_console("$ steepest --version\nsteepest 0", tmp_path, "here")
    run_console("$ steepest no-such-command  # exit 2", tmp_path, "here")
    with pytest.raises(AssertionError, match="no-such"):
        run_console("$ steepest no-such-command", tmp_path, "here")
