"""A run as a ZIP archive, which is how a browser gives one away: unpacked within fixed bounds."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path, PurePosixPath

from textwright import atomic
from textwright.errors import RunError
from textwright.runs.collection import create
from textwright.runs.folder import Run

MAX_ARCHIVE = 1 << 32
"""Bytes of all files of an archive, unpacked: more than any run of a browser has."""

_CHECKPOINT = re.compile(r"checkpoints/step-\d+/(tensors\.safetensors|checkpoint\.json)")
_LARGEST_PART = 1 << 20
"""Bytes that are unpacked at once."""


def unpack(archive: Path, name: str | None, folder: Path) -> Run:
    """Make a run of the files of a run in a ZIP archive, at its top or in a folder; others are left
    where they are.

    Args:
        archive: the file.
        name: of the run; None takes the archive's.
        folder: the runs folder.

    Raises:
        RunError: it is no archive, holds no run, is damaged, or the name is taken.
    """
    try:
        with zipfile.ZipFile(archive) as packed:
            parts = _parts(packed, archive)
            run = create(name, re.sub(r"\.zip$", "", archive.name, flags=re.IGNORECASE), folder)
            try:
                for place, part in parts.items():
                    _write(packed, part, run.path / place)
            except BaseException:
                run.remove()
                raise
    except FileNotFoundError:
        raise RunError(f"{archive} does not exist; check the spelling") from None
    except (zipfile.BadZipFile, EOFError, NotImplementedError, ValueError, OSError) as error:
        raise RunError(
            f"{archive} is damaged, or no ZIP archive ({error}); download it again"
        ) from error
    return run


def _parts(packed: zipfile.ZipFile, archive: Path) -> dict[str, zipfile.ZipInfo]:
    """The files of the run, by where they lie in its folder."""
    configs = [one for one in packed.namelist() if PurePosixPath(one).name == "config.json"]
    if not configs:
        raise RunError(f"{archive} holds no run: there is no config.json in it; name another")
    top = min(configs, key=len).removesuffix("config.json")
    known = Run(Path())
    names = {
        file.name
        for file in (
            *known.model_files, known.settings_file, known.metrics_file, known.samples_file,
            known.text_file,
        )
    }  # fmt: skip
    parts = {
        part.filename.removeprefix(top): part
        for part in packed.infolist()
        if part.filename.startswith(top)
    }
    found = {
        place: part
        for place, part in parts.items()
        if place in names or _CHECKPOINT.fullmatch(place)
    }
    if sum(part.file_size for part in found.values()) > MAX_ARCHIVE:
        raise RunError(f"{archive} unpacks to more than a run can be; name another")
    return found


def _write(packed: zipfile.ZipFile, part: zipfile.ZipInfo, place: Path) -> None:
    """zipfile gives no more bytes than a part declares, and checks them."""
    place.parent.mkdir(parents=True, exist_ok=True)
    with (
        atomic.replacing(place) as partial,
        packed.open(part) as content,
        partial.open("wb") as out,
    ):
        while block := content.read(_LARGEST_PART):
            out.write(block)
