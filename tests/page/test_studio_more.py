"""The studio in a browser: chat, and a look inside."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from browsing import GOLDEN, Watch
from studios import Studio, ready

from textwright.page import write_offline_page
from textwright.runs import Run

pytestmark = pytest.mark.slow

PASSAGE = 'I said to her, "What a day!"\nAnd she was gone.'


@pytest.fixture(scope="module", name="studio")
def _studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    studio = Studio(
        "studio", "shakespeare", str(GOLDEN / "gru"), "chat", "--no-browser",
        folder=tmp_path_factory.mktemp("studio"),
    )  # fmt: skip
    yield studio
    studio.close()


def open_part(tab: Any, studio: Studio, part: str, model: str) -> None:
    tab.goto(f"{studio.page}#{part}")
    tab.wait_for_selector(f'.picker option[value="{model}"]:not(:disabled)', state="attached")
    tab.locator(".picker").select_option(model)
    ready(tab)


def replied(tab: Any, count: int) -> str:
    tab.wait_for_selector(f".turn.assistant >> nth={count - 1}")
    tab.get_by_role("button", name="Send").wait_for()
    return str(tab.locator(".turn.assistant").nth(count - 1).text_content())


@pytest.mark.parametrize("model", ["chat", "shakespeare"])
def test_a_conversation_goes_on_and_a_reply_is_drawn_again(
    tab: Any, watch: Watch, studio: Studio, model: str
) -> None:
    open_part(tab, studio, "chat", model)
    if model == "chat":  # a first exchange is there before anybody asks
        assert replied(tab, 1)
        tab.get_by_role("button", name="Start anew").click()
    said = "<img src=x onerror=alert(1)> Hello!"
    for count in (1, 2):
        tab.get_by_label("Your turn").fill(said)
        tab.keyboard.press("Enter")
        assert replied(tab, count)
    assert tab.locator(".turn").count() == 4
    assert tab.locator(".turn.user").first.text_content() == said
    assert tab.locator(".note").count() == (0 if model == "chat" else 1)
    tab.get_by_role("button", name="Another reply").click()
    replied(tab, 2)
    assert tab.locator(".turn").count() == 4
    tab.get_by_label("Length").fill("0")
    tab.get_by_label("Your turn").fill(said)
    tab.keyboard.press("Enter")
    tab.wait_for_selector(".chat .notice:has-text('Length must be at least 1')")
    assert tab.get_by_label("Your turn").input_value() == said, "what nobody answers is not lost"
    assert tab.locator(".turn").count() == 4
    tab.get_by_role("button", name="Start anew").click()
    assert tab.locator(".turn").count() == 0
    assert tab.locator("img").count() == 0
    assert watch.said == []
    assert watch.elsewhere(studio.url) == []


LOOK = """async ([model, text]) => {
    const seen = await textwright.look({model, text}, null);
    const plain = (value) => typeof value === "number" ? value : Array.from(value, plain);
    return {tokens: seen.tokens, layers: plain([seen.units, seen.attention ?? []])};
}"""


def flat(values: Any) -> list[float]:
    return (
        [values]
        if isinstance(values, (int, float))
        else [one for each in values for one in flat(each)]
    )


@pytest.mark.parametrize("model", ["shakespeare", "gru"])
def test_what_is_inside_is_shown_and_is_what_the_offline_page_computes(
    tab: Any, watch: Watch, studio: Studio, tmp_path: Any, model: str
) -> None:
    """Of one with attention, one with neurons; `test_page_runtime.py` compares all families."""
    open_part(tab, studio, "look", model)
    there = tab.evaluate(LOOK, [model, PASSAGE])
    lens = "Attention" if model == "shakespeare" else "Neurons"
    tab.wait_for_selector(".view.look:not(.busy) .lens .t")  # a passage, before anybody asks
    tab.get_by_label("Passage", exact=True).fill(PASSAGE)
    assert "stale" in (tab.locator(".look .stage").get_attribute("class") or "")
    tab.get_by_role("button", name="Look", exact=True).click()
    tab.wait_for_selector(".look .stage:not(.stale) .lens .t")
    assert tab.get_by_role("radio", name=lens).get_attribute("aria-checked") == "true"
    assert tab.locator(".lens .t").count() == len(there["tokens"])
    if lens == "Neurons":
        assert tab.locator(".card:has-text('r =')").count() >= 2
    else:
        tab.locator(".heads button").first.click()
    tab.get_by_role("radio", name="Surprise").click()
    tab.wait_for_selector(".numbers:has-text('bits a character')")
    assert watch.said == []
    assert watch.elsewhere(studio.url) == []
    run = Run(GOLDEN / model) if model == "gru" else model
    tab.goto(write_offline_page(run, tmp_path / "page.html", dtype="float16").as_uri())
    ready(tab)
    here = tab.evaluate(LOOK, [model, PASSAGE])
    assert [one["text"] for one in here["tokens"]] == [one["text"] for one in there["tokens"]]
    pairs = list(zip(flat(here["layers"]), flat(there["layers"]), strict=True))
    assert len(pairs) > 500
    assert max(abs(a - b) for a, b in pairs) < 0.02


MARK = """() => {
    const [text] = document.querySelectorAll(".lens .tokens.units");
    const range = document.createRange();
    range.setStart(text.children[15].firstChild, 0);
    range.setEnd(text.children[25].firstChild, 1);
    getSelection().removeAllRanges();
    getSelection().addRange(range);
    text.dispatchEvent(new PointerEvent("pointerup", { bubbles: true }));
}"""


@pytest.mark.parametrize("model", ["shakespeare", "gru"])
def test_a_neuron_is_found_by_marking_and_played(
    tab: Any, watch: Watch, studio: Studio, tmp_path: Any, model: str
) -> None:
    """On the server and in the one file; of one with attention a channel of its stream."""

    def play() -> None:
        tab.wait_for_selector(".view.look:not(.busy) .lens .t")
        tab.get_by_label("Passage", exact=True).fill(PASSAGE)
        tab.get_by_role("button", name="Look", exact=True).click()
        tab.wait_for_selector(".look .stage:not(.stale) .lens .t")
        tab.get_by_role("radio", name="Neurons").click()
        tab.evaluate(MARK)
        cards = tab.locator("section:has(> h2:text('what you marked')) .card")
        cards.nth(5).wait_for()
        shares = [
            abs(float(text.split("=")[1].replace("−", "-"))) for text in cards.all_inner_texts()
        ]
        assert shares == sorted(shares, reverse=True) and shares[0] > 0.3
        assert tab.locator(".lens .marked").count() == 11
        cards.nth(1).click()
        assert cards.nth(1).get_attribute("aria-pressed") == "true"
        tab.locator(".lens .units .t").nth(3).focus()
        tab.keyboard.press("Shift+ArrowRight")
        assert tab.locator(".lens .marked").count() == 2
        tab.get_by_role("button", name="Write with it held").click()
        plain, held = tab.locator(".pair .tokens").all()
        tab.wait_for_selector(".player:not(.busy) .pair")
        texts = [one.inner_text() for one in (plain, held)]
        assert texts[0] != texts[1] and min(map(len, texts)) > 40
        slider = tab.locator(".player input[type=range]")
        slider.fill("-1")
        tab.wait_for_selector(".player .pair h3:has-text('Held at −1.00')")
        tab.wait_for_selector(".player:not(.busy) .pair")
        assert plain.inner_text() == texts[0]
        assert held.inner_text() != texts[1]

    open_part(tab, studio, "look", model)
    play()
    run = Run(GOLDEN / model) if model == "gru" else model
    tab.goto(write_offline_page(run, tmp_path / "page.html").as_uri() + "#look")
    play()
    assert watch.said == []
