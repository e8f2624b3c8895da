"""What all groups of settings share, and how a fault in one is told."""

from __future__ import annotations

import difflib
import re

from pydantic import BaseModel, ConfigDict, ValidationError

MAX_VOCAB_SIZE = 1 << 20
"""More types than any text of a sane size has; a larger request is a mistake."""


class Section(BaseModel):
    """A group of settings: unknown names are errors, and assignments are checked."""

    model_config = ConfigDict(extra="forbid", validate_assignment=True, allow_inf_nan=False)


def nearest(name: str, known: list[str]) -> str:
    """The end of an error about an unknown name: the likeliest one meant, or all there are."""
    close = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {close[0]!r}?" if close else f"; there are {', '.join(known)}"


def one_line(error: Exception) -> str:
    """What is wrong with some settings, as one line that names each."""
    if not isinstance(error, ValidationError):
        return re.sub(r"\s+", " ", f"{type(error).__name__}: {error}")
    faults = []
    for fault in error.errors():
        place = ".".join(str(part) for part in fault["loc"] if not str(part).startswith("function"))
        message = fault["msg"].removeprefix("Value error, ")
        faults.append(f"{place}: {message} (got {fault['input']!r})" if place else message)
    return "; ".join(dict.fromkeys(faults))
