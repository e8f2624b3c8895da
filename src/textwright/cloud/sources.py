"""Which files of this machine are a text, and what a job downloads itself."""

from __future__ import annotations

import glob
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from textwright.data.sources import builtin
from textwright.errors import CorpusError


def stem_of(sources: Sequence[str]) -> str:
    """What a run is called after: the name of the first text, without its ending."""
    if not sources:
        return "run"
    first = sources[0].rstrip("/").replace("\\", "/").rpartition("/")[2]
    return first.rpartition(".")[0] or first


def files_and_downloads(sources: Iterable[str]) -> tuple[dict[str, Path], list[str]]:
    """Files to upload, by their keys, and URLs, data sets and built-ins for the job to download.

    Raises:
        CorpusError: a file isn't there.
    """
    local: dict[str, Path] = {}
    downloaded = []
    for source in sources:
        if re.match(r"https?://|hf:", source) or builtin.find(source.partition(":")[0]):
            downloaded.append(source)
            continue
        for key, file in local_files(source).items():
            unique = key if key not in local else f"{len(local) + 1}-{key}"
            local[unique] = file
    return local, downloaded


def local_files(source: str) -> dict[str, Path]:
    """The files of a local source, by key, without hidden ones."""
    if source == "-":
        raise CorpusError("standard input can't be uploaded; write it to a file and name that")
    path = Path(source).expanduser()
    if path.is_file():
        return {path.name: path}
    if path.is_dir():
        found = {
            file.relative_to(path).as_posix(): file
            for file in sorted(path.rglob("*"))
            if file.is_file() and not any(p.startswith(".") for p in file.relative_to(path).parts)
        }
    elif glob.has_magic(source):
        # Path.glob takes no absolute patterns before Python 3.13.
        matches = glob.glob(str(path), recursive=True)  # noqa: PTH207
        found = {
            match.lstrip("/"): Path(match) for match in sorted(matches) if Path(match).is_file()
        }
    else:
        raise CorpusError(
            f"{source} does not exist, and is no built-in corpus and no address; check the path"
        )
    if not found:
        raise CorpusError(f"{source} holds no file; check the path")
    return found
