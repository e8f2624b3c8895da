"""A job that runs: its states, its log and its numbers, until it ends."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any, Protocol

from textwright.errors import TextwrightError
from textwright.sagemaker.client import AWS, NotThereError
from textwright.sagemaker.requests import METRICS

LOG_GROUP = "/aws/sagemaker/TrainingJobs"
ENDED = {"Completed", "Failed", "Stopped"}
POLL_SECONDS = 10.0


class Watcher(Protocol):
    """What is told while a job is followed."""

    def state(self, name: str, message: str) -> None:
        """The job has come into another state, e.g. `Downloading`."""

    def line(self, text: str) -> None:
        """A line of its log."""

    def numbers(self, step: int, steps: int, values: dict[str, float]) -> None:
        """An evaluation: how far it is, and its metrics by name."""


def follow(
    aws: AWS,
    job: str,
    watcher: Watcher,
    *,
    every: float = POLL_SECONDS,
    sleep: Callable[[float], None] = time.sleep,
) -> dict[str, Any]:
    """Watch a job until it ends; gives its description.

    Raises:
        NotThereError: there is no such job.
        TextwrightError: it failed; the message has the reason.
    """
    log, told = _Log(aws, job), 0
    while True:
        described: dict[str, Any] = aws.ask("sagemaker", "DescribeTrainingJob", TrainingJobName=job)
        transitions = described.get("SecondaryStatusTransitions", [])
        for state in transitions[told:]:
            watcher.state(state["Status"], state.get("StatusMessage", ""))
        told = len(transitions)
        ended = described["TrainingJobStatus"] in ENDED
        for line in log.new():
            watcher.line(line)
            if (found := evaluation(line)) is not None:
                watcher.numbers(*found)
        if ended:
            break
        sleep(every)
    if described["TrainingJobStatus"] == "Failed":
        reason = described.get("FailureReason", "no reason was given")
        raise TextwrightError(f"training job {job} failed: {reason}")
    return described


def evaluation(line: str) -> tuple[int, int, dict[str, float]] | None:
    """Step, steps and metrics of a line that tells an evaluation."""
    progress = re.search(r"\bstep (\d+)/(\d+)", line)
    if progress is None:
        return None
    found = {name: re.search(rf"\b{regex}", line) for name, regex in METRICS.items()}
    values = {name: float(match[1]) for name, match in found.items() if match is not None}
    return int(progress[1]), int(progress[2]), values


class _Log:
    """The job's log in CloudWatch, a stream a host; what was read is not read again."""

    def __init__(self, aws: AWS, job: str) -> None:
        self._aws, self._job = aws, job
        self._tokens: dict[str, str] = {}

    def new(self) -> list[str]:
        try:
            streams = [
                stream["logStreamName"]
                for page in self._aws.pages(
                    "logs", "DescribeLogStreams", logGroupName=LOG_GROUP,
                    logStreamNamePrefix=f"{self._job}/",
                )
                for stream in page["logStreams"]
            ]  # fmt: skip
        except NotThereError:  # the first job of an account makes the group
            return []
        return [line for stream in streams for line in self._of(stream, several=len(streams) > 1)]

    def _of(self, stream: str, *, several: bool) -> list[str]:
        host = re.match(r"\w+-\d+", stream.rpartition("/")[2])  # algo-1-1700000000
        before = f"[{host[0]}] " if several and host else ""
        lines = []
        while True:
            token = self._tokens.get(stream)
            told = self._aws.ask(
                "logs", "GetLogEvents", logGroupName=LOG_GROUP, logStreamName=stream,
                startFromHead=True, **({"nextToken": token} if token else {}),
            )  # fmt: skip
            lines += [before + event["message"].rstrip("\n") for event in told["events"]]
            if token == told["nextForwardToken"]:
                return lines
            self._tokens[stream] = told["nextForwardToken"]
