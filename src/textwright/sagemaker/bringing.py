"""A job's results as a run folder here: the model, and what tells how it came to be."""

from __future__ import annotations

import shutil
import tarfile
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from textwright import atomic, runs
from textwright.errors import TextwrightError
from textwright.runs import Run
from textwright.sagemaker.archive import verify
from textwright.sagemaker.client import AWS, NotThereError


def bring_back(
    aws: AWS, described: dict[str, Any], name: str, folder: str | Path | None = None
) -> Run:
    """Make a run of what a job left in S3.

    Args:
        aws: where it is.
        described: the answer of DescribeTrainingJob, for a job that has ended.
        name: of the run; `-2`, `-3` … is added where that is taken.
        folder: where runs live.

    Raises:
        TextwrightError: the job left no model, or it can't be loaded.
    """
    job = described["TrainingJobName"]
    archive = described.get("ModelArtifacts", {}).get("S3ModelArtifacts")
    if not archive:
        raise TextwrightError(f"training job {job} left no model; it was stopped too early")
    with TemporaryDirectory() as scratch:
        found = Run(Path(scratch) / "run")
        found.path.mkdir()
        told = {file.name for file in (*found.model_files, found.settings_file, found.metrics_file,
                                       found.samples_file, found.report_file)}  # fmt: skip
        _unpack(aws, archive, Path(scratch), found.path, told)
        try:
            output = f"{archive.rpartition('/')[0]}/output.tar.gz"
            _unpack(aws, output, Path(scratch), found.path, told)
        except NotThereError:
            pass  # a job that had nothing to tell
        if not found.has_model():
            raise TextwrightError(f"{archive} is no model of textwright: it lacks files")
        verify(found.path)
        run = runs.create(None, name, runs.runs_folder(folder))
        with atomic.replacing(run.path) as partial:
            shutil.copytree(found.path, partial)
    return run


def _unpack(aws: AWS, address: str, scratch: Path, folder: Path, told: set[str]) -> None:
    """Take the files called as in `told` out of an archive of S3; nothing else is written."""
    bucket, _, key = address.removeprefix("s3://").partition("/")
    file = scratch / "archive.tar.gz"
    aws.download(bucket, key, str(file))
    try:
        with tarfile.open(file) as archive:
            for entry in archive:
                name = entry.name.removeprefix("./")
                if name in told and entry.isfile() and (data := archive.extractfile(entry)):
                    with (folder / name).open("wb") as out:
                        shutil.copyfileobj(data, out)
    except (tarfile.TarError, EOFError, OSError) as error:
        raise TextwrightError(f"{address} can't be unpacked: {error}") from error
