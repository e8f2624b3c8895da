"""The base of all groups of settings, and one-line messages for invalid ones."""

from __future__ import annotations

import re

from pydantic import BaseModel, ConfigDict, ValidationError

MAX_VOCAB_SIZE = 1 << 20
"""More types than any real vocabulary has; a larger request is a mistake."""


class Section(BaseModel):
    """A group of settings: unknown names are errors, and assignments are checked."""

    model_config = ConfigDict(extra="forbid", validate_assignment=True, allow_inf_nan=False)


def _in_plain_words(message: str) -> str:
    """What pydantic says of a value, in the words of the other messages."""
    message = message.removeprefix("Value error, ")
    if re.match(r"Input should be a valid integer|Unable to parse input string as an int", message):
        return "must be a whole number"
    message = re.sub(r"^Input should be a valid number.*", "must be a number", message)
    message = re.sub(r"^Input should be (a valid )?", r"must be ", message)
    message = message.replace("greater than or equal to", "at least").replace(
        "less than or equal to", "at most"
    )
    return message.replace("greater than", "above").replace("less than", "below")


def one_line(error: Exception) -> str:
    """A validation error as one line that names each invalid setting."""
    if not isinstance(error, ValidationError):
        return re.sub(r"\s+", " ", f"{type(error).__name__}: {error}")
    messages = []
    for item in error.errors():
        name = ".".join(str(part) for part in item["loc"] if not str(part).startswith("function"))
        message = _in_plain_words(item["msg"])
        messages.append(f"{name}: {message} (got {item['input']!r})" if name else message)
    return "; ".join(dict.fromkeys(messages))
