"""What of a folder is text: never a run's files, caches, or what can't be read, which is named."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from textwright.data import Corpus, open_corpus
from textwright.errors import CorpusError
from textwright.runs import SHIPPED_MODELS

WORDS = "It was a bright cold day in April, and the clocks were striking thirteen.\n" * 4


def whole(corpus: Corpus) -> str:
    return corpus.train.read() + corpus.validation.read()


@pytest.fixture
def book(tmp_path: Path) -> Path:
    """A writer's folder, in which a training has left its run."""
    folder = tmp_path / "book"
    folder.mkdir()
    (folder / "one.txt").write_text(WORDS)
    shutil.copytree(SHIPPED_MODELS / "shakespeare", folder / "runs" / "r")
    (folder / "runs" / "r" / "samples.jsonl").write_text('{"text": "sampled"}\n' * 9)
    killed = folder / "runs" / "killed"  # before its first step
    killed.mkdir()
    (killed / "run.toml").write_text("[corpus]\n")
    (killed / "metrics.jsonl").write_text("{}\n")
    for name in ("__pycache__", "node_modules/x", ".git", ".venv"):
        (folder / name).mkdir(parents=True)
        (folder / name / "words.txt").write_text("no text\n" * 9)
    for name in ("two.txt~", "~$novel.docx", "desktop.ini"):
        (folder / name).write_text("no text\n" * 9)
    (folder / "downloads").mkdir()
    (folder / "downloads" / "CACHEDIR.TAG").write_text("Signature: 8a477f597d28d172")
    (folder / "downloads" / "kept.txt").write_text("no text\n" * 9)
    return folder


@pytest.mark.parametrize("pattern", ["", "*", "**/*", "**/*.*"])
def test_the_runs_in_a_folder_are_no_text(book: Path, pattern: str) -> None:
    corpus = open_corpus([str(book / pattern)])
    assert whole(corpus) == WORDS
    said = "\n".join(corpus.warnings)
    assert ": a model's own files, which are no text; likewise 1 more: " in said
    assert all(str(Path("runs", name)) in said for name in ("r", "killed"))
    assert "downloads: a cache" in said
    assert ".git" not in said and "node_modules" not in said


def test_the_cache_in_a_folder_is_no_text(
    book: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (book / "two.txt").write_text("zwölf\r\n" * 9)  # which is prepared, into the cache
    monkeypatch.setenv("TEXTWRIGHT_CACHE", str(book / "cache"))
    first = open_corpus([str(book)])
    assert any((book / "cache").rglob("*.txt"))
    assert open_corpus([str(book)]).sha256 == first.sha256


def test_a_models_folder_is_refused_and_its_files_are_not(book: Path) -> None:
    run = book / "runs" / "r"
    with pytest.raises(CorpusError, match="a model's folder and holds no text .*--from"):
        open_corpus([str(run)])
    with pytest.raises(CorpusError, match="a model's own files"):
        open_corpus([str(book / "runs" / "*" / "*.md")])
    assert whole(open_corpus([str(run / "samples.jsonl")])).count("sampled") == 9


@pytest.mark.skipif(os.name == "nt", reason="links need a privilege on Windows")
def test_links_are_named(book: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "far.txt").write_text("far away\n" * 9)
    (book / "linked").symlink_to(tmp_path / "elsewhere")
    (book / "round").symlink_to(book)
    (book / "dead.txt").symlink_to(tmp_path / "nowhere.txt")
    (book / "two.txt").symlink_to(tmp_path / "elsewhere" / "far.txt")
    os.mkfifo(book / "pipe")
    for pattern in ("", "*"):
        corpus = open_corpus([str(book / pattern)])
        assert whole(corpus) == WORDS + "\n" + "far away\n" * 9
        said = "\n".join(corpus.warnings)
        for name, what in (
            ("dead.txt", f"a link to {tmp_path / 'nowhere.txt'}, which does not exist"),
            ("pipe", "no regular file"),
        ):
            assert f"skipped {book / name}: {what}" in said
        followed = ": a link to a folder, which is not followed; name the folder itself; likewise"
        assert followed in said and "linked" in said and "round" in said
    assert "far away" in whole(open_corpus([str(book / "linked")]))
    with pytest.raises(CorpusError, match="is a link to .*nowhere.txt, which does not exist"):
        open_corpus([str(book / "dead.txt")])


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root reads anything")
def test_what_may_not_be_read_is_named(book: Path) -> None:
    for name in ("locked", "locked.txt"):
        path = book / name
        path.mkdir() if name == "locked" else path.write_text(WORDS)
        path.chmod(0)
    try:
        corpus = open_corpus([str(book)])
    finally:
        (book / "locked").chmod(0o700)
    assert whole(corpus) == WORDS
    said = "\n".join(corpus.warnings)
    assert f"skipped {book / 'locked'}: a folder that can't be read (no permission)" in said
    assert f"skipped {book / 'locked.txt'} can't be read: no permission" in said
