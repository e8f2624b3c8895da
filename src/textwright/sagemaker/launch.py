"""Training jobs: plan the uploads and the request that starts one, and send them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from textwright.cloud.calls import Call
from textwright.cloud.sources import files_and_downloads, local_files, stem_of
from textwright.errors import CorpusError, RequestError
from textwright.runs import check_name, name_from
from textwright.sagemaker import requests
from textwright.sagemaker.client import AWS
from textwright.sagemaker.job import arguments
from textwright.sagemaker.settings import CloudSettings
from textwright.sagemaker.source import CODE_CHANNEL, SOURCE

S3 = "s3://"


@dataclass(frozen=True)
class JobPlan:
    """The requests that start a job."""

    job: str
    run_name: str
    """Name of the run once it is downloaded."""
    folder: str
    """Address of the folder with all its files."""
    uploads: tuple[Call, ...]
    create: Call

    @property
    def calls(self) -> tuple[Call, ...]:
        return (*self.uploads, self.create)

    @property
    def size(self) -> int:
        """Bytes to upload."""
        return sum(call.file.stat().st_size for call in self.uploads if call.file is not None)


def plan_job(
    settings: CloudSettings,
    sources: Sequence[str],
    *,
    moment: datetime,
    name: str | None = None,
    validation: str | None = None,
    source: Path | None = None,
) -> JobPlan:
    """The job that trains on `sources`; sends nothing.

    Args:
        settings: of the account and the job.
        sources: files, folders, globs, `s3://` addresses; or one built-in, URL or
            `hf:owner/dataset`, which the job downloads itself.
        moment: now, as part of the job's name.
        name: of the run; by default after the text.
        validation: a file, a folder or an `s3://` address.
        source: the source folder for AWS's own containers, an archive, which needn't be there yet.

    Raises:
        RequestError: a source or a setting can't be used.
    """
    if name is not None:
        check_name(name)
    run_name = name or name_from(stem_of(sources))
    job = requests.resource_name(run_name, moment)
    hyperparameters: dict[str, Any] = dict(settings.train.hyperparameters)
    local, remote, downloaded = _classify(sources)
    if downloaded:
        if len(sources) > 1 or "corpus" in hyperparameters:
            raise RequestError(
                f"{downloaded[0]} is fetched by the job itself, and it fetches one text; give it "
                "alone, or give files"
            )
        hyperparameters["corpus"] = downloaded[0]
    elif not sources and "corpus" not in hyperparameters:
        raise RequestError("no text is named; give a file, a folder, or an s3:// address")
    _check_hyperparameters(hyperparameters)
    inputs: list[dict[str, Path] | str] = [*([local] if local else []), *remote]
    names = ["train"] if len(inputs) == 1 else [f"text-{n}" for n in range(1, len(inputs) + 1)]
    by_channel = list(zip(names, inputs, strict=True))
    if validation is not None:
        is_remote = validation.startswith(S3)
        by_channel.append(
            ("validation", _check_address(validation) if is_remote else local_files(validation))
        )
    bucket, prefix = settings.require("bucket"), requests.folder_of(settings, job)
    uploads, channels = [], []
    if source is not None:
        by_channel.append((CODE_CHANNEL, {SOURCE: source}))
    for channel, files in by_channel:
        if isinstance(files, str):
            channels.append(requests.channel(channel, files))
            continue
        folder = f"{prefix}input/{channel}/"
        channels.append(requests.channel(channel, f"{S3}{bucket}/{folder}"))
        uploads += [requests.upload(settings, file, folder + key) for key, file in files.items()]
    create = requests.create_training_job(settings, job, channels, hyperparameters)
    return JobPlan(job, run_name, f"{S3}{bucket}/{prefix}", tuple(uploads), create)


def start(aws: AWS, plan: JobPlan) -> None:
    """Send the uploads and start the job.

    Raises:
        TextwrightError: AWS refuses; no job was started then.
    """
    aws.check_bucket(plan.folder.removeprefix(S3).split("/", 1)[0])
    for call in plan.calls:
        aws.send(call)


def _classify(sources: Sequence[str]) -> tuple[dict[str, Path], list[str], list[str]]:
    """Files to upload, by their keys; S3 addresses; and what the job downloads itself."""
    remote = [_check_address(source) for source in sources if source.startswith(S3)]
    local, downloaded = files_and_downloads(s for s in sources if not s.startswith(S3))
    return local, remote, downloaded


def _check_address(source: str) -> str:
    if not re.fullmatch(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]/.+", source):
        raise CorpusError(
            f"{source} is no text in S3; write s3://BUCKET/FOLDER or s3://BUCKET/FILE"
        )
    return source


def _check_hyperparameters(hyperparameters: dict[str, Any]) -> None:
    """Raise now what the job would raise after minutes that cost money."""
    from textwright.training.planning.request import make_request

    options = arguments(hyperparameters)
    for name in ("corpus", "name"):
        options.pop(name, None)
    make_request(**options, resume=True)
