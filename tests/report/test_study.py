"""The report of a study, from results made by hand, whose numbers are known."""

import csv
import json
import math
import xml.etree.ElementTree as ET

import numpy as np
import polars as pl
import pytest

from steepest.report import study, study_charts
from steepest.study.result import StudyResult

RATES, SIZES = (0.001, 0.01, 0.1, 1.0), (10, 32)
SEEDS = 5


def result(metric="validation_loss", lost=(1.0,), sizes=SIZES, rates=RATES):
    """loss = (log10 rate + 2)^2 + size / 100 + a little noise of the seed; rate 1 diverges."""
    cells = tuple({"learning_rate": r, "batch_size": b} for r in rates for b in sizes)
    noise = np.random.default_rng(0).normal(scale=1e-3, size=(len(cells), SEEDS))
    rows, trace = [], []
    for c, cell in enumerate(cells):
        rate = cell["learning_rate"]
        base = (math.log10(rate) + 2) ** 2 + cell["batch_size"] / 100 + 0.1
        for s in range(SEEDS):
            bad = rate in lost
            loss = math.inf if bad else base + noise[c, s]
            rows.append({
                "cell": c, **cell, "seed": s, "outcome": "diverged" if bad else "budget",
                "reason": "Diverged <here>." if bad else "Used up.", "steps": 10,
                "validation_loss": loss, "validation_accuracy": 1 / (1 + loss),
            })  # fmt: skip
            for epoch in range(1, 6):
                value = math.nan if bad and epoch > 2 else base * 2.0 ** (5 - epoch)
                trace.append({"table": "epochs", "cell": c, "stream": s, "epoch": float(epoch),
                              "validation_loss": value})  # fmt: skip
    facts = {"data": "<b>toy</b>", "seeds": list(range(SEEDS)), "fixed": {"hidden": [8]}}
    return StudyResult(cells, pl.DataFrame(rows), pl.DataFrame(trace), metric, 1.0, facts)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    place = tmp_path_factory.mktemp("study")
    assert study.write(result(), place) == place / "report.html"
    return place


def test_the_files(written):
    assert {p.name for p in written.iterdir()} == {"report.html", "figures", "summary.csv",
                                                   "compare.csv"}  # fmt: skip
    figures = {p.name for p in (written / "figures").iterdir()}
    stems = {"by-learning-rate", "by-batch-size", "runs", "curves", "map-1"}
    assert figures == {f"{s}.{e}" for s in stems for e in ("png", "svg")}
    with (written / "summary.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 8
    assert (rows[0]["learning_rate"], rows[0]["batch_size"]) == ("0.01", "10")
    with (written / "compare.csv").open() as file:
        assert len(list(csv.DictReader(file))) == 7


def test_the_page_says_what_was_found(written):
    text = (written / "report.html").read_text()
    root = ET.fromstring(text.removeprefix("<!doctype html>\n"))
    said = " ".join(" ".join(t.split()) for t in root.itertext() if t.strip())
    assert "Best by median validation loss: learning_rate=0.01 batch_size=10, 0." in said
    assert "<b>toy</b>" in said
    assert "10 of 40 runs diverged" in said
    assert "0 to 4" in said
    assert "hidden=8" in said
    assert "Diverged <here>." in said
    for heading in ("Main effects", "Interactions", "Compared with the best", "How runs ended"):
        assert heading in said
    assert not any(e.tag in ("script", "img", "link") for e in root.iter())


def test_a_factor_is_drawn_over_its_levels_with_the_diverged_at_the_edge():
    found = result()
    chart = study_charts.against(found, "learning_rate", study_charts.by_cell(found))
    assert (chart.kind, chart.log_x) == ("line", True)
    assert [s.name for s in chart.series] == ["10", "32"]
    values = list(chart.series[0].y)
    assert values[:3] == pytest.approx([1.2, 0.2, 1.2], abs=0.01)
    assert values[3] == math.inf
    for s in chart.series:
        assert all(a <= y <= b for a, y, b in zip(s.low[:3], s.y[:3], s.high[:3], strict=True))


def test_where_higher_is_better_the_diverged_stay_at_the_same_edge():
    found = result("validation_accuracy")
    medians = study_charts.by_cell(found)
    assert medians[7].value == math.inf
    assert found.best() == 2
    chart = study_charts.against(found, "learning_rate", medians)
    assert chart.series[0].y[1] == max(v for v in chart.series[0].y if math.isfinite(v))
    (heat,) = study_charts.maps(found, medians)
    assert heat.better == "higher"
    best = max((heat.values[i][j], i, j) for i in range(2) for j in range(3))
    assert heat.strength(best[0]) == 1.0


def test_many_combinations_are_reduced_to_the_best_at_each_level():
    found = result(sizes=tuple(range(10, 80, 10)))
    chart = study_charts.against(found, "learning_rate", study_charts.by_cell(found))
    assert len(chart.series) == 1
    assert chart.series[0].y[1] == pytest.approx(0.2, abs=0.01)
    assert "best of the other" in chart.note


def test_half_diverged_is_no_median_and_a_few_leave_an_open_interval():
    found = result(lost=())
    outcome = found.runs["outcome"].to_list()
    loss = found.runs["validation_loss"].to_list()
    for i in (0, 1, 2, 5):
        outcome[i], loss[i] = "diverged", math.inf
    runs = found.runs.with_columns(
        pl.Series("outcome", outcome), pl.Series("validation_loss", loss)
    )
    medians = study_charts.by_cell(StudyResult(found.cells, runs, found.trace, found.metric))
    assert medians[0].value == math.inf
    assert math.isfinite(medians[1].value)
    assert math.isfinite(medians[1].low)
    assert medians[2].high < 1


def test_curves_leave_diverged_runs_out():
    chart = study_charts.curves(result())
    assert len(chart.series) == 6
    assert not any("learning_rate=1 " in s.name for s in chart.series)
    assert chart.series[0].y == pytest.approx([3.2, 1.6, 0.8, 0.4, 0.2])
    empty = result()
    bare = StudyResult(empty.cells, empty.runs, pl.DataFrame(), empty.metric)
    assert study_charts.curves(bare) is None


def test_a_single_cell_and_a_wholly_diverged_study_are_written_too(tmp_path):
    alone = result(rates=(0.1,), sizes=(10,))
    study.write(alone, tmp_path / "one")
    assert not (tmp_path / "one" / "compare.csv").exists()
    study.write(result(lost=RATES), tmp_path / "none")
    assert "40 of 40 runs diverged" in (tmp_path / "none" / "report.html").read_text()


def test_a_long_study_shows_the_first_cells_and_says_so(tmp_path):
    found = result(sizes=tuple(range(1, 25)))
    text = str(study.summary_table(found))
    assert text.count("<tr") == study.MOST_ROWS + 1
    assert f"The first {study.MOST_ROWS} of 96" in text


def test_facts_are_said_in_short():
    assert study.fact([3, 4, 5]) == "3 to 5"
    assert study.fact([1, 5]) == "1, 5"
    assert study.fact({"a": 0.5, "b": None}) == "a=0.5"
    assert json.dumps(study.fact(None)) == '""'
