"""`/api/models` and `/api/timeline`: what each model is, and how its training went."""

from __future__ import annotations

import contextlib
from typing import Any

from fastapi import APIRouter
from fastapi.responses import Response

from textwright.configs import AttentionConfig
from textwright.engine import ModelPool
from textwright.errors import TextwrightError
from textwright.page import timelines
from textwright.serving.fields import Body, ModelName
from textwright.serving.responses import json_response
from textwright.studio.training_process import CURVES
from textwright.tokenizers import Tokenizer


class TimelineRequest(Body):
    """Which model's training."""

    model: ModelName


def router(pool: ModelPool) -> APIRouter:
    """The routes for one server."""
    routes = APIRouter(prefix="/api", include_in_schema=False)

    @routes.get("/models")
    def list_models() -> Response:
        models = {}
        for name in pool.names():
            with contextlib.suppress(TextwrightError):  # removed in the meantime
                models[name] = describe(pool, name)
        return json_response({"models": models})

    @routes.post("/timeline")
    def timeline(body: TimelineRequest) -> Response:
        run = pool.run(body.model)
        return json_response(timelines.timeline(run, CURVES))

    return routes


def describe(pool: ModelPool, name: str) -> dict[str, Any]:
    """What the page shows of the model `name`, as JSON holds it.

    Raises:
        TextwrightError: no such model, or it can't be read.
    """
    run = pool.run(name)
    config, tokenizer = run.config(), Tokenizer.load(run)
    return {
        "family": config.family,
        "parameters": config.parameter_count(),
        "vocab_size": config.vocab_size,
        "block_size": config.block_size if isinstance(config, AttentionConfig) else None,
        "tokenizer": tokenizer.kind,
        "talks": bool(tokenizer.chat),
        "shipped": run.is_shipped,
        "beginnings": timelines.beginnings(run),
    }
