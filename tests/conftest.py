"""What every test shares: small text that every Python carries, and folders of its own."""

from __future__ import annotations

import os
from pathlib import Path
from pydoc_data import topics

import pytest

TEXT = "\n\n".join(topics.topics[name].strip() for name in sorted(topics.topics)[:12])[:40_000]
"""English prose of 40,000 characters."""


@pytest.fixture(autouse=True)
def _own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is read from, or left in, the folders of whoever runs the tests."""
    monkeypatch.setenv("TEXTWRIGHT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TEXTWRIGHT_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.delenv("TEXTWRIGHT_DEBUG", raising=False)


@pytest.fixture
def text_file(tmp_path: Path) -> Path:
    """A file of English prose."""
    file = tmp_path / "prose.txt"
    file.write_text(TEXT, encoding="utf-8")
    return file


@pytest.fixture
def real_corpora() -> Path:
    """The folder of real corpora; the test is skipped where there is none."""
    folder = os.environ.get("TEXTWRIGHT_CORPORA")
    if not folder or not Path(folder).is_dir():
        pytest.skip("needs real corpora: set TEXTWRIGHT_CORPORA to their folder")
    return Path(folder)
