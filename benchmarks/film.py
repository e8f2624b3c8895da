"""The first minute of three visitors of the studio's page, a picture a second, each as one sheet.

    TEXTWRIGHT_CORPORA=... python benchmarks/film.py FOLDER [writer] [teacher] [student]

Starts a studio and Chromium, does what a visitor does at the second at which one does it, and
writes FOLDER/film-NAME.webp: sixty pictures, from left to right and down, each with its second.
"""

from __future__ import annotations

import io
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fluency import SWITCHES, open_studio

SECONDS = 60
Script = dict[int, Callable[[Any], Any]]
MOST_BYTES = 150_000


def press(*keys: str) -> Callable[[Any], None]:
    def do(tab: Any) -> None:
        for key in keys:
            tab.keyboard.press(key)

    return do


def click(name: str, role: str = "button") -> Callable[[Any], None]:
    return lambda tab: (
        tab.get_by_role(role, name=name, exact=True).locator("visible=true").first.click()
    )


def token(number: int) -> Callable[[Any], None]:
    def do(tab: Any) -> None:
        span = tab.locator(".letters .t").nth(number)
        span.evaluate("(one) => one.scrollIntoView({ block: 'center' })")
        box = span.bounding_box()
        tab.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)

    return do


def letters(text: str) -> Callable[[Any], None]:
    return lambda tab: tab.keyboard.type(text, delay=40)


ANOTHER = ".popover .row:not([aria-current]):not(:disabled)"


def here(selector: str) -> Callable[[Any], None]:
    return lambda tab: tab.locator(selector).locator("visible=true").first.click()


def at_the_end(tab: Any) -> None:
    tab.locator(".typed").focus()
    tab.keyboard.press("Control+End")


WRITER: Script = {
    8: click("Understood"), 10: at_the_end,
    11: letters("\n\nThe lanterns went"), 14: letters(" out."),
    17: press("Control+Enter"), 24: token(60), 27: here(ANOTHER),
    35: click("Five ways"), 43: here(".branch >> nth=3"), 47: click("Star"),
    50: here(".takeaway summary"), 53: click("Save as one file"),
    55: letters("The lanterns"), 57: click("Cancel"),
}  # fmt: skip
TEACHER: Script = {
    7: click("Watch it learn", "link"), 20: click("On stage"), 26: press("Escape"),
    28: click("Look inside", "link"), 36: here(".cards button >> nth=1"),
    40: click("Write with it held"), 45: click("Guess", "link"), 49: click("Train", "link"),
    51: click("Train"),
}  # fmt: skip
STUDENT: Script = {
    7: click("Understood"), 10: token(30), 14: here(ANOTHER),
    22: here(".throw, .die button"), 25: here(".die button"), 28: here(".tab >> nth=-1"),
    32: here("input.key"), 33: letters("t"), 36: letters("h"), 38: letters("a"), 41: letters("t"),
    44: letters(" "), 47: letters("t"), 50: letters("e"), 53: letters("l"), 55: letters("l"),
}  # fmt: skip
VISITORS: dict[str, tuple[Script, dict[str, Any], tuple[int, int]]] = {
    "writer": (WRITER, {"viewport": {"width": 1280, "height": 800}}, (10, 200)),
    "teacher": (TEACHER, {"viewport": {"width": 1280, "height": 800}}, (10, 200)),
    "student": (
        STUDENT,
        {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True},
        (15, 120),
    ),
}


def film(browser: Any, page: str, name: str, folder: Path) -> None:
    from PIL import Image, ImageDraw

    script, context, (columns, width) = VISITORS[name]
    tab = browser.new_context(**context).new_page()
    tab.set_default_timeout(8_000)
    pictures = []
    tab.goto(page, wait_until="commit")
    begun = time.monotonic()
    for second in range(SECONDS):
        picture = Image.open(io.BytesIO(tab.screenshot())).convert("RGB")
        height = round(width * picture.height / picture.width)
        picture = picture.resize((width, height), Image.Resampling.LANCZOS)
        ImageDraw.Draw(picture).text((3, height - 12), str(second), fill="#a4501c")
        pictures.append(picture)
        if second in script:
            try:
                script[second](tab)
            except Exception as error:
                print(f"{name}, second {second}: {str(error).splitlines()[0]}", file=sys.stderr)
        time.sleep(max(0.0, begun + second + 1 - time.monotonic()))
    print(f"{name}: {time.monotonic() - begun:.0f} s by the clock")
    rows = -(-SECONDS // columns)
    sheet = Image.new("RGB", (columns * (width + 4), rows * (height + 4)), "#8a8478")
    for place, picture in enumerate(pictures):
        sheet.paste(picture, (place % columns * (width + 4), place // columns * (height + 4)))
    for quality in range(70, 10, -6):
        file = folder / f"film-{name}.webp"
        sheet.save(file, quality=quality, method=6)
        if file.stat().st_size <= MOST_BYTES:
            break


def main() -> None:
    from playwright.sync_api import sync_playwright

    folder, *names = Path(sys.argv[1]), *sys.argv[2:]
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    with tempfile.TemporaryDirectory() as home, sync_playwright() as driver:
        studio, page = open_studio(Path(home))
        try:
            browser = driver.chromium.launch(executable_path=chromium, args=SWITCHES)
            for name in names or VISITORS:
                film(browser, page, name, folder)
            browser.close()
        finally:
            studio.terminate()
            studio.wait()


if __name__ == "__main__":
    main()
