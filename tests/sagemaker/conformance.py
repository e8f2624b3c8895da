"""What every server of a `model.tar.gz` must do: ours, and AWS's own. One suite for both."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2 as httpx

from textwright.generation import Generator

PROMPT = "ROMEO: "
PLAIN, JSON = {"content-type": "text/plain"}, {"content-type": "application/json"}


@dataclass
class Endpoint:
    """A server, and the model that it has by the name it is asked by."""

    client: httpx.Client
    model: Generator
    """The same model, loaded here."""
    path: str = "/invocations"
    own_headers: bool = True
    """Whether headers of the answer arrive; AWS's model server writes its own alone."""

    def ask(self, body: Any, headers: dict[str, str] | None = None) -> httpx.Response:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.client.post(self.path, content=content, headers=headers or JSON)

    def written(self, **options: Any) -> str:
        """What the model writes after the prompt."""
        return self.model.generate(PROMPT, **options).text


def reason(answer: httpx.Response) -> str:
    """The first line of a refusal; AWS's toolkit puts a trace after it."""
    return answer.text.partition("\n")[0]


def a_native_request_continues(at: Endpoint) -> None:
    body = {"start_phrase": PROMPT, "generation_length": 8, "temperature": 0}
    answer = at.ask(body)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("application/json")
    result = answer.json()
    assert result["res_text"] == PROMPT + at.written(max_tokens=8, temperature=0)
    assert (result["generation_length"], result["temperature"]) == (8, 0)
    # Whatever a client says that the model is called, an endpoint has one
    assert at.ask({**body, "model_name": "another"}).json() == result


def texts_in_bulk_come_in_order(at: Endpoint) -> None:
    inputs = [{"start_phrase": PROMPT, "generation_length": length, "temperature": 0}
              for length in (3, 1)]  # fmt: skip
    result = at.ask({"inputs": [*inputs, {"temperature": -1}], "ignore_errors": True}).json()
    texts = [PROMPT + at.written(max_tokens=length, temperature=0) for length in (3, 1)]
    assert [item["res_text"] for item in result["results"]] == [*texts, None]
    assert "temperature" in result["results"][2]["error"]


def a_completion_is_that_of_the_seed(at: Endpoint) -> None:
    body = {"model": "any", "prompt": PROMPT, "max_tokens": 12, "seed": 5, "n": 2, "logprobs": 1}
    result = at.ask(body).json()
    assert result["object"] == "text_completion"
    texts = [at.written(max_tokens=12, seed=seed) for seed in (5, 6)]
    assert [choice["text"] for choice in result["choices"]] == texts
    assert result["usage"]["completion_tokens"] == 24
    assert len(result["choices"][0]["logprobs"]["tokens"]) == 12


def a_chat_is_answered(at: Endpoint) -> None:
    result = at.ask({"messages": [{"role": "user", "content": "Hello"}], "max_tokens": 9}).json()
    assert result["object"] == "chat.completion"
    assert result["choices"][0]["message"]["role"] == "assistant"
    assert result["choices"][0]["finish_reason"] in ("length", "stop")


def a_stream_is_the_text_in_pieces(at: Endpoint) -> None:
    answer = at.ask({"prompt": PROMPT, "max_tokens": 30, "seed": 5, "stream": True})
    assert answer.headers["content-type"].startswith("text/event-stream")
    *events, done, end = answer.text.split("\n\n")
    assert (done, end) == ("data: [DONE]", "")
    chunks = [json.loads(event.removeprefix("data: ")) for event in events]
    text = "".join(chunk["choices"][0]["text"] for chunk in chunks)
    assert text == at.written(max_tokens=30, seed=5)


def plain_text_is_answered_by_plain_text(at: Endpoint) -> None:
    answer = at.ask(PROMPT.encode(), PLAIN)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/plain")
    assert answer.text.startswith(PROMPT)
    assert len(at.model.encode_prompt(answer.text).tokens) > 50  # 100 were asked for
    assert "x-textwright-warnings" not in answer.headers
    if not at.own_headers:
        return
    long = PROMPT * 50
    answer = at.ask(long.encode(), PLAIN)
    said = json.loads(answer.headers.get("x-textwright-warnings", "[]"))
    assert said == at.model.encode_prompt(long).warnings != []


def unknown_headers_are_of_no_matter(at: Endpoint) -> None:
    strange = {"x-amzn-sagemaker-custom-attributes": "a=b", "x-what": "?", "accept": "a/b, */*"}
    assert at.ask({"start_phrase": PROMPT}, JSON | strange).status_code == 200


def a_bad_request_is_refused_with_its_reason(at: Endpoint) -> None:
    cases: list[tuple[bytes, dict[str, str], int, str]] = [
        (b"{", JSON, 400, "the body is not JSON"),
        (b"[]", JSON, 400, "must be a JSON object"),
        (b'{"start_phrase": 3}', JSON, 400, "start_phrase"),
        (b'{"what": 1}', JSON, 400, "what: not a field"),
        (b'{"generation_length": 0}', JSON, 400, "generation_length"),
        (b'{"prompt": "a", "temperature": -1}', JSON, 400, "temperature"),
        (b'{"messages": []}', JSON, 400, "messages"),
        (b"a,b", {"content-type": "text/csv"}, 415, "none of application/json, text/plain"),
    ]
    for body, headers, status, why in cases:
        answer = at.ask(body, headers)
        assert (answer.status_code, why in reason(answer)) == (status, True), answer.text


INVOKING: list[Callable[[Endpoint], None]] = [
    a_native_request_continues,
    texts_in_bulk_come_in_order,
    a_completion_is_that_of_the_seed,
    a_chat_is_answered,
    a_stream_is_the_text_in_pieces,
    plain_text_is_answered_by_plain_text,
    unknown_headers_are_of_no_matter,
    a_bad_request_is_refused_with_its_reason,
]


def models_come_and_go(client: httpx.Client, folders: list[Path], model: Generator) -> None:
    """A multi-model endpoint, from an empty one to an empty one.

    Args:
        folders: of two models.
        model: the first of them.
    """
    assert client.get("/ping").status_code == 200
    assert client.get("/models").json()["models"] == []
    assert client.get("/models/first").status_code == 404
    for name, folder in zip(("first", "second"), folders, strict=True):
        body = {"model_name": name, "url": str(folder)}
        loaded = client.post("/models", json=body)
        assert loaded.status_code == 200, loaded.text
        assert client.post("/models", json=body).status_code == 409
    listed = client.get("/models").json()["models"]
    urls = {each["modelName"]: each["modelUrl"] for each in listed}
    assert urls == {"first": str(folders[0]), "second": str(folders[1])}
    assert "first" in client.get("/models/first").text
    a_native_request_continues(Endpoint(client, model, "/models/first/invoke"))
    a_bad_request_is_refused_with_its_reason(Endpoint(client, model, "/models/first/invoke"))
    assert client.delete("/models/first").status_code == 200
    assert client.delete("/models/first").status_code == 404
    gone = client.post("/models/first/invoke", json={"start_phrase": PROMPT})
    assert gone.status_code == 404
    there = client.post("/models/second/invoke", json={"start_phrase": PROMPT})
    assert there.status_code == 200
    assert client.delete("/models/second").status_code == 200
    assert client.get("/ping").status_code == 200
