"""Hosting under AWS's PyTorch serving toolkit: the four functions that it calls.

This file is `code/inference.py` of every `model.tar.gz`. JSON bodies have the fields of the native
API, `{"start_phrase", "generation_length", "temperature"}`, or those of an OpenAI completion,
`{"prompt", "max_tokens", ...}`; `text/plain` is a prompt, and is answered by text.
"""

from __future__ import annotations

import json
from typing import Any

import textwright
from textwright.errors import RequestError, TextwrightError

_NATIVE = {
    "start_phrase": "prompt",
    "generation_length": "max_tokens",
    "temperature": "temperature",
}
_OPTIONS = {
    "max_tokens", "temperature", "top_k", "top_p", "min_p", "repetition_penalty", "stop", "seed",
}  # fmt: skip
_LONGEST = 4096
"""Tokens of a text: an answer has 60 seconds."""


def _refuse(message: str, status: int = 400) -> Exception:
    """What the toolkit answers with this status, in place of a 500 with a trace."""
    from sagemaker_inference.errors import BaseInferenceToolkitError

    return BaseInferenceToolkitError(status, message, message)  # type: ignore[no-any-return]


def model_fn(model_dir: str, context: Any = None) -> Any:
    """The model of an unpacked `model.tar.gz`."""
    return textwright.load(model_dir)


def input_fn(body: Any, content_type: str = "application/json", context: Any = None) -> Any:
    """A checked request from a body; 4xx where it is none."""
    kind = content_type.split(";", maxsplit=1)[0].strip().lower()
    text = body.decode("utf-8", "replace") if isinstance(body, bytes | bytearray) else body
    if kind == "text/plain":
        return {"prompt": text, "plain": True}
    if kind not in ("application/json", "*/*", ""):
        raise _refuse(f"content type {content_type} is none of application/json, text/plain", 415)
    try:
        told = json.loads(text)
    except ValueError as error:
        raise _refuse(f"the body is not JSON ({error})") from error
    if not isinstance(told, dict):
        raise _refuse("the body must be a JSON object")
    native = "prompt" not in told
    names = _NATIVE if native else {name: name for name in ("prompt", *_OPTIONS)}
    ignored = {"model", "model_name", "stream", "n", "user"}
    if unknown := sorted(set(told) - set(names) - ignored):
        raise _refuse(f"unknown field {unknown[0]}")
    if told.get("stream") or told.get("n") not in (None, 1):
        raise _refuse("stream and n are not to be had here")
    request = {names[name]: value for name, value in told.items() if name in names}
    if not isinstance(request.get("prompt", ""), str):
        raise _refuse("the prompt must be a string")
    length = request.get("max_tokens")
    if length is not None and (type(length) is not int or not 1 <= length <= _LONGEST):
        raise _refuse(f"the length must be a whole number from 1 to {_LONGEST}")
    return {"prompt": "", **request, "native": native}


def predict_fn(data: Any, model: Any, context: Any = None) -> Any:
    """What the model writes."""
    request = dict(data)
    plain, native = request.pop("plain", False), request.pop("native", False)
    prompt = request.pop("prompt")
    request.setdefault("max_tokens", 100 if native or plain else 16)
    try:
        written = model.generate(prompt, **request)
    except RequestError as error:
        raise _refuse(str(error)) from error
    except TextwrightError as error:
        raise _refuse(str(error), 500) from error
    if plain:
        return str(written)
    if native:
        temperature = request.get("temperature", model.defaults.sampling.temperature)
        return {
            "model_name": model.name,
            "res_text": str(written),
            "generation_length": request["max_tokens"],
            "temperature": temperature,
        }
    choice = {
        "index": 0, "text": written.text, "finish_reason": written.finish_reason, "logprobs": None,
    }  # fmt: skip
    return {"object": "text_completion", "model": model.name, "choices": [choice]}


def output_fn(prediction: Any, accept: str = "application/json", context: Any = None) -> Any:
    """The answer's body."""
    return prediction if isinstance(prediction, str) else json.dumps(prediction)
