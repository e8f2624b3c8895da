"""The launcher's requests to AWS as plain data: what `--dry-run` prints is what is sent.

Names and shapes are those of Amazon's API reference for SageMaker and S3. All files of one job or
endpoint are in one folder of the bucket, `s3://BUCKET/PREFIX/NAME/`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from textwright.cloud.calls import Call
from textwright.cloud.following import METRICS
from textwright.errors import RequestError
from textwright.sagemaker.settings import CloudSettings
from textwright.sagemaker.source import ENTRYPOINT

TAG = "created-by"
"""The tag by which `status` recognizes what textwright made; its value is `textwright`."""

VARIANT = "AllTraffic"
START_SECONDS = 600
"""Seconds within which a hosting container must pass its first health check."""

_LOCAL_DISKS = re.compile(
    r"ml\.(g4dn|g5|g6|g6e|g7|g7e|gr6|p3dn|p4d|p4de|p5|p5e|p5en|p6\S*|trn\S*|\w+d)\."
)
"""Instances with disks of their own, which take no KMS key for their volume."""


def resource_name(text: str, moment: datetime | None = None) -> str:
    """A valid name for AWS, `textwright-…`: letters, digits and hyphens, at most 63.

    Args:
        text: e.g. the run's name.
        moment: added to the name of a job, which must be new each time.
    """
    end = "" if moment is None else f"-{moment:%Y%m%d-%H%M%S}"
    stem = re.sub(r"[^A-Za-z0-9]+", "-", text).strip("-") or "run"
    return f"textwright-{stem}"[: 63 - len(end)].rstrip("-") + end


def job_ending(name: str) -> str | None:
    """The moment at the end of a job's name from `resource_name`; None for other names."""
    match = re.search(r"-\d{8}-\d{6}$", name)
    return match and match[0]


def check_resource_name(name: str) -> str:
    """`name`, if it is valid for AWS. Raises `RequestError` otherwise."""
    if not re.fullmatch(r"[A-Za-z0-9](-*[A-Za-z0-9]){0,62}", name):
        raise RequestError(
            f"{name!r} is no name for AWS; take letters, digits and hyphens, at most 63"
        )
    return name


def folder_of(settings: CloudSettings, name: str) -> str:
    """The key prefix of all files of a job or an endpoint, ending in a slash."""
    return "/".join(part for part in (settings.prefix.strip("/"), name) if part) + "/"


def tags(settings: CloudSettings) -> list[dict[str, str]]:
    """The launcher's tag and the user's."""
    return [
        {"Key": key, "Value": value} for key, value in {**settings.tags, TAG: "textwright"}.items()
    ]


def upload(settings: CloudSettings, file: Path, key: str) -> Call:
    """The upload of a file to the bucket; boto3 sends one above 8 MB in several parts."""
    parameters: dict[str, Any] = {"Bucket": settings.require("bucket"), "Key": key}
    if settings.kms_key:
        parameters |= {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": settings.kms_key}
    return Call("s3", "PutObject", parameters, file)


def channel(name: str, address: str) -> dict[str, Any]:
    """A channel of a job: all files below an S3 address, copied to every host."""
    source = {
        "S3DataType": "S3Prefix",
        "S3Uri": address,
        "S3DataDistributionType": "FullyReplicated",
    }
    return {"ChannelName": name, "InputMode": "File", "DataSource": {"S3DataSource": source}}


def as_strings(hyperparameters: Mapping[str, Any]) -> dict[str, str]:
    """Hyper-parameters as the API wants them: all strings, others than strings as JSON."""
    return {
        name: value if isinstance(value, str) else json.dumps(value)
        for name, value in hyperparameters.items()
    }


def create_training_job(
    settings: CloudSettings,
    job: str,
    channels: list[dict[str, Any]],
    hyperparameters: Mapping[str, Any],
) -> Call:
    """The request that starts a job.

    Raises:
        RequestError: a required setting is missing.
    """
    train, bucket = settings.train, settings.require("bucket")
    folder = f"s3://{bucket}/{folder_of(settings, job)}"
    output = {"S3OutputPath": f"{folder}output"}
    resources: dict[str, Any] = {
        "InstanceType": train.instance_type,
        "InstanceCount": train.instances,
        "VolumeSizeInGB": train.volume_gb,
    }
    if settings.kms_key:
        output["KmsKeyId"] = settings.kms_key
        if not _LOCAL_DISKS.match(train.instance_type):
            resources["VolumeKmsKeyId"] = settings.kms_key
    stop = {"MaxRuntimeInSeconds": train.max_runtime}
    if train.spot:
        stop["MaxWaitTimeInSeconds"] = train.max_wait or 2 * train.max_runtime
        if stop["MaxWaitTimeInSeconds"] < train.max_runtime:
            raise RequestError(
                "max_wait includes the time of max_runtime; make it at least as long"
            )
    parameters: dict[str, Any] = {
        "TrainingJobName": job,
        "AlgorithmSpecification": {
            "TrainingImage": settings.training_image(),
            "TrainingInputMode": "File",
            "MetricDefinitions": [
                {"Name": name, "Regex": regex} for name, regex in METRICS.items()
            ],
            "EnableSageMakerMetricsTimeSeries": True,
        },
        "RoleArn": settings.role_arn(),
        "HyperParameters": as_strings(hyperparameters),
        "InputDataConfig": channels,
        "OutputDataConfig": output,
        "ResourceConfig": resources,
        "StoppingCondition": stop,
        "EnableManagedSpotTraining": train.spot,
        "CheckpointConfig": {"S3Uri": (train.checkpoint or f"{folder}checkpoints").rstrip("/")},
        "Tags": tags(settings),
    }
    if not channels:
        del parameters["InputDataConfig"]
    if settings.is_stock:
        parameters["AlgorithmSpecification"]["ContainerEntrypoint"] = list(ENTRYPOINT)
    if vpc := settings.vpc():
        parameters["VpcConfig"] = vpc
    return Call("sagemaker", "CreateTrainingJob", parameters)


def create_model(settings: CloudSettings, name: str, archive: str) -> Call:
    """The request that creates a model from an archive in S3."""
    if settings.vpc() and settings.deploy.serverless:
        raise RequestError("a serverless endpoint can't be in a VPC; take --instance-type")
    parameters: dict[str, Any] = {
        "ModelName": name,
        "PrimaryContainer": {
            "Image": settings.hosting_image(),
            "ModelDataUrl": archive,
            # for AWS's own PyTorch images; textwright's needs neither
            "Environment": {
                "SAGEMAKER_PROGRAM": "inference.py",
                "SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/model/code",
            },
        },
        "ExecutionRoleArn": settings.role_arn(),
        "Tags": tags(settings),
    }
    if vpc := settings.vpc():
        parameters["VpcConfig"] = vpc
    return Call("sagemaker", "CreateModel", parameters)


def create_endpoint_config(settings: CloudSettings, name: str) -> Call:
    """The request that creates an endpoint config: what the model is served on.

    Raises:
        RequestError: neither or both of an instance type and serverless are set.
    """
    deploy = settings.deploy
    if deploy.serverless == bool(deploy.instance_type):
        raise RequestError(
            "say what to serve on: --instance-type, e.g. ml.m5.large, or --serverless"
        )
    variant: dict[str, Any] = {"VariantName": VARIANT, "ModelName": name}
    parameters: dict[str, Any] = {"EndpointConfigName": name, "ProductionVariants": [variant]}
    if deploy.instance_type:
        variant |= {
            "InstanceType": deploy.instance_type,
            "InitialInstanceCount": deploy.instances,
            "ContainerStartupHealthCheckTimeoutInSeconds": START_SECONDS,
        }
        if settings.kms_key and not _LOCAL_DISKS.match(deploy.instance_type):
            parameters["KmsKeyId"] = settings.kms_key
    else:
        variant["ServerlessConfig"] = {
            "MemorySizeInMB": deploy.memory_mb,
            "MaxConcurrency": deploy.concurrency,
        }
    return Call("sagemaker", "CreateEndpointConfig", {**parameters, "Tags": tags(settings)})


def create_endpoint(settings: CloudSettings, name: str) -> Call:
    """The request that creates an endpoint from its config."""
    parameters = {"EndpointName": name, "EndpointConfigName": name, "Tags": tags(settings)}
    return Call("sagemaker", "CreateEndpoint", parameters)


def invoke_endpoint(
    endpoint: str, body: Mapping[str, Any], *, stream: bool, target_model: str | None = None
) -> Call:
    """The request for a text or a reply; `body` is that of `/v1/completions` or
    `/v1/chat/completions`."""
    content = {**body, "stream": True} if stream else dict(body)
    parameters = {
        "EndpointName": endpoint,
        "ContentType": "application/json",
        "Accept": "text/event-stream" if stream else "application/json",
        "Body": json.dumps(content, ensure_ascii=False),
    }
    if stream:
        if target_model:
            raise RequestError(
                "AWS can't stream from an endpoint of several models; leave out --stream"
            )
        return Call("sagemaker-runtime", "InvokeEndpointWithResponseStream", parameters)
    if target_model:
        parameters["TargetModel"] = target_model
    return Call("sagemaker-runtime", "InvokeEndpoint", parameters)


def stop_job(job: str) -> Call:
    """The request that stops a job, which saves the model that it has."""
    return Call("sagemaker", "StopTrainingJob", {"TrainingJobName": job})


def deletions(endpoint: str, config: str, models: list[str]) -> list[Call]:
    """The requests that delete an endpoint, its config and models, what costs money first."""
    return [
        Call("sagemaker", "DeleteEndpoint", {"EndpointName": endpoint}),
        Call("sagemaker", "DeleteEndpointConfig", {"EndpointConfigName": config}),
        *(Call("sagemaker", "DeleteModel", {"ModelName": model}) for model in models),
    ]
