"""Project Gutenberg's header and licence, old and new; and texts that only mention it."""

from __future__ import annotations

from pathlib import Path

import pytest

from textwright.data import open_corpus, open_text
from textwright.data.formats.gutenberg import WINDOW, strip_boilerplate

BODY = "CHAPTER I\n\nIt was the best of times.\n\n" + "A line of the book.\n" * 50 + "\nTHE END"

OLD = """Project Gutenberg's A Book, by Somebody

This eBook is for the use of anyone anywhere at no cost and with
almost no restrictions whatsoever.

Title: A Book

*** START OF THIS PROJECT GUTENBERG EBOOK A BOOK ***




Produced by Some Volunteers,
and others.


{body}




End of the Project Gutenberg EBook of A Book, by Somebody

*** END OF THIS PROJECT GUTENBERG EBOOK A BOOK ***

***** This file should be named 84-0.txt or 84-0.zip *****

*** START: FULL LICENSE ***

THE FULL PROJECT GUTENBERG LICENSE
"""

NEW = """The Project Gutenberg eBook of A Book

Title: A Book

Release date: June 1, 1998 [eBook #84]

*** START OF THE PROJECT GUTENBERG EBOOK A BOOK WITH A TITLE SO LONG THAT IT
TAKES TWO LINES ***

{body}

*** END OF THE PROJECT GUTENBERG EBOOK A BOOK WITH A TITLE SO LONG THAT IT
TAKES TWO LINES ***

START: FULL LICENSE

THE FULL PROJECT GUTENBERG LICENSE
"""

OLDEST = """***The Project Gutenberg Etext of A Book***

*** START**THE SMALL PRINT!**FOR PUBLIC DOMAIN ETEXTS**START***
Why is this "Small Print!" statement here?
*END THE SMALL PRINT! FOR PUBLIC DOMAIN ETEXTS*Ver.04.29.93*END*

{body}

End of the Project Gutenberg Etext of A Book
"""


def stripped(text: str, size: int = 1000) -> str:
    pieces = (text[start : start + size] for start in range(0, len(text), size))
    return "".join(strip_boilerplate(pieces))


@pytest.mark.parametrize("form", [OLD, NEW, OLDEST])
@pytest.mark.parametrize("length", [1, 400])
def test_header_and_licence_go(form: str, length: int) -> None:
    body = "\n\n".join([BODY] * length)
    assert stripped(form.format(body=body)) == body + "\n"
    assert (len(body) > 2 * WINDOW) == (length > 1)  # whole in the window, and far beyond it


def test_licence_without_header() -> None:
    text = OLD.format(body=BODY)
    assert stripped(text[text.index("CHAPTER") :]) == BODY + "\n"


@pytest.mark.parametrize(
    "text",
    [
        "An essay.\n\nProject Gutenberg began in 1971.\n\nAnd so it ends.\n",
        "An essay about markers.\n\n*** START OF THIS PROJECT GUTENBERG EBOOK X ***\n\nis one. "
        "Another is\n\n*** END OF THIS PROJECT GUTENBERG EBOOK X ***\n\nThat was all.\n",
        "End of the Project Gutenberg era? Not yet.\n\nThe rest of the article.\n" + BODY,
        BODY + "\n*** START: FULL LICENSE ***\n" + BODY,
    ],
)
def test_text_that_mentions_it_is_left_alone(text: str) -> None:
    assert stripped(text) == text


def test_files_with_a_mark_and_crlf(tmp_path: Path) -> None:
    file = tmp_path / "84-0.txt"
    file.write_bytes(OLD.format(body=BODY).replace("\n", "\r\n").encode("utf-8-sig"))
    assert open_text([str(file)]).read() == BODY + "\n"


@pytest.mark.parametrize(
    ("name", "first", "last", "characters"),
    [
        ("pride-and-prejudice", "PRIDE AND PREJUDICE", "means of uniting them.\n", 684_781),
        ("frankenstein", "Frankenstein;", "darkness and distance.\n", 421_074),
        ("sherlock-holmes", "cover", "met with considerable success.\n", 562_191),
    ],
)
def test_real_books(real_corpora: Path, name: str, first: str, last: str, characters: int) -> None:
    corpus = open_corpus([name])
    text = corpus.train.read() + corpus.validation.read()
    assert text.startswith(first) and text.endswith(last)
    assert len(text) == characters
    assert "Gutenberg" not in text
    assert corpus.sources[0].known_edition is True and not corpus.warnings
