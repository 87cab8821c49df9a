"""Reading lists from the command line: values, and the sentence for each mistake."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steepest.cli import options
from steepest.core.errors import UsageError


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1))
def test_floats_round_trip(values):
    assert options.floats(",".join(map(repr, values)), "--x") == tuple(values)


@given(st.lists(st.integers()))
def test_integers_round_trip(values):
    assert options.integers(" , ".join(map(str, values)), "--x") == tuple(values)


@given(st.text())
def test_any_text_is_read_or_refused_by_name(text):
    readers = (
        options.integers,
        options.floats,
        options.bounds,
        lambda t, option: options.pairs([t], option),
    )
    for read in readers:
        try:
            said = None
            read(text, "--option")
        except UsageError as e:
            said = str(e)
        assert said is None or said.startswith("--option: ")


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: options.integers("64,x", "--hidden"), "'x' in '64,x' is not a whole number"),
        (lambda: options.integers("64,0", "--hidden", least=1), "0 in '64,0' must be at least 1"),
        (lambda: options.floats("1,2,3", "--start", length=2), "holds 3 numbers, but 2 are needed"),
        (lambda: options.floats("nan", "--start"), "not a finite number"),
        (lambda: options.floats(" ", "--start"), "holds no number"),
        (lambda: options.bounds("1:2:3", "--bounds"), "'1:2:3' is not an interval"),
        (lambda: options.bounds("2:1", "--bounds"), "the lower end must come first"),
        (lambda: options.bounds("", "--bounds"), "holds no interval"),
        (lambda: options.pairs(["a"], "--set"), "write it like name=value"),
        (lambda: options.pairs(["a=1", "a=2"], "--set"), "'a' is set twice, to 1 and to '2'"),
    ],
)  # fmt: skip
def test_mistakes(call, said):
    with pytest.raises(UsageError, match=said):
        call()


def test_values_of_settings():
    assert options.pairs(["a=1,b = 1e-3", "c=True", "d=relu"], "--set") == {
        "a": 1, "b": 1e-3, "c": True, "d": "relu",
    }  # fmt: skip
