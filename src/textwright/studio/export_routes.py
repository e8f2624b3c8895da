"""`/api/export`: a model and the page as one HTML file. `/api/report`: the report of a training."""

from __future__ import annotations

from functools import partial
from urllib.parse import quote

from fastapi import APIRouter, Request
from fastapi.responses import Response

from textwright.page import Dtype, offline_page
from textwright.serving.errors import HTTPError
from textwright.serving.fields import Body, ModelName
from textwright.serving.hosts import is_local
from textwright.serving.service import Service
from textwright.serving.turns import Turns


class ExportRequest(Body):
    """Which model, and the type of its weights in the file."""

    model: ModelName
    dtype: Dtype = "float16"


def router(service: Service, *, local: bool) -> APIRouter:
    """The route for one server.

    Args:
        local: whether clients on this machine may have a model without `allow_export`.
    """
    routes = APIRouter(prefix="/api", include_in_schema=False)
    turns = Turns(service.settings.deadline)  # packing takes several times the model's memory

    @routes.post("/export")
    async def export(body: ExportRequest, http: Request) -> Response:
        check_export(service, http, local=local)
        run = service.pool.run(body.model)
        page = await turns.run(http, partial(offline_page, run, dtype=body.dtype))
        headers = {
            "content-disposition": f"attachment; filename*=UTF-8''{quote(run.name)}.html",
            "content-security-policy": "sandbox",  # opened here, it can't act as the studio
            "x-content-type-options": "nosniff",
        }
        return Response(page, headers=headers, media_type="text/html")

    @routes.get("/report")
    def report(model: ModelName, http: Request) -> Response:
        check_export(service, http, local=local)
        file = service.pool.run(model).report_file
        if not file.is_file():
            raise HTTPError(404, f"{model!r} has no report; a training writes one at its end")
        headers = {
            "content-security-policy": "sandbox; default-src 'none'; style-src 'unsafe-inline'; "
            "img-src data:",
            "x-content-type-options": "nosniff",
        }
        return Response(file.read_bytes(), headers=headers, media_type="text/html; charset=utf-8")

    return routes


def check_export(service: Service, http: Request, *, local: bool) -> None:
    """Raise `HTTPError` where a client may generate and not take the model away, whole or as what
    stands in its training text."""
    if not (service.settings.allow_export or (local and is_local(http.headers))):
        raise HTTPError(
            403,
            "a model and its training text stay here; the server's owner can start it with "
            "--allow-export",
            code="export_not_allowed",
        )
