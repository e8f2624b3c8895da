"""The studio in a browser: writing over HTTP."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browsing import Watch
from studios import Studio, finished, ready

import textwright
from textwright.runs import SHIPPED_MODELS

pytestmark = pytest.mark.slow

MARKUP = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module", name="studio")
def _studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    folder = tmp_path_factory.mktemp("studio")
    shutil.copytree(SHIPPED_MODELS / "frankenstein", folder / MARKUP)
    studio = Studio(
        "studio", "shakespeare", f"{folder}/{MARKUP}", "--no-browser", folder=folder
    )  # fmt: skip
    yield studio
    studio.close()


def open_page(tab: Any, studio: Studio, path: str = "/") -> Any:
    answer = tab.goto(studio.url + path)
    ready(tab)
    tab.wait_for_selector(".picker option[value=shakespeare]:not(:disabled)", state="attached")
    tab.locator(".picker").select_option("shakespeare")
    return answer


def fill(tab: Any, **values: object) -> None:
    for label, value in values.items():
        tab.get_by_label(label.replace("_", "-"), exact=True).first.fill(str(value))


def test_it_writes_what_python_writes_and_branches(tab: Any, watch: Watch, studio: Studio) -> None:
    answer = open_page(tab, studio)
    assert tab.url == studio.page
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy
    tab.locator("details.more summary").click()
    fill(tab, Prompt="The night was", Length=60, Seed=7)
    tab.get_by_role("button", name="Write", exact=True).click()
    shown = finished(tab)
    model = textwright.load("shakespeare")
    expected = model.generate("The night was", max_tokens=60, temperature=0.7, seed=7)
    assert shown == str(expected)
    shades = tab.evaluate(
        "new Set([...document.querySelectorAll('.t')].map(t => t.className)).size"
    )
    assert shades > 3
    token = tab.locator(".t").nth(20)
    token.click()
    rows = tab.locator(".alternatives .row")
    assert rows.count() >= 10
    assert "%" in rows.first.inner_text()
    other = tab.locator(".alternatives .row:not([aria-current]):not([disabled])").first
    other.click()
    branch = finished(tab)
    assert branch[:20] == shown[:20]
    assert branch[20] != shown[20]
    tab.locator(".tree .node").first.click()
    assert tab.locator(".sheet .tokens").first.text_content() == shown
    assert tab.locator(".tree .node").count() == 2
    assert watch.said == []
    assert watch.elsewhere(studio.url) == []


def test_two_models_side_by_side_and_names_stay_text(
    tab: Any, watch: Watch, studio: Studio
) -> None:
    open_page(tab, studio)
    tab.wait_for_selector(".picker option:not(:disabled) >> nth=1", state="attached")
    assert MARKUP in tab.locator(".picker").inner_text()
    tab.get_by_role("button", name="Side by side").click()
    tab.locator(".sheet").nth(1).locator("select").select_option(MARKUP)
    fill(tab, Prompt=MARKUP, Length=30)
    tab.get_by_role("button", name="Write", exact=True).click()
    finished(tab)
    tab.wait_for_selector(".sheet:nth-child(2):not(.writing) .status:has-text('tokens')")
    assert tab.locator(".tree .node").count() == 2
    assert MARKUP in tab.locator(".tree").inner_text()
    assert tab.locator("img").count() == 0
    assert watch.said == []
    assert watch.elsewhere(studio.url) == []


ENDLESS = ["serve", "shakespeare", "--max-length", "100000", "--max-logprobs", "10000000"]
"""A server that writes as many tokens as the page can ask for: more than it writes meanwhile."""


def test_one_stops_and_the_other_writes_on(
    tab: Any, browser: Any, watch: Watch, tmp_path: Path
) -> None:
    studio = Studio(*ENDLESS, folder=tmp_path)
    try:
        _one_stops(tab, browser, studio)
    finally:
        studio.close()
    assert watch.said == []


def _one_stops(tab: Any, browser: Any, studio: Studio) -> None:
    other = browser.new_context().new_page()
    other.set_default_timeout(200_000)
    for page, length in ((other, 2000), (tab, 100_000)):
        open_page(page, studio, "/studio/")
        fill(page, Length=length)
    for page in (other, tab):
        page.get_by_role("button", name="Write", exact=True).click()
    tab.get_by_role("button", name="Stop").click()
    finished(tab)
    assert "stopped" in tab.locator(".sheet .status").first.inner_text()
    finished(other)
    assert "2,000 tokens" in other.locator(".sheet .status").first.inner_text()
    other.context.close()


def test_little_is_loaded_before_first_use(tab: Any, studio: Studio) -> None:
    answers: list[Any] = []

    def came(answer: Any) -> None:  # Playwright can't take a list's own method
        answers.append(answer)

    tab.on("response", came)
    open_page(tab, studio)
    loaded = sum(len(answer.body()) for answer in answers if not 300 <= answer.status < 400)
    assert 50_000 < loaded <= 150_000


def test_characters_it_never_saw_are_named(tab: Any, watch: Watch, studio: Studio) -> None:
    open_page(tab, studio)
    fill(tab, Prompt="Ça va, 🙂?", Length=10)
    tab.get_by_role("button", name="Write", exact=True).click()
    finished(tab)
    warning = tab.locator(".sheet .warning").first.text_content()
    assert "🙂" in warning and "Ç" in warning
    tab.goto(f"{studio.page}#chat")
    tab.get_by_label("Your turn").fill("🙂?")
    tab.keyboard.press("Enter")
    tab.wait_for_selector(".chat .notice:has-text('🙂')")
    assert watch.said == []


def test_a_wrong_setting_is_told(tab: Any, watch: Watch, studio: Studio) -> None:
    open_page(tab, studio)
    fill(tab, Length=99999)
    tab.get_by_role("button", name="Write", exact=True).click()
    tab.wait_for_selector(".notice:has-text('at most 4,096')")
    more = tab.locator("details.more summary")
    more.click()
    fill(tab, Top_p=7)
    more.click()  # out of sight
    tab.get_by_role("button", name="Write", exact=True).click()
    tab.wait_for_selector(".notice:has-text('Top-p must be at most 1')")


def test_the_server_is_gone_in_mid_text(tab: Any, tmp_path: Path) -> None:
    studio = Studio(*ENDLESS, folder=tmp_path)
    try:
        open_page(tab, studio, "/studio/")
        fill(tab, Length=100_000)
        tab.get_by_role("button", name="Write", exact=True).click()
        tab.wait_for_selector(".t:nth-child(20)")
        studio.process.send_signal(signal.SIGKILL)
        tab.wait_for_selector(".notice:has-text('The server was lost')")
        assert tab.locator(".t").count() >= 20
    finally:
        studio.close()


def test_a_key_is_asked_for_and_kept_in_the_tab(tab: Any, tmp_path: Path) -> None:
    studio = Studio("serve", "shakespeare", "--api-key", "open sesame", folder=tmp_path)
    try:
        tab.goto(studio.page)
        for key in ("wrong", "open sesame"):
            tab.get_by_label("API key").last.fill(key)
            tab.get_by_role("button", name="Go on").click()
            if key == "wrong":
                tab.wait_for_selector("dialog:has-text('refused')")
        ready(tab)
        tab.reload()
        ready(tab)
        assert tab.locator("dialog").count() == 0
    finally:
        studio.close()


def test_the_models_of_another_server(tab: Any, watch: Watch, tmp_path: Path) -> None:
    here = Studio("serve", "shakespeare", "--cors-origin", "*", folder=tmp_path)
    studio = Studio("studio", "--api", here.url, "--no-browser", folder=tmp_path)
    try:
        open_page(tab, studio)
        fill(tab, Prompt="It was", Length=20)
        tab.get_by_role("button", name="Write", exact=True).click()
        assert finished(tab).startswith("It was")
        assert watch.said == []
        assert watch.elsewhere(studio.url, here.url) == []
    finally:
        studio.close()
        here.close()
