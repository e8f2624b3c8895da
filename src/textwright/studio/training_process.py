"""The one training that the page may run at a time: a process of its own, `textwright train`.

Its state is read from its run folder, so that a server that was restarted finds it again. Whether
it is alive is seen by a lock that the process holds: that ends with it, however it ends, and other
servers on the same folder see it too.
"""

from __future__ import annotations

import itertools
import json
import os
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ValidationError

from textwright import atomic
from textwright.errors import RunError, TextwrightError
from textwright.reporting import RunSummary, all_runs
from textwright.runs import Run, check_free, find, is_locked, is_training, name_from, name_key
from textwright.runs.folder import lock_to_inherit
from textwright.serving.errors import HTTPError, without_folders
from textwright.studio.uploads import Upload, Uploads, display_name

NICE = 5
"""Added to the training's niceness, so that the server generates meanwhile."""
CURVES = ("step", "seconds", "train_loss", "val_loss", "val_bits_per_char")
"""What the page gets of each evaluation."""
SAMPLES = 8
"""How many of the latest samples the page gets."""

Phase = Literal["preparing", "training", "stopping", "finished", "stopped", "failed"]


class TrainingRecord(BaseModel):
    """The latest training as `training.json` holds it; outlives the server."""

    number: str
    run: str
    """Name of the run."""
    text: str
    """Name of the text, the client's."""
    file: Path
    family: str
    minutes: float
    """Of all its legs."""
    more: float | None = None
    """Minutes of the leg that it is on beyond its plan; None on the first."""
    browser: str
    """Who started or resumed it."""
    began: float
    """Seconds since 1970."""
    pid: int = 0
    stopped: Literal["", "asked", "at once", "closed"] = ""
    """How it was stopped: by a client, or by the server's shutdown ("closed")."""
    ended: Literal["", "finished", "stopped", "failed"] = ""
    reason: str | None = None
    """Why it failed or stopped, kept since its run may be removed later."""


class TrainingProcess:
    """Starts, observes, stops and resumes the training; thread-safe."""

    def __init__(self, runs: Path, max_bytes: int = 64_000_000) -> None:
        """
        Args:
            runs: the folder of runs; its hidden `.studio` holds uploads, lock, log and record.
            max_bytes: of an uploaded text.
        """
        self.runs = runs
        self.folder = runs / ".studio"
        self.uploads = Uploads(self.folder / "uploads", max_bytes)
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.RLock()

    def start(
        self,
        text: Upload,
        family: str,
        minutes: float,
        browser: str,
        *,
        parent: str | None = None,
        name: str = "",
        taken: Collection[str] = (),
    ) -> None:
        """Start a training.

        Args:
            text: the corpus.
            family: of the model.
            minutes: how long to train.
            browser: who may stop it.
            parent: a model to begin with, which decides the family.
            name: of the run; empty for the text's.
            taken: names that its run can't have, besides those in the folder of runs.

        Raises:
            HTTPError: a training is running.
            TextwrightError: the folder can't be written, e.g. a full disk.
        """
        with self._lock, self._exclusive() as lock:
            if parent is not None:
                family = find(parent).config().family
            beginning = ("--model", family) if parent is None else ("--from", parent)
            run = self._free_name(name or text.file.name.partition(".")[0], taken)
            file = text.file.resolve() if text.is_file else text.file
            record = TrainingRecord(
                number=secrets.token_hex(8), run=run, text=text.name, file=file, family=family,
                minutes=minutes, browser=browser, began=time.time(),
            )  # fmt: skip
            self._launch(record, lock, str(record.file), *beginning, "--minutes", f"{minutes:g}")

    def resume(self, number: str, browser: str, more: float | None = None) -> None:
        """Resume a training that was stopped, or failed, from its last checkpoint; or go on with
        one that has finished, beyond its plan.

        Args:
            number: of the training; another may have taken its place.
            browser: who may stop it from now on.
            more: minutes beyond what is done; None for what is left of its plan.

        Raises:
            HTTPError: a training is running, or this one can't be resumed.
            TextwrightError: the folder can't be written, e.g. a full disk.
        """
        with self._lock, self._exclusive() as lock:
            record = self._read_record()
            run = self.run()
            if record is None or record.number != number:
                raise HTTPError(409, "another training has taken its place")
            summary = None if run is None else RunSummary.read(run)
            if summary is None:
                raise HTTPError(409, "nothing of that training is left: train the text anew")
            finished = self._phase(record, False, summary)[0] == "finished"
            if finished and more is None:
                raise HTTPError(409, "that training has finished; more_minutes goes on with it")
            if more is not None and run is not None and not run.checkpoints():
                raise HTTPError(409, "its checkpoints are gone: begin another with its weights")
            trained = max((row.get("seconds") or 0.0 for row in summary.metrics), default=0.0)
            changed = {
                "browser": browser, "began": time.time() - trained,
                "stopped": "", "ended": "", "reason": None,
            }  # fmt: skip
            words = ["--resume"]
            if more is None:
                more = None if finished else record.more  # what is left of that leg
            else:
                done = record.minutes if finished else trained / 60
                changed |= {"minutes": done + more, "more": more}
            if more is not None:
                words += ["--minutes", f"+{more:g}"]
            self._launch(record.model_copy(update=changed), lock, *words)

    @contextmanager
    def _exclusive(self) -> Iterator[int]:
        """The training's lock, as a descriptor that the process started meanwhile inherits.

        Raises:
            HTTPError: a training is running.
        """
        self.check_idle()
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = lock_to_inherit(self.folder / "lock")
            if lock is None:
                raise _already_training(self._read_record())
            try:
                yield lock
            finally:
                os.close(lock)
        except OSError as error:
            raise atomic.disk_error(error, self.folder) from error

    def _free_name(self, wanted: str, taken: Collection[str]) -> str:
        """A run's name from its text's: `my-novel`, or `my-novel-2` where that is taken, …"""
        stem = name_from(wanted)
        for number in itertools.count(1):
            name = stem if number == 1 else f"{stem}-{number}"
            if any(name_key(name) == name_key(other) for other in taken):
                continue
            with suppress(RunError):
                check_free(name, self.runs)
                return name
        raise AssertionError

    def _launch(self, record: TrainingRecord, lock: int, *arguments: str) -> None:
        command = [
            sys.executable, "-P", "-m", "textwright", "train", *arguments, "--name", record.run,
            "--runs", str(self.runs.resolve()), "--json", "--log", "live",
        ]  # fmt: skip
        with self._log_file.open("wb") as log:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=log,
                **_popen_options(lock),
            )  # fmt: skip
        try:
            self._write_record(record.model_copy(update={"pid": process.pid}))
        except BaseException:  # on a full disk: without a record nobody could stop it
            process.kill()
            process.wait()
            raise
        if sys.platform != "win32":
            with suppress(OSError):
                os.setpriority(os.PRIO_PROCESS, process.pid, NICE)
        self._process = process

    def check_idle(self) -> None:
        """Raise `HTTPError` where a training is running."""
        with self._lock:
            if self._alive():
                raise _already_training(self._read_record())

    def stop(self, number: str, browser: str, *, at_once: bool = False) -> None:
        """Stop the training, with a checkpoint; `at_once` loses the steps since the last one.

        Raises:
            HTTPError: it is another training, or another browser's.
        """
        with self._lock:
            record = self._read_record()
            if record is None or record.number != number:
                raise HTTPError(409, "that training is over; another may be under way")
            if record.browser != browser:
                raise HTTPError(409, "this training was started in another browser: stop it there")
            if self._alive():
                stopped = "at once" if at_once else "asked"
                self._write_record(record.model_copy(update={"stopped": stopped}))
                self._send_signal(record, at_once=at_once)

    def close(self, seconds: float) -> None:
        """Stop this server's training, and wait at most `seconds` for its checkpoint."""
        with self._lock:
            process, record = self._process, self._read_record()
            if process is None or process.poll() is not None or record is None:
                return
            if not record.stopped:
                self._write_record(record.model_copy(update={"stopped": "closed"}))
                self._send_signal(record)
        with suppress(subprocess.TimeoutExpired):
            process.wait(seconds)

    def texts(self) -> set[Path]:
        """The corpus files of the latest training and of all runs in the folder."""
        record = self._read_record()
        files = set() if record is None else {record.file}
        for run in all_runs(self.runs):
            with suppress(TextwrightError, KeyError, TypeError):
                files |= {Path(text) for text in run.settings().get("corpus", {})["sources"]}
        return files

    def run(self) -> Run | None:
        """The run of the latest training; None where there is none, or not yet."""
        record = self._read_record()
        run = None if record is None else Run(self.runs / record.run)
        return run if run is not None and run.settings_file.is_file() else None

    def state(self, browser: str) -> dict[str, Any] | None:
        """The latest training as the page shows it; None where there was none."""
        with self._lock:
            record = self._read_record()
            if record is None:
                return None
            # Before the run is read: what a dead process wrote is final
            alive = not record.ended and self._alive()
            run = self.run()
            summary = None if run is None else RunSummary.read(run)
            phase, reason = self._phase(record, alive, summary)
        state: dict[str, Any] = {
            "number": record.number,
            "text": record.text,
            "family": record.family,
            "minutes": record.minutes,
            "yours": record.browser == browser,
            "elapsed": max(0.0, time.time() - record.began),
            "run": None,
            "ready": False,
            "reason": None,
            "verdict": None,
            "can_go_on": False,
            "report": False,
            "legs": [],
            "metrics": [],
            "samples": [],
            "live": None,
        }
        if summary is not None:
            state |= _progress(summary)
            if alive:
                state["live"] = _live(summary.run)
        return {**state, "phase": phase, "reason": reason}

    def _phase(
        self, record: TrainingRecord, alive: bool, summary: RunSummary | None
    ) -> tuple[Phase, str | None]:
        """The phase of a training, and why it stopped or failed; records the end once seen."""
        if record.ended:
            return record.ended, record.reason
        if alive:
            if record.stopped:
                return "stopping", None
            return ("training" if summary is not None else "preparing"), None
        phase, reason = self._outcome(record, summary)
        with suppress(TextwrightError):  # on a full disk; the next call tries again
            self._write_record(record.model_copy(update={"ended": phase, "reason": reason}))
        return phase, reason

    def _outcome(
        self, record: TrainingRecord, summary: RunSummary | None
    ) -> tuple[Literal["finished", "stopped", "failed"], str | None]:
        status = None if summary is None else summary.section("result").get("status")
        if status in ("finished", "stopped early"):
            return "finished", None
        if record.stopped:
            return "stopped", "it ended with the server" if record.stopped == "closed" else None
        if status == "interrupted" and not self._errors():
            return "stopped", "its process was told to stop, not from this page"
        ours = self._process if self._is_ours(record) else None
        return "failed", self._failure_reason(record, None if ours is None else ours.returncode)

    def _failure_reason(self, record: TrainingRecord, code: int | None) -> str:
        """Why the process ended, in one line without paths of this machine."""
        if errors := self._errors():
            line = errors[-1].removeprefix("error: ")
            line = line.replace(str(record.file), display_name(record.text))
            return without_folders(line)[:500]
        if code is not None and code < 0:
            names = {number.value: number.name for number in signal.Signals}
            name = names.get(-code, f"signal {-code}")
            hint = ", as systems do where memory runs out" if name == "SIGKILL" else ""
            return f"its process was killed ({name}){hint}"
        if code:
            return f"its process ended with code {code}"
        return "its process is gone without a word: killed, or the machine was switched off"

    def _errors(self) -> list[str]:
        try:
            with self._log_file.open("rb") as log:
                log.seek(max(0, self._log_file.stat().st_size - 10_000))
                lines = log.read().decode("utf-8", "replace").splitlines()
        except OSError:
            return []
        return [line for line in lines if line.startswith("error: ")]

    @property
    def _log_file(self) -> Path:
        return self.folder / "train.log"

    def _read_record(self) -> TrainingRecord | None:
        try:
            return TrainingRecord.model_validate_json((self.folder / "training.json").read_bytes())
        except (OSError, ValidationError):
            return None

    def _write_record(self, record: TrainingRecord) -> None:
        atomic.write_text(self.folder / "training.json", record.model_dump_json(indent=2) + "\n")

    def _alive(self) -> bool:
        """Whether a training is running, also one that another server started."""
        if self._process is not None and self._process.poll() is None:
            return True
        if sys.platform == "win32":
            run = self.run()
            return run is not None and is_training(run)
        return is_locked(self.folder / "lock")

    def _is_ours(self, record: TrainingRecord) -> bool:
        return self._process is not None and self._process.pid == record.pid

    def _send_signal(self, record: TrainingRecord, *, at_once: bool = False) -> None:
        """Only while it is alive: the id of a process that ended may be another's."""
        if sys.platform == "win32":
            number = signal.SIGTERM if at_once else signal.CTRL_BREAK_EVENT
        else:
            number = signal.SIGKILL if at_once else signal.SIGINT
        # on Windows another server's training may have no console to send the event to
        with suppress(OSError if sys.platform == "win32" else ProcessLookupError):
            if self._process is not None and self._is_ours(record):
                self._process.send_signal(number)
            elif record.pid:
                os.kill(record.pid, number)


def _popen_options(lock: int) -> dict[str, Any]:
    """Options of the training's process: it inherits the lock (on Windows it gets a lower priority)
    and ignores Ctrl-C in a terminal, which is for the server: that stops the training."""
    if sys.platform == "win32":  # where no lock is inherited
        flags = subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.BELOW_NORMAL_PRIORITY_CLASS
        return {"creationflags": flags}
    return {"start_new_session": True, "pass_fds": (lock,)}


def _progress(summary: RunSummary) -> dict[str, Any]:
    """What the page shows of a run so far, as JSON holds it."""
    run, verdict = summary.run, summary.verdict
    return {
        "run": run.name,
        "ready": run.has_model(),
        "verdict": asdict(verdict),
        "can_go_on": bool(run.checkpoints()),
        "report": run.report_file.is_file(),
        "legs": [leg["begin"] for leg in summary.section("plan").get("legs", [])[1:]],
        "steps": summary.section("plan").get("steps"),
        "parameters": summary.parameters,
        "metrics": [{name: row.get(name) for name in CURVES} for row in summary.metrics],
        "samples": summary.samples[-SAMPLES:],
    }


def _live(run: Run) -> dict[str, Any] | None:
    """The content of `live.json`: `step`, `losses` (step, loss), `sample`; None without one."""
    try:
        live = json.loads(run.live_file.read_bytes())
    except (OSError, ValueError):  # not yet
        return None
    return live if isinstance(live, dict) else None


def _already_training(record: TrainingRecord | None) -> HTTPError:
    what = "" if record is None else f": {display_name(record.text)}, {record.minutes:g} min"
    return HTTPError(409, f"a training is under way{what}; wait for its end", code="under_way")
