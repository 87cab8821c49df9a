import contextlib
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steepest.core.errors import UsageError
from steepest.study import grid


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("learning_rate", "1e-3:1e-1:log3", (1e-3, 1e-2, 1e-1)),
        ("dropout", "0:0.5:lin3", (0.0, 0.25, 0.5)),
        ("dropout", "0:0.5:3", (0.0, 0.25, 0.5)),
        ("batch_size", "8:128:log5", (8, 16, 32, 64, 128)),
        ("batch_size", "32,full", (32, "full")),
        ("optimizer", "sgd, adam", ("sgd", "adam")),
        ("hidden", "16,32x32", ((16,), (32, 32))),
        ("hidden", "8:32:log3", ((8,), (16,), (32,))),
        ("standardize", "yes,no", (True, False)),
        ("momentum", "none,0.9", (None, 0.9)),
        ("optimizer.b2", "0.9,0.999", (0.9, 0.999)),
    ],
)
def test_levels(name, text, expected):
    assert grid.levels(name, text) == expected


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("learning_rat", "1", "did you mean 'learning_rate'"),
        ("learning_rate", "fast", "'fast' is not a number"),
        ("learning_rate", "0:1:log3", "needs ends above 0"),
        ("learning_rate", "1,,2", "empty level"),
        ("learning_rate", "nan", "must be finite"),
        ("batch_size", "1.5", "not a whole number"),
        ("hidden", "0", "at least 1"),
        ("seed", "1,2", "number of seeds"),
        ("learning_rate", "1:2:log0", "between 1 and"),
    ],
)
def test_a_bad_text_is_refused_with_a_sentence(name, text, message):
    with pytest.raises(UsageError, match=message):
        grid.levels(name, text)


@given(st.sampled_from(sorted(grid.FIELDS)), st.text(max_size=30))
def test_nothing_but_a_usage_error_leaves_the_reader(name, text):
    with contextlib.suppress(UsageError):
        grid.levels(name, text)


def test_a_grid_turns_its_last_factor_fastest():
    cells = grid.grid({"a": [1, 2], "b": "xy"})
    assert cells == [{"a": 1, "b": "x"}, {"a": 1, "b": "y"}, {"a": 2, "b": "x"}, {"a": 2, "b": "y"}]


def test_a_sample_is_without_replacement_and_the_same_for_a_seed():
    of = {"a": list(range(7)), "b": list(range(11))}
    cells = grid.sample(of, 40, seed=3)
    assert len({tuple(c.items()) for c in cells}) == 40
    assert cells == grid.sample(of, 40, seed=3)
    assert cells != grid.sample(of, 40, seed=4)
    assert len(grid.sample(of, 500)) == 77


def test_a_sample_of_a_grid_that_could_not_be_listed():
    of = {c: list(range(1000)) for c in "abcdef"}
    cells = grid.sample(of, 50)
    assert len({tuple(c.items()) for c in cells}) == 50
    assert math.prod(len(v) for v in of.values()) == 10**18


def test_levels_given_twice_or_not_at_all_are_refused():
    with pytest.raises(UsageError, match="level twice"):
        grid.factors({"learning_rate": [0.1, 0.1]})
    with pytest.raises(UsageError, match="no levels"):
        grid.factors({"learning_rate": []})
    with pytest.raises(UsageError, match="must be a list"):
        grid.factors({"learning_rate": 0.1})


def test_settings_within_a_rule_come_together():
    cell = {"optimizer": "adam", "optimizer.b1": 0.8, "optimizer.b2": 0.9, "schedule.every": 3}
    assert grid.changes(cell) == {
        "optimizer": "adam",
        "optimizer_settings": (("b1", 0.8), ("b2", 0.9)),
        "schedule_settings": (("every", 3),),
    }
