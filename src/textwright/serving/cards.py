"""`/v1/models` of the OpenAI API."""

from __future__ import annotations

import contextlib
from typing import Any, Literal

from fastapi import APIRouter
from fastapi.responses import Response
from pydantic import BaseModel

from textwright.errors import TextwrightError
from textwright.serving.errors import OpenAIError, error_responses
from textwright.serving.responses import json_response
from textwright.serving.service import Service


class ModelCard(BaseModel):
    """A model."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: str


class ModelList(BaseModel):
    """The models that can be asked."""

    object: Literal["list"]
    data: list[ModelCard]


def router(service: Service) -> APIRouter:
    """The routes for one server."""
    routes = APIRouter(prefix="/v1", tags=["OpenAI"])

    def card(name: str) -> dict[str, Any]:
        created = service.pool.added_at(name)
        return {"id": name, "object": "model", "created": created, "owned_by": "textwright"}

    @routes.get("/models", response_model=ModelList, responses=error_responses(OpenAIError))
    async def models() -> Response:
        """The models that can be asked."""
        cards = []
        for name in service.pool.names():
            with contextlib.suppress(TextwrightError):  # removed in the meantime
                cards.append(card(name))
        return json_response({"object": "list", "data": cards})

    @routes.get("/models/{name}", response_model=ModelCard, responses=error_responses(OpenAIError))
    async def model(name: str) -> Response:
        """One model; `-` and `_` are the same."""
        return json_response(card(name))

    return routes
