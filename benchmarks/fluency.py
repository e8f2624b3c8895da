"""How fluent the studio's page stays: the longest task of its main thread, and its CPU time.

    python benchmarks/fluency.py [--tokens N] [--model NAME]

Starts a studio and Chromium. Prints, while the page writes N tokens (10,000 of them may stand on
it at the end), somebody's cursor in it: the longest task of the main thread, in CPU time of that
thread (on a machine that others use too the clock tells of them) and by the clock, how many took
50 ms of CPU time and more, the share of a core that all took, and the same for letters typed into
the middle of that text.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

SWITCHES = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"]
LONGEST = 600_000  # ms


TRACED = ["toplevel", "devtools.timeline"]


def open_studio(folder: Path, *models: str) -> tuple[subprocess.Popen[bytes], str]:
    """A studio that keeps its files in `folder`, and its page's address."""
    log = folder / "studio.log"
    with log.open("wb") as out:
        studio = subprocess.Popen(
            [sys.executable, "-m", "textwright", "studio", *models, "--no-browser", "--port", "0"],
            cwd=folder, stderr=out,
        )  # fmt: skip
    while "page " not in (said := log.read_text()):
        assert studio.poll() is None, said
    return studio, said.partition("page ")[2].split()[0]


def measured(browser: Any, tab: Any, what: str, task: Any) -> None:
    """Run `task` and print what it cost."""
    begun = time.perf_counter()
    browser.start_tracing(page=tab, categories=TRACED)
    task()
    events = json.loads(browser.stop_tracing())["traceEvents"]
    wall = time.perf_counter() - begun
    names = [one for one in events if one.get("name") == "thread_name"]
    threads = {(one["pid"], one["tid"]) for one in names
               if one["args"].get("name") == "CrRendererMain"}  # fmt: skip
    tasks = [one for one in events if one.get("ph") == "X" and one["name"].endswith("RunTask")
             and (one["pid"], one["tid"]) in threads]  # fmt: skip
    used = [one.get("tdur", 0) / 1000 for one in tasks]
    print(
        f"{what}: {wall:.1f} s, longest task {max(used):.0f} ms of CPU time "
        f"({max(one['dur'] for one in tasks) / 1000:.0f} by the clock), "
        f"{sum(one >= 50 for one in used)} of 50 ms and more, "
        f"{sum(used) / wall / 10:.0f} % of a core"
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--tokens", type=int, default=10_000)
    parser.add_argument("--model", default="shakespeare")
    arguments = parser.parse_args()
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as driver:
        studio, address = open_studio(Path(folder), arguments.model)
        try:
            browser = driver.chromium.launch(executable_path=chromium, args=SWITCHES)
            tab = browser.new_page(viewport={"width": 1280, "height": 860})
            tab.set_default_timeout(LONGEST)
            tab.goto(f"{address}#write/{arguments.model}")
            tab.wait_for_selector(".write .sheet:not(.writing) .letters .t >> nth=40")
            tab.get_by_label("Length").fill(str(arguments.tokens))

            def write() -> None:
                tab.locator(".typed").focus()
                tab.keyboard.press("Control+End")
                tab.keyboard.press("Control+Enter")
                tab.wait_for_selector(".sheet.writing")
                tab.wait_for_selector(".write .sheet:not(.writing)")

            def type_() -> None:
                tab.locator(".typed").focus()
                middle = arguments.tokens // 2
                tab.evaluate(
                    f"document.querySelector('.typed').setSelectionRange({middle}, {middle})"
                )
                tab.keyboard.type("and so it was, and ever will be ", delay=80)

            measured(browser, tab, f"writing {arguments.tokens:,} tokens", write)
            measured(browser, tab, "typing 32 letters into the middle", type_)
            browser.close()
        finally:
            studio.terminate()
            studio.wait()


if __name__ == "__main__":
    main()
