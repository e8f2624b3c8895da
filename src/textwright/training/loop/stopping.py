"""What stops a training in order: signals, and on Windows what a console tells."""

from __future__ import annotations

import logging
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import SimpleQueue
from types import FrameType

log = logging.getLogger("textwright")

_PATIENCE = 5
"""Seconds after a signal to stop for which more of them say nothing new."""
_AT_ONCE = {signal.SIGINT, signal.SIGTERM}
"""Signals that stop at once where they come again after that."""
_STOP_SIGNALS = [signal.SIGINT, signal.SIGTERM]
_IGNORABLE: list[signal.Signals] = []
"""Signals that stop nothing where whoever started the process had it ignore them."""
if sys.platform == "win32":
    _STOP_SIGNALS.append(signal.SIGBREAK)  # the only one that a process there can send another
    _CLOSING_EVENTS = (2, 5, 6)  # CTRL_CLOSE_EVENT, CTRL_LOGOFF_EVENT, CTRL_SHUTDOWN_EVENT
else:
    _IGNORABLE += [signal.SIGHUP, signal.SIGXCPU]  # the terminal closed, a batch's time is over
    _STOP_SIGNALS += _IGNORABLE


@contextmanager
def stop_signals() -> Iterator[Callable[[], bool]]:
    """Gives whether a signal asked to stop: Ctrl-C, SIGTERM, a terminal that closed, a time limit;
    on Windows also a console that is closed, and logging off.

    More of them within `_PATIENCE` seconds say the same once more, e.g. a Ctrl-C that reaches a
    process twice. After that Ctrl-C and SIGTERM act as usual, at once, without saving.

    A handler runs in the middle of whatever the main thread does, be it writing to the log, which
    can't be entered twice: it only notes the signal. Another thread logs it, however long a step
    takes.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    before = {number: signal.getsignal(number) or signal.SIG_DFL for number in _STOP_SIGNALS}
    for number in _IGNORABLE:  # nohup, and a shell's background
        if before.get(number) is signal.SIG_IGN:
            del before[number]
    received: list[float] = []
    events: SimpleQueue[bool] = SimpleQueue()  # whose `put` may interrupt itself

    def note() -> None:
        received.append(time.monotonic())
        events.put(True)

    def handle(number: int, frame: FrameType | None) -> None:
        if not received:
            note()
        elif number in _AT_ONCE and time.monotonic() - received[0] > _PATIENCE:
            signal.signal(number, before[signal.Signals(number)])
            signal.raise_signal(number)

    def log_stop() -> None:
        if events.get():
            log.warning(
                "stopping: saving a checkpoint first; Ctrl-C again, after %d seconds, stops at "
                "once and saves nothing", _PATIENCE,
            )  # fmt: skip

    logger = threading.Thread(target=log_stop, name="textwright-stop", daemon=True)
    logger.start()
    for number in before:
        signal.signal(number, handle)
    try:
        with _console_events(note):
            yield lambda: bool(received)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        events.put(False)
        logger.join()


@contextmanager
def _console_events(note: Callable[[], None]) -> Iterator[None]:
    """Call `note` where Windows closes the console, logs the user off or shuts down, which no
    signal tells; the process lives on until the body is left, or Windows loses patience."""
    if sys.platform == "win32":
        import ctypes
        from ctypes import wintypes

        over = threading.Event()

        def handle(event: int) -> bool:
            if event not in _CLOSING_EVENTS:
                return False
            note()
            over.wait()
            return True

        set_handler = ctypes.WinDLL("kernel32").SetConsoleCtrlHandler
        routine = ctypes.WINFUNCTYPE(wintypes.BOOL, wintypes.DWORD)(handle)
        set_handler(routine, True)
        try:
            yield
        finally:
            over.set()
            set_handler(routine, False)
    else:
        yield
