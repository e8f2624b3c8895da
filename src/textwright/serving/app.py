"""The app: routes, error handlers and middleware, put together."""

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
from textwright.serving.errors import HTTPError, to_http_error
from textwright.serving.fields import describe_error
from textwright.serving.gate import PUBLIC_PATHS, Gate, path_of
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
        docs.router(),
    ):
        app.include_router(routes)
    app.add_exception_handler(RequestValidationError, _invalid_request)
    app.add_exception_handler(HTTPException, _http_exception)
    app.add_exception_handler(HTTPError, _error)
    app.add_exception_handler(TextwrightError, _error)
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
    _customize_openapi(app, settings)
    return app


def _customize_openapi(app: FastAPI, settings: ServerSettings) -> None:
    """Make the OpenAPI document say which paths need a key, and what `gen_text_bulk` takes."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            schema = get_openapi(
                title=app.title,
                version=app.version,
                description=app.description,
                routes=app.routes,
                servers=[{"url": settings.root_path}] if settings.root_path else None,
            )
            if settings.api_keys:
                schema.setdefault("components", {})["securitySchemes"] = {
                    "key": {"type": "http", "scheme": "bearer"}
                }
                for path, operations in schema["paths"].items():
                    if path not in PUBLIC_PATHS:
                        for operation in operations.values():
                            operation["security"] = [{"key": []}]
            _add(
                schema,
                native.GenTextBulk.model_json_schema(ref_template="#/components/schemas/{model}"),
            )
            app.openapi_schema = schema
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]


def _add(document: dict[str, Any], schema: dict[str, Any]) -> None:
    """Add a schema, and those that it refers to, by their titles."""
    schemas = document["components"]["schemas"]
    schemas.update(schema.pop("$defs", {}))
    schemas[schema["title"]] = schema


async def _invalid_request(http: Request, error: Exception) -> Response:
    message, param = describe_error(error)
    return HTTPError(400, message, param=param).response(path_of(http.scope))


async def _http_exception(http: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    headers = dict(error.headers or {})
    http_error = HTTPError(error.status_code, str(error.detail), headers=headers)
    return http_error.response(path_of(http.scope))


async def _error(http: Request, error: Exception) -> Response:
    return to_http_error(error).response(path_of(http.scope))
