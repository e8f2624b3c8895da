"""Putting the studio onto an app that serves models."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fastapi import FastAPI

from textwright.serving.service import Service
from textwright.studio import (
    export_routes,
    inspect_routes,
    model_routes,
    static_files,
    training_routes,
)
from textwright.studio.training_process import Supervisor


def mount(
    app: FastAPI, *, api: str | None = None, runs: Path | None = None, local: bool = False
) -> None:
    """Add the page at `/studio/` and its routes under `/api/`; a browser at `/` is sent there.

    Args:
        app: from `serving.create_app`.
        api: the address of another server that the page asks instead of this one.
        runs: the folder that trainings from the page make their runs in; None: there are none.
        local: the server listens on this machine's own address, so whoever calls it by that may
            train without `allow_training`.
    """
    service: Service = app.state.service
    app.include_router(static_files.router(service.settings, api))
    app.include_router(model_routes.models_router(service.pool))
    app.include_router(inspect_routes.look_router(service))
    app.include_router(inspect_routes.copied_router(service.pool))
    app.include_router(model_routes.timeline_router(service.pool))
    app.include_router(export_routes.router(service.pool))
    supervisor = None if runs is None else Supervisor(runs, service.settings.max_upload)
    app.include_router(training_routes.router(service, supervisor, local=local))
    if supervisor is not None:
        _end_with(app, supervisor, service.settings.drain)
    app.state.home = "/studio/"


def _end_with(app: FastAPI, supervisor: Supervisor, seconds: float) -> None:
    """A training ends, with what it learned saved, when the server is told to."""
    before = app.router.lifespan_context

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[Any]:
        async with before(app) as state:
            yield state
            await asyncio.to_thread(supervisor.close, seconds)

    app.router.lifespan_context = lifespan
