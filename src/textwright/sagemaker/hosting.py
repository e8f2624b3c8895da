"""A hosting container: the server of `serving`, with the routes that SageMaker calls.

One model, in `/opt/ml/model`; or, with `SAGEMAKER_MULTI_MODEL=true`, those that the endpoint loads
by `/models`. AWS describes the contract under "Custom Inference Code with Hosting Services".
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

MODEL_NAME = "model"
"""Name of the one model of an endpoint, after its folder."""

SEND_SECONDS = 5
"""Part of `Hosting.timeout` that is reserved for sending the response."""

DRAIN_SECONDS = 20
"""Seconds for running requests at shutdown; SageMaker kills the container after 30."""


@dataclass(frozen=True)
class Hosting:
    """Settings of a hosting container, from its environment."""

    port: int = 8080
    multi_model: bool = False
    timeout: float = 60
    """Seconds that a response may take."""
    payload: int = 25
    """Megabytes of a request's body, at most."""
    workers: int | None = None
    """Threads of the engine; None for one per core."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Hosting:
        """Read the variables, which are those of AWS's own serving toolkit.

        Raises:
            RequestError: one of them is no number, or out of range.
        """

        def number(name: str, default: int | None, maximum: int) -> int | None:
            text = environment.get(f"SAGEMAKER_{name}", "").strip()
            if not text:
                return default
            if not text.isdecimal() or not 1 <= int(text) <= maximum:
                raise RequestError(
                    f"SAGEMAKER_{name} must be a whole number from 1 to {maximum}, not {text!r}"
                )
            return int(text)

        return cls(
            port=number("BIND_TO_PORT", 8080, 65535) or 8080,
            multi_model=environment.get("SAGEMAKER_MULTI_MODEL", "").lower() == "true",
            timeout=number("MODEL_SERVER_TIMEOUT", 60, 3600) or 60,
            payload=number("MAX_PAYLOAD_IN_MB", 25, 1024) or 25,
            workers=number("MODEL_SERVER_WORKERS", None, 1024),
        )

    def settings(self, max_length: int = 4096, *, log_prompts: bool = False) -> ServerSettings:
        """The server's settings, with limits that keep within `timeout`."""
        return ServerSettings(
            max_body=self.payload << 20,
            max_length=max_length,
            deadline=max(1.0, self.timeout - SEND_SECONDS),
            drain=DRAIN_SECONDS,
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
    """The models of a container: its one model, or, of a multi-model endpoint, none yet."""
    if hosting.multi_model:
        memory = multimodel.weight_memory() if memory is None else memory
        return ModelPool(memory=memory, loader=loader)
    return ModelPool([Run(container.model)], loader=loader)


def create(
    models: ModelPool,
    hosting: Hosting,
    engine: Engine | None = None,
    settings: ServerSettings | None = None,
    metrics: Metrics | None = None,
) -> FastAPI:
    """The app of a container: the routes of `textwright serve`, and SageMaker's."""
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
        state = service.pool.statuses[MODEL_NAME]
        if state.status == "Loaded":
            return json_response({"status": "Healthy"})
        reason = state.reason or "the model is being loaded"
        return json_response({"status": state.status, "reason": reason}, 503)

    if not hosting.multi_model:

        @routes.post("/invocations", responses=error_responses(NativeError))
        async def invocations(http: Request) -> Response:
            """Whatever the body asks for: a text, texts in bulk, completions, a chat's reply."""
            return await invoke(service, MODEL_NAME, http)

    return routes
