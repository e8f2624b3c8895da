"""Small real files of every kind that is read, and the damage that files suffer."""

from __future__ import annotations

import gzip
import io
import json
import random
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

WORDS = "It was a bright cold day in April, and the clocks were striking thirteen. “Née”, he said."
PARAGRAPHS = [f"{number}: {WORDS}" for number in range(12)]
TEXT = "\n".join(PARAGRAPHS) + "\n"

CONTAINER = """<?xml version="1.0"?>
<container version="1.0" xmlns="urn:oasis:names:tc:opendocument:xmlns:container">
<rootfiles><rootfile full-path="OEBPS/book.opf" media-type="application/oebps-package+xml"/>
</rootfiles></container>"""

PACKAGE = """<?xml version="1.0"?>
<package xmlns="http://www.idpf.org/2007/opf" version="3.0"><metadata/><manifest>
<item id="a" href="one.xhtml" media-type="application/xhtml+xml"/>
<item id="b" href="two.xhtml" media-type="application/xhtml+xml"/>
</manifest><spine><itemref idref="a"/><itemref idref="b"/></spine></package>"""

_LINE_ENDS = {"": "\n", "-cr": "\r", "-crlf": "\r\n"}


def page(text: str = TEXT) -> str:
    """An HTML page of `text`."""
    paragraphs = "".join(f"<p>{line}</p>" for line in text.splitlines())
    return f"<html><head><meta charset=utf-8></head><body>{paragraphs}</body></html>"


def zipped(members: dict[str, str | bytes]) -> bytes:
    """A ZIP archive, the same bytes each time."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
    return out.getvalue()


def tarred(members: dict[str, bytes]) -> bytes:
    """A tar archive."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return out.getvalue()


def epub(**changed: str | bytes | None) -> bytes:
    """An EPUB of two chapters; `container`, `package`, `one` and `two` replace its parts."""
    members: dict[str, str | bytes | None] = {
        "container": CONTAINER, "package": PACKAGE, "one": page(), "two": page(), **changed
    }  # fmt: skip
    names = {
        "container": "META-INF/container.xml",
        "package": "OEBPS/book.opf",
        "one": "OEBPS/one.xhtml",
        "two": "OEBPS/two.xhtml",
    }
    parts = {names[key]: content for key, content in members.items() if content is not None}
    return zipped({"mimetype": "application/epub+zip", **parts})


def _docx() -> bytes:
    import docx

    document = docx.Document()
    for paragraph in PARAGRAPHS:
        document.add_paragraph(paragraph)
    # Only what a reader needs: python-docx's template has 20 parts that no damage could tell
    out = io.BytesIO()
    document.save(out)
    return out.getvalue()


def _parquet() -> bytes:
    import pyarrow
    from pyarrow import parquet

    out = io.BytesIO()
    parquet.write_table(pyarrow.table({"id": [*range(12)], "text": PARAGRAPHS}), out)
    return out.getvalue()


def _conversations() -> list[dict[str, object]]:
    sides = ("user", "assistant", "user", "assistant")
    return [
        {"messages": [{"role": role, "content": f"{number} {WORDS}"} for role in sides]}
        for number in range(12)
    ]


FILES: dict[str, Callable[[], bytes]] = {
    "plain.txt": TEXT.encode,
    "latin.txt": lambda: TEXT.encode("cp1252"),
    "utf16.txt": lambda: TEXT.encode("utf-16"),
    "packed.txt.gz": lambda: gzip.compress(TEXT.encode(), mtime=0),
    "page.html": lambda: page().encode(),
    "book.epub": epub,
    "letter.docx": _docx,
    "table.parquet": _parquet,
    "lines.jsonl": lambda: "".join(
        json.dumps({"text": text}) + "\n" for text in PARAGRAPHS
    ).encode(),
    "list.json": lambda: json.dumps([{"text": text} for text in PARAGRAPHS], indent=1).encode(),
    "talk.jsonl": lambda: "".join(json.dumps(one) + "\n" for one in _conversations()).encode(),
    "talk.json": lambda: json.dumps(_conversations(), indent=1).encode(),
    "talk.txt": lambda: "\n\n".join(["Ann: Hello\nBob: Hi there\nAnn: Bye"] * 9).encode(),
    **{
        f"table{name}.csv": lambda end=end: end.join(
            ["id,text", *(f'{number},"{text}"' for number, text in enumerate(PARAGRAPHS)), ""]
        ).encode()
        for name, end in _LINE_ENDS.items()
    },
}
"""A small sound file of each kind, by name."""


def damaged(data: bytes, count: int, seed: int = 0) -> Iterator[bytes]:
    """`data` with one byte flipped, cut short, or a piece missing, doubled or of noise."""
    rng = random.Random(seed)
    for number in range(count):
        at = rng.randrange(len(data))
        length = rng.randrange(1, 1 + len(data) // 4)
        match number % 6:
            case 0 | 1:
                yield data[:at] + bytes([data[at] ^ (1 << rng.randrange(8))]) + data[at + 1 :]
            case 2:
                yield data[:at]
            case 3:
                yield data[:at] + data[at + length :]
            case 4:
                yield data[:at] + data[at : at + length] + data[at:]
            case 5:
                yield data[:at] + rng.randbytes(length) + data[at + length :]


def write_all(folder: Path) -> list[Path]:
    """Every sound file, in `folder`."""
    paths = []
    for name, make in FILES.items():
        paths.append(folder / name)
        paths[-1].write_bytes(make())
    return paths
