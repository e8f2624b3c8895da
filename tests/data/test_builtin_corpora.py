"""Built-ins: found by hash, by name, in the cache, downloaded; and what there is without any."""

from __future__ import annotations

import gzip
import hashlib
import json
import socket
import threading
from dataclasses import replace
from pathlib import Path
from pydoc_data.topics import topics
from typing import Any

import pytest
from typer.testing import CliRunner

from textwright.data import BUILT_INS, Corpus, open_corpus, open_text
from textwright.data.sources import downloads
from textwright.data.sources.builtin import BuiltIn, BuiltInFile, Edition
from textwright.errors import CorpusError, DownloadError

PLAY = "\n\n".join(topics[name] for name in sorted(topics)[:4]).encode("ascii", "ignore").decode()
PARTS = {"train": "one two <unk> \n" * 40, "validation": "two \n" * 9, "test": "three \n" * 9}


def edition(text: str) -> Edition:
    return Edition(hashlib.sha256(text.encode()).hexdigest(), len(text))


@pytest.fixture
def play(monkeypatch: pytest.MonkeyPatch, no_real_corpora: None, site) -> BuiltIn:  # type: ignore[no-untyped-def]
    """`shakespeare` is a small text at an address of this machine."""
    (site.folder / "play.txt").write_text(PLAY)
    file = BuiltInFile("whole", "play.txt", (f"{site.address}/play.txt",), (edition(PLAY),))
    built_in = replace(BUILT_INS["shakespeare"], files=(file,))
    monkeypatch.setitem(BUILT_INS, "shakespeare", built_in)
    return built_in


@pytest.fixture
def benchmark(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """`wikitext-2` is three small files in `$TEXTWRIGHT_CORPORA`."""
    folder = tmp_path / "corpora" / "wikitext-2"
    folder.mkdir(parents=True)
    files = []
    for role, text in PARTS.items():
        name = f"wikitext-2/{role}.txt"
        (folder / f"{role}.txt.gz").write_bytes(gzip.compress(text.encode()))
        files.append(BuiltInFile(role, name, (), (edition(text),)))  # type: ignore[arg-type]
    built_in = replace(BUILT_INS["wikitext-2"], files=tuple(files))
    monkeypatch.setitem(BUILT_INS, "wikitext-2", built_in)
    monkeypatch.setenv("TEXTWRIGHT_CORPORA", str(tmp_path / "corpora"))


def whole(corpus: Corpus) -> str:
    return corpus.train.read() + corpus.validation.read()


def test_a_built_in_is_downloaded_once(play: BuiltIn, site) -> None:  # type: ignore[no-untyped-def]
    for name in (None, ["shakespeare"], ["Shakespeare"]):
        corpus = open_corpus(name)
        assert whole(corpus) == PLAY
    assert site.requests == ["/play.txt"]
    assert (corpus.name, corpus.licence, corpus.warnings) == ("shakespeare", "public domain", ())
    assert corpus.sources[0].known_edition is True


def test_unknown_edition_is_used_recorded_and_warned_about(play: BuiltIn, site) -> None:  # type: ignore[no-untyped-def]
    (site.folder / "play.txt").write_text(PLAY.upper())
    corpus = open_corpus(["shakespeare"])
    assert whole(corpus) == PLAY.upper()
    assert corpus.sources[0].known_edition is False
    assert corpus.sources[0].sha256 == edition(PLAY.upper()).sha256
    (warning,) = corpus.warnings
    assert edition(PLAY.upper()).sha256[:12] in warning and "\n" not in warning


@pytest.mark.parametrize("name", ["play.txt", "play.txt.gz", "deep/er/renamed", "renamed.gz"])
def test_folder_of_corpora_comes_before_any_download(
    play: BuiltIn,
    site,  # type: ignore[no-untyped-def]
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:
    folder = tmp_path / "corpora"
    file = folder / name
    file.parent.mkdir(parents=True)
    text = PLAY.encode()
    file.write_bytes(gzip.compress(text) if name.endswith(".gz") else text)
    (folder / "other.txt").write_text("x" * len(PLAY))  # of the same size
    monkeypatch.setenv("TEXTWRIGHT_CORPORA", str(folder))
    corpus = open_corpus(["shakespeare"])
    assert whole(corpus) == PLAY
    assert corpus.sources[0].address == str(file)
    assert corpus.sources[0].known_edition is True
    assert site.requests == []


def test_another_edition_in_the_folder(
    play: BuiltIn,
    site,  # type: ignore[no-untyped-def]
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = tmp_path / "corpora"
    folder.mkdir()
    (folder / "play.txt").write_text(PLAY.lower())
    monkeypatch.setenv("TEXTWRIGHT_CORPORA", str(folder))
    corpus = open_corpus(["shakespeare"])
    assert whole(corpus) == PLAY.lower()
    assert corpus.sources[0].known_edition is False and len(corpus.warnings) == 1
    assert site.requests == []


def test_a_published_split_is_kept(benchmark: None) -> None:
    corpus = open_corpus(["wikitext-2"])
    assert corpus.test is not None
    parts = {"train": corpus.train, "validation": corpus.validation, "test": corpus.test}
    assert {role: part.read() for role, part in parts.items()} == PARTS
    assert corpus.word_form == "whitespace"
    assert open_text(["wikitext-2"]).read() == PARTS["test"]
    assert open_text(["wikitext-2:valid"]).read() == PARTS["validation"]


def test_among_other_texts_a_published_split_is_one_of_them(
    benchmark: None, tmp_path: Path, text_file: Path
) -> None:
    corpus = open_corpus(["wikitext-2", str(text_file)])
    assert corpus.test is None and corpus.word_form == "text"
    assert "three" not in whole(corpus).split()[:80]
    own = open_corpus(["wikitext-2"], validation=str(text_file))
    assert own.train.read() == PARTS["train"]
    assert own.validation.characters == len(text_file.read_text(encoding="utf-8"))


def test_without_a_network_python_docs_take_over(
    play: BuiltIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    addresses = ("http://127.0.0.1:9/play.txt", "http://127.0.0.1:9/again.txt")
    file = replace(play.files[0], addresses=addresses)
    monkeypatch.setitem(BUILT_INS, "shakespeare", replace(play, files=(file,)))
    attempts: list[object] = []
    connect = socket.create_connection

    def counted(address: object, *rest: Any) -> socket.socket:
        attempts.append(address)
        return connect(address, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "create_connection", counted)
    corpus = open_corpus(None)
    assert attempts == [("127.0.0.1", 9)]  # and nothing else at a host that isn't there
    assert corpus.name == "python-docs"
    (notice,) = corpus.warnings
    assert "python-docs" in notice and "\n" not in notice
    with pytest.raises(DownloadError, match="TEXTWRIGHT_CORPORA") as error:
        open_corpus(["shakespeare"])
    assert "\n" not in str(error.value)


def test_a_name_that_nobody_resolves_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    over = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: [] if over.wait(200) else None)
    monkeypatch.setattr(downloads, "CONNECT_SECONDS", 0.05)
    try:
        with pytest.raises(downloads.UnreachableError, match="no answer in 0.05 seconds"):
            downloads.download("http://books.example/play.txt", tmp_path)
    finally:
        over.set()


def test_python_docs_are_the_same_each_time() -> None:
    corpus = open_corpus(["python_docs"])
    text = whole(corpus)
    assert len(text) > 300_000 and corpus.sha256 == open_corpus(["python-docs"]).sha256
    assert corpus.sources[0].sha256 == hashlib.sha256(text.encode()).hexdigest()
    assert corpus.licence == "PSF-2.0"
    with pytest.raises(CorpusError, match="no part"):
        open_corpus(["python-docs:train"])


def test_every_built_in_says_where_it_is_from() -> None:
    for built_in in BUILT_INS.values():
        assert built_in.licence and built_in.title and built_in.size > 100_000
        for file in built_in.files:
            assert all(address.startswith("https://") for address in file.addresses)
            assert all(len(edition.sha256) == 64 for edition in file.editions)


def test_real_editions(real_corpora: Path) -> None:
    for name in BUILT_INS:
        if name == "topical-chat" and not any(real_corpora.rglob("topical-chat/train.json*")):
            continue  # its other parts alone are no corpus
        corpus = open_corpus([name])
        assert corpus.warnings == ()
        assert {source.known_edition for source in corpus.sources} <= {True, None}
    wikitext = open_corpus(["wikitext-2"])
    assert wikitext.test is not None
    counts = [part.characters for part in (wikitext.train, wikitext.validation, wikitext.test)]
    assert counts == [10_780_401, 1_120_192, 1_255_018]


def commands() -> object:
    import typer

    from textwright.cli import corpora

    app = typer.Typer()
    app.command("list")(corpora.list_corpora)
    app.command("fetch")(corpora.fetch_corpus)
    return app


def test_the_list_says_where_each_is_from(play: BuiltIn) -> None:
    def listed(*options: str) -> str:
        result = CliRunner().invoke(commands(), ["list", *options])  # type: ignore[arg-type]
        assert result.exit_code == 0
        return result.stdout

    before, *_ = json.loads(listed("--json"))
    assert (before["name"], before["from"]) == ("shakespeare", "download")
    open_corpus(["shakespeare"])
    assert json.loads(listed("--json"))[0]["from"] == "cache"
    table = listed().splitlines()
    assert len(table) == 1 + len(BUILT_INS) and table[1].startswith("shakespeare")


def test_fetch_downloads_anew_only_when_told(play: BuiltIn, site) -> None:  # type: ignore[no-untyped-def]
    result = CliRunner().invoke(commands(), ["fetch", "shakespeare"])  # type: ignore[arg-type]
    assert result.exit_code == 0, result.output
    assert edition(PLAY).sha256 in result.stdout
    CliRunner().invoke(commands(), ["fetch", "shakespeare", "--again"])  # type: ignore[arg-type]
    assert site.requests == ["/play.txt"] * 2
    result = CliRunner().invoke(commands(), ["fetch", "shakespear"])  # type: ignore[arg-type]
    assert isinstance(result.exception, CorpusError)
    assert "did you mean 'shakespeare'" in str(result.exception)
