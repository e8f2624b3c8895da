"""`/api/training`, `/api/uploads`: training from the page.

A training takes this machine's processor and disk, so only clients on this machine may start one,
unless the setting `allow_training` lets all who may generate.
"""

from __future__ import annotations

import asyncio
import importlib.util
from typing import Annotated, Literal

from fastapi import APIRouter
from fastapi.responses import Response
from pydantic import Field
from starlette.requests import Request

from textwright.configs import CONFIG_CLASSES
from textwright.errors import RequestError
from textwright.serving import gate
from textwright.serving.errors import HTTPError
from textwright.serving.fields import Body, Number
from textwright.serving.hosts import is_local
from textwright.serving.responses import json_response
from textwright.serving.service import Service
from textwright.studio import shelf
from textwright.studio.training_process import TrainingProcess

PIECES = "/api/uploads/piece"
MAX_MINUTES = 24 * 60.0
PIECE = 2 << 20
"""Bytes of an upload per request, where `max_body` allows that many."""
FAMILIES = [family for config in CONFIG_CLASSES for family in config.families]

Name = Annotated[str, Field(max_length=100)]


class BrowserRequest(Body):
    """The client: a random name that each browser chooses; only it may stop its training."""

    browser: Name = ""


class UploadRequest(Body):
    """A text that will be uploaded, its size in bytes."""

    name: str = Field(max_length=1000)
    size: int = Field(ge=0)


class StartRequest(BrowserRequest):
    """A training to start."""

    upload: Name = ""
    built_in: Name = ""
    """The name of a text that `textwright corpora` lists, in place of an upload."""
    name: Annotated[str, Field(max_length=80)] = ""
    """Of the run; empty: the text's."""
    family: Name
    minutes: Annotated[Number, Field(gt=0, le=MAX_MINUTES)]
    begins_with: Literal["nothing", "english"] = "nothing"
    """What the model knows before the first step; with `english` the family is that one's."""


class JobRequest(BrowserRequest):
    """A training that was started, by the `number` in its status."""

    number: Name


class ResumeRequest(JobRequest):
    """A training to go on with: to the end of its plan, or for so many minutes beyond what is
    done, of one that has finished too."""

    more_minutes: Annotated[Number, Field(gt=0, le=MAX_MINUTES)] | None = None


class StopRequest(JobRequest):
    """A training to stop; `at_once` loses the steps since its last checkpoint."""

    at_once: bool = False


def router(service: Service, process: TrainingProcess | None, *, local: bool) -> APIRouter:
    """The routes for one server.

    Args:
        process: the server's one training; None where it doesn't train.
        local: whether clients on this machine may train without `allow_training`.
    """
    routes = APIRouter(prefix="/api", include_in_schema=False)
    settings, pool = service.settings, service.pool
    gate.NON_JSON_PATHS.add(PIECES)

    def forbidden_reason(http: Request) -> str | None:
        if process is None:
            return "this server doesn't train"
        if importlib.util.find_spec("torch") is None:
            return "training needs torch where the server runs: pip install 'textwright[train]'"
        if settings.allow_training or (local and is_local(http.headers)):
            return None
        return "training is off for other machines; its owner can start it with --allow-training"

    def authorized(http: Request) -> TrainingProcess:
        if (why := forbidden_reason(http)) is not None:
            raise HTTPError(403, why, code="training_not_allowed")
        assert process is not None
        return process

    def status(http: Request, browser: str) -> Response:
        why = forbidden_reason(http)
        state = None
        if process is not None and why is None:
            state = process.state(browser)
            run = process.run()
            if run is not None and run.has_model():
                pool.add(run)
        return json_response(
            {
                "allowed": why is None,
                "why": why,
                "families": FAMILIES,
                "most_minutes": MAX_MINUTES,
                "most_bytes": settings.max_upload,
                "built_ins": shelf.texts() if why is None else [],
                "training": state,
            }
        )

    @routes.post("/training")
    def training(body: BrowserRequest, http: Request) -> Response:
        return status(http, body.browser)

    @routes.post("/uploads")
    def announce(body: UploadRequest, http: Request) -> Response:
        process = authorized(http)
        process.check_idle()
        number = process.uploads.begin(body.name, body.size, used=process.texts())
        return json_response({"upload": number, "piece": min(PIECE, settings.max_body)})

    @routes.post("/uploads/piece")
    async def piece(http: Request, upload: Name, at: int) -> Response:
        process = authorized(http)
        if http.headers.get("content-type") != "application/octet-stream":  # no HTML form sends it
            raise HTTPError(415, "send the header 'Content-Type: application/octet-stream'")
        received = await asyncio.to_thread(process.uploads.add, upload, at, await http.body())
        return json_response({"received": received})

    @routes.post("/training/start")
    def start(body: StartRequest, http: Request) -> Response:
        process = authorized(http)
        if body.family not in FAMILIES:
            raise RequestError(f"no family {body.family!r}; take one of {', '.join(FAMILIES)}")
        text = shelf.take(body.built_in) if body.built_in else process.uploads.take(body.upload)
        taken = list(pool.statuses)
        parent = None if body.begins_with == "nothing" else body.begins_with
        process.start(
            text,
            body.family,
            body.minutes,
            body.browser,
            parent=parent,
            name=body.name,
            taken=taken,
        )
        return status(http, body.browser)

    @routes.post("/training/stop")
    def stop(body: StopRequest, http: Request) -> Response:
        authorized(http).stop(body.number, body.browser, at_once=body.at_once)
        return status(http, body.browser)

    @routes.post("/training/resume")
    def resume(body: ResumeRequest, http: Request) -> Response:
        authorized(http).resume(body.number, body.browser, body.more_minutes)
        return status(http, body.browser)

    return routes
