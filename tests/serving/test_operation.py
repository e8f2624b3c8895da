"""What a server's owner sees: metrics, keys, full queues, hang-ups, its documentation."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
import shlex
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from pydantic import SecretStr
from servers import SECONDS, Served, post

from textwright.errors import BusyError
from textwright.runs import Run
from textwright.serving import ServerSettings
from textwright.serving.errors import to_http_error


def test_metrics_and_request_ids(served: Served) -> None:
    post(served, "/v1/completions", {"model": "lstm", "prompt": "It", "max_tokens": 3})
    page = served.client.get("/metrics").text
    for name in ("num_requests_running", "num_requests_waiting", "prompt_tokens_total",
                 "generation_tokens_total", "time_to_first_token_seconds_count"):  # fmt: skip
        assert f"textwright:{name}" in page
    assert 'request_success_total{finished_reason="length",model_name="lstm"}' in page
    echoed = served.client.get("/health", headers={"x-request-id": "abc-1"})
    assert echoed.headers["x-request-id"] == "abc-1"
    made = served.client.get("/health", headers={"x-request-id": "a b"})
    assert len(made.headers["x-request-id"]) == 32


def test_latencies_are_differences(served: Served) -> None:
    names = [
        f"textwright:{name}_seconds" for name in ("time_to_first_token", "e2e_request_latency")
    ]

    def totals() -> dict[str, float]:
        page = served.client.get("/metrics").text
        return {
            sample.name: sample.value
            for family in text_string_to_metric_families(page)
            for sample in family.samples
            if family.name in names and sample.labels.get("model_name") == "my-gpt"
        }

    served.until(lambda: served.engine.running == 0)  # other tests' texts have been counted
    before, began = totals(), time.monotonic()
    for _ in range(3):
        post(served, "/gen_text", {"model_name": "my-gpt", "generation_length": 2})
    expected = before.get(f"{names[1]}_count", 0) + 3
    served.until(lambda: totals().get(f"{names[1]}_count") == expected)
    duration = time.monotonic() - began
    after = totals()
    for name in names:
        assert after[f"{name}_count"] - before.get(f"{name}_count", 0) == 3
        assert 0 < after[f"{name}_sum"] - before.get(f"{name}_sum", 0) < duration


@pytest.mark.parametrize(("seconds", "header"), [(0.2, "1"), (1.0, "1"), (1.2, "2")])
def test_retry_after_is_rounded_up(seconds: float, header: str) -> None:
    """It is in whole seconds: rounded down, a client would come back too early."""
    headers = to_http_error(BusyError("busy", seconds)).response("/v1/completions").headers
    assert headers["retry-after"] == header
    assert headers["retry-after-ms"] == str(round(1000 * seconds))


@pytest.fixture
def guarded(tmp_path: Path, make_model: Callable[..., Run]) -> Iterator[Served]:
    keys = (SecretStr("sesame"), SecretStr("other"))
    settings = ServerSettings(
        api_keys=keys,
        root_path="/tw",
        cors_origins=("https://a.example",),
        max_length=1_000_000_000,
    )
    server = Served([make_model(tmp_path / "one")], settings=settings, slots=1, waiting=1)
    yield server
    server.close()


def test_every_route_but_the_open_ones_needs_a_key(guarded: Served) -> None:
    paths = guarded.client.get("/openapi.json").json()["paths"]
    assert {"/gen_text", "/gen_text_bulk", "/v1/completions", "/v1/chat/completions"} <= set(paths)
    for path, operations in paths.items():
        for method in operations:
            wrong = {"authorization": "Bearer sesam"}
            answers = [
                guarded.client.request(method, prefix + path, headers=headers)
                for prefix in ("", "/tw")
                for headers in ({}, wrong)
            ]
            expected = {200} if path in ("/", "/health") else {401}
            assert {answer.status_code for answer in answers} == expected, path
            ask = {401: "Bearer"}  # by which clients know how to ask anew
            for answer in answers:
                assert answer.headers.get("www-authenticate") == ask.get(answer.status_code)
    right = {"authorization": "Bearer other"}
    assert guarded.client.get("/tw/v1/models", headers=right).status_code == 200
    assert guarded.client.get("/v1/models", headers=right).status_code == 200
    origin = {"origin": "https://a.example"}
    allowed = guarded.client.get("/health", headers=origin).headers
    assert allowed["access-control-allow-origin"] == "https://a.example"


KEY = {"authorization": "Bearer sesame"}
ENDLESS = {"model": "one", "prompt": "It", "max_tokens": 1_000_000_000}


def test_a_full_queue_is_429(guarded: Served) -> None:
    engine, model = guarded.engine, guarded.pool.get("one")
    jobs = [engine.stream(model, "It", max_tokens=1_000_000_000) for _ in range(2)]
    for path, body in (
        ("/v1/completions", ENDLESS),
        ("/v1/completions", {**ENDLESS, "stream": True}),
        ("/gen_text", {"model_name": "one"}),
    ):
        refused = guarded.client.post(path, json=body, headers=KEY)
        assert refused.status_code == 429
        assert int(refused.headers["retry-after"]) >= 1
        assert "busy" in refused.text
    for job in jobs:
        job.cancel()


@pytest.mark.parametrize("stream", [True, False])
def test_who_hangs_up_is_not_written_for(guarded: Served, stream: bool) -> None:
    body = json.dumps({**ENDLESS, "stream": stream})
    with socket.create_connection(guarded.socket.getsockname()) as raw:
        head = ["POST /v1/completions HTTP/1.1", "Host: x", "Authorization: Bearer sesame",
                "Content-Type: application/json", f"Content-Length: {len(body)}"]  # fmt: skip
        raw.sendall("\r\n".join([*head, "", body]).encode())
        guarded.until(lambda: guarded.engine.running == 1)
        if stream:
            raw.settimeout(SECONDS)
            assert raw.recv(12) == b"HTTP/1.1 200"
    guarded.until(lambda: guarded.engine.running == 0)
    page = guarded.client.get("/metrics", headers=KEY).text
    assert 'request_success_total{finished_reason="cancelled",model_name="one"} 1.0' in page


def test_a_body_that_never_ends_is_given_up(tmp_path: Path, make_model: Callable[..., Run]) -> None:
    impatient = Served([make_model(tmp_path / "one")], settings=ServerSettings(body_timeout=0.1))
    with socket.create_connection(impatient.socket.getsockname()) as raw:
        raw.sendall(
            b"POST /gen_text HTTP/1.1\r\nHost: x\r\n"
            b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n"
        )
        raw.settimeout(SECONDS)
        assert raw.recv(1000).startswith(b"HTTP/1.1 408")
    impatient.close()


def test_docs_ask_nobody_else(guarded: Served) -> None:
    page = guarded.client.get("/docs")
    policy = page.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; img-src data:;") and "script" not in policy
    style = re.search(r"<style>(.*?)</style>", page.text, re.DOTALL)
    assert style is not None
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in policy
    addresses = re.findall(r"""(?:src|href)="([^"]+)""", page.text)
    places = re.findall(r'id="([^"]+)"', page.text)
    outside = {address for address in addresses if address.removeprefix("#") not in places}
    assert outside == {"openapi.json", "data:,"}
    for prefix in ("/", "/tw/"):
        assert guarded.client.get(f"{prefix}openapi.json").status_code == 200
    assert "<script" not in page.text


def test_docs_tell_of_every_route_and_field(served: Served) -> None:
    page = html.unescape(served.client.get("/docs").text)
    document = served.client.get("/openapi.json").json()
    for path, operations in document["paths"].items():
        for method in operations:
            assert f"<code>{method.upper()} {path}</code>" in page
    for name, shape in document["components"]["schemas"].items():
        table = page.partition(f'<h2 id="{name}">')[2].partition("<h2")[0]
        for field in shape["properties"]:
            assert f"<th><code>{field}</code></th>" in table, (name, field)
    fields = re.findall("<th><code>generation_length</code></th>(.*)</tr>", page)
    facts = "integer, ≥ 1, < 2147483648, default <code>100</code>"
    assert f"<td>{facts}</td><td>Tokens.</td>" in fields


def test_commands_in_the_docs_are_answered(guarded: Served) -> None:
    page = html.unescape(guarded.client.get("/docs").text)
    asked = 0
    for there, here in (("KEY", "sesame"), ("shakespeare", "one"), ("{name}", "one")):
        page = page.replace(there, here)
    for command in re.findall("<pre>(.*)</pre>", page):
        curl, url, *options = shlex.split(command)
        flags = list(zip(options[::2], options[1::2], strict=True))
        headers = dict(value.split(": ") for flag, value in flags if flag == "-H")
        bodies = [value for flag, value in flags if flag == "-d"]
        assert curl == "curl" and url.startswith(f"{guarded.url}/tw/")
        method = "POST" if bodies else "GET"
        answer = guarded.client.request(method, url, headers=headers, content="".join(bodies))
        assert answer.status_code == 200, answer.text
        asked += 1
    assert asked == len(guarded.client.get("/openapi.json").json()["paths"])
