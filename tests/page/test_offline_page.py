"""The page as one file with the model inside: what is in it, and what it does in a browser."""

from __future__ import annotations

import base64
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
from textwright.page.packing import rounded, tokenizer_data
from textwright.runs import Run, find
from textwright.tokenizers import train_tokenizer
from textwright.tokenizers.splitting import pieces

FAMILIES = sorted(folder.parent.name for folder in GOLDEN.glob("*/vectors.json"))
MARKUP = "<img src=x onerror=alert(1)>"


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
    assert len(page.encode()) - parameters * 2 * 4 / 3 <= 220_000
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
    for text in (*script, *style):
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


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_logits_are_the_golden_ones(tab: Any, watch: Watch, tmp_path: Path, family: str) -> None:
    """From an empty state, over more tokens than a window holds."""
    file = write_offline_page(Run(GOLDEN / family), tmp_path / "page.html")
    golden = json.loads((GOLDEN / family / "vectors.json").read_text(encoding="utf-8"))
    tab.goto(file.as_uri())
    read = """tokens => {
        const cursor = textwright.writer.cursor();
        return tokens.map(token => Array.from(cursor.read(token)));
    }"""
    logits = np.array(tab.evaluate(read, golden["tokens"]))
    assert np.abs(logits - np.array(golden["logits"])).max() <= 1e-4
    assert watch.said == []


WRITE = """async ([prompt, settings]) => {
    let text = "", tokens = [];
    const usual = {temperature: 1, topK: 0, topP: 1, minP: 0, repetitionPenalty: 1, stop: []};
    const all = {...usual, ...settings};
    for await (const event of textwright.write({prompt, ...all}, null)) {
        if (!event.token) continue;
        text += event.token.text;
        tokens.push(event.token);
    }
    return {text, ids: tokens.map(({id}) => id), logprobs: tokens.map(({logprob}) => logprob)};
}"""


@pytest.mark.slow
@pytest.mark.parametrize("name", ["shakespeare", "frankenstein", "wikitext-2"])
def test_it_writes_what_python_writes(tab: Any, watch: Watch, tmp_path: Path, name: str) -> None:
    """Greedily, 200 tokens to the first near-tie; and with the same seed, the same text."""
    tab.goto(write_offline_page(name, tmp_path / "page.html").as_uri())
    model = textwright.load(name)
    settings = {"max_tokens": 200, "temperature": 0.0, "logprobs": 2}
    greedy = model.generate("The night was", **settings)
    written = tab.evaluate(
        WRITE, ["The night was", {"maxTokens": 200, "temperature": 0, "seed": 1}]
    )
    assert greedy.logprobs is not None
    margins = [one.top[0][1] - one.top[1][1] for one in greedy.logprobs]
    tie = next((place for place, margin in enumerate(margins) if margin < 1e-3), 200)
    assert written["ids"][:tie] == greedy.tokens[:tie]
    assert tie > 20
    np.testing.assert_allclose(
        written["logprobs"][:tie], [one.logprob for one in greedy.logprobs[:tie]], atol=1e-3
    )
    for seed in (1, 2**40 + 5):
        drawn = model.generate(
            "The night was", max_tokens=150, temperature=0.8, top_k=30, top_p=0.95, min_p=0.01,
            repetition_penalty=1.1, seed=seed,
        )  # fmt: skip
        settings = {"maxTokens": 150, "temperature": 0.8, "topK": 30, "topP": 0.95, "minP": 0.01,
                 "repetitionPenalty": 1.1, "seed": seed}  # fmt: skip
        assert tab.evaluate(WRITE, ["The night was", settings])["text"] == drawn.text
    assert watch.said == []
    assert watch.elsewhere("file:") == []


@pytest.mark.slow
def test_it_reads_a_prompt_to_a_model_of_conversations_as_python_does(
    tab: Any, watch: Watch, tmp_path: Path
) -> None:
    tab.goto(write_offline_page("chat", tmp_path / "page.html").as_uri())
    model = textwright.load("chat")
    read = "text => textwright.writer.encode(text).ids"
    for prompt in ("", " ", "Hello", "\n Do you <user> like\x1f music? \x85", "<eos><eos>"):
        assert tab.evaluate(read, prompt) == model.encode_prompt(prompt).tokens, prompt
    drawn = model.generate("Do you like", max_tokens=40, temperature=0.8, seed=1)
    settings = {"maxTokens": 40, "temperature": 0.8, "seed": 1}
    assert tab.evaluate(WRITE, ["Do you like", settings])["text"] == drawn.text
    assert len(drawn.tokens) > 3
    assert watch.said == []


ODD = [
    "", " ", "\n\n", "plain words, and more.", "It’s “quoted” – naïve café…", "ＦＵＬＬ ①②³",
    "tabs\tand\u00a0spaces\u2003here", "\r\nline\rends", "1984 ١٢٣ 42%", "Ünïcödé ÆØÅ ß ﬁ",
    "don't won't O'Neil's", "日本語のテキスト 한국어 ไทย", "emoji 🙂🙂 👩‍👩‍👧", "<eos> <unk> <pad>",
    "a\u0301e\u0323\u0302", "\x85\u2028x\u200b\ufeff", "HELLO Hello hElLo", "ΣΑΣ ς",
    "==- -- --- \'\'\' ``` \"\"", "word,another;third", "   indented\n\tcode()",
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(
    "kind", ["char", "char-lower", "word", "word-lower", "word-whitespace", "bpe", "bpe-lower"]
)
def test_prompts_are_read_as_python_reads_them(
    tab: Any, tmp_path: Path, text_file: Path, kind: str
) -> None:
    kind, _, form = kind.partition("-")
    prose = text_file.read_text(encoding="utf-8") + " It’s “quoted” café, don't. " * 3
    run = Run(tmp_path / "run")
    run.path.mkdir()
    tokenizer = train_tokenizer(
        kind, lambda: pieces(prose, 1000), vocab_size={"char": None, "word": 800, "bpe": 500}[kind],
        lowercase=form == "lower", word_form="whitespace" if form == "whitespace" else "text",
    )  # fmt: skip
    tokenizer.save(run)
    tab.goto(write_offline_page(Run(GOLDEN / "rnn"), tmp_path / "page.html").as_uri())
    make = "data => { globalThis.reader = new textwright.writer.tokenizer.constructor(data); }"
    tab.evaluate(make, tokenizer_data(tokenizer, run))
    texts = [*ODD, prose[:3000], prose[:2000].upper()]
    read = tab.evaluate("texts => texts.map(text => reader.encodePrompt(text))", texts)
    for text, there in zip(texts, read, strict=True):
        ids, warnings = tokenizer.encode_prompt(text)
        assert there["ids"] == ids, text
        assert bool(there["warnings"]) == bool(warnings), text
    ids = tokenizer.encode(prose[:500] + " é🙂")
    decode = """ids => { const decode = reader.stream();
                         return ids.map(decode).join("") + decode(null); }"""
    assert tab.evaluate(decode, ids) == tokenizer.decode(ids)
