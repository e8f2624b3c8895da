"""Connections that send too much, too slowly or nothing, and those that read nothing."""

from __future__ import annotations

import json
import logging
import re
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from io import StringIO
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
from servers import SECONDS, Served

from textwright.runs import Run
from textwright.serving import ServerSettings
from textwright.serving.protocol import Protocol
from textwright.serving.server import LoopErrors


class Patient(Protocol):
    """Waits longer than any test."""

    head_seconds = read_seconds = 1000.0
    max_connections = 5


class Hasty(Protocol):
    head_seconds = 1000.0
    read_seconds = 0.05


@pytest.fixture(scope="module")
def patient(
    tmp_path_factory: pytest.TempPathFactory, make_model: Callable[..., Run]
) -> Iterator[Served]:
    served = Served([make_model(tmp_path_factory.mktemp("patient") / "one")], http=Patient)
    yield served
    served.close()


def connect(served: Served) -> socket.socket:
    raw = socket.create_connection(served.socket.getsockname())
    raw.settimeout(SECONDS)
    return raw


def rest(raw: socket.socket) -> bytes:
    """All that comes up to the end of a connection."""
    parts = []
    try:
        while part := raw.recv(1 << 16):
            parts.append(part)
    except ConnectionError:
        pass
    return b"".join(parts)


def checked(answer: bytes, status: int, word: str) -> None:
    """One whole response in JSON, and the connection closes."""
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(f"HTTP/1.1 {status} ".encode()), answer[:200]
    assert b"connection: close" in head.lower() and b"application/json" in head
    assert word in json.loads(body)["error"]


LINE = b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n"
POST = b"POST /gen_text HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("begin", "more", "status"),
    [
        (b"GET /", b"a" * 1000, 431),  # a path without end
        (LINE + b"X-Long: ", b"a" * 1000, 431),
        (LINE, b"X-Many: aaaaaaaaaaaaaaaaaaaa\r\n", 431),
        (LINE + b"X-", b"a" * 1000, 431),  # a name without end
        (CHUNKED + b"0\r\n", b"X-Trailer: aaaaaaaaaaaaaaaa\r\n", 431),
        (CHUNKED + b"0\r\nX-Trailer: ", b"a" * 1000, 431),
        (CHUNKED + b"1;", b"a" * 1000, 431),  # an extension of a chunk
    ],
)
def test_heads_are_bounded(patient: Served, begin: bytes, more: bytes, status: int) -> None:
    """Whichever part of one grows without end; what was sent stays small."""
    with connect(patient) as raw:
        raw.sendall(begin)
        sent = 0
        try:
            while sent < 8 << 20:
                raw.sendall(more)
                sent += len(more)
        except ConnectionError:
            pass
        assert sent < 8 << 20
    whole = begin + more * (200_000 // len(more))
    with connect(patient) as raw:  # at once: the response is seen
        raw.sendall(whole)
        answer = rest(raw)
        if b"POST" not in begin:
            checked(answer, status, "longer than 65,536 bytes")


def test_a_head_of_60_kilobytes_is_answered(patient: Served) -> None:
    headers = {f"x-{number}": "a" * 1000 for number in range(60)}
    for _ in range(2):
        assert patient.client.get("/health", headers=headers).status_code == 200
    small = b"".join(
        b"1\r\n%c\r\n" % each for each in b'{"model_name": "one"' + b" " * 30_000 + b"}"
    )
    with connect(patient) as raw:  # chunks of a byte are more signs than body
        raw.sendall(CHUNKED.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        raw.sendall(small + b"0\r\n\r\n")
        assert rest(raw).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize(
    "begin", [b"BREW /health HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02", b"GET\r\n\r\n"]
)
def test_what_is_no_request_is_refused_in_json(patient: Served, begin: bytes) -> None:
    with connect(patient) as raw:
        raw.sendall(begin)
        checked(rest(raw), 400, "no HTTP request")


def run_out(served: Served, raw: socket.socket, *, begun: bool) -> None:
    """The time that a head may take, once the server has read what was sent of it."""

    def found() -> list[Protocol]:
        connections = list(served._server.server_state.connections)
        return [
            each
            for each in connections
            if isinstance(each, Protocol)
            and each.client == raw.getsockname()
            and each._begun == begun
            and each._head_timer is not None
        ]

    served.until(lambda: bool(found()))
    (connection,) = found()
    assert connection._head_timer is not None
    assert connection._head_timer.when() <= connection.loop.time() + Patient.head_seconds
    connection.loop.call_soon_threadsafe(connection._head_timer._run)


@pytest.mark.parametrize("begin", [b"", LINE, b"G", LINE + b"X-Half: "])
def test_a_connection_without_a_request_is_closed(patient: Served, begin: bytes) -> None:
    with connect(patient) as raw:
        raw.sendall(begin)
        run_out(patient, raw, begun=bool(begin))
        answer = rest(raw)
    if begin:
        checked(answer, 408, "too long to arrive")
    else:
        assert answer == b""
    with connect(patient) as raw:  # one that was used, too
        raw.sendall(LINE + b"\r\n")
        assert raw.recv(12) == b"HTTP/1.1 200"
        raw.sendall(LINE)
        run_out(patient, raw, begun=True)
        assert b"408" in rest(raw)


def test_who_reads_nothing_is_dropped(tmp_path: Path, make_model: Callable[..., Run]) -> None:
    hasty = Served(
        [make_model(tmp_path / "one")], http=Hasty, settings=ServerSettings(max_logprobs=10**7)
    )
    body: dict[str, Any] = {"model": "one", "prompt": "It", "max_tokens": 4000, "logprobs": 20}
    text = json.dumps({**body, "n": 4, "stream": True, "ignore_eos": True})
    with socket.socket() as raw:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        raw.connect(hasty.socket.getsockname())
        raw.sendall(POST.replace(b"/gen_text", b"/v1/completions")
                    + f"Content-Length: {len(text)}\r\n\r\n{text}".encode())  # fmt: skip
        hasty.until(lambda: hasty.engine.running == 4)
        hasty.until(lambda: hasty.engine.running == 0)
        page = hasty.client.get("/metrics").text
        hasty.until(lambda: len(hasty._server.server_state.connections) <= 1)
    assert 'finished_reason="cancelled"' in page
    hasty.close()


def test_the_oldest_silent_connection_makes_room(patient: Served) -> None:
    """For one more; those whose request is there are never closed for others."""
    patient.client.close()
    patient.client = httpx.Client(base_url=patient.url, timeout=SECONDS)
    body = json.dumps({"model": "one", "max_tokens": 4000, "stream": True, "ignore_eos": True})
    stack = ExitStack()
    busy = stack.enter_context(connect(patient))
    busy.sendall(POST.replace(b"/gen_text", b"/v1/completions")
                 + f"Content-Length: {len(body)}\r\n\r\n{body}".encode())  # fmt: skip
    assert busy.recv(12) == b"HTTP/1.1 200"
    silent = [stack.enter_context(connect(patient)) for _ in range(20)]
    silent[-1].sendall(LINE)
    assert patient.client.get("/health").status_code == 200
    for raw in silent[:15]:
        assert rest(raw) == b""
    assert b"[DONE]" in rest_of_stream(busy)
    stack.close()


def rest_of_stream(raw: socket.socket) -> bytes:
    text = b""
    while b"[DONE]" not in text:
        part = raw.recv(1 << 16)
        assert part
        text += part
    return text


def test_errors_of_the_loop_are_a_line_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    class Loop:
        now = 0.0

        def time(self) -> float:
            return self.now

    lines = StringIO()
    logger = logging.Logger("loop")
    logger.addHandler(logging.StreamHandler(lines))
    monkeypatch.setattr("textwright.serving.server.logger", logger)
    loop: Any = Loop()
    handler, full = LoopErrors(), OSError(24, "full")
    for _ in range(1000):
        handler(loop, {"message": "socket.accept() out of system resource", "exception": full})
    loop.now = 1.1
    handler(loop, {"message": "socket.accept() out of system resource", "exception": full})
    assert lines.getvalue().count("\n") == 2 and "full" in lines.getvalue()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="no limit of descriptors")
def test_more_connections_than_descriptors(folder: Path) -> None:
    """Every line of the log is JSON, it doesn't grow with them, and others are answered."""
    command = f"ulimit -n 100; exec {sys.executable} -m textwright serve --port 0 --models {folder}"
    process = subprocess.Popen(["bash", "-c", command], stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    lines: list[str] = []
    while not lines or not lines[-1].startswith("stop"):
        lines.append(process.stderr.readline())
    found = re.search(r"http://127\.0\.0\.1:(\d+)", "".join(lines))
    assert found
    silent = [socket.create_connection(("127.0.0.1", int(found[1]))) for _ in range(400)]
    url = found[0]
    for _ in range(20):
        assert httpx.get(f"{url}/v1/models", timeout=SECONDS).status_code == 200
    process.terminate()
    for raw in silent:
        raw.close()
    log = process.stderr.read().splitlines()
    process.stderr.close()
    assert process.wait(SECONDS) == 0
    assert len(log) < 60 and all(json.loads(line) for line in log)
