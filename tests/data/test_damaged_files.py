"""Damaged and garbled files of every kind: one line each, and never the loss of a folder."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import lzma
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

import hostile_files
import pytest
from hostile_files import FILES, TEXT, WORDS, damaged, epub, page, zipped

from textwright.data import open_corpus, open_text
from textwright.data.formats.conversations import SkippedRecords, parse_records
from textwright.data.formats.files import CONVERSATIONS, InspectedFile, SourceFile, inspect_file
from textwright.data.formats.pages import page_text
from textwright.data.formats.reading import conversation_records, read_text
from textwright.data.sources.cache import LargeFile
from textwright.data.text import _TextWriter
from textwright.errors import CorpusError

for package in ("docx", "lxml", "pyarrow"):
    pytest.importorskip(package, reason="needs the documents extra")


def read(name: str, data: bytes) -> str:
    """The text of a file's bytes; raises `CorpusError` alone."""
    file = inspect_file(SourceFile(name, name.removesuffix(".gz"), _opener(name, data)))
    if file.kind in CONVERSATIONS:
        return _conversations(file)
    return "".join(read_text(file))


def _opener(name: str, data: bytes) -> Callable[[], BinaryIO]:
    if name.endswith(".gz"):
        return lambda: io.BufferedReader(gzip.GzipFile(fileobj=io.BytesIO(data)))
    return lambda: io.BytesIO(data)


def _conversations(file: InspectedFile) -> str:
    records = parse_records(conversation_records(file), SkippedRecords("x", "line"))
    return " ".join(words for one in records for _, words in one)


def check(name: str, data: bytes) -> None:
    try:
        read(name, data)
    except CorpusError as error:
        assert "\n" not in str(error).strip() and name in str(error)


@pytest.mark.parametrize("name", FILES)
def test_a_damaged_file_is_one_line_or_text(name: str) -> None:
    data = FILES[name]()
    assert "clocks" in read(name, data) or "Hello" in read(name, data)
    for one in damaged(data, 12 if name.endswith(".docx") else 30):
        check(name, one)


@pytest.mark.slow
@pytest.mark.parametrize("name", FILES)
def test_damage_at_every_byte(name: str) -> None:
    data = FILES[name]()
    count = 25 if name.endswith(".docx") else 150  # whose library takes its time
    for at in range(0, len(data), max(1, len(data) // count)):
        check(name, data[:at])
        check(name, data[:at] + bytes([data[at] ^ 0x20]) + data[at + 1 :])
        check(name, data[:at] + b"\xff" + data[at + 1 :])
    for one in damaged(data, count, seed=1):
        check(name, one)


GARBLED = {
    "no-container.epub": epub(container=None),
    "empty-container.epub": epub(container=""),
    "garbled-container.epub": epub(container=b"\x00\xff<<<"),
    "no-package.epub": epub(package=None),
    "empty-package.epub": epub(package=""),
    "garbled-package.epub": epub(package=b"<package><spine>\xff\xfe"),
    "no-chapters.epub": epub(one=None, two=None),
    "entity.epub": epub(package="<!DOCTYPE x [<!ENTITY a 'b'>]>&a;"),
    "deep.html": ("<div>" * 20_000).encode(),
    "empty.docx": zipped({"word/document.xml": ""}),
    "rels.docx": zipped({"[Content_Types].xml": "<Types/>", "_rels/.rels": "<a>"}),
    "deep.json": b"[" * 100_000,
    "digits.json": b'{"text": ' + b"9" * 10_000 + b"}",
    "nul.csv": b"id,text\n1,a\x00b\n" * 9,
    "quote.csv": b'id,text\n1,"never closed\n' * 9,
    "wide.csv": b"text," * 100_000,
}
"""Sound containers of nonsense."""


@pytest.mark.parametrize("name", GARBLED)
def test_garbled_contents_are_one_line_or_text(name: str) -> None:
    check(name, GARBLED[name])


def test_a_folder_loses_only_what_is_damaged(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    for name, data in GARBLED.items():
        (folder / name).write_bytes(data)
    for name, make in FILES.items():
        if not name.startswith("talk"):
            for number, one in enumerate(damaged(make(), 3)):
                (folder / f"{number}-{name}").write_bytes(one)
    # Its second chapter is damaged: what was read of the first is taken back
    broken = epub(one=page("The first chapter is sound."), two=page(WORDS * 50))
    at = broken.rindex(b"OEBPS/two.xhtml", 0, broken.index(b"PK\x01\x02")) + 40
    (folder / "half.epub").write_bytes(broken[:at] + b"\xff\xff\xff" + broken[at + 3 :])
    (folder / "z.txt").write_text("The last file of the folder.\n")
    corpus = open_corpus([str(folder)])
    text = corpus.train.read() + corpus.validation.read()
    assert text.endswith("\n\nThe last file of the folder.\n")
    assert "The first chapter" not in text
    assert text.count("\n\n\n") == 0
    assert hashlib.sha256(corpus.train.path.read_bytes()).hexdigest() == corpus.train.sha256
    for origin in corpus.origins:
        assert text[: origin.characters].count("\n") == origin.lines, origin
    with pytest.raises(CorpusError, match=r"half\.epub"):
        open_corpus([str(folder / "half.epub")])
    again = open_corpus([str(folder)])
    assert (again.sha256, again.warnings) == (corpus.sha256, corpus.warnings)


def test_what_was_written_before_damage_was_met_is_taken_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("textwright.data.text._MARK_INTERVAL", 1)

    def broken() -> Iterator[str]:
        yield "This was\nwritten.\n"
        raise CorpusError("and here it is damaged")

    with LargeFile(tmp_path / "made.txt") as out:
        text = _TextWriter(out)
        text.append(0, iter(["Größe\n"]))
        with pytest.raises(CorpusError):
            text.append(1, broken())
        text.append(2, iter(["und ", "Maß\n"]))
    made = (tmp_path / "made.txt").read_bytes()
    assert made.decode() == "Größe\n\nund Maß\n"
    assert (text.size, text.sha256) == (len(made), hashlib.sha256(made).hexdigest())
    assert text.origins == [(0, 0, 0), (2, 7, 2)]
    for characters, offset in text.marks:
        assert len(made.decode()[:characters].encode()) == offset


def test_a_folder_of_conversations_loses_only_what_is_damaged(tmp_path: Path) -> None:
    lines = FILES["talk.jsonl"]().splitlines(keepends=True)
    (tmp_path / "a.jsonl").write_bytes(b"".join(lines[:6]))
    packed = gzip.compress(b"".join(lines[6:]), mtime=0)
    (tmp_path / "b.jsonl.gz").write_bytes(packed[:-20])
    alone = open_text([str(tmp_path / "a.jsonl")])
    both = open_text([str(tmp_path)])
    assert both.sha256 == alone.sha256


def test_a_table_with_carriage_returns_alone_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(FILES["table-cr.csv"]())
    assert open_text([str(tmp_path / "a.csv")]).read() == TEXT.strip().replace("\n", "\n\n")


def test_records_of_bytes_that_are_no_utf8(tmp_path: Path) -> None:
    import pyarrow
    from pyarrow import parquet

    good, bad = "It was a bright cold day.", b"caf\xe9 in April"
    table = pyarrow.table({"text": pyarrow.array([good.encode(), bad]).view(pyarrow.string())})
    parquet.write_table(table, tmp_path / "a.parquet")
    text = open_text([str(tmp_path / "a.parquet")]).read()
    assert text == f"{good}\n\ncaf\ufffd in April"


def test_what_is_missing_is_not_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that was skipped for want of a package is read once that is installed."""
    (tmp_path / "a.txt").write_text(WORDS)
    (tmp_path / "b.html").write_text(page("more words"))
    with monkeypatch.context() as without:
        without.setitem(sys.modules, "lxml.etree", None)
        corpus = open_corpus([str(tmp_path)])
    assert "pip install" in corpus.warnings[0]
    corpus = open_corpus([str(tmp_path)])
    assert "more words" in corpus.train.read() + corpus.validation.read()


def test_small_files_that_unpack_large_are_refused() -> None:
    many = "".join(f'<item id="c{n}" href="{n}.xhtml"/>' for n in range(40))
    spine = "".join(f'<itemref idref="c{n}"/>' for n in range(40))
    package = f"<package><manifest>{many}</manifest><spine>{spine}</spine></package>"
    large = "<html><body>" + "a" * (1 << 21)
    parts = {f"OEBPS/{n}.xhtml": large for n in range(40)}
    names = {"META-INF/container.xml": hostile_files.CONTAINER, "OEBPS/book.opf": package}
    with pytest.raises(CorpusError, match="unpacks to more than a book"):
        read("bomb.epub", zipped({**names, **parts}))
    # A few kilobytes that would be a library of pages
    with pytest.raises(CorpusError, match="unpacks to more than a book"):
        read("small.epub", epub(one="<p>" + "<br>" * 1_500_000))
    twice = hostile_files.PACKAGE.replace("</spine>", '<itemref idref="a"/>' * 9999 + "</spine>")
    assert read("again.epub", epub(package=twice)).count("10: It was") == 2


def test_many_tags_are_read_in_bounded_pieces() -> None:
    words = b"<p>x<br>" * 60_000
    assert read("tags.html", words) == "x\n\n" * 59_999 + "x\n"
    assert read("tags.epub", epub(one=words.decode())).startswith("x\n\nx\n\nx")
    deep = b"<div>" * 50_000 + b"words<pre>a<br>b</pre></body>and more"
    assert read("deep.html", deep) == "words\n\na\nb\n\nand more\n"
    pieces = list(page_text(io.BytesIO(b"<p>word" * 60_000), "utf-8"))
    assert max(map(len, pieces)) < 1 << 17  # between two Ctrl-C is heard


def test_the_encoding_of_a_page() -> None:
    body = "<p>Où est la bibliothèque déjà fermée?</p>"
    text = "Où est la bibliothèque déjà fermée?\n"
    for declared, encoding in (
        ("<meta charset=windows-1252>", "cp1252"),
        ('<?xml version="1.0" encoding="cp850"?>', "cp850"),
        ("", "cp1252"), ("", "utf-8-sig"), ("", "utf-16"),
        ("<meta charset=latin-1>", "utf-8"),  # what the bytes say is surer
        ("<meta charset=hex>", "utf-8"), ("<meta charset=none>", "cp1252"),
    ):  # fmt: skip
        assert read("a.html", (declared + body).encode(encoding)) == text, (declared, encoding)
    with pytest.raises(CorpusError, match="a picture"):
        read("a.html", b"\x89PNG\r\n\x1a\n" + bytes(range(256)))


def test_the_work_on_broken_json_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """In characters that were parsed, since a test of time depends on the machine."""
    from textwright.data.formats import json_fragments

    broken = '{"turns": [' + '{"a": {"b": [' * 20_000
    parsed = 0
    real = json_fragments.json.JSONDecoder.raw_decode

    def counting(self: object, text: str, start: int = 0) -> object:
        nonlocal parsed
        try:
            return real(self, text, start)  # type: ignore[arg-type]
        except json_fragments.json.JSONDecodeError as error:
            parsed += error.pos - start
            raise

    monkeypatch.setattr(json_fragments.json.JSONDecoder, "raw_decode", counting)
    for text in (broken, '{"turns": [' + '{"a": ' * 50 + "x" + '{"k": 1, ' * 20_000):
        parsed = 0
        reasons = [str(record) for _, record in json_fragments.find_conversations(text)]
        assert reasons and parsed < 30 * len(text) + (1 << 21)


@pytest.mark.parametrize(
    ("name", "pack"), [("a.txt.bz2", bz2.compress), ("a.txt.xz", lzma.compress)]
)
def test_packed_texts_are_read(tmp_path: Path, name: str, pack: Callable[[bytes], bytes]) -> None:
    for text in (TEXT, "Plain, as could lie where it is.\n" * 9):
        (tmp_path / name).write_bytes(pack(text.encode()))
        assert open_text([str(tmp_path / name)]).read() == text
        (tmp_path / name).write_bytes(text.encode())  # unpacked, by a browser
        assert open_text([str(tmp_path / name)]).read() == text
    for one in damaged(pack(TEXT.encode()), 30):
        (tmp_path / name).write_bytes(one)
        try:
            open_text([str(tmp_path / name)])
        except CorpusError as error:
            assert name in str(error) and "\n" not in str(error)


INSTEAD = {
    "a.odt": (zipped({"content.xml": "x"}), "save it as DOCX"),
    "a.rtf": (b"{\\rtf1 text}", "save it as text"),
    "a.xlsx": (zipped({"xl/workbook.xml": "x"}), "save it as CSV"),
    "a.tar.gz": (gzip.compress(hostile_files.tarred({"a.txt": b"words"})), "unpack it"),
    "a.tgz": (gzip.compress(b"x"), "a tar archive; unpack it"),
    "a.7z": (b"7z\xbc\xaf\x27\x1c" + bytes(50), "unpack it"),
    "a.db": (b"SQLite format 3\0" + bytes(50), "export its table as CSV"),
}


@pytest.mark.parametrize("name", INSTEAD)
def test_what_is_not_read_says_what_to_do(tmp_path: Path, name: str) -> None:
    data, remedy = INSTEAD[name]
    (tmp_path / name).write_bytes(data)
    with pytest.raises(CorpusError, match=remedy):
        open_text([str(tmp_path / name)])


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="no such device on this system")
def test_devices_without_end_are_refused() -> None:
    for device in ("/dev/zero", "/dev/urandom"):
        with pytest.raises(CorpusError, match=f"{device} gives"):
            open_text([device])
