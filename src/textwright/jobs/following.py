"""Follows a job by its log until it ends, and brings the run here."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from textwright.cloud.following import JobObserver, parse_evaluation
from textwright.cloud.results import keep_run
from textwright.errors import TextwrightError
from textwright.jobs.launch import RUN
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
    """
    from huggingface_hub import HfApi

    api, stage, last = HfApi(), "", ""
    with hub_errors(f"job {job}"):
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
        raise TextwrightError(f"job {job} failed: {info.status.message or last}")
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
    """Download the run of a job, without its checkpoints.

    Raises:
        RunError: the job left no model.
    """
    from huggingface_hub import snapshot_download

    with TemporaryDirectory() as scratch:
        with hub_errors(repository):
            snapshot_download(
                repository, allow_patterns=[f"{RUN}/*"], ignore_patterns=["*/checkpoints/*"],
                local_dir=scratch,
            )  # fmt: skip
        folder = Path(scratch) / RUN
        folder.mkdir(exist_ok=True)
        return keep_run(folder, name, runs_folder)
