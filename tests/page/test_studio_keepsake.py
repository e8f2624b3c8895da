"""The model and the page as one file that somebody made for others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from browsing import Watch
from studios import Studio, choose, finished, ready, text_of, write

pytestmark = pytest.mark.slow

TITLE = 'Night & "day" <b>'
SENTENCE = "Read it aloud. </script><script>alert(1)</script>"


def test_it_has_a_title_its_texts_and_trees_and_opens_on_them(
    tab: Any, watch: Watch, studio: Studio, tmp_path: Path
) -> None:
    tab.goto(studio.page)
    ready(tab)
    write(tab, "Of no worth", Length=10)
    tab.get_by_role("button", name="New text").click()
    write(tab, "The night was", Length=40)
    choose(tab, 20)
    tab.wait_for_selector(".branch >> nth=1")
    told = finished(tab)
    tab.locator(".texts li.here").get_by_role("button", name="Star").click()
    tab.wait_for_selector(".texts li.here [aria-label=Star][aria-pressed=true]")
    tab.get_by_role("button", name="Save as one file").click()
    dialog = tab.get_by_role("dialog")
    boxes = dialog.locator(".takes input")
    assert [box.is_checked() for box in boxes.all()].count(True) == 1
    assert boxes.count() >= 2
    dialog.get_by_label("Title").fill(TITLE)
    dialog.get_by_label("By whom").fill("Ann")
    dialog.get_by_label("A sentence about it").fill(SENTENCE)
    with tab.expect_download() as download:
        dialog.get_by_role("button", name="Save", exact=True).click()
    file = tmp_path / "page.html"
    download.value.save_as(file)
    assert watch.elsewhere(studio.url) == []
    watch.requested.clear()
    tab.goto(file.as_uri())
    ready(tab)
    assert tab.locator(".titlepage .called").inner_text() == TITLE
    assert tab.locator(".titlepage").inner_text().endswith(SENTENCE)
    assert "by Ann" in tab.locator(".titlepage").inner_text()
    assert tab.title().startswith(TITLE)
    assert text_of(tab) == told
    assert tab.locator(".branch").count() == 2
    assert tab.locator(".texts li").count() == 1
    assert write(tab, "And then", Length=20).startswith("And then")
    assert watch.elsewhere("file:") == []
    assert watch.said == []


def test_who_says_nothing_gets_the_file_as_it_is_and_who_cancels_none(
    tab: Any, watch: Watch, studio: Studio, tmp_path: Path
) -> None:
    tab.goto(studio.page)
    ready(tab)
    tab.get_by_role("button", name="Save as one file").click()
    tab.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    assert tab.get_by_role("dialog").count() == 0
    tab.get_by_role("button", name="Save as one file").click()
    dialog = tab.get_by_role("dialog")
    dialog.get_by_label("Title").fill("")
    for box in dialog.locator(".takes input").all():
        box.uncheck()
    with tab.expect_download() as download:
        dialog.get_by_role("button", name="Save", exact=True).click()
    page = Path(download.value.path()).read_text(encoding="utf-8")
    assert 'id="keepsake"' not in page.split('id="program"')[0]
    assert watch.said == []
