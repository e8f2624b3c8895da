"""The page in Firefox: what the tests in Chromium do at greater length."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from firefox import Firefox
from studios import Studio

from textwright.page import write_offline_page

pytestmark = pytest.mark.slow

TEXT = """[...document.querySelectorAll(".letters .row-of-text")]
    .map((row) => row.textContent).join("\\n")"""
WRITTEN = """document.querySelector(".write .sheet:not(.writing)")
    && document.querySelector(".write .primary:not([hidden]):not(:disabled)")"""
ERRORS = "window.went_wrong"
LISTEN = """void (window.went_wrong = [],
    addEventListener("error", (event) => went_wrong.push(event.message)),
    addEventListener("unhandledrejection", (event) => went_wrong.push(String(event.reason))))"""
CONTROL = "\ue009"
ENTER = "\ue007"
END = "\ue010"


def test_it_writes_edits_keeps_and_shows_its_parts(firefox: Firefox, studio: Studio) -> None:
    firefox.goto(f"{studio.page}#write/shakespeare")
    firefox.until(f"({WRITTEN}) && ({TEXT}).length > 80")
    firefox.evaluate(LISTEN)
    firefox.type(".typed", f"{CONTROL}{END}")
    firefox.type(".typed", "\nThe king")
    firefox.until(f"({TEXT}).endsWith('The king')")
    firefox.type(".typed", f"{CONTROL}{ENTER}")
    firefox.until(f"({WRITTEN}) && ({TEXT}).length > 200")
    heights = firefox.evaluate("""["typed", "letters"].map((name) =>
        Math.round(document.querySelector(`.${name}`).scrollHeight))""")
    assert abs(heights[0] - heights[1]) <= 1, "letters lie on letters"
    text = firefox.evaluate(TEXT)
    firefox.until("document.querySelector('.texts li.here')")
    time.sleep(0.5)  # what is kept reaches the disk
    assert firefox.evaluate(ERRORS) == []
    firefox.goto("about:blank")
    firefox.goto(f"{studio.page}#write/shakespeare")
    firefox.until(f"({WRITTEN}) && ({TEXT}).length > 80")
    assert firefox.evaluate(TEXT) == text, "kept in the browser"
    firefox.evaluate(LISTEN)
    for part, shown in {
        "watch/shakespeare": ".film:not(:empty)",
        "look/frankenstein": ".look:not(.busy) .cards .card",
        "look/shakespeare": ".look:not(.busy) .heads button",
        "train": ".runs li",
    }.items():
        firefox.evaluate(f"location.hash = '#{part}'")
        firefox.until(f"document.querySelector('main {shown}')?.checkVisibility()")
        wide = firefox.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert wide <= 0, part
    assert firefox.evaluate(ERRORS) == []


def test_the_page_as_one_file_writes(firefox: Firefox, tmp_path: Path) -> None:
    page = write_offline_page("frankenstein", tmp_path / "page.html", dtype="int8")
    firefox.goto(page.as_uri())
    firefox.until(f"({WRITTEN}) && ({TEXT}).length > 80")
