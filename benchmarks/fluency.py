"""How fluent the studio's page stays: the longest task of its main thread, and its CPU time.

    python benchmarks/fluency.py [--tokens N] [--model NAME]

Starts a studio and Chromium. Prints, while the page writes N tokens (10,000 of them may stand on
it at the end): the longest task of the main thread (`PerformanceObserver`, which tells of those of
50 ms and more), how many there were, the share of a core that the page's scripts, styles and
layout took, and the same for letters typed into the middle of that text.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

LISTEN = """() => {
    globalThis.long = [];
    new PerformanceObserver((list) => {
        for (const { duration } of list.getEntries()) long.push(Math.round(duration));
    }).observe({ type: "longtask" });
}"""
SWITCHES = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"]
LONGEST = 600_000  # ms


def measured(tab: Any, devtools: Any, what: str, task: Any) -> None:
    """Run `task` and print what it cost."""

    def seconds() -> dict[str, float]:
        metrics = devtools.send("Performance.getMetrics")["metrics"]
        return {one["name"]: one["value"] for one in metrics}

    tab.evaluate("long.length = 0")
    before = seconds()
    task()
    after = seconds()
    wall = after["Timestamp"] - before["Timestamp"]
    busy = after["TaskDuration"] - before["TaskDuration"]
    tasks = tab.evaluate("long")
    print(
        f"{what}: {wall:.1f} s, longest task {max(tasks, default=0) or 'under 50'} ms, "
        f"{len(tasks)} of 50 ms and more, {100 * busy / wall:.0f} % of a core"
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--tokens", type=int, default=10_000)
    parser.add_argument("--model", default="shakespeare")
    arguments = parser.parse_args()
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as driver:
        log = Path(folder, "studio.log")
        with log.open("wb") as out:
            studio = subprocess.Popen(
                [sys.executable, "-m", "textwright", "studio", arguments.model, "--no-browser",
                 "--port", "0"], cwd=folder, stderr=out,
            )  # fmt: skip
        try:
            while "page " not in (said := log.read_text()):
                assert studio.poll() is None, said
            address = said.partition("page ")[2].split()[0]
            browser = driver.chromium.launch(executable_path=chromium, args=SWITCHES)
            tab = browser.new_page(viewport={"width": 1280, "height": 860})
            tab.set_default_timeout(LONGEST)
            devtools = tab.context.new_cdp_session(tab)
            devtools.send("Performance.enable")
            tab.goto(f"{address}#write/{arguments.model}")
            tab.wait_for_selector(".write .sheet:not(.writing) .letters .t >> nth=40")
            tab.evaluate(LISTEN)
            tab.get_by_label("Length").fill(str(arguments.tokens))

            def write() -> None:
                tab.get_by_role("button", name="Write", exact=True).click()
                tab.wait_for_selector(".sheet.writing")
                tab.wait_for_selector(".write .sheet:not(.writing)")

            def type_() -> None:
                tab.locator(".typed").focus()
                middle = arguments.tokens // 2
                tab.evaluate(
                    f"document.querySelector('.typed').setSelectionRange({middle}, {middle})"
                )
                tab.keyboard.type("and so it was, and ever will be ", delay=80)

            measured(tab, devtools, f"writing {arguments.tokens:,} tokens", write)
            measured(tab, devtools, "typing 32 letters into the middle", type_)
            browser.close()
        finally:
            studio.terminate()
            studio.wait()


if __name__ == "__main__":
    main()
