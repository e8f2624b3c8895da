"""Firefox by the WebDriver protocol, which needs no more than `geckodriver`: Playwright drives a
Firefox of its own making alone."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

FIREFOX = shutil.which("firefox-esr") or shutil.which("firefox")
DRIVER = shutil.which("geckodriver")
LONGEST = 200  # seconds until something has to be true


class Firefox:
    """A browser without a screen, until it is closed."""

    def __init__(self, folder: Path) -> None:
        assert DRIVER and FIREFOX
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.log = folder / "geckodriver.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [DRIVER, "--port", str(port), "--profile-root", str(folder)],
                stdout=log, stderr=subprocess.STDOUT,
            )  # fmt: skip
        self.base = f"http://127.0.0.1:{port}/session"
        self._listens()
        options = {"binary": FIREFOX, "args": ["-headless"]}
        wanted = {"browserName": "firefox", "moz:firefoxOptions": options}
        made = self.ask("", {"capabilities": {"alwaysMatch": wanted}})
        self.base += f"/{made['sessionId']}"
        self.version = str(made["capabilities"]["browserVersion"])

    def _listens(self) -> None:
        end = time.monotonic() + LONGEST
        while "Listening on" not in (said := self.log.read_text(errors="replace")):
            assert self.process.poll() is None and time.monotonic() < end, said
            time.sleep(0.1)

    def ask(self, path: str, body: dict[str, Any], method: str = "POST") -> Any:
        """What the driver answers; its errors are raised."""
        data = json.dumps(body).encode() if method == "POST" else None
        asked = urllib.request.Request(
            self.base + path, data, {"content-type": "application/json"}, method=method
        )
        try:
            with urllib.request.urlopen(asked, timeout=LONGEST) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            raise AssertionError(json.load(error)["value"]["message"]) from error

    def goto(self, url: str) -> None:
        self.ask("/url", {"url": url})

    def evaluate(self, script: str) -> Any:
        return self.ask("/execute/sync", {"script": f"return {script}", "args": []})

    def until(self, script: str) -> Any:
        """The value of an expression, once it is true."""
        end = time.monotonic() + LONGEST
        while not (value := self.evaluate(script)):
            assert time.monotonic() < end, f"not in {LONGEST} s: {script}"
            time.sleep(0.1)
        return value

    def click(self, selector: str) -> None:
        self.ask(f"/element/{self._find(selector)}/click", {})

    def type(self, selector: str, keys: str) -> None:
        self.ask(f"/element/{self._find(selector)}/value", {"text": keys})

    def _find(self, selector: str) -> str:
        found = self.ask("/element", {"using": "css selector", "value": selector})
        return str(next(iter(found.values())))

    def close(self) -> None:
        self.ask("", {}, "DELETE")
        self.process.terminate()
        self.process.wait(60)
