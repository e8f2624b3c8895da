"""An endpoint: made of a run, waited for, and taken away again."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from textwright.errors import RequestError, TextwrightError
from textwright.sagemaker import requests
from textwright.sagemaker.client import AWS, NotThereError
from textwright.sagemaker.following import ENDED, POLL_SECONDS
from textwright.sagemaker.requests import Call
from textwright.sagemaker.settings import CloudSettings


def plan_endpoint(settings: CloudSettings, endpoint: str, archive: Path) -> list[Call]:
    """The requests that make an endpoint of an archive; its config and model share its name.

    Raises:
        RequestError: a setting that they need is missing or wrong.
    """
    requests.check_resource_name(endpoint)
    key = f"{requests.folder_of(settings, endpoint)}model.tar.gz"
    address = f"s3://{settings.needed('bucket')}/{key}"
    return [
        requests.upload(settings, archive, key),
        requests.create_model(settings, endpoint, address),
        requests.create_endpoint_config(settings, endpoint),
        requests.create_endpoint(settings, endpoint),
    ]


def deploy(aws: AWS, calls: list[Call], endpoint: str) -> None:
    """Send them, after looking whether the bucket and the name can be had.

    Raises:
        RequestError: the name is taken, or AWS refuses; then what was made is named.
    """
    aws.check_bucket(calls[0].parameters["Bucket"])
    if state(aws, endpoint) is not None:
        raise RequestError(
            f"there is an endpoint {endpoint} already; give another --name, or remove it first: "
            f"textwright sagemaker delete {endpoint}"
        )
    made: list[str] = []
    for call in calls:
        try:
            aws.send(call)
        except TextwrightError as error:
            if not made:
                raise
            raise type(error)(
                f"{error}; {' and '.join(made)} {'is' if len(made) == 1 else 'are'} there: "
                f"textwright sagemaker delete {endpoint}"
            ) from error
        if call.service == "sagemaker":
            made.append(f"{call.operation.removeprefix('Create')} {endpoint}")


def state(aws: AWS, endpoint: str) -> dict[str, Any] | None:
    """What AWS says of an endpoint; None where there is none."""
    try:
        told: dict[str, Any] = aws.ask("sagemaker", "DescribeEndpoint", EndpointName=endpoint)
    except NotThereError:
        return None
    return told


def wait(
    aws: AWS,
    endpoint: str,
    told: Callable[[str], None],
    *,
    every: float = POLL_SECONDS,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Wait until an endpoint answers.

    Raises:
        TextwrightError: it can't be made; the message has the reason.
    """
    before = ""
    while True:
        described = state(aws, endpoint)
        status = "Failed" if described is None else str(described["EndpointStatus"])
        if status != before:
            told(status)
            before = status
        if status == "InService":
            return
        if status in ("Failed", "OutOfService", "Deleting"):
            reason = (described or {}).get("FailureReason", "it is gone")
            raise TextwrightError(
                f"endpoint {endpoint} is not to be had ({status}): {reason}; its log is in "
                f"CloudWatch under /aws/sagemaker/Endpoints/{endpoint}; remove it: textwright "
                f"sagemaker delete {endpoint}"
            )
        sleep(every)


@dataclass(frozen=True)
class Removal:
    """What `delete` would end."""

    things: list[str]
    """In words."""
    calls: list[Call]
    stops: bool = False
    """Whether it is a job that runs: it is told to stop, and writes until it has."""
    checkpoints: str | None = None
    """Where a job keeps its run."""


def plan_removal(aws: AWS, name: str) -> Removal:
    """What there is of an endpoint `name`, half-made ones too, or of a job that runs.

    Raises:
        RequestError: there is nothing of this name.
    """
    endpoint = state(aws, name)
    config = name if endpoint is None else endpoint["EndpointConfigName"]
    described = _there(aws, "DescribeEndpointConfig", EndpointConfigName=config)
    models = [variant["ModelName"] for variant in (described or {}).get("ProductionVariants", [])]
    kept = [model for model in dict.fromkeys(models or [name])
            if _there(aws, "DescribeModel", ModelName=model) is not None]  # fmt: skip
    things = [
        *([f"endpoint {name}"] if endpoint else []),
        *([f"endpoint config {config}"] if described else []),
        *(f"model {model}" for model in kept),
    ]
    calls = requests.deletions(name, config, kept)
    gone = {"DeleteEndpoint": endpoint is None, "DeleteEndpointConfig": described is None}
    calls = [call for call in calls if not gone.get(call.operation)]
    if things:
        return Removal(things, calls)
    job = _there(aws, "DescribeTrainingJob", TrainingJobName=name)
    if job is None:
        raise RequestError(
            f"there is no endpoint and no training job {name} in {aws.region}; "
            "textwright sagemaker status lists them"
        )
    checkpoints = job.get("CheckpointConfig", {}).get("S3Uri")
    if job["TrainingJobStatus"] in ENDED:
        return Removal([], [], checkpoints=checkpoints)
    things = [f"training job {name}, which runs: it saves, and is stopped"]
    return Removal(things, [requests.stop_job(name)], stops=True, checkpoints=checkpoints)


def stored(aws: AWS, settings: CloudSettings, name: str) -> list[Call]:
    """The requests that delete what lies in the bucket of a job or an endpoint."""
    bucket, prefix = settings.needed("bucket"), requests.folder_of(settings, name)
    calls = []
    for page in aws.pages("s3", "ListObjectsV2", Bucket=bucket, Prefix=prefix):
        objects = [{"Key": entry["Key"]} for entry in page.get("Contents", [])]
        if objects:
            parameters = {"Bucket": bucket, "Delete": {"Objects": objects, "Quiet": True}}
            calls.append(Call("s3", "DeleteObjects", parameters))
    return calls


def _there(aws: AWS, operation: str, **parameters: str) -> dict[str, Any] | None:
    try:
        told: dict[str, Any] = aws.ask("sagemaker", operation, **parameters)
    except NotThereError:
        return None
    return told
