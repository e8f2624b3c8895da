"""Builds what is published: the source archive, and a wheel for each of `hatch_build.WHEELS`.

    python release/wheels.py dist

Every wheel is made of the archive alone, on this machine, by the compiler of the package ziglang.
Its bytes follow from the sources and the versions of Python, Hatchling and ziglang, not from the
machine, the folder or the day. `release/check.py` checks them.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import hatch_build  # noqa: E402


def make_archive(to: Path) -> Path:
    """The source archive, made of the work tree without what git ignores."""
    _hatchling(ROOT, "sdist", to)
    (archive,) = to.glob("textwright-*.tar.gz")
    return archive


def make_wheels(
    archive: Path, to: Path, tags: Iterable[str] = hatch_build.WHEELS, **environment: str
) -> list[Path]:
    """The wheels for some platforms, made of a source archive.

    Args:
        archive: the source archive.
        to: the folder for the wheels.
        tags: keys of `hatch_build.WHEELS`.
        environment: variables to build with.
    """
    made = []
    with tempfile.TemporaryDirectory() as folder:
        with tarfile.open(archive) as opened:
            opened.extractall(folder, filter="data")
        (root,) = Path(folder).iterdir()
        for tag in tags:
            _hatchling(root, "wheel", to, **environment, **{hatch_build.WHEEL: tag})
            (wheel,) = to.glob(f"textwright-*-py3-none-{tag}.whl")
            made.append(wheel)
    return made


def _hatchling(root: Path, kind: str, to: Path, **environment: str) -> None:
    """Have Hatchling make an archive (`sdist`) or a `wheel` of the project in `root`.

    It runs in this environment: what pip would install for the build is pinned there already.
    """
    call = [sys.executable, "-m", "hatchling", "build", "-t", kind, "-d", str(to.resolve())]
    subprocess.run(call, cwd=root, env=os.environ | environment, check=True)


def main() -> None:
    """Build everything, or the wheels that are named, and check it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="where they go; must be empty or not there")
    known = ", ".join(hatch_build.WHEELS)
    parser.add_argument("--only", nargs="*", metavar="TAG", help=f"of {known}")
    chosen = parser.parse_args()
    if unknown := set(chosen.only or ()) - set(hatch_build.WHEELS):
        parser.error(f"--only: no wheel is called {', '.join(sorted(unknown))}; there are {known}")
    if chosen.folder.exists() and any(chosen.folder.iterdir()):
        parser.error(f"{chosen.folder} isn't empty: remove it, or name another")
    archive = make_archive(chosen.folder)
    for wheel in make_wheels(archive, chosen.folder, chosen.only or hatch_build.WHEELS):
        print(f"{wheel.stat().st_size:>10,}  {wheel.name}", flush=True)


if __name__ == "__main__":
    main()
