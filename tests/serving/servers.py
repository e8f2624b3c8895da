"""Servers on real sockets: in this process, or in one of their own."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2 as httpx
import uvicorn
from fastapi import FastAPI

from textwright.engine import Engine, ModelPool
from textwright.runs import Run
from textwright.serving import Metrics, ServerSettings, create_app
from textwright.serving.protocol import Protocol
from textwright.serving.server import listen

SECONDS = 200
"""To wait for what comes at once: a test that hangs ends."""


class Served:
    """A running server."""

    def __init__(
        self,
        named: list[Run],
        folder: Path | None = None,
        settings: ServerSettings | None = None,
        also: Callable[[FastAPI], None] = lambda app: None,
        http: type[Protocol] = Protocol,
        **engine: int,
    ) -> None:
        self.settings = settings or ServerSettings()
        metrics = Metrics()
        self.engine = Engine(observer=metrics, **{"workers": 2, **engine})  # type: ignore[arg-type]
        self.pool = ModelPool(named, folder)
        self.app = create_app(self.pool, self.engine, self.settings, metrics)
        also(self.app)
        self.socket = listen("127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self.socket.getsockname()[1]}"
        config = uvicorn.Config(self.app, http=http, log_config=None, access_log=False, ws="none")
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, args=([self.socket],))
        self._thread.start()
        self.client = httpx.Client(base_url=self.url, timeout=SECONDS, verify=False)
        self.until(lambda: self.client.get("/health").status_code == 200)

    def until(self, condition: Callable[[], bool]) -> None:
        end = time.monotonic() + SECONDS
        while not condition():
            assert time.monotonic() < end, "it never came to that"
            time.sleep(0.01)

    def close(self) -> None:
        self.client.close()
        self._server.should_exit = True
        self._thread.join(SECONDS)
        self.socket.close()
        assert not self._thread.is_alive()


class Process:
    """`textwright serve`, on a free port."""

    def __init__(self, *words: str) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        command = [sys.executable, "-m", "textwright", "serve", "--port", str(port), *words]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.until(lambda: self._get("/health") == 200)

    def _read(self) -> None:
        assert self.process.stderr is not None
        self.lines.extend(self.process.stderr)

    def _get(self, path: str) -> int:
        try:
            return int(httpx.get(self.url + path, verify=False).status_code)
        except httpx.TransportError:
            return 0

    def until(self, condition: Callable[[], bool]) -> None:
        end = time.monotonic() + SECONDS
        while not condition():
            assert self.process.poll() is None, self.lines
            assert time.monotonic() < end, "it never came to that"
            time.sleep(0.05)

    def stop(self) -> int:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(SECONDS)
        self._reader.join()
        if self.process.stderr is not None:
            self.process.stderr.close()
        return code


def post(served: Served, path: str, body: Any, status: int = 200) -> Any:
    answer = served.client.post(path, json=body)
    assert answer.status_code == status, answer.text
    return answer.json()


def events(served: Served, path: str, body: dict[str, Any]) -> list[dict[str, Any]]:
    with served.client.stream("POST", path, json={**body, "stream": True}) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        lines = [line for line in answer.iter_lines() if line]
    assert lines[-1] == "data: [DONE]"
    return [json.loads(line.removeprefix("data: ")) for line in lines[:-1]]
