"""A hosting container: our server, with the routes that SageMaker asks it by.

One model, in `/opt/ml/model`; or, with `SAGEMAKER_MULTI_MODEL=true`, those that the endpoint has it
load. AWS describes the contract under "Custom Inference Code with Hosting Services".
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import Response
from pydantic import BaseModel, Field

from textwright.engine import Engine, ModelPool
from textwright.errors import RequestError
from textwright.generation import Generator, load
from textwright.runs import Run
from textwright.sagemaker import multimodel
from textwright.sagemaker.container import Container
from textwright.sagemaker.invocations import invoke
from textwright.serving import Metrics, ServerSettings, create_app
from textwright.serving.errors import NativeError, error_responses
from textwright.serving.responses import json_response
from textwright.serving.service import Service

MODEL = "model"
"""What the one model of an endpoint is called, after its folder."""

LAST_WORDS = 5
"""Seconds of an answer's that are kept for sending what is written by then."""

DRAIN = 20
"""Seconds for what is under way when the container is told to stop; it is killed after 30."""


@dataclass(frozen=True)
class Hosting:
    """What a container's environment says of how to serve."""

    port: int = 8080
    multi_model: bool = False
    timeout: float = 60
    """Seconds that an answer may take."""
    payload: int = 25
    """Megabytes of a request's body."""
    workers: int | None = None
    """Threads that write; one a core where it is None."""

    @classmethod
    def told(cls, environment: Mapping[str, str] = os.environ) -> Hosting:
        """From the variables that AWS's own serving toolkit knows too.

        Raises:
            RequestError: one of them is no number that makes sense.
        """

        def number(name: str, default: int | None, most: int) -> int | None:
            given = environment.get(f"SAGEMAKER_{name}", "").strip()
            if not given:
                return default
            if not given.isdecimal() or not 1 <= int(given) <= most:
                raise RequestError(
                    f"SAGEMAKER_{name} must be a whole number from 1 to {most}, not {given!r}"
                )
            return int(given)

        return cls(
            port=number("BIND_TO_PORT", 8080, 65535) or 8080,
            multi_model=environment.get("SAGEMAKER_MULTI_MODEL", "").lower() == "true",
            timeout=number("MODEL_SERVER_TIMEOUT", 60, 3600) or 60,
            payload=number("MAX_PAYLOAD_IN_MB", 25, 1024) or 25,
            workers=number("MODEL_SERVER_WORKERS", None, 1024),
        )

    def settings(self, max_length: int = 4096, *, log_prompts: bool = False) -> ServerSettings:
        """Limits of a server that has so long for an answer."""
        return ServerSettings(
            max_body=self.payload << 20,
            max_length=max_length,
            deadline=max(1.0, self.timeout - LAST_WORDS),
            drain=DRAIN,
            log_prompts=log_prompts,
        )


class Ping(BaseModel):
    """Whether the container can answer."""

    status: str
    reason: str | None = Field(default=None, description="Why it can't.")


def model_pool(
    container: Container,
    hosting: Hosting,
    *,
    memory: int | None = None,
    loader: Callable[[Run], Generator] = load,
) -> ModelPool:
    """The models of a container: the one that is there, or none yet."""
    if hosting.multi_model:
        most = multimodel.room() if memory is None else memory
        return ModelPool(memory=most, loader=loader)
    return ModelPool([Run(container.model)], loader=loader)


def create(
    models: ModelPool,
    hosting: Hosting,
    engine: Engine | None = None,
    settings: ServerSettings | None = None,
    metrics: Metrics | None = None,
) -> FastAPI:
    """The app of a container: all that `textwright serve` has, and SageMaker's routes."""
    app = create_app(models, engine, settings or hosting.settings(), metrics)
    service: Service = app.state.service
    app.include_router(_router(service, hosting))
    if hosting.multi_model:
        app.include_router(multimodel.router(service))
    return app


def _router(service: Service, hosting: Hosting) -> APIRouter:
    routes = APIRouter(tags=["SageMaker"])

    @routes.get("/ping", response_model=Ping, responses={503: {"model": Ping}})
    async def ping() -> Response:
        """200 where it can answer; 503 with the reason while the model is loaded, or can't be."""
        if hosting.multi_model:
            return json_response({"status": "Healthy"})
        state = service.pool.statuses[MODEL]
        if state.status == "Loaded":
            return json_response({"status": "Healthy"})
        reason = state.reason or "the model is being loaded"
        return json_response({"status": state.status, "reason": reason}, 503)

    if not hosting.multi_model:

        @routes.post("/invocations", responses=error_responses(NativeError))
        async def invocations(http: Request) -> Response:
            """Whatever the body asks for: a text, texts in bulk, completions, a chat's reply."""
            return await invoke(service, MODEL, http)

    return routes
