"""Containers of the tests' own: a folder in place of /opt/ml, and a process that serves from it."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx2 as httpx

sys.path.insert(0, str(Path(__file__).parents[1]))

from small_models import TEXT, random_weights, small_config, write_run
from textwright.runs import Run
from textwright.tokenizers import train_tokenizer


def small_model(path: Path, family: str = "gpt", seed: int = 0) -> Run:
    tokenizer = train_tokenizer("char", lambda: [TEXT])
    config = small_config(family, tokenizer.vocab_size)
    return write_run(path, config, random_weights(config, seed), tokenizer)


def free_port() -> int:
    """One that multi-model-server takes, too; it knows none above 32,767."""
    while True:
        port = random.randrange(10_000, 32_000)
        with socket.socket() as free, contextlib.suppress(OSError):
            free.bind(("127.0.0.1", port))
            return port


class Serving:
    """`sagemaker-entry serve`, or another command, in a container of its own."""

    def __init__(self, base: Path, words: list[str] | None = None, **environment: str) -> None:
        port = free_port()
        words = words or [sys.executable, "-m", "textwright", "sagemaker-entry", "serve"]
        variables = {"SAGEMAKER_BASE_DIR": str(base), "SAGEMAKER_BIND_TO_PORT": str(port)}
        self.log = base.parent / f"{base.name}.log"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                words,
                env={**os.environ, **variables, **environment},
                cwd=base.parent,
                stdout=log,
                stderr=log,
            )
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=200)

    def ping(self) -> tuple[int, str]:
        """What `/ping` says; 0 before anybody answers."""
        try:
            answer = self.client.get("/ping")
        except httpx.TransportError:
            return 0, ""
        return answer.status_code, answer.text

    def wait(self, status: int, seconds: float = 200) -> str:
        """What `/ping` says once it has this status."""
        end = time.monotonic() + seconds
        while (pinged := self.ping())[0] != status:
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < end, (pinged, self.log.read_text())
            time.sleep(0.02)
        return pinged[1]

    def stop(self) -> int:
        self.client.close()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(200)
