"""The tree of errors: what may be caught as what, and with which exit code."""

import pytest

from steepest.core import errors
from steepest.core.errors import FormulaError, MissingExtraError, SteepestError, suggest


@pytest.mark.parametrize(
    ("name", "parents", "code"),
    [
        ("UsageError", (SteepestError, ValueError), 2),
        ("FormulaError", (errors.UsageError,), 2),
        ("DataError", (errors.UsageError,), 2),
        ("FileError", (SteepestError,), 1),
        ("DivergedError", (SteepestError,), 3),
        ("MissingExtraError", (SteepestError, ImportError), 1),
    ],
)
def test_the_tree(name, parents, code):
    kind = getattr(errors, name)
    assert issubclass(kind, parents)
    assert kind.exit_code == code


def test_a_formula_shows_its_column():
    said = str(FormulaError("Unexpected ')'.", "x + )", 4, "Remove it.")).splitlines()
    assert said == ["Unexpected ')'.", "  x + )", "      ^", "Remove it."]


def test_the_column_of_a_long_formula_is_shown():
    text = "x+" * 200 + ")" + "+x" * 200
    _, shown, caret = str(FormulaError("No.", text, 400)).splitlines()
    assert shown[caret.index("^")] == ")"
    assert len(shown) < 100


def test_a_missing_extra_says_what_to_install():
    e = MissingExtraError("sqlalchemy", "sql", "Reading from a database")
    assert "pip install 'steepest[sql]'" in str(e)


def test_suggest():
    assert suggest("adm", ["adam", "lion"]) == "did you mean 'adam'?"
    assert suggest("zzz", ["lion", "adam"]) == "known: adam, lion."
