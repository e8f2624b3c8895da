"""The folder of a Hugging Face Space: a Gradio app around a pushed model, or a static page."""

from __future__ import annotations

import json
import shutil
import sys
from fnmatch import fnmatchcase
from importlib import metadata
from pathlib import Path

from textwright import atomic
from textwright.errors import MissingPackageError, RequestError
from textwright.page import can_learn, write_offline_page
from textwright.runs import Run
from textwright.version import VERSION

_APP = '''"""A Gradio app around {repository}, which it takes from the Hub."""

import os

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"

import textwright

app = textwright.gradio_app("hf:{repository}")

if __name__ == "__main__":
    app.launch()
'''


SPACE_FILES = ("app.py", "requirements.txt", "README.md", "index.html", "textwright-*.whl")
"""Files that the folder of a Space, of either kind, may have."""


def write_space(run: Run, repository: str, space: str, folder: Path, wheel: Path | None) -> None:
    """Write a Gradio Space that runs the model `repository`.

    Args:
        run: the model.
        repository, space: `user/name` of both.
        folder: the folder to write.
        wheel: a wheel of textwright for it to install; by default the release of this version.

    Raises:
        MissingPackageError: gradio isn't installed, whose version the Space pins.
        RequestError: `wheel` is no wheel of textwright.
    """
    if wheel:
        check_wheel(wheel)
    requirements = _requirements(space, wheel)
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    front = {
        "title": run.name, "emoji": "✍️", "colorFrom": "indigo", "colorTo": "gray",
        "sdk": "gradio", "sdk_version": metadata.version("gradio"), "python_version": python,
        "app_file": "app.py", "pinned": False, "models": [repository],
        "preload_from_hub": [repository],
    }  # fmt: skip
    with atomic.replacing(folder) as partial:
        partial.mkdir()
        atomic.write_text(partial / "app.py", _APP.format(repository=repository))
        atomic.write_text(partial / "requirements.txt", requirements)
        atomic.write_text(partial / "README.md", _readme(front, repository))
        if wheel:
            shutil.copyfile(wheel, partial / wheel.name)


def write_static_space(run: Run, repository: str, folder: Path, companion: str = "auto") -> None:
    """Write a static Space: the offline page with the model inside, which trains where it can.

    Raises:
        RequestError: the page can't run this model.
    """
    front = {
        "title": run.name, "emoji": "✍️", "colorFrom": "indigo", "colorTo": "gray",
        "sdk": "static", "app_file": "index.html", "pinned": False, "models": [repository],
    }  # fmt: skip
    with atomic.replacing(folder) as partial:
        partial.mkdir()
        page = partial / "index.html"
        write_offline_page(run, page, trainable=can_learn(), companion=companion)
        atomic.write_text(partial / "README.md", _readme(front, repository))


def check_wheel(wheel: Path) -> None:
    """Raise `RequestError` for a wheel that the Hub's machines, Linux on x86-64, can't install."""
    if not (wheel.is_file() and fnmatchcase(wheel.name, "textwright-*.whl")):
        raise RequestError(f"{wheel} is no wheel of textwright; pip wheel . --no-deps makes one")
    system = wheel.stem.rsplit("-", 1)[-1]
    if system != "any" and not ("linux" in system and "x86_64" in system):
        raise RequestError(
            f"{wheel.name} is for {system}, and it is needed for Linux on x86-64; make it there"
        )


def _readme(front: dict[str, object], repository: str) -> str:
    """The README: front matter (JSON values, which are YAML too), and a line of text."""
    lines = [f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in front.items()]
    return (
        "---\n"
        + "\n".join(lines)
        + f"\n---\n\nWrites with [{repository}](https://huggingface.co/{repository}).\n"
    )


def _requirements(space: str, wheel: Path | None) -> str:
    """The requirements.txt: all packages that the app needs, in the versions installed here."""
    try:
        metadata.version("gradio")
        from packaging.requirements import Requirement
        from packaging.utils import canonicalize_name
    except (ImportError, metadata.PackageNotFoundError) as error:
        raise MissingPackageError(
            "a Space pins the versions that are installed here; pip install 'textwright[gradio]'"
        ) from error
    pins: dict[str, str] = {}
    queue = ["textwright", "gradio"]
    while queue:
        package = queue.pop()
        for text in metadata.requires(package) or []:
            required = Requirement(text)
            name = canonicalize_name(required.name)
            if name in pins or (required.marker and not required.marker.evaluate({"extra": ""})):
                continue
            pins[name] = metadata.version(name)
            queue.append(name)
    pins["gradio"] = metadata.version("gradio")
    own = f"textwright=={VERSION}"
    note = "# Where textwright isn't in the package index, push with --wheel FILE.\n"
    if wheel:
        from huggingface_hub import constants

        # by URL: packages are installed before the Space's files are in place
        own = f"textwright @ {constants.ENDPOINT}/spaces/{space}/resolve/main/{wheel.name}"
        note = "# textwright comes from the wheel beside this file.\n"
    return note + own + "\n" + "".join(f"{name}=={pins[name]}\n" for name in sorted(pins))
