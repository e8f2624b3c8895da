"""PDF: files as programs write them, read as paragraphs, and refused where there is no text."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import pytest

from textwright.data import open_corpus, open_text
from textwright.errors import CorpusError

pypdf = pytest.importorskip("pypdf", reason="needs the documents extra")

PROSE = """I am already far north of London, and as I walk in the streets of
Petersburgh, I feel a cold northern breeze play upon my cheeks, which
braces my nerves and fills me with delight. Do you under-
stand this feeling?
This breeze, which has travelled from the regions towards which I am
advancing, gives me a foretaste of those icy climes. Inspirited by this
wind of promise, my well-known day dreams become more fervent and
vivid. I try in vain to be persuaded that the pole is the seat of well-
known frost and desolation; it ever presents itself to my imagina-
tion as the region of beauty and self-
content. You understand; imagination and content are of the self.""".splitlines()
ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth")
VERSE = ["Tyger, tyger, burning bright", "In the forests of the night,", "What hand", "Or eye"] * 4


def make_pdf(pages: Sequence[Sequence[str]]) -> bytes:
    """A PDF of pages of lines in Helvetica, its table of offsets and all."""
    objects = [b"<< /Type /Catalog /Pages 2 0 R >>", b""]
    objects.append(b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>")
    kids = []
    for lines in pages:
        shown = "".join(
            "({}) Tj T*\n".format(
                line.replace("\\", "\\\\").replace("(", "\\(").replace(")", "\\)")
            )
            for line in lines
        )
        stream = f"BT /F1 10 Tf 12 TL 50 780 Td\n{shown}ET".encode("latin-1")
        objects.append(b"<< /Length %d >>\nstream\n%s\nendstream" % (len(stream), stream))
        kids.append(len(objects) + 1)
        objects.append(
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents %d 0 R "
            b"/Resources << /Font << /F1 3 0 R >> >> >>" % len(objects)
        )
    listed = b" ".join(b"%d 0 R" % kid for kid in kids)
    objects[1] = b"<< /Type /Pages /Kids [%s] /Count %d >>" % (listed, len(kids))
    out = io.BytesIO(b"%PDF-1.4\n")
    out.seek(0, 2)
    offsets = []
    for number, content in enumerate(objects, start=1):
        offsets.append(out.tell())
        out.write(b"%d 0 obj\n%s\nendobj\n" % (number, content))
    start = out.tell()
    out.write(b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1))
    out.write(b"".join(b"%010d 00000 n \n" % offset for offset in offsets))
    out.write(b"trailer << /Size %d /Root 1 0 R >>\n" % (len(objects) + 1))
    out.write(b"startxref\n%d\n%%%%EOF\n" % start)
    return out.getvalue()


def save(path: Path, pages: Sequence[Sequence[str]]) -> str:
    path.write_bytes(make_pdf(pages))
    return str(path)


def test_lines_become_paragraphs_and_cut_words_whole(tmp_path: Path) -> None:
    paragraphs = open_text([save(tmp_path / "book.pdf", [PROSE])]).read().strip().split("\n\n")
    assert len(paragraphs) == 2
    first, second = paragraphs
    assert first.endswith("fills me with delight. Do you understand this feeling?")
    assert "the seat of well-known frost" in second  # elsewhere it has its hyphen
    assert "my imagination as the region" in second  # elsewhere it has none
    assert "beauty and self-content. You" in second  # neither, but two words that are there


def test_running_heads_and_page_numbers_are_taken_off(tmp_path: Path) -> None:
    pages = []
    for number, name in enumerate(["ash", "birch", "cedar", "elm", "fir"], start=1):
        body = [
            f"the {name} of which there is a line, as long as the {place}" for place in ORDINALS
        ]
        pages.append([f"{number}   THE BOOK", *body, f"- {number} -"])
    text = open_text([save(tmp_path / "book.pdf", pages)]).read()
    assert "THE BOOK" not in text and "- 2 -" not in text
    assert text.count("of which there is") == 5 * len(ORDINALS)
    two = open_text([save(tmp_path / "two.pdf", pages[:2])]).read()  # too few to tell
    assert two.count("THE BOOK") == 2


def test_verse_keeps_its_lines(tmp_path: Path) -> None:
    text = open_text([save(tmp_path / "tyger.pdf", [VERSE[:6], VERSE[6:]])]).read()
    assert text == "\n".join(VERSE) + "\n"


def test_a_pdf_that_forbids_printing_alone_is_read_and_one_with_a_password_refused(
    tmp_path: Path,
) -> None:
    pytest.importorskip("cryptography", reason="AES needs it")
    for user, name in (("", "open.pdf"), ("secret", "locked.pdf")):
        writer = pypdf.PdfWriter(clone_from=io.BytesIO(make_pdf([PROSE])))
        writer.encrypt(user, "owner", algorithm="AES-256")
        writer.write(tmp_path / name)
    assert "foretaste" in open_text([str(tmp_path / "open.pdf")]).read()
    with pytest.raises(CorpusError, match=r"locked\.pdf wants a password; save a copy without"):
        open_corpus([str(tmp_path / "locked.pdf")])


def test_what_has_no_text_says_so(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"scan\.pdf has no text, only pictures.*OCR"):
        open_corpus([save(tmp_path / "scan.pdf", [[], []])])
    corpus = open_corpus([save(tmp_path / "some.pdf", [PROSE, [], PROSE])])
    assert any("pages without text" in line and "page 2" in line for line in corpus.warnings)


@pytest.mark.parametrize("keep", [9, 200, 700])
def test_one_that_is_cut_short_is_one_line(tmp_path: Path, keep: int) -> None:
    path = tmp_path / "cut.pdf"
    path.write_bytes(make_pdf([PROSE])[:keep])
    with pytest.raises(CorpusError, match=r"cut\.pdf (is no readable PDF|has no text)") as error:
        open_corpus([str(path)])
    assert "\n" not in str(error.value)
    (tmp_path / "good.txt").write_text("Some text that is good. " * 20)
    corpus = open_corpus([str(tmp_path)])
    assert any(line.startswith("skipped") and "cut.pdf" in line for line in corpus.warnings)
