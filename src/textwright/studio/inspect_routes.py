"""`/api/look` and `/api/copied`: what a model does inside while it reads a passage, and what of a
passage stands word for word in the text that the model learned from."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter
from fastapi.responses import Response
from pydantic import AfterValidator, Field

from textwright.engine import ModelPool
from textwright.errors import RunError
from textwright.evaluation.memorization import MINIMUM, check_minimum, novelty
from textwright.runs import Run
from textwright.serving.answers import as_json
from textwright.serving.fields import AS_WHOLE, Body, ModelName
from textwright.serving.service import Service
from textwright.studio.activations import look

MOST_CHARACTERS = 20_000


def _fits(text: str) -> str:
    if len(text) > MOST_CHARACTERS:
        raise ValueError(f"at most {MOST_CHARACTERS:,} characters at once, not {len(text):,}")
    return text


class Passage(Body):
    """A text, and the model that is asked about it."""

    model: ModelName
    text: Annotated[str, AfterValidator(_fits)]


def look_router(service: Service) -> APIRouter:
    """The route, for one server."""
    routes = APIRouter(prefix="/api", include_in_schema=False)
    turn = asyncio.Semaphore(1)  # it takes a processor for a while; texts are written meanwhile

    @routes.post("/look")
    async def read(body: Passage) -> Response:
        model = await service.model(body.model)
        run = service.pool.run(body.model)
        async with turn:
            return as_json(await asyncio.to_thread(look, run, model, body.text))

    return routes


class Compared(Passage):
    """What may have been copied, and from whose training text."""

    minimum: Annotated[int, Field(le=MOST_CHARACTERS), AS_WHOLE] = MINIMUM


def copied_router(pool: ModelPool) -> APIRouter:
    """The route, for one server."""
    routes = APIRouter(prefix="/api", include_in_schema=False)
    turn = asyncio.Semaphore(1)  # a large text is read whole

    @routes.post("/copied")
    async def compare(body: Compared) -> Response:
        minimum = check_minimum(body.minimum)
        run = pool.run(body.model)
        async with turn:
            return as_json(await asyncio.to_thread(_compare, run, body.text, minimum))

    return routes


def _compare(run: Run, text: str, minimum: int) -> dict[str, Any]:
    try:
        record = novelty(run, [text], minimum=minimum).record()
    except RunError as error:  # which may name a file: where it lies is nobody's business
        message = str(error)
        for source in run.settings().get("corpus", {}).get("sources", ()):
            message = message.replace(source, Path(source).name)
        raise RunError(message) from error
    (passage,) = record.pop("passages")
    return {**record, "stretches": passage["stretches"]}
