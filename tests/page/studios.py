"""The studio as a person starts it: a process of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any


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
        self.page = f"{self.url}/studio/"

    def close(self) -> None:
        self.process.terminate()
        self.process.wait(200)


def ready(tab: Any) -> None:
    """Wait until a model can be asked."""
    tab.wait_for_selector(".view:not([hidden]) .primary:not(:disabled)")


def finished(tab: Any) -> str:
    """Wait until Write has written; gives the text on the first sheet."""
    tab.wait_for_selector(".write .sheet:not(.writing) .status:has-text('tokens')")
    return str(tab.evaluate("document.querySelector('.write .sheet .tokens').textContent"))
