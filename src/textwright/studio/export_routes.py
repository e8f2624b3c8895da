"""`/api/export`: a model and the page as one file, to take along."""

from __future__ import annotations

import asyncio
from urllib.parse import quote

from fastapi import APIRouter
from fastapi.responses import Response

from textwright.engine import ModelPool
from textwright.page import Dtype, offline_page
from textwright.serving.fields import Body, ModelName


class Wanted(Body):
    """What to take along."""

    model: ModelName
    dtype: Dtype = "float16"


def router(pool: ModelPool) -> APIRouter:
    """The route, for one server."""
    routes = APIRouter(prefix="/api", include_in_schema=False)
    turn = asyncio.Semaphore(1)  # a large model takes memory several times its size

    @routes.post("/export")
    async def export(body: Wanted) -> Response:
        run = pool.run(body.model)
        async with turn:
            page = await asyncio.to_thread(offline_page, run, dtype=body.dtype)
        headers = {
            "content-disposition": f"attachment; filename*=UTF-8''{quote(run.name)}.html",
            "content-security-policy": "sandbox",  # to be kept, not to be opened from here
            "x-content-type-options": "nosniff",
        }
        return Response(page, headers=headers, media_type="text/html")

    return routes
