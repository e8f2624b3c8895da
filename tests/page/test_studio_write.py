"""The studio in a browser: writing over HTTP."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browsing import Watch
from studios import TEXT, Studio, box_of, choose, finished, put, ready, text_of, token, write

import textwright
from textwright.runs import SHIPPED_MODELS

pytestmark = pytest.mark.slow

MARKUP = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module", name="studio")
def _studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    folder = tmp_path_factory.mktemp("studio")
    shutil.copytree(SHIPPED_MODELS / "frankenstein", folder / MARKUP)
    words = ("shakespeare", f"{folder}/{MARKUP}", "--no-browser")
    studio = Studio("studio", *words, folder=folder)
    yield studio
    studio.close()


def open_page(tab: Any, studio: Studio, hash_: str = "#write/shakespeare") -> Any:
    answer = tab.goto(f"{studio.page}{hash_}")
    ready(tab)
    return answer


def caret(tab: Any, place: int) -> None:
    tab.locator(".typed").focus()
    tab.evaluate(f"document.querySelector('.typed').setSelectionRange({place}, {place})")


def test_it_writes_before_it_is_touched_and_what_python_writes(
    tab: Any, watch: Watch, studio: Studio
) -> None:
    answer = open_page(tab, studio)
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; ")
    assert policy.replace("'wasm-unsafe-eval'", "").count("unsafe") == 0  # training compiles that
    assert len(finished(tab)) > 80
    assert tab.locator(".door").count() == 3
    tab.locator("details.more summary").click()
    shown = write(tab, "The night was", Length=60, Seed=7)
    model = textwright.load("shakespeare")
    expected = model.generate("The night was", max_tokens=60, temperature=0.7, seed=7)
    assert shown == str(expected)
    assert tab.locator(".typed").input_value() == shown
    shades = "new Set([...document.querySelectorAll('.letters .t')].map(t => t.className)).size"
    assert tab.evaluate(shades) > 3
    # what was typed is read, too
    tab.wait_for_function("() => document.querySelector('.letters .t').className !== 't s0 own'")
    token(tab, 16)
    rows = tab.locator(".popover .row")
    rows.first.wait_for()
    assert rows.count() >= 10
    assert "%" in rows.first.inner_text()
    tab.keyboard.press("Escape")
    branch = choose(tab, 16)
    assert branch[:16] == shown[:16]
    assert branch[16] != shown[16]
    tab.locator(".branch").first.click()
    assert text_of(tab) == shown
    assert tab.locator(".branch").count() == 2
    assert watch.said == []
    assert watch.elsewhere(studio.url) == []


def test_the_sheet_is_the_editor(tab: Any, watch: Watch, studio: Studio) -> None:
    """Typed in mid-text, read anew from there, taken back; letters lie on letters."""
    open_page(tab, studio)
    before = write(tab, "The night was", Length=40)
    caret(tab, 4)
    tab.keyboard.type("dark 日本 ")
    assert text_of(tab) == f"{before[:4]}dark 日本 {before[4:]}"
    tab.wait_for_selector(".letters .unknown:text-is('日本')")
    tab.wait_for_selector(".warning:has-text('日')")
    assert tab.locator(".letters .t:text-is('k')").first.get_attribute("class").endswith("own")
    place = "document.querySelector('.typed').selectionEnd"
    assert tab.evaluate(place) == 12
    heights = tab.evaluate("""() => ["typed", "letters"].map((name) =>
        Math.round(document.querySelector(`.${name}`).scrollHeight))""")
    assert heights[0] == heights[1]
    tab.keyboard.press("Control+z")
    assert text_of(tab) == before
    tab.keyboard.press("Control+Shift+z")
    assert "dark" in text_of(tab)
    # from the cursor in mid-text a branch goes on; what stood there stays
    caret(tab, 9)
    tab.keyboard.press("Control+Enter")
    branch = finished(tab)
    assert branch.startswith(f"{before[:4]}dark ") and len(branch) == 49
    assert tab.locator(".branch").count() == 2
    assert watch.said == []


def test_nothing_is_lost(tab: Any, watch: Watch, studio: Studio) -> None:
    """A reload, another model, a deleted text, a file: the text with its branches comes back."""
    open_page(tab, studio)
    write(tab, "The night was", Length=30)
    choose(tab, 15)
    written = text_of(tab)
    address = tab.url
    assert "#write/shakespeare/" in address
    assert written[:5] in tab.title()
    tab.wait_for_selector(".texts li.here")
    tab.wait_for_timeout(600)  # kept a moment after the last change
    tab.reload()
    ready(tab)
    assert text_of(tab) == written
    assert tab.locator(".branch").count() == 2
    assert tab.url == address
    tab.locator(".picker").select_option(MARKUP)
    tab.wait_for_function("(name) => document.title.includes(name)", arg=MARKUP)
    finished(tab)
    assert text_of(tab) != written
    assert MARKUP in tab.title()
    tab.go_back()
    tab.wait_for_function(f"() => ({TEXT})() === {written!r}")
    assert tab.locator(".picker").input_value() == "shakespeare"
    with tab.expect_download() as download:
        tab.get_by_role("button", name="Save as a file").first.click()
    tab.locator(".texts").get_by_role("button", name="Delete").first.click()
    tab.wait_for_selector(".texts li.here", state="detached")
    tab.get_by_role("button", name="Bring it back").click()
    assert text_of(tab) == written
    tab.locator(".shelf input[type=file]").set_input_files(download.value.path())
    tab.wait_for_selector(".texts li >> nth=1")
    assert text_of(tab) == written
    assert tab.locator("img").count() == 0
    assert watch.said == []


def test_the_die_is_shown(tab: Any, watch: Watch, studio: Studio) -> None:
    open_page(tab, studio)
    put(tab, "ROMEO", Temperature=0.2)
    tab.wait_for_selector(".die:not(.stale) .chance:first-child .what:text-is(':')")
    cold = tab.locator(".chance .share").first.inner_text()
    tab.locator(".deskbar [type=range]").fill("2")
    tab.wait_for_function(
        "(cold) => document.querySelector('.chance .share').innerText !== cold", arg=cold
    )
    tab.evaluate("document.querySelector('details.more').open = true")
    tab.locator(".deskbar .field").filter(has_text="Top-k").locator("input").fill("1")
    tab.wait_for_selector(".chance.out >> nth=5")
    tab.get_by_role("button", name="Throw the die").click()
    tab.wait_for_selector(".die .hint:has-text('100')")
    assert text_of(tab) == "ROMEO:"
    tab.get_by_role("button", name="Five ways", exact=True).click()
    finished(tab)
    tab.wait_for_selector(".branch >> nth=5")
    assert watch.said == []


def test_alternatives_at_once_and_on_a_phone(
    tab: Any, browser: Any, watch: Watch, studio: Studio
) -> None:
    open_page(tab, studio)
    finished(tab)
    box = box_of(tab, 30)
    tab.mouse.move(box["x"] + 2, box["y"] + 8)
    tab.wait_for_selector(".glance .row >> nth=4")
    tab.mouse.move(5, 5)
    tab.wait_for_selector(".glance", state="detached")
    context = browser.new_context(
        viewport={"width": 390, "height": 844},
        has_touch=True,
        is_mobile=True,
        reduced_motion="reduce",
    )
    phone = context.new_page()
    watch.over(phone)
    open_page(phone, studio)
    finished(phone)
    token(phone, 30, tap=True)
    phone.wait_for_selector(".below .steps")
    first = phone.locator(".steps b").inner_text(), phone.locator(".steps .share").inner_text()
    phone.get_by_role("button", name="The next one").tap()
    phone.wait_for_selector(".below")
    assert (
        phone.locator(".steps b").inner_text(),
        phone.locator(".steps .share").inner_text(),
    ) != first
    row = phone.locator(".below .row").first.bounding_box()
    assert row["height"] >= 44
    context.close()
    assert watch.said == []


ENDLESS = ["serve", "shakespeare", "--max-length", "100000"]
"""A server that writes as many tokens as the page can ask for: more than it writes meanwhile."""


def test_it_stops_follows_and_branches_in_mid_stream(
    tab: Any, browser: Any, watch: Watch, tmp_path: Path
) -> None:
    """A hundred thousand tokens are asked for in pieces that any server gives."""
    studio = Studio(*ENDLESS, folder=tmp_path)
    try:
        open_page(tab, studio)
        put(tab, "ROMEO:", Length=100_000)
        tab.get_by_role("button", name="Write", exact=True).click()
        tab.wait_for_selector(".status:has-text('of 100,000 characters')")
        tab.wait_for_selector(".letters .t >> nth=1500", state="attached")
        assert tab.evaluate("scrollY") > 200  # the page follows
        tab.evaluate("scrollTo(0, 0)")
        tab.mouse.wheel(0, -100)
        token(tab, 40)
        tab.locator(".popover .row:not([aria-current]):not(:disabled)").first.click()
        tab.wait_for_selector(".branch >> nth=1", state="attached")
        tab.locator(".typed").blur()
        tab.keyboard.press("Escape")  # wherever one is
        finished(tab)
        assert "stopped" in tab.locator(".deskbar .status").inner_text()
        long = text_of(tab)
        studio.process.send_signal(signal.SIGKILL)
        tab.locator(".deskbar").get_by_role("button", name="Write", exact=True).click()
        tab.wait_for_selector('.toast:has-text("doesn\'t answer")')
        assert tab.locator("body").inner_text().count("doesn't answer") == 1
        assert text_of(tab) == long
    finally:
        studio.close()


def test_a_wrong_setting_and_a_wrong_address_are_told(
    tab: Any, watch: Watch, studio: Studio
) -> None:
    open_page(tab, studio)
    put(tab, "The", Top_p=7)
    tab.wait_for_selector(".deskbar .notice:has-text('Top-p must be at most 1')")
    tab.goto(f"{studio.page}#nowhere")
    tab.wait_for_selector(".toast:has-text('no part “nowhere”')")
    assert watch.said == []


def test_a_key_is_asked_for_and_kept_in_the_tab(tab: Any, tmp_path: Path) -> None:
    studio = Studio("serve", "shakespeare", "--api-key", "open sesame", folder=tmp_path)
    try:
        tab.goto(studio.page)
        for key in ("wrong", "open sesame"):
            tab.get_by_label("API key").last.fill(key)
            tab.get_by_role("button", name="Go on").last.click()
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
        assert write(tab, "It was", Length=20).startswith("It was")
        assert watch.said == []
        assert watch.elsewhere(studio.url, here.url) == []
    finally:
        studio.close()
        here.close()
