"""Every form of source, and what a wrong one answers."""

from __future__ import annotations

import http.client
import io
import logging
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from textwright.data import Corpus, open_corpus, open_text
from textwright.data.sources import downloads as downloading
from textwright.errors import CorpusError, DownloadError, RequestError, TextwrightError

WORDS = "It was a bright cold day in April, and the clocks were striking thirteen.\n" * 4


def whole(corpus: Corpus) -> str:
    return corpus.train.read() + corpus.validation.read()


def test_a_file_is_read_whole_and_recorded(tmp_path: Path) -> None:
    file = tmp_path / "My Novel.txt"
    file.write_text(WORDS)
    corpus = open_corpus([str(file)])
    assert whole(corpus) == WORDS
    assert corpus.name == "My Novel"
    (source,) = corpus.sources
    assert (source.address, source.bytes, source.encoding) == (str(file), len(WORDS), "utf-8")
    assert source.known_edition is None
    assert corpus.test is None


def test_folder_takes_every_text_below_in_natural_order(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "novel"
    (folder / "part-2").mkdir(parents=True)
    (folder / ".git").mkdir()
    (folder / "chapter-10.txt").write_text("ten " * 20)
    (folder / "chapter-9.md").write_text("nine " * 20)
    (folder / "part-2" / "chapter-11").write_text("eleven " * 20)
    (folder / ".git" / "config").write_text("hidden " * 20)
    (folder / ".notes.txt").write_text("hidden " * 20)
    (folder / "cover.jpg").write_bytes(b"\xff\xd8\xff\xe0" + bytes(100))
    (folder / "data.bin").write_bytes(b"a\0b" * 100)
    (folder / "empty.txt").write_text("")
    corpus = open_corpus([str(folder)])
    text = whole(corpus)
    assert text.split() == ["nine"] * 20 + ["ten"] * 20 + ["eleven"] * 20
    assert text == "\n\n".join(word * 20 for word in ("nine ", "ten ", "eleven "))
    assert corpus.name == "novel"
    skipped = ["cover.jpg", "data.bin", "empty.txt"]
    assert len(corpus.warnings) == 3
    for name, warning in zip(skipped, corpus.warnings, strict=True):
        assert name in warning and "\n" not in warning
    assert [record.getMessage() for record in caplog.records] == list(corpus.warnings)
    assert {record.levelno for record in caplog.records} == {logging.WARNING}


def test_folder_with_much_to_skip_says_so_briefly(tmp_path: Path) -> None:
    for number in range(30):
        (tmp_path / f"{number}.bin").write_bytes(bytes(10))
    (tmp_path / "text.txt").write_text(WORDS)
    warnings = open_corpus([str(tmp_path / "*")]).warnings
    (warning,) = warnings
    assert warning.startswith(f"skipped {tmp_path / '0.bin'} holds no usable text: it is empty;")
    assert warning.endswith(" …") and "; likewise 29 more: " in warning
    for number in range(30):
        (tmp_path / f"{number}.bin").write_bytes(b"PK\3\4" if number % 2 else b"GIF8")
    first, second = open_corpus([str(tmp_path / "*")]).warnings
    assert "0.bin" in first and "a picture; likewise 14 more: " in first
    assert "1.bin" in second and "unpack it; likewise 14 more: " in second


def test_folder_with_nothing_usable(tmp_path: Path) -> None:
    (tmp_path / "picture.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(50))
    with pytest.raises(CorpusError, match="no usable text") as error:
        open_corpus([str(tmp_path)])
    assert "\n" not in str(error.value)


def test_glob_and_several_sources(tmp_path: Path) -> None:
    folder = tmp_path / "novels"
    folder.mkdir()
    for name in ("b", "a"):
        (folder / f"{name}.txt").write_text(name * 30 + "\n")
    (folder / "c.md").write_text("c" * 30)
    assert whole(open_corpus([str(folder / "*.txt")])) == "a" * 30 + "\n\n" + "b" * 30 + "\n"
    # A file that is named beside its folder counts once.
    corpus = open_corpus([str(folder / "c.md"), str(folder)])
    assert corpus.name == "c-and-more"
    assert whole(corpus).split() == ["c" * 30, "a" * 30, "b" * 30]


def test_standard_input_is_read_and_nothing_of_it_kept() -> None:
    code = (
        "from textwright.data import open_corpus; c = open_corpus(['-']);"
        "print(c.name, c.sources[0].address, c.sources[0].encoding);"
        "assert c.train.read() + c.validation.read() == 'caf\\xe9\\n' * 50"
    )
    result = subprocess.run(
        [sys.executable, "-c", code],
        input=("caf\xe9\r\n" * 50).encode(),
        capture_output=True,
        check=True,
    )
    assert result.stdout.split() == b"stdin standard input utf-8".split()
    streams = Path(os.environ["TEXTWRIGHT_CACHE"], "streams")
    assert list(streams.iterdir()) == []


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes on this system")
def test_a_pipe_is_read(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_text, args=(WORDS,))
    writer.start()
    assert whole(open_corpus([str(pipe)])) == WORDS
    writer.join()


def test_url_is_downloaded_once(site, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    (site.folder / "novel.txt").write_text(WORDS)
    address = f"{site.address}/novel.txt"
    corpus = open_corpus([address])
    assert whole(corpus) == WORDS
    assert (corpus.name, corpus.sources[0].address) == ("novel", address)
    open_corpus([address])
    assert site.requests == ["/novel.txt"]
    assert whole(open_corpus([f"{site.address}/moved"])) == WORDS


def test_a_redirect_gets_the_name_and_no_password(site, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    """What a file is says its last address; whom it leads to may be anybody."""
    (site.folder / "novel.txt").write_text(WORDS)
    address = site.address.replace("//", "//user:p%40ss%3Aword@") + "/moved"
    assert downloading.download(address, tmp_path / "cache").path.name == "novel.txt"
    assert site.requests == ["/moved", "/novel.txt"]
    assert site.credentials == ["Basic dXNlcjpwQHNzOndvcmQ=", None]


def test_url_of_a_page_is_read_as_html(site) -> None:  # type: ignore[no-untyped-def]
    page = "<html><head><title>No</title></head><body><p>" + "Some words. " * 9 + "</p></body>"
    (site.folder / "index.html").write_text(page)
    assert whole(open_corpus([f"{site.address}/"])) == ("Some words. " * 9).strip() + "\n"


@pytest.mark.parametrize(
    ("path", "says"),
    [("missing.txt", "answered 404"), ("cut", "stopped after 9 of 1,000")],
)
def test_of_a_failed_download_nothing_is_kept(site, path: str, says: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(DownloadError, match=says) as error:
        open_corpus([f"{site.address}/{path}"])
    assert "\n" not in str(error.value)
    kept = Path(os.environ["TEXTWRIGHT_CACHE"]).rglob("*")
    assert not [path for path in kept if path.is_file()]


def test_download_is_bounded(site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    (site.folder / "big.txt").write_bytes(bytes(2000))
    read: list[str] = []
    block = downloading._read_block
    monkeypatch.setattr(downloading, "_read_block", lambda *of: read.append(of[1]) or block(*of))
    for path in ("big.txt", "endless"):
        with pytest.raises(DownloadError, match="larger than 1,000 bytes"):
            downloading.download(f"{site.address}/{path}", tmp_path / "cache", largest=1000)
    assert read == [f"{site.address}/endless"], "what says how large it is, is not even begun"


def test_an_address_where_nothing_answers_is_told() -> None:
    with pytest.raises(DownloadError, match="can't be reached"):
        open_corpus(["http://127.0.0.1:9/novel.txt"])


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("no-such-file.txt", "does not exist"),
        ("shakespear", "did you mean 'shakespeare'"),
        ("./shakespeare", "does not exist"),
        ("nothing/*.txt", "no file matches"),
        ("ftp://example.org/a.txt", "only http"),
        ("shakespeare:test", "no part"),
        ("hf:not-a-data-set", "hf:owner/dataset"),
        ("", "no file name"),
        ("a\0b", "no file name"),
    ],
)
def test_sources_that_mean_nothing(source: str, says: str) -> None:
    with pytest.raises(CorpusError, match=says) as error:
        open_corpus([source])
    assert "\n" not in str(error.value)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root reads all")
def test_file_without_permission(tmp_path: Path) -> None:
    file = tmp_path / "secret.txt"
    file.write_text(WORDS)
    file.chmod(0)
    with pytest.raises(CorpusError, match="no permission"):
        open_corpus([str(file)])


@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit on the size of files")
def test_a_full_disk_is_one_line_and_leaves_nothing(tmp_path: Path) -> None:
    code = (
        "import resource, signal, sys; from pathlib import Path;"
        "from textwright.data import open_corpus; from textwright.errors import TextwrightError;"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
        "try: open_corpus([sys.argv[1]], cache=Path(sys.argv[2]))\n"
        "except TextwrightError as error: print(error)"
    )
    text = tmp_path / "novel.txt"
    text.write_bytes(b"a line\r\n" * 50_000)
    command = [sys.executable, "-c", code, str(text), str(tmp_path / "cache")]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "can't be written" in result.stdout and result.stdout.count("\n") == 1
    assert [path for path in (tmp_path / "cache").rglob("*") if path.is_file()] == []


def test_file_that_changes_while_it_is_used(tmp_path: Path) -> None:
    file = tmp_path / "novel.txt"
    file.write_text(WORDS)
    corpus = open_corpus([str(file)])
    file.write_text(WORDS.upper())
    with pytest.raises(TextwrightError, match="changed while it was in use"):
        corpus.train.read()


def test_stream_is_copied_to_a_file_of_the_same_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(WORDS.encode())))
    corpus = open_corpus(["-"])
    assert whole(corpus) == WORDS  # readable after the copy is gone


def test_text_for_evaluation_is_not_split(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("first\n")
    (tmp_path / "b.txt").write_text("second\n")
    part = open_text([str(tmp_path / "a.txt"), str(tmp_path / "b.txt")])
    assert part.read() == "first\n\nsecond\n"
    assert part.characters == len(part.read())
    with pytest.raises(RequestError):
        open_text([])


def test_a_connection_is_made_by_the_function_that_downloads_replace() -> None:
    """It is private to `http.client`; without it, name resolution would have no timeout."""
    connection = http.client.HTTPConnection("host.invalid", timeout=1)
    asked = []

    def connect(address: tuple[str, int], *_: object) -> socket.socket:
        asked.append(address)
        raise ConnectionRefusedError

    assert hasattr(connection, "_create_connection"), "http.client has no _create_connection"
    connection._create_connection = connect
    with pytest.raises(ConnectionRefusedError):
        connection.connect()
    assert asked == [("host.invalid", 80)]
