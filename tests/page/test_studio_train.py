"""The studio in a browser: training there, from a dropped text to the file to take along; and what
must not go wrong on the way."""

from __future__ import annotations

import contextlib
import json
import math
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from pydoc_data import topics
from typing import Any

import psutil
import pytest
from browsing import Watch
from studios import Studio, choose, put, ready, write

from textwright.runs import Run
from textwright.studio.training_routes import PIECE, PIECES

pytestmark = pytest.mark.slow

WHOLE = "\n\n".join(topics.topics[name].strip() for name in sorted(topics.topics))
TEXT = WHOLE[:80_000]
"""As much as a training can learn from; more only takes longer to prepare and to measure."""
MARKUP = "<img src=x onerror=alert(1)>.txt"
LARGE = 23_000_000
"""Bytes of a text that is sent in more than ten pieces."""
LONG = "1.4"
"""Minutes of a training that is not waited for; a longer one measures longer before it begins."""

DROP = """([name, text]) => {
    const carried = new DataTransfer();
    carried.items.add(new File([text], name, {type: "text/plain"}));
    const event = {bubbles: true, cancelable: true, dataTransfer: carried};
    const zone = document.querySelector(".drop");
    for (const kind of ["dragover", "drop"]) zone.dispatchEvent(new DragEvent(kind, event));
}"""


WRITE_AND_STOP = """async () => {
    const button = (name) => [...document.querySelectorAll(".view.write button")]
        .find((one) => one.textContent.trim() === name && one.checkVisibility());
    button("Write").click();
    while (!button("Stop")) await Promise.resolve();
    button("Stop").click();
}"""


@pytest.fixture(name="studio")
def _studio(tmp_path: Path) -> Iterator[Studio]:
    studio = Studio("studio", "--no-browser", folder=tmp_path)
    yield studio
    latest = record(tmp_path)
    studio.close()
    until(lambda: not latest or not alive(latest["pid"]))


def record(folder: Path) -> Any:
    """What the studio notes of its training."""
    file = folder / "runs" / ".studio" / "training.json"
    return json.loads(file.read_text()) if file.exists() else {}


def alive(pid: int) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    return False


def until(condition: Callable[[], bool], seconds: float = 200) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never came to that"
        time.sleep(0.05)


def open_train(tab: Any, studio: Studio) -> None:
    tab.goto(f"{studio.page}#train")
    tab.wait_for_selector(".train form:visible, .train .phase:visible, .train .notice:visible")


def train(tab: Any, name: str, minutes: str, text: str = TEXT, family: str = "gpt") -> None:
    tab.wait_for_selector(".source:visible")
    tab.evaluate(DROP, [name, text])
    tab.get_by_role("spinbutton", name="Minutes").fill(minutes)
    tab.get_by_role("combobox", name="Kind of model").select_option(family)
    tab.get_by_role("button", name="Train", exact=True).click()


def phase(tab: Any, which: str, seconds: float = 200) -> str:
    """Wait until a training stands so; gives how the page says it."""
    tab.wait_for_selector(f".phase.{which}", timeout=1000 * seconds)
    return str(tab.locator(".phase").text_content())


def step_of(tab: Any) -> int:
    """Of the newest sample on the page."""
    heading = str(tab.locator(".sample.latest h3").inner_text())
    return int(heading.removeprefix("step ").replace(",", ""))


def pictures(tab: Any, name: str) -> None:
    """What docs/studio shows, where $TEXTWRIGHT_PICTURES names a folder for it."""
    folder = os.environ.get("TEXTWRIGHT_PICTURES")
    if not folder:
        return
    for device, width, height in (("desktop", 1280, 900), ("phone", 390, 844)):
        for scheme in ("light", "dark"):
            tab.set_viewport_size({"width": width, "height": height})
            tab.emulate_media(color_scheme=scheme)
            tab.screenshot(
                path=Path(folder) / f"{name}-{device}-{scheme}.png", animations="disabled"
            )
    tab.set_viewport_size({"width": 1280, "height": 900})
    tab.emulate_media(color_scheme="light")


def test_a_strangers_path(tab: Any, watch: Watch, studio: Studio, tmp_path: Path) -> None:
    """Open, drop a text, train, open in Write, branch twice, take the file along, open that."""
    began = time.monotonic()
    times = {}

    def mark(what: str) -> None:
        times[what] = round(time.monotonic() - began, 1)

    open_train(tab, studio)
    minutes = os.environ.get("TEXTWRIGHT_TEST_MINUTES", "0.08")
    text = os.environ.get("TEXTWRIGHT_TEST_TEXT")
    train(tab, "My Novel.txt", minutes, Path(text).read_text(encoding="utf-8") if text else TEXT)
    phase(tab, "training", 200 + 60 * float(minutes))
    mark("training begins")
    tab.wait_for_selector(".sample >> nth=1")
    mark("a first evaluation")
    assert "," in tab.locator(".curves .val").first.get_attribute("points")
    assert tab.locator(".sample.latest .tokens").text_content()
    if os.environ.get("TEXTWRIGHT_PICTURES"):
        tab.wait_for_selector(".sample >> nth=3")
    pictures(tab, "train-begun")
    phase(tab, "finished", 200 + 60 * float(minutes))
    mark("trained")
    assert tab.locator(".verdict p").first.text_content()
    run = Run(tmp_path / "runs" / record(tmp_path)["run"])
    assert not run.live_file.exists()
    with tab.expect_popup() as opened:
        tab.get_by_role("link", name="Report").click()
    opened.value.wait_for_selector(f"h1:has-text('{run.name}')")
    opened.value.close()
    pictures(tab, "train")
    tab.get_by_role("button", name="Open in Write").click()
    tab.wait_for_selector(".view.write:not([hidden])")
    assert tab.locator(".picker").input_value() == "my-novel"
    ready(tab)
    write(tab, "The ")
    mark("written")
    for branch in (1, 2):
        choose(tab, 10 + branch)
    mark("branched twice")
    assert tab.locator(".branch").count() == 3
    tab.locator(".view.write").get_by_role("button", name="Save as one file").click()
    with tab.expect_download() as download:
        tab.get_by_role("dialog").get_by_role("button", name="Save", exact=True).click()
    file = tmp_path / download.value.suggested_filename
    download.value.save_as(file)
    assert file.name == "my-novel.html"
    mark("saved as one file")
    there = dict(zip(("said", "elsewhere"), (watch.said, watch.elsewhere(studio.url)), strict=True))
    assert there == {"said": [], "elsewhere": []}
    tab.goto(file.as_uri())
    ready(tab)
    assert tab.locator(".tab").count() == 2  # no Train without a server
    assert write(tab, "The ").startswith("The ")
    mark("written without a server")
    assert watch.said == []
    print(json.dumps(times))


def test_two_browsers_a_reload_and_stop(
    tab: Any, browser: Any, watch: Watch, studio: Studio, tmp_path: Path
) -> None:
    """The second sees the training and can't end it; Stop in Write ends a text and no training."""
    open_train(tab, studio)
    train(tab, MARKUP, LONG, family="lstm")
    phase(tab, "training")
    other = browser.new_context(reduced_motion="reduce")
    other.set_default_timeout(200_000)
    second = other.new_page()
    watch.over(second)
    open_train(second, studio)
    phase(second, "training")
    assert "started in another browser" in second.locator(".status").first.text_content()
    assert second.get_by_role("button", name="Stop").count() == 0
    assert not second.locator(".drop").is_visible()
    second.goto(f"{studio.page}#write")
    second.wait_for_selector(".picker option[value=shakespeare]", state="attached")
    second.locator(".picker").select_option("shakespeare")
    put(second, "The ", Length=4000)
    # While the training goes on; in one go, for four thousand tokens may be written in no time
    second.evaluate(WRITE_AND_STOP)
    second.wait_for_selector(".write .sheet:not(.writing)")
    assert second.locator(".write .sheet .t").count() < 4000
    tab.wait_for_selector(".sample")
    tab.reload()
    phase(tab, "training")
    assert MARKUP in tab.locator(".status").first.text_content()
    assert alive(record(tmp_path)["pid"])
    tab.get_by_role("button", name="Stop", exact=True).click()
    assert phase(tab, "stopped") == "Stopped"
    run = Run(tmp_path / "runs" / record(tmp_path)["run"])
    left = "best is kept" if run.metrics()[-1]["step"] else "has learned nothing yet"
    assert left in tab.locator(".verdict").text_content()
    assert run.name == "img-src-x-onerror-alert-1"
    assert run.settings()["result"]["status"] == "interrupted"
    assert run.has_model()
    tab.get_by_role("button", name="Open in Write").click()
    tab.wait_for_selector(".view.write:not([hidden])")
    assert tab.locator(".picker").input_value() == run.name
    assert tab.locator("img").count() == second.locator("img").count() == 0
    other.close()
    assert watch.said == []
    assert watch.elsewhere(studio.url) == []


def test_a_crash_is_told_with_its_reason(
    tab: Any, watch: Watch, studio: Studio, tmp_path: Path
) -> None:
    open_train(tab, studio)
    tab.wait_for_selector(".source:visible")
    tab.evaluate(DROP, ["short.txt", "Too short."])
    tab.wait_for_selector(".enough:has-text('10 characters: too short to learn from')")
    assert tab.get_by_role("button", name="Train", exact=True).is_disabled()
    assert str(tmp_path) not in tab.locator("body").text_content()
    train(tab, "shakespeare.txt", LONG)
    phase(tab, "training")
    tab.wait_for_selector(".sample")
    os.kill(record(tmp_path)["pid"], signal.SIGKILL)
    assert "was killed (SIGKILL)" in phase(tab, "failed")
    assert tab.get_by_role("button", name="Go on").is_visible()
    # what is kept can be used, under a name that no model of the package has
    tab.get_by_role("button", name="Open in Write").click()
    tab.wait_for_selector(".view.write:not([hidden])")
    assert tab.locator(".picker").input_value() == "shakespeare-2"
    tab.goto(f"{studio.page}#train")
    tab.evaluate(DROP, ["a.txt", "%PDF-1.4\n" + "x" * 3000])
    tab.get_by_role("button", name="Train", exact=True).click()
    tab.wait_for_selector(".notice:has-text('a.txt holds no usable text: it is a PDF')")
    assert [line for line in watch.said if "400" not in line] == []


def test_a_server_that_is_gone_and_comes_again(
    tab: Any, watch: Watch, studio: Studio, tmp_path: Path
) -> None:
    """Killed, it leaves the training running, and the next finds it; told to end, it ends it, and
    the next goes on with it."""
    open_train(tab, studio)
    train(tab, "mine.txt", "4")  # two servers start meanwhile
    phase(tab, "training")
    tab.wait_for_selector(".sample")
    # It writes between evaluations, of which a long training has one in twenty seconds
    run = Run(tmp_path / "runs" / record(tmp_path)["run"])
    until(lambda: step_of(tab) > run.metrics()[-1]["step"])
    pid, port = record(tmp_path)["pid"], int(studio.url.rpartition(":")[2])
    studio.process.kill()
    studio.process.wait()
    tab.wait_for_selector('.notice:has-text("The server doesn\'t answer")')
    tab.wait_for_selector(".stale")
    assert alive(pid)
    again = Studio("studio", "--no-browser", folder=tmp_path, port=port)
    try:
        tab.wait_for_selector(".lens:not(.stale) .phase.training")
        tab.wait_for_selector(".train .notice:empty", state="attached")
        tab.get_by_role("button", name="Stop", exact=True).click()
        phase(tab, "stopped")
        until(lambda: not alive(pid))
        train(tab, "mine.txt", "4")
        phase(tab, "training")
        tab.wait_for_selector(".sample")
    finally:
        again.close()
    until(lambda: not alive(record(tmp_path)["pid"]))  # it may save for longer than that waits
    third = Studio("studio", "--no-browser", folder=tmp_path, port=port)
    try:
        tab.reload()
        assert phase(tab, "stopped") == "Stopped: it ended with the server"
        assert tab.get_by_role("button", name="Open in Write").is_visible()
        run = Run(tmp_path / "runs" / record(tmp_path)["run"])
        had = run.settings()["result"]["steps"]
        tab.get_by_role("button", name="Go on").click()
        phase(tab, "training")
        until(lambda: run.metrics()[-1]["step"] > had)
        tab.get_by_role("button", name="Stop", exact=True).click()
        assert phase(tab, "stopped") == "Stopped"
        steps = [one["step"] for one in run.metrics()]
        assert steps == sorted(set(steps)) and run.settings()["result"]["steps"] > had
        run.remove()
        tab.get_by_role("button", name="Go on").click()
        tab.wait_for_selector(".notice:has-text('nothing of that training is left')")
    finally:
        third.close()
    texts = list((tmp_path / "runs" / ".studio" / "uploads").iterdir())
    assert len(texts) == 1
    # The server is gone, in another's way, about to go; the run is gone
    others = ("ERR_CONNECTION_REFUSED", "409", "503", "404")
    assert [line for line in watch.said if not any(one in line for one in others)] == []


def test_a_large_text_and_one_that_is_too_large(
    tab: Any, watch: Watch, studio: Studio, tmp_path: Path
) -> None:
    """Sent in pieces and trained on, while the page answers; over the limit: one line."""
    large = tmp_path / "large.txt"
    large.write_bytes((WHOLE * 60).encode()[:LARGE])
    open_train(tab, studio)
    tab.wait_for_selector(".source:visible")
    tab.locator("#train-text").set_input_files(large)
    tab.get_by_role("spinbutton", name="Minutes").fill(LONG)
    tab.get_by_role("button", name="Train", exact=True).click()
    phase(tab, "preparing")
    pieces = [url for url in watch.requested if PIECES in url]
    assert len(pieces) == math.ceil(LARGE / PIECE) > 10  # each was sent once
    tab.goto(f"{studio.page}#write")
    ready(tab)
    write(tab, "It ", Length=20)
    tab.goto(f"{studio.page}#train")
    phase(tab, "training")
    tab.get_by_role("button", name="Stop", exact=True).click()
    phase(tab, "stopped")
    with large.open("a") as file:
        file.write("x" * (64 << 20))
    tab.wait_for_selector(".source:visible")
    tab.locator("#train-text").set_input_files(large)
    tab.wait_for_selector(".notice:has-text('MB long; texts of up to 64.0 MB are taken')")
    assert tab.get_by_role("button", name="Train", exact=True).is_disabled()
    assert watch.said == []


def test_a_server_for_others_says_why_it_does_not_train(
    tab: Any, watch: Watch, tmp_path: Path
) -> None:
    studio = Studio("serve", "shakespeare", "--root-path", "/tw", folder=tmp_path)
    try:
        open_train(tab, studio)
        tab.wait_for_selector(".train.here form:visible")  # a tab may train all the same
        tab.get_by_role("radio", name="On the machine that serves").click()
        tab.wait_for_selector(".notice:has-text('--allow-training')")
        assert not tab.locator(".drop").is_visible()
        assert not (tmp_path / "runs").exists()
        assert watch.said == []
    finally:
        studio.close()
