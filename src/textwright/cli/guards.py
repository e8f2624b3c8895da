"""Settings of `serve` that guard, from wherever they come: none is passed over in silence."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import typer

from textwright.errors import RequestError

PANELS = ("Who may ask", "Limits")
"""Of the options that guard."""
ALSO = ("host", "log_prompts", "copy_at_most")
"""Others that do."""
MAX_FILE = 1 << 20
"""Bytes of a file of keys."""


def check_environment(context: typer.Context, environment: Mapping[str, str] = os.environ) -> None:
    """Refuse what guards a command and is empty in the environment.

    Compose files and scripts set a variable to nothing where its value is missing; typer takes
    that for a variable that isn't set, and the server would be open to everybody.

    Raises:
        RequestError: a variable is empty, is misspelled, or would be taken apart.
    """
    known: set[str] = set()
    for option in context.command.params:
        variable = option.envvar
        if not isinstance(variable, str):
            continue
        known.add(variable)
        guards = option.name in ALSO or getattr(option, "rich_help_panel", "") in PANELS
        if guards and variable in environment and not environment[variable].strip():
            raise RequestError(f"{variable} is empty: give it a value, or unset it")
    if "TEXTWRIGHT_API_KEY" not in known:
        return
    if len(environment.get("TEXTWRIGHT_API_KEY", "").split()) > 1:
        raise RequestError(
            "TEXTWRIGHT_API_KEY has a space in it, so it would be several keys; "
            "put them into a file, one a line, for TEXTWRIGHT_API_KEY_FILE"
        )
    for variable in environment:
        if variable.startswith("TEXTWRIGHT_") and "KEY" in variable and variable not in known:
            raise RequestError(
                f"{variable} is no setting; keys are in TEXTWRIGHT_API_KEY or "
                "TEXTWRIGHT_API_KEY_FILE"
            )


def read_keys(options: list[str], file: Path | None) -> list[str]:
    """Keys from the options and the file, in which `#` begins a comment line.

    Raises:
        RequestError: the file can't be read, has no key, or something in it can't be one.
    """
    keys = [_checked(key, "an API key") for key in options]
    if file is None:
        return keys
    own = []
    for number, line in enumerate(_text(file).split("\n"), 1):
        key = line.strip()
        if not key or key.startswith("#"):
            continue
        where = f"--api-key-file {file}, line {number},"
        if " #" in key or "\t#" in key:
            raise RequestError(f"{where} has a comment after a key; give it a line of its own")
        own.append(_checked(key, where))
    if not own:
        raise RequestError(f"--api-key-file {file} has no keys; write one a line")
    return keys + own


def _text(file: Path) -> str:
    try:
        with file.open("rb") as opened:
            data = opened.read(MAX_FILE + 1)
        if len(data) > MAX_FILE:
            raise ValueError("it is longer than a megabyte")
        if data.startswith((b"\xff\xfe", b"\xfe\xff")):
            raise ValueError("it is UTF-16; save it as UTF-8")
        return data.decode("utf-8-sig")
    except (OSError, ValueError) as error:
        raise RequestError(f"--api-key-file {file} can't be read: {error}") from error


def _checked(key: str, what: str) -> str:
    if not key.strip():
        raise RequestError(f"{what} is empty; leave it out, or set it")
    if not (key.isascii() and key.isprintable()):
        raise RequestError(
            f"{what} has characters that no header carries; take letters, digits and signs of ASCII"
        )
    return key
