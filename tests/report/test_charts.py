"""What charts show, read back from the elements of the SVG and the artists of the figure."""

import io
import math
import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from steepest.report import charts, heat
from steepest.report.axis import axis_of, short
from steepest.study.tables.table import Chart, Series

INF = math.inf
SVG = "{http://www.w3.org/2000/svg}"


def line(**more):
    series = [
        Series("sgd", [0.01, 0.1, 1.0], [100.0, 10.0, INF], [90.0, 9.0, 50.0], [120.0, 12.0, INF]),
        Series("adam", [0.01, 0.1, 1.0], [50.0, 20.0, 80.0]),
    ]
    given = {"log_x": True, "log_y": True} | more
    return Chart("Steps", "line", "learning rate", "iterations", series, **given)


def bars(log=False):
    series = [Series("", ["a", "b", "c"], [1.0, 3.0, INF], [0.5, 2.0, 1.0], [1.5, 4.0, INF])]
    return Chart("Loss", "bars", "optimizer", "loss", series, log_y=log)


def strip():
    return Chart("Runs", "strip", "", "f", [Series("", ["gd"] * 4, [1.0, 2.0, 4.0, INF])])


def parsed(chart):
    return ET.fromstring(charts.svg(chart))


def points(element):
    pairs = (p.split(",") for p in element.get("points").split())
    return np.array([[float(a), float(b)] for a, b in pairs])


def crosses(root):
    return [p for p in root.iter(SVG + "path") if p.get("d").startswith("M")]


def words(root):
    return [t.text for t in root.iter(SVG + "text") if t.text]


def test_a_line_is_straight_where_a_power_law_meets_two_logarithmic_axes():
    chart = Chart("", "line", "x", "y", [Series("", [1, 10, 100], [1e-3, 1e-1, 10.0])], True, True)
    (drawn,) = parsed(chart).iter(SVG + "polyline")
    at = points(drawn)
    assert np.diff(at[:, 0]) == pytest.approx([np.diff(at[:, 0])[0]] * 2, abs=0.2)
    assert np.diff(at[:, 1]) == pytest.approx([np.diff(at[:, 1])[0]] * 2, abs=0.2)
    assert at[0, 1] > at[2, 1]


def test_an_infinite_value_is_a_cross_in_the_bin_and_leaves_the_axis_alone():
    root = parsed(line())
    (mark,) = crosses(root)
    lines = [points(p) for p in root.iter(SVG + "polyline")]
    assert [len(p) for p in lines] == [2, 3]
    height = float(re.match(r"M[\d.]+ ([\d.]+)", mark.get("d"))[1])
    assert height < min(p[:, 1].min() for p in lines)
    assert charts.BIN in words(root)
    calm = Chart("", "line", "", "", [Series("", [1, 2], [1.0, 2.0])])
    assert charts.BIN not in words(parsed(calm))
    assert crosses(parsed(calm)) == []


def test_lines_are_named_at_their_ends_and_names_stand_apart():
    series = [Series(f"s{i}", [0, 1], [0.0, 1.0 + i * 1e-3]) for i in range(6)]
    root = parsed(Chart("", "line", "", "", series))
    ends = [
        float(t.get("y")) for t in root.iter(SVG + "text") if re.fullmatch(r"s\d", t.text or "")
    ]
    assert len(ends) == 6
    assert np.diff(sorted(ends)).min() > 12


def test_many_lines_have_a_legend_instead():
    series = [Series(f"optimizer number {i}", [0, 1], [0.0, 1.0]) for i in range(12)]
    root = parsed(Chart("", "line", "", "", series))
    assert len([w for w in words(root) if w.startswith("optimizer number")]) == 12


def test_bars_start_at_zero_and_whiskers_span_the_interval():
    root = parsed(bars())
    rects = [r for r in root.iter(SVG + "rect") if "fill-opacity" in r.get("style")]
    widths = [float(r.get("width")) for r in rects]
    assert widths[1] == pytest.approx(3 * widths[0], rel=0.01)
    whiskers = [
        e for e in root.iter(SVG + "line")
        if "var(--ink)" in e.get("style") and e.get("y1") == e.get("y2")
    ]  # fmt: skip
    spans = [float(e.get("x2")) - float(e.get("x1")) for e in whiskers]
    assert spans[0] == pytest.approx(widths[0], rel=0.02)
    assert spans[1] == pytest.approx(2 * widths[0], rel=0.02)
    assert len(crosses(root)) == 1


def test_a_logarithmic_axis_has_dots_since_it_has_no_zero():
    root = parsed(bars(log=True))
    assert not [r for r in root.iter(SVG + "rect") if "fill-opacity" in r.get("style")]
    assert len(list(root.iter(SVG + "circle"))) == 2


def test_a_strip_shows_each_run_and_those_that_diverged():
    root = parsed(strip())
    assert len(list(root.iter(SVG + "circle"))) == 3
    assert len(crosses(root)) == 1
    assert words(root)[-1] == "gd"


def test_names_are_escaped():
    bad = '<script>alert("1")</script>&\x00'
    for kind in ("line", "bars", "strip"):
        made = charts.framed(Chart(bad, kind, bad, bad, [Series(bad, [bad], [1.0])], note=bad))
        root = ET.fromstring(made)
        assert "script" not in {e.tag.removeprefix(SVG) for e in root.iter()}
        assert "alert" in made


@pytest.mark.parametrize("chart", [line(), line(log_x=False), bars(), bars(True), strip()])
def test_figures_show_the_same(chart, tmp_path):
    made = charts.figure(chart)
    (axes,) = made.axes
    made.savefig(io.BytesIO(), dpi=30)
    labels = [t.get_text() for t in axes.texts]
    assert charts.BIN in labels
    if chart.kind == "line":
        low, high = axes.get_ylim()
        assert low < 10
        assert high < 400
        data = [line for line in axes.get_lines() if line.get_linestyle() != "None"]
        assert np.asarray(data[1].get_ydata(), float).tolist() == [50.0, 20.0, 80.0]


def test_files_of_a_figure(tmp_path):
    files = charts.save(strip(), tmp_path / "runs")
    assert [f.name for f in files] == ["runs.png", "runs.svg"]
    assert files[0].read_bytes().startswith(b"\x89PNG")
    ET.fromstring(files[1].read_text())


@pytest.mark.parametrize("values", [[], [math.nan], [INF], [0.0], [3.0, 3.0], [1e-300, 1e300]])
@pytest.mark.parametrize("kind", ["line", "bars", "strip"])
@pytest.mark.parametrize("log", [False, True])
def test_whatever_comes_is_drawn_within_the_picture(values, kind, log):
    chart = Chart(
        "", kind, "", "", [Series("s", list(range(1, len(values) + 1)), values)], log, log
    )
    root = parsed(chart)
    width, height = map(float, root.get("viewBox").split()[2:])
    for mark in root.iter(SVG + "circle"):
        assert 0 <= float(mark.get("cx")) <= width
        assert 0 <= float(mark.get("cy")) <= height
    assert "nan" not in ET.tostring(root, encoding="unicode")
    charts.figure(chart).savefig(io.BytesIO(), dpi=20)


@pytest.mark.parametrize(("values", "log", "texts"), [
    ([0.0, 10.0], False, {"0", "5", "10"}),
    ([1e-4, 1.0], True, {"1e-4", "0.01", "1"}),
    ([0.02, 0.5], True, {"0.1"}),
])  # fmt: skip
def test_ticks_are_round_and_within(values, log, texts):
    axis = axis_of(values, log)
    ticks = axis.ticks()
    assert texts <= {t for _, t in ticks}
    assert all(-1e-9 <= p <= 1 + 1e-9 for p, _ in ticks)
    assert [p for p, _ in ticks] == sorted(p for p, _ in ticks)
    for place, text in ticks:
        assert axis.at(float(text)) == pytest.approx(place, abs=1e-6)


@pytest.mark.parametrize("value", [0.1, 123.0, 1.5e-7, 3e9, -2.5, 99999.0, 0.00999])
def test_short_numbers_are_right_to_three_digits(value):
    assert float(short(value)) == pytest.approx(value, rel=6e-3)


def test_a_map_of_two_factors_is_strongest_at_the_best():
    made = heat.Heat("Loss", "rate", "batch", [0.1, 1.0], [10, 32], [[2.0, INF], [1.0, math.nan]])
    assert made.strength(1.0) == 1.0
    assert made.strength(2.0) == 0.0
    root = ET.fromstring(heat.svg(made))
    assert {"1", "2", "diverged"} <= set(words(root))
    cells = list(root.iter(SVG + "rect"))
    assert len(cells) == 4
    # The first row stands at the bottom.
    assert float(cells[0].get("y")) > float(cells[2].get("y"))
    shown = [t.get_text() for t in heat.figure(made).axes[0].texts]
    assert shown == ["2", "×", "1", ""]
    better = heat.Heat("", "", "", [1], [1, 2], [[0.2], [0.9]], better="higher")
    assert better.strength(0.9) > better.strength(0.2)
