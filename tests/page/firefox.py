"""Firefox by WebDriver BiDi, which it speaks itself; Playwright drives a Firefox of its own making
alone."""

from __future__ import annotations

import itertools
import json
import re
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

FIREFOX = shutil.which("firefox-esr") or shutil.which("firefox")
LONGEST = 200  # seconds until something has to be true
MODIFIERS = "\ue009"  # control


class Firefox:
    """A browser without a screen, until it is closed."""

    def __init__(self, folder: Path) -> None:
        import websocket  # websocket-client: a need of JupyterLab's

        assert FIREFOX
        (folder / "profile").mkdir()
        self.log = folder / "firefox.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [FIREFOX, "-headless", "--no-remote", "--profile", str(folder / "profile"),
                 "--remote-debugging-port", "0", "about:blank"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
            )  # fmt: skip
        self._socket = websocket.create_connection(
            f"{self._address()}/session", timeout=LONGEST, suppress_origin=True
        )
        self._numbers = itertools.count(1)
        made = self.ask("session.new", capabilities={})
        self.version = str(made["capabilities"]["browserVersion"])
        self._context = self.ask("browsingContext.getTree")["contexts"][0]["context"]

    def _address(self) -> str:
        end = time.monotonic() + LONGEST
        while True:
            said = self.log.read_text(errors="replace")
            if found := re.search(r"BiDi listening on (ws://[\w.:]+)\n", said):
                return found[1]
            assert self.process.poll() is None and time.monotonic() < end, said
            time.sleep(0.1)

    def ask(self, method: str, **params: Any) -> Any:
        """What the browser answers to a command; its errors are raised."""
        number = next(self._numbers)
        self._socket.send(json.dumps({"id": number, "method": method, "params": params}))
        while (answer := json.loads(self._socket.recv())).get("id") != number:
            pass  # an event
        assert answer["type"] == "success", answer["message"]
        return answer["result"]

    def goto(self, url: str) -> None:
        self.ask("browsingContext.navigate", context=self._context, url=url, wait="complete")

    def evaluate(self, script: str) -> Any:
        """The value of an expression, as JSON has it."""
        answer = self.ask(
            "script.evaluate", expression=f"JSON.stringify(({script}) ?? null)",
            target={"context": self._context}, awaitPromise=False,
        )  # fmt: skip
        assert answer["type"] == "success", answer["exceptionDetails"]["text"]
        return json.loads(answer["result"]["value"])

    def until(self, script: str) -> None:
        """Wait until an expression is true."""
        end = time.monotonic() + LONGEST
        while not self.evaluate(f"Boolean({script})"):
            assert time.monotonic() < end, f"not in {LONGEST} s: {script}"
            time.sleep(0.1)

    def type(self, selector: str, keys: str) -> None:
        """Press keys in an element, one after the other; modifiers are held until the end."""
        self.evaluate(f"void document.querySelector({json.dumps(selector)}).focus()")
        pressed = [{"type": "keyDown", "value": key} for key in keys if key in MODIFIERS]
        for key in keys:
            if key not in MODIFIERS:
                pressed += [{"type": kind, "value": key} for kind in ("keyDown", "keyUp")]
        pressed += [{"type": "keyUp", "value": key} for key in keys if key in MODIFIERS]
        typing = {"type": "key", "id": "keyboard", "actions": pressed}
        self.ask("input.performActions", context=self._context, actions=[typing])

    def close(self) -> None:
        self._socket.close()
        self.process.terminate()
        self.process.wait(60)
