"""Requests a text or a reply from an endpoint, at once or as a stream."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from typing import Any

from textwright.cloud.calls import Call
from textwright.errors import TextwrightError
from textwright.sagemaker.client import AWS, aws_errors


def invoke(aws: AWS, call: Call) -> Generator[str, None, None]:
    """Yields the continuation in pieces; in one piece where `call` is not for a stream.

    Raises:
        RequestError: the endpoint refuses the request, or doesn't exist.
        TextwrightError: the response is no completion.
    """
    with closing(aws.send(call)["Body"]) as body:
        if call.operation == "InvokeEndpoint":
            with aws_errors(call.operation, call.service):
                data = body.read()
            yield _text(_json(data))
        else:
            yield from _events(_parts(body, call))


_END = re.compile(r"""[.!?…]+["'”’»)]*(?=\s)|[。！？]+[”’」』]*""")
_PERHAPS = re.compile(r"""[.!?…。！？]+["'”’»)」』]*$""")
"""What the next piece may make the end of a sentence, or go on with."""


def sentences(pieces: Iterable[str], count: int) -> Iterator[str]:
    """Yields pieces up to the end of the `count`-th sentence, its full stop included; all of them
    where there are fewer."""
    text, shown = "", 0
    for piece in pieces:
        text += piece
        ends = [match.end() for match in _END.finditer(text)]
        if len(ends) >= count and len(text) > ends[count - 1]:
            yield text[shown : ends[count - 1]]
            return
        unsure = _PERHAPS.search(text)
        safe = max(shown, unsure.start() if unsure else len(text))
        yield text[shown:safe]
        shown = safe
    yield text[shown:]


def _parts(body: Iterable[Any], call: Call) -> Iterator[bytes]:
    """The bytes of an event stream; a part may end amid a line, or a character."""
    with aws_errors(call.operation, call.service):
        for event in body:
            if "PayloadPart" in event:
                yield event["PayloadPart"]["Bytes"]
            else:
                name, details = next(iter(event.items()))
                reason = details.get("Message", "no reason was given")
                raise TextwrightError(f"the text broke off ({name}): {reason}; try again")


def _events(parts: Iterable[bytes]) -> Iterator[str]:
    """The texts of server-sent events; a body without events is one JSON response."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    partial, other = "", ""
    for part in parts:
        *lines, partial = (partial + decoder.decode(part)).split("\n")
        for line in lines:
            if line.startswith("data:"):
                data = line.removeprefix("data:").strip()
                if data == "[DONE]":
                    return
                yield _text(_json(data.encode()))
            elif line.strip() and not line.startswith(":"):
                other += line + "\n"
    if rest := (other + partial).strip():
        yield _text(_json(rest.removeprefix("data:").strip().encode()))


def _json(data: bytes) -> Any:
    try:
        return json.loads(data)
    except ValueError:
        beginning = data[:200].decode("utf-8", "replace")
        raise TextwrightError(
            f"the endpoint answers otherwise than textwright's: {beginning!r}"
        ) from None


def _text(data: Any) -> str:
    if isinstance(data, dict) and isinstance(error := data.get("error"), dict):
        raise TextwrightError(f"the model ended with an error: {error.get('message', error)}")
    try:
        choice = data["choices"][0]
        if isinstance(of_chat := choice.get("message") or choice.get("delta"), dict):
            return str(of_chat.get("content") or "")
        return str(choice.get("text") or "")
    except (KeyError, IndexError, TypeError):
        raise TextwrightError(
            f"the endpoint answers otherwise than textwright's: {str(data)[:200]}"
        ) from None
