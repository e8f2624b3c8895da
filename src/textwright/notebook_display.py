"""How objects of the package look in a notebook.

Notebooks call `_repr_html_` of an object, and `_repr_pretty_` for the plain text (IPython's display
protocol). `textwright.notebook` makes the HTML and imports the classes that it shows, so these
can't import it: it is imported by name at the first call, as `textwright.__init__` does for all.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any


def html_of(value: object) -> str | None:
    """`value` as HTML; None, for which notebooks take the text, where it can't be shown."""
    room: Any = import_module("textwright.notebook")
    html: str | None = room.html_of(value)
    return html


def print_plain(value: object, printer: Any, cycle: bool) -> None:
    """Print the words of `value`'s HTML, for the prompt, and beside the HTML for where that is
    stripped; inside a list or the like its `repr`."""
    room: Any = import_module("textwright.notebook")
    html = None if cycle or len(printer.stack) > 1 else room.html_of(value)
    printer.text(repr(value) if html is None else room.plain(html))


def play(model: object) -> object:
    """The page with `model` inside, for a cell: see `textwright.notebook.playing`."""
    room: Any = import_module("textwright.notebook")
    return room.play(model)
