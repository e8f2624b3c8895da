"""Old files of many languages are read in the encoding they were written in."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from textwright.data import open_corpus, open_text
from textwright.errors import CorpusError, RequestError
from textwright.training.planning.request import make_request

LINES = {
    ("french", "cp1252"): "Le café “naïve” — coûte 5 €. Ça va? Où est-il passé, élève ?",
    ("portuguese", "cp1252"): "Não há razão para você. Coração, avó e avô são irmãos.",
    ("swedish", "latin-1"): "Får får får? Nej, får får lamm. Åsa äter ärtor över ån.",
    ("danish", "latin-1"): "Blåbærgrød på øen, så går vi hjem og læser.",
    ("italian", "cp1252"): "È così però perché la città è più bella.",
    ("english", "cp1252"): "café’s naïve façade cost £5",
    ("german", "cp1252"): "Größe, Straße und Übermut – „schön“, äh.",
    ("spanish", "cp1252"): "El niño comió piña; ¿qué más da, señor? ¡Ojalá!",
    ("polish", "cp1250"): "Zażółć gęślą jaźń. Wszyscy ludzie rodzą się wolni i równi.",
    ("czech", "cp1250"): "Příliš žluťoučký kůň úpěl ďábelské ódy.",
    ("russian", "cp1251"): "Все люди рождаются свободными и равными в своём достоинстве.",
    ("greek", "cp1253"): "Όλοι οι άνθρωποι γεννιούνται ελεύθεροι.",
    ("turkish", "cp1254"): "Bütün insanlar hür, haysiyet ve haklar bakımından eşit doğarlar.",
}


@pytest.mark.parametrize("lines", [1, 50])
@pytest.mark.parametrize(("language", "encoding"), LINES)
def test_a_file_reads_as_it_was_written(
    language: str, encoding: str, lines: int, tmp_path: Path
) -> None:
    text = f"{LINES[language, encoding]}\n" * lines
    file = tmp_path / f"{language}.txt"
    file.write_bytes(text.encode(encoding))
    assert open_text([str(file)]).read() == text


SHORT = {
    ("Le café était déjà fermé", "latin-1"),
    ("Où est la bibliothèque?", "latin-1"),
    ("El niño de São Paulo", "cp1252"),
    ("It’s a “quote” — yes…", "cp1252"),
    ("Fahrräder für Mädchen", "cp1252"),
    ("Árvíztűrő tükörfúrógép, egy jó kis szöveg", "iso8859-2"),
    ("Zażółć gęślą jaźń", "cp1250"),
    ("Привет, мир", "koi8-r"),
    ("こんにちは世界、今日はいい天気ですね。", "shift_jis"),
    ("こんにちは世界、今日はいい天気ですね。", "iso2022_jp"),
    ("안녕하세요 세계 여러분", "euc_kr"),
    ("안녕하세요 세계 여러분", "iso2022_kr"),
}


@pytest.mark.parametrize(("text", "encoding"), SHORT)
@pytest.mark.parametrize("times", [1, 100])
def test_a_line_reads_as_it_was_written(
    text: str, encoding: str, times: int, tmp_path: Path
) -> None:
    (tmp_path / "a.txt").write_bytes((text + "\n").encode(encoding) * times)
    assert open_text([str(tmp_path / "a.txt")]).read() == f"{text}\n" * times


def test_what_was_guessed_is_said_and_can_be_decided(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "a.txt"
    file.write_bytes("Einige Wörter über Bäume und Flüsse.\n".encode("cp850") * 9)
    with caplog.at_level("INFO"):
        assert "über Bäume" in open_text([str(file)]).read()
    assert "a.txt: read as cp" in caplog.text and "Wörter" in caplog.text
    assert "--encoding NAME decides" in caplog.text
    assert "B„ume" in open_text([str(file)], encoding="cp1252").read()
    one = tmp_path / "one.txt"
    one.write_bytes(b"\xe9" * 20_000)
    corpus = open_corpus([str(one)])
    assert corpus.sources[0].encoding == "cp1252"
    assert "(unsure" in corpus.warnings[0]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_utf16_may_be_named_with_its_mark_or_without(encoding: str, tmp_path: Path) -> None:
    text = "Naïve words, and many of them.\n"
    (tmp_path / "a.txt").write_bytes(text.encode(encoding))
    named = encoding[:6]
    assert make_request("a.txt", encoding=named)
    assert open_text([str(tmp_path / "a.txt")], encoding=named).read() == text


@pytest.mark.parametrize("name", ["klingon", "base64", "rot13", "hex"])
def test_what_is_no_encoding_is_refused(name: str) -> None:
    with pytest.raises(RequestError, match="no text encoding; e.g. utf-8"):
        make_request("a.txt", encoding=name)


MIXES = {
    "powershell": b"first line of plain words, as many do\n" * 9
    + "then appended by another program\n".encode("utf-16-le") * 9,
    "mark": "begun in UTF-16 by an editor, then\n".encode("utf-16") * 1
    + b"appended in UTF-8 by a script, line by line, until the end\n" * 9,
    "cyrillic": "начато в одной кодировке\n".encode("utf-16")
    + "продолжено в другой, и так до самого конца этого файла\n".encode() * 9,
}


@pytest.mark.parametrize("encoding", ["mac_roman", "cp850", "cp1252"])
@pytest.mark.parametrize("word", ["naïve", "crème", "façade"])
def test_english_with_one_accent_is_english(word: str, encoding: str, tmp_path: Path) -> None:
    line = f"It was the {word} that they had left with his friends from London, and nobody knew.\n"
    for text in (line, line * 20):  # repeating it is no evidence of anything
        (tmp_path / "a.txt").write_bytes(text.encode(encoding))
        assert open_text([str(tmp_path / "a.txt")]).read() == text


@pytest.mark.parametrize("name", MIXES)
def test_two_encodings_in_one_file_are_told(name: str, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(MIXES[name])
    with pytest.raises(CorpusError, match=r"at first and, about byte [\d,]+, UTF-\d+; save it in"):
        open_text([str(tmp_path / "a.txt")])


def test_a_few_nul_bytes_and_marks_inside_are_left_out(tmp_path: Path) -> None:
    line = "Naïve words, and many of them.\n".encode()
    file = tmp_path / "a.txt"
    for data in (
        line * 50 + b"\0" + line * 50,
        line * 100 + b"\0" * 5000,
        b"\xef\xbb\xbf" + line * 50 + b"\xef\xbb\xbf" + line * 50,
        b"\xff\xfe"
        + (line * 50).decode().encode("utf-16-le")
        + "\ufeff\0".encode("utf-16-le")
        + (line * 50).decode().encode("utf-16-le"),
    ):
        file.write_bytes(data)
        corpus = open_corpus([str(file)])
        assert corpus.train.read() + corpus.validation.read() == line.decode() * 100
        assert re.search(r"left out [\d,]+ NUL or byte-order marks? inside", corpus.warnings[0])
    file.write_bytes(b"plain\0 ascii\n" + b"plain ascii\n" * 900)
    assert "\0" not in open_text([str(file)]).read()
