"""`/models`: the routes by which a multi-model endpoint loads, lists and unloads models.

AWS describes it under "Custom Containers Contract for Multi-Model Endpoints".
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import Field

from textwright import machine
from textwright.runs import Run
from textwright.sagemaker.invocations import invoke
from textwright.serving.errors import HTTPError, NativeError, error_responses
from textwright.serving.fields import Body, ModelName
from textwright.serving.responses import json_response
from textwright.serving.service import Service

PAGE_SIZE = 100
"""Models per page of the list."""

_WEIGHTS_SHARE = 0.7
"""Share of a container's memory; the rest is for the state of running texts, and Python."""


class LoadModel(Body):
    """A model to load."""

    model_name: ModelName = Field(min_length=1, description="What it is called from now on.")
    url: str = Field(description="Its folder in the container.")


def weight_memory() -> int | None:
    """Bytes that weights may take in this container; None where its memory isn't known."""
    memory = machine.memory()
    return None if memory is None else int(memory * _WEIGHTS_SHARE)


def router(service: Service) -> APIRouter:
    """The routes for one server."""
    routes = APIRouter(prefix="/models", tags=["SageMaker"], responses=error_responses(NativeError))
    pool = service.pool

    def card(name: str) -> dict[str, Any]:
        return {"modelName": name, "modelUrl": str(pool.run(name).path)}

    @routes.post("")
    async def load(body: LoadModel) -> Response:
        """Load a model; 409 where there is one of its name, 507 where it has no room."""
        run = Run(Path(body.url))
        if not run.path.is_dir():
            raise HTTPError(400, f"url: no folder {body.url[:200]}", param="url")
        await asyncio.to_thread(pool.add_loaded, body.model_name, run)
        return json_response(card(body.model_name))

    @routes.get("")
    async def models(next_page_token: str = "") -> Response:
        """The loaded models, 100 at a time."""
        names = sorted(name for name in pool.names() if name > next_page_token)
        page: dict[str, Any] = {"models": [card(name) for name in names[:PAGE_SIZE]]}
        if len(names) > PAGE_SIZE:
            page["nextPageToken"] = names[PAGE_SIZE - 1]
        return json_response(page)

    @routes.get("/{name}")
    async def model(name: str) -> Response:
        """One model; 404 where it is not loaded."""
        return json_response(card(name))

    @routes.delete("/{name}")
    async def unload(name: str) -> Response:
        """Unload a model; what it is writing is finished."""
        await asyncio.to_thread(pool.remove, name)
        return json_response({"status": f"model {name} unloaded"})

    @routes.post("/{name}/invoke")
    async def invoke_model(name: str, http: Request) -> Response:
        """As `/invocations`, for one of the models."""
        return await invoke(service, name, http)

    return routes
