"""Addresses without what only their owner may know, for whatever is written down or printed."""

from __future__ import annotations

import re
from urllib.parse import urlsplit, urlunsplit

_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]*://[^\s'\"<>]+", re.IGNORECASE)
_PLAIN_VALUE = re.compile(r"[a-z-]{1,20}|[0-9.]{1,6}|", re.IGNORECASE)
_SECRET_NAME = re.compile(
    r"key|token|secret|sig|pass|pwd|auth|cred|session|code|hash|policy|jwt|bearer", re.IGNORECASE
)
LEFT_OUT = "…"


def without_secrets(text: str) -> str:
    """`text` with each address in it without user, password and what its query may keep secret.

    Of a query stay the values that are plain words or small numbers (`?raw=true`, `?page=2`) under
    names that promise no secret; a presigned address loses its signature, dates and identity.
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
    return urlunsplit((parts.scheme, host, parts.path, query, fragment))


def _clean_field(field: str) -> str:
    name, equals, value = field.partition("=")
    if not equals:
        return field if _PLAIN_VALUE.fullmatch(field) else LEFT_OUT
    if _SECRET_NAME.search(name) or not _PLAIN_VALUE.fullmatch(value):
        return f"{name}={LEFT_OUT}"
    return field
