"""Text from http and https addresses: streamed to the cache, bounded in size, kept.

Connecting, with the name's resolution, has 5 seconds in all, so that a machine without internet
access says so at once; after that, each wait for data has 30.
"""

from __future__ import annotations

import hashlib
import http.client
import queue
import re
import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from textwright import atomic
from textwright.data.sources.cache import holds, key_of, read_record, write_record
from textwright.errors import DownloadError

CONNECT_SECONDS = 5.0
READ_SECONDS = 30.0
LARGEST = 1 << 33
"""Bytes of one download."""

_ENDINGS = {
    "text/html": ".html",
    "application/xhtml+xml": ".html",
    "application/epub+zip": ".epub",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": ".docx",
    "application/gzip": ".gz",
}


@dataclass(frozen=True)
class Download:
    """A file that was downloaded, now or earlier."""

    path: Path
    sha256: str


class UnreachableError(DownloadError):
    """There was no answer at all: no network, no such host, refused."""


def cached(address: str, cache: Path) -> Download | None:
    """The download of an address, if it is in the cache."""
    folder = _folder(address, cache)
    record = read_record(folder / "download.json")
    if record is None or not holds(folder / record.get("name", ""), record.get("bytes")):
        return None
    return Download(folder / record["name"], record["sha256"])


def download(address: str, cache: Path, *, again: bool = False, largest: int = LARGEST) -> Download:
    """The file at `address`, from the cache unless `again`.

    Raises:
        UnreachableError: nothing answers.
        DownloadError: the server refuses, stops early, or sends more than `largest` bytes.
        TextwrightError: the cache can't be written.
    """
    if not again and (found := cached(address, cache)):
        return found
    folder = _folder(address, cache)
    request = urllib.request.Request(
        quote(address, safe="%/:=&?~#+!$,;'@()*[]"), headers={"User-Agent": "textwright"}
    )
    try:
        with _opener().open(request, timeout=READ_SECONDS) as answer:
            name = _file_name(answer.geturl(), answer.headers.get_content_type())
            expected = int(answer.headers.get("Content-Length") or -1)
            if expected > largest:
                raise _too_large(address, largest)
            digest = hashlib.sha256()
            size = 0
            with atomic.replacing(folder / name) as partial, partial.open("wb") as file:
                while block := _next_block(answer, address):
                    size += len(block)
                    if size > largest:
                        raise _too_large(address, largest)
                    digest.update(block)
                    file.write(block)
                if 0 <= size < expected:
                    raise DownloadError(
                        f"{address} stopped after {size:,} of {expected:,} bytes; try again"
                    )
    except urllib.error.HTTPError as error:
        with error:
            raise DownloadError(
                f"{address} answered {error.code} {error.reason}; check the address"
            ) from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise UnreachableError(
            f"{address} can't be reached ({_reason(error)}); check the connection, or download "
            "the file elsewhere and give its path"
        ) from error
    record = {"address": address, "name": name, "bytes": size, "sha256": digest.hexdigest()}
    write_record(folder / "download.json", record)
    return Download(folder / name, digest.hexdigest())


def _folder(address: str, cache: Path) -> Path:
    return cache / "downloads" / key_of("download", address)


def _file_name(address: str, content_type: str) -> str:
    """A name for the file, whose ending tells the format: the address's, or what was declared."""
    name = PurePosixPath(unquote(urlsplit(address).path)).name
    name = re.sub(r"[^\w.-]+", "-", name).strip(".-")[-80:] or "text"
    ending = _ENDINGS.get(content_type, "")
    return name if name.lower().endswith(ending) else name + ending


def _next_block(answer: Any, address: str) -> bytes:
    try:
        block: bytes = answer.read(1 << 20)
    except (OSError, http.client.HTTPException) as error:
        raise DownloadError(f"{address} stopped answering ({_reason(error)}); try again") from error
    return block


def _too_large(address: str, largest: int) -> DownloadError:
    return DownloadError(f"{address} is larger than {largest:,} bytes; download a part of it")


def _reason(error: Exception) -> str:
    cause = getattr(error, "reason", error)
    text = getattr(cause, "strerror", None) or str(cause) or type(cause).__name__
    return re.sub(r"\s+", " ", str(text))


def _opener() -> urllib.request.OpenerDirector:
    """urllib's own opener (proxies, redirects), with connections that give up early."""
    return urllib.request.build_opener(_Http, _Https)


class _Http(urllib.request.HTTPHandler):
    def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(_impatient(http.client.HTTPConnection), req)


class _Https(urllib.request.HTTPSHandler):
    def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(_impatient(http.client.HTTPSConnection), req)


def _impatient(connection_class: type[http.client.HTTPConnection]) -> Any:
    def make(host: str, **settings: Any) -> http.client.HTTPConnection:
        connection = connection_class(host, **settings)
        connection._create_connection = _connect  # type: ignore[attr-defined]
        return connection

    return make


def _connect(
    address: tuple[str, int], timeout: float | None = None, source_address: Any = None
) -> socket.socket:
    """`socket.create_connection` that takes CONNECT_SECONDS in all.

    That function takes its timeout for each of a host's addresses, and none for the resolution
    of its name; hence a thread, left to itself when time is up.
    """
    outcome: queue.Queue[Callable[[], socket.socket]] = queue.Queue()

    def attempt() -> None:
        try:
            made = socket.create_connection(address, CONNECT_SECONDS, source_address)
            outcome.put(lambda: made)
        except OSError as error:
            outcome.put(_raising(error))

    deadline = time.monotonic() + CONNECT_SECONDS
    threading.Thread(target=attempt, daemon=True, name="textwright-connect").start()
    try:
        connection = outcome.get(timeout=max(0.0, deadline - time.monotonic()))()
    except queue.Empty:
        raise TimeoutError(f"no answer in {CONNECT_SECONDS:g} seconds") from None
    connection.settimeout(timeout)
    return connection


def _raising(error: OSError) -> Callable[[], socket.socket]:
    def raise_it() -> socket.socket:
        raise error

    return raise_it
