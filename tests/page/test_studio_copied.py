"""The studio in a browser: copied or invented?"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from browsing import GOLDEN, Watch
from studios import Studio, ready, write

from textwright.data import open_corpus
from textwright.runs import Run

pytestmark = pytest.mark.slow


@pytest.fixture(name="text")
def _text(tmp_path: Path, text_file: Path) -> str:
    """What a run of the studio's says it was trained on."""
    run = Run(tmp_path / "runs" / "mine")
    shutil.copytree(GOLDEN / "lstm", run.path)
    corpus = {"sources": [str(text_file)], "validation_fraction": 0.1, "form": "auto"}
    data = {"sha256": open_corpus([str(text_file)]).sha256}
    run.write_settings({"corpus": corpus, "data": data})
    return text_file.read_text(encoding="utf-8")


@pytest.mark.parametrize("part", ["copied", "look"])
def test_nothing_is_written_over_what_somebody_typed(tab: Any, tmp_path: Path, part: str) -> None:
    """The example that opens a part is still on its way."""
    studio = Studio("studio", "frankenstein", "--no-browser", folder=tmp_path)
    held: list[Any] = []

    def hold(route: Any) -> None:
        held.append(route)

    tab.route("**/v1/completions", hold)
    try:
        with tab.expect_request("**/v1/completions"):
            tab.goto(f"{studio.page}#{part}")
        view = tab.locator(f".view.look[aria-label^={part.capitalize()}]")
        view.locator("textarea").fill("My own words.")
        for route in held:
            route.continue_()
        tab.unroute("**/v1/completions")
        tab.wait_for_timeout(500)
        assert view.locator("textarea").input_value() == "My own words."
        view.locator(".primary").click()
        tab.wait_for_selector(".look:not(.busy) .stage:visible, .look:not(.busy) .notice:visible")
        assert view.locator("textarea").input_value() == "My own words."
    finally:
        studio.close()


def test_it_marks_what_is_copied(
    tab: Any, watch: Watch, tmp_path: Path, text: str, text_file: Path
) -> None:
    studio = Studio("studio", "mine", "--no-browser", folder=tmp_path)
    copy, other = text[9000:9100], "<img src=x onerror=alert(1)> is not in it 🙂. "
    try:
        tab.goto(f"{studio.page}#copied")
        ready(tab)
        compare = tab.get_by_role("button", name="Compare")
        tab.wait_for_selector(".copied:not(.busy)")  # an example is there before anybody asks
        tab.get_by_label("Passage", exact=True).fill("")
        compare.click()
        tab.wait_for_selector(".notice:has-text('paste a passage')")
        tab.get_by_label("Passage", exact=True).fill(other + copy + other)
        compare.click()
        tab.wait_for_selector(".copied mark")
        assert copy in tab.locator(".copied mark").text_content()
        assert tab.locator(".copies").text_content() == other + copy + other
        assert tab.locator(".copied .numbers dd").first.text_content() in ("52 %", "53 %", "54 %")
        where = tab.locator(".copied .surprises .small").text_content()
        start = text.index(tab.locator(".copied mark").text_content())
        assert f"prose.txt, line {text[:start].count(chr(10)) + 1:,}" in where
        assert str(tmp_path) not in tab.content()
        tab.locator(".copied .surprises button").click()
        assert tab.evaluate("document.activeElement.tagName") == "MARK"
        tab.get_by_role("link", name="Write").click()
        written = write(tab, "x", Length=80)
        tab.get_by_role("button", name="Copied or invented?").click()
        tab.wait_for_selector(".copied .numbers div:first-child dd:text-is('0 %')")
        assert tab.locator(".copies").text_content() == written
        assert tab.locator(".copied mark").count() == 0
        text_file.unlink()
        compare.click()
        tab.wait_for_selector(".notice:has-text('is gone')")
        assert str(tmp_path) not in tab.content()
        assert [one for one in watch.said if "400 (Bad Request)" not in one] == []
        assert watch.elsewhere(studio.url) == []
    finally:
        studio.close()
