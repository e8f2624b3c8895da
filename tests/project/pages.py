"""The project's own pages, and what stands in them: fenced blocks, command lines, links."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

PAGES = sorted(
    [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "benchmarks").rglob("*.md")]
)


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    page: Path
    line: int
    language: str
    text: str

    @property
    def place(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks(page: Path) -> list[Block]:
    """Every fenced block of `page`, in order."""
    found: list[Block] = []
    language: str | None = None
    begin, lines = 0, list[str]()
    for number, line in enumerate(page.read_text(encoding="utf-8").split("\n"), 1):
        fence = re.fullmatch(r"```(\w*)", line.strip())
        if fence is None:
            lines.append(line)
        elif language is None:
            language, begin, lines = fence[1], number + 1, []
        else:
            found.append(Block(page, begin, language, "\n".join(lines) + "\n"))
            language = None
    assert language is None, f"{page}:{begin - 1}: this block never ends"
    return found


def prose(page: Path) -> str:
    """`page` without its fenced blocks and comments."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    return re.sub(r"<!--.*?-->", "", text, flags=re.S)


def command_lines(page: Path) -> list[str]:
    """Every line that begins with `textwright`, in fenced and in indented blocks."""
    fenced = [line for block in blocks(page) for line in block.text.split("\n")]
    indented = re.findall(r"^ {4}(\S.*)$", prose(page), flags=re.M)
    return [line for line in [*fenced, *indented] if line.startswith("textwright ")]


def section(page: Path, title: str) -> str:
    """The text below a heading, down to the next of the same level."""
    text = page.read_text(encoding="utf-8")
    found = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", text, flags=re.M | re.S)
    assert found, f"{page.name} has no section {title!r}"
    return found[1]


def first_column(text: str) -> list[str]:
    """What stands in backticks in the first column of the tables of `text`."""
    cells = re.findall(r"^\| (`[^|]*`) \|", text, flags=re.M)
    return [name for cell in cells for name in re.findall(r"`([^`]+)`", cell)]
