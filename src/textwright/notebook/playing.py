"""The page itself in a cell: the offline file in a frame, so that branches and neurons work.

It is the one thing here with a style sheet, of two rules, so that it is dark where the notebook is.
"""

from __future__ import annotations

from html import escape

from textwright.errors import RequestError
from textwright.generation.generator import Generator
from textwright.page import offline_page
from textwright.runs import Run

HEIGHT = 720
"""Of the frame, in pixels of CSS."""
_DARK = "[data-jp-theme-light=false],[theme=dark],.vscode-dark,.vscode-high-contrast"
_LIGHT = "[data-jp-theme-light=true],[theme=light],.vscode-light,.vscode-high-contrast-light"
"""What JupyterLab, Colab and VS Code mark their themes with; elsewhere it is the system's."""
_THEME = (
    f":is({_DARK}) .textwright-page{{color-scheme:dark}}"
    f":is({_LIGHT}) .textwright-page{{color-scheme:light}}"  # a contrast that is light is both
)
"""Browsers tell a page in a frame to take the frame's colour scheme."""


class Frame:
    """A page in a frame of its own, apart from the notebook; `repr` names it."""

    def __init__(self, page: str, name: str) -> None:
        """
        Args:
            page: the text of an HTML file.
            name: of the model in it.
        """
        self.page, self.name = page, name

    def _repr_html_(self) -> str:
        # Without `allow-same-origin` the page sees nothing of the notebook's cookies and storage
        return (
            f"<style>{_THEME}</style>"
            f'<iframe class="textwright-page" title="{escape(self.name)}" '
            'sandbox="allow-scripts allow-downloads" '
            f'style="width:100%;height:{HEIGHT}px;border:1px solid rgba(128,120,110,.35);'
            f'border-radius:.5em" srcdoc="{escape(self.page)}"></iframe>'
        )

    def __repr__(self) -> str:
        return f"the page with {self.name} inside; a notebook shows it"


def play(model: Generator | Run) -> Frame:
    """The page with a model inside, to be shown in a cell.

    Raises:
        RequestError: the model's folder is not known, or the page can't run its family.
        RunError: a file of the folder is damaged.
    """
    run = model if isinstance(model, Run) else model.run
    if run is None:
        raise RequestError("this generator was made without a folder; textwright.load(…) knows one")
    return Frame(offline_page(run), run.name if isinstance(model, Run) else model.name)
