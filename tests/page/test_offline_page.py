"""The page as one file with the model inside: what is in it, and what it does in a browser."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browsing import GOLDEN, Watch
from typer.testing import CliRunner

import textwright
from textwright.cli.app import app
from textwright.page import offline_page, write_offline_page
from textwright.page.packing import rounded
from textwright.runs import Run, find


def element(page: str, name: str) -> str:
    match = re.search(rf'<script [^>]*id="{name}">(.*?)</script>', page, re.DOTALL)
    assert match is not None
    return match[1]


def test_it_is_small_and_whole() -> None:
    """3 MB for a model of 1 M parameters: the shipped one has 0.82 M."""
    run = find("shakespeare")
    page = offline_page(run)
    parameters = run.config().parameter_count()
    assert len(page.encode()) <= 3e6 * parameters / 1e6
    assert len(page.encode()) - parameters * 2 * 4 / 3 <= 200_000
    assert "src=" not in re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL)


def test_the_policy_allows_what_is_inside_and_nothing_else() -> None:
    page = offline_page(find("frankenstein"))
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', page)
    assert policy is not None
    assert policy[1].startswith("default-src 'none'; ")
    assert "unsafe" not in policy[1]
    script = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    style = re.findall(r"<style>(.*?)</style>", page, re.DOTALL)
    assert len(script) == len(style) == 1
    program = gzip.decompress(base64.b64decode(element(page, "program"))).decode()
    for text in (*script, *style, program):
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy[1]


def test_a_name_stays_text(tmp_path: Path) -> None:
    run = Run(tmp_path / "</script><script>alert(1)<")
    shutil.copytree(GOLDEN / "lstm", run.path)
    page = offline_page(run)
    assert "<script>alert" not in page
    assert json.loads(element(page, "model"))["name"] == run.name


@pytest.mark.parametrize("dtype", ["float16", "int8"])
def test_weights_are_rounded_as_said(dtype: Any) -> None:
    """The bytes in the file, read as `web/runtime/tensors.js` reads them."""
    run = Run(GOLDEN / "gpt")
    page = offline_page(run, dtype=dtype)
    index = json.loads(element(page, "model"))["tensors"]
    data = base64.b64decode(element(page, "weights"))
    from textwright.runs.weights import read_weights

    for name, tensor in read_weights(run.weights_file).items():
        at, kind, rows = index[name]["at"], index[name]["dtype"], len(tensor)
        if kind == "int8":
            scales = np.frombuffer(data, "<f4", rows, at)
            values = np.frombuffer(data, np.int8, tensor.size, at + 4 * rows)
            read = values.reshape(tensor.shape) * scales[:, None]
        else:
            read = np.frombuffer(data, {"float16": "<f2", "float32": "<f4"}[kind], tensor.size, at)
        np.testing.assert_array_equal(read.reshape(tensor.shape), rounded(tensor, dtype))
        assert kind == (dtype if tensor.ndim == 2 else "float32")


def test_the_command_writes_either_type(tmp_path: Path) -> None:
    sizes = []
    for words in ((), ("--dtype", "int8")):
        file = tmp_path / "page.html"
        run = str(GOLDEN / "lstm")
        done = CliRunner().invoke(app, ["export", run, "--to", "page", "--out", str(file), *words])
        assert done.exception is None and done.stdout.strip() == str(file)
        sizes.append(len(element(file.read_text(encoding="utf-8"), "weights")))
    assert sizes[1] < 0.7 * sizes[0]
    wrong = ["export", run, "--to", "gguf", "--dtype", "int8", "--out", str(tmp_path / "m.gguf")]
    assert "--dtype is for --to page" in str(CliRunner().invoke(app, wrong).exception)


WRITE = """async ([prompt, settings]) => {
    let text = "", ids = [];
    for await (const {token} of textwright.write({prompt, ...settings}, null)) {
        if (!token) continue;
        text += token.text;
        ids.push(token.id);
    }
    return {text, ids};
}"""


@pytest.mark.slow
def test_a_browser_opens_it_and_writes_what_python_writes(
    tab: Any, watch: Watch, tmp_path: Path
) -> None:
    """One model is enough: `test_page_runtime.py` runs the same code on all kinds."""
    tab.goto(write_offline_page("shakespeare", tmp_path / "page.html").as_uri())
    tab.wait_for_selector(".primary:visible:not(:disabled)")
    drawn = textwright.load("shakespeare").generate(
        "The night was", max_tokens=150, temperature=0.8, top_k=30, min_p=0.01, seed=2**40 + 5
    )
    settings = {"maxTokens": 150, "temperature": 0.8, "topK": 30, "topP": 1, "minP": 0.01,
                "repetitionPenalty": 1, "stop": [], "seed": 2**40 + 5}  # fmt: skip
    there = {"text": drawn.text, "ids": list(drawn.tokens)}
    assert tab.evaluate(WRITE, ["The night was", settings]) == there
    assert watch.said == []
    assert watch.elsewhere("file:") == []
