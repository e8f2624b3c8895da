"""The studio in a browser: copied or invented?"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from browsing import GOLDEN, Watch
from studios import Studio, put, ready, text_of, write

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
def test_nothing_is_written_over_what_somebody_typed(tab: Any, studio: Studio, part: str) -> None:
    """The example that opens a part is still on its way."""
    held: list[Any] = []

    def hold(route: Any) -> None:
        held.append(route)

    tab.route("**/v1/completions", hold)
    with tab.expect_request("**/v1/completions"):
        tab.goto(f"{studio.page}#{part}/frankenstein")
    view = tab.locator(f".view.look[aria-label^={part.capitalize()}]")
    view.locator("textarea").fill("My own words.")
    for route in held:
        route.continue_()
    tab.unroute("**/v1/completions")
    tab.wait_for_timeout(500)
    assert view.locator("textarea").input_value() == "My own words."
    view.locator(".primary").click()
    tab.wait_for_selector(".look:not(.busy) .lens:visible, .look:not(.busy) .notice:visible")
    assert view.locator("textarea").input_value() == "My own words."


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


def test_it_underlines_while_one_writes_and_is_taken_away(
    tab: Any, watch: Watch, tmp_path: Path, text: str
) -> None:
    studio = Studio("studio", "mine", "--no-browser", folder=tmp_path)
    marked = """() => [...document.querySelectorAll('.letters .copied')]
        .map((one) => one.textContent).join('')"""
    copy, other = text[9000:9100].replace("\n", " "), "Nothing of this & <b> is in it. "
    longest = max(text[9000:9100].split("\n"), key=len)
    try:
        tab.goto(f"{studio.page}#write/mine")
        put(tab, other + text[9000:9100])
        tab.get_by_label("underline what is copied").check()
        tab.wait_for_selector(".letters .copied")
        assert longest in tab.evaluate(marked)
        assert "Nothing" not in tab.evaluate(marked)
        tab.locator(".letters .copied").first.scroll_into_view_if_needed()
        box = tab.locator(".letters .copied").nth(3).bounding_box()
        tab.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        tab.wait_for_selector(".source-note:has-text('prose.txt, line')")
        assert copy[20:60] in tab.locator(".source-note q").inner_text()
        tab.keyboard.press("Escape")
        tab.locator(".typed").focus()
        tab.keyboard.press("Control+Home")
        tab.keyboard.type("And before. ")
        tab.wait_for_function(f"() => ({marked})().includes({longest!r})")
        whole = text_of(tab)
        files = {}
        for label, ending in (("As a picture", "svg"), ("As HTML", "html")):
            tab.get_by_text("Take away").click()
            with tab.expect_download() as download:
                tab.get_by_role("button", name=label).click()
            files[ending] = Path(download.value.path()).read_text(encoding="utf-8")
            assert download.value.suggested_filename.endswith(f".{ending}")
        picture = ElementTree.fromstring(files["svg"])
        drawn = "".join(one.text or "" for one in picture.iter() if one.tag.endswith("}text"))
        assert drawn.startswith(whole.replace("\n", "")) and "mine" in drawn
        page = ElementTree.fromstring(files["html"])
        assert "".join(page.itertext()).startswith(whole)
        tab.get_by_label("underline what is copied").uncheck()
        assert tab.evaluate(marked) == ""
        assert watch.said == []
    finally:
        studio.close()
