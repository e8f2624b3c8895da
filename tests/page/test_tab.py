"""Training in a browser's tab, as a stranger does it: one file, a text, a model that goes far."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
from browsing import Watch
from firefox import Firefox
from studios import Studio, finished
from test_studio_accessibility import findings

from textwright.page import can_learn, write_offline_page

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not can_learn(), reason="needs the engine: python hatch_build.py"),
]

TEXT = "".join(
    f"The {size} {animal} sat on the {place}, and the {place} was {size}.\n"
    for size in ("small", "large", "red", "old", "quiet", "wet")
    for animal in ("cat", "dog", "hen", "owl", "fox", "mouse")
    for place in ("mat", "wall", "roof", "bench", "stone")
)
SIDEWAYS = "document.documentElement.scrollWidth - innerWidth"

STEPS = "Number(document.querySelector('.lesson .numbers dd').textContent.replace(/\\D/g, ''))"
LISTEN = """void (window.went_wrong = [],
    addEventListener("error", (event) => went_wrong.push(event.message)),
    addEventListener("unhandledrejection", (event) => went_wrong.push(String(event.reason))))"""
TITLES = """void (window.titles = [], new MutationObserver(() => titles.push(document.title))
    .observe(document.querySelector("title"), { childList: true }))"""
DROP = """(([name, text]) => {
    const dataTransfer = new DataTransfer();
    dataTransfer.items.add(new File([text], name));
    const drop = new DragEvent("drop", { dataTransfer, bubbles: true, cancelable: true });
    document.querySelector(".here").dispatchEvent(drop);
})"""
CHANGE = """((selector, value) => {
    const field = document.querySelector(selector);
    field.value = value;
    field.dispatchEvent(new Event("change", { bubbles: true }));
})"""


@pytest.fixture(scope="module", name="page")
def _page(tmp_path_factory: pytest.TempPathFactory) -> str:
    return write_offline_page(None, tmp_path_factory.mktemp("page") / "train.html").as_uri()


def ask(tab: Any, *, minutes: float = 0.1, kind: str = "lstm pico", beside: str = "") -> None:
    """Paste a text, and choose."""
    tab.get_by_role("radio", name="Paste").click()
    tab.locator(".here textarea").fill(TEXT)
    tab.locator(".here").get_by_label("Kind of model").select_option(kind)
    tab.locator(".here").get_by_label("Beside it").select_option(beside)
    minutes_field = tab.locator(".here").get_by_label("Minutes")
    minutes_field.fill(str(minutes))
    minutes_field.press("Tab")


def drop(tab: Any, name: str, text: str) -> None:
    tab.evaluate(f"({DROP})", [name, text])


def begin(tab: Any, **asked: Any) -> None:
    """Train, and wait for the first thing that it writes."""
    ask(tab, **asked)
    tab.locator(".here").get_by_role("button", name="Train", exact=True).click()
    tab.wait_for_selector(".lesson .latest .t", state="attached")


def stop(tab: Any) -> None:
    """Once it has learned something."""
    until(tab, f"{STEPS} > 0")
    tab.locator(".lesson").get_by_role("button", name="Stop").click()
    tab.wait_for_selector(".phase.stopped")


def until(tab: Any, script: str) -> None:
    """Wait until an expression is true; the page's policy lets no script wait for that there."""
    while not tab.evaluate(script):
        tab.wait_for_timeout(100)


def steps(tab: Any) -> int:
    return int(tab.evaluate(STEPS))


def textwright(folder: Path, *words: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "textwright", *words], cwd=folder, capture_output=True, text=True,
        encoding="utf-8", env={**os.environ, "OMP_NUM_THREADS": "1"}, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_stranger_trains_writes_and_takes_it_along(
    tab: Any, watch: Watch, page: str, tmp_path: Path
) -> None:
    """From the file on the disk to a model that writes there, in textwright, and in a file anew."""
    tab.goto(page)
    tab.wait_for_selector(".here .drop")
    assert ".epub" not in str(tab.locator("#tab-text").get_attribute("accept"))
    drop(tab, "wide.csv", "é" * 1999)
    tab.locator(".enough").get_by_text("1,999 characters: too short to learn from").wait_for()
    drop(tab, "spaces.txt", " " * 5000)
    tab.locator(".notice").get_by_text("spaces.txt is empty").wait_for()
    tab.evaluate(TITLES)
    begin(tab)
    tab.wait_for_selector(".phase.finished")
    assert any("learning" in title and "%" in title for title in tab.evaluate("titles"))
    with tab.expect_download() as run:
        tab.get_by_role("button", name="Download the run").click()
    with tab.expect_download() as file:
        tab.locator(".lesson").get_by_role("button", name="Save as one file").click()
    commands = [line.split() for line in tab.locator(".commands pre").inner_text().split("\n")]
    tab.get_by_role("button", name="Open in Write").click()
    assert len(finished(tab)) > 40

    assert run.value.suggested_filename == "pasted.zip"
    run.value.save_as(tmp_path / "pasted.zip")
    (tmp_path / "more.txt").write_text(TEXT[::-1], encoding="utf-8")
    assert zipfile.ZipFile(tmp_path / "pasted.zip").testzip() is None
    assert [words[:2] for words in commands] == [
        ["textwright", command] for command in ("import", "generate", "serve", "train")
    ]
    textwright(tmp_path, *commands[0][1:])
    assert len(textwright(tmp_path, *commands[1][1:], "-n", "30")) >= 30
    textwright(tmp_path, *commands[3][1:], "--steps", "2")

    file.value.save_as(tmp_path / "pasted.html")
    tab.goto((tmp_path / "pasted.html").as_uri())
    assert len(finished(tab)) > 40
    assert tab.get_by_role("link", name="Train", exact=True).is_visible()
    assert watch.said == []
    assert watch.elsewhere("file:") == []


def test_a_closed_tab_goes_on_where_it_was(tab: Any, watch: Watch, page: str) -> None:
    tab.goto(page)
    begin(tab, minutes=30)
    until(tab, "document.querySelector('.lesson progress').value > 0")
    tab.get_by_role("button", name="Pause").click()
    tab.wait_for_selector(".phase.paused")
    step = steps(tab)
    assert step > 0
    other = tab.context.new_page()
    watch.over(other)
    tab.close()
    other.goto(page)
    other.wait_for_selector(".interrupted")
    assert "pasted was interrupted at" in other.locator(".interrupted").inner_text()
    other.locator(".interrupted").get_by_role("button", name="Go on").click()
    other.wait_for_selector(".phase.training")
    assert steps(other) >= step
    stop(other)
    other.reload()
    other.wait_for_selector(".runs.kept li")
    other.get_by_role("button", name="Delete: pasted").click()
    other.wait_for_selector(".runs.kept li", state="detached")
    assert watch.said == []


def test_two_tabs_and_one_training(tab: Any, watch: Watch, page: str, tmp_path: Path) -> None:
    """One learns at a time, from where the other was last; neither stops the other."""
    tab.goto(page)
    begin(tab, minutes=30)
    other = tab.context.new_page()
    watch.over(other)
    other.goto(page)
    other.get_by_role("button", name="Delete: pasted").click()
    other.locator(".notice").get_by_text("It learns in another tab of this browser.").wait_for()
    other.locator(".interrupted").get_by_role("button", name="Go on").click()
    other.locator(".phase").get_by_text("It learns in another tab of this browser.").wait_for()
    assert not other.get_by_role("button", name="Stop").is_visible()
    assert not other.get_by_label("Learning rate").is_visible()
    stale = steps(other)
    tab.bring_to_front()
    until(tab, f"{STEPS} > {stale}")
    tab.get_by_role("button", name="Pause").click()
    tab.wait_for_selector(".phase.paused")
    paused = steps(tab)
    other.bring_to_front()
    other.locator(".lesson").get_by_role("button", name="Go on").click()
    until(other, f"{STEPS} > {paused}")
    other.get_by_role("button", name="Pause").click()
    other.wait_for_selector(".phase.paused")
    last = steps(other)
    other.get_by_role("link", name="Look inside", exact=True).click()
    other.get_by_role("link", name="Train", exact=True).click()
    drop(other, "another.txt", "another")
    other.locator(".notice").get_by_text("A training is under way; stop it first.").wait_for()
    assert other.locator(".phase.paused").is_visible() and steps(other) == last
    tab.bring_to_front()
    assert steps(tab) == paused
    stop(tab)
    assert steps(tab) == last, "it stops what the other tab has learned"
    with tab.expect_download() as run:
        tab.get_by_role("button", name="Download the run").click()
    run.value.save_as(tmp_path / "pasted.zip")
    tab.get_by_role("button", name="Train another one").click()
    tab.locator("input[accept^='.zip']").set_input_files(tmp_path / "pasted.zip")
    tab.get_by_role("button", name=f"Go on with pasted from step {last:,}").click()
    until(tab, f"document.querySelector('.lesson') && {STEPS} > {last}")
    assert "pasted-2" in tab.locator(".lesson .status").first.inner_text()
    assert watch.said == []


def test_two_beside_each_other_and_their_knobs(tab: Any, watch: Watch, page: str) -> None:
    tab.goto(page)
    begin(tab, minutes=30, beside="gpt pico")
    tab.wait_for_selector(".lesson >> nth=1")
    tab.wait_for_selector(".curves polyline.one-1")
    rate = tab.locator(".lesson").nth(1).get_by_label("Learning rate")
    rate.focus()
    tab.keyboard.press("ArrowRight")
    tab.keyboard.press("ArrowRight")
    tab.get_by_text("×2", exact=True).first.wait_for()
    tab.wait_for_selector(".curves path.marked", state="attached")
    assert findings(tab, "desktop") == []
    tab.set_viewport_size({"width": 320, "height": 700})
    assert tab.evaluate(SIDEWAYS) <= 0
    for number in range(2):
        tab.locator(".lesson").nth(number).get_by_role("button", name="Stop").click()
    until(tab, "document.querySelectorAll('.phase.stopped').length === 2")
    assert findings(tab) == []
    tab.get_by_role("button", name="Train another one").click()
    tab.wait_for_selector(".runs.kept li >> nth=1")
    assert findings(tab, "phone") == []
    assert watch.said == []


def test_begun_with_what_the_page_knows(tab: Any, watch: Watch, tmp_path: Path) -> None:
    page = write_offline_page("frankenstein", tmp_path / "page.html", trainable=True)
    tab.goto(f"{page.as_uri()}#train")
    tab.wait_for_selector(".here .drop")
    tab.locator(".here").get_by_label("Begins knowing").select_option("frankenstein")
    begin(tab, kind="lstm nano", minutes=30)
    bits = tab.locator(".lesson .numbers dt:has-text('bits a character') + dd")
    first = float(bits.first.inner_text())
    assert first < 4, "it knows English from the beginning"
    stop(tab)
    assert watch.said == []


def test_the_studio_trains_here_or_there(tab: Any, watch: Watch, tmp_path: Path) -> None:
    """And the page opens with what it has learned where the server is gone."""
    studio = Studio("studio", "frankenstein", "--no-browser", folder=tmp_path)
    try:
        tab.goto(f"{studio.page}#train")
        tab.get_by_role("radio", name="Here in this tab").click()
        begin(tab, minutes=30)
        stop(tab)
        assert findings(tab) == []
        with tab.expect_download() as file:
            tab.locator(".lesson").get_by_role("button", name="Save as one file").click()
        file.value.save_as(tmp_path / "page.html")
        tab.get_by_role("radio", name="On the machine that serves").click()
        tab.get_by_role("heading", name="Runs so far").wait_for()
        tab.reload()
        tab.wait_for_selector(".picker option[value=pasted]", state="attached")
        tab.evaluate("navigator.serviceWorker.ready.then(() => true)")
        assert watch.said == []
    finally:
        studio.close()
    tab.goto(f"{studio.page}#write/pasted")
    assert len(finished(tab)) > 40
    tab.goto((tmp_path / "page.html").as_uri())
    assert len(finished(tab)) > 40
    assert watch.elsewhere(studio.url, "file:") == []


def test_firefox_trains_and_writes(firefox: Firefox, page: str) -> None:
    firefox.goto(page)
    firefox.evaluate(LISTEN)
    firefox.until("document.querySelector('.here .drop')")
    firefox.evaluate("void [...document.querySelectorAll('.here .segments button')].at(0).click()")
    for field, value in (("input[type=number]", "0.1"), ("select", "lstm pico")):
        firefox.evaluate(f"void ({CHANGE})('.here .controls {field}', '{value}')")
    firefox.until("document.querySelector('.here .primary:not(:disabled)')")
    firefox.evaluate("void document.querySelector('.here .primary').click()")
    firefox.until("document.querySelector('.lesson .latest .t')")
    firefox.until("document.querySelector('.phase.finished')")
    firefox.evaluate("void document.querySelector('.lesson .primary:not([hidden])').click()")
    firefox.until("document.querySelectorAll('.write .letters .t').length > 40")
    assert firefox.evaluate("went_wrong") == []
