"""Studies of functions, held by closed forms and by single descents."""

import numpy as np
import pytest

from steepest.core.errors import FormulaError, UsageError
from steepest.engine.minimize import minimize
from steepest.study.functions import FunctionStudy

BOWL = "x^2 + 10*y^2"
VARY = {"optimizer": ["gd", "momentum"], "learning_rate": [0.01, 0.08, 0.2]}


def study(**more):
    given = {"vary": VARY, "starts": 4, "max_steps": 300} | more
    return FunctionStudy(BOWL, **given)


@pytest.fixture(scope="module")
def result():
    return study().run()


def test_gradient_descent_is_the_closed_form(result):
    """x_n = (1 - 2 r)^n x_0, y_n = (1 - 20 r)^n y_0; converged once the gradient is small."""
    points = study().points
    for cell, rate in enumerate(VARY["learning_rate"][:2]):
        rows = result.runs.filter(result.runs["cell"] == cell)
        for (x, y), steps in zip(points, rows["steps"], strict=True):
            n = np.arange(301)
            gradient = np.hypot(2 * x * (1 - 2 * rate) ** n, 20 * y * (1 - 20 * rate) ** n)
            small = np.flatnonzero(gradient <= 1e-6)
            assert steps == (small[0] if len(small) else 300)


def test_beyond_two_over_the_largest_curvature_it_diverges(result):
    outcome = result.runs.filter(result.runs["cell"] == 2)["outcome"].to_list()
    assert outcome == ["diverged"] * 4
    assert np.isnan(result.values()[2]).all()
    assert result.summary()["diverged"].to_list()[-1] == 4


def test_a_run_is_the_same_alone(result):
    found = study()
    for cell in (1, 4):
        name, rate = found.cells[cell].values()
        alone = minimize(found.function, found.points[2], optimizer=name, learning_rate=rate,
                         max_steps=300, tol=1e-6)  # fmt: skip
        row = result.runs.filter((result.runs["cell"] == cell) & (result.runs["seed"] == 2))
        assert row["outcome"][0] == alone.outcome.text
        assert row["steps"][0] == alone.nit
        assert row["at_x"][0] == pytest.approx(alone.x[0], abs=1e-9)


def test_the_result_answers_as_that_of_any_study(result):
    assert set(result.metrics) == {"steps", "final_value", "gradient_norm"}
    assert result.summary("steps")["learning_rate"][0] == "0.08"
    x, values = result.curves("loss", "steps")
    assert values.shape == (6, 4, len(x))
    start = study().points
    assert values[0, :, 0] == pytest.approx(start[:, 0] ** 2 + 10 * start[:, 1] ** 2)


def test_starts_are_shared_seeded_and_where_they_should_be():
    inside = study(bounds=[(0.0, 1.0), (5.0, 6.0)]).points
    assert (inside >= [0, 5]).all()
    assert (inside <= [1, 6]).all()
    around = study(start=[10.0, -10.0], spread=0.1, starts=50).points
    assert around.mean(axis=0) == pytest.approx([10, -10], abs=0.1)
    assert np.array_equal(study(seed=3).points, study(seed=3).points)
    assert not np.array_equal(study(seed=3).points, study().points)


@pytest.mark.slow
def test_methods_without_a_rate_are_one_cell():
    found = study(vary={"optimizer": "gd,lbfgs", "learning_rate": "0.01,0.05"})
    assert [tuple(c.values()) for c in found.cells] == [("gd", 0.01), ("gd", 0.05), ("lbfgs", None)]
    assert found.plan.programs == 2
    result = found.run()
    assert result.runs.filter(result.runs["cell"] == 2)["outcome"].to_list() == ["converged"] * 4


def test_settings_of_the_rule_and_of_its_schedule_are_varied_too():
    found = FunctionStudy(
        "rosenbrock", vary={"optimizer.beta2": [0.9, 0.99], "schedule": ["constant", "cosine"]},
        fixed={"optimizer": "adam", "learning_rate": 0.05}, starts=2, max_steps=50,
    )  # fmt: skip
    result = found.run()
    assert len(np.unique(result.runs["final_value"])) == 8


def test_killed_and_resumed_it_ends_the_same(tmp_path, monkeypatch):
    from steepest.study import functions

    whole = study().run(tmp_path / "whole")
    monkeypatch.setattr(functions, "MOST_RUNS", 8)

    def stop(progress):
        if progress.done:
            raise RuntimeError

    with pytest.raises(RuntimeError):
        study().run(tmp_path / "cut", show=stop)
    again = FunctionStudy.of(tmp_path / "cut")
    assert again.describe() == study().describe()
    result = again.run(tmp_path / "cut", resume=True)
    assert result.runs["steps"].to_list() == whole.runs["steps"].to_list()
    assert result.runs["final_value"].to_list() == pytest.approx(
        whole.runs["final_value"].to_list(), abs=1e-12
    )
    read = FunctionStudy.of(tmp_path / "cut").run(tmp_path / "cut", resume=True)
    assert read.runs.equals(result.runs)


@pytest.mark.parametrize(("arguments", "words"), [
    ({"vary": {"hidden": [(8,)]}}, "hidden means nothing"),
    ({"vary": {"optimizer": ["gdd"]}}, "gdd"),
    ({"fixed": {"learning_rate": 0.1}, "vary": {"learning_rate": [0.1]}}, "both varied and fixed"),
    ({"metric": "accuracy"}, "accuracy"),
    ({"bounds": [(0, 1)] * 3}, "3 intervals for 2 variables"),
    ({"start": [1.0]}, "1 numbers"),
    ({"start": [1.0, 2.0], "spread": 0.0}, "spread"),
    ({"start": [1.0, 2.0], "bounds": [(0, 1)]}, "either"),
    ({"starts": 0}, "starts"),
    ({"vary": {"optimizer": "lbfgs"}, "fixed": {"learning_rate": 0.1}}, "its own step length"),
])  # fmt: skip
def test_what_cannot_work_is_refused_before_any_run(arguments, words):
    with pytest.raises(UsageError, match=words):
        study(**arguments)


def test_a_wrong_formula():
    with pytest.raises(FormulaError):
        FunctionStudy("x^^2")
