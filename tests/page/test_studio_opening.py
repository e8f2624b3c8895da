"""`textwright studio` opens a browser where there is a screen, and serves whatever that does."""

from __future__ import annotations

import os
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from studios import Studio

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="there one is open by itself"),
]


@pytest.fixture
def opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Browsers that note what they are asked to open, and stay in the foreground until it goes."""
    note = tmp_path / "opened"
    script = f'#!/bin/sh\necho "$1" > {note}.part\nmv {note}.part {note}\n'
    script += f"while [ -e {note} ]; do sleep 0.1; done\n"
    for name in ("www-browser", "lynx", "w3m", "links", "elinks", "mine"):
        (tmp_path / name).write_text(script)
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"):
        monkeypatch.delenv(name, raising=False)
    yield note
    note.unlink(missing_ok=True)


def served(studio: Studio) -> bool:
    with urllib.request.urlopen(studio.page, timeout=30) as answer:
        return bool(answer.status == 200)


def test_no_browser_of_a_terminal_stands_in_for_the_server(tmp_path: Path, opened: Path) -> None:
    studio = Studio("studio", "shakespeare", folder=tmp_path)
    try:
        assert served(studio)
    finally:
        studio.close()
    assert not opened.exists()


def test_a_browser_that_does_not_return_keeps_nobody_waiting(
    tmp_path: Path, opened: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BROWSER", str(tmp_path / "mine"))
    studio = Studio("studio", "shakespeare", folder=tmp_path)
    try:
        assert served(studio)
        while not opened.exists():
            time.sleep(0.05)
        assert opened.read_text().strip() == studio.page
    finally:
        studio.close()
