"""The wheel of textwright that a Space or a job installs, where the index lacks this version.

It is made from the source that this installation runs from, or is the file that it was installed
from; `direct_url.json`, which pip and uv write beside a package, tells which.
"""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname

from textwright.errors import RequestError
from textwright.version import VERSION

log = logging.getLogger("textwright")

_REMEDY = "nothing could start there; bring one with --wheel FILE, made on Linux on x86-64"


def wheel_for_hub(scratch: Path) -> Path | None:
    """The wheel that the Hub's machines need; None where the package index has this version.

    Args:
        scratch: a folder for what is made; it must outlive the wheel's use.

    Raises:
        RequestError: there is none, and none can be made here.
    """
    if _is_on_index(scratch):
        return None
    source = _installed_from()
    if source is not None and source.suffix == ".whl" and source.is_file():
        return source
    if source is None or not (source / "pyproject.toml").is_file():
        raise RequestError(
            f"textwright {VERSION} is on no package index, and its source is not here: {_REMEDY}"
        )
    if sys.platform != "linux":
        raise RequestError(f"textwright {VERSION} is on no package index: {_REMEDY}")
    log.info("textwright %s is on no package index: making its wheel from %s", VERSION, source)
    made = _pip("wheel", str(source), "--no-deps", "--wheel-dir", str(scratch / "wheel"))
    wheels = sorted((scratch / "wheel").glob("textwright-*.whl"))
    if made.returncode or not wheels:
        why = (made.stderr.strip().splitlines() or ["pip gave no reason"])[-1]
        raise RequestError(f"no wheel of textwright can be made ({why}): {_REMEDY}")
    return wheels[0]


def _is_on_index(scratch: Path) -> bool:
    target = scratch / "release"
    found = _pip("download", f"textwright=={VERSION}", "--no-deps", "--dest", str(target),
                 "--only-binary", ":all:", "--platform", "manylinux_2_28_x86_64")  # fmt: skip
    return not found.returncode


def _installed_from() -> Path | None:
    """The folder or wheel that textwright was installed from; None for an index."""
    text = metadata.distribution("textwright").read_text("direct_url.json")
    address = urlsplit(json.loads(text)["url"]) if text else None
    if address is None or address.scheme != "file":
        return None
    return Path(url2pathname(unquote(address.path)))


def _pip(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False)
