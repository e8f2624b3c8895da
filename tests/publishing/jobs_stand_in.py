"""Hugging Face Jobs for a stand-in of the Hub: a job's command is run here, as a process.

What a job's image has beside bash are `uvx` and `uv run`, which install packages. Here they are
scripts that leave that out, for the packages are there; and the job's folder is one of the test.
So the real `hf`, the real `textwright` and the real `job.sh` run, each on its own.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

FLAVORS = [
    {"name": name, "prettyName": name.title(), "cpu": "4 vCPU", "ram": "15 GB",
     "unitCostMicroUSD": micro, "unitCostUSD": micro / 1e6, "unitLabel": "minute"}
    for name, micro in (("cpu-basic", 167), ("cpu-upgrade", 500), ("t4-small", 6667))
]  # fmt: skip
_UV = """#!/bin/bash
while [ "$1" != bash ] && [ "$1" != hf ]; do shift; done
exec "$@"
"""


class Job:
    """A job: the request that started it, its process, its log."""

    def __init__(self, number: int, request: dict[str, Any], folder: Path, endpoint: str) -> None:
        self.id, self.request, self.canceled = f"{number:024x}", request, False
        shutil.rmtree(folder / "job", ignore_errors=True)  # each on a machine of its own
        tools = folder / "tools"
        tools.mkdir(parents=True, exist_ok=True)
        for name in ("uv", "uvx"):
            (tools / name).write_text(_UV)
            (tools / name).chmod(0o755)
        places = [str(tools), str(Path(sys.executable).parent), os.environ["PATH"]]
        command = [word.replace("/tmp/job", str(folder / "job")) for word in request["command"]]
        keep = {name: value for name, value in os.environ.items()
                if not name.startswith(("HF_", "TEXTWRIGHT_"))}  # fmt: skip
        own = {"HF_ENDPOINT": endpoint, "HF_HOME": str(folder / "hf"), "PATH": ":".join(places)}
        self.log: list[str] = []
        self.process = subprocess.Popen(
            command, env=keep | own | request["environment"] | request.get("secrets", {}),
            cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            start_new_session=True,
        )  # fmt: skip
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as lines:
            self.log += (line.rstrip("\n") for line in lines)
        self.process.wait()

    def cancel(self) -> None:
        """As `hf jobs cancel` does: its container is told to stop."""
        self.canceled = True
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGTERM)

    def follow(self) -> list[str]:
        """The log, once the job has ended."""
        self._reader.join()
        return self.log

    def to_json(self) -> dict[str, Any]:
        code = None if self._reader.is_alive() else self.process.returncode
        stage = "RUNNING" if code is None else "COMPLETED" if code == 0 else "ERROR"
        stage = "CANCELED" if code is not None and self.canceled else stage
        shown = {key: self.request.get(key) for key in ("command", "flavor", "labels")}
        return {
            "id": self.id, **shown, "createdAt": f"2026-01-01T00:00:{int(self.id, 16):02}.000Z",
            "dockerImage": self.request["dockerImage"], "environment": {},
            "status": {"stage": stage, "message": None}, "durations": {"runningSecs": 7},
            "owner": {"id": "1", "name": "ann", "type": "user"},
        }  # fmt: skip


class Jobs:
    """The routes below `/api/jobs`."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.all = folder, dict[str, Job]()

    def answer(self, method: str, path: str, query: str, body: bytes, endpoint: str) -> Any:
        """A JSON value, a list of log lines as bytes of an event stream, or None for 404."""
        if path == "/api/jobs/hardware":
            return FLAVORS
        found = re.fullmatch(r"/api/jobs/ann(?:/([0-9a-f]{24}))?(/logs|/cancel)?", path)
        if found is None:
            return None
        if found[1] is None and method == "POST":
            job = Job(len(self.all) + 1, json.loads(body), self.folder, endpoint)
            self.all[job.id] = job
            return job.to_json()
        if found[1] is None:
            wanted = re.findall(r"label=textwright%3D([\w.-]+)", query)
            return [job.to_json() for job in self.all.values()
                    if [job.request["labels"]["textwright"]] == wanted]  # fmt: skip
        job = self.all[found[1]]
        if found[2] == "/cancel":
            job.cancel()
        if found[2] == "/logs":
            time = "2026-01-01T00:00:00.000Z"
            lines = (json.dumps({"data": line, "timestamp": time}) for line in job.follow())
            return "".join(f"data: {line}\n\n" for line in lines).encode()
        return job.to_json()
