"""Adds the studio to an app that serves models."""

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
    game_routes,
    inspect_routes,
    model_routes,
    static_files,
    training_routes,
)
from textwright.studio.training_process import TrainingProcess


def mount(
    app: FastAPI, *, api: str | None = None, runs: Path | None = None, local: bool = False
) -> None:
    """Add the page at `/studio/` and its routes under `/api/`; `/` redirects a browser there.

    Args:
        app: from `serving.create_app`.
        api: the address of another server whose models the page uses instead of this one's.
        runs: the folder in which trainings from the page make their runs; None: no training.
        local: the server listens on a loopback address only, so clients that use that address
            may train and export without `allow_training` and `allow_export`.
    """
    service: Service = app.state.service
    app.include_router(static_files.router(service.settings, api))
    app.include_router(static_files.address_router(service.settings))
    app.include_router(model_routes.router(service.pool))
    app.include_router(inspect_routes.router(service, local=local))
    app.include_router(export_routes.router(service, local=local))
    app.include_router(game_routes.router())
    training = None if runs is None else TrainingProcess(runs, service.settings.max_upload)
    app.include_router(training_routes.router(service, training, local=local))
    if training is not None:
        _stop_on_shutdown(app, training, service.settings.drain)
    app.state.home = "/studio/"


def _stop_on_shutdown(app: FastAPI, training: TrainingProcess, seconds: float) -> None:
    """When the server shuts down, stop its training and wait `seconds` for the last checkpoint."""
    inner = app.router.lifespan_context

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[Any]:
        async with inner(app) as state:
            yield state
            await asyncio.to_thread(training.close, seconds)

    app.router.lifespan_context = lifespan
