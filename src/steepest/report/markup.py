"""HTML and SVG as text, escaped by construction: only what `tag` made is taken as it is."""

from __future__ import annotations

import html
import re
from typing import Any

EMPTY = {"meta", "br", "line", "circle", "rect", "path", "polyline", "polygon", "hr"}
# XML 1.0 knows no control characters but tab and line ends; a browser would drop the picture.
FORBIDDEN = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class Markup(str):
    """Text that is markup already."""

    __slots__ = ()


def tag(name: str, /, *children: Any, **attributes: Any) -> Markup:
    """An element. Children are escaped unless they are `Markup`; None and False are left out.

    An underscore in the name of an attribute stands for a dash, a last one is dropped.

    >>> tag("p", "a < b ", tag("b", "c"), class_="note")
    '<p class="note">a &lt; b <b>c</b></p>'
    """
    given = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(value)}"'
        for key, value in attributes.items()
        if value is not None and value is not False
    )
    if name in EMPTY and not children:
        return Markup(f"<{name}{given}/>")
    return Markup(f"<{name}{given}>{join(*children)}</{name}>")


def join(*children: Any) -> Markup:
    """Pieces side by side; lists are opened up."""
    out: list[str] = []
    for child in children:
        if child is None or child is False:
            continue
        if isinstance(child, (list, tuple)):
            out.append(join(*child))
        else:
            out.append(child if isinstance(child, Markup) else escape(child))
    return Markup("".join(out))


def escape(text: Any) -> str:
    """Text as it may stand in an element or between the quotes of an attribute."""
    if isinstance(text, float):
        text = f"{text:.6g}"
    return html.escape(FORBIDDEN.sub("\N{REPLACEMENT CHARACTER}", str(text)), quote=True)
