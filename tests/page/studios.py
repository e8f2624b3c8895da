"""The studio as a person starts it: a process of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

EXAMPLES = {
    "chat/chat": ".turn.assistant:not(:empty)",
    "train/shakespeare": ".runs li",
    "watch/shakespeare": ".film:not(:empty)",
    "look/shakespeare": ".view.look:not(.busy) .heads button",
    "look/frankenstein": ".view.look:not(.busy) .cards .card",
    "copied/shakespeare": ".view.copied:not(.busy) .prompt",
    "guess/shakespeare": ".guessed .blank",
}
"""Parts with a model, and what shows that one has its example."""


class Studio:
    """`textwright studio` or `serve`, until it is closed."""

    def __init__(self, command: str, *words: str, folder: Path, port: int = 0) -> None:
        self.log = folder / f"{command}.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "textwright", command, *words, "--port", str(port)],
                cwd=folder, stdin=subprocess.DEVNULL, stderr=log,
                env={**os.environ, "OMP_NUM_THREADS": "1"},
            )  # fmt: skip
        self.url = ""
        while not self.url:
            assert self.process.poll() is None, self.log.read_text()
            found = re.search(r"at (http://[\d.:]+)\n", self.log.read_text())
            self.url = found[1] if found else ""
            time.sleep(0.02)
        self.page = f"{self.url}/studio/"

    def close(self) -> None:
        self.process.terminate()
        self.process.wait(200)


def ready(tab: Any) -> None:
    """Wait until a model can be asked."""
    tab.wait_for_selector(".view:not([hidden]) .primary:not(:disabled):visible")


TEXT = """() => [...document.querySelectorAll(".letters .row-of-text")]
    .map((row) => row.textContent).join("\\n")"""


def text_of(tab: Any) -> str:
    """What stands on the sheet."""
    return str(tab.evaluate(TEXT))


def finished(tab: Any) -> str:
    """Wait until Write has a text and writes no more; gives the text on the sheet."""
    tab.wait_for_selector(".write .deskbar .primary:visible:not(:disabled)")
    tab.wait_for_selector(".write .sheet:not(.writing)")
    return text_of(tab)


def put(tab: Any, text: str, **settings: object) -> None:
    """Put a text onto the sheet in place of what stands there, and set fields."""
    finished(tab)
    tab.locator(".typed").fill(text)
    for label, value in settings.items():
        name = label.replace("_", "-")
        if name not in ("Length", "Temperature"):
            tab.evaluate("document.querySelector('details.more').open = true")
        field = tab.locator(".deskbar .field").filter(has_text=name).locator("input")
        field.fill(str(value))
    tab.evaluate("document.querySelector('details.more').open = false")


def write(tab: Any, text: str, **settings: object) -> str:
    """Let the model write on from a text; gives the whole."""
    put(tab, text, **settings)
    tab.locator(".typed").focus()
    tab.keyboard.press("Control+End")
    tab.keyboard.press("Control+Enter")
    return finished(tab)


def box_of(tab: Any, number: int) -> Any:
    """Where a token lies, once it is in sight; one that is read anew meanwhile is another."""
    while True:
        span = tab.locator(".letters .t").nth(number)
        span.evaluate("(one) => one.scrollIntoView({ block: 'center' })")
        if box := span.bounding_box():
            return box


def token(tab: Any, number: int, *, tap: bool = False) -> Any:
    """Click a token, or the next one that isn't a line end: on it lies what is typed into."""
    if not (tab.locator(".letters .t").nth(number).text_content() or "").strip():
        return token(tab, number + 1, tap=tap)
    box = box_of(tab, number)
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    return (tab.touchscreen.tap if tap else tab.mouse.click)(x, y)


def choose(tab: Any, number: int, which: int = 0) -> str:
    """Take another token in place of one; gives the text."""
    token(tab, number)
    tab.locator(".popover .row:not([aria-current]):not(:disabled)").nth(which).click()
    return finished(tab)
