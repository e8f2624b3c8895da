"""The page's modules under Node, without a browser."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from textwright.page import WEB

NODE = shutil.which("node")


def modules(folder: Path) -> Path:
    """A folder that has the page's files, as modules; skips the test where there is no Node."""
    if NODE is None:
        pytest.skip("needs Node on the PATH: apt-get install nodejs")
    shutil.copytree(WEB, folder, dirs_exist_ok=True)
    (folder / "package.json").write_text('{"type": "module"}\n', encoding="utf-8")
    return folder


def run_script(
    script: str, folder: Path, *arguments: str | Path, given: Any = None, flags: Sequence[str] = ()
) -> Any:
    """What a script of this folder, or one that lies in `folder`, prints as JSON; None for nothing.

    Args:
        folder: from `modules`, its first argument.
        given: what it reads, as JSON.
        flags: of Node.
    """
    assert NODE
    here = Path(__file__).with_name(script)
    file = here if here.exists() else folder / script
    done = subprocess.run(
        [NODE, *flags, file, folder, *arguments], input=json.dumps(given), capture_output=True,
        text=True, encoding="utf-8", check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout) if done.stdout.strip() else None
