"""One HTML page that needs nothing else: no network, no script, for a phone and for the dark.

A page is made of `Markup` pieces; every text in them is escaped by `markup.tag`. Its policy for the
browser forbids to load anything from anywhere.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from typing import Any

from steepest.core import atomic
from steepest.report.axis import short
from steepest.report.markup import Markup, join, tag
from steepest.study.statistics import Interval

POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
STYLE = """
:root{--paper:#fff;--ink:#222;--quiet:#5f6368;--hair:#e6e6e6;--axis:#a8a8a8;--shade:#f1f1f3;
--c0:#0072b2;--c1:#c24e00;--c2:#00805d;--c3:#a34a7f;--c4:#9a6a00;--c5:#2a7aa8;--c6:#4d4d4d;
--c7:#8a5a3c;--good:#00704f;--bad:#b3261e;--open:#6b5900;color-scheme:light dark}
@media (prefers-color-scheme:dark){:root{--paper:#16181b;--ink:#e8e8e8;--quiet:#a2a7ad;
--hair:#2d3035;--axis:#666b72;--shade:#24272b;--c0:#56b4e9;--c1:#ff8a4c;--c2:#2fc79b;--c3:#e08fc0;
--c4:#e5b345;--c5:#7fc4ec;--c6:#bbbbbb;--c7:#cf9f7d;--good:#4fd6a5;--bad:#ff8a80;--open:#e0c34c}}
*{box-sizing:border-box}
body{margin:0 auto;padding:1rem;max-width:72rem;background:var(--paper);color:var(--ink);
font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif;overflow-wrap:break-word}
h1{font-size:1.6rem;line-height:1.25;margin:.6rem 0 .4rem}
h2{font-size:1.25rem;line-height:1.3;margin:2.4rem 0 .3rem;border-top:1px solid var(--hair);
padding-top:1.2rem}
h3{font-size:1rem;margin:1.4rem 0 .3rem}
p{margin:.4rem 0;max-width:46rem}a{color:var(--c0)}
.lead{font-size:1.08rem}.note,.quiet{color:var(--quiet);font-size:.9rem}
.pair{display:grid;gap:1rem 2rem;grid-template-columns:repeat(auto-fit,minmax(min(100%,26rem),1fr));
align-items:start}
.pair>*{min-width:0}
.scroll{overflow-x:auto;max-width:100%}
table{border-collapse:collapse;font-size:.9rem;font-variant-numeric:tabular-nums;margin:.5rem 0}
th,td{padding:.28rem .7rem .28rem 0;text-align:left;border-bottom:1px solid var(--hair);
vertical-align:top}
th{font-weight:600;color:var(--quiet);white-space:nowrap}
td.n,th.n{text-align:right;white-space:nowrap}
tr.best td{font-weight:600}
td .i{color:var(--quiet);font-weight:400;font-size:.92em;white-space:nowrap}
figure{margin:.5rem 0 1rem;max-width:36rem}
figcaption{font-weight:600;font-size:.95rem;margin-bottom:.2rem}
.chart{display:block;width:100%;height:auto;font-family:inherit}
.badge{display:inline-block;border:1.5px solid currentColor;border-radius:1em;padding:0 .6em;
font-size:.82rem;font-weight:600;white-space:nowrap}
.good{color:var(--good)}.bad{color:var(--bad)}.open{color:var(--open)}
.claims{list-style:none;padding:0;margin:.5rem 0}
.claims li{margin:.7rem 0;max-width:46rem}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.1rem 1rem;font-size:.92rem;
margin:.6rem 0}
dt{color:var(--quiet)}dd{margin:0;min-width:0}
@media print{body{max-width:none}h2{break-after:avoid}figure,tr{break-inside:avoid}}
"""


def page(title: str, *body: Any) -> str:
    """The whole page."""
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width,initial-scale=1"),
        tag("meta", http_equiv="Content-Security-Policy", content=POLICY),
        tag("meta", name="generator", content="steepest"),
        tag("title", title),
        tag("style", Markup(STYLE)),
    )
    return "<!doctype html>\n" + tag("html", head, tag("body", *body), lang="en") + "\n"


def write(path: str | os.PathLike[str], title: str, *body: Any) -> None:
    """Write the page, atomically."""
    atomic.write_text(path, page(title, *body))


def table(columns: Sequence[str], rows: Sequence[Sequence[Any]], best: int | None = None) -> Markup:
    """A table that scrolls within itself where it is too wide; numbers are aligned to the right.

    Cells are texts, numbers, `Interval`s (value and, quiet beside it, both ends) or `Markup`.
    """
    right = [
        bool(rows) and all(not isinstance(row[j], str) for row in rows) for j in range(len(columns))
    ]
    kind = ["n" if r else None for r in right]
    head = tag("tr", [tag("th", c, class_=k) for c, k in zip(columns, kind, strict=True)])
    lines = [
        tag("tr", [tag("td", cell(v), class_=k) for v, k in zip(row, kind, strict=True)],
            class_="best" if i == best else None)
        for i, row in enumerate(rows)
    ]  # fmt: skip
    return tag("div", tag("table", tag("thead", head), tag("tbody", lines)), class_="scroll")


def cell(value: Any) -> Markup:
    """The content of a cell of a table."""
    if isinstance(value, Interval):
        none = math.isnan(value.low) and math.isnan(value.high)
        if none or (math.isinf(value.value) and value.low == value.high):
            return join(short(value.value, 4))
        ends = f" {short(value.low)} to {short(value.high)}"
        return join(short(value.value, 4), tag("span", ends, class_="i"))
    if isinstance(value, bool):
        return join("yes" if value else "no")
    if value is None:
        return join("–")
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, int):
        return join(f"{value:,}")
    return join(short(value, 4) if isinstance(value, float) else value)


def facts(pairs: Sequence[tuple[str, Any]]) -> Markup:
    """Names with what they are, a line each."""
    return tag("dl", [(tag("dt", name), tag("dd", cell(value))) for name, value in pairs])


def pair(*pieces: Any) -> Markup:
    """Pieces side by side, where the screen is wide enough."""
    return tag("div", *pieces, class_="pair")
