"""The lock of a run: one process trains it, and anybody may ask whether one does.

A lock on a file ends with the process that holds it, in whatever way. Asking must not look like
holding to a training that starts at that moment, so where the system has shared locks one of those
is asked for, which those who ask never refuse each other, and a start tries for a while: who asks
is gone again after microseconds.
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

PATIENCE = 2.0
"""Seconds that a start tries for a lock: many times as long as anybody takes to ask."""
PAUSE = 0.005
"""Seconds between two tries."""


@contextmanager
def locked(run: Run) -> Iterator[None]:
    """Be the one process that trains `run`.

    Raises:
        RunError: another one does.
        TextwrightError: the lock can't be written.
    """
    import filelock

    lock = filelock.FileLock(run.lock_file, timeout=PATIENCE)
    try:
        lock.acquire(poll_interval=PAUSE)
    except filelock.Timeout:
        raise RunError(f"run {run.name!r} is being trained by another process") from None
    except OSError as error:
        raise atomic.disk_error(error, run.path) from error
    try:
        yield
    finally:
        # First: released, it may be another's already. Windows keeps what is open until then
        with suppress(PermissionError):
            run.lock_file.unlink(missing_ok=True)
        lock.release()


def lock_to_inherit(file: Path) -> int | None:
    """Lock `file` and give its descriptor, with which a child process inherits the lock; None where
    another process holds it. On Windows, where none can be inherited, nothing is locked.

    Raises:
        OSError: the file can't be written.
    """
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
    if sys.platform != "win32":
        import fcntl

        until = time.monotonic() + PATIENCE
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError:  # perhaps somebody only asks
                if is_held(file) or time.monotonic() > until:
                    os.close(descriptor)
                    return None
            time.sleep(PAUSE)
    return descriptor


def is_training(run: Run) -> bool:
    """Whether a process is training `run` right now: it holds a lock that ends with it."""
    return is_held(run.lock_file)


def is_held(file: Path) -> bool:
    """Whether a process holds the lock `file`; also where it can't be asked."""
    try:
        descriptor = os.open(file, os.O_RDONLY)
    except FileNotFoundError:
        return False
    except OSError:  # another user's
        return True
    try:
        return _is_refused(descriptor)
    finally:
        os.close(descriptor)


def _is_refused(descriptor: int) -> bool:
    try:
        if sys.platform != "win32":
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return False
    except OSError:
        return True
    return _is_refused_on_windows(descriptor)


def _is_refused_on_windows(descriptor: int) -> bool:
    """There Python has no shared locks: who else asks is not taken for one who holds it."""
    if sys.platform == "win32":
        import msvcrt

        for _ in range(5):
            try:
                msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
            except OSError:
                time.sleep(PAUSE)
                continue
            msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)
            return False
    return True
