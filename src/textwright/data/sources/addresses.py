"""Addresses without what only their owner may know, for whatever is written down or printed."""

from __future__ import annotations

import re
from urllib.parse import urlsplit, urlunsplit

_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]*://[^\s'\"<>]+", re.IGNORECASE)
_PLAIN_VALUE = re.compile(r"[a-z-]{1,20}|[0-9.]{1,6}|", re.IGNORECASE)
_SECRET_NAME = re.compile(
    r"key|token|secret|sig|pass|pwd|auth|cred|session|code|hash|policy|jwt|bearer", re.IGNORECASE
)
_SECRET_PLACE = re.compile(
    r"(?:access|api|auth|my)?[-_]?(?:keys?|tokens?|secrets?|signatures?|sig|passwords?|bearer|jwt)",
    re.IGNORECASE,
)
"""What comes before a secret in a path: `/token/…/`."""
_FILE_NAME = re.compile(r"[\w-]{1,40}\.[a-z][a-z0-9]{0,4}", re.IGNORECASE)
_HEXADECIMAL = re.compile(r"[0-9a-f]+", re.IGNORECASE)
_DRAWN = 12
"""Characters without a break from which on chance can be told from a name."""
LEFT_OUT = "…"


def without_secrets(text: str) -> str:
    """`text` with each address in it without user, password and what its query and path may keep
    secret.

    Of a query stay the values that are plain words or small numbers (`?raw=true`, `?page=2`) under
    names that promise no secret; a presigned address loses its signature, dates and identity. Of a
    path go the parts that were drawn, not named (`/hooks/T0A1/xY3…`, `/bot123:AB…/`, a share's id),
    and what follows a `key`, `token` or the like; hexadecimal numbers stay, which name revisions.
    """
    return _ADDRESS.sub(lambda match: _clean(match[0]), text)


def _clean(address: str) -> str:
    try:
        parts = urlsplit(address)
        host = parts.netloc.rpartition("@")[2]
    except ValueError:  # no address at all
        return re.sub(r"(?<=://)[^/@]*@", "", address.partition("?")[0])
    query = re.sub(r"[^&;]+", lambda match: _clean_field(match[0]), parts.query)
    fragment = LEFT_OUT if "=" in parts.fragment else parts.fragment  # #access_token=…
    pieces = re.split(r"([/;])", parts.path)
    names = ["", *pieces[:-2:2]]
    for place, name in zip(range(0, len(pieces), 2), names, strict=True):
        pieces[place] = _clean_piece(pieces[place], name)
    return urlunsplit((parts.scheme, host, "".join(pieces), query, fragment))


def _clean_piece(piece: str, before: str) -> str:
    """A part of a path, that follows the part `before`."""
    if piece == LEFT_OUT or not piece:
        return piece
    name, equals, _ = piece.partition("=")  # /sig=…/, and parameters behind a semicolon
    if equals and _SECRET_NAME.search(name):
        return f"{name}={LEFT_OUT}"
    if _SECRET_PLACE.fullmatch(before) and not _FILE_NAME.fullmatch(piece):
        return LEFT_OUT
    stem, dot, extension = piece.rpartition(".")
    if not dot or not _PLAIN_VALUE.fullmatch(extension):
        stem, dot, extension = piece, "", ""
    return f"{LEFT_OUT}{dot}{extension}" if _is_drawn(stem) else piece


def _is_drawn(piece: str) -> bool:
    """Whether a part of a path looks drawn at random rather than named.

    Long, and without a break letters of both cases with digits among them; words have their
    capitals at the beginning, and their numbers at an end.
    """
    for run in re.split(r"[^A-Za-z0-9]+", piece):
        changes = len(re.findall(r"[a-z](?=[A-Z0-9])|[A-Z](?=[0-9])|[0-9](?=[A-Za-z])", run))
        if len(run) >= _DRAWN and changes >= len(run) / 4 and not _HEXADECIMAL.fullmatch(run):
            return True
    return False


def _clean_field(field: str) -> str:
    name, equals, value = field.partition("=")
    if not equals:
        return field if _PLAIN_VALUE.fullmatch(field) else LEFT_OUT
    if _SECRET_NAME.search(name) or not _PLAIN_VALUE.fullmatch(value):
        return f"{name}={LEFT_OUT}"
    return field
