"""Novelists' files as plain text: HTML, EPUB, DOCX. Needs the `documents` extra.

Formats that are ZIP archives are read within fixed bounds, so a few kilobytes that unpack to
gigabytes are an error and not a full memory.
"""

from __future__ import annotations

import importlib
import posixpath
import re
import warnings
import zipfile
from collections.abc import Iterator
from types import ModuleType
from typing import Any, BinaryIO
from urllib.parse import unquote

from textwright.errors import CorpusError, MissingPackageError

LARGEST_PAGE = 1 << 25
"""Bytes of one HTML page or one XML part: War and Peace as a single part has a tenth."""
LARGEST_BOOK = 1 << 28
"""Bytes of all parts of a book together."""

_SKIPPED = {"head", "script", "style", "template", "noscript", "svg", "math", "rt", "rp", "nav"}
_BLOCKS = {
    "address", "article", "aside", "blockquote", "body", "caption", "center", "dd", "details",
    "div", "dl", "dt", "fieldset", "figcaption", "figure", "footer", "form", "h1", "h2", "h3",
    "h4", "h5", "h6", "header", "hr", "html", "li", "main", "ol", "p", "pre", "section",
    "summary", "table", "tbody", "tfoot", "thead", "title", "tr", "ul",
}  # fmt: skip
_PARAGRAPHS = {"p", "h1", "h2", "h3", "h4", "h5", "h6", "blockquote", "pre", "hr", "table"}
_SPACES = re.compile(r"[ \t\n\r\f\u00a0]+")


def read_html(file: BinaryIO, label: str) -> Iterator[str]:
    """The text of an HTML page: paragraphs apart by a blank line, other blocks by a line end."""
    yield html_text(_bounded(file, label), label)


def html_text(page: bytes, label: str) -> str:
    """Text of a page of (X)HTML; the encoding is what it declares, or is detected."""
    bs4 = _import("bs4", label)
    _import("lxml", label)
    with warnings.catch_warnings():  # XHTML read as HTML is what is wanted here
        warnings.simplefilter("ignore", bs4.XMLParsedAsHTMLWarning)
        soup = bs4.BeautifulSoup(page, "lxml")
    layout = _Layout()
    try:
        _walk(soup.body or soup, layout, bs4.NavigableString)
    except RecursionError:
        raise CorpusError(f"{label} is nested too deeply; save it as plain text") from None
    return "".join(layout.pieces).replace("\u00ad", "") + "\n"  # soft hyphens are layout


class _Layout:
    """Text as it gathers: white space shows only once something follows it, breaks go first."""

    def __init__(self) -> None:
        self.pieces: list[str] = []
        self._space = False
        self._breaks = 0

    def add(self, text: str) -> None:
        text = _SPACES.sub(" ", text)
        words = text.strip(" ")
        self._space = self._space or text.startswith(" ")
        if words:
            self.add_as_it_is(words)
            self._space = text.endswith(" ")

    def add_as_it_is(self, text: str) -> None:
        if self.pieces:
            self.pieces.append("\n" * self._breaks or " " * self._space)
        self.pieces.append(text)
        self._space, self._breaks = False, 0

    def line(self) -> None:
        self._breaks = min(self._breaks + 1, 2)

    def gap(self, breaks: int) -> None:
        self._breaks = max(self._breaks, breaks)


def _walk(node: Any, layout: _Layout, text_type: type) -> None:
    for child in node.children:
        name = getattr(child, "name", None)
        if type(child) is text_type:  # comments and declarations are of subclasses
            layout.add(str(child))
        elif name == "br":
            layout.line()
        elif name is not None and name not in _SKIPPED:
            breaks = 2 if name in _PARAGRAPHS else 1 if name in _BLOCKS else 0
            layout.gap(breaks)
            if name == "pre":
                layout.add_as_it_is(child.get_text().strip("\n"))
            else:
                _walk(child, layout, text_type)
            layout.gap(breaks)
            if name in ("td", "th"):
                layout.add(" ")


def read_epub(file: BinaryIO, label: str) -> Iterator[str]:
    """The chapters of an EPUB in reading order (its spine).

    Raises:
        CorpusError: it is damaged, copy-protected, or unpacks beyond all bounds.
        MissingPackageError: the `documents` extra isn't installed.
    """
    etree = _import("lxml.etree", label)
    _import("bs4", label)
    parser = etree.XMLParser(resolve_entities=False, no_network=True, recover=True)
    with _archive(file, label) as archive:
        container = etree.fromstring(_member(archive, "META-INF/container.xml", label), parser)
        paths = container.xpath("//*[local-name()='rootfile']/@full-path")
        if not paths:
            raise _damaged(label, "EPUB")
        package = etree.fromstring(_member(archive, paths[0], label), parser)
        folder = posixpath.dirname(paths[0])
        items = {
            item.get("id"): posixpath.normpath(posixpath.join(folder, unquote(item.get("href"))))
            for item in package.xpath("//*[local-name()='manifest']/*[local-name()='item']")
            if item.get("href") and "nav" not in (item.get("properties") or "").split()
        }
        spine = package.xpath("//*[local-name()='spine']/*[local-name()='itemref']/@idref")
        chapters = [items[reference] for reference in spine if reference in items]
        _refuse_protected(archive, set(chapters), parser, label)
        members = set(archive.namelist())
        if not any(chapter in members for chapter in chapters):
            raise _damaged(label, "EPUB")
        gap = ""
        for chapter in chapters:
            if chapter in members:
                text = html_text(_member(archive, chapter, label), label).strip()
                if text:
                    yield f"{gap}{text}\n"
                    gap = "\n"


def read_docx(file: BinaryIO, label: str) -> Iterator[str]:
    """The paragraphs of a DOCX, a line each, as Word saves plain text.

    Tables and text boxes are read where they stand, tracked insertions are in, deletions out.

    Raises:
        CorpusError: it is damaged or unpacks beyond all bounds.
        MissingPackageError: the `documents` extra isn't installed.
    """
    docx = _import("docx", label)
    with _archive(file, label):
        file.seek(0)
        try:
            body = docx.Document(file).element.body
        except (KeyError, ValueError, AttributeError, SyntaxError, OSError) as error:
            raise _damaged(label, "DOCX") from error
    for paragraph in body.iter(_word("p")):
        if not any(parent.tag in _HIDDEN for parent in paragraph.iterancestors()):
            yield "".join(_runs(paragraph)) + "\n"


def _word(name: str) -> str:
    return "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}" + name


_HIDDEN = {
    _word("del"),
    _word("moveFrom"),
    "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback",  # repeats its Choice
}


def _runs(node: Any) -> Iterator[str]:
    """The text of one paragraph; a paragraph inside it (a text box) speaks for itself."""
    for child in node:
        if child.tag == _word("t"):
            yield child.text or ""
        elif child.tag == _word("tab"):
            if node.tag == _word("r"):  # elsewhere it is a tab stop of the layout
                yield "\t"
        elif child.tag in (_word("br"), _word("cr")):
            yield "\n"
        elif child.tag == _word("noBreakHyphen"):
            yield "-"
        elif child.tag not in _HIDDEN and child.tag != _word("p"):
            yield from _runs(child)


def _import(name: str, label: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise MissingPackageError(
            f'reading {label} needs an extra; pip install "textwright[documents]"'
        ) from error


def _archive(file: BinaryIO, label: str) -> zipfile.ZipFile:
    """The ZIP archive `file`, if its parts are of a size that a book has.

    The declared sizes bound what is read: zipfile never gives more of a part than it declares.
    """
    try:
        archive = zipfile.ZipFile(file)
    except (zipfile.BadZipFile, OSError, ValueError) as error:
        raise _damaged(label, "ZIP archive") from error
    marked_up = (".xml", ".xhtml", ".html", ".htm", ".opf", ".rels")
    parts = [part for part in archive.infolist() if part.filename.lower().endswith(marked_up)]
    if any(part.file_size > LARGEST_PAGE for part in parts) or (
        sum(part.file_size for part in archive.infolist()) > LARGEST_BOOK
    ):
        archive.close()
        raise CorpusError(f"{label} unpacks to more than a book can be; save it as plain text")
    return archive


def _member(archive: zipfile.ZipFile, name: str, label: str) -> bytes:
    try:
        with archive.open(name) as part:
            return _bounded(part, label)  # type: ignore[arg-type]
    except (KeyError, zipfile.BadZipFile, OSError, RuntimeError, NotImplementedError, EOFError):
        raise _damaged(label, "EPUB") from None


def _bounded(file: BinaryIO, label: str) -> bytes:
    data = file.read(LARGEST_PAGE + 1)
    if len(data) > LARGEST_PAGE:
        raise CorpusError(f"{label} is too large for one page; save it as plain text")
    return data


def _refuse_protected(
    archive: zipfile.ZipFile, chapters: set[str], parser: Any, label: str
) -> None:
    """Fonts may be scrambled; a chapter that is has copy protection."""
    if "META-INF/encryption.xml" not in archive.namelist():
        return
    etree = _import("lxml.etree", label)
    listing = etree.fromstring(_member(archive, "META-INF/encryption.xml", label), parser)
    for address in listing.xpath("//*[local-name()='CipherReference']/@URI"):
        if posixpath.normpath(unquote(address)) in chapters:
            raise CorpusError(f"{label} is copy-protected; only an unprotected EPUB can be read")


def _damaged(label: str, kind: str) -> CorpusError:
    return CorpusError(f"{label} is no readable {kind}; it is damaged or of another format")
