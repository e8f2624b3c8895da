"""`hf:owner/dataset` against a hub on this machine, that speaks the Hub's own protocol."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

REVISION = "0123456789abcdef0123456789abcdef01234567"

SETS: dict[str, dict[str, str]] = {
    "owner/plain": {
        "README.md": "# A data set",
        "data/b.txt": "second " * 20,
        "data/a.jsonl": json.dumps({"text": "first " * 20}) + "\n",
    },
    "owner/split": {
        "train.csv": "id,text\n1," + "learn " * 20 + "\n",
        "validation.csv": "id,text\n1," + "check " * 9 + "\n",
        "test.csv": "id,text\n1," + "prove " * 9 + "\n",
    },
    "owner/several": {"en/train.jsonl": '{"text": "a"}\n', "fr/train.jsonl": '{"text": "b"}\n'},
    "owner/other": {"train.csv": "question,answer\n1,2\n"},
    "owner/pictures": {"a.png": "x"},
}


class Hub(BaseHTTPRequestHandler):
    """The two answers that downloading needs: what a data set has, and its files."""

    def do_HEAD(self) -> None:
        self.answer(body=False)

    def do_GET(self) -> None:
        self.answer(body=True)

    def answer(self, body: bool) -> None:
        path = self.path.split("?")[0].strip("/")
        for name, files in SETS.items():
            if path.startswith(f"api/datasets/{name}"):
                about = {
                    "id": name,
                    "sha": REVISION,
                    "cardData": {"license": "cc0-1.0"},
                    "siblings": [
                        {"rfilename": file, "size": len(text)} for file, text in files.items()
                    ],
                }
                return self.send(json.dumps(about).encode(), body, "application/json")
            start = f"datasets/{name}/resolve/{REVISION}/"
            if path.startswith(start) and path.removeprefix(start) in files:
                return self.send(files[path.removeprefix(start)].encode(), body, "text/plain")
        self.send_response(404)
        self.send_header("Content-Length", "0")
        self.end_headers()
        return None

    def send(self, data: bytes, body: bool, kind: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("ETag", f'"{hashlib.sha1(data).hexdigest()}"')
        self.send_header("X-Repo-Commit", REVISION)
        self.end_headers()
        if body:
            self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def hub() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_data_sets_of_the_hub_are_read_by_their_splits(hub: str, tmp_path: Path) -> None:
    # One process for all, since the library reads its settings when it is imported.
    code = """
import json, sys
from textwright.data import open_corpus
from textwright.errors import TextwrightError
answers = {}
for reference in sys.argv[1:]:
    try:
        corpus = open_corpus([reference])
        parts = [part.read() if part else None for part in
                 (corpus.train, corpus.validation, corpus.test)]
        answers[reference] = [corpus.name, corpus.licence, corpus.sources[0].address, *parts]
    except TextwrightError as error:
        answers[reference] = f"{type(error).__name__}: {error}"
print(json.dumps(answers))
"""
    references = [
        "hf:owner/plain",
        "hf:owner/plain:data/b.txt",
        "hf:owner/split",
        "hf:owner/several",
        "hf:owner/several:fr",
        "hf:owner/other",
        "hf:owner/pictures",
        "hf:owner/missing",
    ]
    environment = {
        **os.environ,
        "HF_ENDPOINT": hub,
        "HF_HOME": str(tmp_path / "hub"),
        "HF_HUB_OFFLINE": "0",
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
    }
    result = subprocess.run(
        [sys.executable, "-c", code, *references],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    answers = json.loads(result.stdout)
    name, licence, address, train, validation, test = answers["hf:owner/plain"]
    assert (name, licence, address) == ("plain", "cc0-1.0", "hf:owner/plain/data/a.jsonl")
    assert (train + validation, test) == ("first " * 20 + "\n\n" + "second " * 20, None)
    assert "".join(answers["hf:owner/plain:data/b.txt"][3:5]) == "second " * 20
    assert answers["hf:owner/split"][3:] == ["learn " * 20, "check " * 9, "prove " * 9]
    assert "choose one: hf:owner/several:en, hf:owner/several:fr" in answers["hf:owner/several"]
    assert "too few" in answers["hf:owner/several:fr"]
    assert "no column of text" in answers["hf:owner/other"]
    assert "has no text" in answers["hf:owner/pictures"]
    assert answers["hf:owner/missing"].startswith("DownloadError: hf:owner/missing")
    for answer in answers.values():
        assert not isinstance(answer, str) or "\n" not in answer
