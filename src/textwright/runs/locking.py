"""The lock of a run: one process trains it, and any process can ask whether one does.

A file lock ends with the process that holds it, however that ends. A query must not fail a training
that starts at that moment: so queries take a shared lock where the system has them, which doesn't
conflict with other queries, and hold it for microseconds, while a start retries for a while.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from textwright import atomic
from textwright.errors import RunError
from textwright.runs.folder import Run

LOCK_TIMEOUT = 2.0
"""Seconds that a start retries: many times as long as a query takes."""
POLL_INTERVAL = 0.005
"""Seconds between two attempts."""


@contextmanager
def training_lock(run: Run) -> Iterator[None]:
    """Hold the exclusive right to train `run`.

    Raises:
        RunError: another process holds it.
        TextwrightError: the lock file can't be written.
    """
    import filelock

    lock = filelock.FileLock(run.lock_file, timeout=LOCK_TIMEOUT)
    try:
        lock.acquire(poll_interval=POLL_INTERVAL)
    except filelock.Timeout:
        raise RunError(f"run {run.name!r} is being trained by another process") from None
    except OSError as error:
        raise atomic.disk_error(error, run.path) from error
    try:
        yield
    finally:
        # Before the release, after which another may hold it; Windows can't delete an open file
        with suppress(PermissionError):
            run.lock_file.unlink(missing_ok=True)
        lock.release()


def lock_to_inherit(file: Path) -> int | None:
    """Lock `file` and return its descriptor, by which a child process inherits the lock; None where
    another process holds it. On Windows, where none can be inherited, nothing is locked.

    Raises:
        OSError: the file can't be written.
    """
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
    if sys.platform != "win32":
        import fcntl

        deadline = time.monotonic() + LOCK_TIMEOUT
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError:  # perhaps of a query only
                if is_locked(file) or time.monotonic() > deadline:
                    os.close(descriptor)
                    return None
            time.sleep(POLL_INTERVAL)
    return descriptor


def is_training(run: Run) -> bool:
    """Whether a process is training `run` right now."""
    return is_locked(run.lock_file)


def is_locked(file: Path) -> bool:
    """Whether a process holds the lock `file`; True if that can't be found out."""
    try:
        descriptor = os.open(file, os.O_RDONLY)
    except FileNotFoundError:
        return False
    except OSError:  # another user's
        return True
    try:
        return _is_lock_refused(descriptor)
    finally:
        os.close(descriptor)


def _is_lock_refused(descriptor: int) -> bool:
    try:
        if sys.platform != "win32":
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return False
    except OSError:
        return True
    return _is_lock_refused_on_windows(descriptor)


def _is_lock_refused_on_windows(descriptor: int) -> bool:
    """Python has no shared locks there, so retry: another query is over within microseconds."""
    if sys.platform == "win32":
        import msvcrt

        for _ in range(5):
            try:
                msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
            except OSError:
                time.sleep(POLL_INTERVAL)
                continue
            msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)
            return False
    return True
