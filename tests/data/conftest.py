"""What tests of corpora share: a web server of their own, no built-ins from elsewhere."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest


class Site:
    """A folder served at `address`, the paths that were asked for, and with which credentials."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.requests: list[str] = []
        self.credentials: list[str | None] = []
        site = self

        class Handler(SimpleHTTPRequestHandler):
            def __init__(self, *arguments: object) -> None:
                super().__init__(*arguments, directory=str(folder))  # type: ignore[arg-type]

            def do_GET(self) -> None:
                site.requests.append(self.path)
                site.credentials.append(self.headers["Authorization"])
                if self.path.startswith("/cut"):  # promises more than it sends
                    self.send_response(200)
                    self.send_header("Content-Length", "1000")
                    self.end_headers()
                    self.wfile.write(b"only this")
                    return
                if self.path.startswith("/endless"):  # says no length
                    self.send_response(200)
                    self.end_headers()
                    for _ in range(64):
                        self.wfile.write(b"words " * 1000)
                    return
                if self.path.startswith("/moved"):
                    self.send_response(302)
                    self.send_header("Location", "/novel.txt")
                    self.end_headers()
                    return
                asked = self.headers["Authorization"]
                if self.path.startswith("/private") and asked != "Basic dXNlcjpwQHNzOndvcmQ=":
                    self.send_error(401)  # it wants user, and p@ss:word
                    return
                super().do_GET()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,))
        self.thread.start()

    def close(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A web server on this machine, serving `site.folder`."""
    folder = tmp_path / "site"
    folder.mkdir()
    served = Site(folder)
    yield served
    served.close()


@pytest.fixture
def no_real_corpora(monkeypatch: pytest.MonkeyPatch) -> None:
    """Built-ins are not found in the real folder."""
    monkeypatch.delenv("TEXTWRIGHT_CORPORA", raising=False)
