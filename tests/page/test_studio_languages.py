"""The page in other languages: nothing stays English, and everything has room."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browsing import Watch
from studios import EXAMPLES, Studio, finished, ready, token, write

from textwright.page import write_offline_page
from textwright.page.languages import words

pytestmark = pytest.mark.slow

PARTS = {"write/shakespeare": ".letters .t", **EXAMPLES}
OTHERS = (
    ".tokens, .typed, .picker, .texttitle, .start, .turn, .prompt, .what, .about > b, .runs b,"
    " .key span, .surprises .line, .builtins b, .wordmark, .authors b, .branch, .texts .node,"
    " select"
)
"""What isn't the page's: texts, tokens, names of models and of texts."""
SAID = """(others) => {
    const found = new Set();
    for (const one of document.querySelectorAll("body *")) {
        if (one.closest("script, style, noscript")) continue;
        for (const name of ["aria-label", "title", "placeholder", "aria-valuetext", "data-busy"]) {
            if (one.hasAttribute(name) && !one.matches("[data-index], .t, svg title")) found.add(one.getAttribute(name));
        }
        if (one.closest(others)) continue;
        for (const node of one.childNodes) if (node.nodeType === 3) found.add(node.data);
        for (const side of ["::before", "::after"]) found.add(getComputedStyle(one, side).content.replace(/^"|"$/g, ""));
    }
    return [...found];
}"""  # noqa: E501
NAMES = re.compile(
    r"\b(textwright|shakespeare|frankenstein|chat|gpt|lstm|[kM]B|min|none|normal|API|HTML|seconds)\b"
)
TOO_WIDE = """() => [...document.querySelectorAll(".view:not([hidden]) *, .top *")].filter((one) =>
    one.checkVisibility() && one.matches("button, .tab, h1, h2, label, p, dt, dd, .card, .segments, .actions, .controls")
    && one.scrollWidth > one.clientWidth + 2 && one.clientWidth && getComputedStyle(one).overflow !== "hidden"
    && getComputedStyle(one).display !== "inline").map((one) => `${one.className}: ${one.textContent.slice(0, 40)}`)"""  # noqa: E501


@pytest.fixture(name="foreign")
def _foreign(browser: Any, watch: Watch) -> Iterator[Any]:
    """Opens a tab of a browser that wants a language."""
    contexts = []

    def opened(locale: str) -> Any:
        size = {"width": 1280, "height": 900}
        context = browser.new_context(viewport=size, reduced_motion="reduce", locale=locale)
        context.set_default_timeout(200_000)
        contexts.append(context)
        tab = context.new_page()
        watch.over(tab)
        return tab

    yield opened
    for context in contexts:
        context.close()


def marked() -> str:
    """German in which every sentence stands in brackets."""
    said: dict[str, Any] = {
        english: {form: f"⟦{text}⟧" for form, text in own.items()}
        if isinstance(own, dict) else f"⟦{own}⟧"
        for english, own in words("de").items()
    }  # fmt: skip
    return f"export const words = {json.dumps(said)};"


def bare(tab: Any) -> set[str]:
    """What is said there outside brackets, with letters in it."""
    left = set()
    for said in tab.evaluate(SAID, OTHERS):
        text = said
        while (inner := re.sub(r"⟦[^⟦⟧]*⟧", "", text)) != text:
            text = inner
        if re.search(r"[^\W\d_]{3,}", NAMES.sub("", text)):
            left.add(said)
    return left


def test_every_word_is_the_languages_own(foreign: Any, studio: Studio) -> None:
    tab = foreign("de-AT")
    tab.route(
        "**/words/de.js", lambda route: route.fulfill(content_type="text/javascript", body=marked())
    )
    for part, shown in PARTS.items():
        tab.goto(f"{studio.page}#{part}")
        tab.locator(shown).first.wait_for()
        if part.startswith("look"):
            for choice in tab.locator(".lenses [role=radio]:visible").all():
                choice.click()
                assert bare(tab) == set(), part
        if part.startswith("write"):
            finished(tab)
            token(tab, 12)
        assert bare(tab) == set(), part
    assert tab.evaluate("document.documentElement.lang") == "de"


@pytest.mark.parametrize("locale", ["de-DE", "fr-FR", "es-ES"])  # Chinese takes less than English
def test_there_is_room_for_every_word(
    foreign: Any, watch: Watch, studio: Studio, locale: str
) -> None:
    tab = foreign(locale)
    for part, shown in PARTS.items():
        tab.goto(f"{studio.page}#{part}")
        tab.locator(shown).first.wait_for()
        for width in (320, 390, 768, 1280):
            tab.set_viewport_size({"width": width, "height": 860})
            wide = tab.evaluate("document.documentElement.scrollWidth - innerWidth")
            assert wide <= 0, f"{part} is {wide} pixels wider than {width}"
            if width > 320:
                assert tab.evaluate(TOO_WIDE) == [], f"{part}, {width}"
    assert [line for line in watch.said if "500" not in line] == []  # the training text isn't here


def test_the_one_file_speaks_them_too(foreign: Any, watch: Watch, tmp_path: Path) -> None:
    page = write_offline_page("shakespeare", tmp_path / "page.html").as_uri()
    for locale, said in (("fr-CA", "Écrire"), ("zh-TW", "写作"), ("it-IT", "Write")):
        tab = foreign(locale)
        tab.goto(page)
        tab.locator(".deskbar .primary:visible").get_by_text(said, exact=True).wait_for()
    assert watch.said == []


def test_what_is_written_from_right_to_left_begins_at_the_right(tab: Any, studio: Studio) -> None:
    """In the sheet, where the model's words follow, in a list of texts, in Chat and in Look."""
    tab.goto(f"{studio.page}#write/shakespeare")
    write(tab, "שלום עולם, זה טקסט", Length=1)
    tab.locator(".typed").fill("שלום עולם\nThe night")
    edges = tab.evaluate(
        """() => [...document.querySelectorAll(".row-of-text")].slice(0, 2).map((row) => {
        const range = document.createRange();
        range.selectNodeContents(row);
        const [inner, outer] = [range.getBoundingClientRect(), row.getBoundingClientRect()];
        return [Math.round(inner.left - outer.left), Math.round(outer.right - inner.right)];
    })"""
    )
    (first_left, first_right), (second_left, _) = edges
    assert first_right <= 1 < first_left and second_left <= 1
    typed = "getComputedStyle(document.querySelector('.typed')).unicodeBidi"
    assert tab.evaluate(typed) == "plaintext"
    for part, field in (("chat/chat", "Your turn"), ("look/shakespeare", "Passage")):
        tab.goto(f"{studio.page}#{part}")
        ready(tab)
        area = tab.get_by_label(field, exact=True)
        area.fill("שלום")
        assert area.evaluate("(one) => getComputedStyle(one).direction") == "rtl"
