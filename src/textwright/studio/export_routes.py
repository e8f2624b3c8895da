"""`/api/export`: a model and the page as one HTML file."""

from __future__ import annotations

import asyncio
from urllib.parse import quote

from fastapi import APIRouter
from fastapi.responses import Response

from textwright.engine import ModelPool
from textwright.page import Dtype, offline_page
from textwright.serving.fields import Body, ModelName


class ExportRequest(Body):
    """Which model, and the type of its weights in the file."""

    model: ModelName
    dtype: Dtype = "float16"


def router(pool: ModelPool) -> APIRouter:
    """The route for one server."""
    routes = APIRouter(prefix="/api", include_in_schema=False)
    semaphore = asyncio.Semaphore(1)  # packing takes several times the model's memory

    @routes.post("/export")
    async def export(body: ExportRequest) -> Response:
        run = pool.run(body.model)
        async with semaphore:
            page = await asyncio.to_thread(offline_page, run, dtype=body.dtype)
        headers = {
            "content-disposition": f"attachment; filename*=UTF-8''{quote(run.name)}.html",
            "content-security-policy": "sandbox",  # opened here, it can't act as the studio
            "x-content-type-options": "nosniff",
        }
        return Response(page, headers=headers, media_type="text/html")

    return routes
