"""`/api/read`: how likely each token of a text is. `/api/look`: a model's activations over it.
`/api/copied`: the spans of a passage that occur word for word in the model's training text."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import AfterValidator, Field

from textwright.errors import RunError
from textwright.evaluation.memorization import MINIMUM, check_min_length, novelty
from textwright.runs import Run
from textwright.serving.fields import AS_INTEGER, Body, BodyRoute, ModelName
from textwright.serving.responses import json_response
from textwright.serving.service import Service
from textwright.serving.turns import Turns
from textwright.studio.activations import inspect_activations
from textwright.studio.export_routes import check_export
from textwright.studio.reading import Reader

MAX_CHARACTERS = 20_000
MAX_READ = 400_000
"""Characters of a text that is written in the page."""


def _check_length(text: str) -> str:
    if len(text) > MAX_CHARACTERS:
        raise ValueError(f"at most {MAX_CHARACTERS:,} characters at once, not {len(text):,}")
    return text


class Passage(Body):
    """A text, and the model that reads it."""

    model: ModelName
    text: Annotated[str, AfterValidator(_check_length)]


class ReadRequest(Body):
    """A text, from which character on it is to be read, and how many alternatives are wanted."""

    model: ModelName
    text: Annotated[str, Field(max_length=MAX_READ)]
    start: Annotated[int, Field(ge=0), AS_INTEGER] = 0
    top: Annotated[int, Field(ge=1, le=20), AS_INTEGER] = 10
    following: Annotated[int, Field(ge=0, le=1000), AS_INTEGER] = 0


class CopiedRequest(Passage):
    """A passage, and from how many characters on a span counts as copied."""

    minimum: Annotated[int, Field(le=MAX_CHARACTERS), AS_INTEGER] = MINIMUM


def router(service: Service, *, local: bool) -> APIRouter:
    """The routes for one server. Each keeps a core busy, so they run one request at a time.

    Args:
        local: whether clients on this machine may search without `allow_export`.
    """
    routes = APIRouter(prefix="/api", route_class=BodyRoute, include_in_schema=False)
    inspecting, comparing = Turns(service.settings.deadline), Turns(service.settings.deadline)
    reading, reader = Turns(service.settings.deadline), Reader()

    @routes.post("/read")
    async def read(body: ReadRequest, http: Request) -> Response:
        model = await service.model(body.model)
        tokens = await reading.run(
            http,
            lambda: reader.read(
                model, body.text, start=body.start, top=body.top, following=body.following
            ),
        )
        return json_response(tokens)

    @routes.post("/look")
    async def inspect(body: Passage, http: Request) -> Response:
        model = await service.model(body.model)
        run = service.pool.run(body.model)
        return json_response(await inspecting.run(http, inspect_activations, run, model, body.text))

    @routes.post("/copied")
    async def compare(body: CopiedRequest, http: Request) -> Response:
        check_export(service, http, local=local)
        minimum = check_min_length(body.minimum)
        run = service.pool.run(body.model)
        return json_response(await comparing.run(http, _compare, run, body.text, minimum))

    return routes


def _compare(run: Run, text: str, minimum: int) -> dict[str, Any]:
    try:
        record = novelty(run, [text], minimum=minimum).record()
    except RunError as error:  # its paths are not for clients: names alone
        message = str(error)
        for source in run.settings().get("corpus", {}).get("sources", ()):
            message = message.replace(source, Path(source).name)
        raise RunError(message) from error
    (passage,) = record.pop("passages")
    return {**record, "stretches": passage["stretches"]}
