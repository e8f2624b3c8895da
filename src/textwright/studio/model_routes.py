"""`/api/models`: what each model is, for the page's picker."""

from __future__ import annotations

import contextlib
from typing import Any

from fastapi import APIRouter
from fastapi.responses import Response

from textwright.configs import AttentionConfig
from textwright.errors import TextwrightError
from textwright.generation import Library
from textwright.serving.answers import as_json
from textwright.tokenizers import Tokenizer


def router(library: Library) -> APIRouter:
    """The route, for one server."""
    routes = APIRouter(prefix="/api", include_in_schema=False)

    @routes.get("/models")
    def models() -> Response:
        found = {}
        for name in library.names():
            with contextlib.suppress(TextwrightError):  # it went in the meantime
                found[name] = about(library, name)
        return as_json({"models": found})

    return routes


def about(library: Library, name: str) -> dict[str, Any]:
    """A model in a few facts.

    Raises:
        TextwrightError: there is none, or it can't be read.
    """
    run = library.run(name)
    config, tokenizer = run.config(), Tokenizer.load(run)
    return {
        "family": config.family,
        "parameters": config.parameter_count(),
        "vocab_size": config.vocab_size,
        "block_size": config.block_size if isinstance(config, AttentionConfig) else None,
        "tokenizer": tokenizer.kind,
        "talks": bool(tokenizer.chat),
    }
