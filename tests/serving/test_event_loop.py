"""The event loop: nothing long runs there, and streams that wait are kept open."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncGenerator, Callable, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from servers import SECONDS, Served

from textwright.runs import Run
from textwright.serving import app, fields, responses
from textwright.serving.responses import PIECE_VALUES, EventStream, json_pieces


@pytest.fixture(scope="module")
def single(
    tmp_path_factory: pytest.TempPathFactory, make_model: Callable[..., Run]
) -> Iterator[Served]:
    served = Served([make_model(tmp_path_factory.mktemp("single") / "one")], slots=1, waiting=5)
    yield served
    served.close()


@pytest.mark.parametrize(
    "data",
    [
        {},
        [],
        {"a": [], "b": {}, "c": None, "ü🙂": "\ud800"},
        {"choices": [{"top": [{str(k): k / 7 for k in range(20)}] * 300} for _ in range(3)]},
        list(range(5000)),
        [[[[i] for i in range(9)]] * 400],
    ],
)
def test_pieces_of_json_are_the_json(data: Any) -> None:
    for ascii_only in (False, True):
        pieces = list(json_pieces(data, ascii=ascii_only))
        text = json.dumps(data, ensure_ascii=ascii_only, separators=(",", ":"))
        assert "".join(pieces) == text
    assert max(len(piece) for piece in pieces) < 40 * PIECE_VALUES


@pytest.mark.parametrize("path", ["/v1/completions", "/v1/chat/completions"])
@pytest.mark.parametrize("stream", [False, True])
def test_log_probabilities_are_made_beside_the_loop(
    single: Served, monkeypatch: pytest.MonkeyPatch, path: str, stream: bool
) -> None:
    """They may be megabytes: not one is encoded in the loop's thread."""
    threads: set[str] = set()

    def watched(data: Any, **options: Any) -> Iterator[str]:
        threads.add(threading.current_thread().name)
        return json_pieces(data, **options)

    monkeypatch.setattr(responses, "json_pieces", watched)
    monkeypatch.setattr("textwright.serving.openai.json_pieces", watched)
    chat = {"messages": [{"role": "user", "content": "It"}], "logprobs": True, "top_logprobs": 5}
    plain = {"prompt": "It", "logprobs": 5}
    body = {"model": "one", "max_tokens": 60, "seed": 1, "stream": stream}
    answer = single.client.post(path, json={**body, **(chat if "chat" in path else plain)})
    assert answer.status_code == 200
    assert threads and single._thread.name not in threads
    if not stream:
        assert int(answer.headers["content-length"]) == len(answer.content)


@pytest.mark.parametrize("path", ["/v1/completions", "/v1/chat/completions"])
def test_a_stream_that_waits_for_a_place_has_headers_and_comments(
    single: Served, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.setattr(responses, "KEEP_ALIVE_SECONDS", 0.02)
    model = single.pool.get("one")
    blocker = single.engine.stream(model, "It", max_tokens=100_000_000)
    body: dict[str, Any] = {"model": "one", "stream": True, "max_tokens": 3}
    body |= (
        {"messages": [{"role": "user", "content": "It"}]} if "chat" in path else {"prompt": "It"}
    )
    with single.client.stream("POST", path, json=body, timeout=SECONDS) as answer:
        assert answer.status_code == 200 and single.engine.waiting == 1
        lines = answer.iter_lines()
        waiting = [line for line, _ in zip(lines, range(8), strict=False)]
        assert waiting.count(": waiting") >= 2
        blocker.cancel()
        rest = list(lines)
    assert answer.headers["cache-control"] == "no-cache"
    assert answer.headers["x-accel-buffering"] == "no"  # nginx would keep it back
    assert rest[-2:] == ["data: [DONE]", ""]
    data = [line for line in rest if line and not line.startswith(":")]
    assert all(line.startswith("data: ") for line in data)


@pytest.mark.parametrize("path", ["/openapi.json", "/nothing"])
def test_the_document_is_made_beside_the_loop(
    tmp_path: Path, make_model: Callable[..., Run], monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    threads: list[str] = []
    get_openapi = app.get_openapi

    def watched(**named: Any) -> Any:
        threads.append(threading.current_thread().name)
        return get_openapi(**named)

    monkeypatch.setattr(app, "get_openapi", watched)
    served = Served([make_model(tmp_path / "one")])
    served.client.get(path)
    served.close()
    assert len(threads) == 1 and served._thread.name not in threads


@pytest.mark.parametrize(
    ("path", "body", "says"),
    [
        ("/v1/completions", {"prompt": [1] * 2000, "max_tokens": 1}, None),
        ("/v1/completions", {"prompt": [1, *[None] * 2000], "max_tokens": 1}, "prompt[1]: "),
        ("/v1/completions", {"prompt": [[0] * 2000, [10**9] * 2000]}, "token ids"),
        ("/v1/completions", {"prompt": "It", "max_tokens": [0] * 200_000}, "commas"),
        ("/v1/completions", dict.fromkeys(map(str, range(2000))), "1,000 fields"),
        ("/gen_text_bulk", {"inputs": [{"start_phrase": "x"}] * 300}, "at most 64"),
    ],
)  # fmt: skip
def test_large_bodies_are_read_beside_the_loop(
    single: Served, monkeypatch: pytest.MonkeyPatch, path: str, body: Any, says: str | None
) -> None:
    """Nor is what is wrong with each of a hundred thousand values collected."""
    loop = single._thread.name
    validate, loads = fields.describe_error, json.loads
    threads: list[str] = []

    def watched(function: Any) -> Any:
        def call(*given: Any, **named: Any) -> Any:
            threads.append(threading.current_thread().name)
            return function(*given, **named)

        return call

    monkeypatch.setattr(fields, "describe_error", watched(validate))
    monkeypatch.setattr(json, "loads", watched(loads))
    data = json.dumps({"model": "one", **body} if path != "/gen_text_bulk" else body)
    sent = {"content-type": "application/json"}
    answer = single.client.post(path, content=data, headers=sent)
    assert loop not in threads, threads
    assert answer.status_code == (400 if says else 200), answer.text
    assert says is None or says in answer.text


class Hasty(asyncio.SelectorEventLoop):
    """A loop that doesn't wait: where nothing else is to be done, its clock is set forward."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        select = self._selector.select

        def skip(timeout: float | None) -> list[Any]:
            self.now += timeout or 0.0
            return select(0)

        self._selector.select = skip

    def time(self) -> float:
        return self.now


def test_a_stream_has_comments_where_it_is_silent_alone() -> None:
    sent: list[tuple[float, bytes]] = []

    async def events() -> AsyncGenerator[bytes]:
        for seconds in (0, 3, 4, 4, 12):
            await asyncio.sleep(seconds)
            yield b"data: {}\n\n"

    async def send(message: Any) -> None:
        if message.get("body"):
            sent.append((asyncio.get_running_loop().time(), message["body"].split(b"\n")[0]))

    async def stream() -> None:
        response = await EventStream.begin(events())
        await response({}, Mock(), send)

    with asyncio.Runner(loop_factory=Hasty) as runner:
        runner.run(stream())
    data, comment, done = b"data: {}", b": waiting", b"data: [DONE]"
    assert [what for _, what in sent] == [data] * 4 + [comment, data, done], sent
