"""What the page computes between being loaded and its first coloured token, which comes untouched.

    python benchmarks/first_token.py [--rounds 4]

The page with `shakespeare` inside, from the disk, and the page of a server: seconds of processor
time of its main thread until it is loaded, and from there to the token, in headless Chromium.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from fluency import SWITCHES, open_studio
from textwright.page import write_offline_page


def seconds(browser: Browser, address: str) -> tuple[float, float]:
    """Until it is loaded, and from there to the first token."""
    page = browser.new_page()
    asked = page.context.new_cdp_session(page)
    asked.send("Performance.enable", {"timeDomain": "threadTicks"})

    def busy() -> float:
        metrics = asked.send("Performance.getMetrics")["metrics"]
        return float(next(one["value"] for one in metrics if one["name"] == "TaskDuration"))

    page.goto(address)
    loaded = busy()
    page.locator(".letters .t:not(.own)").first.wait_for()
    there = busy()
    page.close()
    return loaded, there - loaded


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=4)
    rounds = parser.parse_args().rounds
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        studio, served = open_studio(Path(folder), "shakespeare")
        file = write_offline_page("shakespeare", Path(folder, "page.html"))
        try:
            for name, address in (("one file", file.as_uri()), ("served", served)):
                for _ in range(rounds):
                    browser = playwright.chromium.launch(executable_path=chromium, args=SWITCHES)
                    loaded, token = seconds(browser, address)
                    print(f"{name}: loaded {loaded:.3f} s, first token {token:.3f} s later")
                    browser.close()
        finally:
            studio.terminate()
            studio.wait()


if __name__ == "__main__":
    main()
