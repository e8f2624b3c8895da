"""Real processes and clients: `textwright serve`, the openai package, schemathesis, curl."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
from servers import SECONDS, Process

sys.path.insert(0, str(Path(__file__).parents[1] / "project"))

from pages import PAGES, blocks
from sessions import RUN_ONCE, difference, sessions

from textwright.generation import load
from textwright.runs import Run

pytestmark = pytest.mark.slow


def test_the_openai_client_unmodified(process: Process) -> None:
    openai = pytest.importorskip("openai", reason="openai is not installed")
    client = openai.OpenAI(base_url=f"{process.url}/v1", api_key="none")
    assert {model.id for model in client.models.list()} == {"one", "two"}
    request: dict[str, Any] = {"model": "one", "max_tokens": 8, "seed": 1}
    whole = client.completions.create(prompt=["It", "was"], n=2, logprobs=1, **request)
    assert len(whole.choices) == 4
    assert len(whole.choices[0].logprobs.token_logprobs) == 8
    chunks = client.completions.create(prompt="It", stream=True, **request)
    streamed = "".join(chunk.choices[0].text for chunk in chunks)
    assert streamed == whole.choices[0].text
    by_tokens = client.completions.create(prompt=[[1, 2], [3]], **request)
    assert len(by_tokens.choices) == 2
    said = [{"role": "user", "content": "Hello!"}]
    reply = client.chat.completions.create(messages=said, logprobs=True, **request)
    assert reply.choices[0].message.role == "assistant"
    pieces = client.chat.completions.create(messages=said, stream=True, **request)
    text = "".join(piece.choices[0].delta.content or "" for piece in pieces)
    assert text == reply.choices[0].message.content
    answer = client.responses.create(model="one", input="Hello!", extra_body={"seed": 1})
    assert answer.output_text and answer.usage.output_tokens > 1
    events = list(client.responses.create(
        model="one", input="Hello!", stream=True, extra_body={"seed": 1}
    ))  # fmt: skip
    deltas = [one.delta for one in events if one.type == "response.output_text.delta"]
    assert "".join(deltas) == answer.output_text == events[-1].response.output_text
    with pytest.raises(openai.NotFoundError, match="no model"):
        client.completions.create(model="none", prompt="It")
    with pytest.raises(openai.BadRequestError, match="suffix"):
        client.completions.create(prompt="It", suffix="x", **request)


def test_the_openai_client_talks_as_the_chat_does() -> None:
    """A conversation model over HTTP replies in its own template, as `model.chat()` does."""
    openai = pytest.importorskip("openai", reason="openai is not installed")
    served = Process("chat")
    try:
        client = openai.OpenAI(base_url=f"{served.url}/v1", api_key="none")
        dialogue = load("chat").chat(seed=1, max_tokens=40)
        said: list[dict[str, str]] = []
        for number, words in enumerate(("Hello!", "Do you like <eos> music?", "Why?")):
            said.append({"role": "user", "content": words})
            request: dict[str, Any] = {"model": "chat", "max_tokens": 40, "seed": 1 + number}
            reply = client.chat.completions.create(messages=said, **request).choices[0]
            assert reply.message.content == dialogue.say(words) != ""
            assert reply.finish_reason == "stop"
            said.append({"role": "assistant", "content": reply.message.content})
    finally:
        served.stop()


def test_the_client_tries_again_when_the_queue_is_full(process: Process) -> None:
    openai = pytest.importorskip("openai", reason="openai is not installed")
    body = {"model": "two", "prompt": "It", "n": 6, "max_tokens": 1_000_000, "ignore_eos": True}
    refused = threading.Event()

    def fill() -> None:  # and leave once the client was told that it is full
        url = f"{process.url}/v1/completions"
        with httpx.stream("POST", url, json={**body, "stream": True}, timeout=SECONDS):
            refused.wait(SECONDS)

    def look(response: Any) -> None:
        if response.status_code == 429:
            refused.set()

    filler = threading.Thread(target=fill)
    filler.start()
    process.until(lambda: "num_requests_waiting 2.0" in httpx.get(f"{process.url}/metrics").text)
    http = openai.DefaultHttpxClient(event_hooks={"response": [look]})
    options = {"base_url": f"{process.url}/v1", "api_key": "none", "http_client": http}
    with openai.OpenAI(**options, max_retries=10) as client:
        assert client.completions.create(model="one", prompt="It", max_tokens=3).choices
    assert refused.is_set()
    filler.join()


def test_what_the_pages_ask_a_server_is_answered_as_they_show(folder: Path) -> None:
    """Every `$ curl` of the pages, by curl."""
    if shutil.which("curl") is None:
        pytest.skip("curl is not on the PATH")
    asked = [(page, line, shown) for page in PAGES if page.name not in RUN_ONCE
             for block in blocks(page) for line, shown in sessions(block)
             if line.startswith("curl ")]  # fmt: skip
    assert len(asked) > 3
    served = Process("frankenstein")
    try:
        for page, line, shown in asked:
            words = shlex.split(line.replace("http://127.0.0.1:8000", served.url))
            done = subprocess.run([*words, "-sS"], capture_output=True, text=True, check=True)
            assert not difference(shown, done.stdout), f"{page.name}: {line}\n{done.stdout}"
    finally:
        served.stop()


def test_folders_come_change_break_and_go(
    process: Process, folder: Path, make_model: Callable[..., Run]
) -> None:
    def statuses() -> dict[str, Any]:
        return dict(httpx.get(process.url).json()["status"])

    def text(name: str) -> str:
        body = {"model": name, "prompt": "It", "temperature": 0, "max_tokens": 30}
        answer = httpx.post(f"{process.url}/v1/completions", json=body)
        return str(answer.json()["choices"][0]["text"])

    before = text("one")
    make_model(folder / "three")
    process.until(lambda: statuses().get("three") == {"status": "Loaded"})
    shutil.copy(make_model(folder.parent / "other", seed=7).weights_file, folder / "one")
    process.until(lambda: statuses()["one"]["status"] == "Loaded" and text("one") != before)
    (folder / "two" / "model.safetensors").write_bytes(b"nothing")
    process.until(lambda: statuses()["two"]["status"] == "Failed")
    assert "damaged" in statuses()["two"]["reason"]
    refused = httpx.post(f"{process.url}/gen_text", json={"model_name": "two"})
    assert refused.status_code == 503
    shutil.rmtree(folder / "three")
    process.until(lambda: "three" not in statuses())
    assert httpx.get(f"{process.url}/health").status_code == 200


def test_sigterm_finishes_what_is_under_way(process: Process) -> None:
    answers: list[Any] = []
    body = {"model": "two", "prompt": "It", "max_tokens": 100_000, "ignore_eos": True}
    askers = [
        threading.Thread(
            target=lambda: answers.append(
                httpx.post(f"{process.url}/v1/completions", json=body, timeout=SECONDS)
            )
        )
        for _ in range(4)
    ]
    for asker in askers:
        asker.start()
    metrics = f"{process.url}/metrics"
    process.until(lambda: "num_requests_running 4.0" in httpx.get(metrics).text)
    assert process.stop() == 0
    for asker in askers:
        asker.join()
    assert [answer.status_code for answer in answers] == [200] * 4
    assert all(answer.json()["usage"]["completion_tokens"] == 100_000 for answer in answers)
    lines = [json.loads(line) for line in process.lines if line.startswith("{")]
    logged = [line for line in lines if line["message"] == "request"]
    assert sum(line.get("generated_tokens") == 100_000 for line in logged) == 4
    assert not any("It was" in line for line in process.lines[5:])


def test_schemathesis_finds_nothing(folder: Path) -> None:
    """`$TEXTWRIGHT_SCHEMA_EXAMPLES` a route, 5 where nothing is said. A case may ask for as long a
    text as the server writes, and schemathesis waits for ten seconds if it isn't told otherwise."""
    pytest.importorskip("schemathesis", reason="schemathesis is not installed")
    process = Process("--models", str(folder), "--max-length", "64")
    words = [
        str(Path(sys.executable).parent / "schemathesis"), "run", f"{process.url}/openapi.json",
        # what is left out takes limits of this server for those of the document
        "--checks", "all", "--exclude-checks", "positive_data_acceptance,negative_data_rejection",
        "--max-examples", os.environ.get("TEXTWRIGHT_SCHEMA_EXAMPLES", "5"), "--seed", "1",
        "--request-timeout", str(SECONDS),
        "--phases", "examples,coverage,fuzzing", "--suppress-health-check", "all",
    ]  # fmt: skip
    hooks = {"SCHEMATHESIS_HOOKS": "schema_hooks", "PYTHONPATH": str(Path(__file__).parent)}
    try:
        done = subprocess.run(
            words, capture_output=True, text=True, check=False, env={**os.environ, **hooks}
        )
    finally:
        process.stop()
    assert done.returncode == 0, done.stdout[-5000:]
    assert re.search(r"(\d+) generated", done.stdout), done.stdout[-1000:]
