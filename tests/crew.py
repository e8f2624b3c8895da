"""Workers forked from a process that has imported torch already: a second each, not four.

    python crew.py        a request a line: {"words", "workers", "environment", "folder"}

For each it answers with the workers' process ids, then with their exit codes; what worker N said
lies in `folder/N.out` and `folder/N.err`. They get from the environment what torchrun would give.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

GRACE = 100
"""Seconds that workers have to notice that one has failed."""


@dataclass
class Ended:
    """What a worker left."""

    returncode: int
    stdout: str
    stderr: str


class Crew:
    """The process from which workers are forked; one training at a time."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._folder: Path | None = None
        self.pids: list[int] = []
        """Of the workers under way, by rank."""

    def start(self, workers: int, words: list[str]) -> None:
        self._folder = Path(tempfile.mkdtemp(dir=Path(os.environ["TEXTWRIGHT_RUNS"]).parent))
        environment = {
            name: value for name, value in os.environ.items() if name.startswith("TEXTWRIGHT_")
        }
        request = {"words": words, "workers": workers, "environment": environment,
                   "folder": str(self._folder)}  # fmt: skip
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        self.pids = self._told()

    def wait(self) -> list[Ended]:
        """What all workers left, by rank."""
        folder = self._folder
        assert folder is not None
        codes = self._told()
        self.pids = []
        return [
            Ended(code, (folder / f"{rank}.out").read_text(), (folder / f"{rank}.err").read_text())
            for rank, code in enumerate(codes)
        ]

    def run(self, workers: int, words: list[str]) -> list[Ended]:
        self.start(workers, words)
        return self.wait()

    def _told(self) -> Any:
        assert self._process.stdout is not None
        return json.loads(self._process.stdout.readline())

    def close(self) -> None:
        for pid in self.pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(200)
        self._process.stdout.close()


@pytest.fixture(scope="session")
def crew() -> Iterator[Crew]:
    """Trainings in processes of their own, without the seconds that each would import torch for."""
    made = Crew()
    yield made
    made.close()


def _serve() -> None:
    import huggingface_hub.repocard
    import torch._dynamo

    from textwright.cli import app, train
    from textwright.reporting import report
    from textwright.training import pipeline

    del huggingface_hub, torch, app, train, report, pipeline
    for line in sys.stdin:
        request = json.loads(line)
        port = _free_port()
        pids = [_fork(rank, port, request) for rank in range(request["workers"])]
        sys.stdout.write(json.dumps(pids) + "\n")
        sys.stdout.flush()
        sys.stdout.write(json.dumps(_wait(pids)) + "\n")
        sys.stdout.flush()


def _fork(rank: int, port: int, request: dict[str, Any]) -> int:
    pid = os.fork()
    if pid:
        return pid
    code = 70
    try:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)  # under nohup it would be ignored
        where = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": request["workers"],
                 "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}  # fmt: skip
        if request["workers"] > 1:
            os.environ.update({name: str(value) for name, value in where.items()})
        os.environ.update(request["environment"])
        for number, name in ((1, "out"), (2, "err")):
            file = os.open(f"{request['folder']}/{rank}.{name}", os.O_WRONLY | os.O_CREAT)
            os.dup2(file, number)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        code = _do(request["words"])
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _wait(pids: list[int]) -> list[int]:
    """Exit codes; as torchrun does, those that one's failure leaves waiting are ended."""
    codes: dict[int, int] = {}
    deadline = float("inf")
    while len(codes) < len(pids):
        for pid in set(pids) - set(codes):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                codes[pid] = os.waitstatus_to_exitcode(status)
            elif time.monotonic() > deadline:
                os.kill(pid, signal.SIGKILL)
        if any(codes.values()) and deadline == float("inf"):
            deadline = time.monotonic() + GRACE
        time.sleep(0.01)
    return [codes[pid] for pid in pids]


def _do(words: list[str]) -> int:
    from textwright.cli.app import main

    sys.argv = ["textwright", *words]
    try:
        main()
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    return 0


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


if __name__ == "__main__":
    _serve()
