"""The native API: the models' status, and texts, one or several."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from textwright.engine import Job
from textwright.errors import BusyError, ClosedError, TextwrightError
from textwright.serving.errors import (
    HTTPError,
    NativeError,
    error_responses,
    to_http_error,
    without_folders,
)
from textwright.serving.fields import (
    AS_INTEGER,
    Body,
    BodyRoute,
    ModelName,
    Seed,
    Temperature,
    TopP,
    describe_error,
    seed_of,
    truncation,
)
from textwright.serving.foreign import NATIVE
from textwright.serving.responses import json_response, large_json_response
from textwright.serving.service import Service, log_jobs

DEFAULT_LENGTH = 100
"""Tokens to generate where a request doesn't say."""

WARNINGS = "Only where there are any: e.g. a prompt of which the model doesn't see the beginning."

TOKENS = "That came: fewer than were asked for where the text ended."
CHARACTERS = "That came, without those of the start phrase."


class ModelState(BaseModel):
    """How a model is."""

    status: Literal["Loaded", "Unloaded", "Loading", "Failed"] = Field(
        description="`Unloaded`: it made room for others; asking for it loads it again."
    )
    reason: str | None = Field(default=None, description="Why it is not loaded.")


class Status(BaseModel):
    """How each model is."""

    status: dict[str, ModelState]
    reason: str | None = Field(default=None, description="Why nothing can be generated.")


class GenText(Body):
    """What to continue, and how."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"model_name": "shakespeare", "start_phrase": "ROMEO:"}]}
    )

    foreign = NATIVE

    model_name: ModelName = Field(description="`-` and `_` are the same.")
    start_phrase: str = Field(default="", description="Empty begins a new text.")
    generation_length: Annotated[int, Field(ge=1, lt=2**31), AS_INTEGER] = Field(
        default=DEFAULT_LENGTH, description="Tokens."
    )
    temperature: Temperature = Field(
        default=1.0, description="Below 1 plays safe, above 1 dares more; 0: the likeliest."
    )
    seed: Seed | None = Field(
        default=None, description="The same seed gives the same text; null and -1 draw one."
    )
    top_k: Annotated[int, AS_INTEGER] | None = Field(
        default=None, description="Only the k likeliest tokens; 0 or less: all."
    )
    top_p: TopP | None = Field(
        default=None, description="Only the likeliest tokens that together reach this; 0: the one."
    )


class GenTextResult(BaseModel):
    """A text that begins with its start phrase."""

    model_config = ConfigDict(protected_namespaces=())

    model_name: str
    res_text: str
    generation_length: int
    temperature: float
    tokens: int = Field(description=TOKENS)
    characters: int = Field(description=CHARACTERS)
    warnings: list[str] | None = Field(default=None, description=WARNINGS)


class GenTextBulk(Body):
    """Several at once."""

    inputs: list[GenText] = Field(min_length=1)
    ignore_errors: bool = Field(
        default=False, description="An input that can't be met carries its error in its result."
    )


class BulkItem(BaseModel):
    """A text, or what was wrong with the input in its place."""

    model_config = ConfigDict(protected_namespaces=())

    model_name: str | None
    res_text: str | None
    generation_length: int | None
    temperature: float | None
    tokens: int | None = Field(default=None, description=TOKENS)
    characters: int | None = Field(default=None, description=CHARACTERS)
    warnings: list[str] | None = Field(default=None, description=WARNINGS)
    error: str | None = None


class BulkResult(BaseModel):
    """Results in the order of the inputs."""

    results: list[BulkItem]
    ignore_errors: bool


class AnyBulk(Body):
    """A bulk request whose inputs are still to be checked one by one."""

    inputs: list[Any] = Field(min_length=1)
    ignore_errors: bool = False


def router(service: Service) -> APIRouter:
    """The routes for one server."""
    routes = APIRouter(route_class=BodyRoute, tags=["native"])

    @routes.get("/", response_model=Status, response_model_exclude_none=True)
    async def status(http: Request) -> Response:
        """The status of every model. A browser is sent to the studio, where there is one."""
        home = getattr(http.app.state, "home", None)
        if home and "text/html" in http.headers.get("accept", ""):
            return RedirectResponse(f"{service.settings.root_path}{home}", 303)
        return json_response(_statuses(service))

    @routes.get(
        "/health",
        response_model=Status,
        response_model_exclude_none=True,
        responses={503: {"model": Status, "description": "No model is loaded."}},
    )
    async def health() -> Response:
        """200 where at least one model is loaded, 503 otherwise."""
        ready, reason = service.ready()
        statuses = _statuses(service)
        if not ready:
            statuses["reason"] = reason
        return json_response(statuses, 200 if ready else 503)

    @routes.post("/gen_text", response_model=GenTextResult, responses=error_responses(NativeError))
    async def gen_text(body: GenText, http: Request) -> Response:
        """Continue a start phrase."""
        return await generate(service, body, http)

    @routes.post(
        "/gen_text_bulk",
        response_model=BulkResult,
        responses=error_responses(NativeError),
        openapi_extra={
            "requestBody": {
                "required": True,
                "content": {
                    "application/json": {"schema": {"$ref": "#/components/schemas/GenTextBulk"}}
                },
            }
        },
    )
    async def gen_text_bulk(body: AnyBulk, http: Request) -> Response:
        """Continue several start phrases; results come in the same order."""
        return await generate_bulk(service, body, http)

    return routes


async def generate(service: Service, body: GenText, http: Request) -> Response:
    """The response to `/gen_text`."""
    job = await _job(service, body)
    await service.run([job], http)
    log_jobs(http, [job], texts=service.settings.log_prompts)
    return json_response(_result(body, job))


async def generate_bulk(service: Service, body: AnyBulk, http: Request) -> Response:
    """The response to `/gen_text_bulk`."""
    service.check_count("inputs", len(body.inputs), service.settings.max_inputs)
    jobs: list[Job | str] = []
    for index, item in enumerate(body.inputs):
        try:
            jobs.append(await _job(service, _validate(item)))
        except (HTTPError, TextwrightError) as error:
            http_error = to_http_error(error)
            if not body.ignore_errors:
                http_error.message = f"inputs[{index}]: {http_error.message}"
                raise http_error from error
            jobs.append(http_error.message)
    valid = [job for job in jobs if isinstance(job, Job)]
    try:
        await service.run(valid, http)
    except (BusyError, ClosedError):
        raise
    except TextwrightError:
        if not body.ignore_errors:
            raise
    log_jobs(http, valid, texts=service.settings.log_prompts)

    def result() -> dict[str, Any]:
        results = [_item(item, job) for item, job in zip(body.inputs, jobs, strict=True)]
        return {"results": results, "ignore_errors": body.ignore_errors}

    return await large_json_response(result)


def _statuses(service: Service) -> dict[str, Any]:
    statuses: dict[str, dict[str, str]] = {}
    for name, state in service.pool.statuses.items():
        statuses[name] = {"status": state.status}
        if state.reason is not None:
            statuses[name]["reason"] = without_folders(state.reason)
    return {"status": statuses}


def _validate(item: Any) -> GenText:
    try:
        return GenText.model_validate(item)
    except ValidationError as error:
        raise HTTPError(400, describe_error(error, item)[0]) from error


async def _job(service: Service, body: GenText) -> Job:
    model = await service.model(body.model_name)
    request = service.check(
        model,
        {
            "max_tokens": body.generation_length,
            "temperature": body.temperature,
            "seed": seed_of(body.seed),
            **truncation(body.top_k, body.top_p),
        },
        length="generation_length",
    )
    prompt = await service.prompt(model, body.start_phrase, param="start_phrase")
    return service.job(model, prompt, request, request.seed)


def _result(body: GenText, job: Job) -> dict[str, Any]:
    result = {
        "model_name": body.model_name,
        "res_text": str(job.generation),
        "generation_length": body.generation_length,
        "temperature": body.temperature,
        "tokens": len(job.tokens),
        "characters": len(job.generation.text),
    }
    return result | ({"warnings": job.prompt.warnings} if job.prompt.warnings else {})


def _is_finite(value: Any) -> bool:
    """No bool, which is an int in Python, and no NaN or infinity, which JSON hasn't."""
    return not isinstance(value, bool) and (not isinstance(value, float) or math.isfinite(value))


def _item(item: Any, job: Job | str) -> dict[str, Any]:
    """The result of a bulk input, or its error, with those of its fields that have their type."""
    if isinstance(job, Job) and job.error is None:
        return _result(GenText.model_validate(item), job)
    fields = item if isinstance(item, dict) else {}
    types: dict[str, Any] = {
        "model_name": str,
        "generation_length": int,
        "temperature": (int, float),
    }
    echoed = {
        name: value if isinstance(value := fields.get(name), type_) and _is_finite(value) else None
        for name, type_ in types.items()
    }
    return {
        "model_name": echoed["model_name"],
        "res_text": None,
        "generation_length": echoed["generation_length"],
        "temperature": echoed["temperature"],
        "error": job if isinstance(job, str) else str(job.error),
    }
