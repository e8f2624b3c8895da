"""Lists the jobs and endpoints that textwright made in an account, by their tag."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from textwright.cloud.calls import Call
from textwright.errors import RequestError
from textwright.sagemaker.client import AWS
from textwright.sagemaker.requests import TAG, job_ending

PREFIX = "textwright-"
LISTS = (
    Call("sagemaker", "ListTrainingJobs", {"NameContains": PREFIX, "SortBy": "CreationTime",
                                           "SortOrder": "Descending"}),
    Call("sagemaker", "ListEndpoints", {"SortBy": "CreationTime", "SortOrder": "Descending"}),
)  # fmt: skip


@dataclass(frozen=True)
class Entry:
    """A job or an endpoint."""

    kind: str
    name: str
    status: str
    created: datetime
    costs: bool
    """Whether it costs money now."""


def list_all(aws: AWS, limit: int = 50) -> list[Entry]:
    """Jobs, the latest first, at most `limit`; then all endpoints."""
    entries = []
    for call, kind, key in zip(LISTS, ("training job", "endpoint"), (
        ("TrainingJobSummaries", "TrainingJob"), ("Endpoints", "Endpoint")), strict=True,
    ):  # fmt: skip
        count = 0
        for item in _summaries(aws, call, key[0]):
            if kind == "training job" and count == limit:
                break
            if not _is_ours(aws, item[f"{key[1]}Arn"]):
                continue
            count += 1
            status = item[f"{key[1]}Status"]
            costs = kind == "endpoint" or status in ("InProgress", "Stopping")
            entries.append(Entry(kind, item[f"{key[1]}Name"], status, item["CreationTime"], costs))
    return entries


def run_of(job: str) -> str:
    """The name of a job's run: `textwright-novel-20260101-120000` → `novel`."""
    return job.removeprefix(PREFIX).removesuffix(job_ending(job) or "") or job


def describe(aws: AWS, name: str) -> dict[str, Any]:
    """What `status NAME` shows of a job or an endpoint, by label.

    Raises:
        RequestError: there is none of this name.
    """
    job = aws.describe("DescribeTrainingJob", TrainingJobName=name)
    if job is not None:
        metrics = {item["MetricName"]: item["Value"] for item in job.get("FinalMetricDataList", [])}
        rows = {
            "training job": name,
            "status": f"{job['TrainingJobStatus']} ({job.get('SecondaryStatus', '')})",
            "reason": job.get("FailureReason"),
            "machines": f"{job['ResourceConfig']['InstanceCount']} × "
            f"{job['ResourceConfig']['InstanceType']}",
            "model": job.get("ModelArtifacts", {}).get("S3ModelArtifacts"),
            "checkpoints": job.get("CheckpointConfig", {}).get("S3Uri"),
            "seconds billed": job.get("BillableTimeInSeconds"),
            **metrics,
        }
        return {label: value for label, value in rows.items() if value is not None}
    endpoint = aws.describe("DescribeEndpoint", EndpointName=name)
    if endpoint is None:
        raise nothing_named(name, aws)
    rows = {
        "endpoint": name,
        "status": endpoint["EndpointStatus"],
        "reason": endpoint.get("FailureReason"),
        "config": endpoint["EndpointConfigName"],
        "costs money": f"until deleted: textwright sagemaker delete {name}",
    }
    return {label: value for label, value in rows.items() if value is not None}


def nothing_named(name: str, aws: AWS) -> RequestError:
    """The error for a name that is neither a job's nor an endpoint's."""
    return RequestError(
        f"there is no endpoint and no training job {name} in {aws.region}; "
        "textwright sagemaker status lists them"
    )


def _summaries(aws: AWS, call: Call, key: str) -> Iterator[dict[str, Any]]:
    for page in aws.pages(call.service, call.operation, **call.parameters):
        yield from page[key]


def _is_ours(aws: AWS, arn: str) -> bool:
    pages = aws.pages("sagemaker", "ListTags", ResourceArn=arn)
    return any(tag["Key"] == TAG and tag["Value"] == "textwright"
               for page in pages for tag in page["Tags"])  # fmt: skip
