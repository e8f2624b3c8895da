"""Hosting under AWS's own serving toolkits: the four functions that they call.

`code/inference.py` of every `model.tar.gz` imports them from here. They call the app of our own
container in this process, so a request gets the same response in both; except that a stream comes
in one piece, since these toolkits have no streams.
"""

from __future__ import annotations

import asyncio
import json
import threading
from dataclasses import dataclass, replace
from http import HTTPStatus
from pathlib import Path
from typing import Any

from starlette.types import ASGIApp, Message, Scope

from textwright.engine import Engine, ModelPool
from textwright.runs import Run
from textwright.sagemaker import hosting


@dataclass(frozen=True)
class Response:
    """A response of the app."""

    status: int
    media: str
    body: bytes


class HostedModel:
    """A loaded model, with the app of a hosting container around it."""

    def __init__(self, folder: Path) -> None:
        """
        Raises:
            ModelUnavailableError: the model in `folder` can't be loaded; the message says why.
        """
        pool = ModelPool()
        pool.add_loaded(hosting.MODEL_NAME, Run(folder))
        # the toolkit does multi-model endpoints itself, with a process for each model
        settings = replace(hosting.Hosting.from_environment(), multi_model=False)
        # the toolkit runs a process per core, each with one request at a time
        self._app = hosting.create(pool, settings, Engine(workers=1))
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()

    def invoke(self, body: bytes, media: str) -> Response:
        """The response of `/invocations`."""
        future = asyncio.run_coroutine_threadsafe(_post(self._app, body, media), self._loop)
        return future.result()


async def _post(app: ASGIApp, body: bytes, media: str) -> Response:
    sent: list[Message] = []
    is_sent = False

    async def receive() -> Message:
        nonlocal is_sent
        if is_sent:
            await asyncio.Event().wait()  # there is no client that could hang up
        is_sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    headers = [(b"content-type", media.encode()), (b"content-length", str(len(body)).encode())]
    scope: Scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST",
        "scheme": "http", "path": "/invocations", "raw_path": b"/invocations", "root_path": "",
        "query_string": b"", "headers": headers, "client": None, "server": None,
    }  # fmt: skip
    await app(scope, receive, send)
    start, *rest = sent
    media = dict(start["headers"])[b"content-type"].decode()
    return Response(start["status"], media, b"".join(part.get("body", b"") for part in rest))


def model_fn(model_dir: str, context: Any = None) -> HostedModel:
    """Load the model of an unpacked `model.tar.gz`."""
    return HostedModel(Path(model_dir))


def input_fn(
    body: bytes | str, content_type: str | None = None, context: Any = None
) -> tuple[bytes, str]:
    """A request's body and content type, unchanged; JSON where it has no type."""
    return body.encode() if isinstance(body, str) else bytes(body), content_type or "*/*"


def predict_fn(data: tuple[bytes, str], model: HostedModel, context: Any = None) -> Response:
    """The response; an error is raised so that it keeps its status: else the toolkit sends 500."""
    response = model.invoke(*data)
    if response.status < HTTPStatus.BAD_REQUEST:
        return response
    from sagemaker_inference.errors import BaseInferenceToolkitError

    message = json.loads(response.body)["error"]
    raise BaseInferenceToolkitError(response.status, message, HTTPStatus(response.status).phrase)


def output_fn(reply: Response, accept: str | None = None, context: Any = None) -> tuple[bytes, str]:
    """The response's body and its content type."""
    return reply.body, reply.media
