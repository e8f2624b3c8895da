"""Follows a job that runs: its states, its log and its metrics, until it ends."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any

from textwright.cloud.following import JobObserver, parse_evaluation
from textwright.errors import TextwrightError
from textwright.sagemaker.client import AWS, NotFoundError

LOG_GROUP = "/aws/sagemaker/TrainingJobs"
ENDED = {"Completed", "Failed", "Stopped"}
POLL_SECONDS = 10.0


def follow(
    aws: AWS,
    job: str,
    observer: JobObserver,
    *,
    every: float = POLL_SECONDS,
    sleep: Callable[[float], None] = time.sleep,
) -> dict[str, Any]:
    """Follow a job until it ends; returns AWS's description of it.

    Args:
        observer: gets each state, log line and evaluation once, also those before the call.
        every: seconds between two queries.

    Raises:
        NotFoundError: there is no such job.
        TextwrightError: it failed; the message has the reason.
    """
    log, seen = _Log(aws, job), 0
    while True:
        described = aws.query("sagemaker", "DescribeTrainingJob", TrainingJobName=job)
        transitions = described.get("SecondaryStatusTransitions", [])
        for state in transitions[seen:]:
            observer.state(state["Status"], state.get("StatusMessage", ""))
        seen = len(transitions)
        ended = described["TrainingJobStatus"] in ENDED
        for line in log.new_lines():
            observer.log_line(line)
            if (parsed := parse_evaluation(line)) is not None:
                observer.metrics(*parsed)
        if ended:
            break
        sleep(every)
    if described["TrainingJobStatus"] == "Failed":
        reason = described.get("FailureReason", "no reason was given")
        raise TextwrightError(
            f"training job {job} failed: {reason}; its log is in CloudWatch under "
            f"/aws/sagemaker/TrainingJobs, by this name"
        )
    return dict(described)


class _Log:
    """The job's log in CloudWatch, which has a stream per host; each line is read once."""

    def __init__(self, aws: AWS, job: str) -> None:
        self._aws, self._job = aws, job
        self._tokens: dict[str, str] = {}

    def new_lines(self) -> list[str]:
        try:
            streams = [
                stream["logStreamName"]
                for page in self._aws.pages(
                    "logs", "DescribeLogStreams", logGroupName=LOG_GROUP,
                    logStreamNamePrefix=f"{self._job}/",
                )
                for stream in page["logStreams"]
            ]  # fmt: skip
        except NotFoundError:  # the first job of an account creates the log group
            return []
        prefixed = len(streams) > 1
        return [line for stream in streams for line in self._read(stream, prefixed=prefixed)]

    def _read(self, stream: str, *, prefixed: bool) -> list[str]:
        host = re.match(r"\w+-\d+", stream.rpartition("/")[2])  # algo-1-1700000000
        prefix = f"[{host[0]}] " if prefixed and host else ""
        lines = []
        while True:
            token = self._tokens.get(stream)
            page = self._aws.query(
                "logs", "GetLogEvents", logGroupName=LOG_GROUP, logStreamName=stream,
                startFromHead=True, **({"nextToken": token} if token else {}),
            )  # fmt: skip
            lines += [prefix + event["message"].rstrip("\n") for event in page["events"]]
            if token == page["nextForwardToken"]:
                return lines
            self._tokens[stream] = page["nextForwardToken"]
