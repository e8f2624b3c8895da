"""The app: routes, errors and what every request passes, put together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response

from textwright.engine import Engine, ModelPool
from textwright.errors import TextwrightError
from textwright.serving import cards, chat, completions, docs, metrics, native
from textwright.serving.errors import HTTPError, as_http
from textwright.serving.fields import what_is_wrong
from textwright.serving.gate import OPEN, Gate, path_of
from textwright.serving.service import Service
from textwright.serving.settings import ServerSettings
from textwright.version import VERSION


def create_app(
    pool: ModelPool,
    engine: Engine | None = None,
    settings: ServerSettings | None = None,
    observer: metrics.Metrics | None = None,
) -> FastAPI:
    """An ASGI app that serves the models of `pool`.

    Args:
        pool: the models; it is watched as long as the app runs.
        engine: writes the texts; one of the usual size where it is None. Closed with the app.
        settings: limits, keys …
        observer: the engine's, where it has one; `/metrics` shows what it counts.
    """
    settings = settings or ServerSettings()
    counts = observer or metrics.Metrics()
    engine = engine or Engine(observer=counts)
    service = Service(pool, engine, settings)
    counts.watch(engine, pool)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
        pool.watch()
        yield
        await asyncio.to_thread(engine.close, timeout=settings.drain)
        await asyncio.to_thread(pool.close)

    app = FastAPI(
        title="textwright",
        version=VERSION,
        description="Generates text with models of your own.",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
    )
    for routes in (
        native.router(service),
        cards.router(service),
        completions.router(service),
        chat.router(service),
        metrics.router(counts),
        docs.router("textwright"),
    ):
        app.include_router(routes)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _refused)
    app.add_exception_handler(HTTPError, _failed)
    app.add_exception_handler(TextwrightError, _failed)
    app.add_middleware(Gate, settings=settings)
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=["GET", "POST"],
            allow_headers=["authorization", "content-type", "x-request-id"],
            expose_headers=["x-request-id", "retry-after"],
        )
    app.state.service = service
    _describe(app, settings)
    return app


def _describe(app: FastAPI, settings: ServerSettings) -> None:
    """The OpenAPI document, with the key where one is needed."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            found = get_openapi(
                title=app.title,
                version=app.version,
                description=app.description,
                routes=app.routes,
                servers=[{"url": settings.root_path}] if settings.root_path else None,
            )
            if settings.api_keys:
                found.setdefault("components", {})["securitySchemes"] = {
                    "key": {"type": "http", "scheme": "bearer"}
                }
                for path, operations in found["paths"].items():
                    if path not in OPEN:
                        for operation in operations.values():
                            operation["security"] = [{"key": []}]
            _add(
                found,
                native.GenTextBulk.model_json_schema(ref_template="#/components/schemas/{model}"),
            )
            app.openapi_schema = found
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]


def _add(document: dict[str, Any], schema: dict[str, Any]) -> None:
    """Add a schema, and those that it refers to, by their titles."""
    schemas = document["components"]["schemas"]
    schemas.update(schema.pop("$defs", {}))
    schemas[schema["title"]] = schema


async def _invalid(http: Request, error: Exception) -> Response:
    message, param = what_is_wrong(error)
    return HTTPError(400, message, param=param).response(path_of(http.scope))


async def _refused(http: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    headers = dict(error.headers or {})
    answer = HTTPError(error.status_code, str(error.detail), headers=headers)
    return answer.response(path_of(http.scope))


async def _failed(http: Request, error: Exception) -> Response:
    return as_http(error).response(path_of(http.scope))
