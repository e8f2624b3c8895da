"""Files and folders that appear whole or not at all.

Write beside the goal, flush to the disk, rename. A reader, or a run that is killed at any
moment, sees the old version or the new one, never a part. A full disk becomes a `TextwrightError`
that names the path.
"""

from __future__ import annotations

import errno
import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from textwright.errors import TextwrightError

PARTIAL = ".partial"
"""Ending of what is still being written; anything with it may be deleted."""


def write_bytes(path: Path, data: bytes) -> None:
    """Write `data` to `path`, whole or not at all."""
    with replacing(path) as partial:
        partial.write_bytes(data)


def write_text(path: Path, text: str) -> None:
    """Write `text` to `path` as UTF-8 with LF line ends, whole or not at all."""
    write_bytes(path, text.encode("utf-8"))


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a path to write a file or fill a folder at; on success it takes the place of `path`.

    Where the body raises, what was written is removed and `path` stays as it was.
    """
    mine = f"{os.getpid()}-{threading.get_ident()}"  # threads may write the same file at once
    partial = path.with_name(f".{path.name}.{mine}{PARTIAL}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove(partial)
        yield partial
        _sync(partial)
        if path.is_dir() and not path.is_symlink():
            _remove(path)  # a rename can't replace a folder that holds something
        os.replace(partial, path)
        _sync_folder(path.parent)
    except OSError as error:
        with suppress(OSError):
            _remove(partial)
        raise disk_error(error, path) from error
    except BaseException:
        _remove(partial)
        raise


def disk_error(error: OSError, path: Path) -> TextwrightError:
    """One line about a failed write, with what can be done about it."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return TextwrightError(
            f"no space left on the disk for {path}; free some space and try again"
        )
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return TextwrightError(f"{path} can't be written: no permission; choose another folder")
    return TextwrightError(f"{path} can't be written: {error.strerror or error}")


def remove_partials(folder: Path) -> None:
    """Delete what a killed process left half-written in `folder`."""
    if folder.is_dir():
        for entry in folder.iterdir():
            if entry.name.startswith(".") and entry.name.endswith(PARTIAL):
                _remove(entry)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    if path.is_dir():
        for entry in path.iterdir():
            _sync(entry)
        _sync_folder(path)
        return
    with path.open("r+b") as file:
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":  # Windows can't open a folder, and its renames are journalled
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
