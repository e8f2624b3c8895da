"""`echo` with `logprobs`: queued, bounded, in time, and given up when nobody waits for it."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from servers import Served

from textwright import runs
from textwright.errors import ClosedError
from textwright.runs import Run
from textwright.serving import ServerSettings
from textwright.serving.replies import Reply

LONG = "It was the best of times. " * 2000
SCORE = {"model": "one", "echo": True, "logprobs": 5, "max_tokens": 0}


@pytest.fixture(scope="module")
def narrow(
    tmp_path_factory: pytest.TempPathFactory, make_model: Callable[..., Run]
) -> Iterator[Served]:
    """One slot, nobody waits."""
    run = make_model(tmp_path_factory.mktemp("narrow") / "one", "lstm")
    server = Served([run], settings=ServerSettings(max_logprobs=10**6), slots=1, waiting=0)
    yield server
    server.close()


def post(served: Served, body: dict[str, Any]) -> socket.socket:
    """Send a request, and leave the response unread."""
    text = json.dumps(body)
    raw = socket.create_connection(served.socket.getsockname())
    head = ["POST /v1/completions HTTP/1.1", "Host: x", "Content-Type: application/json",
            f"Content-Length: {len(text)}"]  # fmt: skip
    raw.sendall("\r\n".join([*head, "", text]).encode())
    return raw


@pytest.mark.parametrize("stream", [True, False])
def test_it_takes_a_slot_until_its_client_hangs_up(narrow: Served, stream: bool) -> None:
    before = narrow.engine.prompt_tokens["one"]
    with post(narrow, {**SCORE, "prompt": LONG, "stream": stream}):
        narrow.until(lambda: narrow.engine.running == 1)
        refused = narrow.client.post("/v1/completions", json={**SCORE, "prompt": "It"})
        assert refused.status_code == 429, refused.text
    narrow.until(lambda: narrow.engine.running == 0)
    assert narrow.engine.prompt_tokens["one"] - before < len(LONG)


def test_numbers_of_a_response_are_bounded(narrow: Served) -> None:
    refused = narrow.client.post(
        "/v1/completions", json={**SCORE, "prompt": LONG, "logprobs": 20, "n": 2}
    )
    assert refused.status_code == 400
    assert refused.json()["error"]["param"] == "logprobs"
    assert "1,000,000 are possible" in refused.json()["error"]["message"]
    many = {"prompt": ["It"] * 16, "max_tokens": 4096, "logprobs": 20}
    assert narrow.client.post("/v1/completions", json={**SCORE, **many}).status_code == 400
    chat = {"messages": [{"role": "user", "content": "It"}], "n": 16, "max_tokens": 4096}
    chat |= {"model": "one", "logprobs": True, "top_logprobs": 20}
    refused = narrow.client.post("/v1/chat/completions", json=chat)
    assert refused.status_code == 400
    assert "1,000,000 are possible" in refused.json()["error"]["message"]


def test_it_ends_with_the_deadline(tmp_path: Path, make_model: Callable[..., Run]) -> None:
    hasty = Served([make_model(tmp_path / "one", "lstm")], settings=ServerSettings(deadline=0.001))
    late = hasty.client.post("/v1/completions", json={**SCORE, "prompt": LONG})
    assert late.status_code == 503
    assert late.headers["x-should-retry"] == "false"
    assert "0.001 seconds" in late.json()["error"]["message"]
    hasty.close()


def test_what_was_written_while_a_prompt_was_scored_is_sent(narrow: Served) -> None:
    """A stream whose short text is done before its long prompt is scored has no more news to wait
    for."""
    wide = {"prompt": ["It was the best of times. " * 40, "It"], "max_tokens": 1, "stream": True}
    pair = Served([narrow.pool.run("one")], workers=2)
    with pair.client.stream("POST", "/v1/completions", json={**SCORE, **wide}) as response:
        lines = [line for line in response.iter_lines() if line]
    assert lines[-1] == "data: [DONE]" and len(lines) >= 5
    pair.close()


def test_who_asks_for_a_token_beside_the_scores_gets_one() -> None:
    """lm-evaluation-harness does, and drops the last entry: a model that ended there would have the
    prompt's own last one dropped."""
    served = Served([runs.find("chat")])
    try:
        tokenizer = served.pool.get("chat").tokenizer
        ids = [tokenizer.bos_id, *tokenizer.encode("What do you think of music? I like it.")]

        def choice(**more: Any) -> dict[str, Any]:
            body = {"model": "chat", "prompt": ids, "temperature": 0, **more}
            answer = served.client.post("/v1/completions", json=body)
            found: dict[str, Any] = answer.json()["choices"][0]
            return found

        assert choice(max_tokens=1)["finish_reason"] == "stop"  # an end of text
        scored = choice(max_tokens=0, echo=True, logprobs=1)
        asked = choice(max_tokens=1, echo=True, logprobs=1)
        for name, values in scored["logprobs"].items():
            assert asked["logprobs"][name][:-1] == values and len(values) == len(ids), name
        assert asked["text"] == scored["text"] and asked["logprobs"]["tokens"][-1] == "<eos>"
    finally:
        served.close()


def test_a_text_that_a_shutdown_cancels_is_no_finished_one() -> None:
    work = SimpleNamespace(done=True, outcome="cancelled", error=None)

    async def wait() -> None:
        await Reply([work], streams=True).until(work)  # type: ignore[arg-type,list-item]

    with pytest.raises(ClosedError, match="shutting down"):
        asyncio.run(wait())
