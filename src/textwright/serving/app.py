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
from starlette.responses import RedirectResponse, Response

from textwright.engine import Engine, ModelPool
from textwright.errors import TextwrightError
from textwright.serving import (
    cards,
    chat,
    completions,
    docs,
    metrics,
    native,
    ollama,
    responses_api,
    unknown_paths,
)
from textwright.serving.errors import HTTPError, to_http_error
from textwright.serving.fields import describe_error
from textwright.serving.gate import PUBLIC_PATHS, Gate, path_of
from textwright.serving.service import Service, add_log_fields
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
        redirect_slashes=False,  # `unknown_paths` does, with the prefix of a proxy
        openapi_url=None,  # `docs` has it, made in a thread: it takes long the first time
        docs_url=None,
        redoc_url=None,
    )
    for routes in (
        native.router(service),
        cards.router(service),
        completions.router(service),
        chat.router(service),
        responses_api.router(service),
        ollama.router(service),
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
            allow_methods=["GET", "HEAD", "POST"],
            # any: it is origin and key that decide, and clients have headers of their own
            allow_headers=["*"],
            expose_headers=["x-request-id", "retry-after", "retry-after-ms"],
            allow_private_network=True,
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
    return _refuse(http, HTTPError(400, message, param=param))


async def _http_exception(http: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == 404 and (where := unknown_paths.slash_redirect(http)) is not None:
        return RedirectResponse(where, 307)
    message, headers = str(error.detail), error.headers or {}
    if error.status_code == 404:
        # The first makes the OpenAPI document
        message = await asyncio.to_thread(unknown_paths.describe, http)
    elif error.status_code == 405 and "Allow" in headers:
        message = unknown_paths.wrong_method(http, headers["Allow"])
    return _refuse(http, HTTPError(error.status_code, message, headers=headers))


async def _error(http: Request, error: Exception) -> Response:
    return _refuse(http, to_http_error(error))


def _refuse(http: Request, error: HTTPError) -> Response:
    add_log_fields(http, error=error.message)
    return error.response(path_of(http.scope))
