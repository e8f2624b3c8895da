"""What the page says of a training, in its own words; results beside new input; a large tree."""

from __future__ import annotations

import json
from typing import Any

import pytest
from browsing import Watch
from studios import Studio, finished, put, ready, text_of, write

from textwright.serving import ServerSettings

pytestmark = pytest.mark.slow

COMMANDS = ("--", "model.", "training.", "conversation", "max_tokens", "block_size")
"""What stands in the command line's words and not in the page's."""
DROP = """([name, bytes]) => {
    const files = new DataTransfer();
    files.items.add(new File([Uint8Array.from(bytes)], name));
    const options = { bubbles: true, cancelable: true, dataTransfer: files };
    document.querySelector(".train").dispatchEvent(new DragEvent("drop", options));
}"""
TRAINING: dict[str, Any] = {
    "number": "1", "text": "mine.txt", "family": "gpt", "minutes": 1.0, "yours": True,
    "elapsed": 20.0, "run": "mine", "ready": True, "reason": None, "verdict": None,
    "can_go_on": False, "report": False, "legs": [], "metrics": [], "samples": [], "live": None,
    "steps": 100, "parameters": 1000, "phase": "training",
}  # fmt: skip
EVALUATION = {
    "step": 1, "seconds": 10.0, "train_loss": 4.1, "val_loss": 4.2, "val_bits_per_char": 6.0,
}  # fmt: skip


class Told:
    """A server that tells of a training in a state that would take minutes to come to."""

    def __init__(self, tab: Any) -> None:
        self.tab = tab
        self.training: dict[str, Any] | None = None
        tab.route("**/api/training", self._answer)

    def _answer(self, route: Any) -> None:
        answer = route.fetch()
        route.fulfill(response=answer, json={**answer.json(), "training": self.training})

    def say(self, **fields: Any) -> None:
        """From now on, and at once."""
        self.training = {**TRAINING, **fields}
        self.tab.evaluate("document.dispatchEvent(new Event('visibilitychange'))")


def open_train(tab: Any, studio: Studio) -> Told:
    told = Told(tab)
    tab.goto(f"{studio.page}#train")
    tab.wait_for_selector(".train .source:visible")
    return told


def test_what_goes_wrong_is_said_in_the_pages_words(tab: Any, studio: Studio) -> None:
    told = open_train(tab, studio)
    for reason in (
        "the validation conversations have no words of the assistant to learn",
        "106 tokens are too few: give it more text, or set model.block_size below 128",
    ):
        told.say(phase="failed", reason=reason, run=None, ready=False)
        tab.wait_for_selector(".phase.failed:has-text('too short to learn from')")
        said = tab.locator(".phase").inner_text()
        assert not any(word in said for word in COMMANDS)
    verdict = {"kind": "short", "text": "too short to tell", "grounds": "evaluate more often with "
               "--eval-every", "advice": "go on: --resume --minutes +2"}  # fmt: skip
    told.say(phase="finished", metrics=[EVALUATION], verdict=verdict)
    tab.wait_for_selector(".verdict:has-text('2 more minutes')")
    said = tab.locator(".verdict").inner_text()
    assert not any(word in said for word in COMMANDS), said
    # a short text, before anything is sent or measured
    told.say(phase="finished", metrics=[EVALUATION])
    tab.evaluate(DROP, ["tiny.txt", list(b"Hello world.")])
    tab.wait_for_selector(".enough:has-text('12 characters: too short to learn from')")
    assert tab.get_by_role("button", name="Train", exact=True).is_disabled()


def test_a_long_text_is_asked_for_in_pieces(tab: Any, watch: Watch, studio: Studio) -> None:
    """The field takes more than one request of the server may have."""
    tab.goto(f"{studio.page}#write/shakespeare")
    finished(tab)
    asked: list[int] = []

    def note(request: Any) -> None:
        if request.url.endswith("/v1/completions"):
            asked.append(request.post_data_json["max_tokens"])

    tab.on("request", note)
    told = write(tab, "The ", Length=2100)
    assert len(told) >= 2100
    assert sum(asked) >= 2100 > max(asked) and max(asked) <= ServerSettings().max_length
    assert watch.said == []


def test_progress_moves_and_says_no_seconds_that_never_pass(tab: Any, studio: Studio) -> None:
    tab.emulate_media(reduced_motion="no-preference")
    told = open_train(tab, studio)
    told.say(phase="preparing", run=None)
    bar = tab.locator(".train progress")
    tab.wait_for_selector(".train progress.unknown")
    assert bar.evaluate("(one) => getComputedStyle(one).animationName") == "sweep"
    assert bar.get_attribute("value") is None
    first = {**EVALUATION, "step": 1}
    told.say(metrics=[first], steps=2, elapsed=10.0)
    tab.wait_for_selector(".curves text:text-is('1 step')", state="attached")
    assert bar.evaluate("(one) => getComputedStyle(one).animationName") == "none"
    last = {**EVALUATION, "step": 100, "seconds": 60.0}
    for elapsed in (61.0, 75.0):
        told.say(metrics=[first, last], steps=100, elapsed=elapsed)
        tab.wait_for_selector(f".train .status:has-text('1:{int(elapsed) - 60:02} min')")
        said = tab.locator(".train .status").first.inner_text()
        assert "about to end" in said and "left" not in said


def test_stopped_before_its_first_step(tab: Any, studio: Studio) -> None:
    told = open_train(tab, studio)
    tab.evaluate(DROP, ["mine.txt", list(b"A text of some length. " * 200)])
    tab.wait_for_selector(".enough:has-text('4,599 characters')")
    early = {**TRAINING, "phase": "preparing", "run": None, "ready": False}

    def started(route: Any) -> None:
        told.training = early
        route.fulfill(json={"allowed": True, "families": ["gpt"], "training": early})

    tab.route("**/api/training/start", started)
    tab.get_by_role("button", name="Train", exact=True).click()
    tab.wait_for_selector(".stop:visible")
    told.say(phase="stopped", run=None, ready=False)
    tab.wait_for_selector(".verdict:has-text('before its first step')")
    assert tab.locator(".chosen").inner_text().startswith("mine.txt")
    assert tab.get_by_role("button", name="Train", exact=True).is_enabled()


def test_files_that_are_no_text_are_refused_before_they_are_sent(tab: Any, studio: Studio) -> None:
    open_train(tab, studio)
    sent: list[str] = []

    def note(request: Any) -> None:
        sent.append(request.url)

    tab.on("request", note)
    tab.evaluate(DROP, ["empty.txt", []])
    tab.wait_for_selector(".train .notice:has-text('empty.txt is empty')")
    assert "kB" not in tab.locator(".source").inner_text().split("Train")[0].split("Drop")[-1]
    tab.evaluate(DROP, ["picture.txt", [0, 1, 2, 3] * 1000])
    tab.wait_for_selector(".train .notice:has-text('picture.txt holds no text')")
    assert tab.get_by_role("button", name="Train", exact=True).is_disabled()
    utf16 = list("Some text in another encoding. ".encode("utf-16")) * 90
    tab.evaluate(DROP, ["other.txt", utf16])
    tab.wait_for_selector(".chosen:has-text('other.txt · 6 kB')")
    assert tab.get_by_role("button", name="Train", exact=True).is_enabled()
    assert not [url for url in sent if "uploads" in url]


def test_results_of_another_passage_are_pale(tab: Any, studio: Studio) -> None:
    tab.goto(f"{studio.page}#look/shakespeare")
    tab.wait_for_selector(".view.look:not(.busy) .heads button")
    passage = tab.get_by_label("Passage", exact=True)
    passage.fill("")
    tab.get_by_role("button", name="Look", exact=True).click()
    tab.wait_for_selector(".look .notice:has-text('Write or paste a passage first')")
    assert "stale" in tab.locator(".look .stage").get_attribute("class")
    # a result of a training, while another text is being chosen; its run stays in the list
    told = open_train(tab, studio)
    told.say(phase="finished", metrics=[EVALUATION], verdict=None)
    tab.wait_for_selector(".phase.finished")
    assert tab.locator(".train > .lens.stale").count() == 0
    tab.evaluate(DROP, ["empty.txt", []])
    tab.wait_for_selector(".train .notice:has-text('empty.txt is empty')")
    tab.wait_for_selector(".train > .lens.stale .phase.finished")
    tab.wait_for_selector(".runs li:has-text('shakespeare')")


def test_the_tree_keeps_its_current_branch_in_sight(tab: Any, studio: Studio) -> None:
    """Sixty branches; and what is written on without a fork is none."""
    tab.goto(f"{studio.page}#write/shakespeare")
    put(tab, "The night")
    for _ in range(3):
        tab.locator(".typed").focus()
        tab.keyboard.press("Control+End")
        tab.locator(".deskbar .field:has-text('Length') input").fill("5")
        tab.locator(".deskbar .primary").click()
        finished(tab)
    assert tab.locator(".treebox").is_hidden()
    tokens = [{"text": letter, "logprob": -1.0} for letter in "The night was long and"]
    nodes: list[dict[str, Any]] = [{"id": 1, "parent": None, "at": 0, "tokens": tokens}]
    for number in range(2, 62):
        own = [{"text": letter, "logprob": -1.0} for letter in f" the {number}th branch of it"]
        nodes.append({"id": number, "parent": 1, "at": 22, "tokens": [*tokens, *own]})
    file = {"format": "textwright text 1", "model": "shakespeare", "name": "", "star": False,
            "current": 61, "nodes": nodes}  # fmt: skip
    content = {"name": "tree.json", "mimeType": "application/json",
               "buffer": json.dumps(file).encode()}  # fmt: skip
    tab.locator(".shelf input[type=file]").set_input_files(content)
    tab.wait_for_selector(".branch >> nth=60")
    assert "the 61th branch" in text_of(tab)
    inside = """() => {
        const frame = document.querySelector(".treeframe").getBoundingClientRect();
        const box = document.querySelector(".branch.here").getBoundingClientRect();
        return box.top >= frame.top && box.bottom <= frame.bottom && box.left >= frame.left;
    }"""
    assert tab.evaluate(inside)
    label = tab.locator(".branch.here text").first.text_content()
    assert label is not None and len(label) > 12
    tab.locator(".branch.here").focus()
    tab.keyboard.press("Home")
    tab.keyboard.press("Enter")
    ready(tab)
    assert tab.evaluate(inside)
