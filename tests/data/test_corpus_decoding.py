"""Text as people have it: encodings, line ends, composed and combining characters."""

from __future__ import annotations

import io
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from textwright.data import open_corpus, open_text
from textwright.data.formats.encodings import inspect
from textwright.data.formats.normalization import normalize
from textwright.errors import CorpusError

FRENCH = (
    "Il était une fois, à l'orée d'une forêt, un garçon nommé François. "
    "« Où êtes-vous ? » demanda-t-il. L’été fut très long…\n"
) * 3
GERMAN = "Der Bär läuft über die Straße. Schöne Grüße aus München – „ja, gewiß“, sagte er.\n" * 3
ENGLISH = "“It’s a fine day,” she said—and so it was. The café was closed.\n" * 3
SPANISH = "¿Dónde está el niño? Mañana, señor, será otro día. ¡Adiós!\n" * 3
CHINESE = "滚滚长江东逝水，浪花淘尽英雄。是非成败转头空。\n" * 3
EMOJI = "A family 👨‍👩‍👧‍👦, a thumb 👍🏽, a flag 🇨🇦, q̃ and n̈ and ｶﾞ.\n" * 3


def read(path: Path, data: bytes) -> tuple[str, str]:
    """(text, encoding) of a file of these bytes."""
    path.write_bytes(data)
    return open_text([str(path)]).read(), open_corpus([str(path)]).sources[0].encoding


@pytest.mark.parametrize(
    ("text", "encoding", "found"),
    [
        (FRENCH, "utf-8", "utf-8"),
        (FRENCH, "utf-8-sig", "utf-8-sig"),
        (FRENCH, "utf-16", "utf-16"),
        (FRENCH, "utf-16-le", "utf-16-le"),
        (FRENCH, "utf-16-be", "utf-16-be"),
        (CHINESE, "utf-16-le", "utf-16-le"),
        (FRENCH, "cp1252", "cp1252"),
        (GERMAN, "cp1252", "cp1252"),
        (ENGLISH, "cp1252", "cp1252"),
        (SPANISH, "latin-1", "cp1252"),
        (CHINESE, "utf-8", "utf-8"),
        (EMOJI, "utf-8", "utf-8"),
        (EMOJI, "utf-16", "utf-16"),
        (EMOJI, "utf-32", "utf-32"),
    ],
)
def test_the_encoding_of_a_text_is_found(
    tmp_path: Path, text: str, encoding: str, found: str
) -> None:
    data = text.replace("\n", "\r\n").encode(encoding)
    assert read(tmp_path / "text", data) == (text, found)


def test_encoding_shows_late_in_a_long_text(tmp_path: Path) -> None:
    text = "plain words only\n" * 100_000 + GERMAN
    assert read(tmp_path / "text", text.encode("cp1252")) == (text, "cp1252")


def test_a_few_damaged_bytes_do_not_change_the_encoding(tmp_path: Path) -> None:
    file = tmp_path / "text"
    file.write_bytes(FRENCH.encode() * 5 + b"\xe2\x80 and on\n")
    corpus = open_corpus([str(file)])
    assert corpus.validation.read().endswith("\ufffd and on\n")
    assert corpus.sources[0].encoding == "utf-8"
    assert "1 damaged place" in corpus.warnings[0]


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "empty"),
        (b" \r\n \n", "empty"),
        (b"\xef\xbb\xbf", "empty"),
        (b"text\0text" * 50, "NUL"),
        (bytes(range(256)) * 40, "binary"),
        (bytes(byte for byte in range(1, 32)) * 40, "binary"),
        (b"%PDF-1.7 and so on", "PDF"),
        (b"{\\rtf1 text}", "RTF"),
        (b"PK\x03\x04" + b"x" * 100, "ZIP"),
    ],
)
def test_what_is_no_text_is_refused_by_what_it_is(tmp_path: Path, data: bytes, says: str) -> None:
    file = tmp_path / "file.txt"
    file.write_bytes(data)
    with pytest.raises(CorpusError, match=says) as error:
        open_corpus([str(file)])
    assert "file.txt" in str(error.value)


def test_every_line_end_becomes_lf(tmp_path: Path) -> None:
    text, _ = read(tmp_path / "text", b"one\r\ntwo\rthree\nfour\r\r\nfive\n\r" * 9)
    assert text == "one\ntwo\nthree\nfour\n\nfive\n\n" * 9


def test_text_is_read_in_composed_form(tmp_path: Path) -> None:
    text = unicodedata.normalize("NFD", FRENCH + "각 Å")
    assert text != unicodedata.normalize("NFC", text)
    read_back, _ = read(tmp_path / "text", text.encode())
    assert read_back == unicodedata.normalize("NFC", text)


_HARD = st.text(alphabet="ab \n\r\u0301\u0323\u200d\u1100\u1161\u11a8é👍🏽\ufb01\u09c7\u09be\u212b")


@given(st.lists(_HARD, max_size=8))
def test_pieces_are_normalised_as_the_whole(pieces: list[str]) -> None:
    text = "".join(pieces).replace("\r\n", "\n").replace("\r", "\n")
    assert "".join(normalize(pieces)) == unicodedata.normalize("NFC", text)


def test_a_letter_of_a_thousand_accents_is_composed_in_pieces() -> None:
    hostile = "a" + "\u0301\u0323" * 2000  # to put all of them in order takes quadratic time
    assert "".join(normalize([hostile])) != unicodedata.normalize("NFC", hostile)
    long = unicodedata.normalize("NFD", FRENCH) * 100
    assert "".join(normalize([long])) == unicodedata.normalize("NFC", long)


def test_halves_of_surrogate_pairs() -> None:
    assert "".join(normalize(["a\ud83d", "\ude00 b \ud800 c"])) == "a😀 b \ufffd c"


def test_many_files_of_one_kind_are_warned_of_once_and_counted(tmp_path: Path) -> None:
    for number in range(15):
        damaged = b"caf\xe9 " + "Plain words, é and ü, more of them. ".encode() * (20 + number)
        (tmp_path / f"{number}.txt").write_bytes(damaged)
    corpus = open_corpus([str(tmp_path)])
    (warning,) = corpus.warnings
    assert "0.txt: 1 damaged place" in warning and "likewise 14 more: " in warning


PLAIN = "It was a bright cold day in April, and the clocks were striking thirteen.\n" * 9
NEE = "Où est la bibliothèque? Elle était déjà fermée.\n" * 9


@pytest.mark.parametrize("encoding", ["utf-7", "hz", "utf-32", "utf-32-le"])
def test_rare_encodings_are_found(encoding: str) -> None:
    text = "今天天气很好\n" * 9 if encoding == "hz" else NEE
    found = inspect(lambda: io.BytesIO(text.encode(encoding)))
    assert text.encode(encoding).decode(found.encoding) == text


@pytest.mark.parametrize(
    "text", ["C++ and 1+1=2, +49 30 1234, a+b", "+".join(["words", "of", "a", "sum"])]
)
def test_a_plus_is_a_plus(text: str) -> None:
    assert inspect(lambda: io.BytesIO((text * 9).encode())).encoding == "utf-8"


MIXED = {
    "ebcdic": (PLAIN.encode("cp037"), "EBCDIC code page; --encoding cp037"),
    "half": (NEE.encode() + NEE.encode("cp1252"), "UTF-8 in some places and, from byte 4"),
    "few": (NEE.encode() + NEE.encode("cp1252") * 8, "another encoding in others; save it in"),
}


@pytest.mark.parametrize("name", MIXED)
def test_what_is_no_one_encoding_is_said(name: str) -> None:
    data, reason = MIXED[name]
    assert reason in inspect(lambda: io.BytesIO(data)).problem


def test_emoji_as_java_writes_them_leave_the_rest() -> None:
    halves = "née \ud83d\ude00\n".encode("utf-8", "surrogatepass") * 9
    found = inspect(lambda: io.BytesIO(halves))
    assert found.encoding == "utf-8" and found.replaced == 9 * 6


def test_a_long_line_with_an_escape_is_read_in_time_that_grows_with_it(tmp_path: Path) -> None:
    text = "x" * 2_000_000 + "~{"  # with the square it would be an hour
    (tmp_path / "minified.txt").write_text(text)
    assert inspect(lambda: (tmp_path / "minified.txt").open("rb")).encoding == "utf-8"
    (tmp_path / "mail.txt").write_bytes(b"Subject: x\n" * 9 + "\u65e5\u672c\n".encode("iso2022_jp"))
    found = inspect(lambda: (tmp_path / "mail.txt").open("rb"))
    assert found.encoding == "iso2022_jp_ext"
