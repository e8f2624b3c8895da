"""The native API: the status of the models, and texts, one or in bulk."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from textwright.engine import Job
from textwright.errors import BusyError, ClosedError, TextwrightError
from textwright.serving.answers import as_json
from textwright.serving.errors import HTTPError, as_http, native_errors
from textwright.serving.fields import AS_WHOLE, Body, ModelName, Temperature, what_is_wrong
from textwright.serving.service import Service, note_jobs

LENGTH = 100
"""Tokens, where a request doesn't say."""


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

    model_name: ModelName = Field(description="`-` and `_` are the same.")
    start_phrase: str = Field(default="", description="Empty begins a new text.")
    generation_length: Annotated[int, Field(ge=1, lt=2**31), AS_WHOLE] = Field(
        default=LENGTH, description="Tokens."
    )
    temperature: Temperature = Field(
        default=1.0, description="Below 1 plays safe, above 1 dares more; 0: the likeliest."
    )


class GenTextResult(BaseModel):
    """A text that begins with its start phrase."""

    model_config = ConfigDict(protected_namespaces=())

    model_name: str
    res_text: str
    generation_length: int
    temperature: float


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
    """The routes, for one server."""
    routes = APIRouter(tags=["native"])

    @routes.get("/", response_model=Status, response_model_exclude_none=True)
    async def status(http: Request) -> Response:
        """The status of every model. A browser is sent to the studio, where there is one."""
        home = getattr(http.app.state, "home", None)
        if home and "text/html" in http.headers.get("accept", ""):
            return RedirectResponse(f"{service.settings.root_path}{home}", 303)
        return as_json(_statuses(service))

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
        return as_json(statuses, 200 if ready else 503)

    @routes.post("/gen_text", response_model=GenTextResult, responses=native_errors())
    async def gen_text(body: GenText, http: Request) -> Response:
        """Continue a start phrase."""
        return await generate(service, body, http)

    @routes.post(
        "/gen_text_bulk",
        response_model=BulkResult,
        responses=native_errors(),
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
    """The answer to a request for a text."""
    job = await _job(service, body)
    await service.write([job], http)
    note_jobs(http, [job], texts=service.settings.log_prompts)
    return as_json(_result(body, job))


async def generate_bulk(service: Service, body: AnyBulk, http: Request) -> Response:
    """The answer to a request for several texts."""
    service.check_count("inputs", len(body.inputs), service.settings.max_inputs)
    jobs: list[Job | str] = []
    for place, item in enumerate(body.inputs):
        try:
            jobs.append(await _job(service, _checked(item)))
        except (HTTPError, TextwrightError) as error:
            answer = as_http(error)
            if not body.ignore_errors:
                answer.message = f"inputs[{place}]: {answer.message}"
                raise answer from error
            jobs.append(answer.message)
    texts = [job for job in jobs if isinstance(job, Job)]
    try:
        await service.write(texts, http)
    except (BusyError, ClosedError):
        raise
    except TextwrightError:
        if not body.ignore_errors:
            raise
    note_jobs(http, texts, texts=service.settings.log_prompts)
    results = [_item(item, job) for item, job in zip(body.inputs, jobs, strict=True)]
    return as_json({"results": results, "ignore_errors": body.ignore_errors})


def _statuses(service: Service) -> dict[str, Any]:
    found: dict[str, dict[str, str]] = {}
    for name, state in service.pool.statuses.items():
        found[name] = {"status": state.status}
        if state.reason is not None:
            found[name]["reason"] = state.reason
    return {"status": found}


def _checked(item: Any) -> GenText:
    try:
        return GenText.model_validate(item)
    except ValidationError as error:
        raise HTTPError(400, what_is_wrong(error)[0]) from error


async def _job(service: Service, body: GenText) -> Job:
    model = await service.model(body.model_name)
    request = service.check(
        model,
        {"max_tokens": body.generation_length, "temperature": body.temperature},
        length="generation_length",
    )
    prompt = await service.prompt(model, body.start_phrase, param="start_phrase")
    return service.job(model, prompt, request, request.seed)


def _result(body: GenText, job: Job) -> dict[str, Any]:
    return {
        "model_name": body.model_name,
        "res_text": str(job.generation),
        "generation_length": body.generation_length,
        "temperature": body.temperature,
    }


def _can_be_written(value: Any) -> bool:
    """Not true, which Python takes for 1, nor NaN, which JSON hasn't got."""
    return not isinstance(value, bool) and (not isinstance(value, float) or math.isfinite(value))


def _item(item: Any, job: Job | str) -> dict[str, Any]:
    """A result, or an input's error in its place, beside as much of it as makes sense."""
    if isinstance(job, Job) and job.error is None:
        return _result(GenText.model_validate(item), job)
    given = item if isinstance(item, dict) else {}
    kinds: dict[str, Any] = {
        "model_name": str,
        "generation_length": int,
        "temperature": (int, float),
    }
    kept = {
        name: value
        if isinstance(value := given.get(name), kind) and _can_be_written(value)
        else None
        for name, kind in kinds.items()
    }
    return {
        "model_name": kept["model_name"],
        "res_text": None,
        "generation_length": kept["generation_length"],
        "temperature": kept["temperature"],
        "error": job if isinstance(job, str) else str(job.error),
    }
