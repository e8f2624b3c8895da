"""Putting the studio onto an app that serves models."""

from __future__ import annotations

from fastapi import FastAPI

from textwright.serving.service import Service
from textwright.studio import copied, files, looking, models, timeline


def mount(app: FastAPI, *, api: str | None = None) -> None:
    """Add the page at `/studio/` and its routes under `/api/`; a browser at `/` is sent there.

    Args:
        app: from `serving.create_app`.
        api: the address of another server that the page asks instead of this one.
    """
    service: Service = app.state.service
    app.include_router(files.router(service.settings, api))
    app.include_router(models.router(service.library))
    app.include_router(looking.router(service))
    app.include_router(copied.router(service.library))
    app.include_router(timeline.router(service.library))
    app.state.home = "/studio/"
