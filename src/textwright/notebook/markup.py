"""Pieces of HTML that hold in light and dark notebooks, and where styles are stripped."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape

from textwright.generation.results import Explanation

FRAME = (
    "max-width:60em;padding:.7em 1em;border:1px solid rgba(128,120,110,.35);border-radius:.5em;"
    "line-height:1.5;overflow-wrap:anywhere"
)
QUIET = "opacity:.72"
"""Of what is less important; 4.5:1 on white and on the black of dark notebooks."""
TEXT = "white-space:pre-wrap;font-family:ui-monospace,Menlo,Consolas,monospace;line-height:1.75"
CHART = (
    "--train:#7d97b3;--validation:#3d84c6;--best:#c46a2b;--quiet:#8a8378;--ink:currentColor;"
    "--panel:transparent;--line:rgba(128,120,110,.3)"
)
"""The variables of `reporting.charts`, in tones that are read on white and on black."""
_BAR = "height:.45em;border-radius:1em"
_MOST_BITS = 8.0
"""A surprise that is coloured fully: a chance of 1 in 256."""


def frame(*parts: str) -> str:
    """A box with parts, which are HTML, below each other."""
    return f'<div style="{FRAME}">{"".join(parts)}</div>'


def heading(title: str, lead: str = "") -> str:
    """A title, with what it is beside it."""
    beside = f' <span style="{QUIET}">{escape(lead)}</span>' if lead else ""
    return f"<div><b>{escape(title)}</b>{beside}</div>"


def note(text: str) -> str:
    """A quiet line."""
    return f'<div style="{QUIET};font-size:.92em">{escape(text)}</div>'


def passage(text: str, before: str = "") -> str:
    """A text as it stands, after a quieter `before`."""
    quiet = f'<span style="{QUIET}">{escape(before)}</span>' if before else ""
    return f'<div dir="auto" style="{TEXT}">{quiet}{escape(text)}</div>'


def table(rows: Sequence[Sequence[str]], columns: Sequence[str] = ()) -> str:
    """A table of texts; the first of each row is its name."""
    cell = "text-align:left;padding:.1em 1.2em .1em 0;vertical-align:top;background:none"
    head = "".join(f'<th scope="col" style="{cell}">{escape(each)}</th>' for each in columns)
    body = "".join(
        f'<tr style="background:none"><th scope="row" style="{cell};font-weight:normal;{QUIET}">'
        f"{escape(row[0])}</th>"
        + "".join(f'<td style="{cell}">{escape(value)}</td>' for value in row[1:])
        + "</tr>"
        for row in rows
    )
    first = f"<thead><tr>{head}</tr></thead>" if columns else ""
    look = "border-collapse:collapse;margin:.4em 0;font-size:.95em"
    return f'<table style="{look}">{first}<tbody>{body}</tbody></table>'


def chart(svg: str, caption: Mapping[str, str]) -> str:
    """A drawing of `reporting.charts`, below what its colours mean: name → colour of CSS."""
    key = " ".join(
        f'<span style="white-space:nowrap;margin-right:1em"><span style="display:inline-block;'
        f'width:1.3em;height:.2em;margin-right:.4em;vertical-align:middle;background:{colour}">'
        f"</span>{escape(name)}</span>"
        for name, colour in caption.items()
    )
    look = f"{CHART};max-width:46em;margin:.5em 0"
    above = f'<div aria-hidden="true" style="font-size:.9em;{QUIET}">{key}</div>'
    return f'<div style="{look}">{above}{svg}</div>'


def bar(share: float) -> str:
    """How far something is, between 0 and 1."""
    percent = f"{100 * min(max(share, 0.0), 1.0):.1f}%"
    return (
        f'<div style="{_BAR};background:rgba(128,120,110,.25);margin:.5em 0">'
        f'<div style="{_BAR};background:#3d84c6;width:{percent}"></div></div>'
    )


def coloured(tokens: Sequence[Explanation], before: str = "") -> str:
    """A text by its tokens: the more surprising a token, the deeper its colour, and what else
    might have come where the pointer rests on it."""
    quiet = f'<span style="{QUIET}">{escape(before)}</span>' if before else ""
    return f'<div dir="auto" style="{TEXT}">{quiet}{"".join(map(_token, tokens))}</div>'


def legend() -> str:
    """What the colours of `coloured` mean."""
    steps = "".join(
        f'<span style="{_tint(2.0**-bits)};padding:0 .5em">{name}</span> '
        for bits, name in ((0, "sure"), (2, "1 in 4"), (4, "1 in 16"), (8, "1 in 256"))
    )
    return f'<div aria-hidden="true" style="font-size:.88em;margin-top:.4em">{steps}</div>'


def _token(token: Explanation) -> str:
    title = f"{token.token!r} {_chance(token.probability)}"
    if token.alternatives:
        others = " · ".join(f"{text!r} {_chance(chance)}" for text, chance in token.alternatives)
        title += f"\nlikeliest: {others}"
    # a line end has no width that could be coloured
    shown = escape(token.token).replace("\n", f'<span style="{QUIET}">↵</span>\n')
    return f'<span title="{escape(title)}" style="{_tint(token.probability)}">{shown}</span>'


def _tint(probability: float) -> str:
    bits = _MOST_BITS if probability <= 0 else min(math.log2(1 / probability), _MOST_BITS)
    return f"background:rgba(214,110,40,{0.75 * bits / _MOST_BITS:.2f});border-radius:.15em"


def _chance(probability: float) -> str:
    return f"{probability:.1%}" if probability >= 0.001 else f"{probability:.0e}"
