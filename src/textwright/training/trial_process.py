"""A trial as a process of its own: `textwright train`, stopped at a share of its plan.

A training that gets SIGINT saves, and `--resume` goes on exactly; so a trial that was paused at a
rung gives the bytes of one that never was.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from textwright import torchrun
from textwright.errors import TrainingError
from textwright.runs import Run

_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


def is_over(run: Run) -> bool:
    """Whether a run has been trained to its end."""
    status = run.settings().get("result", {}).get("status")
    return status in ("finished", "stopped early")


def has_reached(run: Run, share: float) -> bool:
    """Whether a run has been evaluated at this share of its plan, or is over."""
    steps = run.settings().get("plan", {}).get("steps")
    if not steps:
        return False
    if is_over(run):
        return True
    metrics = run.metrics()
    return share < 1 and bool(metrics) and metrics[-1]["step"] >= share * steps


class TrialProcess:
    """One `textwright train`, from its start or its checkpoint to a share of its plan."""

    def __init__(
        self,
        run: Run,
        words: Sequence[str],
        threads: int,
        log: Path,
        environment: Mapping[str, str],
    ) -> None:
        """
        Args:
            run: the run's folder, which needn't be there yet.
            words: what follows `textwright train`, without name and folder.
            threads: that it may compute on.
            log: gets its standard error.
            environment: variables beside those of this process.
        """
        own = torchrun.environment_alone()
        goes_on = ["--resume"] if run.checkpoints() else []
        command = [
            sys.executable, "-m", "textwright", "train", *words, *goes_on,
            "--name", run.name, "--runs", str(run.path.parent), "--json",
        ]  # fmt: skip
        self.run, self._log = run, log
        self._interrupted = False
        with log.open("ab") as errors:
            self._begin = errors.tell()
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors,
                env={**own, **dict.fromkeys(_THREADS, str(threads)), **environment}, **_own_group(),
            )  # fmt: skip

    def train_to(self, share: float, tell: Callable[[dict[str, Any]], None]) -> None:
        """Wait until it has been evaluated at `share` of its plan, and has saved; or has ended.

        Args:
            tell: is given each evaluation, as `--json` prints it.

        Raises:
            TrainingError: it failed; the message has its error.
        """
        steps = 0
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            for line in lines:
                try:
                    event = json.loads(line)
                except ValueError:
                    continue
                if event.get("event") == "started":
                    steps = event["plan"]["steps"]
                elif event.get("event") == "evaluation":
                    tell({**event, "steps": steps})
                    if share * steps <= event["step"] < steps:
                        self.interrupt()
        code = self._process.wait()
        if code != 0 and not self._interrupted:
            raise TrainingError(self._reason(code))

    def interrupt(self) -> None:
        """Ask it to save and end."""
        if self._interrupted or self._process.poll() is not None:
            return
        self._interrupted = True
        with suppress(OSError):
            if sys.platform == "win32":
                self._process.send_signal(signal.CTRL_BREAK_EVENT)
            else:
                self._process.send_signal(signal.SIGINT)

    def kill(self) -> None:
        """End it at once; its last checkpoint stays."""
        self._interrupted = True
        if self._process.poll() is None:
            self._process.kill()

    def _reason(self, code: int) -> str:
        with self._log.open("rb") as log:
            log.seek(self._begin)
            lines = log.read().decode("utf-8", "replace").splitlines()
        errors = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
        if errors:
            return errors[-1]
        return f"its process was killed ({-code})" if code < 0 else f"it ended with code {code}"


def _own_group() -> dict[str, Any]:
    """Ctrl-C in a terminal is for the sweep, which passes it on once."""
    if sys.platform == "win32":
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
    return {"start_new_session": True}
