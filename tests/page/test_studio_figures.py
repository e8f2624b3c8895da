"""The studio in a browser: how soon it can be used, and by keyboard alone."""

from __future__ import annotations

from typing import Any

import pytest
from browsing import Watch
from studios import Studio, finished, put, ready, text_of, write

pytestmark = pytest.mark.slow

ORDER = [
    "To the text", "Write", "Chat", "Train", "Watch it learn", "Look inside", "Copied?", "Guess",
    "Model", "On stage", "Dark colours",
]  # fmt: skip
"""What Tab comes to first, from the top."""

FOCUSED = """() => {
    const it = document.activeElement;
    const label = it.labels?.[0]?.firstChild.textContent;
    return (it.getAttribute("aria-label") ?? label ?? it.textContent).trim();
}"""
OUTLINED = "() => getComputedStyle(document.activeElement).outlineStyle"

FIRST_TOKEN = """() => new Promise((done) => {
    const begun = performance.now();
    const text = document.querySelector(".letters");
    const before = text.textContent.length;
    new MutationObserver(() => {
        if (text.textContent.length > before) done(performance.now() - begun);
    }).observe(text, { childList: true, subtree: true });
    document.querySelector(".deskbar .primary").click();
})"""


def test_it_can_be_used_at_once(tab: Any, studio: Studio) -> None:
    """Prints the figures that docs/studio.md has."""
    answers: list[Any] = []

    def came(answer: Any) -> None:
        answers.append(answer)

    tab.on("response", came)
    tab.goto(studio.page)
    ready(tab)
    usable = tab.evaluate("performance.now()")
    files = [one for one in answers if "/studio/" in one.url and one.status == 200]
    size = sum(one.request.sizes()["responseBodySize"] for one in files)
    whole = sum(len(one.body()) for one in files)
    put(tab, "ROMEO:\n")
    waits = []
    for _ in range(5):
        waits.append(tab.evaluate(FIRST_TOKEN))
        finished(tab)
    first = min(waits)
    print(f"\n{size:,} bytes for {whole:,} in {len(files)} files; usable after {usable:.0f} ms; "
          f"first token {first:.0f} ms after the click")  # fmt: skip
    assert size <= 200_000


def test_everything_is_reached_by_keyboard(tab: Any, watch: Watch, studio: Studio) -> None:
    tab.goto(studio.page)
    ready(tab)
    order = []
    for _ in ORDER:
        tab.keyboard.press("Tab")
        order.append(tab.evaluate(FOCUSED))
        assert tab.evaluate(OUTLINED) != "none", order
    assert order == ORDER
    # Write, ask what else was likely, choose it, and come back by the tree
    text = write(tab, "The king")
    assert tab.locator(".typed").input_value() == text
    tab.evaluate("document.querySelector('.typed').setSelectionRange(12, 12)")
    tab.keyboard.press("Alt+ArrowDown")
    tab.wait_for_selector(".alternatives [role=menuitem]:focus")
    tab.keyboard.press("Escape")
    assert tab.evaluate("document.activeElement.className") == "typed"
    assert tab.evaluate("document.querySelector('.typed').selectionEnd") == 12
    tab.keyboard.press("Alt+ArrowDown")
    tab.wait_for_selector(".alternatives [role=menuitem]:focus")
    tab.keyboard.press("ArrowDown")
    tab.keyboard.press("Enter")
    tab.wait_for_selector(".branch >> nth=1")
    assert (after := finished(tab))[:12] == text[:12], (text, after)
    tab.locator(".branch[tabindex='0']").focus()
    tab.keyboard.press("ArrowLeft")
    tab.keyboard.press("Enter")
    assert text_of(tab) == text
    # The other parts, by their tabs
    for part in ("Look inside", "Copied?"):
        tab.get_by_role("link", name=part, exact=True).focus()
        tab.keyboard.press("Enter")
        tab.get_by_label("Passage", exact=True).last.wait_for()
    tab.get_by_role("link", name="To the text").focus()
    tab.keyboard.press("Enter")
    assert tab.evaluate("document.activeElement.id") == "main"
    assert watch.said == []
