"""A Hub for `huggingface_hub` to talk to: the routes of a push and of a download, over HTTP.

It keeps files in memory and answers every upload with "regular", so that neither LFS nor Xet is
used; those it can't stand in for.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from jobs_stand_in import Jobs

TOKEN = "hf_" + "standin" * 5
SHA = "5" * 40


class Hub:
    """What was pushed: `repositories["model", "user/name"]` is its files by path."""

    def __init__(self) -> None:
        self.repositories: dict[tuple[str, str], dict[str, bytes]] = {}
        self.public: set[str] = set()
        """Names that everyone sees; all others are private."""
        self.refuses: dict[str, tuple[int, str]] = {}
        """Status and reason in answer to every request whose path has this in it."""
        self.created: list[dict[str, Any]] = []
        self.requests: list[str] = []
        self.unknown: list[str] = []
        self.endpoint = ""
        self.jobs: Jobs | None = None
        """Who answers for jobs, where a test has any."""


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments: Any) -> None:
        pass

    def _answer(self, status: int, body: Any = b"", **headers: str) -> None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            with suppress(BrokenPipeError):  # whoever asked was stopped
                self.wfile.write(data)

    def _refused(self) -> bool:
        for part, (status, reason) in self.hub.refuses.items():
            if part in self.path:
                self._answer(status, {"error": reason})
                return True
        return False

    def _about_jobs(self, body: bytes = b"") -> bool:
        """Answer what is about jobs, or about who is logged in."""
        path, _, query = self.path.partition("?")
        if path == "/api/whoami-v2":
            self._answer(200, {"name": "ann", "type": "user"})
            return True
        if self.hub.jobs is None or not path.startswith("/api/jobs"):
            return False
        value = self.hub.jobs.answer(self.command, path, query, body, self.hub.endpoint)
        self._answer(404 if value is None else 200, value)
        return True

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.hub.requests.append(f"POST {self.path}")
        if self._refused():
            return None
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            return self._answer(401, {"error": "Invalid credentials"})
        if self._about_jobs(body):
            return None
        if self.path == "/api/repos/create":
            wanted = json.loads(body)
            kind = wanted.get("type") or "model"
            name = (
                f"{wanted['organization']}/{wanted['name']}"
                if wanted.get("organization")
                else wanted["name"]
            )
            place = f"{'spaces/' if kind == 'space' else ''}{name}"
            url = f"{self.hub.endpoint}/{place}"
            if (kind, name) in self.hub.repositories:
                return self._answer(409, {"error": "You already created it", "url": url})
            self.hub.created.append(wanted)
            self.hub.repositories[kind, name] = {}
            return self._answer(200, {"url": url, "name": name})
        if self.path == "/api/validate-yaml":
            errors = _faults(json.loads(body))
            return self._answer(400 if errors else 200, {"errors": errors, "warnings": []})
        found = re.fullmatch(
            r"/api/(model|space)s/([^/]+/[^/]+)/(preupload|commit)/main", self.path
        )
        if found and found[3] == "preupload":
            files = [{"path": f["path"], "uploadMode": "regular", "shouldIgnore": False}
                     for f in json.loads(body)["files"]]  # fmt: skip
            return self._answer(200, {"files": files})
        if found:
            files = self.hub.repositories[found[1], found[2]]
            for line in body.splitlines():
                one = json.loads(line)
                if one["key"] == "deletedFile":
                    files.pop(one["value"]["path"], None)
                if one["key"] == "file":
                    assert one["value"]["encoding"] == "base64"
                    files[one["value"]["path"]] = base64.b64decode(one["value"]["content"])
            url = f"{self.hub.endpoint}/{found[2]}/commit/{SHA}"
            return self._answer(200, {"success": True, "commitOid": SHA, "commitUrl": url})
        self.hub.unknown.append(f"POST {self.path}")
        return self._answer(404)

    def do_GET(self) -> None:
        path = self.path.split("?")[0]
        self.hub.requests.append(f"{self.command} {path}")
        if self._refused() or self._about_jobs():
            return None
        found = re.fullmatch(r"/api/(model|space)s/([^/]+/[^/]+)(/revision/[^/]+|/tree/.+)?", path)
        if found and (found[1], found[2]) in self.hub.repositories:
            files = self.hub.repositories[found[1], found[2]]
            if (found[3] or "").startswith("/tree"):
                return self._answer(200, [
                    {"type": "file", "path": name, "size": len(data), "oid": _etag(data)}
                    for name, data in files.items()
                ])  # fmt: skip
            siblings = [{"rfilename": name} for name in files]
            private = found[2] not in self.hub.public
            about = {"id": found[2], "sha": SHA, "private": private, "siblings": siblings}
            return self._answer(200, about)
        found = re.fullmatch(r"/(spaces/)?([^/]+/[^/]+)/resolve/[^/]+/(.+)", path)
        if found:
            kind = "space" if found[1] else "model"
            data = self.hub.repositories.get((kind, found[2]), {}).get(found[3])
            if data is not None:
                return self._answer(200, data, ETag=f'"{_etag(data)}"', X_Repo_Commit=SHA)
            return self._answer(404, {"error": "no entry"}, X_Error_Code="EntryNotFound")
        if path.startswith("/api/") and found is None and "/models/" in path:
            return self._answer(404, {"error": "not found"}, X_Error_Code="RepoNotFound")
        if path != "/api/agent-harnesses":  # the library asks, and does without
            self.hub.unknown.append(f"{self.command} {path}")
        return self._answer(404)

    do_HEAD = do_GET  # noqa: N815


def _faults(asked: dict[str, Any]) -> list[dict[str, str]]:
    """What of a card's front matter the Hub wouldn't take, by the classes that read it."""
    from huggingface_hub import ModelCard, SpaceCard

    kind = {"model": ModelCard, "space": SpaceCard}[asked["repoType"]]
    try:
        kind(asked["content"], ignore_metadata_errors=False)
    except (TypeError, ValueError, KeyError) as error:
        return [{"message": str(error)}]
    return []


def _etag(data: bytes) -> str:
    return hashlib.sha1(data).hexdigest()


@contextmanager
def hub_stand_in() -> Iterator[Hub]:
    """A running Hub; its address is `endpoint`."""
    hub = Hub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": hub}))
    hub.endpoint = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
