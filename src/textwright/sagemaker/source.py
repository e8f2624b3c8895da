"""What textwright brings along into AWS's own PyTorch containers.

They have torch, and know nothing of textwright. So its wheel and those that it needs go along, to a
job as a source folder and to an endpoint in `code/` of its archive, with a `requirements.txt` that
installs them from there alone: no image of one's own, no registry, and no package index.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Sequence
from pathlib import Path

from textwright import atomic
from textwright.errors import RequestError
from textwright.publishing.wheel import wheel_for_hub
from textwright.sagemaker.stock import Container

SOURCE = "sourcedir.tar.gz"
"""The source folder of a job, as AWS's SDK calls it."""

CODE_CHANNEL = "code"
"""The channel that brings it."""

ENTRYPOINT = (
    "/bin/bash",
    "-c",
    f"mkdir -p /opt/ml/code && tar -xzf /opt/ml/input/data/{CODE_CHANNEL}/{SOURCE} "
    "-C /opt/ml/code && exec /bin/bash /opt/ml/code/start.sh",
)
"""What a job's container runs in place of its own `train`, which does not pass SIGTERM on."""

_START = """#!/bin/bash
# Installs what was brought along, then trains in this process, which SIGTERM reaches.
cd "$(dirname "$0")" || exit 1
if ! python -m pip install --quiet --root-user-action ignore --requirement requirements.txt; then
  mkdir -p /opt/ml/output
  echo "what was brought along can't be installed in this image; the log says why" \\
    > /opt/ml/output/failure
  exit 1
fi
exec python -m textwright sagemaker-entry train
"""
_PROGRAM = '''"""What the `train` of AWS's containers runs, where they are asked to."""

import sys

from textwright.cli.app import main

sys.argv = ["textwright", "sagemaker-entry", "train"]
main()
'''

_PLATFORMS = ("manylinux_2_28_x86_64", "manylinux_2_27_x86_64", "manylinux_2_24_x86_64",
              "manylinux_2_17_x86_64", "manylinux2014_x86_64", "linux_x86_64")  # fmt: skip
"""Tags of wheels that Ubuntu 22.04 on x86-64 takes; the last is that of a wheel made here."""


def add_wheels(folder: Path, container: Container) -> None:
    """Write `requirements.txt` and the `wheels/` that it installs from into `folder`.

    Raises:
        RequestError: a wheel can't be made or found; the message says why.
    """
    first, *others = container.needs
    with tempfile.TemporaryDirectory() as scratch:
        own = wheel_for_hub(Path(scratch))
        # A wheel that is named by its file, with the extra that `needs` asks for
        extra = re.sub(r"textwright|==.*", "", first)
        _download(folder / "wheels", [first if own is None else f"{own}{extra}", *others],
                  container.python)  # fmt: skip
    lines = ["--no-index", "--find-links wheels", *container.needs]
    atomic.write_text(folder / "requirements.txt", "\n".join(lines) + "\n")


def _download(target: Path, needs: Sequence[str], python: str) -> None:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", "download",
               "--dest", str(target), "--only-binary", ":all:", "--implementation", "cp",
               "--python-version", python]  # fmt: skip
    for platform in _PLATFORMS:
        command += ["--platform", platform]
    done = subprocess.run([*command, *needs], capture_output=True, text=True, check=False)
    if done.returncode:
        why = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
        raise RequestError(
            f"what is to be brought along can't be had ({(why or ['pip gave no reason'])[-1]}); "
            "pip needs an index here, the container won't; or take an --image of your own"
        )


def write_source(file: Path, container: Container) -> None:
    """Write a job's source folder, as one archive.

    Raises:
        RequestError: a wheel can't be made or found.
    """
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        add_wheels(folder, container)
        atomic.write_text(folder / "start.sh", _START)
        atomic.write_text(folder / "train.py", _PROGRAM)
        with atomic.replacing(file) as partial, tarfile.open(partial, "w:gz") as archive:
            for entry in sorted(folder.iterdir()):
                archive.add(entry, entry.name)
