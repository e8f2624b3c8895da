"""The Dockerfile: linted, and its steps gone through without Docker, on a root of their own."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from dockerfile import Replay, python_environment, stages
from namespaces import need_namespaces, need_toolkits

FILE = Path(__file__).parents[2] / "Dockerfile"


def test_one_image_trains_and_serves_and_another_serves_without_root() -> None:
    targets = {stage.name: stage for stage in stages(FILE)}
    assert targets["sagemaker"].entry() == ["/opt/textwright/bin/textwright", "sagemaker-entry"]
    assert targets["sagemaker"].value("EXPOSE") == "8080"
    assert stages(FILE)[-1].value("USER") == "10001"
    assert targets["whole"].value("ARG") == "PIP_EXTRA_INDEX_URL"


@pytest.mark.slow
def test_hadolint_finds_nothing() -> None:
    hadolint = need_toolkits() / "bin" / "hadolint"
    linted = subprocess.run([hadolint, FILE], capture_output=True, text=True, check=False)
    assert (linted.returncode, linted.stdout) == (0, "")


@pytest.mark.slow
def test_its_steps_make_commands_that_work(tmp_path: Path) -> None:
    """What textwright needs is the tests' own; textwright itself is built from what is copied."""
    need_namespaces(tmp_path)
    if shutil.which("apt-get") is None:
        pytest.skip("the base images are Debian's")
    replay = Replay(FILE, tmp_path / "stages", python_environment())
    targets = {stage.name: stage for stage in replay.stages}
    sagemaker, last = targets["sagemaker"], replay.stages[-1]
    for stage in (sagemaker, last):
        replay.do(stage)
    for words in (["serve", "--help"], ["train", "--help"]):
        done = replay.run(sagemaker, [*sagemaker.entry(), *words])
        assert done.returncode == 0, done.stderr
        assert "/opt/ml" in done.stdout
    # Python and its packages lie in folders of root's own on some machines; in the base image all
    # may read them. The overlay takes the change.
    needed = [sys.base_prefix, *replay.environment["PYTHONPATH"].split(":")]
    folders = {str(f) for name in needed for f in (Path(name), *Path(name).parents)}
    assert replay.run(last, ["chmod", "o+x", *sorted(folders)]).returncode == 0
    doctor = replay.run(last, [last.entry()[0], "doctor"], last.value("USER"))
    assert doctor.returncode == 0, doctor.stderr
    assert re.search(r"kernels +(avx|baseline)", doctor.stdout), doctor.stdout
