"""`/api/training`, `/api/uploads`: training from the page.

Whoever trains here uses this machine's processor and disk, so that is for people on it, or for
those whom `allow_training` lets in.
"""

from __future__ import annotations

import asyncio
import importlib.util
import ipaddress
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import APIRouter
from fastapi.responses import Response
from pydantic import Field
from starlette.requests import Request

from textwright.configs import CONFIG_CLASSES
from textwright.errors import RequestError
from textwright.serving import gate
from textwright.serving.answers import as_json
from textwright.serving.errors import HTTPError
from textwright.serving.fields import Body, Number
from textwright.serving.service import Service
from textwright.studio.training_process import Supervisor

PIECES = "/api/uploads/piece"
MOST_MINUTES = 24 * 60.0
PIECE = 2 << 20
"""Bytes of a text that are sent at once, where the server takes bodies of that size."""
FAMILIES = [family for config in CONFIG_CLASSES for family in config.families]
_FORWARDED = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip")

Name = Annotated[str, Field(max_length=100)]


class Browser(Body):
    """Who asks: a name that a browser makes up, so that one's stop is not another's."""

    browser: Name = ""


class Announced(Body):
    """A text that will come."""

    name: str = Field(max_length=1000)
    size: int = Field(ge=0)


class Wanted(Browser):
    """A training."""

    upload: Name
    family: Name
    minutes: Annotated[Number, Field(gt=0, le=MOST_MINUTES)]


class Numbered(Browser):
    """A training that there is."""

    number: Name


class Stopped(Numbered):
    """A training that shall end."""

    at_once: bool = False


def router(service: Service, supervisor: Supervisor | None, *, local: bool) -> APIRouter:
    """The routes, for one server.

    Args:
        supervisor: of the training; None where there is none.
        local: whether people on this machine may train.
    """
    routes = APIRouter(prefix="/api", include_in_schema=False)
    settings, pool = service.settings, service.pool
    gate.OTHER_MEDIA.add(PIECES)

    def refusal(http: Request) -> str | None:
        if supervisor is None:
            return "this server doesn't train"
        if importlib.util.find_spec("torch") is None:
            return "training needs torch where the server runs: pip install 'textwright[train]'"
        if settings.allow_training or (local and _from_here(http)):
            return None
        return "training is off for other machines; its owner can start it with --allow-training"

    def allowed(http: Request) -> Supervisor:
        if (why := refusal(http)) is not None:
            raise HTTPError(403, why, code="training_not_allowed")
        assert supervisor is not None
        return supervisor

    def told(http: Request, browser: str) -> Response:
        why = refusal(http)
        state = None
        if supervisor is not None and why is None:
            state = supervisor.state(browser)
            run = supervisor.run()
            if run is not None and run.has_model():
                pool.add(run)
        return as_json(
            {
                "allowed": why is None,
                "why": why,
                "families": FAMILIES,
                "most_minutes": MOST_MINUTES,
                "most_bytes": settings.max_upload,
                "training": state,
            }
        )

    @routes.post("/training")
    def training(body: Browser, http: Request) -> Response:
        return told(http, body.browser)

    @routes.post("/uploads")
    def announce(body: Announced, http: Request) -> Response:
        here = allowed(http)
        here.refuse_second()
        number = here.uploads.begin(body.name, body.size, used=here.texts())
        return as_json({"upload": number, "piece": min(PIECE, settings.max_body)})

    @routes.post("/uploads/piece")
    async def piece(http: Request, upload: Name, at: int) -> Response:
        here = allowed(http)
        if http.headers.get("content-type") != "application/octet-stream":  # a form's is another
            raise HTTPError(415, "send the header 'Content-Type: application/octet-stream'")
        received = await asyncio.to_thread(here.uploads.add, upload, at, await http.body())
        return as_json({"received": received})

    @routes.post("/training/start")
    def start(body: Wanted, http: Request) -> Response:
        here = allowed(http)
        if body.family not in FAMILIES:
            raise RequestError(f"no family {body.family!r}; take one of {', '.join(FAMILIES)}")
        text = here.uploads.take(body.upload)
        taken = list(pool.statuses)
        here.start(text, body.family, body.minutes, body.browser, taken=taken)
        return told(http, body.browser)

    @routes.post("/training/stop")
    def stop(body: Stopped, http: Request) -> Response:
        allowed(http).stop(body.number, body.browser, at_once=body.at_once)
        return told(http, body.browser)

    @routes.post("/training/resume")
    def resume(body: Numbered, http: Request) -> Response:
        allowed(http).resume(body.number, body.browser)
        return told(http, body.browser)

    return routes


def _from_here(http: Request) -> bool:
    """Whether a person on this machine asks: not by way of a proxy, nor from the page of a site
    whose name was made to mean this machine."""
    if any(header in http.headers for header in _FORWARDED):
        return False
    asked = [f"//{http.headers.get('host', '')}", http.headers.get("origin")]
    try:
        return all(is_loopback(urlsplit(one).hostname or "") for one in asked if one is not None)
    except ValueError:
        return False


def is_loopback(host: str) -> bool:
    """Whether an address, or a name, is this machine's own, that no other reaches."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
