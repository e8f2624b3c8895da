"""Settings of a server: limits, keys, addresses. Each has a default."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr

_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(:[0-9]{1,5})?")
_DEFAULT_PORTS = {"http": ":80", "https": ":443"}


def _origin(origin: str) -> str:
    """`origin` as browsers send it: `*`, `null`, or scheme, host and a port that isn't the
    scheme's own; anything else would never match."""
    scheme = origin.partition("://")[0]
    valid = _ORIGIN.fullmatch(origin) and not origin.endswith(_DEFAULT_PORTS.get(scheme, "/"))
    if origin not in ("*", "null") and not valid:
        raise ValueError(
            f"{origin[:100]!r} is no origin as browsers send it: scheme and host in lower case, no "
            "path, no default port, e.g. https://example.org or http://localhost:3000; * is any"
        )
    return origin


def _not_blank(key: SecretStr) -> SecretStr:
    if not key.get_secret_value().strip():
        raise ValueError("a key is empty")
    return key


APIKey = Annotated[SecretStr, AfterValidator(_not_blank)]
HostName = Annotated[str, Field(pattern=r"^([\w.-]+|[\da-fA-F:.]+)$"), AfterValidator(str.lower)]


class ServerSettings(BaseModel):
    """Settings of the HTTP layer; the engine and the model pool have their own."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    api_keys: tuple[APIKey, ...] = ()
    """A request needs one of these, except for `gate.PUBLIC_PATHS`; none: every path is public."""
    hosts: tuple[HostName, ...] | None = None
    """Names in `Host` that are answered, beside loopback ones; None: any."""
    cors_origins: tuple[Annotated[str, AfterValidator(_origin)], ...] = ()
    """Origins whose web pages may call from a browser; `*`: any."""
    root_path: Annotated[str, AfterValidator(lambda path: path.rstrip("/"))] = Field(
        default="", pattern="^(/.*)?$"
    )
    """The path under which a proxy serves this server, e.g. `/textwright`."""
    max_body: int = Field(default=4 << 20, ge=1)
    """Bytes of a request's body."""
    body_timeout: float = Field(default=30.0, gt=0)
    """Seconds for all of a body to arrive."""
    max_prompt: int = Field(default=65_536, ge=1)
    """Characters, or token ids, of a prompt."""
    max_length: int = Field(default=4096, ge=1)
    """Tokens generated per text."""
    max_choices: int = Field(default=16, ge=1)
    """`n` and `best_of`."""
    max_stops: int = Field(default=16, ge=0)
    """Stop strings of a request, and likewise its `stop_token_ids`."""
    max_inputs: int = Field(default=64, ge=1)
    """Inputs in bulk, or prompts in a list."""
    max_logprobs: int = Field(default=1_000_000, ge=0)
    """Log probabilities of a response: tokens × (1 + alternatives)."""
    deadline: float = Field(default=300.0, gt=0)
    """Seconds after which a request is answered with the text so far."""
    stream_interval: float = Field(default=0.02, ge=0)
    """Least seconds between the chunks of a stream; its first token is never delayed."""
    drain: float = Field(default=60.0, ge=0)
    """Seconds that running requests have to finish when the server shuts down."""
    log_prompts: bool = False
    """Log prompts and generated texts too."""
    allow_training: bool = False
    """Let all clients that may generate train, too; else only those on this machine."""
    allow_export: bool = False
    """Let all clients that may generate take a model away and compare with its training text, too;
    else only those on this machine."""
    max_upload: int = Field(default=64_000_000, ge=1)
    """Bytes of a text uploaded for training."""
