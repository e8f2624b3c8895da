"""The one family of exceptions for what a user, or a machine, can get wrong.

Every message is one line that names the thing and the remedy. The command line and the HTTP layer
translate this family and nothing else: a `RequestError` is a wrong request (exit code 2, HTTP 4xx),
any other `TextwrightError` is something that went wrong while running (exit code 1, HTTP 5xx).
"""

import re

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def printable(text: str) -> str:
    """`text` as one line that a terminal can be shown: what comes from files, names and servers may
    hold escape codes, which move its cursor or rewrite what it shows."""
    return _CONTROL.sub("\ufffd", " ".join(text.split()))


def counted(count: int, noun: str) -> str:
    """`1 line`, `1,200 lines`: a number and what it counts, whose plural is the usual one."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


class TextwrightError(Exception):
    """Something went wrong while running: a full disk, a lost connection, a diverged training."""


class RequestError(TextwrightError):
    """The request itself can't be met: a missing file, an unknown size, a bad setting."""


class CorpusError(RequestError):
    """The text asked for can't be read, or holds nothing usable."""


class TokenizerError(RequestError):
    """A tokenizer can't be built from this text, or can't read this prompt."""


class RunError(RequestError):
    """A run folder is missing, exists already, or is damaged."""


class MissingPackageError(RequestError):
    """An optional package is needed for this; the message says which extra installs it."""


class DownloadError(TextwrightError):
    """A download failed; the message says from where and what can be done instead."""


class TrainingError(TextwrightError):
    """Training can't go on: a loss that isn't finite, a disk that is full."""


class DivergedError(TrainingError):
    """The loss is not a finite number any more."""


class BusyError(TextwrightError):
    """As much is under way as may be; the same request can be met later."""

    def __init__(self, message: str, retry_after: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        """Seconds after which to try again."""


class ClosedError(TextwrightError):
    """It is shutting down and takes on nothing more."""


class DeadlineError(TextwrightError):
    """Work that can't end early wasn't done in the time that a request has."""


class UnknownModelError(RequestError):
    """No model of this name is known."""


class ModelExistsError(RequestError):
    """There is a model of this name already."""


class ModelUnavailableError(TextwrightError):
    """A model is known and can't be loaded; the message says why."""


class NoRoomError(TextwrightError):
    """The memory that there is doesn't take one more model."""
