"""`/api/look`: what a model does inside while it reads a passage."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter
from fastapi.responses import Response

from textwright.serving.answers import as_json
from textwright.serving.service import Service
from textwright.studio.inside import look
from textwright.studio.passages import Passage


def router(service: Service) -> APIRouter:
    """The route, for one server."""
    routes = APIRouter(prefix="/api", include_in_schema=False)
    turn = asyncio.Semaphore(1)  # it takes a processor for a while; texts are written meanwhile

    @routes.post("/look")
    async def read(body: Passage) -> Response:
        model = await service.model(body.model)
        run = service.library.run(body.model)
        async with turn:
            return as_json(await asyncio.to_thread(look, run, model, body.text))

    return routes
