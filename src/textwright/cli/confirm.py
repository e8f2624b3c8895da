"""Asks before something is deleted."""

from __future__ import annotations

import typer

from textwright.errors import RequestError


def confirmed(question: str) -> bool:
    """Whether the user says yes. Raises `RequestError` where standard input has no answer."""
    try:
        return typer.confirm(question, err=True)
    except typer.Abort:
        raise RequestError("nobody answered, so nothing was deleted; --yes doesn't ask") from None
