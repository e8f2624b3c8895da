"""Endpoints: create one from a run, wait for it, delete it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from textwright.cloud.calls import Call
from textwright.errors import RequestError, TextwrightError
from textwright.sagemaker import requests
from textwright.sagemaker.client import AWS
from textwright.sagemaker.listing import nothing_named
from textwright.sagemaker.monitor import ENDED, POLL_SECONDS
from textwright.sagemaker.settings import CloudSettings


def plan_endpoint(settings: CloudSettings, endpoint: str, archive: Path) -> list[Call]:
    """The requests that create an endpoint from an archive; its config and model share its name.

    Raises:
        RequestError: a required setting is missing or wrong.
    """
    requests.check_resource_name(endpoint)
    key = f"{requests.folder_of(settings, endpoint)}model.tar.gz"
    address = f"s3://{settings.require('bucket')}/{key}"
    return [
        requests.upload(settings, archive, key),
        requests.create_model(settings, endpoint, address),
        requests.create_endpoint_config(settings, endpoint),
        requests.create_endpoint(settings, endpoint),
    ]


def deploy(aws: AWS, calls: list[Call], endpoint: str) -> None:
    """Send `calls`, after checking the bucket and that the name is free.

    Raises:
        RequestError: the name is taken, or AWS refuses; the message names what was created.
    """
    aws.check_bucket(calls[0].parameters["Bucket"])
    if aws.describe("DescribeEndpoint", EndpointName=endpoint) is not None:
        raise RequestError(
            f"there is an endpoint {endpoint} already; give another --name, or remove it first: "
            f"textwright sagemaker delete {endpoint}"
        )
    created: list[str] = []
    for call in calls:
        try:
            aws.send(call)
        except TextwrightError as error:
            if not created:
                raise
            raise type(error)(
                f"{error}; {' and '.join(created)} {'is' if len(created) == 1 else 'are'} there: "
                f"textwright sagemaker delete {endpoint}"
            ) from error
        if call.service == "sagemaker":
            created.append(f"{call.operation.removeprefix('Create')} {endpoint}")


def wait(
    aws: AWS,
    endpoint: str,
    report: Callable[[str], None],
    *,
    every: float = POLL_SECONDS,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Wait until an endpoint is in service.

    Args:
        report: called with each new status.
        every: seconds between two queries.

    Raises:
        TextwrightError: it failed; the message has the reason.
    """
    previous = ""
    while True:
        described = aws.describe("DescribeEndpoint", EndpointName=endpoint)
        status = "Failed" if described is None else str(described["EndpointStatus"])
        if status != previous:
            report(status)
            previous = status
        if status == "InService":
            return
        if status in ("Failed", "OutOfService", "Deleting"):
            reason = (described or {}).get("FailureReason", "it is gone")
            raise TextwrightError(
                f"endpoint {endpoint} doesn't serve ({status}): {reason}; its log is in "
                f"CloudWatch under /aws/sagemaker/Endpoints/{endpoint}; remove it: textwright "
                f"sagemaker delete {endpoint}"
            )
        sleep(every)


@dataclass(frozen=True)
class Removal:
    """What `delete` would delete or stop."""

    things: list[str]
    """In words, for the question."""
    calls: list[Call]
    stops: bool = False
    """Whether it is a running job, which still writes files until it has stopped."""
    checkpoints: str | None = None
    """The job's folder of checkpoints in S3."""


def plan_removal(aws: AWS, name: str) -> Removal:
    """What exists of the endpoint `name`, also where some of it is missing, or of a running job.

    Raises:
        RequestError: there is no endpoint or job of this name.
    """
    endpoint = aws.describe("DescribeEndpoint", EndpointName=name)
    config = name if endpoint is None else endpoint["EndpointConfigName"]
    described = aws.describe("DescribeEndpointConfig", EndpointConfigName=config)
    models = [variant["ModelName"] for variant in (described or {}).get("ProductionVariants", [])]
    models = [model for model in dict.fromkeys(models or [name])
              if aws.describe("DescribeModel", ModelName=model) is not None]  # fmt: skip
    things = [
        *([f"endpoint {name}"] if endpoint else []),
        *([f"endpoint config {config}"] if described else []),
        *(f"model {model}" for model in models),
    ]
    calls = requests.deletions(name, config, models)
    missing = {"DeleteEndpoint": endpoint is None, "DeleteEndpointConfig": described is None}
    calls = [call for call in calls if not missing.get(call.operation)]
    if things:
        return Removal(things, calls)
    job = aws.describe("DescribeTrainingJob", TrainingJobName=name)
    if job is None:
        raise nothing_named(name, aws)
    checkpoints = job.get("CheckpointConfig", {}).get("S3Uri")
    if job["TrainingJobStatus"] in ENDED:
        return Removal([], [], checkpoints=checkpoints)
    things = [f"training job {name}, which runs: it saves, and is stopped"]
    return Removal(things, [requests.stop_job(name)], stops=True, checkpoints=checkpoints)


def plan_file_deletion(aws: AWS, settings: CloudSettings, name: str) -> list[Call]:
    """The requests that delete the files of a job or an endpoint in the bucket."""
    bucket, prefix = settings.require("bucket"), requests.folder_of(settings, name)
    calls = []
    for page in aws.pages("s3", "ListObjectsV2", Bucket=bucket, Prefix=prefix):
        objects = [{"Key": entry["Key"]} for entry in page.get("Contents", [])]
        if objects:
            parameters = {"Bucket": bucket, "Delete": {"Objects": objects, "Quiet": True}}
            calls.append(Call("s3", "DeleteObjects", parameters))
    return calls
