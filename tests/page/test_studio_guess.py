"""Several on one text: people against a model at the next letter, and models at who wrote it."""

from __future__ import annotations

import re
from typing import Any

import pytest
from browsing import Watch
from studios import Studio

pytestmark = pytest.mark.slow

LETTERS = 24
PASSAGE = "When I do count the clock that tells the time, and see the brave day sunk"


def play(tab: Any, name: str, *, right: int) -> None:
    """Guess the first `right` letters as they are, all others wrong."""
    tab.get_by_label("The next letter", exact=True).wait_for()
    given = tab.locator(".guessed span").first.text_content()
    assert PASSAGE.startswith(given)
    for index, letter in enumerate(PASSAGE[len(given) :][:LETTERS]):
        tab.get_by_label("The next letter", exact=True).press_sequentially(
            letter if index < right else "%"
        )
        tab.wait_for_selector(f".guess dd:text-is('{index + 1} of {LETTERS}')")
    tab.get_by_label("Your name").fill(name)
    tab.get_by_role("button", name="Into the table").click()
    tab.locator(".ranking .here", has_text=name).wait_for()


def scores(tab: Any) -> list[tuple[str, float]]:
    rows = tab.locator(".ranking tbody tr").all()
    return [(row.locator("td").first.inner_text(), float(row.locator("td").last.inner_text()))
            for row in rows]  # fmt: skip


def test_several_guess_against_the_model(
    tab: Any, browser: Any, watch: Watch, studio: Studio
) -> None:
    tab.goto(f"{studio.page}#guess/shakespeare")
    tab.get_by_role("radio", name=re.compile("sure")).last.click()
    play(tab, "Ada <b>", right=LETTERS)
    assert tab.locator(".guessed .hit").count() == LETTERS
    assert "You win" in tab.locator(".guess .hint[role=status]").inner_text()
    assert [name for name, _ in scores(tab)] == ["Ada <b>", "shakespeare"]
    assert scores(tab)[0][1] == pytest.approx(0.15, abs=0.01)  # 90 % on each
    phone = browser.new_context(viewport={"width": 390, "height": 844}, has_touch=True).new_page()
    watch.over(phone)
    phone.goto(f"{studio.page}#guess/chat")  # words are no letters: another model plays
    phone.wait_for_selector(".picker >> nth=0")
    play(phone, "Grace", right=3)
    assert [name for name, _ in scores(phone)] == ["Ada <b>", "frankenstein", "Grace"]
    wide = phone.evaluate("document.documentElement.scrollWidth - innerWidth")
    assert wide <= 0
    phone.context.close()
    tab.get_by_role("button", name="The next passage").click()
    tab.wait_for_selector(".guess h2:text-is('Passage 2 of 10')")
    assert tab.locator(".guessed .t").count() == 0
    assert watch.said == []
    assert watch.elsewhere(studio.url) == []


def test_several_models_say_who_wrote_a_text(tab: Any, watch: Watch, studio: Studio) -> None:
    tab.goto(f"{studio.page}#look/shakespeare")
    tab.wait_for_selector(".view.look:not(.busy) .lens")
    tab.get_by_label("Passage", exact=True).fill(
        "It was on a dreary night of November that I beheld the accomplishment of my toils."
    )
    tab.get_by_role("button", name="Look", exact=True).click()
    tab.wait_for_selector(".look .stage:not(.stale)")
    tab.get_by_role("radio", name="Who wrote this?").click()
    tab.wait_for_selector(".side h2:has-text('Most likely')")
    names = tab.locator(".authors b").all_inner_texts()
    assert names[0] == "frankenstein" and set(names) == {"frankenstein", "shakespeare", "chat"}
    assert tab.get_by_label("Compared with").input_value() == "frankenstein"
    warm = tab.locator(".units .t:not(.low)").count()
    assert warm > tab.locator(".units .t.low").count(), "it surprised the other one less"
    assert watch.said == []
