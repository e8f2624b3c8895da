"""How objects of the package look in a notebook.

Notebooks ask an object for `_repr_html_` (IPython's display protocol). What a run or a text looks
like there is the subject of the room `notebook`, which stands above the classes that are shown: so
it is found by name, when a notebook first asks, as the package's front door finds everything.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any


def html_of(value: object) -> str | None:
    """`value` as HTML; None, for which notebooks take `repr`, where it can't be shown."""
    room: Any = import_module("textwright.notebook")
    html: str | None = room.html_of(value)
    return html


def play(model: object) -> object:
    """The page with `model` inside, for a cell: see `textwright.notebook.playing`."""
    room: Any = import_module("textwright.notebook")
    return room.play(model)
