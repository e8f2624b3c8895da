"""Hosting under AWS's own serving toolkits: the four functions that they call.

`code/inference.py` of every `model.tar.gz` takes them from here. Behind them is the app of our own
container, called in this process, so a request means the same and gets the same answer in both; but
for a stream, which comes in one piece, for these toolkits know no other.
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
class Answer:
    """What the app answered."""

    status: int
    media: str
    body: bytes


class Hosted:
    """A loaded model, behind the app of a container."""

    def __init__(self, folder: Path) -> None:
        """
        Raises:
            ModelUnavailableError: the model in `folder` can't be loaded; the message says why.
        """
        pool = ModelPool()
        pool.add_loaded(hosting.MODEL, Run(folder))
        # Of a multi-model endpoint the toolkit itself takes care; each of its models is alone here
        told = replace(hosting.Hosting.told(), multi_model=False)
        # These toolkits run as many of these processes as there are cores, one request in each
        self._app = hosting.create(pool, told, Engine(workers=1))
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()

    def invoke(self, body: bytes, media: str) -> Answer:
        """What `/invocations` answers."""
        asked = asyncio.run_coroutine_threadsafe(_post(self._app, body, media), self._loop)
        return asked.result()


async def _post(app: ASGIApp, body: bytes, media: str) -> Answer:
    sent: list[Message] = []
    given = False

    async def receive() -> Message:
        nonlocal given
        if given:
            await asyncio.Event().wait()  # nobody hangs up
        given = True
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
    answered = dict(start["headers"])[b"content-type"].decode()
    return Answer(start["status"], answered, b"".join(part.get("body", b"") for part in rest))


def model_fn(model_dir: str, context: Any = None) -> Hosted:
    """The model of an unpacked `model.tar.gz`."""
    return Hosted(Path(model_dir))


def input_fn(
    body: bytes | str, content_type: str | None = None, context: Any = None
) -> tuple[bytes, str]:
    """A request as it came; JSON where nothing says what it is."""
    return body.encode() if isinstance(body, str) else bytes(body), content_type or "*/*"


def predict_fn(data: tuple[bytes, str], model: Hosted, context: Any = None) -> Answer:
    """The answer; a refusal carries its own status, in place of a 500 with a trace."""
    answer = model.invoke(*data)
    if answer.status < HTTPStatus.BAD_REQUEST:
        return answer
    from sagemaker_inference.errors import BaseInferenceToolkitError

    message = json.loads(answer.body)["error"]
    raise BaseInferenceToolkitError(answer.status, message, HTTPStatus(answer.status).phrase)


def output_fn(answer: Answer, accept: str | None = None, context: Any = None) -> tuple[bytes, str]:
    """The answer's body, and what it is."""
    return answer.body, answer.media
