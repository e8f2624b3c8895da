"""The pages that can train: what is in them, what their policies allow, who refuses to make one."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pytest
from browsing import GOLDEN
from fastapi import FastAPI
from fastapi.testclient import TestClient
from node import modules, run_script
from typer.testing import CliRunner

from textwright.cli.app import app
from textwright.page import can_learn, learning, offline_page, packing
from textwright.runs import Run
from textwright.runs.weights import read_weights
from textwright.serving.settings import ServerSettings
from textwright.studio import static_files

WHY = "the package was built without a compiler for WebAssembly"
learns = pytest.mark.skipif(not can_learn(), reason="needs the engine: python hatch_build.py")


def element(page: str, name: str) -> str:
    match = re.search(rf'<script [^>]*id="{name}">(.*?)</script>', page, re.DOTALL)
    assert match is not None, name
    return match[1]


def policy_of(page: str) -> str:
    match = re.search(r'Content-Security-Policy" content="([^"]+)"', page)
    assert match is not None
    return match[1]


@learns
def test_the_page_without_a_model_has_the_engine_and_its_workers() -> None:
    page = offline_page(None)
    assert json.loads(element(page, "model")) is None and element(page, "weights") == ""
    assert json.loads(element(page, "knowledge"))["tables"]
    assert gzip.decompress(base64.b64decode(element(page, "engine")))[:4] == b"\0asm"
    worker = gzip.decompress(base64.b64decode(element(page, "worker"))).decode()
    assert "onmessage" in worker and "localStorage" not in worker
    assert page == offline_page(None), "the same each time"


@learns
def test_what_training_adds() -> None:
    """At most 250 kB; to the policy WebAssembly, and workers of the page's own making."""
    run = Run(GOLDEN / "lstm")
    page, plain = offline_page(run, trainable=True), offline_page(run)
    assert len(page.encode()) - len(plain.encode()) <= 250_000
    assert json.loads(element(page, "model"))["name"] == run.name
    hashes = r"'sha256-[^']+'"
    allowed, before = (re.sub(hashes, "", policy_of(one)) for one in (page, plain))
    assert allowed.replace(" 'wasm-unsafe-eval'", "").replace(" worker-src blob:;", "") == before
    script = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script[-1].encode()).digest()).decode()
    assert f"'sha256-{digest}'" in policy_of(page)


@learns
def test_the_commands_write_such_pages(tmp_path: Path) -> None:
    run, out = str(GOLDEN / "lstm"), tmp_path / "page.html"
    for words in (["page"], ["export", run, "--to", "page", "--trainable"]):
        done = CliRunner().invoke(app, [*words, "--out", str(out)])
        assert done.exception is None and done.stdout.strip() == str(out)
        assert element(out.read_text(encoding="utf-8"), "engine")
        out.unlink()


def test_without_the_engine_they_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(learning, "learning_engine", lambda: (None, WHY))
    run, out = str(GOLDEN / "lstm"), str(tmp_path / "page.html")
    for words in (["page"], ["export", run, "--to", "page", "--trainable"]):
        said = str(CliRunner().invoke(app, [*words, "--out", out]).exception)
        assert WHY in said and "\n" not in said
    assert not list(tmp_path.iterdir())


def test_where_it_makes_no_sense_it_is_refused(tmp_path: Path) -> None:
    run, out = str(GOLDEN / "gpt"), str(tmp_path / "gpt.gguf")
    wrong = ["export", run, "--to", "gguf", "--trainable", "--out", out]
    assert "--trainable is for --to page" in str(CliRunner().invoke(app, wrong).exception)
    folder = ["page", "--out", str(tmp_path)]
    assert "is a folder" in str(CliRunner().invoke(app, folder).exception)


def served(api: str | None = None) -> TestClient:
    server = FastAPI()
    server.include_router(static_files.router(ServerSettings(), api))
    return TestClient(server)


@learns
def test_a_server_gives_what_a_tab_needs() -> None:
    client = served()
    page = client.get("/studio/")
    policy = page.headers["content-security-policy"]
    assert "script-src 'self' 'wasm-unsafe-eval'; " in policy and "worker-src 'self'; " in policy
    assert "blob:" not in policy and "unsafe-inline" not in policy
    assert '<meta name="learns"' in page.text and "manifest" in page.text
    assert client.get("/studio/engine.wasm").headers["content-type"] == "application/wasm"
    assert client.get("/studio/knowledge.json").json() == json.loads(
        json.dumps(learning.knowledge())
    )
    assert client.get("/studio/train.html").text == offline_page(None)
    service = client.get("/studio/service.js").text
    files = json.loads(re.match(r"const FILES = (\[.*\]);\n", service)[1])  # type: ignore[index]
    assert all(client.get(f"/studio/{file}").status_code == 200 for file in files)
    elsewhere = served("http://models.example:8000").get("/studio/")
    assert (
        "connect-src 'self' http://models.example:8000;"
        in elsewhere.headers["content-security-policy"]
    )


def test_a_server_without_the_engine_is_as_strict_as_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(learning, "learning_engine", lambda: (None, WHY))
    client = served()
    page = client.get("/studio/")
    policy = page.headers["content-security-policy"]
    assert "wasm" not in policy and "worker-src" not in policy
    assert "learns" not in page.text and "manifest" not in page.text
    assert client.get("/studio/engine.wasm").status_code == 404
    assert client.get("/studio/train.html").status_code == 404


PACK = """
import { readFileSync } from "node:fs";
import { base64, packTensors } from "./runtime/packing.js";
const tensors = JSON.parse(readFileSync(0, "utf-8"));
for (const one of Object.values(tensors)) one.data = Float32Array.from(one.data);
const { index, bytes } = packTensors(tensors);
console.log(JSON.stringify({ index, bytes: base64(bytes) }));
"""


@pytest.mark.parametrize("name", ["lstm", "gpt"])
def test_a_page_packs_weights_as_python_does(name: str, tmp_path: Path) -> None:
    """The file that a page makes of itself holds the bytes that `export` would put there."""
    (modules(tmp_path) / "pack.js").write_text(PACK, encoding="utf-8")
    run = Run(GOLDEN / name)
    weights = read_weights(run.weights_file)
    weights["large"] = weights[next(iter(weights))] * 1e7  # beyond a float16
    given: dict[str, Any] = {
        key: {"shape": tensor.shape, "data": tensor.ravel().tolist()}
        for key, tensor in weights.items()
    }
    there = run_script("pack.js", tmp_path, given=given)
    index, packed = packing._pack_weights(weights, "float16")
    assert there["index"] == index
    assert base64.b64decode(there["bytes"]) == packed
