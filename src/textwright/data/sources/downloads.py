"""Downloads over http and https, streamed to the cache, bounded in size.

Name resolution and connecting have a timeout of 5 seconds in all, so that a machine without
internet access fails at once; each later wait for data has 30.
"""

from __future__ import annotations

import base64
import hashlib
import http.client
import re
import socket
import threading
import urllib.error
import urllib.request
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from textwright import atomic
from textwright.data.sources.addresses import LEFT_OUT, without_secrets
from textwright.data.sources.cache import cache_key, has_size, read_record, write_record
from textwright.errors import DownloadError

CONNECT_SECONDS = 5.0
READ_SECONDS = 30.0
MAX_BYTES = 1 << 33
"""Of one download."""

_EXTENSIONS = {
    "text/html": ".html",
    "application/xhtml+xml": ".html",
    "application/epub+zip": ".epub",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": ".docx",
    "application/pdf": ".pdf",
    "application/gzip": ".gz",
}


@dataclass(frozen=True)
class Download:
    """A downloaded file in the cache."""

    path: Path
    sha256: str


class UnreachableError(DownloadError):
    """No response at all: no network, no such host, connection refused."""


def cached(address: str, cache: Path) -> Download | None:
    """The download of an address, if it is in the cache."""
    folder = _folder(address, cache)
    record = read_record(folder / "download.json")
    if record is None or not has_size(folder / record.get("name", ""), record.get("bytes")):
        return None
    return Download(folder / record["name"], record["sha256"])


def download(
    address: str, cache: Path, *, again: bool = False, largest: int = MAX_BYTES
) -> Download:
    """The file at `address`, from the cache unless `again`.

    Raises:
        UnreachableError: there is no response.
        DownloadError: an HTTP error, an incomplete body, or one of more than `largest` bytes.
        TextwrightError: the cache can't be written.
    """
    if not again and (hit := cached(address, cache)):
        return hit
    shown = without_secrets(address)
    if LEFT_OUT in shown and shown == address:
        raise DownloadError(
            f"{address} was recorded without its secret part; give the whole address again"
        )
    folder = _folder(address, cache)
    bare, headers = _credentials_as_header(address)
    request = urllib.request.Request(
        quote(bare, safe="%/:=&?~#+!$,;'@()*[]"), headers={"User-Agent": "textwright"}
    )
    for name, value in headers.items():
        request.add_unredirected_header(name, value)  # they are this server's, and no other's
    try:
        with _opener().open(request, timeout=READ_SECONDS) as response:
            name = _file_name(response.geturl(), response.headers.get_content_type())
            expected = int(response.headers.get("Content-Length") or -1)
            if expected > largest:
                raise _too_large(shown, largest)
            digest = hashlib.sha256()
            size = 0
            with atomic.replacing(folder / name) as partial, partial.open("wb") as file:
                while block := _read_block(response, shown):
                    size += len(block)
                    if size > largest:
                        raise _too_large(shown, largest)
                    digest.update(block)
                    file.write(block)
                if 0 <= size < expected:
                    raise DownloadError(
                        f"{shown} stopped after {size:,} of {expected:,} bytes; try again"
                    )
    except urllib.error.HTTPError as error:
        with error:
            raise DownloadError(
                f"{shown} answered {error.code} {error.reason}; check the address"
            ) from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise UnreachableError(
            f"{shown} can't be reached ({_reason(error)}); check the connection, or download "
            "the file elsewhere and give its path"
        ) from error
    record = {"address": shown, "name": name, "bytes": size, "sha256": digest.hexdigest()}
    write_record(folder / "download.json", record)
    if shown != address:  # what a run records; the text's sha256 tells whether it is still that one
        alias = {**record, "name": f"../{folder.name}/{name}"}
        write_record(_folder(shown, cache) / "download.json", alias)
    return Download(folder / name, digest.hexdigest())


def _credentials_as_header(address: str) -> tuple[str, dict[str, str]]:
    """The address without `user:password@`, which urllib takes for part of the host's name, and the
    header that says the same."""
    parts = urlsplit(address)
    credentials, at, host = parts.netloc.rpartition("@")
    if not at:
        return address, {}
    coded = base64.b64encode(unquote(credentials).encode()).decode("ascii")
    return parts._replace(netloc=host).geturl(), {"Authorization": f"Basic {coded}"}


def _folder(address: str, cache: Path) -> Path:
    return cache / "downloads" / cache_key("download", address)


def _file_name(address: str, content_type: str) -> str:
    """A file name whose extension tells the format: that of the URL, or of the content type."""
    name = PurePosixPath(unquote(urlsplit(address).path)).name
    name = re.sub(r"[^\w.-]+", "-", name).strip(".-")[-80:] or "text"
    extension = _EXTENSIONS.get(content_type, "")
    return name if name.lower().endswith(extension) else name + extension


def _read_block(response: Any, address: str) -> bytes:
    try:
        block: bytes = response.read(1 << 20)
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
    """urllib's own opener (proxies, redirects), connecting by `_connect`."""
    return urllib.request.build_opener(_Http, _Https)


class _Http(urllib.request.HTTPHandler):
    def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(_with_connect_timeout(http.client.HTTPConnection), req)


class _Https(urllib.request.HTTPSHandler):
    def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(_with_connect_timeout(http.client.HTTPSConnection), req)


def _with_connect_timeout(connection_class: type[http.client.HTTPConnection]) -> Any:
    def connection(host: str, **settings: Any) -> http.client.HTTPConnection:
        made = connection_class(host, **settings)
        made._create_connection = _connect  # type: ignore[attr-defined]
        return made

    return connection


def _connect(
    address: tuple[str, int], timeout: float | None = None, source_address: Any = None
) -> socket.socket:
    """`socket.create_connection` with a timeout of CONNECT_SECONDS in all.

    That function applies its timeout to each of a host's addresses, and none to name resolution;
    hence a thread, abandoned when time is up.
    """
    outcome: Future[socket.socket] = Future()

    def attempt() -> None:
        try:
            outcome.set_result(socket.create_connection(address, CONNECT_SECONDS, source_address))
        except OSError as error:
            outcome.set_exception(error)

    threading.Thread(target=attempt, daemon=True, name="textwright-connect").start()
    try:
        connection = outcome.result(timeout=CONNECT_SECONDS)
    except TimeoutError:
        if outcome.done():  # the socket's own
            raise
        raise TimeoutError(f"no answer in {CONNECT_SECONDS:g} seconds") from None
    connection.settimeout(timeout)
    return connection
