"""What a user wrote → the files it means.

A source is `-`, an http(s) address, `hf:owner/dataset`, a built-in's name (with `:train`,
`:valid` or `:test` for one part of a published split), a file, a folder or a glob, in this
order; `./shakespeare` is the file of that name.
"""

from __future__ import annotations

import glob
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Literal
from urllib.parse import unquote, urlsplit

from textwright import atomic
from textwright.configs import nearest
from textwright.data.formats.files import RawText, Role, from_path, unreadable
from textwright.data.sources import builtin, downloads, huggingface
from textwright.errors import CorpusError

STDIN = "-"

_PARTS: dict[str, Role] = {
    "train": "train",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
}


@dataclass(frozen=True)
class Found:
    """The files that one source means, in order."""

    name: str
    """Short, for naming a run."""
    files: tuple[RawText, ...]
    word_form: Literal["text", "whitespace"] = "text"

    @property
    def split(self) -> bool:
        """Whether the files' roles are a published split."""
        return any(file.role == "train" for file in self.files)


def find(source: str, cache: Path, until: ExitStack) -> Found:
    """The files that `source` means.

    Args:
        source: what the user wrote.
        cache: where downloads, and standard input while it is used, are kept.
        until: closed when the files are no longer needed.

    Raises:
        CorpusError: it means nothing; the message offers the nearest built-in.
        DownloadError: it can't be downloaded.
    """
    if source == STDIN:
        return Found("stdin", (_spool(sys.stdin.buffer, "standard input", cache, until),))
    if re.match(r"https?://", source, re.IGNORECASE):
        raw = from_path(downloads.download(source, cache).path, source)
        return Found(_stem(unquote(urlsplit(source).path), "text"), (raw,))
    if re.match(r"[a-z][a-z0-9+.-]+://", source, re.IGNORECASE):
        raise CorpusError(f"{source} can't be fetched; only http:// and https:// addresses can")
    if source.startswith(huggingface.PREFIX):
        data_set = huggingface.open_data_set(source)
        return Found(data_set.name, tuple(data_set.files))
    name, _, part = source.partition(":")
    built_in = builtin.find(name)
    if built_in and (not part or part in _PARTS):
        return _from_built_in(built_in, part, cache)
    return _from_files(source, cache, until)


def _from_built_in(built_in: builtin.BuiltIn, part: str, cache: Path) -> Found:
    wanted = built_in
    if part:
        chosen = built_in.part(_PARTS[part])
        if not chosen:
            raise CorpusError(f"{built_in.name} has no part {part!r}; take {built_in.name}")
        wanted = replace(built_in, files=chosen)
    files = builtin.raw_texts(wanted, cache)
    if part:
        files = [replace(raw, role="whole") for raw in files]
    return Found(
        f"{built_in.name}-{part}" if part else built_in.name,
        tuple(files),
        "whitespace" if built_in.whitespace_words else "text",
    )


def _from_files(source: str, cache: Path, until: ExitStack) -> Found:
    if not source or "\0" in source:
        raise CorpusError(f"{source!r} is no file name")
    path = Path(source).expanduser()
    try:
        if path.is_dir():
            name = path.name or path.resolve().name
            return Found(name or "text", tuple(_below(path)))
        if path.is_fifo() or path.is_char_device():
            with path.open("rb") as file:
                return Found("stdin", (_spool(file, source, cache, until),))
        if path.exists():
            return Found(_stem(path.name, "text"), (from_path(path, source),))
    except OSError as error:
        raise unreadable(source, error) from error
    if glob.has_magic(source):
        return _from_glob(source)
    hint = nearest(source, list(builtin.BUILT_INS)).removeprefix("; ")
    raise CorpusError(
        f"{source} does not exist and is no built-in corpus; "
        + (hint if "did you mean" in hint else f"check the path (built-ins: {hint[10:]})")
    )


def _from_glob(pattern: str) -> Found:
    files: list[RawText] = []
    # Path.glob takes no absolute patterns before Python 3.13.
    matches = glob.glob(str(Path(pattern).expanduser()), recursive=True)  # noqa: PTH207
    for match in sorted(matches, key=_natural_order):
        path = Path(match)
        if path.is_dir() and "**" not in pattern:  # ** gives what is below by itself
            files += _below(path)
        elif path.is_file():
            files.append(from_path(path, listed=False))
    if not files:
        raise CorpusError(f"no file matches {pattern}; check the pattern")
    folder = re.split(r"[*?\[]", pattern.replace("\\", "/"), maxsplit=1)[0].rpartition("/")[0]
    return Found(_stem(folder, "text"), tuple(files))


def _below(folder: Path) -> Iterator[RawText]:
    """Every file below a folder, hidden ones left out; by name, with numbers in their order."""
    found = []
    for root, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [Path(root, name) for name in names if not name.startswith(".")]
    for path in sorted(found, key=lambda path: _natural_order(str(path.relative_to(folder)))):
        if path.is_file():
            yield from_path(path, listed=False)


def _natural_order(path: str) -> tuple[list[list[tuple[int, int, str]]], str]:
    """A sort key: `chapter-2` before `chapter-10`, and the path itself where that is equal."""
    parts = [
        [
            (0, int(piece), "") if piece.isdecimal() else (1, 0, piece.casefold())
            for piece in re.split(r"(\d+)", part)
            if piece
        ]
        for part in Path(path).parts
    ]
    return parts, path


def _spool(stream: BinaryIO, label: str, cache: Path, until: ExitStack) -> RawText:
    """A stream as a file, since text is read twice: once to know it, once to prepare it."""
    folder = cache / "streams"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=folder)
        path = Path(name)
        until.callback(path.unlink, missing_ok=True)
        with os.fdopen(descriptor, "wb") as copy:
            shutil.copyfileobj(stream, copy, 1 << 20)
    except OSError as error:
        raise atomic.disk_error(error, folder) from error
    return replace(from_path(path, label), name="stdin.txt", path=None)


def _stem(path: str, default: str) -> str:
    name = PurePosixPath(path).name
    for _ in range(2):  # book.txt.gz
        stem = PurePosixPath(name).stem
        name = stem if re.fullmatch(r"\.[A-Za-z]\w{0,7}", name[len(stem) :]) else name
    return name or default
