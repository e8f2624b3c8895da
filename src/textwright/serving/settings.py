"""What a server may be told: limits, keys, where it stands. Everything has a default."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr


class ServerSettings(BaseModel):
    """Settings of the HTTP layer; those of the engine and the models belong to these."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    api_keys: tuple[SecretStr, ...] = ()
    """One of these is needed for everything but `/`, `/health` and `/docs`; none: all is open."""
    cors_origins: tuple[str, ...] = ()
    """Web pages of these origins may call from a browser; `*`: of all."""
    root_path: Annotated[str, AfterValidator(lambda path: path.rstrip("/"))] = Field(
        default="", pattern="^(/.*)?$"
    )
    """The path under which a proxy shows the server, e.g. `/textwright`."""
    max_body: int = Field(default=4 << 20, ge=1)
    """Bytes of a request's body."""
    body_timeout: float = Field(default=30.0, gt=0)
    """Seconds for all of a body to arrive."""
    max_prompt: int = Field(default=65_536, ge=1)
    """Characters, or tokens, of a prompt."""
    max_length: int = Field(default=4096, ge=1)
    """Tokens of a text."""
    max_choices: int = Field(default=16, ge=1)
    """`n` and `best_of`."""
    max_stops: int = Field(default=16, ge=0)
    """Stop strings of a request, or tokens that end its text."""
    max_inputs: int = Field(default=64, ge=1)
    """Inputs in bulk, or prompts in a list."""
    deadline: float = Field(default=300.0, gt=0)
    """Seconds after which a request gets the text that there is."""
    stream_interval: float = Field(default=0.02, ge=0)
    """Seconds between the chunks of a stream, at least; its first token is never held back."""
    drain: float = Field(default=60.0, ge=0)
    """Seconds that requests under way have to finish when the server is told to stop."""
    log_prompts: bool = False
    """Log prompts and texts too."""
    allow_training: bool = False
    """Let everybody who may generate train, too; else only who is on this machine."""
    max_upload: int = Field(default=64_000_000, ge=1)
    """Bytes of a text that is sent here to train on."""
