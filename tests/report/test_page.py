"""Pages: whole, safe and alone."""

import csv
import io
import json
import math
import re
from html.parser import HTMLParser

import pytest

from steepest.report import page, tables
from steepest.report.markup import Markup, join, tag
from steepest.study.statistics import Interval
from steepest.study.tables.table import FAILS, HOLDS, OPEN, Chart, Claim, Series, Table

BAD = "<img src=x onerror=alert(1)>"
NONE = Interval(math.nan, math.nan, math.nan)


class Reader(HTMLParser):
    """The tags, that all are closed, and the text."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.said = [], [], []
        self.attributes = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.said.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.said).split())


def read(text):
    found = Reader(text)
    assert found.open == []
    return found


def made(number=1, printed=None, claims=()):
    rows = [
        (0.001, Interval(5000.0, 4500.0, math.inf), 0),
        (0.1, Interval(110.0, 100.0, 125.0), 3),
        (BAD, None, 1),
    ]
    chart = Chart("Steps", "line", "rate", "steps", [Series("s", [0.001, 0.1], [5000.0, 110.0])])
    return Table(
        number, f"Learning rate {BAD}", "How many?", ("learning rate", "iterations", "diverged"),
        rows, "digits, 10 seeds", claims, [chart, chart], printed or {}, "iterations", 1.5,
    )  # fmt: skip


CLAIMS = [
    Claim("a smaller rate needs more", HOLDS, Interval(5.5, 5.0, 6.0), "times", "it does."),
    Claim("b is better", FAILS, Interval(1.1, 1.05, 1.2), "ratio", "it is not."),
    Claim("c diverges", OPEN, NONE, "share", "who knows."),
]


def test_only_what_tag_made_is_markup():
    assert tag("p", "a<b", class_="x&y") == '<p class="x&amp;y">a&lt;b</p>'
    assert join("<", tag("b", "<"), [None, False, "&"]) == "&lt;<b>&lt;</b>&amp;"
    assert isinstance(join("a"), Markup)
    assert tag("a", "x", title='"><script>').count("<") == 2


def test_a_page_is_whole_and_loads_nothing():
    text = page.page(BAD, tag("h1", BAD), page.table(["a"], [[BAD], [1.0]]))
    found = read(text.removeprefix("<!doctype html>"))
    assert "img" not in found.tags
    assert "script" not in found.tags
    assert not [v for k, v in found.attributes if k in ("src", "href")]
    contents = [v for k, v in found.attributes if k == "content"]
    assert "default-src 'none'; style-src 'unsafe-inline'; img-src data:" in contents
    assert 'name="viewport"' in text
    assert "prefers-color-scheme:dark" in text
    assert not re.search(r"url\(|@import", text)


def test_both_themes_define_all_colours_that_charts_use():
    light, dark = page.STYLE.split("@media (prefers-color-scheme:dark)")
    names = set(re.findall(r"(--\w+):", light))
    used = set(re.findall(r"var\((--\w+)\)", page.STYLE + str(tables.section(made()))))
    assert used <= names
    assert used - {"--paper"} <= set(re.findall(r"(--\w+):", dark))


@pytest.mark.parametrize("dark", [False, True])
def test_text_stands_out_from_the_paper(dark):
    part = page.STYLE.split("@media (prefers-color-scheme:dark)")[int(dark)]
    colours = dict(re.findall(r"--(\w+):(#[0-9a-f]+)", part))
    for name in ("ink", "quiet", "good", "bad", "open", *(f"c{i}" for i in range(8))):
        assert contrast(colours[name], colours["paper"]) >= 4.5, name


def contrast(a, b):
    """WCAG 2.1, 1.4.3."""
    high, low = sorted((luminance(a), luminance(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def luminance(code):
    code = code[1:] if len(code) == 7 else "".join(2 * c for c in code[1:])
    parts = [int(code[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_tables_put_the_printed_figures_beside_the_measured_ones():
    printed = {"0.001": "5000", "0.1": "200", "0.5": "7"}
    found = read(str(tables.section(made(printed=printed))))
    assert "unsourced" in found.text
    assert re.search(r"0.001 5000 4500 to ∞ 0 5000", found.text)
    assert re.search(r"0.1 110 100 to 125 3 200", found.text)
    assert re.search(r"0.5 – – 7", found.text)
    assert "unsourced" not in read(str(tables.section(made()))).text


def test_the_files_of_the_tables(tmp_path):
    path = tables.write([made(1, claims=CLAIMS), made(7)], tmp_path / "out", {"data": "digits"})
    assert path.name == "tables.html"
    found = read(path.read_text(encoding="utf-8").removeprefix("<!doctype html>"))
    assert "img" not in found.tags
    assert found.tags.count("svg") == 4
    text = found.text
    assert "Of 3 common claims 1 holds on these data, 1 does not, and 1 cannot be told." in text
    for verdict in (HOLDS, FAILS, OPEN):
        assert verdict in text
    assert "5.5 5 to 6" in text
    assert "digits" in text
    anchors = [v for k, v in found.attributes if k == "href"]
    ids = [v for k, v in found.attributes if k == "id"]
    assert {a.removeprefix("#") for a in anchors} == set(ids) == {"table-1", "table-7"}
    told = json.loads((tmp_path / "out/tables.json").read_text())
    assert [t["number"] for t in told["tables"]] == [1, 7]
    assert told["tables"][0]["claims"][0]["verdict"] == HOLDS
    assert len(list((tmp_path / "out/tables").glob("*.csv"))) == 2


def test_csv_has_three_columns_for_an_interval():
    rows = list(csv.reader(io.StringIO(tables.as_csv(made()))))
    assert rows[0] == ["learning rate", "iterations", "iterations low", "iterations high",
                       "diverged"]  # fmt: skip
    assert rows[1] == ["0.001", "5000.0", "4500.0", "inf", "0"]
    assert rows[3] == [BAD, "", "", "", "1"]


def test_no_claims_no_verdicts():
    assert "no common claim" in tables.summary([made()])
