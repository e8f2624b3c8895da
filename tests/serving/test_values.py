"""What stands in answers: random streams, places of tokens, bytes, warnings."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from servers import Served, events, post

from small_models import TEXT, random_weights, small_config, write_run
from textwright.tokenizers import train_tokenizer


@pytest.fixture(scope="module")
def several(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A model of each kind of tokenizer, two of them for conversations."""
    folder = tmp_path_factory.mktemp("values")
    runs = []
    for name, kind, more in (
        ("bytes", "bpe", {}),
        ("characters", "char", {"lowercase": True}),
        ("words", "word", {}),
        ("benchmark", "word", {"word_form": "whitespace"}),
        ("chat", "bpe", {"conversations": True}),
        ("chars-chat", "char", {"conversations": True}),
    ):
        tokenizer = train_tokenizer(kind, lambda: [TEXT.replace("naïve", "naive")], **more)
        config = small_config("gpt", tokenizer.vocab_size, block_size=32)
        runs.append(write_run(folder / name, config, random_weights(config), tokenizer))
    server = Served(runs)
    yield server
    server.close()


def test_prompts_of_a_list_have_their_own_random_streams(several: Served) -> None:
    body: dict[str, Any] = {"model": "bytes", "max_tokens": 12, "prompt": ["ROMEO:"] * 3}

    def texts(**more: Any) -> list[str]:
        choices = post(several, "/v1/completions", {**body, **more})["choices"]
        return [choice["text"] for choice in choices]

    assert len(set(texts())) == 3
    seeded = texts(seed=5)
    assert len(set(seeded)) == 3 and texts(seed=5) == seeded
    alone = [texts(seed=5 + place, prompt="ROMEO:")[0] for place in range(6)]
    assert seeded == alone[:3]
    assert texts(seed=5, n=2) == alone
    streamed = ["", "", ""]
    for chunk in events(several, "/v1/completions", {**body, "seed": 5}):
        streamed[chunk["choices"][0]["index"]] += chunk["choices"][0]["text"]
    assert streamed == seeded


PROMPT = "  “It’s”\r\nNAÏVE… 🙂 <eos>é you好 "


@pytest.mark.parametrize(
    "model", ["bytes", "characters", "words", "benchmark", "chat", "chars-chat"]
)
@pytest.mark.parametrize("stop", [None, "e"])
def test_text_offsets_are_places_in_the_text(several: Served, model: str, stop: str | None) -> None:
    body = {"model": model, "prompt": PROMPT, "echo": True, "logprobs": 1, "max_tokens": 30,
            "seed": 2, "temperature": 1.5, "stop": stop, "ignore_eos": True}  # fmt: skip
    (whole,) = post(several, "/v1/completions", body)["choices"]
    text, logprobs = whole["text"], whole["logprobs"]
    offsets = logprobs["text_offset"]
    assert len(offsets) == len(logprobs["tokens"]) > 30 or stop
    assert offsets == sorted(offsets) and offsets[0] >= 0 and offsets[-1] <= len(text)
    prompt = several.pool.get(model).encode_prompt(PROMPT)
    assert all(offset <= len(PROMPT) for offset in offsets[: len(prompt.tokens)])
    assert all(offset >= len(PROMPT) for offset in offsets[len(prompt.tokens) :])
    tokenizer = several.pool.get(model).tokenizer
    ids = post(several, "/v1/completions", {**body, "prompt": list(prompt.tokens)})["choices"][0]
    at = list(zip(ids["logprobs"]["tokens"], ids["logprobs"]["text_offset"], strict=True))
    shown = {tokenizer.token_text(number): tokenizer.token_bytes(number).decode(errors="replace")
             for number in range(tokenizer.vocab_size)}  # fmt: skip
    for token, offset in at[: len(prompt.tokens)] if stop else at:  # ids are echoed as they decode
        own = shown[token]
        assert "�" in own or ids["text"][offset:].startswith(own), (token, offset)
    pieces: dict[str, list[Any]] = {"tokens": [], "text_offset": []}
    sent = ""
    for chunk in events(several, "/v1/completions", body):
        (choice,) = chunk["choices"]
        sent += choice["text"]
        for name in pieces:
            pieces[name] += choice["logprobs"][name]
        if not choice["finish_reason"]:  # no token comes before its text
            assert pieces["text_offset"][-1] < len(sent)
    assert sent == text
    assert pieces == {name: logprobs[name] for name in pieces}


def test_a_folded_prompt_has_the_places_of_what_was_typed(several: Served) -> None:
    body = {"model": "characters", "prompt": "A…\r\nb☃é", "echo": True, "logprobs": 0,
            "max_tokens": 0}  # fmt: skip
    logprobs = post(several, "/v1/completions", body)["choices"][0]["logprobs"]
    tokens = ["a", ".", ".", ".", "\n", "b", "e"]
    assert logprobs["tokens"] == tokens
    assert logprobs["text_offset"] == [0, 1, 1, 1, 2, 4, 6]
    words = {**body, "model": "words", "prompt": "It was Zog's\n\nRomeo, ☃ it"}
    logprobs = post(several, "/v1/completions", words)["choices"][0]["logprobs"]
    places = dict(zip(logprobs["tokens"], logprobs["text_offset"], strict=True))
    assert {places[token] for token in ("It", " was", "\n")} == {0, 2, 13}
    assert places[" it"] == len("It was Zog's\n\nRomeo, ☃")
    emoji = {**body, "model": "bytes", "prompt": " 🙂!"}
    logprobs = post(several, "/v1/completions", emoji)["choices"][0]["logprobs"]
    assert logprobs["text_offset"][0] == 0 and logprobs["text_offset"][-1] == 2
    assert set(logprobs["text_offset"][1:-1]) <= {0, 1}


@pytest.mark.parametrize("model", ["bytes", "chat", "characters"])
def test_bytes_of_tokens_make_the_characters(several: Served, model: str) -> None:
    """Also of characters of several tokens, and of alternatives."""
    tokenizer = several.pool.get(model).tokenizer
    ids = tokenizer.encode_prompt("你好 🙂")[0]
    body = {"model": model, "messages": [{"role": "user", "content": "It"}], "logprobs": True,
            "top_logprobs": 2, "max_tokens": len(ids), "seed": 1, "ignore_eos": True,
            "presence_penalty": 2, "logit_bias": {str(number): 100 for number in ids}}  # fmt: skip
    (choice,) = post(several, "/v1/chat/completions", body)["choices"]
    content = choice["logprobs"]["content"]
    joined = b"".join(bytes(token["bytes"]) for token in content)
    assert joined.decode(errors="replace").strip() == choice["message"]["content"]
    known = {tokenizer.token_text(number): list(tokenizer.token_bytes(number))
             for number in range(tokenizer.vocab_size)}  # fmt: skip
    for token in content:
        assert len(token["top_logprobs"]) == 2
        for one in (token, *token["top_logprobs"]):
            assert one["bytes"] == known[one["token"]]
    chunks = events(several, "/v1/chat/completions", body)
    streamed = [
        token
        for chunk in chunks
        if chunk["choices"][0]["logprobs"]
        for token in chunk["choices"][0]["logprobs"]["content"]
    ]
    assert streamed == content


def test_prompts_longer_than_the_context_are_named(several: Served) -> None:
    model = several.pool.get("characters")
    long = "it was the best of times, " * 4
    count = len(model.encode_prompt(long).tokens)
    says = (
        f"the prompt's {count} tokens are more than the model's context of 32: it doesn't see "
        "the first 80"
    )
    ids = model.tokenizer.encode(long)
    for prompt in (long, ids):
        body = {"model": "characters", "prompt": prompt, "max_tokens": 2}
        assert post(several, "/v1/completions", body)["warnings"] == [says]
        assert events(several, "/v1/completions", body)[0]["warnings"] == [says]
    native = {"model_name": "characters", "start_phrase": long, "generation_length": 2}
    assert post(several, "/gen_text", native)["warnings"] == [says]
    short = {**native, "start_phrase": "it ☃"}
    bulk = post(several, "/gen_text_bulk", {"inputs": [native, short]})["results"]
    assert bulk[0]["warnings"] == [says] and "☃" in bulk[1]["warnings"][0]
    assert "warnings" not in post(several, "/gen_text", {**native, "start_phrase": "it"})
    fits = {"model": "characters", "prompt": ids[:32], "max_tokens": 2}
    assert "warnings" not in post(several, "/v1/completions", fits)
    # what is said to be unseen changes nothing, the token after it does
    texts = {"model": "characters", "max_tokens": 8, "seed": 1}
    last = [post(several, "/v1/completions", {**texts, "prompt": ids[start:]})["choices"][0]["text"]
            for start in (0, 80)]  # fmt: skip
    assert last[0] == last[1]
