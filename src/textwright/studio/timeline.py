"""`/api/timeline`: what a run wrote while it learned, and how its losses went."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from fastapi.responses import Response

from textwright.generation import Library
from textwright.serving.answers import as_json
from textwright.serving.fields import Body, ModelName

CURVES = ("step", "seconds", "train_loss", "val_loss", "val_bits_per_char")


class Asked(Body):
    """Whose story."""

    model: ModelName


def router(library: Library) -> APIRouter:
    """The route, for one server."""
    routes = APIRouter(prefix="/api", include_in_schema=False)

    @routes.post("/timeline")
    def timeline(body: Asked) -> Response:
        run = library.run(body.model)
        samples: list[dict[str, Any]] = run.samples()
        metrics = [{name: one.get(name) for name in CURVES} for one in run.metrics()]
        return as_json({"samples": samples, "metrics": metrics})

    return routes
