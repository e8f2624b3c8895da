"""Dockerfiles, replayed without Docker: each stage in an overlay of this machine's own root.

A base image is this machine; RUN is a shell in the stage's root; COPY copies; nothing that a step
does is left on the machine.
"""

from __future__ import annotations

import fnmatch
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import lent_compiler

_ENTER = """
set -e
mount --make-rprivate /
mkdir -p "$0/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$0/upper,workdir=$0/work" "$0/root"
mount --rbind /dev "$0/root/dev"
mount --rbind /proc "$0/root/proc"
exec chroot "$@"
"""


@dataclass
class Stage:
    """A stage of a Dockerfile: its instructions, and what its entry point gets."""

    base: str
    name: str
    steps: list[tuple[str, str]] = field(default_factory=list)

    def value(self, instruction: str) -> str:
        """What the last of these instructions says; nothing where there is none."""
        return next((text for kind, text in reversed(self.steps) if kind == instruction), "")

    def environment(self) -> dict[str, str]:
        """What ENV sets."""
        words = " ".join(text for kind, text in self.steps if kind == "ENV").split()
        return {
            name: value.strip('"') for name, _, value in (word.partition("=") for word in words)
        }

    def entry(self) -> list[str]:
        """The words of the entry point."""
        return [str(word) for word in json.loads(self.value("ENTRYPOINT"))]


def stages(file: Path) -> list[Stage]:
    """The stages of a Dockerfile."""
    lines = [line for line in file.read_text().splitlines() if not line.lstrip().startswith("#")]
    found: list[Stage] = []
    for line in re.sub(r"\\\n", " ", "\n".join(lines)).splitlines():
        if not line.strip():
            continue
        kind, _, rest = line.strip().partition(" ")
        if kind == "FROM":
            base, _, name = rest.partition(" AS ")
            found.append(Stage(base, name))
        else:
            found[-1].steps.append((kind, rest.strip()))
    return found


class Replay:
    """The stages of one Dockerfile, done in folders below `scratch`."""

    def __init__(self, file: Path, scratch: Path, environment: dict[str, str]) -> None:
        self._context, self._scratch, self.environment = file.parent, scratch, environment
        self.stages = stages(file)
        self._done: dict[str, Path] = {}

    def do(self, stage: Stage) -> Path:
        """Go through a stage, after those that it begins from; gives its folder."""
        name = stage.name or "last"
        if name in self._done:
            return self._done[name]
        before = next((other for other in self.stages if other.name == stage.base), None)
        folder = self._scratch / name
        (folder / "upper").mkdir(parents=True)
        if before is not None:  # a layer below this one can't lie in the root that is below both
            _copy_all(self.do(before) / "upper", folder / "upper")
        (folder / "work").mkdir()
        self._done[name] = folder
        for kind, text in stage.steps:
            if kind == "RUN":
                done = self.run(stage, ["sh", "-c", text])
                assert done.returncode == 0, (text, done.stderr)
            elif kind == "COPY":
                self._copy(folder / "upper", text)
        return folder

    def run(
        self, stage: Stage, words: list[str], user: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """Run something in the root of a stage that was gone through."""
        folder = self._done[stage.name or "last"]
        enter = ["unshare", "--mount", "sh", "-c", _ENTER, str(folder)]
        by = [f"--userspec={user}"] if user else []
        return subprocess.run(
            [*enter, *by, str(folder / "root"), *words],
            env={**self.environment, **stage.environment()},
            capture_output=True, text=True, check=False,
        )  # fmt: skip

    def _copy(self, root: Path, text: str) -> None:
        *options, source, target = text.split()
        where = root / target.lstrip("/")
        if not options:
            shutil.copytree(self._context, where, ignore=self._left_out, dirs_exist_ok=True)
            return
        stage = options[0].removeprefix("--from=")
        made = self.do(next(each for each in self.stages if each.name == stage))
        where.mkdir(parents=True, exist_ok=True)
        _copy_all(made / "upper" / source.lstrip("/"), where)

    def _left_out(self, folder: str, names: list[str]) -> set[str]:
        """What `.dockerignore` names: of this folder, or, after `**/`, of every one."""
        here = Path(folder) == self._context
        patterns = (self._context / ".dockerignore").read_text(encoding="utf-8").split()
        matching = [p.removeprefix("**/") for p in patterns if here or p.startswith("**/")]
        return {name for pattern in matching for name in fnmatch.filter(names, pattern)}


def _copy_all(source: Path, target: Path) -> None:
    """With everything that an overlay keeps in its files."""
    subprocess.run(["cp", "-a", f"{source}/.", target], check=True)


def python_environment() -> dict[str, str]:
    """For the steps: this Python as `python`, with the packages that the tests have, and a compiler
    that hands over the kernels which were compiled here."""
    keep = {name: value for name, value in os.environ.items() if name.startswith(("PIP_", "HTTP"))}
    packages = [path for path in sys.path if path.endswith("-packages")]
    path = f"{sys.base_prefix}/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    return {**keep, "PATH": path, "HOME": "/root", "PYTHONPATH": ":".join(packages),
            "DEBIAN_FRONTEND": "noninteractive", **lent_compiler.variables()}  # fmt: skip
