"""The one training that the page may have under way: a `textwright train` of its own.

What is told of it is read from what it writes anyway, its run folder, so a server that was gone
finds it as it is. A lock that the process holds tells whether it lives: it
ends with it, in whatever way, and another server on the same folder sees it too.
"""

from __future__ import annotations

import itertools
import os
import re
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ValidationError

from textwright import atomic
from textwright.errors import RunError, TextwrightError
from textwright.reporting import RunSummary, all_runs
from textwright.runs import Run, check_free, is_held, is_training, name_from, same_name
from textwright.runs.locking import PATIENCE, PAUSE
from textwright.serving.errors import HTTPError
from textwright.studio.uploads import Uploaded, Uploads, shown

if sys.platform == "win32":  # no lock is inherited there: a server that is gone loses its training
    fcntl = None
else:
    import fcntl

NICE = 5
"""How much a training gives way to the server, so that texts are written meanwhile."""
CURVES = ("step", "seconds", "train_loss", "val_loss", "val_bits_per_char")
"""What is told of each evaluation."""
SAMPLES = 8
"""Of the latest evaluations, that are told."""
_PATH = re.compile(r"(?<![\w.:/])/(?:[^\s/]+/)+")

Phase = Literal["preparing", "training", "stopping", "finished", "stopped", "failed"]


class Asked(BaseModel):
    """A training as it was asked for; outlives the server."""

    number: str
    run: str
    """The name of the run, which was free."""
    text: str
    """The name of the text, as the person calls it."""
    file: Path
    family: str
    minutes: float
    browser: str
    """Who began it."""
    began: float
    """Seconds since 1970."""
    pid: int = 0
    stopped: Literal["", "asked", "at once", "closed"] = ""
    """Who stopped it: a person, or the server that ended."""
    ended: Literal["", "finished", "stopped", "failed"] = ""
    reason: str | None = None
    """Why it ended otherwise than planned, as it was seen then; its run may be removed later."""


class Supervisor:
    """Starts a training, watches it, stops it, goes on; may be used from any thread."""

    def __init__(self, runs: Path, most: int = 64_000_000) -> None:
        """
        Args:
            runs: the folder that runs are made in; a hidden one there has what the studio keeps.
            most: bytes of a text.
        """
        self.runs = runs
        self.folder = runs / ".studio"
        self.uploads = Uploads(self.folder / "uploads", most)
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()

    def start(
        self,
        text: Uploaded,
        family: str,
        minutes: float,
        browser: str,
        *,
        taken: Collection[str] = (),
    ) -> None:
        """Begin a training.

        Args:
            text: what to learn from.
            family: of the model.
            minutes: how long.
            browser: who asks.
            taken: names that its run can't have, beside those in the folder of runs.

        Raises:
            HTTPError: one is under way.
            TextwrightError: the disk doesn't take it.
        """
        with self._lock, self._alone() as held:
            asked = Asked(
                number=secrets.token_hex(8), run=self._free_name(text.file, taken),
                text=text.name, file=text.file.resolve(), family=family, minutes=minutes,
                browser=browser, began=time.time(),
            )  # fmt: skip
            self._launch(
                asked, held, str(asked.file), "--model", family, "--minutes", f"{minutes:g}"
            )

    def resume(self, number: str, browser: str) -> None:
        """Have a training that was stopped, or that failed, go on from its last checkpoint.

        Args:
            number: of the training; another may have taken its place.
            browser: who asks, and may stop it from now on.

        Raises:
            HTTPError: one is under way, or that one can't go on.
            TextwrightError: the disk doesn't take it.
        """
        with self._lock, self._alone() as held:
            asked = self._asked()
            run = self.run()
            if asked is None or asked.number != number:
                raise HTTPError(409, "another training has taken its place")
            summary = None if run is None else RunSummary.read(run)
            if summary is None:
                raise HTTPError(409, "nothing of that training is left: train the text anew")
            if self._phase(asked, False, summary)[0] == "finished":
                raise HTTPError(409, "that training has finished")
            learned = max((one.get("seconds") or 0.0 for one in summary.metrics), default=0.0)
            again = {"browser": browser, "began": time.time() - learned}
            ended = {"stopped": "", "ended": "", "reason": None}
            self._launch(asked.model_copy(update={**again, **ended}), held, "--resume")

    @contextmanager
    def _alone(self) -> Iterator[int]:
        """The lock that a training holds, until a process has it; refuses a second one."""
        self._refuse_second()
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            held = _hold(self.folder / "lock")
            if held is None:
                raise _under_way(self._asked())
            try:
                yield held
            finally:
                os.close(held)
        except OSError as error:
            raise atomic.disk_error(error, self.folder) from error

    def _free_name(self, file: Path, taken: Collection[str]) -> str:
        """After the text: `my-novel`, else `my-novel-2` …"""
        stem = name_from(file.name.partition(".")[0])
        for number in itertools.count(1):
            name = stem if number == 1 else f"{stem}-{number}"
            if any(same_name(name) == same_name(other) for other in taken):
                continue
            with suppress(RunError):
                check_free(name, self.runs)
                return name
        raise AssertionError

    def _launch(self, asked: Asked, held: int, *more: str) -> None:
        words = [
            sys.executable, "-P", "-m", "textwright", "train", *more, "--name", asked.run,
            "--runs", str(self.runs.resolve()), "--json",
        ]  # fmt: skip
        with self._said.open("wb") as said:
            process = subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=said,
                start_new_session=True,  # Ctrl-C in a terminal is the server's: it tells this one
                pass_fds=(held,) if fcntl else (),
            )  # fmt: skip
        if hasattr(os, "setpriority"):
            with suppress(OSError):
                os.setpriority(os.PRIO_PROCESS, process.pid, NICE)
        self._process = process
        self._write(asked.model_copy(update={"pid": process.pid}))

    def _refuse_second(self) -> None:
        if self._alive():
            raise _under_way(self._asked())

    def refuse_second(self) -> None:
        """Raise `HTTPError` where a training is under way."""
        with self._lock:
            self._refuse_second()

    def stop(self, number: str, browser: str, *, at_once: bool = False) -> None:
        """Have the training end, with what it learned saved; `at_once` loses the last steps.

        Raises:
            HTTPError: another training is under way, or somebody else's.
        """
        with self._lock:
            asked = self._asked()
            if asked is None or asked.number != number:
                raise HTTPError(409, "that training is over; another may be under way")
            if asked.browser != browser:
                raise HTTPError(409, "this training was started in another browser: stop it there")
            if self._alive():
                self._write(asked.model_copy(update={"stopped": "at once" if at_once else "asked"}))
                self._send(asked, at_once=at_once)

    def close(self, seconds: float) -> None:
        """Stop a training of this server's, and wait so long for what it saves."""
        with self._lock:
            process, asked = self._process, self._asked()
            if process is None or process.poll() is not None or asked is None:
                return
            if not asked.stopped:
                self._write(asked.model_copy(update={"stopped": "closed"}))
                self._send(asked)
        with suppress(subprocess.TimeoutExpired):
            process.wait(seconds)

    def texts(self) -> set[Path]:
        """The files that the latest training and the runs of the folder have learned from."""
        asked = self._asked()
        files = set() if asked is None else {asked.file}
        for run in all_runs(self.runs):
            with suppress(TextwrightError, KeyError, TypeError):
                files |= {Path(text) for text in run.settings().get("corpus", {})["sources"]}
        return files

    def run(self) -> Run | None:
        """The run that the latest training makes; None where it has none, or not yet."""
        asked = self._asked()
        run = None if asked is None else Run(self.runs / asked.run)
        return run if run is not None and run.settings_file.is_file() else None

    def state(self, browser: str) -> dict[str, Any] | None:
        """The latest training as the page shows it; None where there was none."""
        with self._lock:
            asked = self._asked()
            if asked is None:
                return None
            alive = not asked.ended and self._alive()  # first: what a process wrote last counts
            run = self.run()
            summary = None if run is None else RunSummary.read(run)
            phase, reason = self._phase(asked, alive, summary)
        told: dict[str, Any] = {
            "number": asked.number,
            "text": asked.text,
            "family": asked.family,
            "minutes": asked.minutes,
            "yours": asked.browser == browser,
            "elapsed": max(0.0, time.time() - asked.began),
            "run": None,
            "ready": False,
            "reason": None,
            "verdict": None,
            "metrics": [],
            "samples": [],
        }
        if summary is not None:
            told |= _learned(summary)
        return {**told, "phase": phase, "reason": reason}

    def _phase(
        self, asked: Asked, alive: bool, summary: RunSummary | None
    ) -> tuple[Phase, str | None]:
        """How a training stands, and why where it ended otherwise than planned."""
        if asked.ended:
            return asked.ended, asked.reason
        if alive:
            if asked.stopped:
                return "stopping", None
            return ("training" if summary is not None else "preparing"), None
        phase, reason = self._end(asked, summary)
        with suppress(TextwrightError):  # on a full disk it is found out again
            self._write(asked.model_copy(update={"ended": phase, "reason": reason}))
        return phase, reason

    def _end(
        self, asked: Asked, summary: RunSummary | None
    ) -> tuple[Literal["finished", "stopped", "failed"], str | None]:
        status = None if summary is None else summary.section("result").get("status")
        if status in ("finished", "stopped early"):
            return "finished", None
        if asked.stopped:
            return "stopped", "it ended with the server" if asked.stopped == "closed" else None
        if status == "interrupted" and not self._errors():
            return "stopped", "its process was told to stop, not from this page"
        ours = self._process if self._is_ours(asked) else None
        return "failed", self._why(asked, None if ours is None else ours.returncode)

    def _why(self, asked: Asked, code: int | None) -> str:
        """Why the process ended, in one line that tells nothing of this machine's folders."""
        if errors := self._errors():
            line = errors[-1].removeprefix("error: ").replace(str(asked.file), shown(asked.text))
            return _PATH.sub("", line)[:500]
        if code is not None and code < 0:
            name = signal.Signals(-code).name
            hint = ", as systems do where memory runs out" if name == "SIGKILL" else ""
            return f"its process was killed ({name}){hint}"
        if code:
            return f"its process ended with code {code}"
        return "its process is gone without a word: killed, or the machine was switched off"

    def _errors(self) -> list[str]:
        try:
            with self._said.open("rb") as said:
                said.seek(max(0, self._said.stat().st_size - 10_000))
                lines = said.read().decode("utf-8", "replace").splitlines()
        except OSError:
            return []
        return [line for line in lines if line.startswith("error: ")]

    @property
    def _said(self) -> Path:
        return self.folder / "train.log"

    def _asked(self) -> Asked | None:
        try:
            return Asked.model_validate_json((self.folder / "training.json").read_bytes())
        except (OSError, ValidationError):
            return None

    def _write(self, asked: Asked) -> None:
        atomic.write_text(self.folder / "training.json", asked.model_dump_json(indent=2) + "\n")

    def _alive(self) -> bool:
        """Whether a training is under way; one of a server before this one holds the lock too."""
        if self._process is not None and self._process.poll() is None:
            return True
        if fcntl is None:
            run = self.run()
            return run is not None and is_training(run)
        return is_held(self.folder / "lock")

    def _is_ours(self, asked: Asked) -> bool:
        return self._process is not None and self._process.pid == asked.pid

    def _send(self, asked: Asked, *, at_once: bool = False) -> None:
        """Only while it is alive: the number of a process that ended may be another's."""
        if sys.platform == "win32":
            number = signal.SIGTERM
        else:
            number = signal.SIGKILL if at_once else signal.SIGINT
        with suppress(ProcessLookupError):
            if self._process is not None and self._is_ours(asked):
                self._process.send_signal(number)
            elif asked.pid:
                os.kill(asked.pid, number)


def _learned(summary: RunSummary) -> dict[str, Any]:
    """What a run tells so far."""
    run, verdict = summary.run, summary.verdict
    return {
        "run": run.name,
        "ready": run.has_model(),
        "verdict": {"text": verdict.text, "grounds": verdict.grounds, "advice": verdict.advice},
        "steps": summary.section("plan").get("steps"),
        "parameters": summary.parameters,
        "metrics": [{name: one.get(name) for name in CURVES} for one in summary.metrics],
        "samples": summary.samples[-SAMPLES:],
    }


def _under_way(asked: Asked | None) -> HTTPError:
    what = "" if asked is None else f": {shown(asked.text)}, {asked.minutes:g} min"
    return HTTPError(409, f"a training is under way{what}; wait for its end", code="under_way")


def _hold(file: Path) -> int | None:
    """Take the lock `file` and give its descriptor, with which a process can inherit it; None
    where another holds it, and not only asks whether one does."""
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
    until = time.monotonic() + PATIENCE
    while fcntl is not None:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except OSError:
            if is_held(file) or time.monotonic() > until:
                os.close(descriptor)
                return None
        time.sleep(PAUSE)
    return descriptor
