"""What a front end without HTML shows: the words of the HTML, tables in columns, no drawing.

What only explains colours is `aria-hidden` there, and isn't here.
"""

from __future__ import annotations

from html.parser import HTMLParser


def plain(html: str) -> str:
    """The words of a fragment, a block a line."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    return "".join(reader.parts).strip("\n")


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.parts: list[str] = []
        self._rows: list[list[str]] | None = None
        """Of the table that is open."""
        self._hidden: list[str] = []
        """The tags that are open inside what is left out, which is the first."""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if self._hidden or tag == "svg" or ("aria-hidden", "true") in attrs:
            self._hidden.append(tag)
        elif tag == "table":
            self._rows = []
        elif tag == "tr" and self._rows is not None:
            self._rows.append([])
        elif tag in ("td", "th") and self._rows is not None:
            self._rows[-1].append("")
        elif tag == "div":
            self._end_line()

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        pass  # of drawings

    def handle_endtag(self, tag: str) -> None:
        if self._hidden:
            self._hidden.pop()
        elif tag == "table" and self._rows is not None:
            self._end_line()
            widths = [max(map(len, column)) for column in zip(*self._rows, strict=True)]
            for row in self._rows:
                cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
                self.parts.append("  ".join(cells).rstrip() + "\n")
            self._rows = None
        elif tag == "div":
            self._end_line()

    def handle_data(self, data: str) -> None:
        if self._hidden:
            return
        if self._rows is None:
            self.parts.append(data)
        elif self._rows and self._rows[-1]:
            self._rows[-1][-1] += data

    def _end_line(self) -> None:
        if self.parts and not self.parts[-1].endswith("\n"):
            self.parts.append("\n")
