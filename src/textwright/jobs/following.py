"""Follows a job by its log until it ends, and brings the run here."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from textwright import runs
from textwright.cloud.following import JobObserver, parse_evaluation
from textwright.cloud.results import keep_run
from textwright.errors import DownloadError, RunError, TextwrightError
from textwright.jobs.launch import RUN, TRIALS
from textwright.publishing.hub import hub_errors
from textwright.runs import Run

if TYPE_CHECKING:
    from huggingface_hub import JobInfo

_ENDED = ("COMPLETED", "CANCELED", "ERROR", "DELETED")
POLL_SECONDS = 5.0


def follow(
    job: str,
    user: str,
    observer: JobObserver,
    *,
    sleep: Callable[[float], None] = time.sleep,
) -> JobInfo:
    """Follow a job until it ends; returns what the Hub says of it then.

    Raises:
        TextwrightError: it failed; the message has the last line of its log.
        DownloadError: the Hub can't be reached any more; the job goes on.
    """
    from huggingface_hub import HfApi

    api, stage, last = HfApi(), "", ""
    with hub_errors(f"job {job}", DownloadError):
        while True:
            info = api.inspect_job(job_id=job, namespace=user)
            if str(info.status.stage) != stage:
                stage = str(info.status.stage)
                observer.state(stage.lower(), info.status.message or "")
            if stage != "SCHEDULING":
                for text in api.fetch_job_logs(job_id=job, namespace=user, follow=True):
                    for line in text.splitlines():
                        last = line.strip() or last
                        observer.log_line(line)
                        if (parsed := parse_evaluation(line)) is not None:
                            observer.metrics(*parsed)
                info = _end_of(job, user, sleep)
                break
            sleep(POLL_SECONDS)
    stage = str(info.status.stage)
    observer.state(stage.lower(), info.status.message or "")
    if stage == "ERROR":
        reason = info.status.message or last or "no reason was given"
        raise TextwrightError(f"job {job} failed: {reason}; its log: hf jobs logs {job}")
    return info


def _end_of(job: str, user: str, sleep: Callable[[float], None]) -> JobInfo:
    """What the Hub says of a job once it has ended, which its log may do a little before."""
    from huggingface_hub import HfApi

    while True:
        info = HfApi().inspect_job(job_id=job, namespace=user)
        if str(info.status.stage) in _ENDED:
            return info
        sleep(POLL_SECONDS)


def bring_back(repository: str, name: str, runs_folder: str | Path | None) -> Run:
    """Download the run of a job, of a sweep the trials beside it, without their checkpoints.

    Raises:
        RunError: the job left no model.
    """
    from huggingface_hub import snapshot_download

    from textwright.training.sweeping import keep_trials
    from textwright.training.sweeps import free_name

    with TemporaryDirectory() as scratch:
        with hub_errors(repository):
            snapshot_download(
                repository, allow_patterns=[f"{RUN}/*", f"{TRIALS}/*"],
                ignore_patterns=["*/checkpoints/*"], local_dir=scratch,
            )  # fmt: skip
        folder, trials = Path(scratch) / RUN, Path(scratch) / TRIALS
        folder.mkdir(exist_ok=True)
        if trials.is_dir():
            name = free_name(name, runs.runs_folder(runs_folder))
        run = keep_run(folder, name, runs_folder)
        if trials.is_dir():
            keep_trials(trials, run)
        return run


def brought_back(repository: str, runs_folder: str | Path | None) -> Run | None:
    """The run of this machine that is the one in a repository, as it is there now; None where that
    isn't here."""
    from huggingface_hub import HfApi, hf_hub_download

    with TemporaryDirectory() as scratch, hub_errors(repository):
        if not HfApi().file_exists(repository, f"{RUN}/run.toml"):
            return None
        file = hf_hub_download(repository, f"{RUN}/run.toml", local_dir=scratch)
        there = _nameless(Run(Path(file).parent))
    candidates = runs.list_runs(runs.runs_folder(runs_folder))
    return next((run for run in candidates if _nameless(run) == there), None)


def _nameless(run: Run) -> dict[str, Any]:
    """What `run.toml` says, without the name, which it gets here."""
    try:
        settings = run.settings()
    except RunError:
        return {}  # a damaged run is no other's copy
    return {**settings, "run": {**settings.get("run", {}), "name": ""}}
