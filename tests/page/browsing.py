"""What the tests in a browser share."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

GOLDEN = Path(__file__).parents[1] / "golden"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
SWITCHES = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--no-first-run",
]  # fmt: skip


@dataclass
class Watch:
    """What a page said to the console, and what it requested elsewhere."""

    said: list[str] = field(default_factory=list)
    requested: list[str] = field(default_factory=list)

    def over(self, page: Any) -> None:
        page.on("console", lambda message: self.said.append(message.text))
        page.on("pageerror", lambda error: self.said.append(str(error)))
        page.on("dialog", lambda dialog: self.said.append(dialog.message))
        page.on("request", lambda request: self.requested.append(request.url))

    def elsewhere(self, *home: str) -> list[str]:
        """Requested URLs that begin with none of `home`."""
        return [url for url in self.requested if not url.startswith((*home, "data:", "blob:"))]
