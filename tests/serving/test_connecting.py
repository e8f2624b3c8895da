"""What keeps clients from connecting: origins, proxies, old clients, methods, paths."""

from __future__ import annotations

import gzip
import json
import re
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from servers import SECONDS, Served, post

from commands import Command
from textwright.runs import Run
from textwright.serving import ServerSettings

BODY: dict[str, Any] = {"model": "one", "prompt": "It", "max_tokens": 5, "seed": 1}


@pytest.fixture(scope="module")
def proxied(
    tmp_path_factory: pytest.TempPathFactory, make_model: Callable[..., Run]
) -> Iterator[Served]:
    """A server behind a path, which pages of one origin may call."""
    settings = ServerSettings(root_path="/tw", cors_origins=("https://a.example",))
    server = Served([make_model(tmp_path_factory.mktemp("proxied") / "one")], settings=settings)
    yield server
    server.close()


def exchange(served: Served, *lines: str, body: str = "") -> str:
    """What a plain socket gets for a request, to the connection's end."""
    with socket.create_connection(served.socket.getsockname()) as raw:
        raw.settimeout(SECONDS)
        raw.sendall("\r\n".join([*lines, "", body]).encode())
        received = b""
        while part := raw.recv(65536):
            received += part
    return received.decode()


def test_a_page_may_send_headers_of_its_own(proxied: Served) -> None:
    asked = "authorization,content-type,x-stainless-lang,x-stainless-retry-count,x-my-own"
    headers = {"origin": "https://a.example", "access-control-request-method": "POST",
               "access-control-request-headers": asked}  # fmt: skip
    answer = proxied.client.options("/v1/chat/completions", headers=headers)
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-headers"] == asked
    assert answer.headers["access-control-allow-origin"] == "https://a.example"
    answer = proxied.client.options("/v1/x", headers={**headers, "origin": "https://b.example"})
    assert answer.status_code == 400 and "access-control-allow-origin" not in answer.headers
    head = {**headers, "access-control-request-method": "HEAD"}
    assert proxied.client.options("/health", headers=head).status_code == 200


@pytest.mark.parametrize(
    "origin",
    ["https://a.example/", "https://a.example/path", "a.example", "a.example:80", "HTTPS://a.example",
     "https://A.example", "https://a.example:443", "http://a.example:80", "https://ä.example", "",
     "https://a.example,https://b.example", "https://*.a.example", "https://", "localhost:3000"],
)  # fmt: skip
def test_an_origin_that_can_never_match_is_an_error(origin: str) -> None:
    with pytest.raises(ValidationError, match="no origin as browsers send it"):
        ServerSettings(cors_origins=(origin,))


@pytest.mark.parametrize(
    "origin",
    ["*", "null", "https://a.example", "http://localhost:3000", "http://127.0.0.1:8080",
     "http://[::1]:8080", "https://a.example:8443", "app://obsidian.md", "tauri://localhost",
     "chrome-extension://abcdefgh"],
)  # fmt: skip
def test_origins_that_browsers_send_are_taken(origin: str) -> None:
    assert ServerSettings(cors_origins=(origin,)).cors_origins == (origin,)


def test_the_command_says_so_in_one_line(command: Command) -> None:
    (line,) = command("serve", "--cors-origin", "a.example/x", code=2).stderr.splitlines()
    assert "cors_origins" in line and "'a.example/x' is no origin" in line


@pytest.mark.parametrize("stripped", [True, False])
def test_redirects_keep_the_prefix_of_a_proxy(proxied: Served, stripped: bool) -> None:
    prefix = "" if stripped else "/tw"
    for path, where in (
        ("/v1/models/?a=b%20c", "/tw/v1/models?a=b%20c"),
        ("/v1/chat/completions/", "/tw/v1/chat/completions"),
        ("/health/", "/tw/health"),
        ("/v1/models/a%C3%A9/", "/tw/v1/models/a%C3%A9"),
    ):
        answer = proxied.client.get(prefix + path, follow_redirects=False)
        assert (answer.status_code, answer.headers["location"]) == (307, where)
    for path in ("//b.example/", "/none/", "/v1/none/"):
        assert proxied.client.get(f"{proxied.url}{prefix}{path}").status_code == 404
    answer = proxied.client.post(f"{prefix}/v1/completions/", json=BODY, follow_redirects=True)
    assert answer.json()["choices"]
    assert proxied.client.get("/tw").json() == proxied.client.get("/").json()


def test_head_is_allowed_where_get_is(proxied: Served) -> None:
    for path in ("/", "/health", "/v1/models", "/v1/models/one", "/metrics", "/docs", "/tw/health"):
        got, head = proxied.client.get(path), proxied.client.head(path)
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["content-type"] == got.headers["content-type"]
    assert int(proxied.client.head("/v1/models").headers["content-length"]) > 10
    assert proxied.client.head("/v1/completions").status_code == 405
    assert proxied.client.head("/none").status_code == 404
    raw = exchange(proxied, "HEAD /health HTTP/1.0", "Host: x")
    assert raw.startswith("HTTP/1.1 200") and raw.endswith("\r\n\r\n")


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_streams_to_old_clients_are_not_chunked(proxied: Served, version: str) -> None:
    def ask(stream: bool) -> tuple[str, str]:
        body = json.dumps({**BODY, "stream": stream})
        head, _, content = exchange(
            proxied, f"POST /v1/completions HTTP/{version}", "Host: x", "Connection: close",
            "Content-Type: application/json", f"Content-Length: {len(body)}", body=body,
        ).partition("\r\n\r\n")  # fmt: skip
        return head.lower(), content

    head, content = ask(True)
    assert ("chunked" in head) is (version == "1.1")
    if version == "1.0":
        *chunks, done, end = content.split("\n\n")
        assert (done, end) == ("data: [DONE]", "")
        text = "".join(json.loads(one[6:])["choices"][0]["text"] for one in chunks)
        head, content = ask(False)
        assert "content-length" in head and json.loads(content)["choices"][0]["text"] == text


def test_a_compressed_body_is_refused_by_name(proxied: Served) -> None:
    for encoding in ("gzip", "br", "zstd"):
        answer = proxied.client.post(
            "/v1/completions",
            content=gzip.compress(json.dumps(BODY).encode()),
            headers={"content-type": "application/json", "content-encoding": encoding},
        )
        assert answer.status_code == 415 and answer.headers["accept-encoding"] == "identity"
        assert f"'Content-Encoding: {encoding}' isn't taken" in answer.json()["error"]["message"]
    plain = {"content-type": "application/json", "content-encoding": "identity"}
    answer = proxied.client.post("/v1/completions", content=json.dumps(BODY), headers=plain)
    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "status", "says"),
    [
        ("POST", "/v1/messages", 404, "no /v1/messages here: Anthropic's API isn't spoken here; "),
        ("POST", "/v1/embeddings", 404, "models here give no embeddings; there are "),
        ("POST", "/chat/completions", 404, "it is at /v1/chat/completions; a client's base URL en"),
        ("POST", "/v1/v1/completions", 404, "the base URL has /v1 twice"),
        ("GET", "/nothing", 404, "no /nothing here; there are /"),
        ("GET", "/v1/completions", 405, "GET isn't allowed for /v1/completions, POST is"),
        ("PUT", "/health", 405, "PUT isn't allowed for /health, GET is"),
        ("GET", "/v1/models/none", 404, "no model 'none'"),
    ],
)
def test_what_is_not_there_says_what_is(
    proxied: Served, method: str, path: str, status: int, says: str
) -> None:
    for prefix in ("", "/tw"):
        answer = proxied.client.request(method, prefix + path)
        error = answer.json()["error"]
        message = error["message"] if path.startswith("/v1") else error
        assert answer.status_code == status and says in message
        if "there are" in message:
            assert "/v1/completions" in message and "/gen_text" in message


def test_the_log_says_why_a_request_was_refused(
    proxied: Served, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "textwright.requests")
    for change, why in (
        ({"min_tokens": 4}, "min_tokens: not a field"),
        ({"prompt": "secret", "temperature": -3}, "temperature: Input should be"),
        ({"model": "none"}, "no model 'none'"),
        ({"prompt": "secret" * 20_000}, "prompt is longer"),
        ({"prompt": ["secret", None]}, "prompt[1]: "),
    ):
        caplog.clear()
        answer = proxied.client.post("/v1/completions", json={**BODY, **change})
        proxied.until(lambda: bool(caplog.records))
        (line,) = [getattr(record, "fields", {}) for record in caplog.records]
        assert line["error"] == answer.json()["error"]["message"] and why in line["error"]
        assert line["status"] == answer.status_code and "secret" not in str(line)
    caplog.clear()
    proxied.client.post("/gen_text", content=b"x")
    proxied.until(lambda: bool(caplog.records))
    assert "must be JSON" in getattr(caplog.records[0], "fields", {})["error"]
    caplog.clear()
    post(proxied, "/v1/completions", BODY)
    proxied.until(lambda: bool(caplog.records))
    assert "error" not in getattr(caplog.records[0], "fields", {})


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "::1", "127.0.0.1"])
def test_the_address_that_is_printed_answers(
    host: str, tmp_path: Path, make_model: Callable[..., Run], capsys: pytest.CaptureFixture[str]
) -> None:
    from textwright.cli.serve import _print_address
    from textwright.engine import ModelPool
    from textwright.errors import RequestError
    from textwright.serving.server import listen

    try:
        listening = listen(host, 0)
    except RequestError:
        pytest.skip("this machine has no IPv6")
    with listening:
        url = _print_address(
            ModelPool(), ServerSettings(), listening.getsockname(), None, page=False
        )
        match = re.fullmatch(r"http://(\[(?P<six>.*)\]|(?P<four>.*)):(?P<port>\d+)", url)
        assert match is not None
        socket.create_connection((match["six"] or match["four"], int(match["port"]))).close()
    assert url in capsys.readouterr().err
