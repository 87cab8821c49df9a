"""Imports run only downwards: every folder of the package may use lower layers and itself."""

import ast
from pathlib import Path

import pytest

import steepest

ROOT = Path(steepest.__file__).parent

LAYERS = {
    "core": 0,
    "schedules": 1, "functions": 1, "models": 1, "data": 1,
    "optimizers": 2, "objectives": 2,
    "engine": 3,
    "study": 4,
    "diagnose": 5, "report": 5, "store": 5,
    "estimators": 6,
    "lab": 7,
    "cli": 8,
    "__main__": 9,
}  # fmt: skip

# Files that see a layer above or beside their own, each with its reason.
ALLOWED: dict[tuple[str, str], str] = {
    ("steepest.engine.result", "diagnose"): "`fit.diagnose()`, imported when it is called",
    ("steepest.diagnose.directory", "store"): "a finished run is found in its directory",
    ("steepest.engine.minimum", "diagnose"): "`result.diagnose()`, imported when it is called",
}


def imported(tree, package):
    """Every module of steepest that the file names in an import, wherever the import stands."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                base = ".".join([*package[: len(package) - node.level + 1], *base.split(".")])
            names = [f"{base}.{alias.name}" for alias in node.names]
        else:
            continue
        yield from ((n.split("."), node.lineno) for n in names if n.split(".")[0] == "steepest")


def unit(parts):
    return parts[1] if len(parts) > 1 else None


def violations(source, module, layers=LAYERS):
    package = module[:-1]
    own = unit(module)
    for parts, line in imported(ast.parse(source), package):
        other = unit(parts)
        if other is None or other not in layers or other == own:
            continue
        if layers[other] >= layers[own] and (".".join(module), other) not in ALLOWED:
            yield f"line {line}: layer {layers[own]} imports {other}, layer {layers[other]}"


FILES = sorted(p for p in ROOT.rglob("*.py") if p != ROOT / "__init__.py")


@pytest.mark.parametrize("file", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_run_downwards(file):
    module = ["steepest", *file.relative_to(ROOT).with_suffix("").parts]
    assert unit(module) in LAYERS, "a new folder needs its number in LAYERS"
    assert list(violations(file.read_text(), module)) == []


@pytest.mark.parametrize(
    ("source", "bad"),
    [
        ("from steepest.core import tree", 0),
        ("from steepest.engine.drive import drive", 1),
        ("def f():\n    import steepest.engine.api", 1),
        ("from ..engine import drive", 1),
        ("from steepest import engine", 1),
        ("from steepest.models import mlp", 1),
        ("from .regression import x", 0),
        ("import jax\nfrom steepest.data.dataset import Arrays", 1),
    ],
)
def test_the_check_itself(source, bad):
    assert len(list(violations(source, ["steepest", "functions", "parse"]))) == bad
