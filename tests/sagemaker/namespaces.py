"""`/opt/ml` and `/etc` of a test's own: what a container gives a process, by Linux namespaces."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

_MOUNTS = """
set -e
mount --make-rprivate /
mount -t tmpfs tmpfs "$0"
for folder in /opt /etc; do
  own=$0$folder
  mkdir -p "$own/upper" "$own/work"
  mount -t overlay overlay -o "lowerdir=$folder,upperdir=$own/upper,workdir=$own/work" $folder
done
mkdir -p /opt/ml
mount --bind "$1" /opt/ml
shift
exec "$@"
"""


def inside(base: Path, words: list[str], *, own_processes: bool = False) -> list[str]:
    """A command that runs `words` where `base` is /opt/ml and nothing else of /opt and /etc stays.

    Args:
        own_processes: whether it sees no process but its own, and takes them all with it.
    """
    scratch = base.parent / f"{base.name}-namespace"
    scratch.mkdir(exist_ok=True)
    kinds = ["--mount"]
    if own_processes:
        kinds += ["--pid", "--fork", "--mount-proc", "--kill-child"]
    return ["unshare", *kinds, "sh", "-c", _MOUNTS, str(scratch), str(base), *words]


def need_namespaces(tmp: Path) -> None:
    """Skip the test on a machine that doesn't let it make namespaces."""
    if os.name != "posix" or os.geteuid() != 0 or shutil.which("unshare") is None:
        pytest.skip("mount namespaces need Linux, and root")
    (tmp / "probe").mkdir()
    made = subprocess.run(inside(tmp / "probe", ["true"]), capture_output=True, check=False)
    if made.returncode:
        pytest.skip(f"this machine doesn't let a test make namespaces: {made.stderr!r}")


def need_toolkits() -> Path:
    """The environment that `toolkits.py` makes; the test is skipped where nobody made it."""
    folder = os.environ.get("TEXTWRIGHT_TOOLKITS")
    if not folder or not Path(folder, "bin", "python").is_file():
        pytest.skip(
            "AWS's toolkits are not installed: python tests/sagemaker/toolkits.py FOLDER, and "
            "set TEXTWRIGHT_TOOLKITS to it"
        )
    return Path(folder)
