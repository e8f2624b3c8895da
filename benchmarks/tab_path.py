"""A stranger's path through training in a browser's tab, timed: from a file on the disk to a model.

    python benchmarks/tab_path.py TEXT [--minutes 5] [--kind "lstm nano"] [--pictures FOLDER]

opens the page without a model in Chromium from the disk, drops TEXT on it, presses Train at once,
writes with what was trained, downloads it, and lets textwright import it,
generate with it and begin a training with it. It prints how long each took since the text was
dropped, the bits a character, tokens a second, the most memory that the tab's process held, and
how many processes waited for the machine meanwhile.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import psutil

from textwright.page import write_offline_page


class Memory:
    """The most that any one process of a browser holds of its own, in bytes, until it is closed.

    A tab is a process; its workers are threads of it.
    """

    def __init__(self) -> None:
        self.most = 0
        self.loads: list[float] = []
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        while not self._ended.wait(0.5):
            self.loads.append(os.getloadavg()[0])
            for process in psutil.Process().children(recursive=True):
                try:
                    if "--type=renderer" in process.cmdline():
                        self.most = max(self.most, process.memory_full_info().uss)
                except psutil.Error:
                    continue  # it has ended

    def close(self) -> None:
        self._ended.set()
        self._thread.join()


def textwright(folder: Path, *words: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "textwright", *words],
        cwd=folder, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stdout


def walk(
    tab: Any, text: Path, minutes: float, kind: str, folder: Path, pictures: Path | None
) -> None:
    """The path itself, printing what it took."""
    begun = time.perf_counter()

    def say(what: str) -> None:
        print(f"{time.perf_counter() - begun:8.1f} s  {what}", flush=True)

    def picture(name: str) -> None:
        if pictures is not None:
            pictures.mkdir(parents=True, exist_ok=True)
            tab.screenshot(path=str(pictures / f"{name}.png"))

    tab.goto(write_offline_page(None, folder / "train.html").as_uri())
    tab.wait_for_selector(".here .drop")
    say("opened from the disk")
    picture("opened")
    tab.locator(".here").get_by_label("Minutes").fill(str(minutes))
    tab.get_by_label("Kind of model").select_option(kind)
    begun = time.perf_counter()
    tab.locator("#tab-text").set_input_files(text)
    tab.locator(".here").get_by_role("button", name="Train", exact=True).click()
    tab.wait_for_selector(".lesson .latest .t", state="attached")
    say(f"the first sample: {tab.locator('.lesson .status').inner_text()}")
    tab.wait_for_timeout(30_000 * minutes)
    picture("learning")
    say(tab.locator(".lesson .status").inner_text())
    tab.wait_for_selector(".phase.finished")
    bits = tab.locator(".lesson .numbers dd").nth(1).inner_text()
    say(f"trained: {bits} bits a character; {tab.locator('.lesson .verdict').inner_text()}")
    picture("trained")
    with tab.expect_download() as run:
        tab.get_by_role("button", name="Download the run").click()
    archive = folder / run.value.suggested_filename
    run.value.save_as(archive)
    say(f"downloaded {archive.name}: {archive.stat().st_size:,} bytes")
    tab.get_by_role("button", name="Open in Write").click()
    tab.locator(".write .letters .t").nth(60).wait_for()
    say("it writes")
    picture("writing")
    name = archive.stem
    textwright(folder, "import", archive.name)
    said = textwright(folder, "generate", name, "-n", "200", "--seed", "1")
    say("textwright generate")
    textwright(folder, "train", str(text), "--from", name, "--steps", "5", "--name", "next")
    say("textwright train --from")
    print(f"\n{said}\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("text", type=Path)
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--kind", default="lstm nano")
    parser.add_argument("--pictures", type=Path, metavar="FOLDER")
    parser.add_argument("--chromium", default="/usr/bin/chromium")
    asked = parser.parse_args()
    from playwright.sync_api import sync_playwright

    print(platform.processor() or platform.machine(), f"{os.cpu_count()} cores")
    with tempfile.TemporaryDirectory() as temporary, sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=asked.chromium, args=["--headless", "--no-sandbox", "--disable-gpu"]
        )
        tab = browser.new_page(viewport={"width": 1280, "height": 900}, reduced_motion="reduce")
        tab.set_default_timeout(60_000 * asked.minutes + 600_000)
        memory = Memory()
        text = asked.text.resolve()
        walk(tab, text, asked.minutes, asked.kind, Path(temporary), asked.pictures)
        memory.close()
        browser.close()
    load = sum(memory.loads) / len(memory.loads)
    print(f"the tab held at most {memory.most / 1e6:.0f} MB; load {load:.1f} on average")


if __name__ == "__main__":
    main()
