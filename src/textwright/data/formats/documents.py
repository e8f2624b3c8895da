"""HTML, EPUB and DOCX as plain text. Needs the `documents` extra.

ZIP archives are read within fixed bounds: a few kilobytes that unpack to gigabytes are an error
instead of filling the memory.
"""

from __future__ import annotations

import importlib
import io
import posixpath
import zipfile
from collections.abc import Iterator
from types import ModuleType
from typing import Any, BinaryIO
from urllib.parse import unquote

from textwright.data.formats.pages import encoding_of_bytes, page_text
from textwright.errors import CorpusError, MissingPackageError

MAX_PAGE = 1 << 24
"""Bytes of one page or XML part of an archive: War and Peace as a single part has a fifth."""
MAX_PAGES = 1 << 26
"""Bytes of all pages and XML parts of an archive together, unpacked."""
MAX_BOOK = 1 << 28
"""Bytes of all parts of an archive, unpacked, with its pictures."""
_FREE, _MOST_TIMES = 1 << 22, 50
"""Pages that unpack to more than so many bytes may have so many times the archive's: prose packs to
a third, and a few kilobytes that become the pages of a library are none."""


def read_html(file: BinaryIO, label: str, encoding: str) -> Iterator[str]:
    """The text of an HTML page in pieces, as `pages.page_text` has it."""
    _import("lxml.etree", label)
    yield from page_text(file, encoding)


def read_epub(file: BinaryIO, label: str) -> Iterator[str]:
    """The chapters of an EPUB in reading order (its spine).

    Raises:
        CorpusError: it is damaged, copy-protected, or unpacks beyond all bounds.
        MissingPackageError: the `documents` extra isn't installed.
    """
    etree = _import("lxml.etree", label)
    parser = etree.XMLParser(resolve_entities=False, no_network=True, recover=True)
    with _archive(file, label, "EPUB") as archive:
        container = _parse(_member(archive, "META-INF/container.xml", label), parser, label)
        paths = container.xpath("//*[local-name()='rootfile']/@full-path")
        if not paths:
            raise _damaged(label, "EPUB")
        package = _parse(_member(archive, paths[0], label), parser, label)
        folder = posixpath.dirname(paths[0])
        items = {
            item.get("id"): posixpath.normpath(posixpath.join(folder, unquote(item.get("href"))))
            for item in package.xpath("//*[local-name()='manifest']/*[local-name()='item']")
            if item.get("href") and "nav" not in (item.get("properties") or "").split()
        }
        spine = package.xpath("//*[local-name()='spine']/*[local-name()='itemref']/@idref")
        # A chapter that is listed twice is read once
        chapters = list(dict.fromkeys(items[ref] for ref in spine if ref in items))
        _check_unprotected(archive, set(chapters), parser, label)
        members = set(archive.namelist())
        if not any(chapter in members for chapter in chapters):
            raise _damaged(label, "EPUB")
        gap = ""
        for chapter in chapters:
            if chapter in members:
                page = _member(archive, chapter, label)
                text = "".join(page_text(io.BytesIO(page), encoding_of_bytes(page))).strip()
                if text:
                    yield f"{gap}{text}\n"
                    gap = "\n"


def read_docx(file: BinaryIO, label: str) -> Iterator[str]:
    """The paragraphs of a DOCX, a line each, as Word saves plain text.

    Tables and text boxes are read in place, tracked insertions kept, deletions left out.

    Raises:
        CorpusError: it is damaged or unpacks beyond all bounds.
        MissingPackageError: the `documents` extra isn't installed.
    """
    docx = _import("docx", label)
    with _archive(file, label, "DOCX"):
        file.seek(0)
        try:
            body = docx.Document(file).element.body
        except (KeyError, ValueError, AttributeError, SyntaxError, OSError) as error:
            raise _damaged(label, "DOCX") from error
    for paragraph in body.iter(_WORD + "p"):
        if not any(parent.tag in _HIDDEN for parent in paragraph.iterancestors()):
            yield "".join(_runs(paragraph)) + "\n"


_WORD = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_HIDDEN = {
    _WORD + "del",
    _WORD + "moveFrom",
    "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback",  # repeats its Choice
}


def _runs(node: Any) -> Iterator[str]:
    """The text of one paragraph; paragraphs inside it (text boxes) are read separately."""
    for child in node:
        if child.tag == _WORD + "t":
            yield child.text or ""
        elif child.tag == _WORD + "tab":
            if node.tag == _WORD + "r":  # elsewhere it is a tab stop of the layout
                yield "\t"
        elif child.tag in (_WORD + "br", _WORD + "cr"):
            yield "\n"
        elif child.tag == _WORD + "noBreakHyphen":
            yield "-"
        elif child.tag not in _HIDDEN and child.tag != _WORD + "p":
            yield from _runs(child)


def check_packages(kind: str, label: str) -> None:
    """Raise `MissingPackageError` unless what reads files of this kind is installed."""
    packages = {"docx": ("docx",), "parquet": ("pyarrow",), "pdf": ("pypdf",)}
    for name in packages.get(kind, ("lxml.etree",)):
        _import(name, label)


def _import(name: str, label: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise MissingPackageError(
            f'reading {label} needs an extra; pip install "textwright[documents]"'
        ) from error


def _archive(file: BinaryIO, label: str, kind: str) -> zipfile.ZipFile:
    """The ZIP archive `file`, a `kind` of book, its parts within `MAX_PAGE` and `MAX_BOOK`.

    The declared sizes bound what is read: zipfile never returns more of a part than it declares.
    """
    try:
        archive = zipfile.ZipFile(file)
    except (zipfile.BadZipFile, OSError, ValueError) as error:
        raise _damaged(label, kind) from error
    marked_up = (".xml", ".xhtml", ".html", ".htm", ".opf", ".rels")
    packed = sum(part.compress_size for part in archive.infolist())
    parts = [part for part in archive.infolist() if part.filename.lower().endswith(marked_up)]
    if (largest := max((part.file_size for part in parts), default=0)) > MAX_PAGE:
        archive.close()
        raise CorpusError(
            f"{label} has {largest / (1 << 20):,.0f} MB of text with its mark-up in one part, and "
            f"{MAX_PAGE >> 20} MB are read; save it as plain text, or in several files"
        )
    if (
        sum(part.file_size for part in parts) > min(MAX_PAGES, _FREE + _MOST_TIMES * packed)
        or sum(part.file_size for part in archive.infolist()) > MAX_BOOK
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


def _parse(data: bytes, parser: Any, label: str) -> Any:
    """The root of an EPUB's XML file."""
    etree = _import("lxml.etree", label)
    try:
        root = etree.fromstring(data, parser)
    except (etree.XMLSyntaxError, ValueError):
        root = None
    if root is None:  # nothing that lxml could recover
        raise _damaged(label, "EPUB")
    return root


def _bounded(file: BinaryIO, label: str) -> bytes:
    data = file.read(MAX_PAGE + 1)
    if len(data) > MAX_PAGE:
        raise CorpusError(f"{label} is too large for one page; save it as plain text")
    return data


def _check_unprotected(
    archive: zipfile.ZipFile, chapters: set[str], parser: Any, label: str
) -> None:
    """Raise `CorpusError` where a chapter is encrypted; fonts often are, without protection."""
    if "META-INF/encryption.xml" not in archive.namelist():
        return
    listing = _parse(_member(archive, "META-INF/encryption.xml", label), parser, label)
    for address in listing.xpath("//*[local-name()='CipherReference']/@URI"):
        if posixpath.normpath(unquote(address)) in chapters:
            raise CorpusError(f"{label} is copy-protected; only an unprotected EPUB can be read")


def _damaged(label: str, kind: str) -> CorpusError:
    return CorpusError(
        f"{label} is no readable {kind}; it is damaged, or of another format; "
        "save it again, or as plain text"
    )
