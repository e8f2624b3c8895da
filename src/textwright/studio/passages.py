"""A passage that somebody asks about: the body of several requests."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator

from textwright.serving.fields import Body, ModelName

MOST_CHARACTERS = 20_000


def _fits(text: str) -> str:
    if len(text) > MOST_CHARACTERS:
        raise ValueError(f"at most {MOST_CHARACTERS:,} characters at once, not {len(text):,}")
    return text


class Passage(Body):
    """A text, and the model that is asked about it."""

    model: ModelName
    text: Annotated[str, AfterValidator(_fits)]
