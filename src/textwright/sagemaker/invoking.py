"""A text from an endpoint, whole or as it is written."""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterable, Iterator
from contextlib import closing
from typing import Any

from textwright.errors import TextwrightError
from textwright.sagemaker.client import AWS, explained
from textwright.sagemaker.requests import Call


def invoke(aws: AWS, call: Call) -> Iterator[str]:
    """Pieces of the continuation; one piece where the request is not for a stream.

    Raises:
        RequestError: the endpoint refuses the request, or isn't there.
        TextwrightError: it answers something else than a completion.
    """
    with closing(aws.send(call)["Body"]) as body:
        if call.operation == "InvokeEndpoint":
            with explained(call.operation, call.service):
                data = body.read()
            yield _text(_json(data))
        else:
            yield from _events(_parts(body, call))


def _parts(body: Iterable[Any], call: Call) -> Iterator[bytes]:
    """What the event stream carries; a part may end in the middle of a line, or of a character."""
    with explained(call.operation, call.service):
        for event in body:
            if "PayloadPart" in event:
                yield event["PayloadPart"]["Bytes"]
            else:
                name, told = next(iter(event.items()))
                raise TextwrightError(
                    f"the stream broke off ({name}): {told.get('Message', 'no reason was given')}"
                )


def _events(parts: Iterable[bytes]) -> Iterator[str]:
    """The pieces of text in server-sent events; a body of another kind is taken as a whole."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    waiting, other = "", ""
    for part in parts:
        *lines, waiting = (waiting + decoder.decode(part)).split("\n")
        for line in lines:
            if line.startswith("data:"):
                data = line.removeprefix("data:").strip()
                if data == "[DONE]":
                    return
                yield _text(_json(data.encode()))
            elif line.strip() and not line.startswith(":"):
                other += line + "\n"
    if rest := (other + waiting).strip():
        yield _text(_json(rest.removeprefix("data:").strip().encode()))


def _json(data: bytes) -> Any:
    try:
        return json.loads(data)
    except ValueError:
        shown = data[:200].decode("utf-8", "replace")
        raise TextwrightError(f"the endpoint answered no JSON: {shown!r}") from None


def _text(told: Any) -> str:
    if isinstance(told, dict) and isinstance(error := told.get("error"), dict):
        raise TextwrightError(f"the model ended with an error: {error.get('message', error)}")
    try:
        return str(told["choices"][0].get("text") or "")
    except (KeyError, IndexError, TypeError):
        raise TextwrightError(f"the endpoint answered no completion: {str(told)[:200]}") from None
