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
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from textwright.errors import TextwrightError

PARTIAL = ".partial"
"""Ending of what is still being written; anything with it may be deleted."""
REPLACED = ".replaced"
"""Ending of a folder that makes room for its next version: the only one there is, for a moment."""

_ABANDONED = 24 * 3600.0
"""Seconds after which nothing is still being written."""

_PATIENCE = 2.0 if os.name == "nt" else 0.0
"""Seconds for which a rename that is not permitted is tried again."""
_IN_USE = (32, 33)
"""What Windows calls sharing and lock violations."""


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
        _recover(_aside(path), path)
        _remove(partial)
        yield partial
        _sync(partial)
        _take_place(partial, path)
    except OSError as error:
        with suppress(OSError):
            _remove(partial)
        raise disk_error(error, path) from error
    except BaseException:
        _remove(partial)
        raise


def remove_abandoned(folder: Path, pattern: str) -> None:
    """Delete the files of `folder` that were being written when their process was killed: those
    that nobody has touched for a day."""
    for path in folder.glob(pattern):
        with suppress(OSError):
            if path.is_file() and time.time() - path.stat().st_mtime > _ABANDONED:
                path.unlink()


def _aside(path: Path) -> Path:
    """The path that a folder is moved to while its next version takes its place."""
    return path.with_name(f".{path.name}{REPLACED}")


def _take_place(partial: Path, path: Path) -> None:
    """Move `partial` to `path`; a folder that was there is deleted only after that."""
    old = _aside(path)
    aside = path.is_dir() and not path.is_symlink()
    if aside:  # a rename can't replace a folder that holds something
        _rename(path, old)
    try:
        _rename(partial, path)
    except BaseException:
        if aside:
            _rename(old, path)
        raise
    _sync_folder(path.parent)
    if aside:
        _remove(old)


def _rename(source: Path, goal: Path) -> None:
    """On Windows nothing can be renamed that somebody has open, be it a virus scanner."""
    until = time.monotonic() + _PATIENCE
    while True:
        try:
            os.replace(source, goal)
            return
        except PermissionError:
            if time.monotonic() >= until:
                raise
        time.sleep(0.01)


def remove_folder(path: Path) -> None:
    """Delete a folder; of one that is cut short by a kill, the rest is a partial."""
    partial = path.with_name(f".{path.name}.{os.getpid()}{PARTIAL}")
    _rename(path, partial)
    _remove(partial)


def disk_error(error: OSError, path: Path) -> TextwrightError:
    """One line about a failed write, with what can be done about it."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return TextwrightError(
            f"no space left on the disk for {path}; free some space and try again"
        )
    if getattr(error, "winerror", None) in _IN_USE:
        return TextwrightError(f"{path} can't be written: another program has it open; close that")
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return TextwrightError(f"{path} can't be written: no permission; choose another folder")
    return TextwrightError(f"{path} can't be written: {error.strerror or error}")


def remove_partials(folder: Path) -> None:
    """Delete what a killed process left half-written in `folder`, and bring back what it was about
    to replace."""
    if folder.is_dir():
        for entry in list(folder.iterdir()):
            if entry.name.startswith(".") and entry.name.endswith(PARTIAL):
                _remove(entry)
            elif entry.name.startswith(".") and entry.name.endswith(REPLACED):
                _recover(entry, entry.with_name(entry.name[1 : -len(REPLACED)]))


def _recover(old: Path, path: Path) -> None:
    """Undo what a process did that was killed while it replaced the folder `path`."""
    if not old.exists():
        return
    if path.exists():
        _remove(old)
    else:
        _rename(old, path)


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
    with path.open("r+b" if os.name == "nt" else "rb") as file:  # it may be read-only elsewhere
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":  # Windows can't open a folder, and its renames are journalled
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.ENOSYS):
            raise  # those come from file systems, such as shared folders, that only sync files
    finally:
        os.close(descriptor)
