"""EPUB, DOCX and HTML: real files made by the test, read in order, within bounds."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from textwright.data import open_corpus, open_text
from textwright.errors import CorpusError

docx = pytest.importorskip("docx", reason="needs the documents extra")
pytest.importorskip("lxml", reason="needs the documents extra")

CONTAINER = """<?xml version="1.0"?>
<container version="1.0" xmlns="urn:oasis:names:tc:opendocument:xmlns:container">
<rootfiles><rootfile full-path="OEBPS/book.opf" media-type="application/oebps-package+xml"/>
</rootfiles></container>"""

PACKAGE = """<?xml version="1.0"?>
<package xmlns="http://www.idpf.org/2007/opf" version="3.0"><metadata/>
<manifest>
<item id="b" href="text/chapter%20two.xhtml" media-type="application/xhtml+xml"/>
<item id="n" href="nav.xhtml" properties="nav" media-type="application/xhtml+xml"/>
<item id="a" href="text/one.xhtml" media-type="application/xhtml+xml"/>
</manifest>
<spine><itemref idref="n"/><itemref idref="a"/><itemref idref="b"/></spine></package>"""

PAGE = """<?xml version="1.0" encoding="utf-8"?>
<html xmlns="http://www.w3.org/1999/xhtml"><head><title>Not text</title><style>p {{}}</style></head>
<body><h1>{title}</h1><p>{text}</p></body></html>"""


def make_epub(path: Path, extra: dict[str, str] | None = None) -> Path:
    members = {
        "mimetype": "application/epub+zip",
        "META-INF/container.xml": CONTAINER,
        "OEBPS/book.opf": PACKAGE,
        "OEBPS/nav.xhtml": PAGE.format(title="Contents", text="Chapter links"),
        "OEBPS/text/chapter two.xhtml": PAGE.format(title="Two", text="The <em>second</em> café."),
        "OEBPS/text/one.xhtml": PAGE.format(title="One", text="It was\n  the  first.<br/>Again."),
        **(extra or {}),
    }
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in members.items():
            archive.writestr(name, text)
    return path


def test_epub_in_the_order_of_its_spine(tmp_path: Path) -> None:
    text = open_text([str(make_epub(tmp_path / "book.epub"))]).read()
    assert text == "One\n\nIt was the first.\nAgain.\n\nTwo\n\nThe second café.\n"


def test_docx_with_tables_and_tracked_changes(tmp_path: Path) -> None:
    document = docx.Document()
    document.add_heading("A Title")
    paragraph = document.add_paragraph("Kept, ")
    paragraph.add_run("emphasised").bold = True
    paragraph.add_run("\tand tabbed — “quoted” 👍🏽.")
    table = document.add_table(rows=1, cols=2)
    table.rows[0].cells[0].text, table.rows[0].cells[1].text = "left", "right"
    changed = document.add_paragraph("before ")
    for tag, word in (("ins", "inserted"), ("del", "deleted"), ("moveFrom", "moved")):
        run = changed.add_run(word)._r
        parent = run.makeelement(run.tag.replace("}r", "}" + tag), {})
        run.addprevious(parent)
        parent.append(run)
    document.add_paragraph("The end.")
    path = tmp_path / "novel.docx"
    document.save(str(path))
    assert open_text([str(path)]).read().split("\n") == [
        "A Title",
        "Kept, emphasised\tand tabbed — “quoted” 👍🏽.",
        "left",
        "right",
        "before inserted",
        "The end.",
        "",
    ]
    corpus = open_corpus([str(path)])
    assert corpus.name == "novel" and corpus.sources[0].encoding == ""


HTML = """<!DOCTYPE html><html><head><meta charset="windows-1252"><title>T</title>
<script>var no = 1;</script></head><body><!-- no -->
<h1>Head</h1>
<p>One <b>bold</b>&nbsp;word,
and&shy;so on.</p><p>caf\xe9 &amp; bar</p>
<ul><li>first</li><li>second</li></ul>
<pre>
  kept   as
    it is
</pre><div>a<div>b</div>c</div><table><tr><td>x</td><td>y</td></tr></table>
</body></html>"""


def test_of_html_the_text_is_read(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_bytes(HTML.encode("cp1252"))
    assert open_text([str(page)]).read() == (
        "Head\n\nOne bold word, andso on.\n\ncafé & bar\n\nfirst\nsecond\n\n"
        "  kept   as\n    it is\n\na\nb\nc\n\nx y\n"
    )


def test_a_zip_bomb_is_refused(tmp_path: Path) -> None:
    huge = "<html><body>" + "a" * (1 << 26)
    epub = make_epub(tmp_path / "bomb.epub", {"OEBPS/text/one.xhtml": huge})
    assert epub.stat().st_size < 100_000
    word = tmp_path / "bomb.docx"
    with zipfile.ZipFile(word, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("word/document.xml", huge)
    for file in (epub, word):
        with pytest.raises(CorpusError, match="MB of text with its mark-up in one part"):
            open_corpus([str(file)])


def test_an_entity_bomb_is_refused(tmp_path: Path) -> None:
    levels = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 12))
    bomb = f'<?xml version="1.0"?><!DOCTYPE p [<!ENTITY e0 "ha">{levels}]>' + PACKAGE[21:].replace(
        "<metadata/>", "<metadata>&e11;</metadata>"
    )
    epub = make_epub(tmp_path / "bomb.epub", {"OEBPS/book.opf": bomb})
    with pytest.raises(CorpusError, match="no readable EPUB"):
        open_text([str(epub)])


def test_protected_and_damaged(tmp_path: Path) -> None:
    folder = tmp_path / "books"
    folder.mkdir()
    listing = '<encryption><CipherReference URI="OEBPS/text/one.xhtml"/></encryption>'
    protected = make_epub(folder / "bought.epub", {"META-INF/encryption.xml": listing})
    with pytest.raises(CorpusError, match="copy-protected"):
        open_corpus([str(protected)])
    for name in ("cut.epub", "cut.docx"):
        cut = folder / name
        cut.write_bytes(protected.read_bytes()[:300])
        with pytest.raises(CorpusError, match="no readable"):
            open_corpus([str(cut)])
    # A folder is read all the same, and says what it went without.
    (folder / "fine.txt").write_text("some words " * 20)
    corpus = open_corpus([str(folder)])
    assert [source.address for source in corpus.sources] == [str(folder / "fine.txt")]
    assert sum("bought.epub" in warning for warning in corpus.warnings) == 1
    again = open_corpus([str(folder)])
    assert again.warnings == corpus.warnings


def test_without_the_extra_it_names_the_extra(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text(HTML)
    code = (
        "import sys; sys.modules['lxml.etree'] = None\n"
        "from textwright.data import open_corpus; from textwright.errors import *\n"
        "try: open_corpus([sys.argv[1]])\n"
        "except MissingPackageError as error: print(error)"
    )
    command = [sys.executable, "-c", code, str(page)]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "textwright[documents]" in result.stdout and str(page) in result.stdout
