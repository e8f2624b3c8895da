"""What visitors once met, each held so that it stays mended."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import Any

import pytest
from browsing import Watch
from studios import Studio, finished, put, ready, text_of, token, write

from textwright.runs import SHIPPED_MODELS

pytestmark = pytest.mark.slow

DROP = """() => {
    const transfer = new DataTransfer();
    const text = "Once upon a time. ".repeat(200);
    transfer.items.add(new File([text], "dropped.txt", { type: "text/plain" }));
    const event = { dataTransfer: transfer, bubbles: true, cancelable: true };
    const drop = new DragEvent("drop", event);
    document.querySelector(".write .sheet").dispatchEvent(drop);
    return drop.defaultPrevented;
}"""

READ = "document.querySelector('.letters .t').textContent !== 'The king'"


def in_window(tab: Any, locator: Any) -> bool:
    box, window = locator.bounding_box(), tab.viewport_size
    return bool(
        box["y"] >= 0 and box["y"] + box["height"] <= window["height"] + 1
        and box["x"] >= 0 and box["x"] + box["width"] <= window["width"] + 1
    )  # fmt: skip


def test_chat_keeps_its_input_in_sight(tab: Any, watch: Watch, studio: Studio) -> None:
    tab.set_viewport_size({"width": 1280, "height": 720})
    tab.goto(f"{studio.page}#chat/chat")
    for count in range(1, 5):
        tab.wait_for_selector(f".turn.assistant >> nth={count - 1}")
        tab.get_by_role("button", name="Send").wait_for()
        tab.get_by_label("Your turn").fill("What do you think?\nTell me more of it.\nAnd then?")
        tab.keyboard.press("Enter")
    tab.get_by_role("button", name="Send").wait_for()
    assert in_window(tab, tab.get_by_label("Your turn"))
    assert in_window(tab, tab.get_by_role("button", name="Send"))
    assert tab.evaluate("document.activeElement.tagName") == "TEXTAREA"
    assert watch.said == []


def test_the_sheet(tab: Any, watch: Watch, studio: Studio) -> None:
    """Copied where there is no clipboard, from right to left, on paper, in a small window."""
    tab.add_init_script("delete Navigator.prototype.clipboard")
    tab.goto(f"{studio.page}#write/shakespeare")
    finished(tab)
    tab.get_by_role("button", name="Copy", exact=True).click()
    tab.wait_for_selector("button:has-text('Copied'):not(:has-text('invented'))")
    put(tab, "")
    tab.get_by_role("button", name="Write", exact=True).click()
    assert not finished(tab).startswith(" "), "a text without a beginning begins well"
    # What was open or chosen stays so at the end of the stream
    put(tab, "ROMEO:\nWhat light through yonder window breaks", Length=2500)
    tab.get_by_role("button", name="Write", exact=True).click()
    tab.wait_for_selector(".sheet.writing .letters .t >> nth=60", state="attached")
    tab.evaluate("scrollTo(0, 0)")
    tab.mouse.wheel(0, -100)
    token(tab, 10)
    tab.wait_for_selector(".popover:not(.glance)")
    finished(tab)
    assert tab.locator(".popover:not(.glance)").count() == 1
    assert tab.evaluate("document.activeElement.closest('.popover') !== null")
    tab.keyboard.press("Escape")
    tab.set_viewport_size({"width": 640, "height": 360})  # a laptop's at 200 %
    token(tab, 10)
    tab.wait_for_selector(".popover:not(.glance)")
    assert in_window(tab, tab.locator(".popover"))
    tab.evaluate("dispatchEvent(new Event('resize'))")  # late, or of a height alone
    assert tab.locator(".popover:not(.glance)").count() == 1
    tab.set_viewport_size({"width": 1280, "height": 900})
    tab.wait_for_selector(".popover", state="detached")
    put(tab, "مرحبا بالعالم")
    tab.wait_for_selector(".letters .unknown")
    right = "(name) => getComputedStyle(document.querySelector(name)).direction"
    assert tab.evaluate(right, ".typed") == "rtl"
    places = tab.evaluate("""() => {
        const range = document.createRange();
        range.selectNodeContents(document.querySelector('.letters .row-of-text'));
        const home = document.querySelector('.letters').getBoundingClientRect();
        return home.right - range.getBoundingClientRect().right;
    }""")
    assert places < 60, "the letters begin at the right too"
    tab.emulate_media(media="print")
    shown = [name for name in (".deskbar", ".top", ".die", ".shelf", ".letters")
             if tab.locator(name).first.is_visible()]  # fmt: skip
    assert shown == [".letters"]
    tab.emulate_media(media="screen")
    assert watch.said == []


def test_the_page_around_it(tab: Any, watch: Watch, studio: Studio) -> None:
    """A popover by keyboard, a server that is slow to say what it has, a file that is dropped."""
    tab.goto(f"{studio.page}#look/shakespeare")
    tab.wait_for_selector(".view.look:not(.busy) .heads button")
    tab.get_by_role("radio", name="Surprise").click()
    tab.locator(".lens .t").nth(5).focus()
    tab.keyboard.press("Enter")
    tab.wait_for_selector(".popover")
    tab.keyboard.press("Escape")
    tab.wait_for_selector(".popover", state="detached")
    tab.keyboard.press("Enter")
    tab.wait_for_selector(".popover")
    tab.keyboard.press("ArrowRight")
    tab.wait_for_selector(".popover", state="detached")

    def slow(route: Any) -> None:
        time.sleep(2)
        route.continue_()

    tab.route("**/health", slow)
    tab.goto("about:blank")
    tab.goto(f"{studio.page}#write/shakespeare", wait_until="commit")
    tab.wait_for_selector(".about")
    assert "No model" not in tab.locator("body").inner_text()
    tab.unroute("**/health")
    ready(tab)
    finished(tab)
    assert tab.evaluate(DROP)
    tab.wait_for_selector(".view.train:not([hidden]) .chosen:has-text('dropped.txt')")
    assert "Train" in tab.title()
    assert watch.said == []


def test_why_a_model_cannot_be_used(tab: Any, tmp_path: Path) -> None:
    shutil.copytree(SHIPPED_MODELS / "frankenstein", tmp_path / "broken")
    weights = tmp_path / "broken" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:5000])
    studio = Studio("serve", str(tmp_path / "broken"), folder=tmp_path)
    try:
        tab.goto(studio.page)
        tab.wait_for_selector(".toast:has-text('No model can be used here: broken: ')")
        assert "safetensors" in tab.locator(".toast").inner_text()
        assert str(tmp_path) not in tab.content()
    finally:
        studio.close()


def test_a_text_belongs_to_its_model(tab: Any, watch: Watch, studio: Studio) -> None:
    tab.goto(f"{studio.page}#write/shakespeare")
    text = write(tab, "The king", Length=30)
    tab.locator(".picker").select_option("chat")
    tab.wait_for_selector(".texthead .about b:text-is('chat')")
    finished(tab)
    assert text_of(tab) != text
    assert "chat" in tab.locator(".texthead .about").inner_text()
    tab.get_by_role("button", name="Take this text along").click()
    assert text_of(tab) == text
    assert tab.locator(".texthead .about b").inner_text() == "chat"
    tab.wait_for_selector(".texts li >> nth=1")
    owners = set(tab.locator(".texts .node .small").all_inner_texts())
    assert owners == {"shakespeare", "chat"}
    assert watch.said == []


def test_what_was_picked_is_where_it_was_picked(tab: Any, watch: Watch, studio: Studio) -> None:
    """Also where the model has read the text since, and has found other tokens before it."""
    held = []

    def hold(route: Any) -> None:
        held.append(route)

    tab.goto(studio.page)
    ready(tab)
    tab.route("**/api/read", hold)
    text = write(tab, "The king")
    tab.evaluate("document.querySelector('.typed').setSelectionRange(12, 12)")
    tab.keyboard.press("Alt+ArrowDown")
    tab.wait_for_selector(".alternatives [role=menuitem]:focus")
    while not tab.evaluate(READ):
        if held:
            held.pop(0).continue_()
        tab.wait_for_timeout(50)
    tab.keyboard.press("ArrowDown")
    tab.keyboard.press("Enter")
    tab.wait_for_selector(".branch >> nth=1")
    assert finished(tab)[:12] == text[:12]
    assert watch.said == []
