"""`/api/copied`: what of a passage stands word for word in the text that a model learned from."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter
from fastapi.responses import Response
from pydantic import Field

from textwright.errors import RunError
from textwright.generation import Library
from textwright.runs import Run
from textwright.serving.answers import as_json
from textwright.serving.fields import AS_WHOLE
from textwright.studio.passages import MOST_CHARACTERS, Passage
from textwright.training.comparing import MINIMUM, check_minimum, novelty


class Compared(Passage):
    """What may have been copied, and from whose training text."""

    minimum: Annotated[int, Field(le=MOST_CHARACTERS), AS_WHOLE] = MINIMUM


def router(library: Library) -> APIRouter:
    """The route, for one server."""
    routes = APIRouter(prefix="/api", include_in_schema=False)
    turn = asyncio.Semaphore(1)  # a large text is read whole

    @routes.post("/copied")
    async def compare(body: Compared) -> Response:
        minimum = check_minimum(body.minimum)
        run = library.run(body.model)
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
