"""Resolving a source, as a user wrote it, to files.

A source is `-`, an http(s) address, `hf:owner/dataset`, a built-in's name (with `:train`,
`:valid` or `:test` for one part of a published split), a file, a folder or a glob, in this
order; `./shakespeare` is the file of that name.
"""

from __future__ import annotations

import glob
import io
import os
import re
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Literal
from urllib.parse import unquote, urlsplit

from textwright import atomic
from textwright.configs import nearest
from textwright.data.formats.encodings import inspect
from textwright.data.formats.files import Role, SourceFile, local_file, read_error
from textwright.data.sources import builtin, downloads, huggingface
from textwright.data.sources.addresses import without_secrets
from textwright.data.sources.folders import FolderReader, natural_order
from textwright.errors import CorpusError

STDIN = "-"
_MOST_BLANK = 1 << 16
"""Bytes of white space or NULs at a time that a stream may give."""

_PARTS: dict[str, Role] = {
    "train": "train",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
}


@dataclass(frozen=True)
class ResolvedSource:
    """The files of one source, in order."""

    name: str
    """A short name, for naming a run."""
    files: tuple[SourceFile, ...]
    word_form: Literal["text", "whitespace"] = "text"
    left_out: tuple[str, ...] = ()
    """What lies in the folder and isn't read, a line each: what it is, and what to do."""

    @property
    def split(self) -> bool:
        """Whether the files' roles are a published split."""
        return any(file.role == "train" for file in self.files)


def resolve(
    source: str,
    cache: Path,
    stack: ExitStack,
    is_model_folder: Callable[[Path], bool] = lambda folder: False,
) -> ResolvedSource:
    """The files of `source`.

    Args:
        source: what the user wrote.
        cache: where downloads are kept, and a copy of standard input while it is used.
        stack: closed when the files are no longer needed.
        is_model_folder: whether a folder is a run's or a model's, whose files are no text.

    Raises:
        CorpusError: there is no such file or corpus; the message offers the nearest built-in.
        DownloadError: it can't be downloaded.
    """
    if source == STDIN:
        return ResolvedSource("stdin", (_spool(sys.stdin.buffer, "standard input", cache, stack),))
    if re.match(r"https?://", source, re.IGNORECASE):
        file = local_file(downloads.download(source, cache).path, without_secrets(source))
        return ResolvedSource(_stem(unquote(urlsplit(source).path), "text"), (file,))
    if re.match(r"[a-z][a-z0-9+.-]+://", source, re.IGNORECASE):
        raise CorpusError(
            f"{without_secrets(source)} can't be fetched; only http:// and https:// addresses can"
        )
    if source.startswith(huggingface.PREFIX):
        dataset = huggingface.open_dataset(source)
        return ResolvedSource(dataset.name, tuple(dataset.files))
    name, _, part = source.partition(":")
    built_in = builtin.find(name)
    if built_in and (not part or part in _PARTS):
        return _from_built_in(built_in, part, cache)
    return _from_files(source, cache, stack, is_model_folder)


def _from_built_in(built_in: builtin.BuiltIn, part: str, cache: Path) -> ResolvedSource:
    chosen = built_in
    if part:
        files_of_part = built_in.part(_PARTS[part])
        if not files_of_part:
            raise CorpusError(f"{built_in.name} has no part {part!r}; take {built_in.name}")
        chosen = replace(built_in, files=files_of_part)
    files = builtin.source_files(chosen, cache)
    if part:
        files = [replace(file, role="whole") for file in files]
    return ResolvedSource(
        f"{built_in.name}-{part}" if part else built_in.name,
        tuple(files),
        "whitespace" if built_in.whitespace_words else "text",
    )


def _from_files(
    source: str, cache: Path, stack: ExitStack, is_model_folder: Callable[[Path], bool]
) -> ResolvedSource:
    if not source or "\0" in source:
        raise CorpusError(f"{source!r} is no file name")
    path = Path(source).expanduser()
    try:
        if path.is_dir():
            if is_model_folder(path):
                raise CorpusError(
                    f"{source} is a model's folder and holds no text to train on; name a text "
                    "(to go on from this model: --from)"
                )
            folders = FolderReader(cache, is_model_folder)
            files = tuple(folders.files_below(path))
            name = path.name or path.resolve().name
            return ResolvedSource(name or "text", files, left_out=tuple(folders.left_out))
        if path.is_fifo() or path.is_char_device():
            with path.open("rb") as file:
                return ResolvedSource("stdin", (_spool(file, source, cache, stack),))
        if path.exists():
            return ResolvedSource(_stem(path.name, "text"), (local_file(path, source),))
        if path.is_symlink():
            raise CorpusError(
                f"{source} is a link to {path.readlink()}, which does not exist; mend the link, "
                "or name the file itself"
            )
    except OSError as error:
        raise read_error(source, error) from error
    if glob.has_magic(source):
        return _from_glob(source, FolderReader(cache, is_model_folder))
    raise _missing(source)


def check_exists(source: str) -> None:
    """Raise `CorpusError` where `source` is a file that isn't there, before anything is read."""
    known = source == STDIN or "://" in source or source.startswith(huggingface.PREFIX)
    if known or builtin.find(source.partition(":")[0]) or glob.has_magic(source):
        return
    path = Path(source).expanduser()
    if "\0" not in source and not path.is_symlink() and not path.exists():
        raise _missing(source)


def _missing(source: str) -> CorpusError:
    hint = nearest(source, list(builtin.BUILT_INS)).removeprefix("; ")
    return CorpusError(
        f"{source} does not exist and is no built-in corpus; "
        + (hint if "did you mean" in hint else f"check the path (built-ins: {hint[10:]})")
    )


def _from_glob(pattern: str, folders: FolderReader) -> ResolvedSource:
    files: list[SourceFile] = []
    # Path.glob takes no absolute patterns before Python 3.13.
    matches = glob.glob(str(Path(pattern).expanduser()), recursive=True)  # noqa: PTH207
    fixed = re.split(r"[*?\[]", pattern.replace("\\", "/"), maxsplit=1)[0].rpartition("/")[0]
    root = Path(fixed).expanduser()
    for match in sorted(matches, key=natural_order):
        path = Path(match)
        if not folders.may_hold_text(path, root):
            continue
        if path.is_dir() and "**" not in pattern:  # ** gives what is below by itself
            files += folders.files_below(path)
        elif path.is_file():
            files.append(local_file(path, explicit=False))
        elif not path.is_dir():
            folders.leave_out(path)
    if not files:
        left_out = f" but what is no text ({folders.left_out[0]})" if folders.left_out else ""
        raise CorpusError(f"no file matches {pattern}{left_out}; check the pattern")
    return ResolvedSource(_stem(fixed, "text"), tuple(files), left_out=tuple(folders.left_out))


def _spool(stream: BinaryIO, label: str, cache: Path, stack: ExitStack) -> SourceFile:
    """A stream copied to a file, since text is read twice: to inspect it, then to prepare it."""
    folder = cache / "streams"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        atomic.remove_abandoned(folder, "*")
        descriptor, name = tempfile.mkstemp(dir=folder)
        path = Path(name)
        stack.callback(path.unlink, missing_ok=True)
        with os.fdopen(descriptor, "wb") as copy:
            _copy(stream, copy, label)
    except OSError as error:
        raise atomic.disk_error(error, folder) from error
    return replace(local_file(path, label), name="stdin.txt", path=None)


def _copy(stream: BinaryIO, copy: BinaryIO, label: str) -> None:
    """Copy a stream within bounds; one that begins with nothing but noise is refused at once.

    `/dev/zero` and `/dev/urandom` have no end.
    """
    size = 0
    while block := stream.read(1 << 20):
        if not size and (problem := inspect(lambda: io.BytesIO(block)).problem).startswith(
            "binary"
        ):
            raise CorpusError(f"{label} gives no text: it is {problem}")
        if len(block) >= _MOST_BLANK and not block.strip(b"\0\n\r\t "):
            raise CorpusError(f"{label} gives a million bytes without a letter; name a text")
        size += len(block)
        if size > downloads.MAX_BYTES:
            raise CorpusError(
                f"{label} gives more than {downloads.MAX_BYTES:,} bytes; give a part of it"
            )
        copy.write(block)


def _stem(path: str, default: str) -> str:
    name = PurePosixPath(path).name
    for _ in range(2):  # book.txt.gz
        stem = PurePosixPath(name).stem
        name = stem if re.fullmatch(r"\.[A-Za-z]\w{0,7}", name[len(stem) :]) else name
    return name or default
