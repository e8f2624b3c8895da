"""Downloads a job's results as a run folder: the model, its settings, metrics and report."""

from __future__ import annotations

import shutil
import tarfile
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from textwright.cloud.results import keep_run
from textwright.errors import TextwrightError
from textwright.runs import Run
from textwright.sagemaker.client import AWS, NotFoundError


def download_run(
    aws: AWS, described: dict[str, Any], name: str, folder: str | Path | None = None
) -> Run:
    """Make a run from the files of a job in S3.

    Args:
        aws: the region of the job.
        described: the response of DescribeTrainingJob, for a job that has ended.
        name: of the run; `-2`, `-3` … is added where that is taken.
        folder: the folder of runs.

    Raises:
        TextwrightError: the job has no model, or it can't be loaded.
    """
    job = described["TrainingJobName"]
    archive = described.get("ModelArtifacts", {}).get("S3ModelArtifacts")
    if not archive:
        raise TextwrightError(
            f"training job {job} left no model: it ended before the first one; train again"
        )
    with TemporaryDirectory() as scratch:
        unpacked = Run(Path(scratch) / "run")
        unpacked.path.mkdir()
        files = (*unpacked.model_files, unpacked.settings_file, unpacked.metrics_file,
                 unpacked.samples_file, unpacked.report_file)  # fmt: skip
        names = {file.name for file in files}
        _unpack(aws, archive, Path(scratch), unpacked.path, names)
        try:
            output = f"{archive.rpartition('/')[0]}/output.tar.gz"
            _unpack(aws, output, Path(scratch), unpacked.path, names)
        except NotFoundError:
            pass  # the job has no other files
        return keep_run(unpacked.path, name, folder)


def _unpack(aws: AWS, address: str, scratch: Path, folder: Path, names: set[str]) -> None:
    """Write those files of an archive in S3 that are in `names`, no others, to `folder`."""
    bucket, _, key = address.removeprefix("s3://").partition("/")
    file = scratch / "archive.tar.gz"
    aws.download(bucket, key, str(file))
    try:
        with tarfile.open(file) as archive:
            for entry in archive:
                name = entry.name.removeprefix("./")
                if name in names and entry.isfile() and (data := archive.extractfile(entry)):
                    with (folder / name).open("wb") as out:
                        shutil.copyfileobj(data, out)
    except (tarfile.TarError, EOFError, OSError) as error:
        raise TextwrightError(f"{address} can't be unpacked ({error}); try again") from error
