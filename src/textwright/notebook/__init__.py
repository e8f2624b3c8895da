"""How textwright looks in a notebook: Jupyter, Colab, Kaggle, VS Code.

`html_of` gives the HTML of a run, a text, probabilities, a conversation or a comparison;
`training` is the live display of a training, which alone needs torch, and `playing` puts the page
itself into a cell.

The HTML, but that of `playing`, is one fragment without scripts, style sheets or addresses. All
colours are translucent or the notebook's own (`currentColor`), so that one fragment serves light
and dark notebooks; where styles are stripped, as GitHub does, what remains is words and tables in
reading order. Every text is escaped.
"""

from __future__ import annotations

from textwright.notebook.plain import plain
from textwright.notebook.playing import play
from textwright.notebook.showing import html_of

__all__ = ["html_of", "plain", "play"]
